/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about a thread that -F asks for, in front of its records. */
#ifndef FILEMON_BPF_FACTS_H
#define FILEMON_BPF_FACTS_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "record.h"

/* The facts to add, a set.  Set by the loader before it loads; if 0, the verifier removes the code
 * for facts, and records have none. */
const volatile __u32 facts_asked = 0;

static __always_inline bool is_asked(__u32 fact)
{
    return facts_asked & fact;
}

static __always_inline struct record_facts *facts_of(struct record *record)
{
    return (struct record_facts *)record - 1;
}

/* real_cred: the kernel may override the other credentials for a moment (linux/cred.h). */
static __always_inline __u32 effective_user(struct task_struct *task)
{
    return task->real_cred->euid.val;
}

/* The executable of a process.  The first three members tell whether it is still the same: the
 * start of the process, since process ids are reused; how many programs its thread has executed;
 * and the file, which prctl(2) can change (PR_SET_MM_EXE_FILE). */
struct executable {
    __u64 born, execs, file;
    __u64 number; /* unique: see new_number() */
    __u64 before; /* how many were delivered before it: see may_be_forgotten() */
};

/* By tgid.  Sized by the loader.  An evicted executable gets another number. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct executable);
} executables SEC(".maps");

static __always_inline __u64 birth_of(struct task_struct *task)
{
    return BPF_CORE_READ(task, group_leader, start_time);
}

/* The number that note_executable() has found when this call or an earlier one began; 0: none. */
static __always_inline __u64 executable_number(struct task_struct *task)
{
    __u32 tgid = task->tgid;
    struct executable *known = bpf_map_lookup_elem(&executables, &tgid);

    return known && known->born == birth_of(task) ? known->number : 0;
}

static __always_inline void begin_facts(struct task_struct *task, struct record_facts *facts)
{
    __builtin_memset(facts, 0, sizeof(*facts));
    if (is_asked(FACT(USER))) {
        facts->user = effective_user(task);
        facts->known |= FACT(USER);
    }
    if (is_asked(FACT(MOUNTS))) {
        facts->mounts = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
        facts->known |= facts->mounts ? FACT(MOUNTS) : 0; /* an exiting thread has none */
    }
    if (is_asked(FACT(GROUP))) {
        facts->group = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
        facts->known |= FACT(GROUP);
    }
    if (is_asked(FACTS_OF_PROGRAM)) {
        facts->executable = executable_number(task);
        facts->known |= facts->executable ? FACT(EXECUTABLE) : 0;
    }
}

/* Adds the file of the record. */
static __always_inline void add_file(struct record *record, struct file *file)
{
    struct record_facts *facts = facts_of(record);

    if (!is_asked(FACT(FILE)))
        return;
    facts->inode = BPF_CORE_READ(file, f_inode, i_ino);
    facts->device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
    facts->known |= FACT(FILE);
}

#endif
