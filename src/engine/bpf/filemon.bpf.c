/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of filemon that runs in the kernel, on tracepoints alone.
 *
 * Closes are taken when the call begins, everything else when it ends: so a descriptor's number
 * cannot come back in a record before its close has.  What is not ours is left at the first look
 * at the call's number, what is not of a watched process at the second look.
 *
 * What is too large for the stack lies in a scratch of the processor's own: none of these
 * tracepoints lets another task of the same processor in between.
 */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <stdbool.h>

#include "calls.bpf.h"
#include "record.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* The record in s, with its payload. */
static __always_inline void deliver_path(__u32 tgid, struct scratch *s)
{
    __u64 size = sizeof(s->record) + bounded(s->length, 2 * PAYLOAD_BYTES);
    __u32 fd = s->record.fd;

    if (size > sizeof(s->record) + PAYLOAD_BYTES)
        return;
    if (s->record.kind == RECORD_FAIL) {
        deliver(s, size);
        return;
    }
    /* First, for from now on another thread may close it. */
    set_recorded(tgid, fd);
    if (!deliver(s, size))
        clear_recorded(tgid, fd);
}

/* Components looked at in one turn, and turns for the most there can be. */
#define COMPONENTS 16
#define COMPONENT_TURNS (MAX_COMPONENTS / COMPONENTS)

/*
 * One component of the path, from the root on: the longest rule, which decides, comes last.
 * True: no other can match.
 */
static __always_inline bool filter_component(struct scratch *s)
{
    struct rule_node *node;

    if (s->n_components == 0 || !take_component(s, s->n_components - 1, longest_component))
        return true;
    node = bpf_map_lookup_elem(&rules, &s->key);
    if (!node)
        return true;
    if (node->verdict != RULE_NONE)
        s->wanted = node->verdict == RULE_INCLUDE;
    s->key.parent = node->node;
    s->n_components--;
    return false;
}

TURN bool filter_on(void)
{
    struct scratch *s = get_scratch();

    for (int i = 0; s && i < COMPONENTS; i++) {
        if (filter_component(s))
            return true;
        barrier();
    }
    return false;
}

/* Is the path that was walked wanted? */
static __always_inline bool filter(struct scratch *s)
{
    if (!filtering)
        return true;
    if (s->record.marks & MARK_CUT) {
        /* Only its end is known: no rule can be asked, and it may be wanted. */
        count_lost();
        return false;
    }
    s->key.parent = 0;
    s->taken = s->length;
    s->wanted = wanted_below_root;
    for (int i = 0; i < COMPONENT_TURNS; i++)
        if (filter_on())
            break;
    return s->wanted;
}

static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    struct file *file = NULL;

    if (fd < table->max_fds)
        bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
    return file;
}

static __always_inline void open_succeeded(struct task_struct *task, struct scratch *s)
{
    struct file *file = file_of(task, s->record.fd);

    if (!file) { /* another thread has closed it already */
        count_lost();
        return;
    }
    walk_file(task, s, file);
    if (name_pathless(s)) {
        deliver_path(task->tgid, s);
        return;
    }
    s->unlinked = is_unlinked(s);
    walk();
    s->record.walked = s->length;
    if (filter(s))
        deliver_path(task->tgid, s);
}

#define AT_FDCWD -100

/* A call that takes none: no address of user space. */
#define NO_NAME ((const char *)-1)

/* The directory that a name is relative to. */
static __always_inline void walk_directory(struct task_struct *task, struct scratch *s, int dirfd)
{
    struct file *directory = dirfd == AT_FDCWD ? NULL : file_of(task, dirfd);

    if (directory)
        walk_file(task, s, directory);
    else
        walk_begin(task, s, task->fs->pwd.dentry, task->fs->pwd.mnt);
    s->unlinked = is_unlinked(s);
    walk();
}

static __always_inline void open_failed(struct task_struct *task, struct scratch *s)
{
    const char *name = s->request.name;
    char first = '\0';
    __u64 at;
    long size;

    s->length = 0;
    if (bpf_probe_read_user(&first, 1, name) < 0 && name != NO_NAME)
        s->record.marks |= MARK_NONE;
    else if (first != '/')
        walk_directory(task, s, s->request.dirfd);
    at = bounded(s->length, PATH_BYTES);
    s->record.walked = at;
    size = bpf_probe_read_user_str(&s->payload[at], PATH_BYTES, name);
    if (size > 0)
        s->length = at + size - 1;
    deliver_path(task->tgid, s);
}

#define O_CREAT_WRONLY_TRUNC 01101

static __always_inline void read_request(enum call call, const __u64 args[4],
                                         struct request *request)
{
    *request = (struct request){(void *)args[0], AT_FDCWD, args[1], args[2]};
    switch (call) {
    case CALL_CREAT:
        request->flags = O_CREAT_WRONLY_TRUNC;
        request->mode = args[1];
        break;
    case CALL_OPENAT:
        *request = (struct request){(void *)args[1], args[0], args[2], args[3]};
        break;
    case CALL_OPENAT2: /* struct open_how begins with flags and mode */
        *request = (struct request){(void *)args[1], args[0], 0, 0};
        bpf_probe_read_user(&request->flags, 2 * sizeof(__u64), (void *)args[2]);
        break;
    case CALL_OPEN_BY_HANDLE_AT: /* has no name */
        *request = (struct request){NO_NAME, args[0], args[2], 0};
        break;
    default:
        break;
    }
}

static __always_inline void on_open(struct task_struct *task, enum call call, const __u64 args[4],
                                    int result)
{
    struct scratch *s = get_scratch();

    if (!s || (result < 0 && !report_failed) || !is_watched(task->tgid))
        return;
    read_request(call, args, &s->request);
    begin_record(task, &s->record, result < 0 ? RECORD_FAIL : RECORD_OPEN, result);
    s->record.flags = s->request.flags;
    s->record.mode = s->request.mode;
    s->record.walked = 0;
    if (result < 0)
        open_failed(task, s);
    else
        open_succeeded(task, s);
}

static __always_inline void on_dup(struct task_struct *task, __u32 origin, __u32 fd, bool replaces)
{
    __u32 tgid = task->tgid;
    struct record record;
    bool known;

    if (origin == fd)
        return;
    known = is_recorded(tgid, origin);
    /* Of what it replaces a record was made: that one is closed. */
    if (clear_recorded(tgid, fd) || known || gives_every_close(tgid)) {
        if (known)
            set_recorded(tgid, fd);
        begin_record(task, &record, replaces ? RECORD_DUP2 : RECORD_DUP, fd);
        record.origin = origin;
        deliver(&record, RECORD_UNTIL(origin));
    }
}

/* What the call is, its arguments with it. */
static __always_inline enum call take_call(struct task_struct *task,
                                           const __u16 table[CALL_NUMBERS], struct pt_regs *regs,
                                           __u64 args[4])
{
    __u32 number = call_number(regs), call;
    bool compat;

    if (number >= CALL_NUMBERS)
        return CALL_NONE;
    call = table[number];
    if (!call)
        return CALL_NONE;
    compat = call_is_compat(task);
    call_arguments(regs, compat, args);
    return compat ? call >> 8 : call & 0xff;
}

/* linux/fcntl.h */
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long result)
{
    struct task_struct *task = bpf_get_current_task_btf();
    __u64 args[4];
    enum call call = take_call(task, left, regs, args);

    if (call == CALL_NONE)
        return 0;
    if (call <= CALL_OPEN_BY_HANDLE_AT) {
        on_open(task, call, args, result);
    } else if (result >= 0) {
        bool copies = call != CALL_FCNTL || args[1] == F_DUPFD || args[1] == F_DUPFD_CLOEXEC;

        if (copies)
            on_dup(task, args[0], result, call == CALL_DUP2);
    }
    return 0;
}

/* A record was made of it, so the process is watched. */
static __always_inline void on_close(struct task_struct *task, __u32 fd)
{
    struct record record;

    if (clear_recorded(task->tgid, fd) || gives_every_close(task->tgid)) {
        begin_record(task, &record, RECORD_CLOSE, fd);
        deliver(&record, RECORD_UNTIL(kind));
    }
}

/* Those of one chunk.  True when a record had been made of any. */
TURN bool clear_chunk(__u32 tgid, __u32 first, __u32 last)
{
    struct chunk *chunk = find_chunk(tgid, first);
    bool any = false;

    for (__u32 i = 0; chunk && i < CHUNK_FDS; i++) {
        __u32 fd = first / CHUNK_FDS * CHUNK_FDS + i;

        if (fd >= first && fd <= last && chunk->recorded[i]) {
            chunk->recorded[i] = 0;
            any = true;
        }
    }
    return any;
}

/* Chunks gone through; a process that has more than 8,192 descriptors is rare. */
#define RANGE_CHUNKS 128

/* True when a record had been made of any, or when there are too many to look. */
static __always_inline bool clear_range(__u32 tgid, __u32 first, __u32 last)
{
    bool any = false;

    for (int i = 0; i < RANGE_CHUNKS; i++) {
        any |= clear_chunk(tgid, first, last);
        first = (first / CHUNK_FDS + 1) * CHUNK_FDS;
        if (first > last)
            return any;
    }
    return true;
}

/* linux/close_range.h */
#define CLOSE_RANGE_UNSHARE 2

static __always_inline void on_close_range(struct task_struct *task, __u32 first, __u32 last,
                                           __u32 flags)
{
    __u32 end = task->files->fdt->max_fds - 1;
    struct record record;

    /* With CLOSE_RANGE_CLOEXEC nothing is closed, with unknown flags neither. */
    if (first > last || first > end || flags & ~CLOSE_RANGE_UNSHARE || !is_watched(task->tgid))
        return;
    /* Closes in a copy of its own; the other threads keep theirs, which are the process's. */
    if (flags & CLOSE_RANGE_UNSHARE && task->files->count.counter > 1)
        return;
    if (clear_range(task->tgid, first, last < end ? last : end) || every_close) {
        begin_record(task, &record, RECORD_CLOSE_RANGE, -1);
        record.first = first;
        record.last = last;
        deliver(&record, RECORD_UNTIL(last));
    }
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs)
{
    struct task_struct *task = bpf_get_current_task_btf();
    __u64 args[4];
    enum call call = take_call(task, entered, regs, args);

    if (call == CALL_CLOSE)
        on_close(task, args[0]);
    else if (call == CALL_CLOSE_RANGE)
        on_close_range(task, args[0], args[1], args[2]);
    return 0;
}

/* Bitmaps enough for 262,144 descriptors. */
#define EXEC_BITMAPS 4

static __always_inline void report_exec(struct task_struct *task, struct scratch *s)
{
    struct fdtable *table = task->files->fdt;
    __u64 max = table->max_fds;
    void *bits = table->open_fds;

    begin_record(task, &s->record, RECORD_EXEC, -1);
    for (__u32 i = 0; i < EXEC_BITMAPS; i++) {
        __u64 first = i * BITMAP_FDS, bytes = (max - first) / 8;

        if (first >= max)
            return;
        if (bytes > PAYLOAD_BYTES)
            bytes = PAYLOAD_BYTES;
        barrier_var(bytes);
        s->record.first = first;
        s->record.last = first + 8 * bytes >= max ? ~0u : first + 8 * bytes - 1;
        bpf_probe_read_kernel(s->payload, bytes, bits + first / 8);
        deliver(s, sizeof(s->record) + bytes);
    }
    if (max > EXEC_BITMAPS * BITMAP_FDS)
        count_lost();
}

/*
 * exec renames its thread, by then the only one, right after it has closed what is close-on-exec:
 * so that is what is not open any more.  The name in the record is still that of the program which
 * had these files open.
 */
SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task)
{
    struct scratch *s = get_scratch();

    if (!s || !BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) ||
        task->pid != (int)bpf_get_current_pid_tgid() || !is_watched(task->tgid))
        return 0;
    report_exec(task, s);
    return 0;
}

static __always_inline bool is_name(struct scratch *s)
{
    return bpf_map_lookup_elem(&names, s->key.name) != NULL;
}

static __always_inline bool is_comm(struct scratch *s)
{
    __builtin_memset(s->key.name, 0, sizeof(s->key.name));
    bpf_get_current_comm(s->key.name, COMM_BYTES);
    return is_name(s);
}

/*
 * The last component of the file that was executed: a script's, too, the executable of which is its
 * interpreter.  What comm does not hold of it.
 */
static __always_inline bool is_file(struct scratch *s, const char *path)
{
    long size = bpf_probe_read_kernel_str(s->payload, PATH_BYTES, path);

    s->length = s->taken = size - 1;
    for (int i = 0; i < NAME_BYTES; i++) {
        if (s->payload[bounded(s->taken - 1, PATH_BYTES)] == '/')
            break;
        s->taken--;
        barrier();
    }
    __builtin_memset(s->key.name, 0, sizeof(s->key.name));
    bpf_probe_read_kernel(s->key.name, bounded(s->length - s->taken, NAME_BYTES + 1),
                          &s->payload[bounded(s->taken, PATH_BYTES)]);
    return is_name(s);
}

/* Components of the executable.  True: one is a name, or none is. */
TURN bool match_on(void)
{
    struct scratch *s = get_scratch();

    for (int i = 0; s && i < COMPONENTS; i++) {
        if (s->n_components == 0)
            return true;
        s->n_components--;
        s->wanted = take_component(s, s->n_components, longest_name) && is_name(s);
        if (s->wanted)
            return true;
        barrier();
    }
    return false;
}

static __always_inline bool is_executable(struct task_struct *task, struct scratch *s)
{
    walk_file(task, s, task->mm->exe_file);
    s->unlinked = false;
    walk();
    s->taken = s->length;
    s->wanted = false;
    for (int i = 0; i < COMPONENT_TURNS; i++)
        if (match_on())
            break;
    return s->wanted;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
    struct scratch *s = get_scratch();

    if (s && naming && (is_comm(s) || is_file(s, program->filename) || is_executable(task, s)))
        watch_process(task->tgid, generations);
    return 0;
}

/* Together they are enough for 524,288 descriptors. */
#define SWEEP_CHUNKS 16
#define SWEEP_TURNS 512

/* Forgets some chunks of the process's descriptors.  True: all are forgotten. */
TURN bool sweep_on(__u32 tgid, __u32 max)
{
    struct scratch *s = get_scratch();

    for (int i = 0; s && i < SWEEP_CHUNKS; i++) {
        __u64 key = chunk_key(tgid, s->sweep);

        if (s->sweep * CHUNK_FDS >= max)
            return true;
        if (bpf_map_delete_elem(&descriptors, &key) == 0)
            s->wanted = true;
        s->sweep++;
        barrier();
    }
    return false;
}

/* True when a record had been made of any. */
static __always_inline bool sweep(struct task_struct *task, struct scratch *s)
{
    __u32 tgid = task->tgid, max = task->files->fdt->max_fds;

    s->sweep = 0;
    s->wanted = false;
    for (int i = 0; i < SWEEP_TURNS; i++)
        if (sweep_on(tgid, max))
            break;
    return s->wanted;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
    struct scratch *s = get_scratch();
    __u32 tgid = task->tgid;

    /* Other threads live on, or are just now coming by here themselves. */
    if (!s || task->signal->live.counter > 0)
        return 0;
    if (!is_watched(tgid)) {
        note_kin(tgid, task->real_parent->tgid, BPF_NOEXIST);
        return 0;
    }
    if (sweep(task, s) || every_close) {
        begin_record(task, &s->record, RECORD_EXIT, -1);
        deliver(s, RECORD_UNTIL(kind));
    }
    unwatch_process(tgid);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
