/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/facts.h"

#include <stdlib.h>

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

struct facts {
    struct cache users, groups;
    char groups_root[PATH_MAX]; /* empty: there is none */
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

struct facts *facts_new(void)
{
    struct facts *facts = calloc(1, sizeof(*facts));

    if (facts == NULL)
        return NULL;
    facts->users.find = find_user;
    facts->groups.find = find_group;
    if (cgroups_root(facts->groups_root) < 0)
        facts->groups_root[0] = '\0';
    return facts;
}

void facts_free(struct facts *facts)
{
    if (facts == NULL)
        return;
    cache_clear(&facts->users);
    cache_clear(&facts->groups);
    free(facts);
}

void facts_complete(struct facts *facts, struct event_facts *event)
{
    if (event->known & FACT(USER))
        event->user_name = cache_get(facts, &facts->users, event->user);
    if (event->known & FACT(GROUP))
        event->group_path = cache_get(facts, &facts->groups, event->group);
}
