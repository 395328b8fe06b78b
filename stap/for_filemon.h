/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How events are reported to filemon.  filemon keeps the path and time of each open, so a close or
 * a copy names only the descriptor.  One line reports all descriptors that one call closes, and one
 * the end of a table.
 */
#ifndef FILEMON_STAP_FOR_FILEMON_H
#define FILEMON_STAP_FOR_FILEMON_H

#include "calls.h"
#include "facts.h"
#include "record.h"

/*
 * Each line has its number, modulo 10^8, at both ends: a gap between two lines is the count of lost
 * ones, and a line with two different numbers is made of two torn ones.  The parts of a path have
 * the number of the line that they belong to.  The ring's lock protects the counter, which is kept
 * as the digits that are written.
 */
#define FM_NUMBER "00000000"
#define FM_HEAD "{n: "
#define FM_TAIL "}\n"

static inline void fm_head(struct fm_line *line)
{
    fm_lit(line, FM_HEAD FM_NUMBER ", codigo: \"");
}

static inline void fm_tail(struct fm_line *line)
{
    fm_lit(line, ", nn: " FM_NUMBER FM_TAIL);
}

static inline void fm_number_line(char *line, u32 len, bool ends)
{
    static char next[] = FM_NUMBER;
    int digits = sizeof(next) - 1, digit = digits - 1;

    memcpy(line + sizeof(FM_HEAD) - 1, next, digits);
    memcpy(line + len - (sizeof(FM_TAIL) - 1) - digits, next, digits);
    if (!ends)
        return;
    for (; digit > 0 && next[digit] == '9'; digit--)
        next[digit] = '0';
    next[digit] = next[digit] == '9' ? '0' : next[digit] + 1;
}

/* What is kept of a descriptor until its close. */
struct fm_record {
};

static struct fm_record fm_record_of(const struct fm_line *line, struct fm_time time)
{
    return (struct fm_record){};
}

static void fm_record_free(struct fm_record *record)
{
}

static void fm_report_open(struct fm_line *line, const struct fm_call *call, u32 table,
                           unsigned int fd, struct fm_time time)
{
    line->table = table;
    fm_start(line, "open");
    fm_path(line);
    fm_given(line, call);
    fm_descriptor(line, fd);
    fm_times(line, time);
    if (unlikely(call->received)) {
        fm_flags(line, call->flags);
        fm_reason(line, "received");
    } else {
        fm_flags_and_mode(line, call->flags, call->mode);
    }
    fm_finish(line);
}

/* filemon itself finds that the close of an older file was missed. */
static void fm_report_missed_close(unsigned int fd, struct fm_record *record, struct fm_time time)
{
}

static void fm_report_close(u32 table, unsigned int fd, struct fm_record *record,
                            struct fm_time time, const char *reason)
{
    struct fm_line line;

    fm_event(&line);
    line.table = table;
    fm_start(&line, "close");
    fm_descriptor(&line, fd);
    fm_times(&line, time);
    if (reason)
        fm_reason(&line, reason);
    fm_finish(&line);
}

static void fm_report_result(long result)
{
    struct fm_line line;

    fm_event(&line);
    fm_start(&line, "retorno");
    fm_descriptor(&line, result);
    fm_times(&line, fm_now());
    fm_finish(&line);
}

/* The descriptors that one call closes: cierra: "3,5-9", in as many lines as necessary. */
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

static void fm_list_begin(struct fm_list *list)
{
    fm_event(&list->line);
    list->line.table = list->table;
    list->line.executing = strcmp(list->reason, "exec") == 0;
    fm_start(&list->line, "close");
    fm_descriptor(&list->line, -1);
    fm_times(&list->line, list->time);
    fm_reason(&list->line, list->reason);
    fm_lit(&list->line, ", cierra: \"");
    list->begun = true;
}

static void fm_list_add(struct fm_list *list, unsigned int fd, struct fm_record *record)
{
    if (list->any && fd == list->last + 1) {
        list->last = fd;
        return;
    }
    fm_list_put(list);
    if (list->begun && list->line.at - list->line.start > FM_LINE - 64)
        fm_list_end(list);
    if (!list->begun)
        fm_list_begin(list);
    list->first = list->last = fd;
    list->any = true;
}

/* The copy has the path of the original, which filemon knows. */
static bool fm_begin_copy(struct fm_line *line, unsigned int to)
{
    fm_event(line);
    return true;
}

static void fm_report_copy(struct fm_line *line, u32 table, int from, int to, struct fm_time time,
                           bool replaces)
{
    line->table = table;
    fm_start(line, "dup");
    fm_descriptor(line, to);
    fm_times(line, time);
    fm_lit(line, ", origen: ");
    fm_num(line, from);
    if (replaces)
        fm_reason(line, "dup2");
    fm_finish(line);
}

/* filemon reports a close for each descriptor that is still open there. */
static void fm_report_table_end(u32 table)
{
    struct fm_line line;

    fm_event(&line);
    line.table = table;
    fm_start(&line, "exit");
    fm_times(&line, fm_now());
    fm_finish(&line);
}

static void fm_report_left_open(unsigned int fd, struct fm_record *record, struct fm_time time)
{
}

#endif
