/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is read and written through recorded descriptors (-b): the counts of each, from the first
 * call that reads or writes to the close.
 *
 * The counts of a descriptor are delivered before the record that closes it, in a record of their
 * own; user space adds them up.  They exist only while the descriptor is recorded: so what a call
 * counts cannot go to a later file of the same number, unless that was opened during the call.  For
 * this the counts have a serial number, which transfers.bpf.h compares.
 */
#ifndef FILEMON_BPF_BYTES_H
#define FILEMON_BPF_BYTES_H

#include "closings.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"

/* Set by the loader before it loads; if false, the verifier removes the code that counts. */
const volatile bool counting_bytes = false;

struct counted_key {
    __u64 table;
    __u32 fd;
} __attribute__((packed, aligned(4)));

struct counted {
    __u64 serial; /* unique: no later counts of the same descriptor have it */
    __u64 file;   /* set by reads.bpf.h */
    struct record_bytes bytes;
};

/* Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct counted_key);
    __type(value, struct counted);
} counted SEC(".maps");

/*
 * In front of the hash is an array, since a look-up in it takes a third of the time.  Only a thread
 * that has its table for itself takes a place there: so the counts of a descriptor are in one of
 * the two, whatever threads do at the same time.
 */
struct counted_slot {
    __u64 owner; /* chunk_id() of table and descriptor; 0: the slot is free */
    struct counted counted;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SLOTS);
    __type(key, __u32);
    __type(value, struct counted_slot);
} counted_slots SEC(".maps");

static __always_inline struct counted_slot *counted_slot_of(__u64 id)
{
    __u32 number = slot_index(id);

    return id ? bpf_map_lookup_elem(&counted_slots, &number) : NULL;
}

static __always_inline struct counted *find_counted(__u64 table, __u32 fd)
{
    __u64 id = chunk_id(table, fd);
    struct counted_slot *slot = counted_slot_of(id);
    struct counted_key key = {table, fd};

    return slot && slot->owner == id ? &slot->counted : bpf_map_lookup_elem(&counted, &key);
}

/* For a descriptor of this thread's. */
static __always_inline struct counted *find_or_add_counted(__u64 table, __u32 fd)
{
    struct counted *found = find_counted(table, fd);
    struct counted_key key = {table, fd};
    struct counted new = {};
    __u64 id = chunk_id(table, fd);
    struct counted_slot *slot;

    if (found)
        return found;
    new.serial = new_number();
    slot = has_shared_table(current_task()) ? NULL : counted_slot_of(id);
    if (slot && __sync_val_compare_and_swap(&slot->owner, 0, id) == 0) {
        slot->counted = new;
        return &slot->counted;
    }
    if ((int)bpf_map_update_elem(&counted, &key, &new, BPF_NOEXIST) == -E2BIG)
        count_lost();
    return find_counted(table, fd);
}

/* Removes the counts of a descriptor, and copies them.  False: it has none. */
static __always_inline bool take_counted(__u64 table, __u32 fd, struct counted *counts)
{
    __u64 id = chunk_id(table, fd);
    struct counted_slot *slot = counted_slot_of(id);
    struct counted_key key = {table, fd};
    struct counted *found;

    if (slot && slot->owner == id) {
        *counts = slot->counted;
        return __sync_val_compare_and_swap(&slot->owner, id, 0) == id;
    }
    found = bpf_map_lookup_elem(&counted, &key);
    if (!found)
        return false;
    *counts = *found;
    return bpf_map_delete_elem(&counted, &key) == 0;
}

/* The serial number of the descriptor's counts; 0: it is not recorded. */
SUBPROGRAM __u64 serial_of(__u64 table, __u32 fd)
{
    struct counted *found = is_recorded(table, fd) ? find_or_add_counted(table, fd) : NULL;

    return found ? found->serial : 0;
}

static __always_inline void add_transfer(struct counted *counted, __u32 transfer, __u64 n)
{
    if (transfer == TRANSFER_READ) {
        __sync_fetch_and_add(&counted->bytes.read, n);
        __sync_fetch_and_add(&counted->bytes.reads, 1);
    } else if (transfer == TRANSFER_WRITE) {
        __sync_fetch_and_add(&counted->bytes.written, n);
        __sync_fetch_and_add(&counted->bytes.writes, 1);
    } else {
        counted->bytes.mapped = 1;
    }
}

/* Counts a call that has read or written n bytes through the descriptor, if it is recorded, and was
 * when the call began.  serial: of its counts then; 0: not known, they are the same. */
SUBPROGRAM int count_transfer(__u64 table, __u32 fd, __u64 serial, __u32 transfer, __u64 n)
{
    struct counted *found;

    if (!is_recorded(table, fd))
        return 0;
    found = serial ? find_counted(table, fd) : find_or_add_counted(table, fd);
    if (!found || (serial && found->serial != serial))
        return 0;
    add_transfer(found, transfer, n);
    return 0;
}

static __always_inline bool is_any(const struct record_bytes *bytes)
{
    return bytes->reads || bytes->writes || bytes->mapped;
}

/* A record of counts has no thread. */
static __always_inline void begin_bytes(struct record *record, __u64 table, __u32 fd)
{
    __builtin_memset(record, 0, sizeof(*record));
    record->kind = RECORD_BYTES;
    record->table = table;
    record->fd = fd;
    record->time = bpf_ktime_get_ns();
    if (facts_asked)
        __builtin_memset(facts_of(record), 0, sizeof(struct record_facts));
}

/* Delivers and removes the counts of a descriptor that is about to be closed. */
SUBPROGRAM int deliver_bytes_of(__u64 table, __u32 fd)
{
    struct counted counts;
    void *room;

    if (!take_counted(table, fd, &counts) || !is_any(&counts.bytes))
        return 0;
    room = reserve_room(sizeof(struct record) + sizeof(counts.bytes));
    if (!room)
        return 0;
    begin_bytes(record_in(room), table, fd);
    *(struct record_bytes *)(record_in(room) + 1) = counts.bytes;
    submit_room(room);
    return 0;
}

static __always_inline void deliver_bytes(__u64 table, __u32 fd)
{
    if (counting_bytes)
        deliver_bytes_of(table, fd);
}

/* The same for all descriptors of a chunk, recorded or not: a call that raced with a close can have
 * left counts of a descriptor that is not. */
SUBPROGRAM int deliver_bytes_of_chunk(__u64 table, __u32 chunk)
{
    for (__u32 i = 0; i < CHUNK_FDS; i++)
        deliver_bytes_of(table, chunk * CHUNK_FDS + i);
    return 0;
}

/* Removes the counts of an earlier file. */
static __always_inline void forget_bytes(__u64 table, __u32 fd)
{
    struct counted counts;

    if (counting_bytes)
        take_counted(table, fd, &counts);
}

#endif
