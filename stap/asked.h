/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which opens are reported, apart from their paths: those for writing (-w), of a user (-u), or in a
 * control group (-g). */
#ifndef FILEMON_STAP_ASKED_H
#define FILEMON_STAP_ASKED_H

#include "watch.h"

#define FM_USERS 64 /* ENGINE_USERS_MAX of src/engine/engine.h */
static bool fm_writes;
static bool fm_no_opens; /* only those that fail, if any */
static kuid_t fm_users[FM_USERS];
static u32 fm_n_users; /* 0: every user */

/* Ids of control groups (cgroups(7)) of the unified hierarchy. */
#define FM_GROUPS 64 /* ENGINE_GROUPS_MAX of src/engine/engine.h */
static u64 fm_groups[FM_GROUPS];
static u32 fm_n_groups; /* 0: every process that is watched */

static void fm_group_add(u64 id)
{
    if (fm_n_groups < FM_GROUPS)
        fm_groups[fm_n_groups++] = id;
}

static void fm_user_add(kuid_t user)
{
    if (fm_n_users < FM_USERS)
        fm_users[fm_n_users++] = user;
}

/* O_ACCMODE itself permits ioctl(2) alone (open(2)), and O_PATH ignores the access mode. */
static inline bool fm_is_for_writing(u64 flags)
{
    u64 access = flags & O_ACCMODE;

    return access != O_RDONLY && access != O_ACCMODE && !(flags & O_PATH);
}

static bool fm_is_of_users(struct task_struct *task)
{
    kuid_t user = task_euid(task);
    u32 i;

    for (i = 0; i < fm_n_users; i++)
        if (uid_eq(fm_users[i], user))
            return true;
    return false;
}

static bool fm_is_group(u64 id)
{
    u32 i;

    for (i = 0; i < fm_n_groups; i++)
        if (fm_groups[i] == id)
            return true;
    return false;
}

/* Whether the thread is in one of the groups, or below.  Probes run with preemption off, which
 * keeps the set of groups of an exiting or moving thread (RCU). */
static bool fm_is_in_groups(struct task_struct *task)
{
    struct cgroup *group = task_dfl_cgroup(task);

    for (; group; group = cgroup_parent(group))
        if (fm_is_group(cgroup_id(group)))
            return true;
    return false;
}

/* With -g every process is watched; those of -p and -n have a mark in addition. */
static bool fm_is_of_targets(struct task_struct *task)
{
    return fm_mark_of(task) || fm_is_in_groups(task);
}

/* Whether what this thread does is reported. */
static inline bool fm_is_of_asked(struct task_struct *task)
{
    return likely(!fm_n_users || fm_is_of_users(task)) &&
           likely(!fm_n_groups || fm_is_of_targets(task));
}

/* Whether an open of this thread with these flags is reported if its path is. */
static inline bool fm_is_asked_for(struct task_struct *task, u64 flags)
{
    return likely(!fm_writes || fm_is_for_writing(flags)) && fm_is_of_asked(task);
}

#endif
