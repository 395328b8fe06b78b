/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only reader of /proc.  Its root can be moved, so that tests feed it made-up trees.
 * Any process may vanish between two calls: every call says so with -ESRCH.
 * Formats: proc(5), kernel fs/proc/.
 */
#ifndef FILEMON_PROCFS_H
#define FILEMON_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs {
    int fd;    /* the directory; owned */
    bool real; /* it is the kernel's: its processes can be asked for by system calls, too */
};

/* root: "/proc", or a tree made like it.  0, -errno.  Close with procfs_close(). */
int procfs_open(struct procfs *procfs, const char *root);
void procfs_close(struct procfs *procfs);

/* Whether its numbers are those of our pid namespace: "self" is our pid.  They are not after
 * "unshare --pid" without --mount-proc. */
bool procfs_is_own(const struct procfs *procfs);

/* Whether a status says that filemon itself is out of memory or descriptors, and nothing about the
 * process, which may have exited or may not be looked at. */
bool procfs_is_shortage(int status);

/* The most bytes that are read of one file: what is beyond is as if it were not there.  More than
 * exec(2) takes as arguments by default; a process can make its cmdline as long as it likes. */
#define PROCFS_FILE_MAX (4u << 20)

/* Calls each(ctx, pid) for every process there was at the call, by rising pid, until it returns
 * other than 0; returns that, 0 or -errno. */
int procfs_each(const struct procfs *procfs, int (*each)(void *ctx, pid_t pid), void *ctx);

struct procfs_stat {
    char comm[64]; /* NUL-terminated; whatever stands between the first '(' and the last ')'; cut */
    char state;    /* 'Z' and 'X': exited, though its entry is still there */
    pid_t thread;  /* whose entry shows executable and arguments: that of the process shows
                      none after pthread_exit(3) in the main thread */
    pid_t ppid;
    bool kernel_thread; /* PF_KTHREAD of its flags */
    uint64_t start;     /* clock ticks after boot */
};

/* 0, -ESRCH, -EBADMSG when the file makes no sense, -errno.  Of a process whose main thread has
 * exited before others, state and thread are another thread's. */
int procfs_stat(const struct procfs *procfs, pid_t pid, struct procfs_stat *stat);

/* The process that a thread is of, "tgid" to the kernel: /proc has an entry for each thread that is
 * not listed.  Its own pid if it is the leader, and also where nothing can be told; never fails. */
pid_t procfs_leader(const struct procfs *procfs, pid_t tid);

/*
 * A process as it was at one moment, so that its number can be reused without being mistaken for
 * it: by a pidfd, or where there is none (Linux before 5.3, a made-up tree, too few descriptors) by
 * its start time.
 */
struct procfs_pin {
    pid_t pid;
    int fd; /* -1: none; owned */
    uint64_t start;
};

/* stat: of that process. */
struct procfs_pin procfs_pin(const struct procfs *procfs, pid_t pid,
                             const struct procfs_stat *stat);
void procfs_unpin(struct procfs_pin *pin);

bool procfs_has_exited(const struct procfs *procfs, const struct procfs_pin *pin);

/* The path of the executable as the kernel gives it, " (deleted)" taken off.  *path is the caller's
 * to free. -ESRCH also for a process that has none (kernel threads, zombies), -EACCES. */
int procfs_exe(const struct procfs *procfs, pid_t pid, char **path);

/* The arguments: *args is an array ended by NULL, freed by one free().  Empty for a zombie. */
int procfs_cmdline(const struct procfs *procfs, pid_t pid, char ***args);

/*
 * The systemd unit of its cgroup ("postfix@-.service"): the last component of the path that ends in
 * ".service" or ".scope", from the line of cgroup v2 ("0::") or of v1's name=systemd, the innermost
 * one.  *unit is the caller's to free.  -ENOENT: in none.
 */
int procfs_unit(const struct procfs *procfs, pid_t pid, char **unit);

#endif
