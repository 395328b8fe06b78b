/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks from a dentry and its mount up to the root of the process, and writes the path. */
#ifndef FILEMON_BPF_WALK_H
#define FILEMON_BPF_WALK_H

#include "state.bpf.h"

/* Steps that a subprogram walks in one call, and calls in each of two nested loops: together more
 * than any path has components and mounts. */
#define WALK_STEPS 8
#define WALK_CALLS 18

#define PIPEFS_MAGIC 0x50495045 /* linux/magic.h */
#define NSFS_MAGIC 0x6e736673
#define PID_FS_MAGIC 0x50494446
#define SOCKFS_MAGIC 0x534f434b
#define ANON_INODE_FS_MAGIC 0x09041934

#define ANON_INODE "anon_inode:"
#define PIDFD ANON_INODE "[pidfd]"

#define BYTES_UNTIL(type, member)                                                                  \
    (bpf_core_field_offset(type, member) + bpf_core_field_size(type, member))
#define MEMBER(bytes, as, type, member) (*(as *)((bytes) + bpf_core_field_offset(type, member)))

/* Inline names, those in the dentry itself, are copied with this size, however short they are. */
#define INLINE_NAME 32

/* False: the kernel's structures are larger than those of any known kernel. */
static __always_inline bool structs_fit(void)
{
    return BYTES_UNTIL(struct dentry, d_sb) <= DENTRY_BYTES / 2 + INLINE_NAME &&
           BYTES_UNTIL(struct mount, mnt.mnt_root) <= MOUNT_BYTES;
}

/*
 * A helper call costs more than the bytes that it copies.  So one call reads the beginning of a
 * dentry or a mount, up to the last member that is used.  These macros access members in these
 * bytes, or in the structure itself where it does not fit.
 */
#define DENTRY(s, as, member)                                                                      \
    (structs_fit() ? MEMBER((s)->walk.dentry_bytes, as, struct dentry, member) : ({                \
        struct dentry *dentry_ = (s)->walk.dentry;                                                 \
        BPF_CORE_READ(dentry_, member);                                                            \
    }))
#define MOUNT(s, as, member)                                                                       \
    (structs_fit() ? MEMBER((s)->walk.mount_bytes, as, struct mount, member) : ({                  \
        struct mount *mount_ = (s)->walk.mount;                                                    \
        BPF_CORE_READ(mount_, member);                                                             \
    }))

static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    struct file *file = NULL;

    if (fd >= table->max_fds)
        return NULL;
    if (DIRECT) /* CAST needs a struct: llist_head has one pointer */
        return (void *)CAST(struct llist_head, table->fd + fd)->first;
    bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
    return file;
}

static __always_inline void read_mount(struct scratch *s)
{
    if (DIRECT) {
        s->walk.mount_root = CAST(struct mount, s->walk.mount)->mnt.mnt_root;
    } else {
        if (structs_fit())
            bpf_probe_read_kernel(s->walk.mount_bytes, BYTES_UNTIL(struct mount, mnt.mnt_root),
                                  s->walk.mount);
        s->walk.mount_root = MOUNT(s, struct dentry *, mnt.mnt_root);
    }
}

static __always_inline void read_dentry(struct scratch *s)
{
    if (DIRECT) {
        struct dentry *dentry = CAST(struct dentry, s->walk.dentry);

        s->walk.sequence = dentry->d_seq.seqcount.sequence;
        s->walk.parent = dentry->d_parent;
        s->walk.name_length = dentry->d_name.len;
        s->walk.name = (void *)dentry->d_name.name;
    } else {
        if (structs_fit())
            bpf_probe_read_kernel(s->walk.dentry_bytes, BYTES_UNTIL(struct dentry, d_sb),
                                  s->walk.dentry);
        s->walk.sequence = DENTRY(s, __u32, d_seq.seqcount.sequence);
        s->walk.parent = DENTRY(s, struct dentry *, d_parent);
        s->walk.name_length = DENTRY(s, __u32, d_name.len);
        s->walk.name = (void *)DENTRY(s, const unsigned char *, d_name.name);
    }
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
    return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void walk_begin_below(struct scratch *s, struct dentry *root_dentry,
                                             struct vfsmount *root_mnt, struct dentry *dentry,
                                             struct vfsmount *mnt)
{
    s->walk.dentry = dentry;
    s->walk.mount = mount_of(mnt);
    s->walk.root_dentry = root_dentry;
    s->walk.root_mount = mount_of(root_mnt);
    s->length = 0;
    s->components.count = 0;
    read_mount(s);
    read_dentry(s);
}

static __always_inline void walk_begin(struct task_struct *task, struct scratch *s,
                                       struct dentry *dentry, struct vfsmount *mnt)
{
    struct fs_struct *fs = task->fs;

    walk_begin_below(s, fs->root.dentry, fs->root.mnt, dentry, mnt);
}

static __always_inline void walk_file(struct task_struct *task, struct scratch *s,
                                      struct file *file)
{
    char path[32];

    if (DIRECT) {
        struct file *known = CAST(struct file, file);

        walk_begin(task, s, known->f_path.dentry, known->f_path.mnt);
        return;
    }
    bpf_probe_read_kernel(path, bpf_core_type_size(struct path),
                          (void *)file + bpf_core_field_offset(struct file, f_path));
    walk_begin(task, s, MEMBER(path, struct dentry *, struct path, dentry),
               MEMBER(path, struct vfsmount *, struct path, mnt));
}

/* Steps from the root of a mount to its mount point.  False: it is not mounted anywhere. */
static __always_inline bool walk_over_mount(struct scratch *s)
{
    struct mount *mount = DIRECT ? CAST(struct mount, s->walk.mount) : NULL;
    struct mount *parent = DIRECT ? mount->mnt_parent : MOUNT(s, struct mount *, mnt_parent);

    if (parent == s->walk.mount)
        return false;
    s->walk.dentry = DIRECT ? mount->mnt_mountpoint : MOUNT(s, struct dentry *, mnt_mountpoint);
    s->walk.mount = parent;
    read_mount(s);
    read_dentry(s);
    return true;
}

static __always_inline void copy_inline_name(struct scratch *s, char *to)
{
    __u64 inside = s->walk.name - (const char *)s->walk.dentry;
    struct dentry___shortname *newer;

    if (!DIRECT)
        copy_words(to, s->walk.dentry_bytes, bounded(inside, DENTRY_BYTES / 2), INLINE_NAME);
    else if (bpf_core_field_exists(newer->d_shortname))
        copy_words(to, CAST(struct dentry, s->walk.dentry),
                   bpf_core_field_offset(struct dentry___shortname, d_shortname), INLINE_NAME);
    else
        copy_words(to, CAST(struct dentry, s->walk.dentry),
                   bpf_core_field_offset(struct dentry, d_iname), INLINE_NAME);
}

/* Copies the name to this offset of the payload.  The next component overwrites what is copied
 * beyond its end. */
static __always_inline void copy_name(struct scratch *s, __u32 at, __u32 length)
{
    __u64 inside = s->walk.name - (const char *)s->walk.dentry;
    char *to = &s->payload[bounded(at, PATH_BYTES)];

    if (length <= INLINE_NAME && inside <= BYTES_UNTIL(struct dentry, d_sb) - INLINE_NAME &&
        (DIRECT || structs_fit()))
        copy_inline_name(s, to);
    else
        bpf_probe_read_kernel(to, bounded(length, PATH_BYTES), s->walk.name);
}

/* Whether the dentry was renamed or moved since read_dentry(). */
static __always_inline bool has_changed(struct scratch *s)
{
    struct dentry *dentry = s->walk.dentry;
    __u32 now;

    if (DIRECT)
        now = CAST(struct dentry, dentry)->d_seq.seqcount.sequence;
    else
        now = BPF_CORE_READ(dentry, d_seq.seqcount.sequence);
    return s->walk.sequence & 1 || now != s->walk.sequence;
}

static __always_inline bool is_unlinked(struct scratch *s)
{
    void *hashed = DIRECT ? CAST(struct dentry, s->walk.dentry)->d_hash.pprev
                          : DENTRY(s, void *, d_hash.pprev);

    return !hashed && s->walk.parent != s->walk.dentry;
}

/* The kernel appends this to the paths of unlinked files in /proc. */
#define DELETED " (deleted)"

static __always_inline void append_component(struct scratch *s, __u32 length)
{
    __u32 end = s->length + length;

    s->components.start[s->components.count++ & (MAX_COMPONENTS - 1)] = s->length;
    if (s->walk.unlinked && s->length == 0) {
        __builtin_memcpy(&s->payload[bounded(end, PATH_BYTES)], DELETED, sizeof(DELETED) - 1);
        end += sizeof(DELETED) - 1;
    }
    s->payload[bounded(end, 2 * PATH_BYTES)] = '/';
    s->length = end + 1;
}

/*
 * Whether the walk has ended at a dentry without a parent that is the root of no mount on the way.
 * No mount of the process shows the file: open_by_handle_at(2) can open a file whose directory is
 * not in the dentry cache, or that is outside of what a bind mount shows; and a directory can be
 * moved out of that.
 */
static __always_inline bool is_outside_mounts(struct scratch *s)
{
    return s->walk.parent == s->walk.dentry && s->walk.dentry != s->walk.mount_root;
}

/* As the kernel names a file outside of all mounts: "/", or "/ (deleted)". */
static __always_inline void name_outside(struct scratch *s)
{
    s->length = s->components.count = 0;
    if (s->walk.unlinked)
        append_component(s, 0);
}

/* Walks over one component or one mount.  True: the path is complete, or too long. */
static __always_inline bool walk_step(struct scratch *s)
{
    struct dentry *parent = s->walk.parent;
    __u32 length = s->walk.name_length;

    if (s->walk.dentry == s->walk.root_dentry && s->walk.mount == s->walk.root_mount)
        return true;
    if (s->walk.dentry == s->walk.mount_root)
        return !walk_over_mount(s);
    if (is_outside_mounts(s)) {
        name_outside(s);
        return true;
    }
    if (s->length + length >= PATH_BYTES - 1) {
        s->record.marks |= MARK_CUT;
        return true;
    }
    copy_name(s, s->length, length);
    /* Renamed meanwhile: name and parent may not belong together, so this step is repeated. */
    if (!has_changed(s)) {
        append_component(s, length);
        s->walk.dentry = parent;
    }
    if (s->walk.dentry != s->walk.mount_root)
        read_dentry(s);
    return false;
}

/* Walks some steps.  True: the walk is complete. */
SUBPROGRAM bool walk_steps(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < WALK_STEPS; i++) {
        if (walk_step(s))
            return true;
        barrier();
    }
    return false;
}

SUBPROGRAM bool walk_on(__u32 program)
{
    for (int i = 0; i < WALK_CALLS; i++)
        if (walk_steps(program))
            return true;
    return false;
}

/* Walks to the root.  A path that is longer than all calls walk is marked as cut. */
SUBPROGRAM int walk(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; i < WALK_CALLS; i++)
        if (walk_on(program))
            return 0;
    if (s)
        s->record.marks |= MARK_CUT;
    return 0;
}

/* Components that a subprogram looks up in one call, and calls in each of two nested loops:
 * together those of the longest path. */
#define COMPONENTS 8
#define COMPONENT_CALLS 16
_Static_assert(COMPONENTS *COMPONENT_CALLS *COMPONENT_CALLS == MAX_COMPONENTS, "");

/* Copies a component, counted from the last, to the key of s->lookup.  False: it is longer than
 * any name in the map. */
static __always_inline bool take_component(struct scratch *s, __u32 index, __u32 longest)
{
    __u32 at = s->components.start[index & (MAX_COMPONENTS - 1)];
    __u32 length = s->components.taken - at - 1;

    s->components.taken = at;
    if (s->walk.unlinked &&
        index == 0) /* without the suffix: an unlinked file still matches by its name */
        length -= sizeof(DELETED) - 1;
    if (length > longest)
        return false;
    __builtin_memset(s->lookup.key.name, 0, sizeof(s->lookup.key.name));
    bpf_probe_read_kernel(s->lookup.key.name, bounded(length, NAME_BYTES + 1),
                          &s->payload[bounded(at, PATH_BYTES)]);
    return true;
}

#define SET_PATH(s, text)                                                                          \
    (__builtin_memcpy((s)->payload, text, sizeof(text) - 1), (s)->length = sizeof(text) - 1)

/* Appends the name of the dentry to the payload. */
static __always_inline void append_own_name(struct scratch *s)
{
    __u64 at = bounded(s->length, 64);
    long size = bpf_probe_read_kernel_str(s->payload + at, PATH_BYTES - 64, s->walk.name);

    s->length = at + (size > 0 ? size - 1 : 0);
}

static __always_inline void set_namespace_type(struct scratch *s, struct inode *inode)
{
    struct ns_common *ns = BPF_CORE_READ(inode, i_private);
    long size = bpf_probe_read_kernel_str(s->payload, 64, BPF_CORE_READ(ns, ops, name));

    s->length = size > 0 ? size - 1 : 0;
}

/*
 * Writes the name of a file that is in no directory, as the kernel names it: pipe:[5],
 * net:[4026531840], anon_inode:[pidfd], /memfd:name (deleted).  False: the file has a path.
 */
static __always_inline bool write_pathless_name(struct scratch *s)
{
    struct dentry *dentry = s->walk.dentry;
    struct inode *inode;
    unsigned long magic;

    if (!is_outside_mounts(s))
        return false;
    if (!BPF_CORE_READ(dentry, d_op, d_dname))
        return false;
    magic = BPF_CORE_READ(dentry, d_sb, s_magic);
    inode = BPF_CORE_READ(dentry, d_inode);
    s->record.inode = BPF_CORE_READ(inode, i_ino);
    s->record.marks |= MARK_TEXT;
    if (magic == PIPEFS_MAGIC || magic == SOCKFS_MAGIC || magic == NSFS_MAGIC)
        s->record.marks |= MARK_INODE;
    if (magic == PIPEFS_MAGIC) {
        SET_PATH(s, "pipe");
    } else if (magic == SOCKFS_MAGIC) {
        SET_PATH(s, "socket");
    } else if (magic == NSFS_MAGIC) {
        set_namespace_type(s, inode);
    } else if (magic == PID_FS_MAGIC) {
        SET_PATH(s, PIDFD);
    } else if (magic == ANON_INODE_FS_MAGIC) {
        SET_PATH(s, ANON_INODE);
        append_own_name(s);
    } else {
        SET_PATH(s, "/");
        append_own_name(s);
        __builtin_memcpy(&s->payload[bounded(s->length, PATH_BYTES)], DELETED, sizeof(DELETED) - 1);
        s->length += sizeof(DELETED) - 1;
    }
    s->record.walked = s->length;
    return true;
}

#endif
