/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How events are reported by hand: in the lines of 2011, one for each descriptor, with its path.  A
 * record keeps the path and time of each open until its close.
 */
#ifndef FILEMON_STAP_BY_HAND_H
#define FILEMON_STAP_BY_HAND_H

#include "calls.h"
#include "record.h"
#include "walk.h"

static inline void fm_head(struct fm_line *line)
{
    fm_lit(line, "{codigo: \"");
}

static inline void fm_tail(struct fm_line *line)
{
    fm_lit(line, "}\n");
}

static inline void fm_number_line(char *line, u32 len, bool ends)
{
}

/* What is kept of a descriptor until its close. */
struct fm_record {
    u64 ns;
    char *path; /* NULL: there was no memory */
};

static struct fm_record fm_record_of(const struct fm_line *line, struct fm_time time)
{
    return (struct fm_record){
        .ns = time.ns,
        .path = kmemdup_nul(line->path, line->path_len, GFP_ATOMIC | __GFP_NOWARN),
    };
}

static void fm_record_free(struct fm_record *record)
{
    kfree(record->path);
    record->path = NULL;
}

static void fm_finish_2011(struct fm_line *line, unsigned int fd, s64 date)
{
    fm_path(line);
    fm_descriptor(line, fd);
    fm_lit(line, ", date: ");
    fm_num(line, date);
    fm_finish(line);
}

static void fm_report_open(struct fm_line *line, const struct fm_call *call, u32 table,
                           unsigned int fd, struct fm_time time)
{
    fm_start(line, "open");
    fm_finish_2011(line, fd, time.us / 1000);
}

/* Begins a line with the record's path, empty if there was no memory for it; frees the record. */
static void fm_begin_2011(struct fm_line *line, struct fm_record *record)
{
    fm_event(line);
    if (record->path) {
        line->path_len = strlen(record->path);
        line->path -= line->path_len;
        memcpy(line->path, record->path, line->path_len);
    }
    fm_record_free(record);
}

static void fm_report_missed_close(unsigned int fd, struct fm_record *record, struct fm_time time)
{
    struct fm_line line;

    fm_begin_2011(&line, record);
    fm_start(&line, "error");
    fm_finish_2011(&line, fd, time.us / 1000);
}

static void fm_report_close(u32 table, unsigned int fd, struct fm_record *record,
                            struct fm_time time, const char *reason)
{
    s64 open_ms = (time.ns - record->ns) / NSEC_PER_MSEC;
    struct fm_line line;

    fm_begin_2011(&line, record);
    fm_start(&line, "close");
    fm_finish_2011(&line, fd, open_ms);
}

static void fm_report_result(long result)
{
}

/* Descriptors that one call closes. */
struct fm_list {
    struct fm_time time;
    const char *reason;
    u32 table;
};

static void fm_list_add(struct fm_list *list, unsigned int fd, struct fm_record *record)
{
    fm_report_close(list->table, fd, record, list->time, list->reason);
}

static void fm_list_end(struct fm_list *list)
{
}

/* Begins a line with the path of the copy.  False: another thread has closed the copy already. */
static bool fm_begin_copy(struct fm_line *line, unsigned int to)
{
    struct file *file = fm_get_file(to);

    if (!file)
        return false;
    fm_event(line);
    fm_path_of(line, &file->f_path);
    fput(file);
    return true;
}

static void fm_report_copy(struct fm_line *line, u32 table, int from, int to, struct fm_time time,
                           bool replaces)
{
    fm_start(line, "dup");
    fm_finish_2011(line, to, time.us / 1000);
}

static void fm_report_table_end(u32 table)
{
}

static void fm_report_left_open(unsigned int fd, struct fm_record *record, struct fm_time time)
{
    fm_report_close(0, fd, record, time, NULL);
}

#endif
