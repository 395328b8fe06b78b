/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One record as one line of strict JSON (RFC 8259), control characters escaped, valid UTF-8. */
#ifndef FILEMON_JSON_H
#define FILEMON_JSON_H

#include <stddef.h>

#include "event/event.h"

/* More bytes than json_record() writes for this event, whatever its path and comm hold. */
size_t json_bound(const struct event *event);

/*
 * Writes the record to buf, which has room for json_bound() bytes; newline last, no NUL.  Returns
 * its length.  Keys, order and which records carry them come from field_table.  A path that is not
 * valid UTF-8 has U+FFFD for each maximal ill-formed part (Unicode 3.9, as the WHATWG decoder does)
 * and its bytes in fichero_hex; a comm that is not valid has U+FFFD alone.  DEL and the C1 controls
 * are escaped like those of ASCII, so that no path can garble a terminal.  Without a path (NULL) it
 * is "".
 */
size_t json_record(char *buf, const struct event *event);

/* Writes the bytes as a string, as described above, in at most JSON_STRING_BOUND(size) bytes and
 * without a NUL; returns its end. */
#define JSON_STRING_BOUND(size) (6 * (size) + 2)
char *json_put_string(char *at, const char *bytes, size_t size);

#endif
