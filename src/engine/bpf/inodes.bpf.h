/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PATHs and exclusions that mean inodes (-I), whatever name leads to them.
 *
 * A file is at or below its dentry, the directories above that in its file system, also those above
 * the directory that a bind mount shows, and each mount point on the way with what is above it.
 * The nearest of these that is a PATH or an exclusion decides.
 */
#ifndef FILEMON_BPF_INODES_H
#define FILEMON_BPF_INODES_H

#include "state.bpf.h"
#include "walk.bpf.h"

/* Set by the loader before it loads: the path filter has inodes. */
const volatile bool by_inode = false;

struct inode_rule {
    __u32 generation; /* a later inode can get the number of one that was deleted */
    __u32 verdict;    /* enum rule_verdict */
};

/* Sized by the loader, and filled by add_inode(). */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct inode_key);
    __type(value, struct inode_rule);
} inodes SEC(".maps");

#define BTRFS_SUPER_MAGIC 0x9123683e /* linux/magic.h */

/*
 * Reads the key of the walk's dentry; returns its inode.  In btrfs the inodes of two subvolumes,
 * and of a snapshot and its source, can have the same device and number, so their address counts,
 * too: filemon keeps those of PATHs in memory (event/paths.c).
 */
static __always_inline struct inode *read_inode_key(struct scratch *s)
{
    struct inode_key *key = &s->ancestry.key;
    struct inode *inode;
    unsigned long magic;

    if (DIRECT) {
        struct dentry *dentry = CAST(struct dentry, s->walk.dentry);

        inode = dentry->d_inode;
        key->number = inode->i_ino;
        key->device = dentry->d_sb->s_dev;
        magic = dentry->d_sb->s_magic;
    } else {
        struct super_block *super = DENTRY(s, struct super_block *, d_sb);

        inode = DENTRY(s, struct inode *, d_inode);
        key->number = BPF_CORE_READ(inode, i_ino);
        key->device = BPF_CORE_READ(super, s_dev);
        magic = BPF_CORE_READ(super, s_magic);
    }
    key->address = (__u64)inode;
    if (magic != BTRFS_SUPER_MAGIC)
        key->address = 0;
    return inode;
}

/* Takes the verdict on the walk's dentry, if there is one: no other so far was nearer to the file.
 * An exclusion wins over a PATH that is as near. */
static __always_inline void consider_dentry(struct scratch *s)
{
    struct ancestry *ancestry = &s->ancestry;
    struct inode *inode = read_inode_key(s);
    struct inode_rule *rule = bpf_map_lookup_elem(&inodes, &ancestry->key);
    bool excludes;

    if (!rule || rule->generation != BPF_CORE_READ(inode, i_generation))
        return;
    excludes = rule->verdict == RULE_EXCLUDE;
    if (ancestry->distance < ancestry->nearest || excludes)
        ancestry->wanted = !excludes;
    ancestry->nearest = ancestry->distance;
}

/*
 * Steps to the next ancestor.  Above the root of a mount these are first the directories above it
 * in its file system, and then the mount point, which is as near as the root.  True: there is no
 * other that could decide.
 */
static __always_inline bool ascend(struct scratch *s)
{
    struct ancestry *ancestry = &s->ancestry;
    bool is_top = s->walk.parent == s->walk.dentry;

    if (s->walk.dentry == s->walk.mount_root && !ancestry->above_mount) {
        ancestry->above_mount = true;
        ancestry->mount_distance = ancestry->distance;
    }
    if (!is_top && ancestry->distance < ancestry->nearest) {
        s->walk.dentry = s->walk.parent;
        ancestry->distance++;
        read_dentry(s);
        return false;
    }
    if (!ancestry->above_mount) {
        ancestry->is_disconnected = is_top;
        return true;
    }
    ancestry->above_mount = false;
    ancestry->distance = ancestry->mount_distance;
    return !walk_over_mount(s);
}

/*
 * Considers some ancestors.  True: the search is complete.
 *
 * The verifier follows a number on the stack only if it has all bytes of its slot: it would take
 * the loop for an endless one if the compiler kept a counter of 32 bits there, as clang 13 does.
 */
SUBPROGRAM bool search_steps(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (__u64 i = 0; s && i < WALK_STEPS; i++) {
        consider_dentry(s);
        if (ascend(s))
            return true;
        barrier();
    }
    return false;
}

SUBPROGRAM bool search_on(__u32 program)
{
    for (int i = 0; i < WALK_CALLS; i++)
        if (search_steps(program))
            return true;
    return false;
}

/* False: there are more ancestors than any path has components and mounts. */
SUBPROGRAM bool search_ancestors(__u32 program)
{
    for (int i = 0; i < WALK_CALLS; i++)
        if (search_on(program))
            return true;
    return false;
}

/*
 * Whether the search has ended at a file whose directory is not in the dentry cache
 * (open_by_handle_at).  It can also end at a pipe and the like, which names itself; or at the root
 * of the file system, if a directory was moved out of what a bind mount shows.
 */
static __always_inline bool lacks_directory(struct scratch *s)
{
    struct dentry *dentry = s->walk.dentry;

    return s->ancestry.is_disconnected && dentry != BPF_CORE_READ(dentry, d_sb, s_root) &&
           !BPF_CORE_READ(dentry, d_op, d_dname);
}

/* Whether the nearest PATH or exclusion at or above the dentry of a new walk includes it. */
static __always_inline bool is_wanted_here(struct scratch *s)
{
    bool is_complete;

    s->ancestry = (struct ancestry){.nearest = NO_ANCESTOR, .wanted = wanted_below_root};
    is_complete = search_ancestors(s->program);
    if (is_complete && (s->ancestry.nearest != NO_ANCESTOR || !lacks_directory(s)))
        return s->ancestry.wanted;
    s->is_undecided = true;
    return false;
}

static __always_inline bool is_wanted_inode(struct task_struct *task, struct scratch *s,
                                            struct file *file)
{
    walk_file(task, s, file);
    return is_wanted_here(s);
}

/* The argument of add_inode(), an open descriptor of the loader's with its enum rule_verdict, and
 * its result. */
__u32 inode_fd, inode_verdict;
bool inode_added;

/* Run by the loader for each PATH and exclusion: so the key is what the programs read, which is not
 * always what stat(2) returns.  If one inode is both, it is excluded. */
SEC("raw_tp")
int add_inode(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *task = current_task();
    struct scratch *s = get_scratch(ON_LEAVE);
    struct file *file = file_of(task, inode_fd);
    struct inode_rule rule = {.verdict = inode_verdict}, *known;

    if (!s || !file)
        return 0;
    walk_file(task, s, file);
    rule.generation = BPF_CORE_READ(read_inode_key(s), i_generation);
    known = bpf_map_lookup_elem(&inodes, &s->ancestry.key);
    if (known && known->verdict == RULE_EXCLUDE)
        rule.verdict = RULE_EXCLUDE;
    inode_added = bpf_map_update_elem(&inodes, &s->ancestry.key, &rule, BPF_ANY) == 0;
    return 0;
}

#endif
