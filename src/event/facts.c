/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/facts.h"

#include <stdlib.h>
#include <string.h>

#include <time.h>
#include <unistd.h>

#include "array.h"
#include "clock.h"
#include "target/cgroups.h"
#include "target/procfs.h"
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
    char *path, *arguments;
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

static void release_executable(struct executable *executable)
{
    free(executable->path);
    free(executable->arguments);
    executable->path = executable->arguments = NULL;
}

static void drop_generation(struct generation *generation)
{
    for (size_t i = 0; generation->slots != NULL && i < SLOTS; i++)
        release_executable(&generation->slots[i]);
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

/* The executable, moved to the young ones; NULL: not known. */
static struct executable *use_executable(struct facts *facts, uint64_t number)
{
    struct executable *found = facts->young.slots ? find_executable(&facts->young, number) : NULL;
    struct executable kept, *moved;

    if (found != NULL && found->number != 0)
        return found;
    found = facts->old.slots ? find_executable(&facts->old, number) : NULL;
    if (found == NULL || found->number == 0 || found->path == NULL)
        return NULL;
    kept = *found;
    found->path = found->arguments = NULL;
    moved = add_executable(facts, number);
    if (moved == NULL)
        release_executable(&kept);
    else
        *moved = kept;
    return moved;
}

static uint64_t number_of(const struct event *event)
{
    return event->facts != NULL ? event->facts->executable : 0;
}

void facts_take_executable(struct facts *facts, const struct event *event)
{
    uint64_t number = number_of(event);
    char *path = number != 0 ? strndup(event->path, event->path_len) : NULL;
    struct executable *executable = path != NULL ? add_executable(facts, number) : NULL;

    if (executable == NULL) {
        free(path);
        return;
    }
    release_executable(executable);
    *executable = (struct executable){number, path, NULL};
}

/* ---- Command lines --------------------------------------------------------------------------- */

/* How many bytes follow the first one of a character of UTF-8. */
static size_t following(unsigned char first)
{
    if (first >= 0xe0)
        return first >= 0xf0 ? 3 : 2;
    return first >= 0xc0 ? 1 : 0;
}

/* How many bytes of the text are left without a character of UTF-8 that its end cuts in two. */
static size_t without_cut_character(const char *text, size_t len)
{
    size_t n = 0;

    while (n < 3 && n < len && (text[len - 1 - n] & 0xc0) == 0x80)
        n++;
    if (n == len || following((unsigned char)text[len - 1 - n]) <= n)
        return len;
    return len - 1 - n;
}

/* A copy; NULL: no memory, or there are no arguments. */
static char *copy_arguments(const char *text, size_t len)
{
    if (len >= ARGUMENTS_BYTES)
        len = without_cut_character(text, ARGUMENTS_BYTES);
    return len > 0 ? strndup(text, len) : NULL;
}

/* Joined by spaces, and cut.  Empty ones at the end are what a process has left of the room for its
 * arguments where it has written its title (setproctitle(3)). */
static char *join_arguments(char *const *args)
{
    char text[ARGUMENTS_BYTES];
    size_t n = 0, len = 0;

    for (size_t i = 0; args[i] != NULL; i++)
        if (args[i][0] != '\0')
            n = i + 1;
    for (size_t i = 0; i < n && len < sizeof(text); i++) {
        size_t size = strnlen(args[i], sizeof(text) - len - (i > 0));

        if (i > 0)
            text[len++] = ' ';
        memcpy(text + len, args[i], size);
        len += size;
    }
    return copy_arguments(text, len);
}

/* In the clock ticks of procfs_stat.start. */
static uint64_t ticks_of(uint64_t mono_ns)
{
    uint64_t ago_ns = (uint64_t)clock_ns(CLOCK_MONOTONIC) - mono_ns;

    return ((uint64_t)clock_ns(CLOCK_BOOTTIME) - ago_ns) /
           (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Whether pid was then that of the process that has it now: it must have started before. */
static bool is_same_process(const struct procfs *procfs, pid_t pid, uint64_t mono_ns)
{
    struct procfs_stat stat;

    return procfs_stat(procfs, pid, &stat) == 0 && stat.start < ticks_of(mono_ns);
}

/* NULL: they are not known. */
static char *read_arguments(const struct event *event)
{
    struct procfs procfs;
    char **args, *text = NULL;

    if (event->pid == 0 || procfs_open(&procfs, "/proc") != 0)
        return NULL;
    /* Its start is read last: what was read before is of that process. */
    if (procfs_is_own(&procfs) && procfs_cmdline(&procfs, event->pid, &args) == 0) {
        text = join_arguments(args);
        free(args);
    }
    if (text != NULL && !is_same_process(&procfs, event->pid, event->mono_ns)) {
        free(text);
        text = NULL;
    }
    procfs_close(&procfs);
    return text;
}

void facts_take_arguments(struct facts *facts, const struct event *event)
{
    uint64_t number = number_of(event);
    struct executable *executable = number != 0 ? use_executable(facts, number) : NULL;

    if (executable == NULL)
        return;
    free(executable->arguments);
    executable->arguments = event->path != NULL ? copy_arguments(event->path, event->path_len)
                                                : read_arguments(event);
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

static void complete_executable(struct facts *facts, struct event_facts *event)
{
    const struct executable *executable = use_executable(facts, event->executable);

    event->executable_path = executable != NULL ? executable->path : NULL;
    event->arguments = executable != NULL ? executable->arguments : NULL;
}

void facts_complete(struct facts *facts, struct event_facts *event)
{
    if (event->known & FACT(USER))
        event->user_name = cache_get(facts, &facts->users, event->user);
    if (event->known & FACT(GROUP))
        event->group_path = cache_get(facts, &facts->groups, event->group);
    if (event->known & FACT(EXECUTABLE))
        complete_executable(facts, event);
}
