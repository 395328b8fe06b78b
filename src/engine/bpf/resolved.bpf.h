/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths that hooks.bpf.h has read, by thread, until the exit of the call. */
#ifndef FILEMON_BPF_RESOLVED_H
#define FILEMON_BPF_RESOLVED_H

#include "state.bpf.h"

/* Set by the loader before it loads: the hooks are attached. */
const volatile bool resolving = false;

struct resolved {
    __u32 call; /* enum traced_call */
    __u16 walked, destination_walked;
    __u8 marks, destination_marks;
    bool wanted;               /* with -I: one of both is */
    char text[2 * PATH_BYTES]; /* both paths */
};

/* By the thread's pid.  Sized by the loader.  A call of a thread that finds no room has its path as
 * the program gave it. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct resolved));
} resolved_paths SEC(".maps");

/* One on each CPU, where an entry is written. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct resolved));
} resolved_room SEC(".maps");

static __always_inline struct resolved *new_resolved(void)
{
    __u32 key = 0;

    return resolving ? bpf_map_lookup_elem(&resolved_room, &key) : NULL;
}

/* Copies the path in s behind what is there; returns its length. */
static __always_inline __u32 keep_resolved(struct resolved *resolved, __u32 at, struct scratch *s)
{
    __u64 length = bounded(s->length, PATH_BYTES);

    bpf_probe_read_kernel(&resolved->text[bounded(at, PATH_BYTES)], length, s->payload);
    return length;
}

static __always_inline void store_resolved(struct task_struct *task, struct resolved *resolved)
{
    __u32 pid = task->pid;

    bpf_map_update_elem(&resolved_paths, &pid, resolved, BPF_ANY);
}

/* NULL: the call of this thread has not come by a hook. */
static __always_inline struct resolved *find_resolved(struct task_struct *task, __u32 call)
{
    __u32 pid = task->pid;
    struct resolved *resolved = resolving ? bpf_map_lookup_elem(&resolved_paths, &pid) : NULL;

    return resolved && resolved->call == call ? resolved : NULL;
}

static __always_inline void forget_resolved(struct task_struct *task)
{
    __u32 pid = task->pid;

    if (resolving)
        bpf_map_delete_elem(&resolved_paths, &pid);
}

#endif
