/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of which descriptors a record was made, so that the closes of no others leave the kernel.
 *
 * A chunk is 64 descriptors of one file descriptor table.  Its table and number lead to one slot of
 * an array, where a look costs next to nothing.  Chunks that find their slot taken lie in a hash
 * map.  Which of the two it is must be decided once for a chunk: two threads of a table can add the
 * same one at the same moment, while the slot is given up by another table.
 *
 *   - Who inserts a slot's number into `slot_owners` has the slot for its chunk.
 *   - Who inserts a chunk into `descriptors` has decided where it lies: the entry says so, and all
 *     others follow it.  A slot that was taken in vain is given up with the chunk.
 */
#ifndef FILEMON_BPF_RECORDED_H
#define FILEMON_BPF_RECORDED_H

#include "state.bpf.h"

#define CHUNK_FDS 64

enum recorded {
    RECORDED = 1,
    RECORDED_HELD, /* it was open before the watch: see held.bpf.h */
};

/* A byte and not a bit for each: threads write them without a lock. */
struct chunk {
    __u8 recorded[CHUNK_FDS]; /* 0: there is no record of it */
};

/* Part of a file descriptor table, which its files_struct names. */
struct chunk_key {
    __u64 table;
    __u32 number;
} __attribute__((packed, aligned(4)));

struct chunk_entry {
    __u64 in_slot;
    struct chunk chunk; /* if not */
};

#define MAX_CHUNKS 32768

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, struct chunk_key);
    __type(value, struct chunk_entry);
} descriptors SEC(".maps");

struct slot {
    __u64 owner;  /* the chunk that lies here, as chunk_id() has it; 0: none */
    __u64 others; /* chunks that lead here, but lie in the hash map */
    struct chunk chunk;
};

#define SLOT_BITS 12
#define SLOTS (1 << SLOT_BITS)

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SLOTS);
    __type(key, __u32);
    __type(value, struct slot);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SLOTS);
    __type(key, __u32);
    __type(value, __u64);
} slot_owners SEC(".maps");

/*
 * The chunks that a table has there: what goes through them takes as long as there are records,
 * however large the table is.  The key's number is a place in the table's list, which has no gaps;
 * a chunk may stand there twice.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, struct chunk_key);
    __type(value, __u32);
} chunk_lists SEC(".maps");

/* A file descriptor table that has chunks: see tables.bpf.h. */
struct table {
    __u64 born;   /* when this was made: no other that had the address was then */
    __u32 chunks; /* in its list, or a few less while threads of it are adding some */
    /* Its users: threads that had it when this was made, got it when they were created, left it. */
    __u32 first, joined, left;
    __u32 joined_before;      /* a scan of the tasks: joined when it began */
    bool is_used, is_leaving; /* and what it came upon: the latter is a thread that ends */
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, __u64);
    __type(value, struct table);
} tables SEC(".maps");

#define ID_BITS 12 /* of a chunk's number in its id */

/*
 * A chunk in one word, which is read and written at once.  A table takes more than 64 bytes, and
 * the highest bits of all addresses in the kernel are the same.  0: the number is too high for
 * that.
 */
static __always_inline __u64 chunk_id(__u64 table, __u32 number)
{
    return number >> ID_BITS ? 0 : table >> 6 << ID_BITS | number;
}

static __always_inline __u32 slot_number(__u64 id)
{
    return id * 0x9e3779b97f4a7c15 >> (64 - SLOT_BITS);
}

static __always_inline struct slot *slot_of(__u64 id)
{
    __u32 number = slot_number(id);

    return bpf_map_lookup_elem(&slots, &number);
}

/* The chunk that this descriptor of a table is in; NULL: there is no record of it or any near it.
 */
static __always_inline struct chunk *find_chunk(__u64 table, __u32 fd)
{
    struct chunk_key key = {table, fd / CHUNK_FDS};
    __u64 id = chunk_id(table, key.number);
    struct slot *slot = slot_of(id);
    struct chunk_entry *entry;

    if (!slot)
        return NULL;
    if (id && slot->owner == id)
        return &slot->chunk;
    if (!slot->others)
        return NULL;
    entry = bpf_map_lookup_elem(&descriptors, &key);
    return !entry ? NULL : entry->in_slot ? &slot->chunk : &entry->chunk;
}

/* Where it is noted what was recorded of a descriptor; NULL: nothing is. */
static __always_inline __u8 *find_recorded(__u64 table, __u32 fd)
{
    struct chunk *chunk = find_chunk(table, fd);

    return chunk && chunk->recorded[fd % CHUNK_FDS] ? &chunk->recorded[fd % CHUNK_FDS] : NULL;
}

static __always_inline bool is_recorded(__u64 table, __u32 fd)
{
    return find_recorded(table, fd) != NULL;
}

static __always_inline __u32 count_users(__u64 table)
{
    struct files_struct *files = (void *)table;

    return BPF_CORE_READ(files, count.counter);
}

/* More than any table has: so many are not left, and a scan decides. */
#define UNKNOWN_USERS (1u << 30)

/*
 * A thread that joins or leaves while the count is read may be in it or not.  If so, it is counted
 * once too often, which a scan finds out, or the count has changed.
 */
static __always_inline struct table *find_or_add_table(__u64 address)
{
    struct table *table = bpf_map_lookup_elem(&tables, &address);
    struct table new = {bpf_ktime_get_ns(), .first = UNKNOWN_USERS, .is_used = true};
    __u32 users;

    if (table)
        return table;
    users = count_users(address);
    if (bpf_map_update_elem(&tables, &address, &new, BPF_NOEXIST) != 0)
        return bpf_map_lookup_elem(&tables, &address);
    table = bpf_map_lookup_elem(&tables, &address);
    if (table && users == count_users(address))
        table->first = users;
    return table;
}

/* Threads that add chunks to one list at one moment; no lock can be taken here. */
#define LISTING_THREADS 32

/* False: there is no room. */
static __always_inline bool list_chunk(const struct chunk_key *chunk)
{
    struct table *table = find_or_add_table(chunk->table);
    int result = -EEXIST;

    for (int i = 0; table && i < LISTING_THREADS && result == -EEXIST; i++) {
        struct chunk_key key = {chunk->table, table->chunks};
        __u32 number = chunk->number;

        result = bpf_map_update_elem(&chunk_lists, &key, &number, BPF_NOEXIST);
        if (result == 0 || result == -EEXIST)
            table->chunks = key.number + 1;
    }
    return result == 0;
}

/* Too large for the stack; with in_slot, and without. */
static const struct chunk_entry empty_entries[2] = {{.in_slot = false}, {.in_slot = true}};

/* Unless there is no room. */
static __always_inline void insert_chunk(const struct chunk_key *key, struct slot *slot,
                                         bool in_slot)
{
    if (!list_chunk(key))
        return;
    if (!in_slot) /* first, for find_chunk() */
        __sync_fetch_and_add(&slot->others, 1);
    if (bpf_map_update_elem(&descriptors, key, &empty_entries[in_slot], BPF_NOEXIST) != 0 &&
        !in_slot)
        __sync_fetch_and_add(&slot->others, -1);
}

static __always_inline bool owns_slot(__u64 id)
{
    __u32 number = slot_number(id);
    __u64 *owner = bpf_map_lookup_elem(&slot_owners, &number);

    return id && owner && *owner == id;
}

TURN int add_chunk(__u64 table, __u32 number)
{
    struct chunk_key key = {table, number};
    __u64 id = chunk_id(table, number);
    __u32 which = slot_number(id);
    struct slot *slot = slot_of(id);
    struct chunk_entry *entry;

    if (!slot)
        return 0;
    if (id)
        bpf_map_update_elem(&slot_owners, &which, &id, BPF_NOEXIST);
    insert_chunk(&key, slot, owns_slot(id));
    entry = bpf_map_lookup_elem(&descriptors, &key);
    if (entry && entry->in_slot)
        slot->owner = id;
    return 0;
}

/* Nobody has the table any more. */
TURN int forget_chunk(__u64 table, __u32 number)
{
    static const struct chunk empty;
    struct chunk_key key = {table, number};
    struct chunk_entry *entry = bpf_map_lookup_elem(&descriptors, &key);
    __u64 id = chunk_id(table, number);
    __u32 which = slot_number(id);
    struct slot *slot = slot_of(id);

    if (!entry || !slot)
        return 0;
    if (entry->in_slot) {
        slot->owner = 0;
        slot->chunk = empty;
    } else {
        __sync_fetch_and_add(&slot->others, -1);
    }
    bpf_map_delete_elem(&descriptors, &key);
    if (owns_slot(id))
        bpf_map_delete_elem(&slot_owners, &which);
    return 0;
}

static __always_inline void set_recorded(__u64 table, __u32 fd, enum recorded how)
{
    struct chunk *chunk = find_chunk(table, fd);

    if (!chunk) {
        add_chunk(table, fd / CHUNK_FDS);
        chunk = find_chunk(table, fd);
    }
    if (chunk)
        chunk->recorded[fd % CHUNK_FDS] = how;
    else
        count_lost();
}

/* True when a record had been made of it. */
static __always_inline bool clear_recorded(__u64 table, __u32 fd)
{
    __u8 *recorded = find_recorded(table, fd);

    if (recorded)
        *recorded = 0;
    return recorded != NULL;
}

#endif
