/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes records as CSV (RFC 4180, in UTF-8): a column for each field, empty if the record does not
 * have the field; lines end with CR LF.  A value with a comma, a quote or a control character is
 * quoted, and otherwise unchanged: a path with a newline takes two lines.  U+FFFD and fichero_hex
 * are used as in JSON.
 */
#ifndef FILEMON_CSV_H
#define FILEMON_CSV_H

#include <stddef.h>

#include "output/fields.h"

/* Like json_bound() and json_record(). */
size_t csv_bound(const struct event *event);
size_t csv_record(char *buf, const struct event *event, const struct fields *fields);

/* Writes the first line, with the names of the columns; returns its length. */
#define CSV_HEADER_BOUND 1024
size_t csv_header(char *buf, const struct fields *fields);

#endif
