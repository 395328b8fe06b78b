/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PATHs and exclusions that mean inodes (-I), whatever name leads to them.
 *
 * A file is at or below its dentry, the directories above that in its file system, also those above
 * the directory that a bind mount shows, and each mount point on the way with what is above it.
 * The nearest of these that is a PATH or an exclusion decides.
 */
#ifndef FILEMON_STAP_INODES_H
#define FILEMON_STAP_INODES_H

#include "filter.h"
#include "walk.h"

/* Whether struct mount, whose header modules do not get, is laid out as in its declaration. */
#if defined(CONFIG_RANDSTRUCT) || defined(CONFIG_GCC_PLUGIN_RANDSTRUCT)
#define FM_KNOWS_MOUNTS false
#else
#define FM_KNOWS_MOUNTS true
#endif

/* The first members of struct mount (fs/mount.h): the same in every kernel since 3.15, at least up
 * to 7.2. */
struct fm_mount {
    struct hlist_node hash;
    struct fm_mount *parent;
    struct dentry *point;
    struct vfsmount mnt;
};

/*
 * What identifies an inode as long as it exists.  In btrfs the inodes of two subvolumes, and of a
 * snapshot and its source, can have the same device and number, so their address counts, too:
 * filemon keeps those of PATHs in memory (src/event/paths.c).  A later inode can get the number of
 * one that was deleted, but has another generation.
 */
struct fm_identity {
    const struct inode *address; /* NULL, where the others suffice */
    u64 number;
    dev_t device;
    u32 generation;
};

/* Filled before the script watches, so that probes need no lock. */
#define FM_INODE_HEADS 16384
static struct fm_inode {
    struct fm_inode *next;
    struct fm_identity identity;
    bool want;
} * fm_inodes[FM_INODE_HEADS];
static bool fm_by_inode, fm_inode_missing; /* missing: the watch must not begin */

static struct fm_identity fm_identity_of(const struct inode *inode)
{
    bool is_btrfs = inode->i_sb->s_magic == BTRFS_SUPER_MAGIC;

    return (struct fm_identity){
        .address = is_btrfs ? inode : NULL,
        .number = inode->i_ino,
        .device = inode->i_sb->s_dev,
        .generation = inode->i_generation,
    };
}

static bool fm_is_identical(const struct fm_identity *a, const struct fm_identity *b)
{
    return a->number == b->number && a->device == b->device && a->generation == b->generation &&
           a->address == b->address;
}

static struct fm_inode **fm_inode_head(const struct fm_identity *identity)
{
    u64 hash = (identity->number ^ (u64)identity->device << 32) * 0x9e3779b97f4a7c15ULL;

    return &fm_inodes[(hash >> 32) % FM_INODE_HEADS];
}

static struct fm_inode *fm_inode_find(const struct inode *inode)
{
    struct fm_identity identity = fm_identity_of(inode);
    struct fm_inode *found = *fm_inode_head(&identity);

    while (found && !fm_is_identical(&found->identity, &identity))
        found = found->next;
    return found;
}

static void fm_inode_insert(const struct inode *inode, bool want)
{
    struct fm_inode *known = fm_inode_find(inode), *added, **head;

    if (known) { /* both a PATH and an exclusion: excluded */
        known->want &= want;
        return;
    }
    added = kmalloc(sizeof(*added), GFP_ATOMIC | __GFP_NOWARN);
    if (!added) {
        fm_inode_missing = true;
        return;
    }
    added->identity = fm_identity_of(inode);
    added->want = want;
    head = fm_inode_head(&added->identity);
    added->next = *head;
    *head = added;
}

/* fd: of the thread that writes the command. */
static void fm_inode_add(unsigned int fd, bool want)
{
    struct file *file = FM_KNOWS_MOUNTS ? fm_get_file(fd) : NULL;

    fm_by_inode = true;
    if (want)
        fm_default = false;
    if (!file) {
        fm_inode_missing = true;
        return;
    }
    fm_inode_insert(file->f_path.dentry->d_inode, want);
    fput(file);
}

static void fm_inodes_free(void)
{
    struct fm_inode *inode;
    int i;

    for (i = 0; i < FM_INODE_HEADS; i++)
        while ((inode = fm_inodes[i])) {
            fm_inodes[i] = inode->next;
            kfree(inode);
        }
}

/* The search for the nearest ancestor that decides. */
struct fm_search {
    u32 nearest; /* its distance from the file, in components; FM_NO_ANCESTOR: none so far */
    bool want;
};
#define FM_NO_ANCESTOR (~0u)

/* An exclusion wins over a PATH that is as near. */
static void fm_consider(struct fm_search *search, const struct dentry *dentry, u32 distance)
{
    const struct inode *inode = READ_ONCE(dentry->d_inode);
    const struct fm_inode *found = inode ? fm_inode_find(inode) : NULL;

    if (!found)
        return;
    if (distance < search->nearest || !found->want)
        search->want = found->want;
    search->nearest = distance;
}

/*
 * Considers a dentry and those above it up to `last`, or to the root of the file system, as long as
 * one can be nearer than what was found.  Returns where it ends; *distance: of that one.
 */
static const struct dentry *fm_consider_up(struct fm_search *search, const struct dentry *dentry,
                                           const struct dentry *last, u32 *distance)
{
    const struct dentry *parent;

    for (; *distance <= search->nearest; dentry = parent, ++*distance) {
        fm_consider(search, dentry, *distance);
        parent = READ_ONCE(dentry->d_parent);
        if (dentry == last || dentry == parent)
            break;
    }
    return dentry;
}

/*
 * Whether the search has ended at a file whose directory is not in the dentry cache
 * (open_by_handle_at).  It can also end at a pipe and the like, which names itself; or at the root
 * of the file system, if a directory was moved out of what a bind mount shows.
 */
static bool fm_lacks_directory(const struct dentry *dentry)
{
    return dentry == READ_ONCE(dentry->d_parent) && dentry != dentry->d_sb->s_root &&
           !(dentry->d_op && dentry->d_op->d_dname);
}

/*
 * False: the ancestors are not known.  RCU keeps dentries and mounts that others move or unmount
 * meanwhile, since probes run with preemption disabled.
 */
static bool fm_search_ancestors(struct fm_search *search, const struct path *path)
{
    const struct fm_mount *mount = container_of(path->mnt, struct fm_mount, mnt), *parent;
    const struct dentry *dentry = path->dentry, *root, *point;
    u32 distance = 0, above;

    for (;; dentry = point, mount = parent) {
        root = mount->mnt.mnt_root;
        dentry = fm_consider_up(search, dentry, root, &distance);
        if (dentry != root)
            return search->nearest != FM_NO_ANCESTOR || !fm_lacks_directory(dentry);
        above = distance + 1;
        fm_consider_up(search, READ_ONCE(root->d_parent), root, &above);
        /* umount(2) makes a mount its own parent first, and its own mount point then. */
        point = smp_load_acquire(&mount->point);
        parent = READ_ONCE(mount->parent);
        if (parent == mount)
            return true;
    }
}

/* Whether the nearest PATH or exclusion at or above the file includes it.  The search is repeated
 * if a directory was moved meanwhile: it could have seen some old and some new ancestors. */
static enum fm_verdict fm_judge_inode(const struct path *path)
{
    struct fm_search search;
    unsigned int begun;
    bool known;

    if (likely(!fm_by_inode))
        return FM_WANTED;
    do {
        begun = fm_seq_begin(&rename_lock);
        search = (struct fm_search){.nearest = FM_NO_ANCESTOR, .want = READ_ONCE(fm_default)};
        known = fm_search_ancestors(&search, path);
    } while (fm_seq_retry(&rename_lock, begun));
    if (!known)
        return FM_UNDECIDED;
    return search.want ? FM_WANTED : FM_UNWANTED;
}

#endif
