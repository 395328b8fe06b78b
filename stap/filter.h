/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which paths are reported. */
#ifndef FILEMON_STAP_FILTER_H
#define FILEMON_STAP_FILTER_H

#include "kernel.h"

/*
 * PATHs and exclusions, by a hash of their bytes (FNV-1a, which can be carried from one component's
 * boundary to the next): one pass over a path looks up each of its prefixes, and the longest that
 * is there decides.  "/" is the prefix of no bytes.
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
    struct fm_prefix *prefix = smp_load_acquire(&fm_prefixes[hash % FM_PREFIX_HEADS]);

    while (prefix &&
           (prefix->hash != hash || prefix->len != len || memcmp(prefix->path, path, len)))
        prefix = prefix->next;
    return prefix;
}

/* What d_path() puts after the name of a file that has lost it, which still matches. */
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
 * Of the same path as both, the exclusion stays.  Where memory ends the filter is taken off for
 * good: filemon filters too.  Prefixes are also added while probes on other CPUs look them up.
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
