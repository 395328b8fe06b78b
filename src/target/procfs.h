/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only reader of /proc/PID.  Its root is a parameter, so that tests can use made-up trees.
 * Formats: proc(5), fs/proc/ of the kernel.  A process can exit between two calls: then a call
 * returns -ESRCH.
 */
#ifndef FILEMON_PROCFS_H
#define FILEMON_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs {
    int fd;    /* the root directory; owned */
    bool real; /* it is the kernel's, not a made-up tree: system calls know the same processes */
};

/* root: "/proc", or a made-up tree.  0, -errno.  Close with procfs_close(). */
int procfs_open(struct procfs *procfs, const char *root);
void procfs_close(struct procfs *procfs);

/* Whether it shows our own pid namespace, which it does not after "unshare --pid" without
 * --mount-proc: then its link "self" is not our pid. */
bool procfs_is_own(const struct procfs *procfs);

/* Whether a status means that filemon is out of memory or descriptors, as opposed to a process that
 * has exited or may not be read. */
bool procfs_is_shortage(int status);

/* The rest of a longer file is ignored.  exec(2) by default takes fewer bytes of arguments, but a
 * process can make its cmdline as long as it likes. */
#define PROCFS_FILE_MAX (4u << 20)

/* Calls each(ctx, pid) for every process that exists now, in rising order, until a call returns
 * other than 0.  Returns the last result, 0 or -errno. */
int procfs_each(const struct procfs *procfs, int (*each)(void *ctx, pid_t pid), void *ctx);

struct procfs_stat {
    char comm[64]; /* NUL-terminated, cut to fit */
    char state;    /* 'Z' and 'X': exited, but not yet waited for */
    pid_t thread;  /* a thread that runs: its entry has executable and arguments, which the entry of
                    * the process has not after pthread_exit(3) in the main thread */
    pid_t ppid;
    bool kernel_thread; /* PF_KTHREAD */
    uint64_t start;     /* clock ticks after boot */
};

/* 0, -ESRCH, -EBADMSG (malformed), -errno.  If the main thread has exited and others run, state and
 * thread are those of one that runs. */
int procfs_stat(const struct procfs *procfs, pid_t pid, struct procfs_stat *stat);

/* The process (tgid) of a thread: /proc/TID exists for every thread, although only processes are
 * listed.  tid itself if it is a main thread or cannot be read; never fails. */
pid_t procfs_leader(const struct procfs *procfs, pid_t tid);

/*
 * Identifies a process even after its pid has been reused: by a pidfd, or without one (Linux before
 * 5.3, a made-up tree, few descriptors left) by the start time.
 */
struct procfs_pin {
    pid_t pid;
    int fd; /* the pidfd, owned; -1: none */
    uint64_t start;
};

/* stat: what procfs_stat() returned for pid.  Free with procfs_unpin(). */
struct procfs_pin procfs_pin(const struct procfs *procfs, pid_t pid,
                             const struct procfs_stat *stat);
void procfs_unpin(struct procfs_pin *pin);

bool procfs_has_exited(const struct procfs *procfs, const struct procfs_pin *pin);

/* The path of the executable, without the kernel's " (deleted)".  The caller frees *path.  0,
 * -ESRCH (also for kernel threads and zombies, which have none), -EACCES, -errno. */
int procfs_exe(const struct procfs *procfs, pid_t pid, char **path);

/* The arguments, as an array that ends with NULL; one free() of *args frees all.  A zombie has
 * none.  0, -errno. */
int procfs_cmdline(const struct procfs *procfs, pid_t pid, char ***args);

/*
 * The systemd unit of the cgroup ("postfix@-.service"): the last component that ends in ".service"
 * or ".scope", in the line of cgroup v2 ("0::") or of v1's name=systemd.  The caller frees *unit.
 * 0, -ENOENT (in no unit), -errno.
 */
int procfs_unit(const struct procfs *procfs, pid_t pid, char **unit);

#endif
