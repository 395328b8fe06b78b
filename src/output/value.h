/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The value of a field in a record, for the writers of all formats. */
#ifndef FILEMON_VALUE_H
#define FILEMON_VALUE_H

#include "event/event.h"

enum value_kind {
    VALUE_NONE, /* the record does not have the field */
    VALUE_INTEGER,
    VALUE_LITERAL, /* true or false */
    VALUE_WORD,    /* trusted: printable ASCII without quotes */
    VALUE_BYTES,   /* untrusted: any bytes */
    VALUE_HEX,     /* any bytes, to be written in hexadecimal */
};

struct value {
    enum value_kind kind;
    int64_t integer;
    const char *bytes; /* of other kinds; points into the event, or to room */
    size_t size;
    char room[EVENT_FLAGS_SIZE];
};

/* A path of NULL has size 0. */
void value_get(struct value *value, const struct field *field, const struct event *event);

/* Write the integer in decimal, or the bytes in hexadecimal, without a NUL, and return the end.
 * value_put_integer() may overwrite all VALUE_INTEGER_BYTES bytes from at on. */
#define VALUE_INTEGER_BYTES 20
char *value_put_integer(char *at, int64_t integer);
char *value_put_hex(char *at, const char *bytes, size_t size);

#endif
