/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One stream of events, and two ways to tell it: the one place where it matters who reads. */
#ifndef FILEMON_STAP_REPORT_H
#define FILEMON_STAP_REPORT_H

#include "calls.h"
#include "record.h"
#include "walk.h"

/* How a line begins and ends, and its number there, which comes to be known when the ring takes it.
 */
static inline void fm_head(struct fm_line *line);
static inline void fm_tail(struct fm_line *line);
static inline void fm_number_line(char *line, u32 len, bool ends);

/* What is kept of a descriptor until its close; of what was opened by the path of this line. */
struct fm_record;
static struct fm_record fm_record_of(const struct fm_line *line, struct fm_time time);
static void fm_record_free(struct fm_record *record);

/* It was opened; the line has its path. */
static void fm_report_open(struct fm_line *line, const struct fm_call *call, u32 table,
                           unsigned int fd, struct fm_time time);

/* The same of a copy. */
static bool fm_begin_copy(struct fm_line *line, unsigned int to);
static void fm_report_copy(struct fm_line *line, u32 table, int from, int to, struct fm_time time);

/* It closes.  Its record is used up, here and in what follows. */
static void fm_report_close(u32 table, unsigned int fd, struct fm_record *record,
                            struct fm_time time, const char *reason);

/* It is another file's: its close was missed. */
static void fm_report_missed_close(unsigned int fd, struct fm_record *record, struct fm_time time);

/* Many close at once, by rising number: for each a call, and one more at the end. */
struct fm_list;
static void fm_list_add(struct fm_list *list, unsigned int fd, struct fm_record *record);
static void fm_list_end(struct fm_list *list);

/* A table ends, with what is left in it: for each descriptor a call after that. */
static void fm_report_table_end(u32 table);
static void fm_report_left_open(unsigned int fd, struct fm_record *record, struct fm_time time);

#if FM_BY_HAND
#include "by_hand.h"
#else
#include "for_filemon.h"
#endif

#endif
