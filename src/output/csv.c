/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/csv.h"

#include <string.h>

#include "output/value.h"
#include "text.h"

#define LINE_END "\r\n"

/* Everything but paths, comm and the texts of facts, which have no fixed limit. */
#define FIXED_MAX 1024
#define FACTS_FIXED_MAX 512

/* U+FFFD for each byte, and two quotes. */
#define STRING_BOUND(size) (3 * (size) + 2)

static bool needs_quotes(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c < ' ' || c == 0x7f || c == '"' || c == ',')
            return true;
    }
    return false;
}

static char *put_characters(char *at, const char *bytes, size_t size)
{
    for (size_t taken; size > 0; bytes += taken, size -= taken) {
        bool valid;

        taken = text_utf8(bytes, size, &valid);
        if (*bytes == '"')
            *at++ = '"';
        at = valid ? mempcpy(at, bytes, taken) : mempcpy(at, TEXT_REPLACEMENT, 3);
    }
    return at;
}

/* For untrusted bytes. */
static char *put_string(char *at, const char *bytes, size_t size)
{
    bool quoted = needs_quotes(bytes, size);

    if (quoted)
        *at++ = '"';
    at = put_characters(at, bytes, size);
    if (quoted)
        *at++ = '"';
    return at;
}

static char *put_value(char *at, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NONE:
        break;
    case VALUE_INTEGER:
        return value_put_integer(at, value->integer);
    case VALUE_LITERAL:
    case VALUE_WORD:
        return mempcpy(at, value->bytes, value->size);
    case VALUE_BYTES:
        return put_string(at, value->bytes, value->size);
    case VALUE_HEX:
        return value_put_hex(at, value->bytes, value->size);
    }
    return at;
}

/* What facts add to a record. */
static size_t facts_bound(struct event_facts *facts)
{
    return facts != NULL ? FACTS_FIXED_MAX + STRING_BOUND(event_texts_size(facts)) : 0;
}

size_t csv_bound(const struct event *event)
{
    size_t path = event->path != NULL ? event->path_len : 0;
    size_t destination = event->destination != NULL ? event->destination_len : 0;
    size_t comm = event->comm != NULL ? strlen(event->comm) : 0;

    return FIXED_MAX + STRING_BOUND(comm) + STRING_BOUND(path) + 2 * path +
           STRING_BOUND(destination) + 2 * destination + facts_bound(event->facts);
}

size_t csv_record(char *buf, const struct event *event, const struct fields *fields)
{
    char *at = buf;
    struct value value;

    for (size_t i = 0; i < fields->n; i++) {
        if (i > 0)
            *at++ = ',';
        value_get(&value, fields->list[i], event);
        at = put_value(at, &value);
    }
    at = stpcpy(at, LINE_END);
    return (size_t)(at - buf);
}

size_t csv_header(char *buf, const struct fields *fields)
{
    char *at = buf;

    for (size_t i = 0; i < fields->n; i++) {
        if (i > 0)
            *at++ = ',';
        at = stpcpy(at, fields->list[i]->key);
    }
    at = stpcpy(at, LINE_END);
    return (size_t)(at - buf);
}
