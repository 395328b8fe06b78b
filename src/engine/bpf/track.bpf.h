/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes are watched. */
#ifndef FILEMON_BPF_TRACK_H
#define FILEMON_BPF_TRACK_H

#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "inflight.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"

static __always_inline bool is_watched(__u32 tgid)
{
    __u32 line = tgid / PIDS_PER_LINE;
    __u8 *pids;

    if (watch_all)
        return tgid != own_tgid;
    pids = bpf_map_lookup_elem(&is_watched_pid, &line);
    return pids && pids[tgid % PIDS_PER_LINE];
}

static __always_inline void set_watched(__u32 tgid, bool yes)
{
    __u32 line = tgid / PIDS_PER_LINE;
    __u8 *pids = bpf_map_lookup_elem(&is_watched_pid, &line);

    if (pids)
        pids[tgid % PIDS_PER_LINE] = yes;
}

/* What updates of a map return is compared as an int: before 6.4 its upper half is not extended. */

/* True when that is more than was watched before.  on_fork() and seek() may come upon one at once.
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
 * The search for the descendants that a process has already (seek, below) can be outrun: a process
 * that is not known yet forks and is gone before it is come upon, and its child then has another
 * parent.  So while a search goes on, forks and ends outside the watched tree are kept here: from a
 * tgid to its parent's.
 */
volatile bool seeking = false;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, __u32);
} kin SEC(".maps");

static __always_inline void note_kin(__u32 tgid, __u32 parent, __u64 flags)
{
    if (seeking && (int)bpf_map_update_elem(&kin, &tgid, &parent, flags) == -E2BIG)
        count_lost();
}

/* A watched ancestor at this many generations leaves so many more; false: too far. */
static __always_inline bool depth_below(__u32 depth, __u32 generation, __u32 *left_over)
{
    *left_over = depth == EVERY_GENERATION ? depth : depth - generation;
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
            note_kin(tgid, from, BPF_ANY);
        else if (depth_below(process->depth, 1, &depth))
            watch_process(tgid, depth);
    }
    forget_interrupted(child->pid, is_watched(tgid) ? THREAD_OUTSIDE : THREAD_UNKNOWN);
    /* Kernel threads open no descriptors; those of vhost have no table. */
    if (!(child->flags & PF_KTHREAD) && child->files)
        begin_with_table(parent, child);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    return fork_task(walkable(parent), walkable(child));
}

/* From 6.2 on. */
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

SEC("tracepoint")
int on_fork_perf(struct trace_event_raw_sched_process_fork *ctx)
{
    struct task_struct *child = bpf_task_from_pid(ctx->child_pid);

    if (!child)
        return 0;
    fork_task(current_task(), walkable(child));
    bpf_task_release(child);
    return 0;
}

/* seek() marks the processes that live: the loader then knows those whose end was missed. */
bool taking_census;

static __always_inline void count_in_census(struct task_struct *task)
{
    __u32 tgid = task->tgid;
    struct process *process = bpf_map_lookup_elem(&watched, &tgid);

    if (process && task->signal->live.counter > 0)
        process->census = census;
}

/* What seek() looks for, and whether it came upon anything new. */
__u32 sought;
bool sought_seen, seek_news;

/* The most dead generations between a process and its next watched ancestor. */
#define KIN_GENERATIONS 32

static __always_inline bool is_descendant(struct task_struct *task, __u32 *depth)
{
    __u32 tgid = task->tgid, ancestor = task->real_parent->tgid;
    __u32 *parent = bpf_map_lookup_elem(&kin, &tgid);

    if (parent)
        ancestor = *parent;
    for (__u32 generation = 1; generation <= KIN_GENERATIONS; generation++) {
        struct process *known = bpf_map_lookup_elem(&watched, &ancestor);

        if (known)
            return depth_below(known->depth, generation, depth);
        parent = bpf_map_lookup_elem(&kin, &ancestor);
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
 * Runs for each task when the loader reads the iterator: watches the process `sought`, and the
 * children of whatever is watched.  To be repeated until there is no news.
 */
SEC("iter/task")
int seek(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    __u32 tgid, depth;

    if (!own_tgid)
        find_self();
    if (!task)
        return 0;
    task = walkable(task);
    if (task->pid != task->tgid)
        return 0;
    tgid = task->tgid;
    if (taking_census) {
        count_in_census(task);
        return 0;
    }
    if (sought && process_number(task) == sought) {
        sought_seen = true;
        depth = generations;
    } else if (!is_descendant(task, &depth)) {
        return 0;
    }
    if (watch_process(tgid, depth))
        seek_news = true;
    /* It may have ended between, before it could be taken off. */
    if (task->signal->live.counter == 0)
        unwatch_process(tgid);
    return 0;
}

#endif
