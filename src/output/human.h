/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a record as a line for people:
 *
 *   time         comm               pid code   fd    open  path
 *   19:20:31.042 getent            5236 close   3  12.8µs  /etc/hosts
 *
 * Columns are aligned, whatever bytes path and comm contain (see text_visible()); a comm that is
 * too wide for its column is cut.  The time is local; in a close it is that of the close.  The path
 * is followed by the origin of a dup, by the reason of a close (unless it was close(2)), and by the
 * message of an error.
 *
 * With a LIST of fields the line has their values in this order, and no such words; but a loss is
 * described at its end.  On a terminal, each value is cut to the width of its column.
 */
#ifndef FILEMON_HUMAN_H
#define FILEMON_HUMAN_H

#include <stdbool.h>
#include <stddef.h>

#include "output/fields.h"

/* A line that does not fit in the columns has its path cut; with less than HUMAN_NARROW columns,
 * time and comm are shorter, too. */
struct screen {
    size_t columns;
    bool colour;
};

#define HUMAN_NARROW 100

/* The screen of a descriptor.  If it is no terminal: no colour, unlimited width.  No colour either
 * if NO_COLOR is set (no-color.org), or TERM is unset or "dumb". */
struct screen screen_of(int fd);

/* Like json_bound() and json_record(). */
size_t human_bound(const struct event *event);
size_t human_record(char *buf, const struct event *event, const struct fields *fields,
                    const struct screen *screen);

#endif
