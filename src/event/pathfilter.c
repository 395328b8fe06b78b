/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/pathfilter.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct prefix {
    char *path;
    size_t len; /* 0 for "/", so that every prefix ends before a slash */
    uint64_t hash;
    unsigned int verdicts[2]; /* by form: bit 1u << verdict */
};

/* A symbolic link in the root directory, and the path that it resolves to. */
struct alias {
    char *link, *target;
    size_t link_len, target_len; /* target_len is 0 for "/" */
};

/* slots is a hash of the prefixes (linear probing): 1 + an index of prefixes, 0 if free.  There are
 * twice as many slots as there is room for prefixes. */
struct pathfilter {
    struct prefix *prefixes;
    uint32_t *slots;
    size_t count, room; /* room is a power of 2 */
    bool includes;      /* a prefix includes */
    size_t expected;    /* see pathfilter_expect() */
    struct alias *aliases;
    size_t n_aliases;
};

#define ROOM_MIN 8

/* A rolling hash: the hash of a path one byte longer is one step away.  It mixes eight bytes at
 * once. */
struct hash {
    uint64_t mixed, word; /* word has the last eight bytes */
    size_t len;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static void hash_step(struct hash *hash, char byte)
{
    hash->word = hash->word << 8 | (unsigned char)byte;
    if (++hash->len % 8 == 0)
        hash->mixed = mix(hash->mixed, hash->word);
}

static uint64_t hash_value(const struct hash *hash)
{
    return mix(hash->mixed ^ hash->len, hash->word);
}

static uint64_t hash_of(const char *path, size_t len)
{
    struct hash hash = {0};

    for (size_t i = 0; i < len; i++)
        hash_step(&hash, path[i]);
    return hash_value(&hash);
}

static size_t slot_of(const struct pathfilter *filter, uint64_t hash)
{
    return (hash ^ hash >> 32) & (2 * filter->room - 1);
}

static size_t next_slot(const struct pathfilter *filter, size_t slot)
{
    return (slot + 1) & (2 * filter->room - 1);
}

static void insert_slot(struct pathfilter *filter, size_t place)
{
    size_t slot = slot_of(filter, filter->prefixes[place].hash);

    while (filter->slots[slot] != 0)
        slot = next_slot(filter, slot);
    filter->slots[slot] = (uint32_t)place + 1;
}

static int grow(struct pathfilter *filter)
{
    size_t room = filter->room != 0 ? 2 * filter->room : ROOM_MIN;
    uint32_t *slots = calloc(2 * room, sizeof(*slots));
    struct prefix *prefixes = slots != NULL ? realloc(filter->prefixes, room * sizeof(*prefixes))
                                            : NULL;

    if (prefixes == NULL) {
        free(slots);
        return -ENOMEM;
    }
    free(filter->slots);
    filter->slots = slots;
    filter->prefixes = prefixes;
    filter->room = room;
    for (size_t i = 0; i < filter->count; i++)
        insert_slot(filter, i);
    return 0;
}

static struct prefix *lookup(const struct pathfilter *filter, const char *path, size_t len,
                             uint64_t hash)
{
    size_t slot = slot_of(filter, hash);

    for (; filter->slots[slot] != 0; slot = next_slot(filter, slot)) {
        struct prefix *prefix = &filter->prefixes[filter->slots[slot] - 1];

        if (prefix->hash == hash && prefix->len == len && memcmp(prefix->path, path, len) == 0)
            return prefix;
    }
    return NULL;
}

struct pathfilter *pathfilter_new(void)
{
    struct pathfilter *filter = calloc(1, sizeof(*filter));

    if (filter != NULL && grow(filter) != 0) {
        free(filter);
        return NULL;
    }
    return filter;
}

void pathfilter_free(struct pathfilter *filter)
{
    if (filter == NULL)
        return;
    for (size_t i = 0; i < filter->count; i++)
        free(filter->prefixes[i].path);
    for (size_t i = 0; i < filter->n_aliases; i++) {
        free(filter->aliases[i].link);
        free(filter->aliases[i].target);
    }
    free(filter->aliases);
    free(filter->prefixes);
    free(filter->slots);
    free(filter);
}

/* NULL: no memory. */
static struct prefix *add_path(struct pathfilter *filter, const char *path, size_t len,
                               uint64_t hash)
{
    struct prefix prefix = {.path = NULL, .len = len, .hash = hash};

    if (filter->count == filter->room && grow(filter) != 0)
        return NULL;
    prefix.path = strdup(path);
    if (prefix.path == NULL)
        return NULL;
    filter->prefixes[filter->count] = prefix;
    insert_slot(filter, filter->count);
    return &filter->prefixes[filter->count++];
}

int pathfilter_add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict,
                   enum pathfilter_form form)
{
    size_t len = path[0] == '/' && path[1] == '\0' ? 0 : strlen(path);
    uint64_t hash = hash_of(path, len);
    struct prefix *prefix;

    if (path[0] != '/')
        return -EINVAL;
    prefix = lookup(filter, path, len, hash);
    if (prefix == NULL)
        prefix = add_path(filter, path, len, hash);
    if (prefix == NULL)
        return -ENOMEM;
    prefix->verdicts[form] |= 1u << verdict;
    filter->includes |= verdict == PATHFILTER_INCLUDE;
    return 0;
}

int pathfilter_add_alias(struct pathfilter *filter, const char *link, const char *target)
{
    struct alias *more, alias = {.link = strdup(link), .target = strdup(target)};

    more = reallocarray(filter->aliases, filter->n_aliases + 1, sizeof(*more));
    if (more != NULL)
        filter->aliases = more;
    if (more == NULL || alias.link == NULL || alias.target == NULL) {
        free(alias.link);
        free(alias.target);
        return -ENOMEM;
    }
    alias.link_len = strlen(link);
    alias.target_len = target[1] != '\0' ? strlen(target) : 0;
    more[filter->n_aliases++] = alias;
    return 0;
}

void pathfilter_expect(struct pathfilter *filter, size_t prefixes)
{
    filter->expected = prefixes;
}

size_t pathfilter_expected(const struct pathfilter *filter)
{
    return filter->expected;
}

/* ---- Matching ------------------------------------------------------------------------------- */

/* The decision so far: that of the prefix which leaves the shortest rest of the path. */
struct decision {
    const struct pathfilter *filter;
    bool is_name; /* of a failed open: typed prefixes count, too */
    bool any, passes;
    size_t left; /* bytes of that rest */
};

/* Looks up the first len bytes of path as a prefix; left: bytes of the rest.  An exclusion wins
 * over an including prefix that leaves the same rest. */
static void decide(struct decision *decision, const char *path, size_t len, uint64_t hash,
                   size_t left)
{
    const struct prefix *prefix = lookup(decision->filter, path, len, hash);
    unsigned int verdicts = prefix != NULL ? prefix->verdicts[PATHFILTER_RESOLVED] : 0;
    bool excluded;

    if (prefix != NULL && decision->is_name)
        verdicts |= prefix->verdicts[PATHFILTER_TYPED];
    if (verdicts == 0)
        return;
    excluded = verdicts & 1u << PATHFILTER_EXCLUDE;
    if (!decision->any || left < decision->left)
        decision->passes = true;
    if (!decision->any || left <= decision->left) {
        decision->passes &= !excluded;
        decision->left = left;
        decision->any = true;
    }
}

/*
 * The kernel's d_path() appends it to the path of a deleted file.  Only a name that a call was
 * given can go on behind it: a name relative to a deleted directory.
 */
#define DELETED " (deleted)"
#define DELETED_LEN (sizeof(DELETED) - 1)

static bool has_deleted_suffix(const char *path, size_t len)
{
    return len > DELETED_LEN && path[len - 1] == ')' &&
           memcmp(path + len - DELETED_LEN, DELETED, DELETED_LEN) == 0;
}

size_t pathfilter_undeleted(const char *path, size_t len)
{
    return has_deleted_suffix(path, len) ? len - DELETED_LEN : len;
}

static void search(struct decision *decision, const char *path, size_t len)
{
    struct hash hash = {0};

    for (size_t i = 0; i <= len; i++) {
        if (i == len || path[i] == '/') {
            if ((i == len || decision->is_name) && has_deleted_suffix(path, i))
                decide(decision, path, i - DELETED_LEN, hash_of(path, i - DELETED_LEN),
                       len - i + DELETED_LEN);
            decide(decision, path, i, hash_value(&hash), len - i);
        }
        if (i < len)
            hash_step(&hash, path[i]);
    }
}

bool pathfilter_match(const struct pathfilter *filter, const char *path, size_t len)
{
    struct decision decision = {.filter = filter, .passes = !filter->includes};

    if (filter->count != 0 && len != 0 && path[0] == '/')
        search(&decision, path, len);
    return decision.passes;
}

/* Searches again with the first component replaced by the target of that link. */
static int search_aliases(struct decision *decision, const char *name, size_t len)
{
    size_t first = len > 1 ? 1 + strcspn(name + 1, "/") : len;
    char path[PATHFILTER_NAME_MAX];

    for (size_t i = 0; i < decision->filter->n_aliases; i++) {
        const struct alias *alias = &decision->filter->aliases[i];

        if (alias->link_len != first || memcmp(alias->link, name, first) != 0)
            continue;
        if (alias->target_len + len - first > sizeof(path))
            return -ENAMETOOLONG;
        memcpy(path, alias->target, alias->target_len);
        memcpy(path + alias->target_len, name + first, len - first);
        search(decision, path, alias->target_len + len - first);
    }
    return 0;
}

int pathfilter_match_name(const struct pathfilter *filter, const char *name, size_t len)
{
    struct decision decision = {.filter = filter, .is_name = true, .passes = !filter->includes};
    char path[PATHFILTER_NAME_MAX + 1];
    int result;

    if (len == 0 || name[0] != '/')
        return decision.passes;
    if (len >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, name, len);
    path[len] = '\0';
    len = pathfilter_clean(path);
    search(&decision, path, len);
    result = search_aliases(&decision, path, len);
    return result < 0 ? result : decision.passes;
}

bool pathfilter_all(const struct pathfilter *filter)
{
    return filter->count == 0;
}

int pathfilter_each(const struct pathfilter *filter,
                    int (*each)(void *ctx, const char *path, enum pathfilter_verdict verdict),
                    void *ctx)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < filter->count; i++) {
        const struct prefix *prefix = &filter->prefixes[i];
        unsigned int verdicts = prefix->verdicts[PATHFILTER_RESOLVED];

        if (verdicts & 1u << PATHFILTER_INCLUDE)
            result = each(ctx, prefix->path, PATHFILTER_INCLUDE);
        if (result == 0 && verdicts & 1u << PATHFILTER_EXCLUDE)
            result = each(ctx, prefix->path, PATHFILTER_EXCLUDE);
    }
    return result;
}

/* ---- Cleaning ------------------------------------------------------------------------------- */

size_t pathfilter_clean(char *path)
{
    char *to = path;

    for (const char *at = path; *at != '\0';) {
        size_t len = strcspn(at += strspn(at, "/"), "/");

        if (len == 2 && memcmp(at, "..", 2) == 0) {
            while (to > path && *--to != '/')
                ;
        } else if (len > 0 && !(len == 1 && at[0] == '.')) {
            *to++ = '/';
            memmove(to, at, len);
            to += len;
        }
        at += len;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
    return (size_t)(to - path);
}
