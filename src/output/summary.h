/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Totals of a run: for each file and each program the number of opens, of failed opens and of open
 * descriptors, how long files were open, and what was read and written; and a histogram of these
 * times by powers of two.
 *
 * A program is a comm, or the path of an executable.  A file that one program opens and another
 * closes, after an exec, is open with the first until then, and its close counts with the other.
 * DUP and HELD records do not count as opens, but as open descriptors; their closes count.  What
 * succeeded of other calls (-t) counts as such.
 *
 * Memory is bounded: the first SUMMARY_FILES files and SUMMARY_PROGRAMS programs have a row each,
 * as long as the paths of each table fit in SUMMARY_PATH_BYTES.  The others are summed in one row.
 * While SUMMARY_DESCRIPTORS descriptors are open, further ones are taken off the program that
 * closes them.
 */
#ifndef FILEMON_SUMMARY_H
#define FILEMON_SUMMARY_H

#include <stdbool.h>
#include <stdio.h>

#include "event/event.h"
#include "output/output.h"

#define SUMMARY_FILES 16384
#define SUMMARY_PROGRAMS 4096
#define SUMMARY_PATH_BYTES (8u << 20)
#define SUMMARY_DESCRIPTORS (1u << 18)

/* What comes first in a table; SORT_BYTES: what was read and written, in sum.  Rows that are alike
 * in it have the most opens first, then the most failures, then the lesser name. */
enum summary_sort { SORT_OPENS, SORT_TIME, SORT_FAILED, SORT_BYTES, SORT_NAME };

/* How totals are written. */
struct summary_view {
    enum output_format format; /* not FORMAT_CSV */
    enum summary_sort sort;
    int top;          /* rows of a table, the others are summed: 0 for all; SUMMARY_TOP_DEFAULT */
    const char *host; /* the machine that totals name, see event_is_host(); NULL: none */
};

/* All rows in JSON, which programs read, and SUMMARY_TOP_TEXT in text. */
#define SUMMARY_TOP_DEFAULT (-1)
#define SUMMARY_TOP_TEXT 20

struct summary;

/* SUMMARY_BY_EXECUTABLE: programs are executables, where records have them.  SUMMARY_BYTES: totals
 * have the bytes of CLOSE records, too.  SUMMARY_CALLS: they have the number of calls that are no
 * opens (-t); added when the first one is counted. */
enum summary_of { SUMMARY_BY_EXECUTABLE = 1, SUMMARY_BYTES = 2, SUMMARY_CALLS = 4 };

/* of: a set.  NULL: no memory.  Free with summary_free(). */
struct summary *summary_new(unsigned int of);
void summary_free(struct summary *summary);

/* Counts one record.  Without memory for a new row, it counts with the others. */
void summary_take(struct summary *summary, const struct event *record);

/*
 * Writes the totals: with FORMAT_JSON one object on one line, with date_us (µs since the epoch) as
 * its date; with FORMAT_TEXT tables of at most so many columns.  0, -ENOMEM; for errors of writing
 * see ferror(out).
 */
int summary_write(const struct summary *summary, FILE *out, const struct summary_view *view,
                  size_t columns, int64_t date_us);

/* Adds the totals to the output, with its width.  0, -ENOMEM. */
int summary_print(const struct summary *summary, struct output *output,
                  const struct summary_view *view, int64_t date_us);

#endif
