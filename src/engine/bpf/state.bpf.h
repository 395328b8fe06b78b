/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps and variables that all programs use, and the delivery of records. */
#ifndef FILEMON_BPF_STATE_H
#define FILEMON_BPF_STATE_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "facts.bpf.h"
#include "record.h"

/* Set by the loader before it loads. */
const volatile bool watch_all = false;
const volatile bool report_failed = false;
const volatile bool report_held = false; /* if false, the verifier removes the code for claims */
const volatile bool filtering = false;   /* the path filter has rules */
const volatile bool naming = false;      /* there are names to match at exec */
const volatile __u32 generations = EVERY_GENERATION;
const volatile __u64 wake_at = 0;           /* bytes in the ring buffer that wake the reader */
const volatile __u32 longest_component = 0; /* of any rule */
const volatile __u32 longest_name = 0;

/* Whether a path is included that matches no rule but that of the root; with by_inode, whether a
 * file is that no inode decides on.  Can change during the run, when a PATH turns out to lead to
 * "/". */
volatile bool wanted_below_root = false;

/* filemon itself: set by scan_tasks(). */
__u32 own_tgid, own_level;
struct pid_namespace *own_namespace;

/* CLOCK_MONOTONIC in filemon's time namespace minus that of the kernel, ns. */
__s64 own_clock_offset;

/* Set by the reader when it has read everything, cleared when it is woken. */
volatile __u32 reader_asleep = 0;

/* The number of processes in `watched`. */
volatile __s64 n_watched = 0;

/*
 * The watch has ended.  Every program checks it first, so that all of them stop at the same
 * instant: the links are detached one after another, and opens would still be seen when closes are
 * not.
 */
volatile bool stopping = false;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} events SEC(".maps");

/*
 * The number of lost events: records without room in the ring buffer, and closes that will not be
 * seen since a map is full.  Not a map: bpf(2) raises bpf_prog_active of its CPU while it reads a
 * map, and the kernel skips programs on perf events on that CPU meanwhile.
 */
volatile __u64 n_lost = 0;

/*
 * Whether a process is watched: a byte for each pid, in entries of PIDS_PER_LINE bytes.  An array
 * look-up costs other processes' calls the least.  Sized by the loader.
 */
#define PIDS_PER_LINE 64

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u8[PIDS_PER_LINE]);
} is_watched_pid SEC(".maps");

/* The number of the last census: see taking_census. */
volatile __u32 census = 0;

/* Watched processes by tgid. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __type(key, __u32);
    __type(value, struct process);
} watched SEC(".maps");

/* The path filter.  The loader sizes this map and the next, and their keys. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(struct rule_key));
    __uint(value_size, sizeof(struct rule_node));
} rules SEC(".maps");

/* Names of programs to watch, padded with NULs. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, NAME_BYTES + 1);
    __uint(value_size, 1);
} names SEC(".maps");

/* More components than a path of PATH_BYTES can have. */
#define MAX_COMPONENTS (PATH_BYTES / 2)

/* The arguments of an open. */
struct request {
    const char *name;
    int dirfd;
    int error;                  /* -errno; 0: the open has not failed */
    __u64 flags, mode, resolve; /* as in struct open_how */
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

/* What identifies an inode as long as it exists. */
struct inode_key {
    __u64 number;
    __u64 address; /* 0, where device and number suffice */
    __u32 device, unused;
};

/* A search for the nearest ancestor of a file that decides, by a walk (inodes.bpf.h). */
struct ancestry {
    struct inode_key key;
    __u32 distance;       /* of the walk's dentry from the file, in components */
    __u32 nearest;        /* distance of the one that decides so far; NO_ANCESTOR: none */
    __u32 mount_distance; /* of the root of the walk's mount; only if above_mount */
    bool above_mount;     /* the walk is at the root of its mount, or above it */
    bool is_disconnected; /* the walk ended below the root of its mount */
    bool wanted;          /* the result so far */
};

#define NO_ANCESTOR 0xffffffffu

/* What is too large for the stack, in one run of a program. */
struct scratch {
    struct record_facts facts;
    struct record record;
    char payload[PAYLOAD_BYTES + 64]; /* follows the record, as in the ring buffer */
    __u32 length;                     /* of the payload */
    __u32 program;         /* enum program: functions of their own get the scratch by it */
    volatile bool is_used; /* that of ON_EXECUTABLE */

    struct request request;
    struct file *file; /* the result of the request; NULL: look in the file descriptor table */
    /* What would decide whether the file is wanted is not known, such as a path that is too long:
     * it counts as lost, since the file may be one that was asked for. */
    bool is_undecided;
    struct copy copy;
    struct walk walk;
    struct components components;
    struct lookup lookup;
    struct ancestry ancestry;
};

/*
 * Each program has its own scratch on each CPU.  From Linux 7.0 on, a program can be preempted, and
 * another program can then run on that CPU.  The same program cannot: the kernel skips that run and
 * counts it (recursion_misses of bpf_prog_info).  A program does not migrate to another CPU.
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
    ON_HOOK,
    ON_EXECUTABLE, /* any program, see deliver_executable(); the last one, see program.c */
    SCRATCHES,
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SCRATCHES);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

/*
 * Masks an index right before its use, where the verifier needs to see the bound.  Without the asm,
 * clang moves the mask out of loops, and the verifier rejects the program.  size: a power of two.
 */
static __always_inline __u64 bounded(__u64 index, __u64 size)
{
    index &= size - 1;
    asm volatile("" : "+r"(index));
    return index;
}

/*
 * A subprogram, such as a part of a long loop.  It is global, not static: so the verifier checks it
 * once, and not in every iteration of the loop that calls it.  A global function cannot take a
 * pointer to a map value: it takes the program whose scratch it uses.
 */
#define SUBPROGRAM __attribute__((noinline))

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

/* NR_CPUS is at most 8192. */
#define CPU_BITS 13

/* A number that no other call returns. */
static __always_inline __u64 new_number(void)
{
    return bpf_ktime_get_ns() << CPU_BITS | bpf_get_smp_processor_id();
}

/*
 * Whether a record wakes the reader.  The fill level of the ring buffer costs a helper call: so one
 * in sixteen records checks it, chosen by a hash of its time, since the low bits of a coarse clock
 * are constant.
 */
static __always_inline __u64 wakeup_flags(const struct record *record)
{
    bool checks = record->time * 0x9e3779b97f4a7c15 >> 60 == 0;

    if (!reader_asleep || !checks || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < wake_at)
        return BPF_RB_NO_WAKEUP;
    reader_asleep = 0;
    return BPF_RB_FORCE_WAKEUP;
}

/* Delivers the first size bytes of a record and the payload behind it, and the facts before it.
 * False: there is no room, and the loss is counted. */
static __always_inline bool deliver(struct record *record, __u64 size)
{
    long result;

    if (facts_asked)
        result = bpf_ringbuf_output(&events, facts_of(record), sizeof(struct record_facts) + size,
                                    wakeup_flags(record));
    else
        result = bpf_ringbuf_output(&events, record, size, wakeup_flags(record));
    if (result == 0)
        return true;
    count_lost();
    return false;
}

/* Delivers the record in s and its payload. */
static __always_inline bool deliver_scratch(struct scratch *s)
{
    __u64 length = bounded(s->length, 2 * PAYLOAD_BYTES);

    if (length > PAYLOAD_BYTES)
        return false;
    /* Or clang would add to the length before the check, where verifiers before 6.10 do not see
     * that the sum is bounded, too. */
    barrier_var(length);
    return deliver(&s->record, sizeof(s->record) + length);
}

/* The number of pid in filemon's own pid namespace; 0: it has none there.  pid must be a pointer
 * that was read: the verifier allows no variable offset to a pointer whose type it knows. */
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

/* A word at any address.  For an address that it knows to be unaligned, clang copies bytes. */
typedef __u64 __attribute__((may_alias)) word;

/*
 * Copies words, which is cheaper than a helper call.  It reads from an address, not from a member:
 * libbpf rejects a load of another size than the member has on the running kernel.
 */
static __always_inline void copy_words(void *to, const void *from, __u64 offset, __u32 size)
{
    const word *words = from + offset;

    barrier_var(words); /* or clang would load the first word from the member */
    for (__u32 i = 0; i < size / sizeof(*words); i++)
        ((word *)to)[i] = words[i];
}

/*
 * Since Linux 6.2, bpf_rdonly_cast() gives a pointer a type that the verifier knows: members are
 * then read without a helper call, and as 0 if the address is bad.  A kernel without that function
 * does not load a program that calls it: so the programs are compiled with DIRECT and without.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
#define CAST(type, pointer) ((type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))

/*
 * The same task, by a pointer that the verifier does not trust.  For every pointer that is read
 * through a trusted one, the verifier searches all type information of the kernel for a name: that
 * takes half of the time of loading.
 */
static __always_inline struct task_struct *untrusted(struct task_struct *task)
{
    return DIRECT ? CAST(struct task_struct, task) : task;
}

static __always_inline struct task_struct *current_task(void)
{
    return untrusted(bpf_get_current_task_btf());
}

/* linux/sched.h */
#define PF_EXITING 0x4
#define PF_IO_WORKER 0x10
#define PF_USER_WORKER 0x4000
#define PF_KTHREAD 0x200000
#define PF_NO_SETAFFINITY 0x4000000

/* The address in a pointer whose type the verifier knows: it does not allow the pointer as a
 * number, but the difference of two pointers. */
static __always_inline __u64 address_of(const void *pointer)
{
    __u64 address = (__u64)pointer;

    asm volatile("%0 -= %1" : "+r"(address) : "r"(bpf_get_current_task_btf()));
    return address + bpf_get_current_task();
}

/* The address of the file descriptor table of a thread, which identifies it; 0: the thread has no
 * table, or has left it. */
static __always_inline __u64 table_of(struct task_struct *task)
{
    /* Read as tv_sec, a number: CAST cannot read a pointer as one. */
    if (DIRECT)
        return CAST(struct timespec64,
                    (void *)task + bpf_core_field_offset(struct task_struct, files))
            ->tv_sec;
    return address_of(task->files);
}

#define IO_WORKER_COMM 0x2d756f69 /* "iou-" as a little-endian number */

/*
 * Whether the task is a worker of io_uring, or may be one.  PF_IO_WORKER is cleared before the
 * worker exits.  Then PF_USER_WORKER (kernels since 6.4), PF_NO_SETAFFINITY (before 6.3) or the
 * name tells.
 */
static __always_inline bool is_io_worker(struct task_struct *task)
{
    __u64 comm;

    copy_words(&comm, task, bpf_core_field_offset(struct task_struct, comm), sizeof(comm));
    return task->flags & (PF_IO_WORKER | PF_USER_WORKER | PF_NO_SETAFFINITY) ||
           (__u32)comm == IO_WORKER_COMM;
}

/*
 * Fills in the facts and the members that every record has.  The actions of an io_uring worker are
 * reported as those of its process's leader.  trusted: the same task, by the pointer that the
 * kernel gave, through which its own members are read without a check of the address.
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
    if (facts_asked)
        begin_facts(task, facts_of(record));
}

/* The same for the current task. */
static __always_inline void begin_record(struct task_struct *task, struct record *record,
                                         enum record_kind kind, __s32 fd)
{
    begin_record_of(task, bpf_get_current_task_btf(), record, kind, fd);
}

static __always_inline __u64 size_of_facts(void)
{
    return facts_asked ? sizeof(struct record_facts) : 0;
}

/*
 * Reserves room for a record of this size and for its facts, to be filled in and submitted.  NULL:
 * there is none, and the loss is counted.  Unlike a record on the stack, it needs none of that.
 * The result is not the record itself: verifiers before 6.2 cannot tell that a pointer into the
 * room is not NULL.
 */
static __always_inline void *reserve_room(const __u64 size)
{
    void *room = bpf_ringbuf_reserve(&events, size_of_facts() + size, 0);

    if (!room)
        count_lost();
    return room;
}

static __always_inline struct record *record_in(void *room)
{
    return room + size_of_facts();
}

static __always_inline void submit_room(void *room)
{
    __u64 flags = wakeup_flags(record_in(room));

    bpf_ringbuf_submit(room, flags);
}

/* Delivers a close by the current task.  time: when the descriptor was closed; 0: now.  awaits: its
 * result follows. */
static __always_inline void deliver_close(struct task_struct *task, __s32 fd, __u64 time,
                                          bool awaits)
{
    void *room = reserve_room(RECORD_HEAD);

    if (!room)
        return;
    begin_record(task, record_in(room), RECORD_CLOSE, fd);
    if (time)
        record_in(room)->time = time;
    if (awaits)
        facts_of(record_in(room))->known |= FACT(RESULT);
    submit_room(room);
}

#endif
