/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of descriptors that have a record. */
#ifndef FILEMON_STAP_RECORDED_H
#define FILEMON_STAP_RECORDED_H

#include "bytes.h"
#include "report.h"

/*
 * A hash table of (number of the table, descriptor), in rows of eight.  A full row drops one
 * record, which counts as lost: memory is bounded.  Only one thread at a time opens or closes a
 * descriptor, so compare-and-exchange of the key is the only locking.
 *
 * During the scan for initially open descriptors, a descriptor that is being closed or replaced, or
 * was installed by other calls than opens, is blocked: a file that the scan finds there was not
 * initially open.  fm_tables_lock then serializes the scan with the probes.  A descriptor stays
 * blocked until it is recorded again or its table ends.
 */
#define FM_ROWS 32768
#define FM_ROW 8
#define FM_TAKEN (~0ULL)      /* the key of a slot whose record is being read or written */
#define FM_BLOCKED (1u << 31) /* no descriptor has this bit: INT_MAX is the highest */
static struct fm_slot {
    u64 key; /* 0: free */
    struct fm_record record;
} fm_slots[FM_ROWS][FM_ROW];

static_assert(FM_ROWS == FM_COUNTS_ROWS && FM_ROW == FM_COUNTS_ROW);

static inline u32 fm_slot_number(const struct fm_slot *slot)
{
    return slot - &fm_slots[0][0];
}

static const struct fm_record fm_no_record; /* of a descriptor whose open was not seen */

static inline u64 fm_key(const struct fm_table *table, unsigned int fd)
{
    return (u64)fm_number(table) << 32 | fd;
}

static inline struct fm_slot *fm_row(u64 key)
{
    return fm_slots[((key & ~(u64)FM_BLOCKED) * 0x9e3779b97f4a7c15ULL) >> 49];
}

static struct fm_slot *fm_find_slot(u64 key)
{
    struct fm_slot *row = fm_row(key);
    int i;

    for (i = 0; i < FM_ROW; i++)
        if (READ_ONCE(row[i].key) == key)
            return &row[i];
    return NULL;
}

static inline bool fm_is_recorded(const struct fm_table *table, unsigned int fd)
{
    return table && fm_find_slot(fm_key(table, fd));
}

/* Moves the record of the slot to *record.  False: another thread has removed it. */
static bool fm_clear_slot(struct fm_slot *slot, u64 key, struct fm_record *record)
{
    struct fm_table *table = &fm_tables[(key >> 32) - 1];

    /* cmpxchg() is a full barrier.  It pairs with the release in fm_put(). */
    if (cmpxchg(&slot->key, key, FM_TAKEN) != key)
        return false;
    *record = slot->record;
    fm_end_counts(fm_slot_number(slot), key >> 32, (u32)key);
    /* Pairs with cmpxchg() in fm_take_slot().  Otherwise the next owner of the slot could write its
     * record before this one is copied. */
    smp_store_release(&slot->key, 0);
    atomic_dec(&table->records);
    return true;
}

/* Reserves a slot of the key's row: its key becomes FM_TAKEN.  cmpxchg() pairs with the release in
 * fm_clear_slot(). */
static struct fm_slot *fm_take_slot(u64 key)
{
    struct fm_slot *row = fm_row(key);
    struct fm_record record;
    u64 victim;
    u32 i;

    for (i = 0; i < FM_ROW; i++)
        if (!READ_ONCE(row[i].key) && cmpxchg(&row[i].key, 0, FM_TAKEN) == 0)
            return &row[i];
    for (i = get_cycles() % FM_ROW;; i = (i + 1) % FM_ROW) {
        victim = READ_ONCE(row[i].key);
        if (victim && victim != FM_TAKEN && fm_clear_slot(&row[i], victim, &record)) {
            atomic_inc(&fm_lost);
            fm_record_free(&record);
        }
        if (cmpxchg(&row[i].key, 0, FM_TAKEN) == 0)
            return &row[i];
    }
}

static void fm_raise(u32 *highest, u32 number)
{
    u32 old = READ_ONCE(*highest);

    while (number > old && !try_cmpxchg(highest, &old, number))
        ;
}

static void fm_put(struct fm_table *table, u64 key, const struct fm_record *record)
{
    struct fm_slot *slot = fm_take_slot(key);

    fm_raise(&table->highest, (u32)key & ~FM_BLOCKED);
    fm_clear_counts(fm_slot_number(slot));
    slot->record = *record;
    atomic_inc(&table->records);
    /* Pairs with cmpxchg() in fm_clear_slot().  Otherwise a close on another CPU could read half of
     * the record. */
    smp_store_release(&slot->key, key);
}

/* Call with fm_tables_lock held.  The scan does not report the descriptor until it is recorded
 * again. */
static void fm_block(struct fm_table *table, unsigned int fd)
{
    u64 key = fm_key(table, fd) | FM_BLOCKED;

    if (!fm_find_slot(key))
        fm_put(table, key, &fm_no_record);
}

static void fm_unblock(struct fm_table *table, unsigned int fd)
{
    u64 key = fm_key(table, fd) | FM_BLOCKED;
    struct fm_slot *slot = fm_find_slot(key);
    struct fm_record none;

    if (slot)
        fm_clear_slot(slot, key, &none);
}

static bool fm_take_record(struct fm_table *table, unsigned int fd, struct fm_record *record)
{
    u64 key = fm_key(table, fd);
    struct fm_slot *slot = fm_find_slot(key);

    return slot && fm_clear_slot(slot, key, record);
}

static u32 fm_forget_and_block(unsigned int fd, struct fm_record *record)
{
    struct fm_table *table;
    bool was = false;

    raw_spin_lock(&fm_tables_lock);
    table = fm_find_or_add_table(current->files);
    if (table) {
        was = fm_take_record(table, fd, record);
        fm_block(table, fd);
    }
    raw_spin_unlock(&fm_tables_lock);
    return was ? fm_number(table) : 0;
}

/* Removes the record of current's descriptor.  Returns the number of the table; 0: no record. */
static u32 fm_forget(unsigned int fd, struct fm_record *record)
{
    struct fm_table *table;

    /* Pairs with the release in fm_scan_next(): after the scan, each descriptor that it reported
     * is recorded.  Otherwise the close of such a descriptor could find no record. */
    if (unlikely(smp_load_acquire(&fm_initial)))
        return fm_forget_and_block(fd, record);
    table = fm_my_table();
    return table && fm_take_record(table, fd, record) ? fm_number(table) : 0;
}

static void fm_put_or_free(struct fm_table *table, unsigned int fd, struct fm_record *record)
{
    if (fm_is_recorded(table, fd))
        fm_record_free(record);
    else
        fm_put(table, fm_key(table, fd), record);
}

/*
 * Call after the report of the open or copy, so that every recorded descriptor has been reported.
 * Another thread can close a copy in between; that close is then reported with the next event of
 * the descriptor.
 */
static void fm_remember(struct fm_table *table, unsigned int fd, struct fm_record *record)
{
    if (likely(!READ_ONCE(fm_initial))) {
        fm_put_or_free(table, fd, record);
        return;
    }
    raw_spin_lock(&fm_tables_lock);
    fm_unblock(table, fd);
    fm_put_or_free(table, fd, record);
    raw_spin_unlock(&fm_tables_lock);
}

/* At the end of the script. */
static void fm_records_free(void)
{
    struct fm_slot *slot = &fm_slots[0][0];
    int i;

    for (i = 0; i < FM_ROWS * FM_ROW; i++)
        if (slot[i].key)
            fm_record_free(&slot[i].record);
}

#endif
