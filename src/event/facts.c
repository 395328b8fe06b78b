/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/facts.h"

#include <stdlib.h>

#include "array.h"
#include "users.h"

/* A name takes the place of any other with the same hash, so that memory is bounded. */
#define NAMES 256
struct name {
    uint64_t number;
    char *text; /* NULL: it has none */
    bool known;
};

struct cache {
    char *(*find)(uint64_t number); /* the name, for free(3); NULL: it has none */
    struct name names[NAMES];
};

struct facts {
    struct cache users;
};

static const char *cache_get(struct cache *cache, uint64_t number)
{
    struct name *name = &cache->names[number * 0x9e3779b97f4a7c15 >> 32 & (NAMES - 1)];

    if (!name->known || name->number != number) {
        free(name->text);
        *name = (struct name){number, cache->find(number), true};
    }
    return name->text;
}

static void cache_clear(struct cache *cache)
{
    for (size_t i = 0; i < LENGTH(cache->names); i++)
        free(cache->names[i].text);
}

static char *find_user(uint64_t number)
{
    return users_name((uid_t)number);
}

struct facts *facts_new(void)
{
    struct facts *facts = calloc(1, sizeof(*facts));

    if (facts != NULL)
        facts->users.find = find_user;
    return facts;
}

void facts_free(struct facts *facts)
{
    if (facts == NULL)
        return;
    cache_clear(&facts->users);
    free(facts);
}

void facts_complete(struct facts *facts, struct event_facts *event)
{
    if (event->known & FACT(USER))
        event->user_name = cache_get(&facts->users, event->user);
}
