/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A workload does things to descriptors by these calls and each states, in a journal, the records
 * that filemon must give for it.
 *
 * The journal is JSON Lines with the keys of filemon's records.  What a line has of them must be
 * equal in the record (a path that is not plain ASCII is given as fichero_hex alone).  Beside them
 * stand bounds that the workload measured around the call:
 *   after_us, before_us    the event's date_us lies between (before_us is left out where the event
 *                          comes after the line was written)
 *   min_ns, max_ns         the close's duracion_ns lies between
 * Lines of one process stand in the order of its calls.  They are kept in memory until
 * journal_flush(), so that no descriptor is touched meanwhile.
 *
 * Paths: a relative one is meant below the workload's directory, unless said otherwise.
 * Anything that fails unexpectedly ends the process with status 1 and a message.
 */
#ifndef FILEMON_TEST_JOURNAL_H
#define FILEMON_TEST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

void journal_open(const char *file, const char *directory);
void journal_flush(void);

/* After everything was closed behind its back. */
void journal_reopen(void);

noreturn void die(const char *what);

/* DIRECTORY/relative, good until sixteen calls of this thread later; an absolute path is copied. */
const char *below(const char *relative);

/* From now on lines name these instead of what getpid() and getppid() say (a pid namespace). */
void journal_pids(pid_t pid, pid_t ppid);

/* Leaves proceso out of the lines from now on: it is no UTF-8. */
void journal_no_comm(void);

/* To be called right before the system call whose result opened() gets. */
void begin(void);

/*
 * States that an opening call returned `result` (as syscall(2) gives it): an open of path, or, when
 * it is -1, a failure by errno with path as it has to stand in the record.
 * Returns result.
 */
int opened(long result, const char *path, uint64_t flags, mode_t mode);

/* openat(dirfd, name) where name is taken as it is and path is what opened() takes. */
int open_as(int dirfd, const char *name, const char *path, uint64_t flags, mode_t mode);

/* Opens the path itself, with O_RDONLY. */
int open_path(const char *path);

/* Descriptors are below this. */
enum { MAX_HELD = 1024 };

/* The path that a held descriptor was stated with; NULL: it is not held. */
const char *held_path(int fd);

/* A descriptor that a process before the exec opened: it is held from here on. */
void hold(int fd, const char *path);

void shut(int fd);

/* Closes stated from now on began at *ns (CLOCK_MONOTONIC) at the latest; NULL: when stated. */
void closes_began_by(const _Atomic uint64_t *ns);

/* States that it was closed, by another way than shut(); begin() was called before. */
void closed(int fd);

void shut_range(unsigned int first, unsigned int last, unsigned int flags);

/* dup(2) for fd -1, dup3(2) with flags, else dup2(2). */
int copy(int origin, int fd, int flags);

/* States that fd (a failure when negative), where nothing was held, is a copy; after begin(). */
int copied(int origin, int fd);

/* fcntl(2) F_DUPFD or F_DUPFD_CLOEXEC. */
int copy_above(int origin, int command, int least);

/* A child holds nothing; 0 in the child. */
pid_t fork_child(void);

/* The same with a process id that nobody has. */
pid_t fork_child_as(pid_t pid);

/*
 * Of processes that share their memory and their descriptors (CLONE_VM, CLONE_FILES) all this is
 * one: what one opens another may shut, and the line is the opener's.
 */

/* This thread has a table of descriptors of its own from now on, and holds nothing in it. */
void own_descriptors(void);

/* It has that of its process again: a child that had the memory of this thread had its own. */
void descriptors_of_process(void);

/* Waits for a child that must end with status 0. */
void join_child(pid_t pid);

/* States a close, reason exit, for all that is held, and flushes: the process is about to end. */
void state_exit(void);

/* The same for the table that this thread has left. */
void state_exit_of_process(void);

/* The same for what an exec closes. */
void state_exec(void);

/* state_exit() and _exit(0). */
noreturn void leave(void);

#endif
