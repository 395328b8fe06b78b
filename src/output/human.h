/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One record as a line for people:
 *
 *   time         comm            pid     what  descriptor  how long  path
 *   19:20:31.042 getent             5236 close     3  12.8µs  /etc/hosts
 *
 * Columns are aligned, whatever bytes path and comm hold (see text_visible()); a comm that is too
 * wide for its column is cut.  The time is local, of a close when it was closed.  After the path:
 * of what a copy is, why it was closed unless by close(2), and the words for an error.
 */
#ifndef FILEMON_HUMAN_H
#define FILEMON_HUMAN_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"

/* What it is shown on.  Where a line does not fit in the columns, paths are cut in their middle;
 * below HUMAN_NARROW of them the time and the comm are shorter, too. */
struct screen {
    size_t columns;
    bool colour;
};

#define HUMAN_NARROW 100

/* Of the file: no terminal, no colour and any width; colour as in NO_COLOR (no-color.org), and not
 * on terminals of TERM=dumb or without. */
struct screen screen_of(int fd);

/* As json_bound() and json_record(). */
size_t human_bound(const struct event *event);
size_t human_record(char *buf, const struct event *event, const struct screen *screen);

#endif
