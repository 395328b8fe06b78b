/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the program in the kernel and its loader share: the record that crosses the ring buffer, the
 * bounds, and the hash by which prefixes and names are looked up.
 */
#ifndef FILEMON_BPF_RECORD_H
#define FILEMON_BPF_RECORD_H

#ifdef __bpf__
#include "kernel.h"
#else
#include <linux/types.h>
#endif

/* The longest path that is given whole, its NUL included (PATH_MAX). */
#define PATH_BYTES 4096

/* The payload's most: a path, to which a failed open's name is joined. */
#define PAYLOAD_BYTES (2 * PATH_BYTES)

#define COMM_BYTES 16

/* The system calls that matter. */
enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_CREAT,
    CALL_OPENAT,
    CALL_OPENAT2,
    CALL_OPEN_BY_HANDLE_AT,
    CALL_DUP,
    CALL_DUP2, /* and dup3 */
    CALL_FCNTL,
    CALL_CLOSE,
    CALL_RING_ENTER, /* io_uring_enter */
    /* Those that can give their thread another file descriptor table, whoever makes them. */
    CALL_OF_TABLE,
    CALL_CLOSE_RANGE = CALL_OF_TABLE,
    CALL_UNSHARE,
    CALL_EXEC,
};

#define CALLS_COUNT 16 /* a power of two */

/* What a probed function is. */
enum probe_cookie {
    PROBE_CALL, /* a system call, or a part of one */
    PROBE_INSTALL,
    PROBE_REPLACE,
};

enum record_kind {
    RECORD_OPEN,
    RECORD_FAIL,
    RECORD_CLOSE,
    RECORD_CLOSE_RANGE,
    RECORD_DUP,
    RECORD_DUP2,     /* dup2 and dup3: what was open under the new descriptor was closed */
    RECORD_REPLACED, /* comes before it where that had a record: it closed when the call began */
    RECORD_EXEC,
    RECORD_EXIT,
    /* The same with the path of the copy, as OPEN has it, for the case that origin was closed. */
    RECORD_DUP_PATH,
    RECORD_DUP2_PATH,
    RECORD_HELD, /* the payload is longer than the path */
};

/* What the text of a path is not by itself. */
enum record_mark {
    MARK_CUT = 1,   /* it is longer than PATH_BYTES: only its end is there */
    MARK_TEXT = 2,  /* what was walked is no path, but a text as it is: of something without one */
    MARK_INODE = 4, /* and :[inode] belongs after it */
    MARK_GONE = 16, /* DUP: the file that was copied is not origin's any more */
    MARK_NONE = 8,  /* the name that was given could not be read: the path is empty */
};

struct record {
    __u64 time;  /* CLOCK_MONOTONIC, ns */
    __u64 table; /* of descriptors: event.table */
    __u32 pid, ppid, tid;
    __s32 fd; /* FAIL: the negative errno */
    char comm[COMM_BYTES];
    __u8 kind, marks;
    /*
     * OPEN, FAIL, HELD, and copies with a path.  The payload's first `walked` bytes are a path from
     * its end to its beginning, as the kernel holds it: "hosts/etc/" for /etc/hosts.  What follows
     * is the name that was given, which belongs after it.
     */
    __u16 walked, mode;
    __u16 unused;
    union {
        struct {
            __u64 flags; /* as wide as openat2(2) takes them */
            __u64 inode; /* MARK_INODE */
        };
        struct {
            __u32 first, last; /* CLOSE_RANGE */
            __u64 open; /* EXEC: of FDS_OF_EXEC from the first, a bit for each that is open */
        };
        __s32 origin; /* DUP, DUP2, with or without a path */
    };
};

/* The size of a record whose last member is this one. */
#define RECORD_UNTIL(member)                                                                       \
    (__builtin_offsetof(struct record, member) + sizeof(((struct record *)0)->member))

/* Of one that has no more than all have. */
#define RECORD_HEAD __builtin_offsetof(struct record, flags)

#define FDS_OF_EXEC 64

/* Generations of descendants still to be followed. */
#define EVERY_GENERATION 0xffffffffu

/* What there is to know of a watched process. */
struct process {
    __u32 depth;  /* generations of descendants still to be followed */
    __u32 census; /* the last one that found it alive */
};

/* The longest component of a path (NAME_MAX). */
#define NAME_BYTES 255

/*
 * The path filter as a tree of components in a hash map: the root is node 0, and a node is found by
 * its parent and its name, so that a path costs one look-up for each component that it shares with
 * some rule, and one more.  The map's key ends after the longest component of any rule; shorter
 * ones are filled up with NULs.
 */
struct rule_key {
    __u32 parent;
    char name[NAME_BYTES + 1];
};

enum rule_verdict {
    RULE_NONE, /* only on the way to another */
    RULE_INCLUDE,
    RULE_EXCLUDE,
};

struct rule_node {
    __u32 node;
    __u32 verdict;
};

#endif
