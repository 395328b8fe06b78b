/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The path filter of the script: the rules of src/event/pathfilter.h, for paths that the kernel
 * resolved. */
#ifndef FILEMON_STAP_FILTER_H
#define FILEMON_STAP_FILTER_H

#include "kernel.h"

/*
 * PATHs and exclusions in a hash table.  The hash (FNV-1a) of a prefix one byte longer is one step
 * away, so one pass over a path looks up each of its prefixes; the longest one found decides.  "/"
 * is the prefix of 0 bytes.
 *
 * src/event/pathfilter.c has the same rules and shares no code with this.  Here, prefixes are added
 * while other CPUs look prefixes up without a lock, so entries are linked and never move; the
 * filemon's table grows, and also compares names of failed opens (typed prefixes, aliases, a
 * suffix within the path).  What both could share is the loop over component boundaries, and only
 * with a callback for each look-up.  tests/unit/test_script_filter.c compares the two on random
 * paths instead.
 */
#define FM_PREFIX_HEADS 16384
static struct fm_prefix {
    struct fm_prefix *next;
    u64 hash;
    u32 len;
    bool want;
    char path[];
} * fm_prefixes[FM_PREFIX_HEADS];
static bool fm_filter, fm_default = true;

#define FM_FNV_START 0xcbf29ce484222325ULL
#define FM_FNV_PRIME 0x100000001b3ULL

static struct fm_prefix *fm_prefix_find(u64 hash, const char *path, u32 len)
{
    /* Pairs with the release in fm_prefix_add(). */
    struct fm_prefix *prefix = smp_load_acquire(&fm_prefixes[hash % FM_PREFIX_HEADS]);

    while (prefix &&
           (prefix->hash != hash || prefix->len != len || memcmp(prefix->path, path, len)))
        prefix = prefix->next;
    return prefix;
}

/* Undecided: what would decide is not known, such as a path that is too long.  It counts as lost,
 * since the file may be one that was asked for. */
enum fm_verdict { FM_UNWANTED, FM_WANTED, FM_UNDECIDED };

/* d_path() appends this to the path of a deleted file, which also matches without it. */
#define FM_DELETED " (deleted)"

static u32 fm_name_end(const char *path, u32 len)
{
    u32 tail = sizeof(FM_DELETED) - 1;

    return len > tail && !memcmp(path + len - tail, FM_DELETED, tail) ? len - tail : len;
}

static bool fm_wanted(const char *path, u32 len)
{
    u64 hash = FM_FNV_START;
    bool want = READ_ONCE(fm_default);
    u32 i, name_end = fm_name_end(path, len);

    if (!READ_ONCE(fm_filter))
        return true;
    if (len == 0 || path[0] != '/')
        return want;
    for (i = 0; i <= len; i++) {
        if (i == len || i == name_end || path[i] == '/') {
            struct fm_prefix *prefix = fm_prefix_find(hash, path, i);

            if (prefix)
                want = READ_ONCE(prefix->want);
        }
        if (i < len)
            hash = (hash ^ (u8)path[i]) * FM_FNV_PRIME;
    }
    return want;
}

/*
 * A path that is both a PATH and an exclusion excludes.  If there is no memory, every path passes
 * from then on: filemon filters, too.  Probes on other CPUs may be looking prefixes up meanwhile.
 */
static void fm_prefix_add(const char *path, u32 len, bool want)
{
    static bool failed;
    struct fm_prefix *prefix, **head;
    u64 hash = FM_FNV_START;
    u32 i;

    while (len > 0 && path[len - 1] == '/')
        len--;
    for (i = 0; i < len; i++)
        hash = (hash ^ (u8)path[i]) * FM_FNV_PRIME;
    if (want)
        WRITE_ONCE(fm_default, false);
    prefix = fm_prefix_find(hash, path, len);
    if (prefix) {
        WRITE_ONCE(prefix->want, prefix->want && want);
        return;
    }
    prefix = kmalloc(sizeof(*prefix) + len, GFP_ATOMIC | __GFP_NOWARN);
    failed |= !prefix;
    WRITE_ONCE(fm_filter, !failed);
    if (!prefix)
        return;
    head = &fm_prefixes[hash % FM_PREFIX_HEADS];
    prefix->hash = hash;
    prefix->len = len;
    prefix->want = want;
    memcpy(prefix->path, path, len);
    prefix->next = *head;
    /* Pairs with fm_prefix_find().  Otherwise a probe on another CPU could read an entry that is
     * not filled in. */
    smp_store_release(head, prefix);
}

static void fm_prefixes_free(void)
{
    struct fm_prefix *prefix;
    int i;

    for (i = 0; i < FM_PREFIX_HEADS; i++)
        while ((prefix = fm_prefixes[i])) {
            fm_prefixes[i] = prefix->next;
            kfree(prefix);
        }
}

#endif
