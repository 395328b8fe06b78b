/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/pathfilter.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct prefix {
    char *path;
    size_t len; /* of what is compared: 0 for "/", so that every prefix ends before a slash */
    uint64_t hash;
    enum pathfilter_verdict verdict;
};

/* slots: 1 + place of a prefix, 0 where free; twice as many as there is room for prefixes. */
struct pathfilter {
    struct prefix *prefixes;
    uint32_t *slots;
    size_t count, room; /* room is a power of 2 */
    size_t includes;
};

#define ROOM_MIN 8

/* FNV-1a: of a path's beginnings, each is one step from the one before. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_step(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(const char *path, size_t len)
{
    uint64_t hash = HASH_START;

    for (size_t i = 0; i < len; i++)
        hash = hash_step(hash, path[i]);
    return hash;
}

static size_t slot_of(const struct pathfilter *filter, uint64_t hash)
{
    return (hash ^ hash >> 32) & (2 * filter->room - 1);
}

static size_t next_slot(const struct pathfilter *filter, size_t slot)
{
    return (slot + 1) & (2 * filter->room - 1);
}

static void enter(struct pathfilter *filter, size_t place)
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
        enter(filter, i);
    return 0;
}

/* A path can be there twice, once with each verdict. */
static const struct prefix *lookup(const struct pathfilter *filter, const char *path, size_t len,
                                   uint64_t hash, enum pathfilter_verdict verdict)
{
    size_t slot = slot_of(filter, hash);

    for (; filter->slots[slot] != 0; slot = next_slot(filter, slot)) {
        const struct prefix *prefix = &filter->prefixes[filter->slots[slot] - 1];

        if (prefix->hash == hash && prefix->verdict == verdict && prefix->len == len &&
            memcmp(prefix->path, path, len) == 0)
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
    free(filter->prefixes);
    free(filter->slots);
    free(filter);
}

int pathfilter_add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict)
{
    struct prefix prefix = {.verdict = verdict};

    if (path[0] != '/')
        return -EINVAL;
    prefix.len = path[1] != '\0' ? strlen(path) : 0;
    prefix.hash = hash_of(path, prefix.len);
    if (lookup(filter, path, prefix.len, prefix.hash, verdict) != NULL)
        return 0;
    if (filter->count == filter->room && grow(filter) != 0)
        return -ENOMEM;
    prefix.path = strdup(path);
    if (prefix.path == NULL)
        return -ENOMEM;
    filter->prefixes[filter->count] = prefix;
    enter(filter, filter->count++);
    filter->includes += verdict == PATHFILTER_INCLUDE;
    return 0;
}

bool pathfilter_match(const struct pathfilter *filter, const char *path, size_t len)
{
    bool wanted = filter->includes == 0;
    uint64_t hash = HASH_START;

    if (len == 0 || path[0] != '/')
        return wanted;
    for (size_t i = 0; i <= len; i++) {
        if (i == len || path[i] == '/') {
            if (lookup(filter, path, i, hash, PATHFILTER_EXCLUDE) != NULL)
                wanted = false;
            else if (lookup(filter, path, i, hash, PATHFILTER_INCLUDE) != NULL)
                wanted = true;
        }
        if (i < len)
            hash = hash_step(hash, path[i]);
    }
    return wanted;
}

bool pathfilter_all(const struct pathfilter *filter)
{
    return filter->count == 0;
}

int pathfilter_each(const struct pathfilter *filter,
                    int (*each)(void *ctx, const char *path, enum pathfilter_verdict verdict),
                    void *ctx)
{
    for (size_t i = 0; i < filter->count; i++) {
        int result = each(ctx, filter->prefixes[i].path, filter->prefixes[i].verdict);

        if (result != 0)
            return result;
    }
    return 0;
}

/* It is only not there yet; every other error means that the path cannot be resolved. */
static bool is_missing(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

/* resolved, a path without links and without a slash at its end ("" for the root), goes one down.
 */
static int descend(char resolved[static PATH_MAX], const char *name, size_t name_len)
{
    char candidate[PATH_MAX];
    size_t len = strlen(resolved);

    if (len + 1 + name_len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(candidate, resolved, len);
    candidate[len] = '/';
    memcpy(candidate + len + 1, name, name_len);
    candidate[len + 1 + name_len] = '\0';
    if (realpath(candidate, resolved) == NULL) {
        if (!is_missing(errno))
            return -errno;
        strcpy(resolved, candidate);
    }
    if (resolved[1] == '\0')
        resolved[0] = '\0';
    return 0;
}

static int step(char resolved[static PATH_MAX], const char *name, size_t len)
{
    if (len == 0 || (len == 1 && name[0] == '.'))
        return 0;
    if (len == 2 && memcmp(name, "..", 2) == 0) {
        char *slash = strrchr(resolved, '/');

        if (slash != NULL)
            *slash = '\0';
        return 0;
    }
    return descend(resolved, name, len);
}

/* Component by component, since realpath(3) does not go on where something is missing. */
static int walk(char resolved[static PATH_MAX], const char *path)
{
    int error = 0;

    while (error == 0 && *path != '\0') {
        size_t len = strcspn(path, "/");

        error = step(resolved, path, len);
        path += len;
        path += *path == '/';
    }
    return error;
}

int pathfilter_resolve(const char *path, char **resolved)
{
    char buf[PATH_MAX] = "";
    int error;

    if (path[0] == '\0')
        return -EINVAL;
    if (path[0] != '/' && getcwd(buf, sizeof(buf)) == NULL)
        return -errno;
    if (buf[1] == '\0')
        buf[0] = '\0'; /* the working directory is the root */
    error = walk(buf, path);
    if (error != 0)
        return error;
    *resolved = strdup(buf[0] != '\0' ? buf : "/");
    return *resolved != NULL ? 0 : -ENOMEM;
}
