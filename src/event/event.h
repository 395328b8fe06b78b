/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened to one descriptor: the neutral form between the engines, which see it, and the
 * ledger, the filter and the writers, which understand it.  And the one table of the fields that a
 * record has: JSON keys, their order and which records carry them are written nowhere else.
 */
#ifndef FILEMON_EVENT_H
#define FILEMON_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum event_code {
    EVENT_OPEN,
    EVENT_CLOSE,
    EVENT_DUP,
    EVENT_FAIL,
    EVENT_HELD,
    EVENT_ERROR,
    EVENT_LOST,
    EVENT_RECORDS, /* how many codes above can stand in a record */

    /* Notices: an engine gives them to the ledger, which turns them into closes. */
    EVENT_EXEC = EVENT_RECORDS, /* a program was executed: `ranges` are the descriptors it closed */
    EVENT_EXIT,                 /* the process ended, and every descriptor with it */
    EVENT_MARK,                 /* engine_ops.mark(): not for the ledger */
};

/* Why a descriptor was closed. */
enum event_reason {
    REASON_CLOSE,
    REASON_CLOSE_RANGE,
    REASON_DUP2, /* dup2 or dup3 put another file in its place */
    REASON_EXEC,
    REASON_EXIT,
    REASON_COUNT,
};

/* Descriptors first to last, both included; where there are several, rising and without overlap. */
struct fd_range {
    unsigned int first, last;
};

/* The most bytes of a comm, its NUL included (TASK_COMM_LEN of linux/sched.h). */
#define EVENT_COMM_SIZE 16

/*
 * Pointers are borrowed: they last as long as the call that was given the event.
 *
 * What an engine fills in:
 *   all but LOST  pid ppid tid comm table date_us mono_ns
 *   OPEN          path fd flags mode (EVENT_NO_MODE unless O_CREAT or O_TMPFILE)
 *   FAIL          the same, fd being the negative errno and path the name as it was given, absolute
 *   HELD          path fd flags
 *   CLOSE         fd reason (REASON_CLOSE, or REASON_DUP2 for what a DUP is about to
 *                 replace); for close_range instead ranges, with fd -1 and
 *                 REASON_CLOSE_RANGE
 *   DUP           fd, origin, reason: REASON_DUP2 where fd was closed if it was open (dup2, dup3),
 *                 REASON_COUNT otherwise; path, if origin may have been closed meanwhile
 *   EXEC          ranges, and comm: still the old one, as when the kernel closes them
 *   EXIT          nothing more
 *   MARK          nothing at all
 *   LOST          lost, date_us
 * The ledger gives the rest: path, duration_ns of a CLOSE, path of a DUP, ERROR as a whole.
 */
struct event {
    enum event_code code;
    pid_t pid, ppid, tid; /* as filemon's own pid namespace numbers them; 0: outside it */
    const char *comm;
    const char *path; /* bytes, NUL-terminated; NULL where there is none */
    size_t path_len;
    bool path_cut; /* the path, too long or unreadable, is missing in part: it cannot be compared */
    int fd;
    uint64_t table;   /* the file descriptor table that fd is in: see the ledger; 0: none */
    int64_t date_us;  /* µs since the epoch */
    uint64_t mono_ns; /* CLOCK_MONOTONIC ns, as filemon's own time namespace has it */
    uint64_t flags;   /* O_* of the call, as the kernel's ABI numbers them */
    int mode;
    enum event_reason reason;
    int origin;
    bool origin_gone; /* by the time of a DUP, origin is closed, or another file */
    uint64_t duration_ns;
    uint64_t lost;
    const struct fd_range *ranges;
    size_t n_ranges;
};

#define EVENT_NO_MODE (-1)

/* How a field's value is written. */
enum field_kind {
    FIELD_CODE,     /* event_code_name() */
    FIELD_COMM,     /* bytes */
    FIELD_INT,      /* an integer */
    FIELD_PATH,     /* bytes */
    FIELD_PATH_HEX, /* bytes as hexadecimal, only when they are not UTF-8 */
    FIELD_FLAGS,    /* event_flags_string() */
    FIELD_MODE,     /* octal, in quotes; absent when EVENT_NO_MODE */
    FIELD_ERRNO,    /* event_errno_name() */
    FIELD_REASON,   /* event_reason_name() */
};

struct field {
    const char *key;
    enum field_kind kind;
    unsigned int codes;                   /* bit 1u << code: the records that carry it */
    int64_t (*get)(const struct event *); /* FIELD_INT: the value, at most 2^53 - 1 */
    const char *help;                     /* one line, for --help and the man page's check */
};

/* In the order of the record.  field_count entries. */
extern const struct field field_table[];
extern const size_t field_count;

/* The number, or 2^53 - 1 where it is more: what readers of JSON who hold doubles still hold
 * exactly. */
int64_t event_integer(uint64_t number);

/* "open", "close", ... for codes below EVENT_RECORDS. */
const char *event_code_name(enum event_code code);

/* "close", "close_range", "dup2", "exec", "exit". */
const char *event_reason_name(enum event_reason reason);

/* "ENOENT" for ENOENT, "ERESTARTSYS" for the kernel's own 512; "E4095" style for a number that has
 * no name here.  buf holds the latter. */
const char *event_errno_name(int error, char buf[static 16]);

/* The most bytes event_flags_string() writes, NUL included. */
#define EVENT_FLAGS_SIZE 320

/*
 * "O_RDWR|O_CREAT|O_CLOEXEC": access mode first (O_ACCMODE where both its bits are set), then the
 * flags in one order on every machine, unknown bits last as one hexadecimal number.  O_SYNC and
 * O_TMPFILE stand for O_DSYNC and O_DIRECTORY too, which they contain.  The values are those of
 * this machine's <asm/fcntl.h>.  O_LARGEFILE, which the kernel adds by itself on 64-bit machines,
 * is left out.  Returns buf.
 */
char *event_flags_string(uint64_t flags, char buf[static EVENT_FLAGS_SIZE]);

#endif
