/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One record as one line of strict JSON (RFC 8259), ASCII control bytes escaped, valid UTF-8. */
#ifndef FILEMON_JSON_H
#define FILEMON_JSON_H

#include <stddef.h>

#include "event/event.h"

/* The most bytes a record takes, its newline included: a path of 4,095 bytes, each escaped to six,
 * its hexadecimal form, a comm, and the numbers. */
#define JSON_RECORD_MAX (4096 * 8 + 1024)

/*
 * Writes the record to buf, newline last, no NUL.  Returns its length.  Keys, order and which
 * records carry them come from field_table.  A path that is not valid UTF-8 has U+FFFD for each
 * maximal ill-formed part (Unicode 3.9, as the WHATWG decoder does) and its bytes in fichero_hex; a
 * comm that is not valid has U+FFFD alone.  A path longer than 4,095 bytes is the caller's error.
 */
size_t json_record(char buf[static JSON_RECORD_MAX], const struct event *event);

#endif
