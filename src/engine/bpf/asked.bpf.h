/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which opens are reported, apart from their paths: those for writing (-w), or of a user (-u). */
#ifndef FILEMON_BPF_ASKED_H
#define FILEMON_BPF_ASKED_H

#include "state.bpf.h"

/* Set by the loader before it loads; if false, the verifier removes the check. */
const volatile bool only_writes = false;
const volatile bool only_users = false;

/* The users' numbers in the initial user namespace; the values are not used. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* the loader sets the size */
    __type(key, __u32);
    __type(value, __u8);
} users SEC(".maps");

#define O_ACCMODE 3 /* asm-generic/fcntl.h */
#define O_RDONLY 0
#define O_PATH 010000000

/* O_ACCMODE itself permits ioctl(2) alone (open(2)), and O_PATH ignores the access mode. */
static __always_inline bool is_for_writing(__u64 flags)
{
    __u64 access = flags & O_ACCMODE;

    return access != O_RDONLY && access != O_ACCMODE && !(flags & O_PATH);
}

/* real_cred: the kernel may override the other credentials for a moment (linux/cred.h). */
static __always_inline bool is_of_users(struct task_struct *task)
{
    __u32 user = task->real_cred->euid.val;

    return bpf_map_lookup_elem(&users, &user) != NULL;
}

/* Whether an open of this thread with these flags is reported if its path is. */
static __always_inline bool is_asked_for(struct task_struct *task, __u64 flags)
{
    return (!only_writes || is_for_writing(flags)) && (!only_users || is_of_users(task));
}

#endif
