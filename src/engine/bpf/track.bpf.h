/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes are watched. */
#ifndef FILEMON_BPF_TRACK_H
#define FILEMON_BPF_TRACK_H

#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "inflight.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"

/* The first thread of some process has exited, and others live.  When one of these executes a
 * program it gets the number of the first one: a scan can miss it.  Read by the loader. */
volatile bool first_exited = false;

static __always_inline bool is_marked(__u32 tgid)
{
    __u32 line = tgid / PIDS_PER_LINE;
    __u8 *pids = bpf_map_lookup_elem(&is_watched_pid, &line);

    return pids && pids[tgid % PIDS_PER_LINE];
}

static __always_inline bool is_watched(__u32 tgid)
{
    return watch_all ? tgid != own_tgid : is_marked(tgid);
}

static __always_inline void set_watched(__u32 tgid, bool yes)
{
    __u32 line = tgid / PIDS_PER_LINE;
    __u8 *pids = bpf_map_lookup_elem(&is_watched_pid, &line);

    if (pids)
        pids[tgid % PIDS_PER_LINE] = yes;
}

/*
 * Watches a process and its descendants of so many levels.  on_fork() and scan_tasks() can find the
 * same process at the same moment.  True: the process was not watched before, or to fewer levels.
 *
 * The result of a map update is an int: before Linux 6.4 its upper half is undefined.
 */
static __always_inline bool watch_process(__u32 tgid, __u32 depth)
{
    struct process process = {depth, census}, *known;
    int result;

    if (tgid == own_tgid)
        return false;
    result = bpf_map_update_elem(&watched, &tgid, &process, BPF_NOEXIST);
    if (result == 0) {
        set_watched(tgid, true);
        __sync_fetch_and_add(&n_watched, 1);
        return true;
    }
    known = bpf_map_lookup_elem(&watched, &tgid);
    if (!known && result != -EEXIST)
        count_lost();
    if (!known || depth <= known->depth)
        return false;
    known->depth = depth;
    return true;
}

static __always_inline void unwatch_process(__u32 tgid)
{
    if (bpf_map_delete_elem(&watched, &tgid) != 0)
        return;
    set_watched(tgid, false);
    __sync_fetch_and_add(&n_watched, -1);
}

/*
 * The scan for the descendants of a process can miss some: a descendant that the scan has not
 * reached can fork and exit, and its child then has another parent.  So while a scan runs,
 * `parents` keeps the parent's tgid for each process outside the watched trees that is forked or
 * exits.
 */
volatile bool scanning_tasks = false;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, __u32);
} parents SEC(".maps");

static __always_inline void note_parent(__u32 tgid, __u32 parent, __u64 flags)
{
    if (scanning_tasks && (int)bpf_map_update_elem(&parents, &tgid, &parent, flags) == -E2BIG)
        count_lost();
}

/* The levels below a process whose ancestor, so many generations above, is watched to this depth.
 * False: the process is too far below. */
static __always_inline bool depth_below(__u32 depth, __u32 generation, __u32 *levels)
{
    *levels = depth == EVERY_GENERATION ? depth : depth - generation;
    return depth >= generation;
}

static __always_inline int fork_task(struct task_struct *parent, struct task_struct *child)
{
    __u32 tgid = child->tgid, from = parent->tgid;
    struct process *process;
    __u32 depth;

    if (stopping)
        return 0;
    if (tgid != from) {
        process = bpf_map_lookup_elem(&watched, &from);
        if (!process)
            note_parent(tgid, from, BPF_ANY);
        else if (depth_below(process->depth, 1, &depth))
            watch_process(tgid, depth);
    }
    forget_interrupted(child->pid, is_watched(tgid) ? THREAD_OUTSIDE : THREAD_UNKNOWN);
    /* Kernel threads open no descriptors; and those of vhost have no table. */
    if (!(child->flags & PF_KTHREAD) && child->files)
        begin_with_table(parent, child);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    return fork_task(untrusted(parent), untrusted(child));
}

/* Since Linux 6.2. */
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

SEC("tracepoint")
int on_fork_perf(struct trace_event_raw_sched_process_fork *ctx)
{
    /* Without CAP_SYS_ADMIN, libbpf before 1.5 does not load programs of which one refers to a
     * function that the kernel does not have, not even if no program that it loads does. */
    struct task_struct *child = DIRECT ? bpf_task_from_pid(ctx->child_pid) : NULL;

    if (!child)
        return 0;
    fork_task(current_task(), untrusted(child));
    bpf_task_release(child);
    return 0;
}

/* A census: scan_tasks() marks every watched process that is alive, so that the loader finds those
 * whose exit was not seen.  Set by the loader. */
bool taking_census;

static __always_inline void count_in_census(struct task_struct *task)
{
    __u32 tgid = task->tgid;
    struct process *process = bpf_map_lookup_elem(&watched, &tgid);

    if (process && task->signal->live.counter > 0)
        process->census = census;
}

/* The process that scan_tasks() looks for (0: none), whether it has found it, and whether it has
 * watched any process that was not watched before. */
__u32 target;
bool target_found, scan_has_news;

/* How many ancestors of a process are looked up in `parents`. */
#define ANCESTORS_MAX 32

static __always_inline bool is_descendant(struct task_struct *task, __u32 *depth)
{
    __u32 tgid = task->tgid, ancestor = task->real_parent->tgid;
    __u32 *parent = bpf_map_lookup_elem(&parents, &tgid);

    if (parent)
        ancestor = *parent;
    for (__u32 generation = 1; generation <= ANCESTORS_MAX; generation++) {
        struct process *known = bpf_map_lookup_elem(&watched, &ancestor);

        if (known)
            return depth_below(known->depth, generation, depth);
        parent = bpf_map_lookup_elem(&parents, &ancestor);
        if (!parent)
            return false;
        ancestor = *parent;
    }
    return false;
}

static __always_inline __s64 clock_offset_of(struct task_struct *task)
{
    struct nsproxy *namespaces = BPF_CORE_READ(task, nsproxy);

    if (!bpf_core_field_exists(namespaces->time_ns))
        return 0;
    return BPF_CORE_READ(namespaces, time_ns, offsets.monotonic.tv_sec) * 1000000000 +
           BPF_CORE_READ(namespaces, time_ns, offsets.monotonic.tv_nsec);
}

/* Runs in filemon itself, which reads the iterator. */
static __always_inline void find_self(void)
{
    struct task_struct *task = current_task();
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    struct upid *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
    __u32 level = BPF_CORE_READ(pid, level);
    struct upid *own = (void *)numbers + (__u64)level * bpf_core_type_size(struct upid);

    own_tgid = task->tgid;
    own_level = level;
    own_namespace = BPF_CORE_READ(own, ns);
    own_clock_offset = clock_offset_of(task);
}

/*
 * Runs for each task when the loader reads the iterator: watches the process `target`, and the
 * children of watched processes.  The loader repeats the scan until scan_has_news stays false.
 */
SEC("iter/task")
int scan_tasks(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    __u32 tgid, depth;

    if (!own_tgid)
        find_self();
    if (!task)
        return 0;
    task = untrusted(task);
    if (task->pid != task->tgid)
        return 0;
    tgid = task->tgid;
    if (taking_census) {
        count_in_census(task);
        return 0;
    }
    if (task->flags & PF_EXITING && task->signal->live.counter > 0)
        first_exited = true;
    if (target && process_number(task) == target) {
        target_found = true;
        depth = generations;
    } else if (!is_descendant(task, &depth)) {
        return 0;
    }
    if (watch_process(tgid, depth))
        scan_has_news = true;
    /* If it exited before watch_process(), its exit has not removed it. */
    if (task->signal->live.counter == 0)
        unwatch_process(tgid);
    return 0;
}

#endif
