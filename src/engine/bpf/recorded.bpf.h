/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of recorded descriptors: those whose open or copy was delivered.  Only their closes are
 * delivered.
 *
 * A chunk is 64 descriptors of one file descriptor table.  A hash of table and chunk number selects
 * a slot of an array, where a look-up costs next to nothing.  If the slot has the chunk of another
 * table, the chunk is in a hash map.  Two threads that share a table can add the same chunk at the
 * same moment, while another table frees the slot: without further care one thread would use the
 * slot, and the other the hash map.  So:
 *
 *   - The thread that inserts a slot's number into `slot_owners` owns the slot.
 *   - The thread that inserts a chunk into `descriptors` decides where the chunk is: its entry says
 *     so, and every other thread obeys the entry.  A slot that is owned but not used is freed with
 *     the chunk.
 */
#ifndef FILEMON_BPF_RECORDED_H
#define FILEMON_BPF_RECORDED_H

#include "state.bpf.h"

#define CHUNK_FDS 64

enum recorded {
    RECORDED = 1,
    RECORDED_HELD, /* reported as initially open: held.bpf.h */
};

/* A byte for each descriptor, since threads write them without a lock: bits would need one. */
struct chunk {
    __u8 recorded[CHUNK_FDS]; /* enum recorded; 0: not recorded */
};

struct chunk_key {
    __u64 table; /* the address of its files_struct */
    __u32 number;
} __attribute__((packed, aligned(4)));

struct chunk_entry {
    __u64 in_slot;
    struct chunk chunk; /* used if not in_slot */
};

#define MAX_CHUNKS 32768

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, struct chunk_key);
    __type(value, struct chunk_entry);
} descriptors SEC(".maps");

struct slot {
    __u64 owner;  /* chunk_id() of the chunk that is here; 0: none */
    __u64 others; /* number of chunks that hash to this slot, but are in the hash map */
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
 * The list of a table's chunks: the time to visit them depends on the number of recorded
 * descriptors, not on the size of the table.  The key's number is an index into the list, which has
 * no gaps; a chunk may be listed twice.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, struct chunk_key);
    __type(value, __u32);
} chunk_lists SEC(".maps");

/* A file descriptor table that has chunks: see tables.bpf.h. */
struct table {
    __u64 created; /* the time of this entry; tells it from earlier tables at the same address */
    __u32 chunks;  /* length of its list; may be a few less while threads add chunks */
    /* Numbers of threads: those that used the table when this entry was created, those that were
     * created with it later, those that have left it. */
    __u32 first, joined, left;
    /* The scan of find_users(): `joined` at its start, and whether it has found a user, or a thread
     * that is exiting. */
    __u32 joined_at_scan;
    bool is_used, is_leaving;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_CHUNKS);
    __type(key, __u64);
    __type(value, struct table);
} tables SEC(".maps");

#define ID_BITS 12 /* bits for the chunk's number in its id */

/*
 * The key of a chunk in one word, which is read and written atomically.  The six lowest and the
 * twelve highest bits of the table's address are not needed: a files_struct is larger than 64
 * bytes, and all addresses of the kernel begin with the same bits.  0: the number does not fit.
 */
static __always_inline __u64 chunk_id(__u64 table, __u32 number)
{
    return number >> ID_BITS ? 0 : table >> 6 << ID_BITS | number;
}

static __always_inline __u32 slot_index(__u64 id)
{
    return id * 0x9e3779b97f4a7c15 >> (64 - SLOT_BITS);
}

static __always_inline struct slot *slot_of(__u64 id)
{
    __u32 number = slot_index(id);

    return bpf_map_lookup_elem(&slots, &number);
}

/* The chunk of this descriptor; NULL: no descriptor of the chunk was recorded. */
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

/* The byte of a recorded descriptor; NULL: it is not recorded. */
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

/* More users than any table has: `left` never reaches it, so a scan finds out when the table
 * ends. */
#define UNKNOWN_USERS (1u << 30)

/*
 * A thread that joins or leaves the table while its users are counted may or may not be part of the
 * count.  Either the two counts differ, and the number of users is unknown; or the thread is
 * counted twice, and a scan finds out when the table ends.
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

/* How many threads may append to one list at the same moment; there is no lock. */
#define LISTING_THREADS 32

/* Appends the chunk to the list of its table.  -EEXIST: another thread has appended there. */
SUBPROGRAM int append_chunk(__u64 address, __u32 number)
{
    struct table *table = find_or_add_table(address);
    struct chunk_key key = {address};
    int result;

    if (!table)
        return -E2BIG;
    key.number = table->chunks;
    result = bpf_map_update_elem(&chunk_lists, &key, &number, BPF_NOEXIST);
    if (result == 0 || result == -EEXIST)
        table->chunks = key.number + 1;
    return result;
}

/* False: the map is full. */
static __always_inline bool list_chunk(const struct chunk_key *chunk)
{
    int result = -EEXIST;

    for (int i = 0; i < LISTING_THREADS && result == -EEXIST; i++)
        result = append_chunk(chunk->table, chunk->number);
    return result == 0;
}

/* Indexed by in_slot.  Too large for the stack. */
static const struct chunk_entry empty_entries[2] = {{.in_slot = false}, {.in_slot = true}};

/* Inserts the chunk into `descriptors`, unless that map is full. */
static __always_inline void insert_chunk(const struct chunk_key *key, struct slot *slot,
                                         bool in_slot)
{
    if (!list_chunk(key))
        return;
    if (!in_slot) /* before the insertion, or find_chunk() would not look into the hash map */
        __sync_fetch_and_add(&slot->others, 1);
    if (bpf_map_update_elem(&descriptors, key, &empty_entries[in_slot], BPF_NOEXIST) != 0 &&
        !in_slot)
        __sync_fetch_and_add(&slot->others, -1);
}

static __always_inline bool owns_slot(__u64 id)
{
    __u32 number = slot_index(id);
    __u64 *owner = bpf_map_lookup_elem(&slot_owners, &number);

    return id && owner && *owner == id;
}

SUBPROGRAM int add_chunk(__u64 table, __u32 number)
{
    struct chunk_key key = {table, number};
    __u64 id = chunk_id(table, number);
    __u32 which = slot_index(id);
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

/* Removes a chunk of a table that no thread uses any more. */
SUBPROGRAM int forget_chunk(__u64 table, __u32 number)
{
    static const struct chunk empty;
    struct chunk_key key = {table, number};
    struct chunk_entry *entry = bpf_map_lookup_elem(&descriptors, &key);
    __u64 id = chunk_id(table, number);
    __u32 which = slot_index(id);
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

/* True: the descriptor was recorded. */
static __always_inline bool clear_recorded(__u64 table, __u32 fd)
{
    __u8 *recorded = find_recorded(table, fd);

    if (recorded)
        *recorded = 0;
    return recorded != NULL;
}

#endif
