/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal of fdchaos: a file that all processes of the workload map, so that a process that is
 * killed loses no entry.
 *
 * A thread begins an entry before a system call and ends it after the call.  Both get a number from
 * one sequence of the whole tree: if an entry ended with a lower number than another one began
 * with, its call was done before the other.  An entry without an end was in flight when its process
 * was killed or executed a program: nobody knows whether the call was done.
 *
 * Threads, and processes that share a file descriptor table, run in parallel.  These rules keep the
 * order of the calls on one descriptor known nevertheless.  A thread uses a descriptor only after
 * it has claimed it in the table (chaos_table.fd).  The descriptor is added after the entry of its
 * open has ended, and a close removes it before its entry begins.  A call that may name a free
 * descriptor (dup2, close_range, F_DUPFD) uses only descriptors of the thread's own part of the
 * table while the table has other users, or acts on a copy of the table.
 *
 * Each entry has the number of the thread's table at its begin and at its end.  The thread asks the
 * kernel whether a call gave it a copy of the table: the only user of a table gets none.
 *
 * All sizes are the same in 32-bit programs.
 */
#ifndef FILEMON_TEST_CHAOS_H
#define FILEMON_TEST_CHAOS_H

#include <stdatomic.h>
#include <stdint.h>

enum chaos_kind {
    CHAOS_OPEN,
    CHAOS_CLOSE,
    CHAOS_RANGE,   /* close_range: fd to other */
    CHAOS_DUP,     /* a copy to a free descriptor; fd: the origin */
    CHAOS_DUP2,    /* dup2 and dup3; fd: the origin, other: the target */
    CHAOS_GET,     /* a descriptor that was not opened: a pipe's, a socket's, ... */
    CHAOS_RECEIVE, /* a received descriptor of a file; fd: the one that was sent */
    CHAOS_CLOEXEC, /* fd gets (other: 1) or loses (0) close-on-exec */
    CHAOS_CLOSER,  /* close_range with CLOSE_RANGE_CLOEXEC: fd to other */
    CHAOS_START,   /* the first entry of a process or thread */
    CHAOS_THREADS, /* threads are started, as many as result; each writes CHAOS_START */
    CHAOS_UNSHARE,
    CHAOS_EXEC,     /* execve; it has an end only if it fails */
    CHAOS_EXECUTED, /* the first entry of the new program */
    CHAOS_NOTE,     /* another call, for the explanation only */
};

#define CHAOS_PATH 620
#define CHAOS_FLAGS_UNKNOWN UINT64_MAX

struct chaos_entry {
    _Alignas(8) _Atomic uint64_t end; /* written last */
    uint64_t begin;
    uint64_t begin_us, end_us; /* CLOCK_REALTIME */
    uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
    uint64_t flags;            /* O_* */
    uint32_t kind, mode;
    uint32_t seed, op;      /* the seed, and the number of the operation that made the call */
    uint32_t table, now;    /* the thread's file descriptor table at the begin and at the end */
    int32_t pid, tid;       /* in the pid namespace of the first process */
    int32_t ppid, end_ppid; /* at the begin and at the end; 0: unknown */
    int32_t fd, other;      /* see enum chaos_kind */
    int32_t result;         /* a descriptor or -errno */
    char comm[16];          /* of the thread */
    char call[16];          /* for the explanation */
    char path[CHAOS_PATH];  /* the kernel's path of the opened file; of a failed open the name that
                               filemon must report; empty: unknown */
};

/* The workload uses descriptors below this. */
#define CHAOS_FDS 900

/* The state of a descriptor in its table. */
enum chaos_fd {
    FD_FREE,
    FD_OPEN,
    FD_TAKEN,   /* a thread has claimed it */
    FD_UNKNOWN, /* a call on it was in flight at an exec: nobody uses it again */
};

struct chaos_table {
    _Atomic uint8_t fd[CHAOS_FDS];
    _Atomic uint32_t parts; /* bits: the parts of the descriptors that belong to one user each */
    uint32_t used;          /* the parts that ever had a user */
};

struct chaos_process {
    _Atomic int32_t threads; /* without the first one */
    _Atomic uint32_t table;  /* the table of the process, which threads may leave */
    _Atomic uint32_t parts;  /* the parts of that table that belong to threads of the process */
    uint32_t limits;         /* enum limit: calls that it must not make */
    char base[200];          /* the directory with which absolute names begin */
};

#define CHAOS_PROCESSES 4096
#define CHAOS_TABLES 8192
#define CHAOS_ENTRIES 65536
#define CHAOS_KEPT 32768

struct chaos_journal {
    _Alignas(8) _Atomic uint64_t sequence;
    _Atomic uint32_t entries, processes, tables;
    _Atomic uint32_t spawned;  /* number of processes of this seed */
    uint32_t kept;             /* size of keep; 0: all operations are done */
    uint32_t keep[CHAOS_KEPT]; /* the operations to do, of a shrunk workload */
    char program[200];         /* the path of fdchaos */
    char fault[200];           /* an error that makes this journal useless; empty: none */
    struct chaos_process process[CHAOS_PROCESSES];
    struct chaos_table table[CHAOS_TABLES];
    struct chaos_entry entry[CHAOS_ENTRIES];
};

#endif
