/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of programs to watch. */
#ifndef FILEMON_STAP_NAMES_H
#define FILEMON_STAP_NAMES_H

#include "state.h"

static struct fm_name {
    struct fm_name *next;
    u32 len;
    char name[];
} * fm_names;

static void fm_name_add(const char *name, u32 len)
{
    struct fm_name *entry = kmalloc(sizeof(*entry) + len, GFP_ATOMIC);

    if (!entry) {
        atomic_inc(&fm_lost);
        return;
    }
    entry->len = len;
    memcpy(entry->name, name, len);
    entry->next = fm_names;
    /* Pairs with fm_is_name().  Otherwise the probe of an exec on another CPU could read an entry
     * that is not filled in. */
    smp_store_release(&fm_names, entry);
}

static bool fm_is_name(const char *word, u32 len)
{
    struct fm_name *entry;

    /* Pairs with the release in fm_name_add(). */
    for (entry = smp_load_acquire(&fm_names); entry; entry = entry->next)
        if (entry->len == len && !memcmp(entry->name, word, len))
            return true;
    return false;
}

static bool fm_any_component_is_name(const char *path)
{
    const char *end;

    for (; *path; path = end) {
        while (*path == '/')
            path++;
        end = strchrnul(path, '/');
        if (end > path && fm_is_name(path, end - path))
            return true;
    }
    return false;
}

static void fm_names_free(void)
{
    struct fm_name *entry;

    while ((entry = fm_names)) {
        fm_names = entry->next;
        kfree(entry);
    }
}

#endif
