/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that filemon reads of /proc/PID.  The root directory is a parameter, so that tests can use
 * made-up trees.  Formats: proc(5), fs/proc/ of the kernel.
 *
 * A process can exit at any time.  Until its parent has waited for it, it is a zombie, which has a
 * directory, but no executable and no arguments.  After that its directory is gone, and a call
 * about it returns -ESRCH, unless the call says otherwise.  In both cases it "has exited" here.
 */
#ifndef FILEMON_PROCFS_H
#define FILEMON_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs {
    int fd;    /* the root directory; owned */
    bool real; /* the root is a proc file system, not a made-up tree */
};

/* root: "/proc", or a made-up tree.  0, -errno.  Close with procfs_close(). */
int procfs_open(struct procfs *procfs, const char *root);
void procfs_close(struct procfs *procfs);

/* Whether the tree shows filemon's own pid namespace: its link "self" is getpid().  After "unshare
 * --pid" without --mount-proc, for example, /proc shows another.  Only in the own pid namespace do
 * pids of the tree name the same processes in system calls. */
bool procfs_is_own(const struct procfs *procfs);

/* Whether an error is a lack of memory or descriptors (-ENOMEM, -EMFILE, -ENFILE), as opposed to a
 * process that has exited or may not be read. */
bool procfs_is_shortage(int status);

/* At most so many bytes of a file are read; the rest is ignored.  execve(2) takes at most 2 MiB of
 * arguments at the usual limit of the stack, but prctl(2) lets a process show more. */
#define PROCFS_FILE_MAX (4u << 20)

/* Lists the processes, then calls each(ctx, pid) for them in rising order, until one returns other
 * than 0.  Returns what the last each() returned; -errno if they cannot be listed. */
int procfs_each(const struct procfs *procfs, int (*each)(void *ctx, pid_t pid), void *ctx);

struct procfs_stat {
    char comm[64]; /* NUL-terminated, cut to fit: 15 bytes, more for some kernel threads */
    char state;    /* 'Z', 'X': exited */
    pid_t thread;  /* to be passed to procfs_exe() and procfs_cmdline(): the pid; or another thread
                    * that is alive, if the main thread has called pthread_exit(3) */
    pid_t ppid;
    bool kernel_thread; /* PF_KTHREAD */
    uint64_t start;     /* clock ticks after boot */
};

/* A zombie has a stat.  If only the main thread has exited, state and thread are those of one that
 * is alive.  0, -ESRCH, -EBADMSG (malformed), -errno. */
int procfs_stat(const struct procfs *procfs, pid_t pid, struct procfs_stat *stat);

/* The process (tgid) of a thread: /proc/TID exists for every thread, although only processes are
 * listed.  tid itself if it is a main thread, and in case of any error. */
pid_t procfs_leader(const struct procfs *procfs, pid_t tid);

/*
 * Stands for one process and never for a later one with the same pid: by a pidfd, or by the start
 * time where there is no pidfd (Linux before 5.3, a made-up tree, half of RLIMIT_NOFILE in use).
 */
struct procfs_pin {
    pid_t pid;
    int fd;         /* the pidfd, owned; -1: none */
    uint64_t start; /* procfs_stat.start */
};

/* stat: what procfs_stat() returned for pid.  Never fails.  Free with procfs_unpin(). */
struct procfs_pin procfs_pin(const struct procfs *procfs, pid_t pid,
                             const struct procfs_stat *stat);
void procfs_unpin(struct procfs_pin *pin);

/* Whether that process has exited.  No, if that cannot be found out. */
bool procfs_has_exited(const struct procfs *procfs, const struct procfs_pin *pin);

/* The path of the executable, which the kernel gives, without " (deleted)" at its end.  The caller
 * frees *path.  0; -ESRCH also for kernel threads and zombies; -EACCES, -errno. */
int procfs_exe(const struct procfs *procfs, pid_t pid, char **path);

/* The arguments, as an array that ends with NULL; one free() of *args frees all.  For kernel
 * threads and zombies the array is empty.  0, -errno. */
int procfs_cmdline(const struct procfs *procfs, pid_t pid, char ***args);

/*
 * The systemd unit of the process, such as "cron.service" or "getty@tty1.service": in the path of
 * its cgroup, the last component that ends in ".service" or ".scope".  The path is that of cgroup
 * v2 or of v1's hierarchy name=systemd, whichever names a unit.  The caller frees *unit.  0,
 * -ENOENT (in no unit), -errno.
 */
int procfs_unit(const struct procfs *procfs, pid_t pid, char **unit);

#endif
