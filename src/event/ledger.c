/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/ledger.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A path, shared by the descriptors that were copied from each other. */
struct path {
    size_t refs;
    size_t len;
    char bytes[];
};

/*
 * A map from a number to an item whose first member is that number.  The items lie side by side, so
 * that they can be put in order without any memory; slots are the hash: 1 + place of an item, 0
 * where free.  Pointers to items last until the next put, remove or sort.
 */
struct map {
    char *items;
    uint32_t *slots;
    size_t item_size, count, room; /* room is a power of 2; there are 2 * room slots */
    uint64_t secret;
};

struct held {
    uint64_t fd;
    bool closing;
    uint64_t since_ns;
    struct path *path;
    pid_t pid, ppid; /* of the process that opened it */
};

struct table {
    uint64_t number;
    struct map held;
};

struct ledger {
    ledger_emit *emit;
    void *ctx;
    struct map tables; /* those that hold something */
    size_t held;
};

#define MAP_ROOM_MIN 4

/* Mixed with a secret: the watched choose the descriptors, and must not choose the collisions. */
static size_t map_home(const struct map *map, uint64_t key)
{
    key ^= map->secret;
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
    return (key ^ key >> 33) & (2 * map->room - 1);
}

static size_t map_next(const struct map *map, size_t slot)
{
    return (slot + 1) & (2 * map->room - 1);
}

static void *map_item(const struct map *map, size_t place)
{
    return map->items + place * map->item_size;
}

static uint64_t map_key(const struct map *map, size_t place)
{
    return *(const uint64_t *)map_item(map, place);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t map_slot(const struct map *map, uint64_t key)
{
    size_t slot = map_home(map, key);

    while (map->slots[slot] != 0 && map_key(map, map->slots[slot] - 1) != key)
        slot = map_next(map, slot);
    return slot;
}

static void *map_get(const struct map *map, uint64_t key)
{
    uint32_t found = map->count != 0 ? map->slots[map_slot(map, key)] : 0;

    return found != 0 ? map_item(map, found - 1) : NULL;
}

static void map_index(struct map *map)
{
    memset(map->slots, 0, 2 * map->room * sizeof(*map->slots));
    for (size_t i = 0; i < map->count; i++)
        map->slots[map_slot(map, map_key(map, i))] = (uint32_t)i + 1;
}

static int map_resize(struct map *map, size_t room)
{
    uint32_t *slots = malloc(2 * room * sizeof(*slots));
    char *items = slots != NULL ? realloc(map->items, room * map->item_size) : NULL;

    if (items == NULL) {
        free(slots);
        return -ENOMEM;
    }
    free(map->slots);
    map->slots = slots;
    map->items = items;
    map->room = room;
    map_index(map);
    return 0;
}

/* Gives back what a map that was larger once no longer needs; without memory it stays as it is. */
static void map_shrink(struct map *map)
{
    if (map->room > MAP_ROOM_MIN && map->count < map->room / 4)
        map_resize(map, map->room / 2);
}

/* A new item, zero but for its key, which must not be there yet.  NULL: no memory. */
static void *map_put(struct map *map, uint64_t key)
{
    void *item;

    if (map->count == map->room && map_resize(map, map->room ? 2 * map->room : MAP_ROOM_MIN) != 0)
        return NULL;
    map->slots[map_slot(map, key)] = (uint32_t)map->count + 1;
    item = memset(map_item(map, map->count++), 0, map->item_size);
    *(uint64_t *)item = key;
    return item;
}

/* Frees a slot, and moves up those behind it that would not be found past the gap. */
static void map_free_slot(struct map *map, size_t gap)
{
    size_t mask = 2 * map->room - 1;

    for (size_t slot = map_next(map, gap); map->slots[slot] != 0; slot = map_next(map, slot)) {
        size_t home = map_home(map, map_key(map, map->slots[slot] - 1));

        if (((slot - home) & mask) < ((slot - gap) & mask))
            continue;
        map->slots[gap] = map->slots[slot];
        gap = slot;
    }
    map->slots[gap] = 0;
}

/* The last item takes the place of the removed one. */
static void map_remove(struct map *map, uint64_t key)
{
    size_t slot = map_slot(map, key), place = map->slots[slot] - 1, last = map->count - 1;

    map_free_slot(map, slot);
    if (place != last) {
        map->slots[map_slot(map, map_key(map, last))] = (uint32_t)place + 1;
        memcpy(map_item(map, place), map_item(map, last), map->item_size);
    }
    map->count--;
    map_shrink(map);
}

static int compare_keys(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static void map_release(struct map *map)
{
    free(map->items);
    free(map->slots);
}

static struct path *path_new(const char *bytes, size_t len)
{
    struct path *path = malloc(sizeof(*path) + len + 1);

    if (path == NULL)
        return NULL;
    path->refs = 1;
    path->len = len;
    memcpy(path->bytes, bytes, len);
    path->bytes[len] = '\0';
    return path;
}

static void path_unref(struct path *path)
{
    if (path != NULL && --path->refs == 0)
        free(path);
}

static uint64_t table_number(const struct event *event)
{
    return event->table != 0 ? event->table : (uint64_t)event->pid;
}

static struct table *find_table(const struct ledger *ledger, const struct event *event)
{
    return map_get(&ledger->tables, table_number(event));
}

/* In the event's table. */
static struct held *find(const struct ledger *ledger, const struct event *event, int fd)
{
    struct table *table = find_table(ledger, event);

    return table != NULL ? map_get(&table->held, (unsigned int)fd) : NULL;
}

static struct table *find_or_add_table(struct ledger *ledger, const struct event *event)
{
    struct table *table = find_table(ledger, event);

    if (table != NULL)
        return table;
    table = map_put(&ledger->tables, table_number(event));
    if (table != NULL)
        table->held = (struct map){.item_size = sizeof(struct held),
                                   .secret = ledger->tables.secret};
    return table;
}

static void forget_if_empty(struct ledger *ledger, struct table *table)
{
    if (table->held.count != 0)
        return;
    map_release(&table->held);
    map_remove(&ledger->tables, table->number);
}

/* Takes over the reference to path, which may be NULL: no memory. */
static int hold(struct ledger *ledger, const struct event *event, struct path *path)
{
    struct table *table = path != NULL ? find_or_add_table(ledger, event) : NULL;
    struct held *held = table != NULL ? map_put(&table->held, (unsigned int)event->fd) : NULL;

    if (held == NULL) {
        if (table != NULL)
            forget_if_empty(ledger, table);
        path_unref(path);
        return -ENOMEM;
    }
    held->since_ns = event->mono_ns;
    held->path = path;
    held->pid = event->pid;
    held->ppid = event->ppid;
    ledger->held++;
    return 0;
}

static void drop(struct ledger *ledger, const struct event *event, int fd)
{
    struct table *table = find_table(ledger, event);
    struct held *held = map_get(&table->held, (unsigned int)fd);

    path_unref(held->path);
    map_remove(&table->held, (unsigned int)fd);
    ledger->held--;
    forget_if_empty(ledger, table);
}

/* A record of the cause's process and time about a held descriptor. */
static struct event record_of(const struct event *cause, enum event_code code,
                              const struct held *held)
{
    struct event record = *cause;

    record.code = code;
    record.fd = (int)held->fd;
    record.path = held->path->bytes;
    record.path_len = held->path->len;
    return record;
}

/* The end of what was held: whoever does it, the record is of the process that opened it. */
static struct event end_of(const struct event *cause, enum event_code code, const struct held *held)
{
    struct event record = record_of(cause, code, held);

    if (held->pid != cause->pid) {
        record.pid = held->pid;
        record.ppid = held->ppid;
    }
    return record;
}

static void emit_close(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                       const struct held *held)
{
    struct event record = end_of(cause, EVENT_CLOSE, held);

    record.reason = reason;
    record.duration_ns = cause->mono_ns > held->since_ns ? cause->mono_ns - held->since_ns : 0;
    ledger->emit(ledger->ctx, &record);
}

static void close_one(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                      int fd)
{
    const struct held *held = find(ledger, cause, fd);

    if (held == NULL)
        return;
    emit_close(ledger, cause, reason, held);
    drop(ledger, cause, fd);
}

/* The number is about to be taken by another file, though its close was not seen. */
static void close_missed(struct ledger *ledger, const struct event *event)
{
    const struct held *held = find(ledger, event, event->fd);
    struct event record;

    if (held == NULL)
        return;
    record = end_of(event, EVENT_ERROR, held);
    ledger->emit(ledger->ctx, &record);
    drop(ledger, event, event->fd);
}

static void mark_range(struct map *map, const struct fd_range *range)
{
    struct held *items = (struct held *)map->items;
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (items[middle].fd < range->first)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < map->count && items[low].fd <= range->last; low++)
        items[low].closing = true;
}

static void close_marked(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                         struct map *map)
{
    struct held *items = (struct held *)map->items;
    size_t kept = 0;

    for (size_t i = 0; i < map->count; i++) {
        if (!items[i].closing) {
            items[kept++] = items[i];
            continue;
        }
        emit_close(ledger, cause, reason, &items[i]);
        path_unref(items[i].path);
        ledger->held--;
    }
    map->count = kept;
    map_index(map);
    map_shrink(map);
}

static void close_each(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                       const struct fd_range *range)
{
    for (size_t fd = range->first; fd <= range->last; fd++)
        close_one(ledger, cause, reason, (int)fd);
}

/* A range may span four billion numbers: then it is the held ones that are gone through. */
static void close_ranges(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                         const struct fd_range *ranges, size_t n_ranges)
{
    struct table *table = find_table(ledger, cause);

    if (table == NULL)
        return;
    if (n_ranges == 1 && ranges->last - ranges->first < table->held.count) {
        close_each(ledger, cause, reason, ranges);
        return;
    }
    qsort(table->held.items, table->held.count, sizeof(struct held), compare_keys);
    for (size_t i = 0; i < n_ranges; i++)
        mark_range(&table->held, &ranges[i]);
    close_marked(ledger, cause, reason, &table->held);
    forget_if_empty(ledger, table);
}

static int take_open(struct ledger *ledger, const struct event *event)
{
    close_missed(ledger, event);
    ledger->emit(ledger->ctx, event);
    if (table_number(event) == 0) /* another process with pid 0 would close it */
        return -EINVAL;
    return hold(ledger, event, path_new(event->path, event->path_len));
}

/* The file that was copied; NULL: none that is known. */
static const struct held *find_origin(const struct ledger *ledger, const struct event *event)
{
    return event->origin_gone ? NULL : find(ledger, event, event->origin);
}

static int take_dup(struct ledger *ledger, const struct event *event)
{
    const struct held *origin;
    struct event record = *event;
    struct path *path;

    if (event->fd == event->origin && !event->origin_gone)
        return 0;
    if (event->reason == REASON_DUP2)
        close_one(ledger, event, REASON_DUP2, event->fd);
    else
        close_missed(ledger, event);
    origin = find_origin(ledger, event);
    if (origin == NULL && event->path == NULL)
        return 0;
    if (origin != NULL) {
        record = record_of(event, EVENT_DUP, origin);
        record.fd = event->fd;
        record.path_cut = false;
        path = origin->path;
        path->refs++;
    } else {
        path = path_new(event->path, event->path_len);
    }
    ledger->emit(ledger->ctx, &record);
    return hold(ledger, event, path);
}

static int take_close(struct ledger *ledger, const struct event *event)
{
    if (event->n_ranges == 0)
        close_one(ledger, event, event->reason, event->fd);
    else
        close_ranges(ledger, event, event->reason, event->ranges, event->n_ranges);
    return 0;
}

int ledger_take(struct ledger *ledger, const struct event *event)
{
    static const struct fd_range all = {0, UINT_MAX};

    switch (event->code) {
    case EVENT_OPEN:
    case EVENT_HELD:
        return take_open(ledger, event);
    case EVENT_DUP:
        return take_dup(ledger, event);
    case EVENT_CLOSE:
        return take_close(ledger, event);
    case EVENT_EXEC:
        close_ranges(ledger, event, REASON_EXEC, event->ranges, event->n_ranges);
        return 0;
    case EVENT_EXIT:
        close_ranges(ledger, event, REASON_EXIT, &all, 1);
        return 0;
    default:
        ledger->emit(ledger->ctx, event);
        return 0;
    }
}

struct ledger *ledger_new(ledger_emit *emit, void *ctx)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    uint64_t secret;

    if (ledger == NULL)
        return NULL;
    if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) < 0)
        secret = 0; /* so early in the boot there is no adversary yet */
    ledger->emit = emit;
    ledger->ctx = ctx;
    ledger->tables.item_size = sizeof(struct table);
    ledger->tables.secret = secret;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    struct table *tables;

    if (ledger == NULL)
        return;
    tables = (struct table *)ledger->tables.items;
    for (size_t i = 0; i < ledger->tables.count; i++) {
        struct map *map = &tables[i].held;

        for (size_t j = 0; j < map->count; j++)
            path_unref(((struct held *)map->items)[j].path);
        map_release(map);
    }
    map_release(&ledger->tables);
    free(ledger);
}

size_t ledger_held(const struct ledger *ledger)
{
    return ledger->held;
}
