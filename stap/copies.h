/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies: dup, dup2, dup3 and fcntl. */
#ifndef FILEMON_STAP_COPIES_H
#define FILEMON_STAP_COPIES_H

#include "held.h"
#include "opens.h"

static void fm_copied_by_hand(unsigned int to, struct fm_time time)
{
    struct file *file = fm_get_file(to);
    struct fm_line line;

    if (!file)
        return;
    if (fm_event(&line)) {
        fm_path_of(&line, &file->f_path);
        if (fm_keep_record(&line, to, time)) {
            fm_start(&line, "dup");
            fm_path(&line);
            fm_descriptor(&line, to, time.us / 1000);
            fm_finish(&line);
        }
    }
    fput(file);
}

static void fm_report_copy(u32 table, int from, int to, struct fm_time time,
                           const struct fm_time *begun)
{
    struct fm_line line;

    if (!fm_event(&line))
        return;
    line.table = table;
    fm_start(&line, "dup");
    fm_descriptor(&line, to, time.us / 1000);
    fm_times(&line, time);
    fm_lit(&line, ", origen: ");
    fm_num(&line, from);
    if (begun) {
        fm_lit(&line, ", motivo: \"dup2\", entrada: ");
        fm_num(&line, begun->ns + fm_clock_ahead);
    }
    fm_finish(&line);
}

/* dup2 and dup3 close what they replace: when they begin, as far as that was seen. */
static void fm_copied(int from, int to, bool replaces)
{
    bool known = fm_is_recorded(fm_my_table(), from);
    struct fm_time time = fm_now();
    struct fm_flight call = {.time = time};
    struct fm_record old;
    u32 table, closed;

    if (replaces)
        fm_end_flight(&call);
    if (from == to)
        return;
    closed = fm_forget(to, &old);
    if (FM_BY_HAND) {
        if (closed && replaces)
            fm_closed_by_hand(to, &old, call.time);
        else if (closed)
            kfree(old.path);
        if (known)
            fm_copied_by_hand(to, time);
        return;
    }
    table = known ? fm_remember(to, NULL) : replaces ? closed : 0;
    if (table)
        fm_report_copy(table, from, to, time, replaces ? &call.time : NULL);
    if (!known && fm_initial)
        fm_hold_copy(to);
}

/* When a dup2 or dup3 begins; nothing is kept where there is nothing to be closed. */
static void fm_replacing(unsigned int fd)
{
    if (unlikely(READ_ONCE(fm_initial)))
        fm_block_mine(fd);
    if (fm_is_recorded(fm_my_table(), fd))
        fm_begin_flight();
}

static void fm_not_replaced(unsigned int fd)
{
    fm_drop_flight();
    if (unlikely(READ_ONCE(fm_initial)))
        fm_unblock_mine(fd);
}

#endif
