/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a file descriptor table. */
#ifndef FILEMON_STAP_ENDS_H
#define FILEMON_STAP_ENDS_H

#include "closes.h"
#include "inflight.h"

static void fm_forget_all(struct fm_table *table)
{
    struct fm_slot *slot = &fm_slots[0][0];
    struct fm_record record;
    int i;

    for (i = 0; i < FM_ROWS * FM_ROW; i++) {
        u64 key = READ_ONCE(slot[i].key);

        if (key >> 32 == fm_number(table) && fm_clear_slot(&slot[i], key, &record))
            fm_report_left_open((u32)key, &record, fm_now());
    }
}

/* Reports the descriptors of the table in ascending order.  A pass over all slots finds those above
 * FM_ROWS, because it is shorter than a look-up of each number. */
static void fm_forget_table(struct fm_table *table)
{
    struct fm_time time = fm_now();
    struct fm_record record;
    u64 fd;

    for (fd = 0; fd <= min_t(u32, table->highest, FM_ROWS) && atomic_read(&table->records); fd++) {
        fm_unblock(table, fd);
        if (fm_take_record(table, fd, &record))
            fm_report_left_open(fd, &record, time);
    }
    if (atomic_read(&table->records))
        fm_forget_all(table);
}

/*
 * Call with fm_tables_lock held.  The line is sent after those of the bytes, which
 * fm_forget_table() sends, and before the table is removed: a thread that finds no table may then
 * report that no watched process is left, and no line must follow that.
 */
static void fm_end_table(struct fm_table *table)
{
    bool any = atomic_read(&table->records) > 0;

    fm_forget_table(table);
    if (any)
        fm_report_table_end(fm_number(table));
    WRITE_ONCE(table->files, NULL);
}

/*
 * current is leaving the table, or, if held is false, has left it: it may be freed then.  The first
 * thread that sees no other user ends the table.  A probe of filp_close() would show the end as
 * well, but before Linux 6.8 every close(2) of the machine calls filp_close().
 */
static void fm_leave_table(struct files_struct *files, bool held)
{
    struct fm_table *table = fm_find_table(files);

    if (!table)
        return;
    raw_spin_lock(&fm_tables_lock);
    if (table->files == files && !(held ? fm_is_used(files) : fm_is_used_anywhere(files)))
        fm_end_table(table);
    raw_spin_unlock(&fm_tables_lock);
}

/* A new table.  If its address has a number, the end of an older table there was missed. */
static void fm_table_is_new(struct files_struct *files)
{
    struct fm_table *table = fm_find_table(files);

    if (!table)
        return;
    raw_spin_lock(&fm_tables_lock);
    if (table->files == files)
        fm_end_table(table);
    raw_spin_unlock(&fm_tables_lock);
}

/* Two threads can see live == 0; fm_unmark() succeeds for one of them. */
static void fm_exited(void)
{
    fm_drop_flight();
    if (current->files)
        fm_leave_table(current->files, true);
    if (atomic_read(&current->signal->live) == 0 && fm_unmark(current->tgid))
        fm_idle();
}

/* At the entry of close_range with CLOSE_RANGE_UNSHARE: it gives the thread a new table only if
 * others share the old one, which the exit shows. */
static void fm_may_leave_table(void)
{
    struct fm_flight *flight = fm_my_table() ? fm_begin_flight() : NULL;

    if (flight)
        flight->files = current->files;
}

static void fm_may_have_left_table(void)
{
    struct fm_flight flight;

    if (fm_end_flight(&flight) && flight.files && flight.files != current->files)
        fm_leave_table(flight.files, false);
}

#endif
