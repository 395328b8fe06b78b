/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A workload opens, copies and closes descriptors by these functions.  Each one also writes, to a
 * journal, the record that filemon must report for the call.
 *
 * The journal is JSON Lines with the keys of filemon's records.  The record must have an equal
 * value for each key of the line (a path that is not plain ASCII appears only as fichero_hex).
 *
 * A line also has bounds, which the workload measured before and after the call: date_us must be
 * from after_us to before_us, and duracion_ns from min_ns to max_ns.  There is no before_us if the
 * event happens only after the line was written.
 *
 * The lines of one process are in the order of its calls.  They stay in memory until
 * journal_flush(), because writing them would use descriptors.
 *
 * A relative path is relative to the workload's directory, unless a function says otherwise.
 * An unexpected error ends the process with status 1 and a message.
 */
#ifndef FILEMON_TEST_JOURNAL_H
#define FILEMON_TEST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

void journal_open(const char *file, const char *directory);
void journal_flush(void);

/* Opens the journal again, after the workload has closed its descriptor. */
void journal_reopen(void);

noreturn void die(const char *what);

/* Returns DIRECTORY/relative, or a copy of an absolute path.  The sixteenth later call of this
 * thread overwrites the result. */
const char *below(const char *relative);

/* Sets the pids of later lines: in a pid namespace they differ from getpid() and getppid(). */
void journal_pids(pid_t pid, pid_t ppid);

/* Leaves proceso out of later lines, because the comm is not UTF-8. */
void journal_no_comm(void);

/* Reads the clocks.  Call it right before a system call whose result goes to opened(), closed() or
 * copied(). */
void begin(void);

/*
 * Writes the line of a call that opens and that returned result: an open of path, or, for -1, a
 * failure with errno and with path as it must appear in the record.  Returns result.
 */
int opened(long result, const char *path, uint64_t flags, mode_t mode);

/*
 * Writes the line of a descriptor that was received, with the path and the flags of its file.
 * begin() must have been called before the call that received it.
 */
void received(int fd, const char *path, uint64_t flags);

/* openat(dirfd, name); the name is passed to the kernel as it is, and path to opened(). */
int open_as(int dirfd, const char *name, const char *path, uint64_t flags, mode_t mode);

/* Opens the path with O_RDONLY. */
int open_path(const char *path);

/* Descriptors are below this. */
enum { MAX_HELD = 1024 };

/* The path of an open descriptor, as its line has it; NULL: the descriptor is not open. */
const char *held_path(int fd);

/* Adds an open descriptor without a line: it was opened before an exec. */
void hold(int fd, const char *path);

/* Closes the descriptor. */
void shut(int fd);

/* Says when later closes began at the latest, which bounds their duracion_ns: at *ns
 * (CLOCK_MONOTONIC), or, with NULL, when their line is written. */
void closes_began_by(const _Atomic uint64_t *ns);

/* Writes the line of a close by another call than shut(); begin() was called before. */
void closed(int fd);

/* close_range(2). */
void shut_range(unsigned int first, unsigned int last, unsigned int flags);

/* dup(2) for fd -1, dup3(2) with flags, else dup2(2). */
int copy(int origin, int fd, int flags);

/* Writes the line of a copy to fd, which was free; nothing if fd is negative.  After begin(). */
int copied(int origin, int fd);

/* fcntl(2) F_DUPFD or F_DUPFD_CLOEXEC. */
int copy_above(int origin, int command, int least);

/* fork(2).  The journal has no open descriptors of the child: filemon reports no record of
 * inherited ones. */
pid_t fork_child(void);

/* The same, and the child gets this pid, which must be free. */
pid_t fork_child_as(pid_t pid);

/*
 * Processes that share memory and descriptors (CLONE_VM, CLONE_FILES) also share the journal's list
 * of open descriptors: one may close what another one opened, and the line names the opener.
 */

/* Call it after this thread has left the file descriptor table of its process.  The journal has no
 * open descriptors in the new table: filemon reports no record of those that were copied to it. */
void own_descriptors(void);

/* Returns to the table of the process, after a child in this thread's memory had its own. */
void descriptors_of_process(void);

/* Waits for a child, which must exit with status 0. */
void join_child(pid_t pid);

/* Writes a close with motivo "exit" for each open descriptor, and flushes.  The process must exit
 * after that. */
void state_exit(void);

/* The same for the table of the process, which this thread has left. */
void state_exit_of_process(void);

/* The same with motivo "exec" for each descriptor that an exec closes. */
void state_exec(void);

/* state_exit() and _exit(0). */
noreturn void leave(void);

#endif
