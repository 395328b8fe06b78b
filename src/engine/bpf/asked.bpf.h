/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which opens are reported, apart from their paths: those for writing (-w), of a user (-u), or in a
 * control group (-g). */
#ifndef FILEMON_BPF_ASKED_H
#define FILEMON_BPF_ASKED_H

#include "state.bpf.h"
#include "track.bpf.h"

/* Set by the loader before it loads; if false, the verifier removes the check. */
const volatile bool report_opens = true; /* if false, only those that fail, if any */
const volatile bool only_writes = false;
const volatile bool only_users = false;
const volatile bool only_groups = false;

/* The users' numbers in the initial user namespace; the values are not used. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* the loader sets the size */
    __type(key, __u32);
    __type(value, __u8);
} users SEC(".maps");

/* The ids of control groups (cgroups(7)) of the unified hierarchy. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* the loader sets the size */
    __type(key, __u64);
    __type(value, __u8);
} groups SEC(".maps");

#define O_ACCMODE 3 /* asm-generic/fcntl.h */
#define O_RDONLY 0
#define O_PATH 010000000

/* O_ACCMODE itself permits ioctl(2) alone (open(2)), and O_PATH ignores the access mode. */
static __always_inline bool is_for_writing(__u64 flags)
{
    __u64 access = flags & O_ACCMODE;

    return access != O_RDONLY && access != O_ACCMODE && !(flags & O_PATH);
}

static __always_inline bool is_of_users(struct task_struct *task)
{
    __u32 user = effective_user(task);

    return bpf_map_lookup_elem(&users, &user) != NULL;
}

/* A group is found less than so many levels above the thread's own, as the page says. */
#define GROUP_LEVELS 64

/* Whether the thread is in one of the groups, or below. */
SUBPROGRAM bool is_in_groups(__u64 task)
{
    struct cgroup *group = BPF_CORE_READ((struct task_struct *)task, cgroups, dfl_cgrp);

    for (int i = 0; group && i < GROUP_LEVELS; i++) {
        __u64 id = BPF_CORE_READ(group, kn, id);
        struct cgroup_subsys_state *parent = BPF_CORE_READ(group, self.parent);

        if (bpf_map_lookup_elem(&groups, &id))
            return true;
        group = parent ? (void *)parent - bpf_core_field_offset(struct cgroup, self) : NULL;
        barrier();
    }
    return false;
}

/* With -g every process is watched; those of -p and -n have a mark in addition. */
static __always_inline bool is_of_targets(struct task_struct *task)
{
    return is_marked(task->tgid) || is_in_groups(address_of(task));
}

/* Whether what this thread does is reported. */
static __always_inline bool is_of_asked(struct task_struct *task)
{
    return (!only_users || is_of_users(task)) && (!only_groups || is_of_targets(task));
}

/* Whether an open of this thread with these flags is reported if its path is. */
static __always_inline bool is_asked_for(struct task_struct *task, __u64 flags)
{
    return (!only_writes || is_for_writing(flags)) && is_of_asked(task);
}

#endif
