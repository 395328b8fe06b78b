/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How events are reported: by hand or for filemon.  Only this header distinguishes the two. */
#ifndef FILEMON_STAP_REPORT_H
#define FILEMON_STAP_REPORT_H

#include "calls.h"
#include "facts.h"
#include "record.h"
#include "walk.h"

/* The beginning and end of a line.  The ring fills in the line's number, when it has room. */
static inline void fm_head(struct fm_line *line);
static inline void fm_tail(struct fm_line *line);
static inline void fm_number_line(char *line, u32 len, bool ends);

/* The record that is kept of a descriptor until its close; made from the path of this line. */
struct fm_record;
static struct fm_record fm_record_of(const struct fm_line *line, struct fm_time time);
static void fm_record_free(struct fm_record *record);

/* An open; the line has the path. */
static void fm_report_open(struct fm_line *line, const struct fm_call *call, u32 table,
                           unsigned int fd, struct fm_time time);

/* A copy by dup and the like.  replaces: the call has closed what was there, if there was any, and
 * that has no report of its own. */
static bool fm_begin_copy(struct fm_line *line, unsigned int to);
static void fm_report_copy(struct fm_line *line, u32 table, int from, int to, struct fm_time time,
                           bool replaces);

/* A close.  This and the functions below free the record. */
static void fm_report_close(u32 table, unsigned int fd, struct fm_record *record,
                            struct fm_time time, const char *reason);

/* The result of the close(2) by this thread whose close was reported as one that waits for it. */
static void fm_report_result(long result);

/* The descriptor was reused for another file: the close of the older file was missed. */
static void fm_report_missed_close(unsigned int fd, struct fm_record *record, struct fm_time time);

/* A call that closes many descriptors: fm_list_add() for each, in ascending order, then
 * fm_list_end(). */
struct fm_list;
static void fm_list_add(struct fm_list *list, unsigned int fd, struct fm_record *record);
static void fm_list_end(struct fm_list *list);

/* The last user of a table exits; then fm_report_left_open() for each descriptor that is open. */
static void fm_report_table_end(u32 table);
static void fm_report_left_open(unsigned int fd, struct fm_record *record, struct fm_time time);

#if FM_BY_HAND
#include "by_hand.h"
#else
#include "for_filemon.h"
#endif

#endif
