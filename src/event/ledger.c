/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/ledger.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A path, shared by the descriptors that were copied from each other. */
struct path {
    uint32_t refs;
    uint32_t len : 31, has_file : 1;
    char bytes[]; /* the path with its NUL, and the struct event_file if has_file */
};

/* An open descriptor.  The descriptors of one table form a ring; one of them is its anchor. */
struct held {
    uint64_t table;
    uint64_t since_ns;
    struct path *path; /* NULL: its CLOSE was emitted, drop_closed() will remove it */
    uint32_t fd : 31, is_anchor : 1;
    uint32_t next, prev; /* in the ring: indexes in ledger.items */
    pid_t pid, ppid;     /* of the opener, see ledger.h */
    uint32_t counted;    /* 1 + its index in ledger.counted; 0: none */
};

/*
 * items has no gaps: the last item moves to the place of a removed one.  slots is a hash (linear
 * probing) that finds items by table and descriptor, and anchors by table alone: 1 + the index of
 * an item, 0 if free.  A pointer to an item is valid until an item is added or dropped.
 */
struct ledger {
    ledger_emit *emit;
    void *ctx;
    struct held *items;
    uint32_t *slots;
    size_t count, room;     /* of items */
    size_t n_used, n_slots; /* n_slots is a power of 2 */
    uint64_t secret;
    bool counts_bytes;
    /* What was counted of descriptors until they are closed: of few, since engines report it right
     * before.  Those that are free form a list, by `reads`. */
    struct event_bytes *counted;
    uint32_t n_counted, first_free; /* 1 + an index; 0: the list is empty */
    struct event_facts facts;       /* of the record that is being emitted */
};

/* Bit of a slot: this is the key (table), not (table, fd). */
#define ANCHOR 0x80000000u
#define ITEMS_MAX (ANCHOR - 1)

/* In place of a descriptor, in the key of an anchor: no descriptor is as large. */
#define ANCHOR_FD UINT32_MAX

#define ROOM_MIN 16
#define SLOTS_MIN 32

/* ---- Paths ---------------------------------------------------------------------------------- */

static bool has_file(const struct event *event)
{
    return event->facts != NULL && (event->facts->known & FACT(FILE)) != 0;
}

static struct path *path_new(const struct event *event)
{
    size_t len = event->path_len, more = has_file(event) ? sizeof(struct event_file) : 0;
    struct path *path = malloc(sizeof(*path) + len + 1 + more);

    if (path == NULL)
        return NULL;
    path->refs = 1;
    path->len = len & INT32_MAX;
    path->has_file = more > 0;
    memcpy(path->bytes, event->path, len);
    path->bytes[len] = '\0';
    if (more > 0)
        memcpy(path->bytes + len + 1, &event->facts->file, more);
    return path;
}

static void path_unref(struct path *path)
{
    if (path != NULL && --path->refs == 0)
        free(path);
}

/* ---- The hash ------------------------------------------------------------------------------- */

/* The slot where the search for a key begins.  Mixed with a secret: watched processes choose their
 * descriptors, and must not be able to choose collisions. */
static size_t hash_slot(const struct ledger *ledger, uint64_t table, uint32_t fd)
{
    uint64_t hash = table ^ ledger->secret;

    hash = ((hash ^ hash >> 33) * 0xff51afd7ed558ccdu) ^ fd;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return (hash ^ hash >> 33) & (ledger->n_slots - 1);
}

static size_t next_slot(const struct ledger *ledger, size_t slot)
{
    return (slot + 1) & (ledger->n_slots - 1);
}

static struct held *item_in(const struct ledger *ledger, uint32_t slot)
{
    return &ledger->items[(slot & ~ANCHOR) - 1];
}

static bool is_key_of(const struct ledger *ledger, uint32_t slot, uint64_t table, uint32_t fd)
{
    const struct held *item = item_in(ledger, slot);

    return item->table == table && (slot & ANCHOR ? ANCHOR_FD : item->fd) == fd;
}

/* The slot of this key, or the free slot where the key belongs. */
static size_t slot_of(const struct ledger *ledger, uint64_t table, uint32_t fd)
{
    size_t slot = hash_slot(ledger, table, fd);

    while (ledger->slots[slot] != 0 && !is_key_of(ledger, ledger->slots[slot], table, fd))
        slot = next_slot(ledger, slot);
    return slot;
}

/* NULL: not held. */
static struct held *find(const struct ledger *ledger, uint64_t table, uint32_t fd)
{
    uint32_t found = ledger->count != 0 ? ledger->slots[slot_of(ledger, table, fd)] : 0;

    return found != 0 ? item_in(ledger, found) : NULL;
}

static void insert_slots(struct ledger *ledger, uint32_t place)
{
    const struct held *item = &ledger->items[place];

    ledger->slots[slot_of(ledger, item->table, item->fd)] = place + 1;
    if (item->is_anchor)
        ledger->slots[slot_of(ledger, item->table, ANCHOR_FD)] = (place + 1) | ANCHOR;
}

/* Frees the slot.  A later slot of the same run moves into the gap if a search for it would
 * otherwise stop there. */
static void free_slot(struct ledger *ledger, size_t gap)
{
    size_t mask = ledger->n_slots - 1, slot = gap;

    ledger->n_used--;
    while (ledger->slots[slot = next_slot(ledger, slot)] != 0) {
        uint32_t taken = ledger->slots[slot];
        const struct held *item = item_in(ledger, taken);
        size_t home = hash_slot(ledger, item->table, taken & ANCHOR ? ANCHOR_FD : item->fd);

        if (((slot - home) & mask) < ((slot - gap) & mask))
            continue;
        ledger->slots[gap] = taken;
        gap = slot;
    }
    ledger->slots[gap] = 0;
}

/* ---- Room ----------------------------------------------------------------------------------- */

/* Room for count items, and at most an eighth more: realloc(3) remaps a large array without copying
 * it, so small steps are cheap. */
static int resize_items(struct ledger *ledger, size_t count)
{
    size_t step = ROOM_MIN, room;
    struct held *items;

    while (step <= count / 16)
        step *= 2;
    room = (count + step - 1) / step * step;
    items = realloc(ledger->items, room * sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    ledger->items = items;
    ledger->room = room;
    return 0;
}

static int resize_slots(struct ledger *ledger, size_t n_slots)
{
    uint32_t *slots = calloc(n_slots, sizeof(*slots));

    if (slots == NULL)
        return -ENOMEM;
    free(ledger->slots);
    ledger->slots = slots;
    ledger->n_slots = n_slots;
    for (size_t i = 0; i < ledger->count; i++)
        insert_slots(ledger, (uint32_t)i);
    return 0;
}

/* Makes room for one more item, and keeps a quarter of the slots free. */
static int reserve(struct ledger *ledger)
{
    size_t count = ledger->count + 1;

    if (count > ITEMS_MAX || (count > ledger->room && resize_items(ledger, count) < 0))
        return -ENOMEM;
    if (ledger->n_used + 2 > ledger->n_slots / 4 * 3)
        return resize_slots(ledger, ledger->n_slots ? 2 * ledger->n_slots : SLOTS_MIN);
    return 0;
}

/* Frees memory that is no longer needed; on failure nothing changes. */
static void shrink(struct ledger *ledger)
{
    if (ledger->room > ROOM_MIN && ledger->count < ledger->room / 3)
        resize_items(ledger, ledger->count + 1);
    if (ledger->n_slots > SLOTS_MIN && ledger->n_used < ledger->n_slots / 16 * 3)
        resize_slots(ledger, ledger->n_slots / 2);
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

/* The number of a new entry, all zeros; 0: no memory. */
static uint32_t new_counted(struct ledger *ledger)
{
    uint32_t number = ledger->first_free;
    struct event_bytes *more;

    if (number != 0) {
        ledger->first_free = (uint32_t)ledger->counted[number - 1].reads;
    } else {
        more = realloc(ledger->counted, (ledger->n_counted + 1) * sizeof(*more));
        if (more == NULL)
            return 0;
        ledger->counted = more;
        number = ++ledger->n_counted;
    }
    ledger->counted[number - 1] = (struct event_bytes){0};
    return number;
}

static void free_counted(struct ledger *ledger, uint32_t number)
{
    if (number == 0)
        return;
    ledger->counted[number - 1].reads = ledger->first_free;
    ledger->first_free = number;
}

/* ---- Items ---------------------------------------------------------------------------------- */

static uint32_t place_of(const struct ledger *ledger, const struct held *held)
{
    return (uint32_t)(held - ledger->items);
}

static void link_ring(struct ledger *ledger, uint32_t before, uint32_t after)
{
    ledger->items[before].next = after;
    ledger->items[after].prev = before;
}

/* Adds an item at the end of its table's ring.  Call reserve() first. */
static struct held *add(struct ledger *ledger, uint64_t table, uint32_t fd)
{
    struct held *anchor = find(ledger, table, ANCHOR_FD), *held = &ledger->items[ledger->count];
    uint32_t place = (uint32_t)ledger->count++;

    *held = (struct held){.table = table, .fd = fd, .is_anchor = anchor == NULL};
    insert_slots(ledger, place);
    ledger->n_used += 1 + held->is_anchor;
    link_ring(ledger, anchor != NULL ? anchor->prev : place, place);
    link_ring(ledger, place, anchor != NULL ? place_of(ledger, anchor) : place);
    return held;
}

/* Moves an item to a free place, and updates its slots and its neighbours. */
static void move(struct ledger *ledger, uint32_t from, uint32_t to)
{
    const struct held *item = &ledger->items[from];
    bool is_alone = item->next == from;

    ledger->slots[slot_of(ledger, item->table, item->fd)] = to + 1;
    if (item->is_anchor)
        ledger->slots[slot_of(ledger, item->table, ANCHOR_FD)] = (to + 1) | ANCHOR;
    ledger->items[to] = *item;
    link_ring(ledger, is_alone ? to : item->prev, to);
    link_ring(ledger, to, is_alone ? to : item->next);
}

/* Makes the item at place the anchor of the ring instead. */
static void set_anchor(struct ledger *ledger, struct held *anchor, uint32_t place)
{
    size_t slot = slot_of(ledger, anchor->table, ANCHOR_FD);

    anchor->is_anchor = false;
    ledger->items[place].is_anchor = true;
    ledger->slots[slot] = (place + 1) | ANCHOR;
}

/* Removes an item; the last item moves to its place. */
static void drop(struct ledger *ledger, struct held *held)
{
    uint32_t place = place_of(ledger, held), last = (uint32_t)ledger->count - 1;

    path_unref(held->path);
    free_counted(ledger, held->counted);
    if (held->is_anchor && held->next != place)
        set_anchor(ledger, held, held->next);
    if (held->is_anchor)
        free_slot(ledger, slot_of(ledger, held->table, ANCHOR_FD));
    free_slot(ledger, slot_of(ledger, held->table, held->fd));
    link_ring(ledger, held->prev, held->next);
    if (place != last)
        move(ledger, last, place);
    ledger->count--;
    shrink(ledger);
}

/* The descriptor fd of the event's table.  NULL: not held. */
static struct held *find_held(const struct ledger *ledger, const struct event *event, int fd)
{
    return fd >= 0 ? find(ledger, event->table, (uint32_t)fd) : NULL;
}

static bool may_be_held(const struct event *event)
{
    return event->fd >= 0 && event->table != 0;
}

/* Holds event->fd with this path.  Takes over the reference to path; NULL means that there was no
 * memory for it. */
static int hold(struct ledger *ledger, const struct event *event, struct path *path)
{
    struct held *held;

    if (path == NULL || !may_be_held(event) || reserve(ledger) < 0) {
        path_unref(path);
        return path == NULL || may_be_held(event) ? -ENOMEM : -EINVAL;
    }
    held = add(ledger, event->table, (uint32_t)event->fd);
    held->since_ns = event->mono_ns;
    held->path = path;
    held->pid = event->pid;
    held->ppid = event->ppid;
    return 0;
}

/* ---- Records -------------------------------------------------------------------------------- */

/* The facts of the cause, but for its file and the name that it was given, and those of this file.
 */
static struct event_facts *facts_of(struct ledger *ledger, const struct event_facts *cause,
                                    const struct path *path)
{
    ledger->facts = *cause;
    ledger->facts.known &= ~(FACT(FILE) | FACT(GIVEN));
    ledger->facts.given = NULL;
    if (path->has_file) {
        ledger->facts.known |= FACT(FILE);
        memcpy(&ledger->facts.file, path->bytes + path->len + 1, sizeof(ledger->facts.file));
    }
    return &ledger->facts;
}

/* A record about a held descriptor, with the process and the time of the cause.  It is valid until
 * the next call. */
static struct event record_of(struct ledger *ledger, const struct event *cause,
                              enum event_code code, const struct held *held)
{
    struct event record = *cause;

    record.code = code;
    record.fd = (int)held->fd;
    record.path = held->path->bytes;
    record.path_len = held->path->len;
    if (cause->facts != NULL)
        record.facts = facts_of(ledger, cause->facts, held->path);
    return record;
}

/* The same for CLOSE and ERROR: pid and ppid are those of the opener, if another process closes. */
static struct event end_of(struct ledger *ledger, const struct event *cause, enum event_code code,
                           const struct held *held)
{
    struct event record = record_of(ledger, cause, code, held);

    if (held->pid != cause->pid) {
        record.pid = held->pid;
        record.ppid = held->ppid;
    }
    return record;
}

static void add_bytes(struct ledger *ledger, struct event *record, const struct held *held)
{
    if (record->facts == NULL)
        ledger->facts = (struct event_facts){.known = 0};
    record->facts = &ledger->facts;
    record->facts->bytes = (struct event_bytes){0};
    if (held->counted != 0)
        record->facts->bytes = ledger->counted[held->counted - 1];
    record->facts->known |= FACT(BYTES);
}

static void emit_close(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                       const struct held *held)
{
    struct event record = end_of(ledger, cause, EVENT_CLOSE, held);

    record.reason = reason;
    record.duration_ns = cause->mono_ns > held->since_ns ? cause->mono_ns - held->since_ns : 0;
    if (ledger->counts_bytes)
        add_bytes(ledger, &record, held);
    ledger->emit(ledger->ctx, &record);
}

static void close_one(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                      int fd)
{
    struct held *held = find_held(ledger, cause, fd);

    if (held == NULL)
        return;
    emit_close(ledger, cause, reason, held);
    drop(ledger, held);
}

/* If the descriptor that is about to be reused is still held, its close was missed. */
static void close_missed(struct ledger *ledger, const struct event *event)
{
    struct held *held = find_held(ledger, event, event->fd);
    struct event record;

    if (held == NULL)
        return;
    record = end_of(ledger, event, EVENT_ERROR, held);
    ledger->emit(ledger->ctx, &record);
    drop(ledger, held);
}

/* ---- Many at once --------------------------------------------------------------------------- */

/* The end of a list. */
#define NONE UINT32_MAX

/* Removes the head with the lower descriptor from one of two lists. */
static uint32_t pop_lower(const struct held *items, uint32_t *one, uint32_t *other)
{
    uint32_t *from = *other == NONE || (*one != NONE && items[*one].fd < items[*other].fd) ? one
                                                                                           : other;
    uint32_t place = *from;

    *from = items[place].next;
    return place;
}

static uint32_t merge(struct held *items, uint32_t one, uint32_t other)
{
    uint32_t first = pop_lower(items, &one, &other);

    for (uint32_t at = first; one != NONE || other != NONE; at = items[at].next)
        items[at].next = pop_lower(items, &one, &other);
    return first;
}

/* Removes the longest sorted beginning from the list. */
static uint32_t cut_run(struct held *items, uint32_t *rest)
{
    uint32_t first = *rest, at = first;

    while (items[at].next != NONE && items[items[at].next].fd > items[at].fd)
        at = items[at].next;
    *rest = items[at].next;
    items[at].next = NONE;
    return first;
}

/* A merge sort, which needs no memory: at EXIT there may be none.  runs[i] is merged from 2^i runs;
 * NONE: empty. */
static uint32_t sort_list(struct held *items, uint32_t list)
{
    uint32_t runs[32], sorted = NONE;
    size_t n = 0;

    while (list != NONE) {
        uint32_t run = cut_run(items, &list);
        size_t i = 0;

        for (; i < n && runs[i] != NONE; i++) {
            run = merge(items, runs[i], run);
            runs[i] = NONE;
        }
        n += i == n;
        runs[i] = run;
    }
    for (size_t i = 0; i < n; i++)
        if (runs[i] != NONE)
            sorted = sorted != NONE ? merge(items, runs[i], sorted) : runs[i];
    return sorted;
}

/* Sorts the ring by descriptor; its lowest becomes the anchor. */
static void sort_ring(struct ledger *ledger, struct held *anchor)
{
    struct held *items = ledger->items;
    uint32_t first, at;

    items[anchor->prev].next = NONE;
    first = sort_list(items, place_of(ledger, anchor));
    set_anchor(ledger, anchor, first);
    for (at = first; items[at].next != NONE; at = items[at].next)
        items[items[at].next].prev = at;
    link_ring(ledger, at, first);
}

/* Whether the ring has more than so many items besides its anchor. */
static bool has_more_than(const struct ledger *ledger, const struct held *anchor, uint32_t number)
{
    const struct held *at = &ledger->items[anchor->next];

    for (; at != anchor && number > 0; number--)
        at = &ledger->items[at->next];
    return at != anchor;
}

static void close_each(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                       const struct fd_range *range)
{
    for (size_t fd = range->first; fd <= range->last; fd++)
        close_one(ledger, cause, reason, (int)fd);
}

/* Emits a CLOSE for each descriptor of the sorted ring that is in ranges; returns their number. */
static size_t emit_closes(struct ledger *ledger, const struct event *cause,
                          enum event_reason reason, const struct fd_range *ranges, size_t n_ranges)
{
    struct held *held = find(ledger, cause->table, ANCHOR_FD);
    size_t i = 0, n = 0;

    do {
        while (i < n_ranges && ranges[i].last < held->fd)
            i++;
        if (i < n_ranges && ranges[i].first <= held->fd) {
            emit_close(ledger, cause, reason, held);
            path_unref(held->path);
            held->path = NULL;
            n++;
        }
        held = &ledger->items[held->next];
    } while (i < n_ranges && !held->is_anchor);
    return n;
}

/* Drops the n descriptors whose CLOSE was emitted, from the highest on: it was mostly added last,
 * so it is mostly the last item, and then no other item has to move. */
static void drop_closed(struct ledger *ledger, uint64_t table, size_t n)
{
    uint32_t at = n > 0 ? find(ledger, table, ANCHOR_FD)->prev : NONE;

    while (n > 0) {
        uint32_t last = (uint32_t)ledger->count - 1, prev = ledger->items[at].prev;

        if (ledger->items[at].path == NULL) {
            drop(ledger, &ledger->items[at]);
            prev = prev == last ? at : prev;
            n--;
        }
        at = prev;
    }
}

/* Looks up each descriptor of a small range; a range can span four billion numbers, so otherwise
 * iterates over the descriptors that are held. */
static void close_ranges(struct ledger *ledger, const struct event *cause, enum event_reason reason,
                         const struct fd_range *ranges, size_t n_ranges)
{
    struct held *anchor = find(ledger, cause->table, ANCHOR_FD);

    if (anchor == NULL)
        return;
    if (n_ranges == 1 && ranges->last - ranges->first < ledger->count &&
        has_more_than(ledger, anchor, ranges->last - ranges->first)) {
        close_each(ledger, cause, reason, ranges);
        return;
    }
    sort_ring(ledger, anchor);
    drop_closed(ledger, cause->table, emit_closes(ledger, cause, reason, ranges, n_ranges));
}

/* ---- Events --------------------------------------------------------------------------------- */

static int take_open(struct ledger *ledger, const struct event *event)
{
    close_missed(ledger, event);
    ledger->emit(ledger->ctx, event);
    return hold(ledger, event, path_new(event));
}

/* The descriptor that was copied; NULL: not held. */
static const struct held *find_origin(const struct ledger *ledger, const struct event *event)
{
    return event->origin_reused ? NULL : find_held(ledger, event, event->origin);
}

static int take_dup(struct ledger *ledger, const struct event *event)
{
    const struct held *origin;
    struct event record = *event;
    struct path *path;

    if (event->fd == event->origin && !event->origin_reused)
        return 0;
    if (event->reason == REASON_DUP2)
        close_one(ledger, event, REASON_DUP2, event->fd);
    else
        close_missed(ledger, event);
    origin = find_origin(ledger, event);
    if (origin == NULL && event->path == NULL)
        return 0;
    if (origin != NULL) {
        record = record_of(ledger, event, EVENT_DUP, origin);
        record.fd = event->fd;
        record.path_cut = false;
        path = origin->path;
        path->refs++;
    } else {
        path = path_new(event);
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

static int take_bytes(struct ledger *ledger, const struct event *event)
{
    struct held *held = find_held(ledger, event, event->fd);
    const struct event_bytes *more = &event->facts->bytes;
    struct event_bytes *sum;

    if (held == NULL)
        return 0;
    if (held->counted == 0)
        held->counted = new_counted(ledger);
    if (held->counted == 0)
        return -ENOMEM;
    sum = &ledger->counted[held->counted - 1];
    sum->read += more->read;
    sum->written += more->written;
    sum->reads += more->reads;
    sum->writes += more->writes;
    sum->mapped |= more->mapped;
    return 0;
}

int ledger_take(struct ledger *ledger, const struct event *event)
{
    static const struct fd_range all = {0, INT_MAX};

    switch (event->code) {
    case EVENT_OPEN:
    case EVENT_HELD:
        return take_open(ledger, event);
    case EVENT_DUP:
        return take_dup(ledger, event);
    case EVENT_CLOSE:
        return take_close(ledger, event);
    case EVENT_CLOEXEC:
        close_ranges(ledger, event, REASON_EXEC, event->ranges, event->n_ranges);
        return 0;
    case EVENT_EXIT:
        close_ranges(ledger, event, REASON_EXIT, &all, 1);
        return 0;
    case EVENT_BYTES:
        return take_bytes(ledger, event);
    default:
        ledger->emit(ledger->ctx, event);
        return 0;
    }
}

struct ledger *ledger_new(ledger_emit *emit, void *ctx, bool counts_bytes)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));

    if (ledger == NULL)
        return NULL;
    if (getrandom(&ledger->secret, sizeof(ledger->secret), GRND_NONBLOCK) < 0)
        ledger->secret = 0; /* the pool is empty only early in the boot, before any adversary */
    ledger->emit = emit;
    ledger->ctx = ctx;
    ledger->counts_bytes = counts_bytes;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (size_t i = 0; i < ledger->count; i++)
        path_unref(ledger->items[i].path);
    free(ledger->counted);
    free(ledger->items);
    free(ledger->slots);
    free(ledger);
}

size_t ledger_held(const struct ledger *ledger)
{
    return ledger->count;
}
