/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/facts.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "target/cgroups.h"
#include "users.h"

/* A name takes the place of any other with the same hash, so that memory is bounded. */
#define NAMES 256
struct name {
    uint64_t number;
    char *text; /* NULL: it has none */
    bool known;
};

struct cache {
    char *(*find)(const struct facts *facts, uint64_t number); /* for free(3); NULL: none */
    struct name names[NAMES];
};

/*
 * Executables by their numbers, in a hash (linear probing).  The older half is dropped when the
 * younger one is full: so memory is bounded, though nothing says when a number is used for the last
 * time.
 */
#define SLOTS (2 * FACTS_EXECUTABLES)
struct executable {
    uint64_t number; /* 0: the slot is free */
    char *path;
};

struct generation {
    struct executable *slots; /* NULL: empty */
    size_t n;
};

struct facts {
    struct cache users, groups;
    struct generation young, old;
    char groups_root[PATH_MAX]; /* empty: not looked for, or there is none */
};

static const char *cache_get(const struct facts *facts, struct cache *cache, uint64_t number)
{
    struct name *name = &cache->names[number * 0x9e3779b97f4a7c15 >> 32 & (NAMES - 1)];

    if (!name->known || name->number != number) {
        free(name->text);
        *name = (struct name){number, cache->find(facts, number), true};
    }
    return name->text;
}

static void cache_clear(struct cache *cache)
{
    for (size_t i = 0; i < LENGTH(cache->names); i++)
        free(cache->names[i].text);
}

static char *find_user(const struct facts *facts, uint64_t number)
{
    (void)facts;
    return users_name((uid_t)number);
}

static char *find_group(const struct facts *facts, uint64_t number)
{
    return facts->groups_root[0] != '\0' ? cgroups_path(facts->groups_root, number) : NULL;
}

/* The slot of the executable, or the free one where it belongs. */
static struct executable *find_executable(const struct generation *generation, uint64_t number)
{
    size_t slot = number * 0x9e3779b97f4a7c15 >> 32 & (SLOTS - 1);

    while (generation->slots[slot].number != 0 && generation->slots[slot].number != number)
        slot = (slot + 1) & (SLOTS - 1);
    return &generation->slots[slot];
}

static void drop_generation(struct generation *generation)
{
    for (size_t i = 0; generation->slots != NULL && i < SLOTS; i++)
        free(generation->slots[i].path);
    free(generation->slots);
    *generation = (struct generation){0};
}

/* A free slot for the number among the young; NULL: no memory. */
static struct executable *add_executable(struct facts *facts, uint64_t number)
{
    struct generation *young = &facts->young;

    if (young->n == FACTS_EXECUTABLES) {
        drop_generation(&facts->old);
        facts->old = *young;
        *young = (struct generation){0};
    }
    if (young->slots == NULL)
        young->slots = calloc(SLOTS, sizeof(*young->slots));
    if (young->slots == NULL)
        return NULL;
    young->n++;
    return find_executable(young, number);
}

/* The path of the executable, moved to the young ones; NULL: not known. */
static const char *use_executable(struct facts *facts, uint64_t number)
{
    struct executable *found = facts->young.slots ? find_executable(&facts->young, number) : NULL;
    struct executable *moved;
    char *path;

    if (found != NULL && found->number != 0)
        return found->path;
    found = facts->old.slots ? find_executable(&facts->old, number) : NULL;
    if (found == NULL || found->number == 0 || found->path == NULL)
        return NULL;
    path = found->path;
    found->path = NULL;
    moved = add_executable(facts, number);
    if (moved == NULL) {
        free(path);
        return NULL;
    }
    *moved = (struct executable){number, path};
    return path;
}

void facts_take_executable(struct facts *facts, const struct event *event)
{
    uint64_t number = event->facts != NULL ? event->facts->executable : 0;
    char *path = number != 0 ? strndup(event->path, event->path_len) : NULL;
    struct executable *executable = path != NULL ? add_executable(facts, number) : NULL;

    if (executable == NULL) {
        free(path);
        return;
    }
    free(executable->path);
    *executable = (struct executable){number, path};
}

struct facts *facts_new(void)
{
    struct facts *facts = calloc(1, sizeof(*facts));

    if (facts == NULL)
        return NULL;
    facts->users.find = find_user;
    facts->groups.find = find_group;
    return facts;
}

int facts_find_groups(struct facts *facts)
{
    return cgroups_root("-F cgroup", facts->groups_root);
}

void facts_free(struct facts *facts)
{
    if (facts == NULL)
        return;
    cache_clear(&facts->users);
    cache_clear(&facts->groups);
    drop_generation(&facts->young);
    drop_generation(&facts->old);
    free(facts);
}

void facts_complete(struct facts *facts, struct event_facts *event)
{
    if (event->known & FACT(USER))
        event->user_name = cache_get(facts, &facts->users, event->user);
    if (event->known & FACT(GROUP))
        event->group_path = cache_get(facts, &facts->groups, event->group);
    if (event->known & FACT(EXECUTABLE))
        event->executable_path = use_executable(facts, event->executable);
}
