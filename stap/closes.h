/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls that close one descriptor or many. */
#ifndef FILEMON_STAP_CLOSES_H
#define FILEMON_STAP_CLOSES_H

#include "inflight.h"
#include "recorded.h"
#include "walk.h"

/* Whether the result of closing this file is to be reported: its file system has a say in it. */
static bool fm_has_result(unsigned int fd)
{
    struct file *file = fm_is_fact(FM_RESULT) ? fm_get_file(fd) : NULL;
    bool has = file && file->f_op->flush;

    if (file)
        fput(file);
    return has;
}

/* False: the exit of the call will not be reported. */
static bool fm_begin_result(unsigned int fd)
{
    struct fm_flight *flight = fm_has_result(fd) ? fm_begin_flight() : NULL;

    if (flight)
        flight->closes = true;
    return flight;
}

/* At the entry of close(2), before another thread can get the same descriptor. */
static void fm_closing(unsigned int fd)
{
    struct fm_time time = fm_now();
    struct fm_record record;
    bool waits = fm_begin_result(fd);
    u32 table = fm_is_open(fd) ? fm_forget(fd, &record) : 0;

    if (table)
        fm_report_close(table, fd, &record, time, waits ? "espera" : NULL);
}

static void fm_close_returned(long result)
{
    struct fm_flight_slot *slot = fm_my_flight();
    struct fm_flight flight;

    if (slot && slot->flight.closes && fm_end_flight(&flight))
        fm_report_result(result);
}

/* Adds the descriptor to the list, if it is recorded. */
static void fm_list_close(struct fm_list *list, unsigned int fd)
{
    struct fm_record record;

    list->table = fm_forget(fd, &record);
    if (list->table)
        fm_list_add(list, fd, &record);
}

/* Reports the close of every recorded open descriptor from first to last; with on_exec, only of
 * close-on-exec ones. */
static void fm_close_many(unsigned int first, unsigned int last, bool on_exec, const char *reason)
{
    struct files_struct *files = current->files;
    struct fm_list list = {.time = fm_now(), .reason = reason};
    struct fdtable *table;
    unsigned long *bits;
    unsigned int fd;

    if (!files)
        return;
    table = rcu_dereference_raw(files->fdt);
    bits = on_exec ? table->close_on_exec : table->open_fds;
    if (table->max_fds == 0)
        return;
    last = min(last, table->max_fds - 1);
    for (fd = find_next_bit(bits, table->max_fds, first); fd <= last;
         fd = find_next_bit(bits, table->max_fds, fd + 1))
        if (!on_exec || fm_is_open(fd))
            fm_list_close(&list, fd);
    fm_list_end(&list);
}

/* Reports the close of every recorded descriptor from first to last, at the exit of the call that
 * has closed them. */
static void fm_closed_many(unsigned int first, unsigned int last, const char *reason)
{
    struct fm_list list = {.time = fm_now(), .reason = reason};
    u64 fd;

    if (!fm_my_table())
        return;
    last = min(last, rcu_dereference_raw(current->files->fdt)->max_fds - 1);
    for (fd = first; fd <= last; fd++)
        fm_list_close(&list, fd);
    fm_list_end(&list);
}

static void fm_closing_range(unsigned int first, unsigned int last, unsigned int flags)
{
    if (first <= last && !flags && fm_watched())
        fm_close_many(first, last, false, "close_range");
}

#endif
