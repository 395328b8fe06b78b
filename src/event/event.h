/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event: what happened to one descriptor, in the form that engines deliver and that the ledger,
 * the path filter and the writers read.  And the one table of a record's fields: JSON keys, their
 * order and which records have them are written nowhere else.
 */
#ifndef FILEMON_EVENT_H
#define FILEMON_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "event/fact.h"

enum event_code {
    EVENT_OPEN,
    EVENT_CLOSE,
    EVENT_DUP,
    EVENT_FAIL,
    EVENT_HELD,
    EVENT_ERROR,
    EVENT_LOST,
    /* Only with -t, of calls that succeeded: event/trace.h has their sets. */
    EVENT_EXEC, /* a program was executed */
    EVENT_RENAME,
    EVENT_LINK,
    EVENT_SYMLINK,
    EVENT_UNLINK,
    EVENT_MKDIR,
    EVENT_RMDIR,
    EVENT_MKNOD,
    EVENT_CHMOD,
    EVENT_CHOWN,
    EVENT_TRUNCATE,
    EVENT_UTIMES,
    EVENT_SETXATTR,
    EVENT_RECORDS, /* number of codes above, those of records */

    /* Notices from an engine to the ledger, which turns the first two into CLOSE records. */
    EVENT_CLOEXEC = EVENT_RECORDS, /* exec closed the descriptors in `ranges` */
    EVENT_EXIT,                    /* the file descriptor table was freed, with all that was open */
    EVENT_BYTES,                   /* what was read and written through fd since the last one */
    EVENT_RESULT,                  /* of a close(2): event/results.h */
    EVENT_EXECUTABLE, /* path is the executable that event_facts.executable stands for */
    EVENT_ARGUMENTS,  /* path is its command line */
    EVENT_MARK,       /* answer to engine_ops.mark(); the ledger must not get it */
};

/* Why a descriptor was closed, or opened otherwise than by an open. */
enum event_reason {
    REASON_CLOSE,
    REASON_CLOSE_RANGE,
    REASON_DUP2, /* dup2 or dup3 put another file in its place */
    REASON_EXEC,
    REASON_EXIT,
    REASON_RECEIVED, /* over a socket, or by pidfd_getfd(2) */
    REASON_COUNT,
};

/* Descriptors first to last, inclusive.  An array of ranges is in rising order, without overlap. */
struct fd_range {
    unsigned int first, last;
};

/* The identity of a file, as its superblock and its inode in the kernel have it. */
struct event_file {
    uint32_t major, minor;
    uint64_t inode;
};

/* In a record that was read, either may be missing. */
#define EVENT_NO_MAJOR UINT32_MAX
#define EVENT_NO_INODE UINT64_MAX

/* What was read and written through a descriptor. */
struct event_bytes {
    uint64_t read, written; /* bytes */
    uint64_t reads, writes; /* calls */
    bool mapped;
    bool mapped_is_missing; /* in a record that was read */
};

/* Of any number of event_bytes, in a record that was read: it is missing. */
#define EVENT_NO_COUNT UINT64_MAX

/*
 * What only -F or -b asks for: engine_config.facts.  `known` is a set of facts (FACT()); the
 * numbers of others say nothing, and their texts are NULL.  Texts end with NUL.
 */
struct event_facts {
    unsigned int known;
    uid_t user;      /* in the initial user namespace */
    uint32_t mounts; /* the inode of the mount namespace */
    uint64_t group;  /* the kernel's id of the control group in the unified hierarchy */
    struct event_file file;
    struct event_bytes bytes;
    const char *given;
    const char *result;  /* CLOSE: the name of its error; NULL: none, or it is not known yet */
    uint64_t executable; /* a number that stands for the path of an earlier EXECUTABLE */
    /* Filled in by facts_complete(), or read with -r.  NULL: it has none. */
    const char *user_name, *group_path, *executable_path, *arguments;
};

/* The size of a comm, NUL included (TASK_COMM_LEN of linux/sched.h). */
#define EVENT_COMM_SIZE 16

/*
 * Pointers are borrowed: they are valid during the call that the event is passed to.
 *
 * What an engine fills in:
 *   all but LOST  pid ppid tid comm table date_us mono_ns
 *   OPEN          path fd flags mode (EVENT_NO_MODE unless O_CREAT or O_TMPFILE); reason, if it is
 *                 REASON_RECEIVED
 *   FAIL          the same; fd is the negative errno, path is the name of the call, made absolute;
 *                 and call, destination and no flags, if the call is no open
 *   HELD          path fd flags
 *   CLOSE         fd reason (REASON_CLOSE, or REASON_DUP2 if a DUP of the same fd follows);
 *                 for close_range: ranges, fd -1 and REASON_CLOSE_RANGE
 *   DUP           fd, origin, reason: REASON_DUP2 if the call closes fd first (dup2, dup3),
 *                 else REASON_COUNT; path, if origin may have been closed meanwhile
 *   CLOEXEC       ranges; comm is the old one, which the task still has when exec closes them
 *   EXIT          nothing more
 *   RESULT        tid, and as fd 0 or the negative errno, of the close(2) of this thread; if it has
 *                 delivered the CLOSE with FACT(RESULT), and at once after the call
 *   BYTES         table, fd, and no fact but the bytes; before the event that closes fd
 *   EXECUTABLE    path, and no fact but the executable
 *   ARGUMENTS     after the EXECUTABLE, with FACT(ARGUMENTS), the same; path is the arguments,
 *                 joined by spaces, and at most ARGUMENTS_BYTES long; NULL: the engine could not
 *                 read them, but /proc may have those of pid, if it is that of mono_ns
 *   MARK          no member
 *   EXEC          path
 *   RENAME ...    path, or where the engine cannot resolve it, the name of the call, made absolute;
 *   ... SETXATTR  destination, in RENAME, LINK and SYMLINK; mode, in MKDIR, MKNOD and CHMOD
 *   LOST          lost, date_us
 *   all but LOST  facts, if engine_config.facts has any: the file, in those with a path but FAIL;
 *                 the name given, in OPEN and FAIL
 * The ledger fills in the rest: path, file and duration_ns of a CLOSE, path and file of a DUP, and
 * all of ERROR.
 */
struct event {
    enum event_code code;
    pid_t pid, ppid, tid; /* in filemon's own pid namespace; 0: outside it */
    const char *comm;
    const char
        *host; /* of the machine, see event_is_host(); NULL: not known.  Engines leave it so */
    const char *line; /* of a record that was read: the JSON object, on one line; NULL: none */
    size_t line_len;
    bool line_lacks_host; /* host was not read from it */
    const char *path;     /* bytes, NUL-terminated; NULL: none */
    size_t path_len;
    const char *destination; /* RENAME, LINK: the new name; SYMLINK: its text; NULL: none */
    size_t destination_len;
    bool path_cut;    /* a path is incomplete (too long, unreadable): a filter cannot compare it */
    bool is_matched;  /* by the engine, as PATHs with -I mean it: the paths are not compared */
    const char *call; /* FAIL: the system call that failed; NULL: an open */
    int fd;
    uint64_t table;   /* identifies fd's file descriptor table, see event/ledger.h; 0: none */
    int64_t date_us;  /* µs since the epoch */
    uint64_t mono_ns; /* CLOCK_MONOTONIC of filemon's own time namespace */
    uint64_t flags;   /* O_* in the kernel's ABI */
    int mode;
    enum event_reason reason;
    int origin;
    bool origin_reused; /* at a DUP: origin was closed meanwhile, or is another file now */
    uint64_t duration_ns;
    uint64_t lost;
    const struct fd_range *ranges;
    size_t n_ranges;
    struct event_facts *facts; /* NULL: none was asked for */
};

#define EVENT_NO_MODE (-1)

/* How a field's value is written. */
enum field_kind {
    FIELD_CODE,            /* event_code_name() */
    FIELD_COMM,            /* bytes */
    FIELD_INT,             /* an integer */
    FIELD_FD,              /* an integer; text has none in a FAIL */
    FIELD_DATE,            /* an integer; in text, the local time of the event */
    FIELD_DURATION,        /* an integer; in text, with a unit */
    FIELD_PATH,            /* bytes */
    FIELD_PATH_HEX,        /* bytes in hexadecimal; omitted if they are valid UTF-8 */
    FIELD_DESTINATION,     /* bytes; omitted if there is none */
    FIELD_DESTINATION_HEX, /* bytes in hexadecimal; omitted if they are valid UTF-8 */
    FIELD_FLAGS,           /* event_flags_string(); omitted if a call failed that is no open */
    FIELD_MODE,            /* octal, in quotes; omitted if EVENT_NO_MODE */
    FIELD_ERRNO,           /* event_errno_name() */
    FIELD_CALL,            /* a word; omitted for an open */
    FIELD_REASON,          /* event_reason_name() */
    FIELD_ISO_DATE,        /* ISO 8601, in UTC */
    FIELD_HOST,            /* a word; omitted if it is not known */
    FIELD_TEXT,            /* bytes; omitted if there is no text */
    FIELD_INODE,           /* an integer; omitted from 2^53 on, where a double does not hold each */
    FIELD_COUNT,           /* an integer; omitted if it is negative: not known */
    FIELD_BOOL,            /* true or false; omitted if it is negative: not known */
    FIELD_DEVICE,          /* "8:1" */
};

struct field {
    const char *key;
    enum field_kind kind;
    unsigned int codes;                   /* bit 1u << code: records of this code have the field */
    int64_t (*get)(const struct event *); /* integers: the value, at most 2^53 - 1; else NULL */
    const char *help;                     /* for --help; '\n' begins another line */
    int columns;     /* in text: to the right in so many columns; negative: to the left; 0: any */
    bool on_request; /* records have it only with -F, or with -b if it needs FACT(BYTES) */
    bool (*set)(struct event *, int64_t); /* inverse of get; false: no record has this value.  NULL:
                                           * the value follows from other fields */
    unsigned int facts;                   /* that it needs, a set; omitted if they are not known */
    size_t text; /* FIELD_TEXT: the offset of the value in struct event_facts */
};

/* In the order of the record.  field_count entries, at most FIELDS_MAX. */
#define FIELDS_MAX 48
extern const struct field field_table[];
extern const size_t field_count;

/* number, or 2^53 - 1 if it is larger: a double holds every integer up to there exactly. */
int64_t event_integer(uint64_t number);

/* The text of a FIELD_TEXT in the facts. */
const char **event_text(const struct field *field, struct event_facts *facts);

/* The bytes of all texts in the facts, without their NULs; facts may be NULL. */
size_t event_texts_size(struct event_facts *facts);

/* Whether event_integer() would keep the number as it is. */
bool event_is_integer(uint64_t number);

/* "open", "close", ... for codes below EVENT_RECORDS. */
const char *event_code_name(enum event_code code);

/* "close", "close_range", "dup2", "exec", "exit". */
const char *event_reason_name(enum event_reason reason);

/* The inverse of both; -1 and REASON_COUNT: there is none of that name. */
int event_code_of(const char *name);
enum event_reason event_reason_of(const char *name);

/* "ENOENT" for ENOENT, "E4095" for a number without a name.  Returns buf or a constant. */
const char *event_errno_name(int error, char buf[static 16]);

/* Whether the name can be that of a machine: ASCII letters, digits and ".:_-", and no longer than
 * the kernel allows (HOST_NAME_MAX). */
bool event_is_host(const char *name);

/* Size of the longest result of event_flags_string(), NUL included. */
#define EVENT_FLAGS_SIZE 320

/*
 * "O_RDWR|O_CREAT|O_CLOEXEC": access mode first (O_ACCMODE if both of its bits are set), then the
 * flags, in the same order on every machine, then unknown bits as one hexadecimal number.  O_SYNC
 * includes O_DSYNC, and O_TMPFILE includes O_DIRECTORY: these are not repeated.  Values are those
 * of this machine's <asm/fcntl.h>.  O_LARGEFILE, which 64-bit kernels add by themselves, is left
 * out.  Returns buf.
 */
char *event_flags_string(uint64_t flags, char buf[static EVENT_FLAGS_SIZE]);

/* Its inverse; false: the text is no result of it. */
bool event_flags_of(const char *text, uint64_t *flags);

#endif
