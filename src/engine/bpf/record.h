/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the programs in the kernel and by user space: the record in the ring buffer, the
 * limits, and the keys and values of maps.
 */
#ifndef FILEMON_BPF_RECORD_H
#define FILEMON_BPF_RECORD_H

#ifdef __bpf__
#include "kernel.h"
#else
#include <linux/types.h>
#endif

#include "event/calls.h"
#include "event/fact.h"

/* The size of the longest path that is not cut, its NUL included (PATH_MAX). */
#define PATH_BYTES 4096

/* The largest payload: the path of a directory, and the name of a failed open. */
#define PAYLOAD_BYTES (2 * PATH_BYTES)

/* The largest payload of a CALL: two paths of directories, and two names relative to them. */
#define CHANGE_BYTES (4 * PATH_BYTES)

#define COMM_BYTES 16

/* The system calls that are followed. */
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
    CALL_GET_FD,     /* pidfd_getfd */
    CALL_TRACED,     /* from here on: the enum traced_call that -t asks for */
    /* From here on: calls that can change the file descriptor table of their thread.  They are
     * followed in all processes. */
    CALL_OF_TABLE = CALL_TRACED + TRACED_COUNT,
    CALL_CLOSE_RANGE = CALL_OF_TABLE,
    CALL_UNSHARE,
    CALL_EXEC,
};

#define CALLS_COUNT 64 /* a power of two */
_Static_assert(CALL_EXEC < CALLS_COUNT, "CALLS_COUNT is above every enum call");

/* The kinds of probed functions. */
enum probe_cookie {
    PROBE_CALL,    /* the function of a system call, or one that it calls */
    PROBE_INSTALL, /* fd_install() */
    PROBE_REPLACE, /* do_dup2() */
};

enum record_kind {
    RECORD_OPEN,
    RECORD_FAIL,
    RECORD_CLOSE,
    RECORD_CLOSE_RANGE,
    RECORD_DUP,
    RECORD_DUP2,     /* dup2 and dup3, which close the new descriptor first if it is open */
    RECORD_REPLACED, /* that close, if the descriptor was recorded; comes before the DUP2 */
    RECORD_EXEC,
    RECORD_EXIT,
    /* DUP and DUP2 with the path of the copy, as in OPEN: origin may have been closed meanwhile. */
    RECORD_DUP_PATH,
    RECORD_DUP2_PATH,
    RECORD_HELD,       /* the payload is longer than the path */
    RECORD_RECEIVED,   /* as OPEN */
    RECORD_EXECUTABLE, /* what record_facts.executable stands for; has no thread */
    RECORD_ARGUMENTS,  /* follows it: the payload is the arguments, a NUL after each; MARK_NONE: the
                        * program could not read them; has no thread, but pid */
    RECORD_PROGRAM,    /* a program was executed */
    RECORD_CALL,       /* fd is 0, or the negative errno */
    RECORD_RESULT,     /* of a close(2), in fd: 0 or the negative errno */
    RECORD_BYTES,      /* the payload is a struct record_bytes, of fd; has no thread */
};

/* The kernel's side knows the executables of so many processes at once.  event/facts.h keeps the
 * paths of twice as many, so that it has those that are not delivered again. */
#define EXECUTABLES 16384

/* Properties of a record's path. */
enum record_mark {
    MARK_CUT = 1,     /* longer than PATH_BYTES: only its end is in the record */
    MARK_TEXT = 2,    /* no path, but a name such as "pipe", in normal order */
    MARK_INODE = 4,   /* to which ":[inode]" must be appended */
    MARK_GONE = 16,   /* DUP: origin may not refer to the copied file, or has no record */
    MARK_NONE = 8,    /* the name given to a call could not be read: the path is empty */
    MARK_WANTED = 32, /* CALL, with -I: one of its paths is wanted, whatever its text */
};

struct record {
    __u64 time;  /* CLOCK_MONOTONIC, ns */
    __u64 table; /* the file descriptor table: event.table */
    __u32 pid, ppid, tid;
    __s32 fd; /* FAIL: the negative errno */
    char comm[COMM_BYTES];
    __u8 kind, marks;
    /*
     * OPEN, FAIL, HELD, RECEIVED, EXECUTABLE, PROGRAM, CALL, and copies with a path.  The payload's
     * first `walked` bytes are a path in reverse order of its components: "hosts/etc/" for
     * /etc/hosts.  The rest is the name of a failed open, which must be appended, or with
     * FACT(GIVEN) the name of an OPEN, which must not.  In a CALL that is `named` bytes long, and
     * the other path follows in the same form.  Its mode is the argument after the name: the flags
     * of unlinkat(2).
     */
    __u16 walked, mode;
    __u16 unused;
    union {
        struct {
            __u64 flags; /* as wide as openat2(2) takes them */
            __u64 inode; /* MARK_INODE */
        };
        struct {
            __u16 named, destination_walked; /* CALL */
            __u8 call, destination_marks;    /* enum traced_call, enum record_mark */
            __u64 path_inode;                /* MARK_INODE */
        };
        struct {
            __u32 first, last; /* CLOSE_RANGE */
            __u64 open;        /* EXEC: of FDS_OF_EXEC descriptors from `first`, a bit if open */
        };
        __s32 origin; /* DUP, DUP2, with or without a path */
    };
};

/* What a call does with a file. */
enum transfer {
    TRANSFER_READ,
    TRANSFER_WRITE,
    TRANSFER_MAP,
};

/* What was read and written through a descriptor since the last such record. */
struct record_bytes {
    __u64 read, written; /* bytes */
    __u64 reads, writes; /* calls */
    __u64 mapped;        /* 1: it was */
};

/*
 * If any facts are asked for, they precede each record in the ring buffer: so the records of a run
 * without any are not larger.
 */
struct record_facts {
    __u32 known; /* a set: FACT() */
    __u32 user, mounts;
    __u32 device; /* as the kernel has it: MKDEV() of linux/kdev_t.h */
    __u64 group, inode, executable;
};

/* The minor number of record_facts.device is in so many bits, the major one above it. */
#define DEVICE_MINOR_BITS 20

/* Both, where a record is made. */
struct report {
    struct record_facts facts;
    struct record record;
};

/* The size of a record whose last member is this one. */
#define RECORD_UNTIL(member)                                                                       \
    (__builtin_offsetof(struct record, member) + sizeof(((struct record *)0)->member))

/* The size of a record that has only the members of all records. */
#define RECORD_HEAD __builtin_offsetof(struct record, flags)

#define FDS_OF_EXEC 64

/* A value of process.depth: no limit. */
#define EVERY_GENERATION 0xffffffffu

/* The value of the map of watched processes. */
struct process {
    __u32 depth;  /* how many levels of descendants to follow */
    __u32 census; /* the number of the last census that found the process alive */
};

/* The longest component of a path (NAME_MAX). */
#define NAME_BYTES 255

/*
 * The path filter is a tree of path components in a hash map.  The root is node 0, and the key of a
 * node is its parent and its name: so a path costs one look-up for each component that it has in
 * common with a rule, and one more.  The loader sizes the key for the longest component of any
 * rule; shorter ones are padded with NULs.
 */
struct rule_key {
    __u32 parent;
    char name[NAME_BYTES + 1];
};

enum rule_verdict {
    RULE_NONE, /* no rule ends here */
    RULE_INCLUDE,
    RULE_EXCLUDE,
};

struct rule_node {
    __u32 node;
    __u32 verdict;
};

#endif
