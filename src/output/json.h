/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a record as a line of strict JSON (RFC 8259) in valid UTF-8. */
#ifndef FILEMON_JSON_H
#define FILEMON_JSON_H

#include <stddef.h>

#include "output/fields.h"

/* An upper bound of the bytes that json_record() writes for this event. */
size_t json_bound(const struct event *event);

/*
 * Writes the record and a newline to buf, which has room for json_bound() bytes; no NUL.  Returns
 * the length.  A record that has none of the fields is {}.  In a path or comm that is not valid
 * UTF-8, U+FFFD replaces each ill-formed part (see text_utf8()); fichero_hex then has the bytes of
 * the path.  DEL and the C1 controls are escaped like the controls of ASCII: a path cannot garble a
 * terminal.  A path of NULL is "".
 *
 * With fields->as_read an event that has a line is written as this line.  Only such controls are
 * escaped in it, and the name of the machine is added if it lacks that.
 */
size_t json_record(char *buf, const struct event *event, const struct fields *fields);

/* Writes the bytes as a string, escaped like a path of json_record(), in at most
 * JSON_STRING_BOUND(size) bytes and without a NUL; returns the end. */
#define JSON_STRING_BOUND(size) (6 * (size) + 2)
char *json_put_string(char *at, const char *bytes, size_t size);

#endif
