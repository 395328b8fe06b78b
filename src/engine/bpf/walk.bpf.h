/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a dentry and its mount to a path, as the root of the process sees it. */
#ifndef FILEMON_BPF_WALK_H
#define FILEMON_BPF_WALK_H

#include "state.bpf.h"

/* Together more than any path takes, mounts included. */
#define WALK_TURNS 320
#define WALK_STEPS 8

#define PIPEFS_MAGIC 0x50495045 /* linux/magic.h */
#define NSFS_MAGIC 0x6e736673
#define PID_FS_MAGIC 0x50494446
#define SOCKFS_MAGIC 0x534f434b
#define ANON_INODE_FS_MAGIC 0x09041934

#define ANON_INODE "anon_inode:"
#define PIDFD ANON_INODE "[pidfd]"

/*
 * A call of a helper costs more than the bytes that it copies: so a dentry and a mount are read at
 * once, as far as their last member of interest, and the members taken out of these bytes.
 */
#define BYTES_UNTIL(type, member)                                                                  \
    (bpf_core_field_offset(type, member) + bpf_core_field_size(type, member))
#define MEMBER(bytes, as, type, member) (*(as *)((bytes) + bpf_core_field_offset(type, member)))
#define DENTRY(s, as, member) MEMBER((s)->walk.dentry_bytes, as, struct dentry, member)
#define MOUNT(s, as, member) MEMBER((s)->walk.mount_bytes, as, struct mount, member)

static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    struct file *file = NULL;

    if (fd >= table->max_fds)
        return NULL;
    if (DIRECT) /* a struct that is a pointer and nothing else, for the type must be a struct */
        return (void *)CAST(struct llist_head, table->fd + fd)->first;
    bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
    return file;
}

/* Of a name that lies in its dentry so much is copied, how long it may be. */
#define SHORT_NAME 32

static __always_inline void read_mount(struct scratch *s)
{
    if (DIRECT) {
        s->walk.mount_root = CAST(struct mount, s->walk.mount)->mnt.mnt_root;
    } else {
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
        bpf_probe_read_kernel(s->walk.dentry_bytes, BYTES_UNTIL(struct dentry, d_sb),
                              s->walk.dentry);
        s->walk.sequence = DENTRY(s, __u32, d_seq.seqcount.sequence);
        s->walk.parent = DENTRY(s, struct dentry *, d_parent);
        s->walk.name_length = DENTRY(s, __u32, d_name.len);
        s->walk.name = DENTRY(s, const char *, d_name.name);
    }
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
    return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* False: a kernel whose structures are larger than any that is known; nothing is copied then. */
static __always_inline bool structures_fit(void)
{
    return BYTES_UNTIL(struct dentry, d_sb) <= DENTRY_BYTES / 2 + SHORT_NAME &&
           BYTES_UNTIL(struct mount, mnt.mnt_root) <= MOUNT_BYTES;
}

static __always_inline void walk_begin(struct task_struct *task, struct scratch *s,
                                       struct dentry *dentry, struct vfsmount *mnt)
{
    struct fs_struct *fs = task->fs;

    s->walk.dentry = dentry;
    s->walk.mount = mount_of(mnt);
    s->walk.root_dentry = fs->root.dentry;
    s->walk.root_mount = mount_of(fs->root.mnt);
    s->length = 0;
    s->components.count = 0;
    if (!structures_fit()) {
        count_lost();
        return;
    }
    read_mount(s);
    read_dentry(s);
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

/* From the root of a mount to the place where it is mounted; false: there is none. */
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

static __always_inline void copy_short_name(struct scratch *s, char *to)
{
    __u64 inside = s->walk.name - (const char *)s->walk.dentry;
    struct dentry___shortname *newer;

    if (!DIRECT)
        copy_words(to, s->walk.dentry_bytes, bounded(inside, DENTRY_BYTES / 2), SHORT_NAME);
    else if (bpf_core_field_exists(newer->d_shortname))
        copy_words(to, CAST(struct dentry, s->walk.dentry),
                   bpf_core_field_offset(struct dentry___shortname, d_shortname), SHORT_NAME);
    else
        copy_words(to, CAST(struct dentry, s->walk.dentry),
                   bpf_core_field_offset(struct dentry, d_iname), SHORT_NAME);
}

/* The name to this place of the payload.  What is copied beyond its end is written over. */
static __always_inline void copy_name(struct scratch *s, __u32 at, __u32 length)
{
    __u64 inside = s->walk.name - (const char *)s->walk.dentry;
    char *to = &s->payload[bounded(at, PATH_BYTES)];

    if (length <= SHORT_NAME && inside <= BYTES_UNTIL(struct dentry, d_sb) - SHORT_NAME)
        copy_short_name(s, to);
    else
        bpf_probe_read_kernel(to, bounded(length, PATH_BYTES), s->walk.name);
}

static __always_inline bool was_renamed(struct scratch *s)
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

/* As the kernel does in /proc: a file that has lost its name has this put after it. */
#define DELETED " (deleted)"

static __always_inline void put_component(struct scratch *s, __u32 length)
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

/* One component or one mount; true: the path is whole, or it cannot be. */
static __always_inline bool walk_step(struct scratch *s)
{
    struct dentry *parent = s->walk.parent;
    __u32 length = s->walk.name_length;

    if (s->walk.dentry == s->walk.root_dentry && s->walk.mount == s->walk.root_mount)
        return true;
    if (s->walk.dentry == s->walk.mount_root)
        return !walk_over_mount(s);
    if (parent == s->walk.dentry)
        return true;
    if (s->length + length >= PATH_BYTES - 1) {
        s->record.marks |= MARK_CUT;
        return true;
    }
    copy_name(s, s->length, length);
    /* Old name and new parent must not be mixed: take this step again. */
    if (!was_renamed(s)) {
        put_component(s, length);
        s->walk.dentry = parent;
    }
    if (s->walk.dentry != s->walk.mount_root)
        read_dentry(s);
    return false;
}

/* Some steps; true: there is nothing more to walk. */
TURN bool walk_on(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < WALK_STEPS; i++) {
        if (walk_step(s))
            return true;
        barrier();
    }
    return false;
}

/* All of them; what is still to be walked then has been cut off. */
TURN int walk(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; i < WALK_TURNS; i++)
        if (walk_on(program))
            return 0;
    if (s)
        s->record.marks |= MARK_CUT;
    return 0;
}

/* Components looked at in one turn, and turns for the most there can be. */
#define COMPONENTS 16
#define COMPONENT_TURNS (MAX_COMPONENTS / COMPONENTS)

/* A component, counted from the last, as the name in s->lookup.key; false: it is too long. */
static __always_inline bool take_component(struct scratch *s, __u32 index, __u32 longest)
{
    __u32 at = s->components.start[index & (MAX_COMPONENTS - 1)];
    __u32 length = s->components.taken - at - 1;

    s->components.taken = at;
    if (s->walk.unlinked && index == 0) /* the file still matches by the name that it had */
        length -= sizeof(DELETED) - 1;
    if (length > longest)
        return false;
    __builtin_memset(s->lookup.key.name, 0, sizeof(s->lookup.key.name));
    bpf_probe_read_kernel(s->lookup.key.name, bounded(length, NAME_BYTES + 1),
                          &s->payload[bounded(at, PATH_BYTES)]);
    return true;
}

#define PUT(s, text)                                                                               \
    (__builtin_memcpy((s)->payload, text, sizeof(text) - 1), (s)->length = sizeof(text) - 1)

/* What the dentry itself is called, after what is in the payload. */
static __always_inline void put_own_name(struct scratch *s)
{
    __u64 at = bounded(s->length, 64);
    long size = bpf_probe_read_kernel_str(s->payload + at, PATH_BYTES - 64, s->walk.name);

    s->length = at + (size > 0 ? size - 1 : 0);
}

static __always_inline void put_kind_of_namespace(struct scratch *s, struct inode *inode)
{
    struct ns_common *ns = BPF_CORE_READ(inode, i_private);
    long size = bpf_probe_read_kernel_str(s->payload, 64, BPF_CORE_READ(ns, ops, name));

    s->length = size > 0 ? size - 1 : 0;
}

/*
 * Files of the kernel's own, which lie in no directory, named as it names them: pipe:[5],
 * net:[4026531840], anon_inode:[pidfd], /memfd:name (deleted).  False: the file has a path.
 */
static __always_inline bool name_pathless(struct scratch *s)
{
    struct dentry *dentry = s->walk.dentry;
    struct inode *inode;
    unsigned long magic;

    if (s->walk.parent != s->walk.dentry || s->walk.mount_root == s->walk.dentry)
        return false;
    /* Its directory is not in the dentry cache (open_by_handle_at): the kernel, too, says "/". */
    if (!BPF_CORE_READ(dentry, d_op, d_dname))
        return false;
    magic = BPF_CORE_READ(dentry, d_sb, s_magic);
    inode = BPF_CORE_READ(dentry, d_inode);
    s->record.inode = BPF_CORE_READ(inode, i_ino);
    s->record.marks |= MARK_TEXT;
    if (magic == PIPEFS_MAGIC || magic == SOCKFS_MAGIC || magic == NSFS_MAGIC)
        s->record.marks |= MARK_INODE;
    if (magic == PIPEFS_MAGIC) {
        PUT(s, "pipe");
    } else if (magic == SOCKFS_MAGIC) {
        PUT(s, "socket");
    } else if (magic == NSFS_MAGIC) {
        put_kind_of_namespace(s, inode);
    } else if (magic == PID_FS_MAGIC) {
        PUT(s, PIDFD);
    } else if (magic == ANON_INODE_FS_MAGIC) {
        PUT(s, ANON_INODE);
        put_own_name(s);
    } else {
        PUT(s, "/");
        put_own_name(s);
        __builtin_memcpy(&s->payload[bounded(s->length, PATH_BYTES)], DELETED, sizeof(DELETED) - 1);
        s->length += sizeof(DELETED) - 1;
    }
    s->record.walked = s->length;
    return true;
}

#endif
