/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a line that output/json.h wrote back into the record that it was written of.
 *
 * A record must have every usual key of its kind that no other key implies: so a file that -F made
 * may have more keys, or another order, but not less.
 */
#ifndef FILEMON_RECORD_H
#define FILEMON_RECORD_H

#include <stddef.h>

#include "event/event.h"

struct record_bytes {
    char *at;
    size_t room;
};

struct record {
    struct event event;    /* points into the other members */
    struct json_t *object; /* of jansson */
    struct event_facts facts;
    struct record_bytes bytes, destination; /* of fichero_hex and destino_hex */
    char why[192];
    const char *unknown; /* a key that filemon does not write in this kind of record; NULL: none */
};

/* A record that holds nothing.  Free what it holds with record_release(), and call record_read() as
 * often as there are lines. */
#define RECORD_EMPTY ((struct record){.object = NULL})

enum record_kind {
    RECORD_READ,   /* record->event is valid until the next call, and as long as the line is */
    RECORD_TOTALS, /* what -c and -C write, which is no record */
};

/* Returns an enum record_kind; -EBADMSG: it is neither, for the reason in record->why. */
int record_read(struct record *record, const char *line, size_t len);

void record_release(struct record *record);

#endif
