/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which opens are reported, apart from their paths: those for writing (-w), or of a user (-u). */
#ifndef FILEMON_STAP_ASKED_H
#define FILEMON_STAP_ASKED_H

#include "kernel.h"

#define FM_USERS 64 /* ENGINE_USERS_MAX of src/engine/engine.h */
static bool fm_writes;
static kuid_t fm_users[FM_USERS];
static u32 fm_n_users; /* 0: every user */

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

/* Whether an open of this thread with these flags is reported if its path is. */
static inline bool fm_is_asked_for(struct task_struct *task, u64 flags)
{
    return likely(!fm_writes || fm_is_for_writing(flags)) &&
           likely(!fm_n_users || fm_is_of_users(task));
}

#endif
