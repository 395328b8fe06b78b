/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/json.h"

#include <string.h>

#include "output/value.h"
#include "text.h"

/* Keys, numbers, flags and all that does not depend on the event. */
#define FIXED_MAX 1024

static char *put(char *at, const char *bytes, size_t size)
{
    return mempcpy(at, bytes, size);
}

static char *put_escape(char *at, unsigned char c)
{
    static const char letters[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };

    *at++ = '\\';
    if (letters[c] != 0) {
        *at++ = letters[c];
        return at;
    }
    at = put(at, "u00", 3);
    return value_put_hex(at, (const char *)&c, 1);
}

static char *put_multibyte(char *at, const char *s, size_t length, bool valid)
{
    if (!valid)
        return put(at, TEXT_REPLACEMENT, 3);
    if ((unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0)
        return put_escape(at, (unsigned char)s[1]); /* a C1 control: U+0080 to U+009F */
    return put(at, s, length);
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

char *json_put_string(char *at, const char *bytes, size_t size)
{
    const char *end = bytes + size;

    *at++ = '"';
    while (bytes < end) {
        unsigned char first = (unsigned char)*bytes;
        size_t length = 1;
        bool valid;

        if (is_plain(first)) {
            *at++ = *bytes;
        } else if (first < 0x80) {
            at = put_escape(at, first);
        } else {
            length = text_utf8(bytes, (size_t)(end - bytes), &valid);
            at = put_multibyte(at, bytes, length, valid);
        }
        bytes += length;
    }
    *at++ = '"';
    return at;
}

/* A string that needs no escapes. */
static char *put_word(char *at, const char *word, size_t size)
{
    *at++ = '"';
    at = put(at, word, size);
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
    case VALUE_WORD:
        return put_word(at, value->bytes, value->size);
    case VALUE_BYTES:
        return json_put_string(at, value->bytes, value->size);
    case VALUE_HEX:
        *at++ = '"';
        at = value_put_hex(at, value->bytes, value->size);
        *at++ = '"';
        break;
    }
    return at;
}

size_t json_bound(const struct event *event)
{
    size_t path = event->path != NULL ? event->path_len : 0;
    size_t comm = event->comm != NULL ? strlen(event->comm) : 0;

    return FIXED_MAX + JSON_STRING_BOUND(comm) + JSON_STRING_BOUND(path) + 2 * path;
}

size_t json_record(char *buf, const struct event *event)
{
    char *at = buf, before = '{';
    struct value value;

    for (size_t i = 0; i < field_count; i++) {
        value_get(&value, &field_table[i], event);
        if (value.kind == VALUE_NONE)
            continue;
        *at++ = before;
        before = ',';
        at = put_word(at, field_table[i].key, strlen(field_table[i].key));
        *at++ = ':';
        at = put_value(at, &value);
    }
    at = put(at, "}\n", 2);
    return (size_t)(at - buf);
}
