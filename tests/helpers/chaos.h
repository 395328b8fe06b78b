/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal of fdchaos: a file that all its processes share as memory, so that one that is killed
 * loses nothing of what it wrote.
 *
 * An entry is begun before its system call and ended after it, each with a number from one sequence
 * of the whole tree: what has ended with a lower number than another began with was done before it.
 * An entry without an end was under way when its process was killed or executed a program: nobody
 * knows whether it was done.
 *
 * The discipline that makes the order of events on one descriptor plain though threads, and
 * processes that share a table, run wild: a descriptor may be used only by who has taken it off its
 * table; it is put there after the entry of its opening has ended, and a close takes it off before
 * its entry begins.  What names a number that may be free (dup2, close_range, F_DUPFD) does it,
 * while a table has other users, within numbers that are the thread's own; or in a copy of the
 * table.
 *
 * Each entry says which table its thread had when it began and when it ended: whether a call gave
 * it one of its own, or whether it was the only user by then, it has found out from the kernel.
 *
 * All sizes are the same for 32-bit programs.
 */
#ifndef FILEMON_TEST_CHAOS_H
#define FILEMON_TEST_CHAOS_H

#include <stdatomic.h>
#include <stdint.h>

enum chaos_kind {
    CHAOS_OPEN,
    CHAOS_CLOSE,
    CHAOS_RANGE,   /* close_range: fd to other */
    CHAOS_DUP,     /* any copy to a free number; fd: the origin */
    CHAOS_DUP2,    /* dup2 and dup3; fd: the origin, other: the number */
    CHAOS_GET,     /* a descriptor that was not opened: received, a pipe's, a socket's, ... */
    CHAOS_CLOEXEC, /* fd gets (other: 1) or loses (0) close-on-exec */
    CHAOS_CLOSER,  /* close_range with CLOSE_RANGE_CLOEXEC: fd to other */
    CHAOS_START,   /* a process or thread begins */
    CHAOS_THREADS, /* so many are started (result), each of which tells when it begins */
    CHAOS_UNSHARE,
    CHAOS_EXEC,     /* ends only where it fails */
    CHAOS_EXECUTED, /* the new program begins */
    CHAOS_NOTE,     /* something else, for people */
};

#define CHAOS_PATH 620

struct chaos_entry {
    _Alignas(8) _Atomic uint64_t end; /* written last */
    uint64_t begin;
    uint64_t begin_us, end_us; /* CLOCK_REALTIME */
    uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
    uint64_t flags;            /* O_* */
    uint32_t kind, mode;
    uint32_t seed, op;      /* of the program, what made it do this */
    uint32_t table, now;    /* of descriptors: that it had, and that it has when it ends */
    int32_t pid, tid;       /* as the first process numbers them */
    int32_t ppid, end_ppid; /* 0: not known */
    int32_t fd, other;      /* see above */
    int32_t result;         /* a descriptor or -errno */
    char comm[16];          /* of the thread */
    char call[16];          /* for people */
    char path[CHAOS_PATH];  /* as the kernel names what was opened; of a failure as it must be told;
                               empty: not known */
};

/* Descriptors below this are the workload's. */
#define CHAOS_FDS 900

/* How a descriptor stands with its table. */
enum chaos_fd {
    FD_FREE,
    FD_OPEN,
    FD_TAKEN,   /* by the thread that works on it */
    FD_UNKNOWN, /* what another program was doing to it is not known: hands off */
};

struct chaos_table {
    _Atomic uint8_t fd[CHAOS_FDS];
    _Atomic uint32_t
        parts;     /* of the numbers, a bit each: those that its users have to themselves */
    uint32_t used; /* parts that ever were */
};

struct chaos_process {
    _Atomic int32_t threads; /* beside the first */
    _Atomic uint32_t table;  /* its threads', but of those that have left it */
    _Atomic uint32_t parts;  /* that these have of it */
    uint32_t limits;         /* what it cannot do any more */
    char base[200];          /* what absolute names begin with */
};

#define CHAOS_PROCESSES 4096
#define CHAOS_TABLES 8192
#define CHAOS_ENTRIES 65536
#define CHAOS_KEPT 32768

struct chaos_journal {
    _Alignas(8) _Atomic uint64_t sequence;
    _Atomic uint32_t entries, processes, tables;
    _Atomic uint32_t spawned; /* processes of this seed */
    uint32_t kept; /* operations that alone are done, to shrink the program; 0: all are */
    uint32_t keep[CHAOS_KEPT];
    char program[200]; /* its path */
    char fault[200];   /* why the workload is not to be trusted; empty: it is */
    struct chaos_process process[CHAOS_PROCESSES];
    struct chaos_table table[CHAOS_TABLES];
    struct chaos_entry entry[CHAOS_ENTRIES];
};

#endif
