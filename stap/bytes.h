/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read and written through recorded descriptors (-b). */
#ifndef FILEMON_STAP_BYTES_H
#define FILEMON_STAP_BYTES_H

#include "record.h"

/*
 * Each slot of fm_slots (recorded.h) can have counts.  Those of a row are allocated when one of its
 * descriptors is first read or written, so that they take no memory if nothing is counted.
 *
 * The counts of a descriptor are sent when its record is removed, before the line that reports the
 * close; filemon adds them up.  They have a serial number, so that a call does not count for a file
 * that was opened under the same number during the call: see transfers.h.
 */
#define FM_COUNTS_ROW 8
#define FM_COUNTS_ROWS 32768
struct fm_counts {
    u64 serial; /* 0: none yet */
    atomic64_t read, written, reads, writes;
    bool mapped;
};
static struct fm_counts *fm_counts[FM_COUNTS_ROWS]; /* NULL: the row has no counts */
static atomic64_t fm_serials = ATOMIC64_INIT(0);

/* NULL: none. */
static struct fm_counts *fm_find_counts(u32 slot)
{
    /* Pairs with cmpxchg() in fm_add_counts(): a reader of the row sees it zeroed. */
    struct fm_counts *row = smp_load_acquire(&fm_counts[slot / FM_COUNTS_ROW]);

    return row ? &row[slot % FM_COUNTS_ROW] : NULL;
}

/* NULL: no memory, which counts as lost. */
static struct fm_counts *fm_add_counts(u32 slot)
{
    struct fm_counts **row = &fm_counts[slot / FM_COUNTS_ROW], *new;

    if (likely(READ_ONCE(*row)))
        return fm_find_counts(slot);
    new = kzalloc(FM_COUNTS_ROW * sizeof(*new), GFP_ATOMIC | __GFP_NOWARN);
    if (!new)
        atomic_inc(&fm_lost);
    else if (cmpxchg(row, NULL, new))
        kfree(new);
    return fm_find_counts(slot);
}

/* The serial number of the slot's counts; 0: no memory. */
static u64 fm_serial_of(u32 slot)
{
    struct fm_counts *counts = fm_add_counts(slot);
    u64 serial = 0;

    if (!counts)
        return 0;
    if (!READ_ONCE(counts->serial))
        cmpxchg(&counts->serial, serial, atomic64_inc_return(&fm_serials));
    return READ_ONCE(counts->serial);
}

/* A line of counts, with room for what fm_num() writes beyond its number. */
#define FM_COUNTS_LINE 384

static void fm_count(struct fm_line *line, atomic64_t *count)
{
    fm_num(line, atomic64_xchg(count, 0));
}

/* The CPU's own buffer may have a line that is not complete yet: of a call that closes many. */
static void fm_send_counts(struct fm_counts *counts, u32 table, unsigned int fd)
{
    char buffer[FM_COUNTS_LINE];
    struct fm_line line = {.start = buffer, .at = buffer};

    fm_head(&line);
    fm_lit(&line, "bytes\", tabla: ");
    fm_num(&line, table);
    fm_descriptor(&line, fd);
    fm_lit(&line, ", leidos: ");
    fm_count(&line, &counts->read);
    fm_lit(&line, ", escritos: ");
    fm_count(&line, &counts->written);
    fm_lit(&line, ", lecturas: ");
    fm_count(&line, &counts->reads);
    fm_lit(&line, ", escrituras: ");
    fm_count(&line, &counts->writes);
    fm_lit(&line, ", mapeado: ");
    fm_num(&line, xchg(&counts->mapped, false));
    fm_finish(&line);
}

/* The record of the slot is being removed: sends its counts, if there are any. */
static void fm_end_counts(u32 slot, u32 table, unsigned int fd)
{
    struct fm_counts *counts = fm_find_counts(slot);

    if (likely(!counts))
        return;
    WRITE_ONCE(counts->serial, 0);
    if (atomic64_read(&counts->reads) || atomic64_read(&counts->writes) || counts->mapped)
        fm_send_counts(counts, table, fd);
}

/* A record is put into the slot: a call may have counted after the last one was removed. */
static void fm_clear_counts(u32 slot)
{
    struct fm_counts *counts = fm_find_counts(slot);

    if (unlikely(counts))
        *counts = (struct fm_counts){};
}

static void fm_counts_free(void)
{
    int i;

    for (i = 0; i < FM_COUNTS_ROWS; i++) {
        kfree(fm_counts[i]);
        fm_counts[i] = NULL;
    }
}

#endif
