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
    struct record_bytes bytes;
};

/* Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct counted_key);
    __type(value, struct counted);
} counted SEC(".maps");

static __always_inline struct counted *find_counted(__u64 table, __u32 fd)
{
    struct counted_key key = {table, fd};

    return bpf_map_lookup_elem(&counted, &key);
}

static __always_inline struct counted *find_or_add_counted(__u64 table, __u32 fd)
{
    struct counted *found = find_counted(table, fd);
    struct counted_key key = {table, fd};
    struct counted new = {};

    if (found)
        return found;
    new.serial = new_number();
    if ((int)bpf_map_update_elem(&counted, &key, &new, BPF_NOEXIST) == -E2BIG)
        count_lost();
    return find_counted(table, fd);
}

/* The serial number of the descriptor's counts; 0: it is not recorded. */
SUBPROGRAM __u64 serial_of(__u64 table, __u32 fd)
{
    struct counted *found = is_recorded(table, fd) ? find_or_add_counted(table, fd) : NULL;

    return found ? found->serial : 0;
}

enum transfer {
    TRANSFER_READ,
    TRANSFER_WRITE,
    TRANSFER_MAP,
};

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
    if (transfer == TRANSFER_READ) {
        __sync_fetch_and_add(&found->bytes.read, n);
        __sync_fetch_and_add(&found->bytes.reads, 1);
    } else if (transfer == TRANSFER_WRITE) {
        __sync_fetch_and_add(&found->bytes.written, n);
        __sync_fetch_and_add(&found->bytes.writes, 1);
    } else {
        found->bytes.mapped = 1;
    }
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
    struct counted *found = find_counted(table, fd);
    struct counted_key key = {table, fd};
    struct record_bytes bytes;
    void *room;

    if (!found)
        return 0;
    bytes = found->bytes;
    if (bpf_map_delete_elem(&counted, &key) != 0 || !is_any(&bytes))
        return 0;
    room = reserve_room(sizeof(struct record) + sizeof(bytes));
    if (!room)
        return 0;
    begin_bytes(record_in(room), table, fd);
    *(struct record_bytes *)(record_in(room) + 1) = bytes;
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
    struct counted_key key = {table, fd};

    if (counting_bytes)
        bpf_map_delete_elem(&counted, &key);
}

#endif
