/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Totals of a run: by file and by program, how often it was opened, how often that failed, what is
 * still open, how long it was open; and a histogram of those times, by powers of two.
 *
 * A program is a comm.  What one comm opened and, after an exec, another closes counts with both.
 * Copies of descriptors and files held from the start are no opens, but are open and are closed.
 *
 * Memory is bounded: so many files and programs as below have a row of their own, and their names
 * so many bytes in all, those that come first.  What comes after is summed in one row of others.
 */
#ifndef FILEMON_SUMMARY_H
#define FILEMON_SUMMARY_H

#include <stdio.h>

#include "event/event.h"
#include "output/output.h"

#define SUMMARY_FILES 16384
#define SUMMARY_PROGRAMS 4096
#define SUMMARY_PATH_BYTES (8u << 20)

/* As text these have a line of their own in each table, those opened most often. */
#define SUMMARY_LINES 20

struct summary;

/* NULL: no memory.  Free with summary_free(). */
struct summary *summary_new(void);
void summary_free(struct summary *summary);

/* Takes one record.  Without memory for another row it counts with the others. */
void summary_take(struct summary *summary, const struct event *record);

/*
 * Writes it: as FORMAT_JSON one object on one line, which date_us, µs since the epoch, is a part
 * of; as FORMAT_TEXT tables of at most so many columns.  All rows are in JSON, opened most often
 * first. 0, -ENOMEM; errors of writing are out's.
 */
int summary_write(const struct summary *summary, FILE *out, enum output_format format,
                  size_t columns, int64_t date_us);

/* Adds it to the output, as wide as that is, with the date of now.  0, -ENOMEM. */
int summary_print(const struct summary *summary, struct output *output, enum output_format format);

#endif
