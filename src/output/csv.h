/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records as CSV (RFC 4180, in UTF-8): a column for each field of the table, empty where a record
 * does not carry it; lines end with CR LF.  What holds a comma, a quote or a control character is
 * quoted, and otherwise left as it is: a path with a newline goes over two lines.  U+FFFD and
 * fichero_hex are as in JSON.
 */
#ifndef FILEMON_CSV_H
#define FILEMON_CSV_H

#include <stddef.h>

#include "event/event.h"

/* As json_bound() and json_record(). */
size_t csv_bound(const struct event *event);
size_t csv_record(char *buf, const struct event *event);

/* Writes the line of the columns' names to buf; returns its length. */
#define CSV_HEADER_BOUND 1024
size_t csv_header(char *buf);

#endif
