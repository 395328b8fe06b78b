/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Closes, one at a time and many together. */
#ifndef FILEMON_STAP_CLOSES_H
#define FILEMON_STAP_CLOSES_H

#include "by_hand.h"
#include "walk.h"

static void fm_report_close(u32 table, unsigned int fd, struct fm_time time)
{
    struct fm_line line;

    if (!fm_event(&line))
        return;
    line.table = table;
    fm_start(&line, "close");
    fm_descriptor(&line, fd, 0);
    fm_times(&line, time);
    fm_finish(&line);
}

/*
 * At the entry of close(2), before another thread can be given the number again.  By hand the line
 * comes when the call returns.
 */
static void fm_closing(unsigned int fd)
{
    struct fm_time time = fm_now();
    struct fm_record record;
    struct fm_flight *flight;
    u32 table;

    if (!fm_is_open(fd))
        return;
    table = fm_forget(fd, &record);
    if (!table)
        return;
    if (!FM_BY_HAND) {
        fm_report_close(table, fd, time);
        return;
    }
    flight = fm_begin_flight();
    if (flight) {
        flight->record = record;
        flight->fd = fd;
        flight->closes = true;
    } else {
        fm_closed_by_hand(fd, &record, time);
    }
}

static void fm_has_closed(void)
{
    struct fm_flight flight;

    if (fm_end_flight(&flight) && flight.closes)
        fm_closed_by_hand(flight.fd, &flight.record, flight.time);
}

/* A list of descriptors that go together: ", cierra: "3,5-9"", in as many lines as it needs. */
struct fm_list {
    struct fm_line line;
    struct fm_time time;
    const char *reason;
    u32 table;
    unsigned int first, last;
    bool begun, any;
};

static void fm_list_put(struct fm_list *list)
{
    if (!list->any)
        return;
    fm_num(&list->line, list->first);
    if (list->last != list->first) {
        *list->line.at++ = '-';
        fm_num(&list->line, list->last);
    }
    *list->line.at++ = ',';
    list->any = false;
}

static void fm_list_end(struct fm_list *list)
{
    if (!list->begun)
        return;
    fm_list_put(list);
    list->line.at--; /* the last comma */
    *list->line.at++ = '"';
    fm_finish(&list->line);
    list->begun = false;
}

static bool fm_list_begin(struct fm_list *list)
{
    if (!fm_event(&list->line))
        return false;
    list->line.table = list->table;
    fm_start(&list->line, "close");
    fm_descriptor(&list->line, -1, 0);
    fm_times(&list->line, list->time);
    fm_lit(&list->line, ", motivo: \"");
    fm_str(&list->line, list->reason, strlen(list->reason));
    fm_lit(&list->line, "\", cierra: \"");
    list->begun = true;
    return true;
}

static void fm_list_add(struct fm_list *list, unsigned int fd)
{
    if (list->any && fd == list->last + 1) {
        list->last = fd;
        return;
    }
    fm_list_put(list);
    if (list->begun && list->line.at - list->line.start > STP_BUFFER_SIZE - 64)
        fm_list_end(list);
    if (!list->begun && !fm_list_begin(list))
        return;
    list->first = list->last = fd;
    list->any = true;
}

/* One of them closes, if it was recorded. */
static void fm_list_close(struct fm_list *list, unsigned int fd)
{
    struct fm_record record;

    list->table = fm_forget(fd, &record);
    if (!list->table)
        return;
    if (FM_BY_HAND)
        fm_closed_by_hand(fd, &record, list->time);
    else
        fm_list_add(list, fd);
}

/* Every recorded descriptor from first to last that is open (and, for exec, to be closed by it). */
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

/* They were closed by a call that has ended. */
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
