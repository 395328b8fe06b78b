/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a field of the table is in one record, for the writers of every format. */
#ifndef FILEMON_VALUE_H
#define FILEMON_VALUE_H

#include "event/event.h"

enum value_kind {
    VALUE_NONE, /* the record does not carry it */
    VALUE_INTEGER,
    VALUE_WORD,  /* of our own tables: printable ASCII */
    VALUE_BYTES, /* chosen by an adversary */
    VALUE_HEX,   /* bytes that are to be written in hexadecimal */
};

struct value {
    enum value_kind kind;
    int64_t integer;
    const char *bytes; /* but for an integer; borrowed from the event, or from room */
    size_t size;
    char room[EVENT_FLAGS_SIZE];
};

/* Without a path (NULL) the path is "". */
void value_get(struct value *value, const struct field *field, const struct event *event);

/* Writes the integer in decimal, or the bytes in hexadecimal, without a NUL; returns the end.  What
 * is behind an integer is overwritten, too, up to so many bytes from its beginning. */
#define VALUE_INTEGER_BYTES 20
char *value_put_integer(char *at, int64_t integer);
char *value_put_hex(char *at, const char *bytes, size_t size);

#endif
