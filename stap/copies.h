/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies: dup, dup2, dup3 and fcntl. */
#ifndef FILEMON_STAP_COPIES_H
#define FILEMON_STAP_COPIES_H

#include "held.h"
#include "opens.h"

static void fm_recorded_copied(int from, int to, struct fm_time time, bool replaces)
{
    struct fm_table *table = fm_add_my_table();
    struct fm_record record;
    struct fm_line line;

    if (!table || !fm_begin_copy(&line, to))
        return;
    record = fm_record_of(&line, time);
    fm_report_copy(&line, fm_number(table), from, to, time, replaces);
    fm_remember(table, to, &record);
}

/*
 * At the exit of a copying call.  dup2 and dup3 close the old file; its close gets the time of
 * their entry, if the entry was seen.  Without a record of the old file, the line of the copy says
 * that they have closed it: another thread that closes the same descriptor can have removed the
 * record, but not sent its line yet.
 */
static void fm_copied(int from, int to, bool replaces)
{
    /* Pairs with the release in fm_scan_next(): after the scan, each descriptor that it reported
     * is recorded.  Otherwise a copy of such a descriptor could be missed: no record yet, and the
     * scan over. */
    bool initial = smp_load_acquire(&fm_initial);
    bool known = fm_is_recorded(fm_my_table(), from);
    struct fm_time time = fm_now();
    struct fm_flight call = {.time = time};
    struct fm_record old;
    u32 closed;

    if (replaces)
        fm_end_flight(&call);
    if (from == to)
        return;
    closed = fm_forget(to, &old);
    if (closed && replaces)
        fm_report_close(closed, to, &old, call.time, "dup2");
    else if (closed)
        fm_report_missed_close(to, &old, time);
    if (known)
        fm_recorded_copied(from, to, time, replaces && !closed);
    else if (initial)
        fm_scan_copy(to);
}

/* At the entry of dup2 or dup3.  Only a call that closes something, or may, is kept in flight. */
static void fm_replacing(unsigned int fd)
{
    bool blocked = unlikely(READ_ONCE(fm_initial)) && fm_block_mine(fd);
    struct fm_flight *flight = NULL;

    if (blocked || fm_is_recorded(fm_my_table(), fd))
        flight = fm_begin_flight();
    if (flight)
        flight->blocked = blocked;
    else if (blocked)
        atomic_inc(&fm_lost);
}

/* dup2 or dup3 failed.  The scan may have skipped the descriptor while it was blocked. */
static void fm_not_replaced(unsigned int fd)
{
    struct fm_flight call;

    if (fm_end_flight(&call) && call.blocked)
        fm_scan_copy(fd);
}

#endif
