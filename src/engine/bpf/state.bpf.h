/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps and variables, and how a record leaves the kernel. */
#ifndef FILEMON_BPF_STATE_H
#define FILEMON_BPF_STATE_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "record.h"

/* Set by the loader before it loads. */
const volatile bool watch_all = false;
const volatile bool report_failed = false;
const volatile bool report_held = false; /* and so everything about claims is dead code otherwise */
const volatile bool filtering = false;   /* there are rules */
const volatile bool naming = false;      /* there are names */
const volatile __u32 generations = EVERY_GENERATION;
const volatile __u64 wake_at = 0;           /* wake the reader at so many bytes */
const volatile __u32 longest_component = 0; /* of any rule */
const volatile __u32 longest_name = 0;

/* What matches no rule but "/", which a PATH can turn out to lead to while the run goes on. */
volatile bool wanted_below_root = false;

/* filemon itself: set by scan_tasks(). */
__u32 own_tgid, own_level;
struct pid_namespace *own_namespace;

/* What the monotonic clock of filemon's own time namespace is ahead of the kernel's, ns. */
__s64 own_clock_offset;

/* Set by the reader when it has read everything, cleared when it is woken. */
volatile __u32 reader_asleep = 0;

/* Processes in `watched`. */
volatile __s64 n_watched = 0;

/*
 * Set when the watch ends.  Every program looks at it first, so that all of them fall silent at one
 * instant: detached one after the other, opens would still be seen when closes no longer are.
 */
volatile bool stopping = false;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} events SEC(".maps");

/*
 * Records that found no room, and closes that will not be seen for want of it.  No map of its own:
 * while bpf(2) reads a map it holds bpf_prog_active of its processor, and can be preempted there;
 * programs on perf events are skipped on that processor then.
 */
volatile __u64 n_lost = 0;

/*
 * Is it watched?  A byte for each pid, so that it costs no more than a look: PIDS_PER_LINE of them
 * in each entry.  Sized by the loader.
 */
#define PIDS_PER_LINE 64

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u8[PIDS_PER_LINE]);
} is_watched_pid SEC(".maps");

/* Which census is being taken, or was last. */
volatile __u32 census = 0;

/* Watched processes by tgid. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __type(key, __u32);
    __type(value, struct process);
} watched SEC(".maps");

/* The loader sizes these two, and their keys. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(struct rule_key));
    __uint(value_size, sizeof(struct rule_node));
} rules SEC(".maps");

/* Names of programs to be watched, filled up with NULs. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, NAME_BYTES + 1);
    __uint(value_size, 1);
} names SEC(".maps");

/* More components than a path of PATH_BYTES can have. */
#define MAX_COMPONENTS (PATH_BYTES / 2)

/* What an open was asked for: the name, and where it starts from. */
struct request {
    const char *name;
    int dirfd;
    int error;                  /* negative: how it ended; 0: it did not fail */
    __u64 flags, mode, resolve; /* as struct open_how has them */
};

#define DENTRY_BYTES 512
#define MOUNT_BYTES 256

/* A call that copies a descriptor. */
struct copy {
    __u32 origin, fd;
    bool replaces;
    bool was_recorded; /* origin, when the call began */
    __u64 entered; /* when it began, if there was a record of what was open as fd then; else 0 */
    __u64 file;    /* that is copied; 0: the one that the table has as fd */
};

/* A walk from a file to the root of the process. */
struct walk {
    struct dentry *dentry, *root_dentry; /* where the walk is, and where it ends */
    struct mount *mount, *root_mount;
    struct dentry *mount_root; /* of mount */
    /* Members of dentry. */
    struct dentry *parent;
    const char *name;
    __u32 name_length, sequence;
    /* The beginnings of dentry and mount.  Their sizes depend on the kernel: lockdep adds to them.
     */
    char dentry_bytes[DENTRY_BYTES], mount_bytes[MOUNT_BYTES];
    bool unlinked; /* the file has lost its name */
};

/* The components of a path that a walk has written into the payload, the last one first. */
struct components {
    __u32 count;
    __u32 taken;                 /* take_component() has yet to take those before this byte */
    __u16 start[MAX_COMPONENTS]; /* offsets in the payload */
};

/* A look-up in the rules or the names. */
struct lookup {
    struct rule_key key;
    bool wanted; /* the result so far */
};

/* What is too large for the stack, in one run of a program. */
struct scratch {
    struct record record;
    char payload[PAYLOAD_BYTES + 64]; /* follows the record, as in the ring buffer */
    __u32 length;                     /* of the payload */
    __u32 program; /* enum program: functions of their own get the scratch by it */

    struct request request;
    struct file *file; /* the result of the request; NULL: look in the file descriptor table */
    struct copy copy;
    struct walk walk;
    struct components components;
    struct lookup lookup;
};

/*
 * Each program has a scratch of its own on each processor.  From Linux 7.0 on a program can be
 * preempted, and other programs then run on that processor; the same one does not: the kernel skips
 * it and counts that (recursion_misses of bpf_prog_info).  A program cannot migrate.
 */
enum program {
    ON_LEAVE,
    ON_RING_COMPLETE,
    ON_RENAME,
    ON_EXEC,
    ON_EXIT,
    ON_SIGNAL,
    ON_RING_SUBMIT,
    ON_HELD,
    ON_RETURN,
    SCRATCHES,
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SCRATCHES);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

/*
 * Masks an index where the verifier sees it: right before its use, and not folded by the compiler
 * into a pointer that it counts up along a loop.
 */
static __always_inline __u64 bounded(__u64 index, __u64 size)
{
    index &= size - 1;
    asm volatile("" : "+r"(index));
    return index;
}

/*
 * Part of a long loop, as a function of its own.  Not static, so that the verifier looks at it once
 * and not at every turn of the loop that calls it; so it takes no pointer either, but the program
 * whose scratch it works on.
 */
#define TURN __attribute__((noinline))

static __always_inline struct scratch *get_scratch(__u32 program)
{
    struct scratch *s = bpf_map_lookup_elem(&scratches, &program);

    if (s)
        s->program = program;
    return s;
}

static __always_inline void count_lost(void)
{
    __sync_fetch_and_add(&n_lost, 1);
}

/*
 * Whether a record wakes the reader.  To ask how full the ring is takes the call of a helper: so
 * one in sixteen records asks, chosen by its time, the bits of which are mixed for coarse clocks.
 */
static __always_inline __u64 wakeup_flags(const struct record *record)
{
    bool asks = record->time * 0x9e3779b97f4a7c15 >> 60 == 0;

    if (!reader_asleep || !asks || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < wake_at)
        return BPF_RB_NO_WAKEUP;
    reader_asleep = 0;
    return BPF_RB_FORCE_WAKEUP;
}

/* The first size bytes of a record and what follows it.  False: no room, and counted. */
static __always_inline bool deliver(struct record *record, __u64 size)
{
    if (bpf_ringbuf_output(&events, record, size, wakeup_flags(record)) == 0)
        return true;
    count_lost();
    return false;
}

/* As filemon's own namespace numbers it; 0: not in there.  pid: as read, for the verifier lets no
 * number be added to a pointer whose type it knows. */
static __always_inline __u32 pid_number(struct pid *pid)
{
    struct upid *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
    struct upid *own = (void *)numbers + (__u64)own_level * bpf_core_type_size(struct upid);

    if (BPF_CORE_READ(pid, level) < own_level || BPF_CORE_READ(own, ns) != own_namespace)
        return 0;
    return BPF_CORE_READ(own, nr);
}

#define PIDTYPE_TGID 1 /* enum pid_type of linux/pid_types.h */

static __always_inline __u32 process_number(struct task_struct *task)
{
    if (own_level == 0)
        return task->tgid;
    return pid_number(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]));
}

static __always_inline __u32 thread_number(struct task_struct *task)
{
    return own_level == 0 ? (__u32)task->pid : pid_number(BPF_CORE_READ(task, thread_pid));
}

/* Of any address: what is known not to be aligned, the compiler copies by bytes. */
typedef __u64 __attribute__((may_alias)) word;

/*
 * As words: cheaper than the helper for it.  From an address and not from the member, whose size is
 * not the same on every kernel; libbpf takes no load of another size than the member's.
 */
static __always_inline void copy_words(void *to, const void *from, __u64 offset, __u32 size)
{
    const word *words = from + offset;

    barrier_var(words); /* or the first load would be of the member */
    for (__u32 i = 0; i < size / sizeof(*words); i++)
        ((word *)to)[i] = words[i];
}

/*
 * Where the kernel has it (6.2), what a pointer leads to can be read without a helper at all: this
 * makes of it one whose type the verifier knows, and whose reads may fail.  A program with a call
 * that the kernel lacks cannot be loaded: so all is built twice, with DIRECT and without.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
#define CAST(type, pointer) ((type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))

/*
 * The same task.  Where the verifier trusts a pointer, it looks for a name in all of the kernel's
 * type information whenever another one is read through it: half of the time that loading takes.
 * This one it does not trust.
 */
static __always_inline struct task_struct *walkable(struct task_struct *task)
{
    return DIRECT ? CAST(struct task_struct, task) : task;
}

static __always_inline struct task_struct *current_task(void)
{
    return walkable(bpf_get_current_task_btf());
}

/* linux/sched.h */
#define PF_EXITING 0x4
#define PF_IO_WORKER 0x10
#define PF_USER_WORKER 0x4000
#define PF_KTHREAD 0x200000
#define PF_NO_SETAFFINITY 0x4000000

/*
 * Of a pointer whose type the verifier knows: it lets no such pointer be a number, but does allow
 * the difference of two.
 */
static __always_inline __u64 address_of(const void *pointer)
{
    __u64 address = (__u64)pointer;

    asm volatile("%0 -= %1" : "+r"(address) : "r"(bpf_get_current_task_btf()));
    return address + bpf_get_current_task();
}

/* Names the file descriptor table that a thread has; 0: none (any more). */
static __always_inline __u64 table_of(struct task_struct *task)
{
    /* As a member that is a number and nothing else. */
    if (DIRECT)
        return CAST(struct timespec64,
                    (void *)task + bpf_core_field_offset(struct task_struct, files))
            ->tv_sec;
    return address_of(task->files);
}

#define IO_WORKER_COMM 0x2d756f69 /* "iou-", as its number */

/*
 * A worker of io_uring, or what may be one: it ends without PF_IO_WORKER.  Instead, kernels
 * from 6.4 on have PF_USER_WORKER, those before 6.3 have PF_NO_SETAFFINITY, and all have the name.
 */
static __always_inline bool is_io_worker(struct task_struct *task)
{
    __u64 comm;

    copy_words(&comm, task, bpf_core_field_offset(struct task_struct, comm), sizeof(comm));
    return task->flags & (PF_IO_WORKER | PF_USER_WORKER | PF_NO_SETAFFINITY) ||
           (__u32)comm == IO_WORKER_COMM;
}

/*
 * What every record says of a task.  What a worker of io_uring does, its process does.  trusted:
 * the same task as the kernel gave it, whose own members are read without a check of the address.
 */
static __always_inline void begin_record_of(struct task_struct *task, struct task_struct *trusted,
                                            struct record *record, enum record_kind kind, __s32 fd)
{
    record->time = bpf_ktime_get_ns();
    record->pid = own_level == 0 ? (__u32)trusted->tgid : process_number(task);
    record->ppid = process_number(task->real_parent);
    record->tid = own_level == 0 ? (__u32)trusted->pid : thread_number(task);
    record->fd = fd;
    copy_words(record->comm, trusted, bpf_core_field_offset(struct task_struct, comm), COMM_BYTES);
    if (is_io_worker(trusted)) {
        record->tid = record->pid;
        BPF_CORE_READ_INTO(&record->comm, task, group_leader, comm);
    }
    record->table = table_of(task);
    record->kind = kind;
    record->marks = 0;
    record->walked = record->mode = record->unused = 0;
}

/* The current task. */
static __always_inline void begin_record(struct task_struct *task, struct record *record,
                                         enum record_kind kind, __s32 fd)
{
    begin_record_of(task, bpf_get_current_task_btf(), record, kind, fd);
}

/* Of the current task.  time: when the descriptor was closed; 0: now. */
static __always_inline void deliver_close(struct task_struct *task, __s32 fd, __u64 time)
{
    struct record *record = bpf_ringbuf_reserve(&events, RECORD_HEAD, 0);

    if (!record) {
        count_lost();
        return;
    }
    begin_record(task, record, RECORD_CLOSE, fd);
    if (time)
        record->time = time;
    bpf_ringbuf_submit(record, wakeup_flags(record));
}

#endif
