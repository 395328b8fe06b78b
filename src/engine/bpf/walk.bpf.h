/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a dentry and its mount to a path, as the root of the process sees it. */
#ifndef FILEMON_BPF_WALK_H
#define FILEMON_BPF_WALK_H

/* Together more than any path takes, mounts included. */
#define WALK_TURNS 320
#define WALK_STEPS 8

#define PIPEFS_MAGIC 0x50495045 /* linux/magic.h */
#define NSFS_MAGIC 0x6e736673

#define DELETED " (deleted)"

static __always_inline void walk_begin(struct scratch *s, struct path *from)
{
    struct fs_struct *fs = BPF_CORE_READ(current_task(), fs);

    s->dentry = BPF_CORE_READ(from, dentry);
    s->mnt = BPF_CORE_READ(from, mnt);
    s->mnt_root = BPF_CORE_READ(from, mnt, mnt_root);
    s->root_dentry = BPF_CORE_READ(fs, root.dentry);
    s->root_mnt = BPF_CORE_READ(fs, root.mnt);
    s->start = s->end = PATH_BYTES;
    s->n_components = 0;
}

/* As the kernel does in /proc: a file that has lost its name has this put after it. */
static __always_inline void mark_unlinked(struct scratch *s)
{
    struct dentry *dentry = s->dentry;

    if (BPF_CORE_READ(dentry, d_hash.pprev) || BPF_CORE_READ(dentry, d_parent) == dentry)
        return;
    __builtin_memcpy(&s->room[PATH_BYTES], DELETED, sizeof(DELETED) - 1);
    s->end = PATH_BYTES + sizeof(DELETED) - 1;
}

/* From the root of a mount to the place where it is mounted; false: there is none. */
static __always_inline bool walk_over_mount(struct scratch *s)
{
    struct mount *mount = (void *)s->mnt - bpf_core_field_offset(struct mount, mnt);
    struct mount *parent = BPF_CORE_READ(mount, mnt_parent);

    if (parent == mount)
        return false;
    s->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
    s->mnt = &parent->mnt;
    s->mnt_root = BPF_CORE_READ(parent, mnt.mnt_root);
    return true;
}

static __always_inline void write_name(struct scratch *s, __u32 at, const void *name, __u32 length)
{
    s->room[at & (PATH_BYTES - 1)] = '/';
    bpf_probe_read_kernel(&s->room[(at + 1) & (PATH_BYTES - 1)], length & (PATH_BYTES - 1), name);
}

/* One component or one mount; true: the path is whole, or it cannot be. */
static __always_inline bool walk_step(struct scratch *s)
{
    struct dentry *dentry = s->dentry, *parent;
    __u32 sequence, length;

    if (dentry == s->root_dentry && s->mnt == s->root_mnt)
        return true;
    if (dentry == s->mnt_root)
        return !walk_over_mount(s);
    sequence = BPF_CORE_READ(dentry, d_seq.seqcount.sequence);
    parent = BPF_CORE_READ(dentry, d_parent);
    if (parent == dentry)
        return true;
    length = BPF_CORE_READ(dentry, d_name.len);
    if (length >= s->start - 1) {
        s->record.marks |= MARK_CUT;
        return true;
    }
    write_name(s, s->start - length - 1, BPF_CORE_READ(dentry, d_name.name), length);
    /* Renamed meanwhile: old name and new parent must not be mixed; take this step again. */
    if (sequence & 1 || BPF_CORE_READ(dentry, d_seq.seqcount.sequence) != sequence)
        return false;
    s->start -= length + 1;
    s->component[s->n_components++ & (MAX_COMPONENTS - 1)] = s->start;
    s->dentry = parent;
    return false;
}

/* Some steps; true: there is nothing more to walk. */
TURN bool walk_on(void)
{
    struct scratch *s = get_scratch();

    for (int i = 0; s && i < WALK_STEPS; i++) {
        if (walk_step(s))
            return true;
        barrier();
    }
    return false;
}

static __always_inline void walk(struct scratch *s)
{
    for (int i = 0; i < WALK_TURNS; i++)
        if (walk_on())
            return;
    s->record.marks |= MARK_CUT;
}

/* The path that was walked, to where it belongs; returns its length. */
static __always_inline __u32 walk_end(struct scratch *s)
{
    __u32 start = s->start, length = s->end - start;

    if (length == 0) {
        s->payload[0] = '/';
        return 1;
    }
    length &= 2 * PATH_BYTES - 1;
    bpf_probe_read_kernel(s->payload, length, &s->room[start & (PATH_BYTES - 1)]);
    return length;
}

/* One of its components, counted from the last, as the name in s->key; false: it is too long. */
static __always_inline bool take_component(struct scratch *s, __u32 index, __u32 longest)
{
    __u32 at = s->component[index & (MAX_COMPONENTS - 1)] + 1;
    __u32 end = index ? s->component[(index - 1) & (MAX_COMPONENTS - 1)] : s->end;
    __u32 length = end - at;

    if (length > longest)
        return false;
    __builtin_memset(s->key.name, 0, sizeof(s->key.name));
    bpf_probe_read_kernel(s->key.name, bounded(length, NAME_BYTES + 1),
                          &s->room[at & (PATH_BYTES - 1)]);
    return true;
}

/*
 * Files of the kernel's own, which lie in no directory, named as it names them: pipe:[5],
 * net:[4026531840], /memfd:name (deleted).  Returns the name's length; 0: the file has a path.
 */
static __always_inline long name_pathless(struct scratch *s, struct path *file)
{
    struct dentry *dentry = BPF_CORE_READ(file, dentry);
    struct inode *inode = BPF_CORE_READ(dentry, d_inode);
    unsigned long magic = BPF_CORE_READ(dentry, d_sb, s_magic);
    const void *name = BPF_CORE_READ(dentry, d_name.name);
    long length;

    if (BPF_CORE_READ(dentry, d_parent) != dentry || BPF_CORE_READ(file, mnt, mnt_root) == dentry)
        return 0;
    s->record.inode = BPF_CORE_READ(inode, i_ino);
    if (magic == PIPEFS_MAGIC) {
        s->record.marks |= MARK_INODE;
        __builtin_memcpy(s->payload, "pipe", sizeof("pipe"));
        return sizeof("pipe") - 1;
    }
    if (magic == NSFS_MAGIC) {
        struct ns_common *ns = BPF_CORE_READ(inode, i_private);

        s->record.marks |= MARK_INODE;
        return bpf_probe_read_kernel_str(s->payload, 64, BPF_CORE_READ(ns, ops, name)) - 1;
    }
    s->payload[0] = '/';
    length = bpf_probe_read_kernel_str(s->payload + 1, PATH_BYTES - 1, name);
    if (length <= 0)
        return 0;
    __builtin_memcpy(&s->payload[length & (PATH_BYTES - 1)], DELETED, sizeof(DELETED));
    return length + sizeof(DELETED) - 1;
}

#endif
