/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The paths of calls on names and attributes as the kernel resolved them.
 *
 * The kernel asks its security modules before it changes a name or an attribute, and then has the
 * directory, whose mount is known, and the dentry.  So if the functions that ask are probed, the
 * path is read there, before a rename moves it or an unlink removes it, and kept until the exit of
 * the call, which shows whether the call has succeeded.  Calls that do not come by have the name
 * that the program gave.
 */
#ifndef FILEMON_BPF_HOOKS_H
#define FILEMON_BPF_HOOKS_H

#include "changes.bpf.h"
#include "inodes.bpf.h"
#include "resolved.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* The call that this thread makes; TRACED_COUNT: none that is reported.  Others than the calls that
 * are followed come by, too: an open that creates a file, and io_uring. */
static __always_inline enum traced_call call_at_hook(struct task_struct *task)
{
    __u32 number = call_number(user_registers()), call;

    if (stopping || !is_watched(task->tgid) || task->flags & PF_IO_WORKER || number >= CALL_NUMBERS)
        return TRACED_COUNT;
    call = calls[bounded(number, CALL_NUMBERS)];
    call = call_is_compat(task) ? call >> 8 : call & 0xff;
    return call >= CALL_TRACED && call < CALL_OF_TABLE ? call - CALL_TRACED : TRACED_COUNT;
}

/* A name that is not there yet has no inode, and is in no hash of names: so it looks unlinked. */
static __always_inline void walk_name(struct scratch *s, struct dentry *dentry,
                                      struct vfsmount *mount)
{
    struct task_struct *task = current_task();

    s->record.marks = 0;
    walk_begin(task, s, dentry, mount);
    s->walk.unlinked = false;
    walk(s->program);
}

/* A name that is not there yet has no inode of its own, but directories. */
static __always_inline bool is_wanted_name(struct scratch *s, struct dentry *dentry,
                                           struct vfsmount *mount)
{
    walk_begin(current_task(), s, dentry, mount);
    return is_wanted_here(s);
}

SUBPROGRAM int resolve(__u64 mount, __u64 dentry, __u64 destination)
{
    struct task_struct *task = current_task();
    enum traced_call call = call_at_hook(task);
    struct scratch *s = get_scratch(ON_HOOK);
    struct resolved *resolved = new_resolved();

    if (call == TRACED_COUNT || !s || !resolved)
        return 0;
    resolved->call = call;
    if (by_inode)
        resolved->wanted = is_wanted_name(s, (void *)dentry, (void *)mount) ||
                           (destination && is_wanted_name(s, (void *)destination, (void *)mount));
    walk_name(s, (void *)dentry, (void *)mount);
    resolved->marks = s->record.marks;
    resolved->walked = keep_resolved(resolved, 0, s);
    resolved->destination_walked = resolved->destination_marks = 0;
    if (destination) {
        walk_name(s, (void *)destination, (void *)mount);
        resolved->destination_marks = s->record.marks;
        resolved->destination_walked = keep_resolved(resolved, resolved->walked, s);
    }
    store_resolved(task, resolved);
    return 0;
}

/* security_path_unlink(const struct path *dir, struct dentry *dentry), and those of rmdir, mkdir,
 * mknod and symlink, which have more arguments. */
SEC("kprobe")
int on_path_of_name(struct pt_regs *ctx)
{
    struct path *directory = (void *)ctx->di;

    resolve((__u64)BPF_CORE_READ(directory, mnt), ctx->si, 0);
    return 0;
}

/* security_path_link(struct dentry *old, const struct path *dir, struct dentry *new): both are on
 * the same mount. */
SEC("kprobe")
int on_path_of_link(struct pt_regs *ctx)
{
    struct path *directory = (void *)ctx->si;

    resolve((__u64)BPF_CORE_READ(directory, mnt), ctx->di, ctx->dx);
    return 0;
}

/* security_path_rename(const struct path *old_dir, struct dentry *old, const struct path *new_dir,
 * struct dentry *new, unsigned int flags): both are on the same mount. */
SEC("kprobe")
int on_path_of_rename(struct pt_regs *ctx)
{
    struct path *directory = (void *)ctx->di;

    resolve((__u64)BPF_CORE_READ(directory, mnt), ctx->si, ctx->cx);
    return 0;
}

/* security_path_truncate(const struct path *path), those of chmod and chown, and vfs_utimes(). */
SEC("kprobe")
int on_path(struct pt_regs *ctx)
{
    struct path *path = (void *)ctx->di;

    resolve((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry), 0);
    return 0;
}

#endif
