/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Longest: \u0001 for one byte. */
#define ESCAPED_MAX 6

/* Keys, numbers, flags and all that does not depend on the event. */
#define FIXED_MAX 1024

static const char hex_digits[] = "0123456789abcdef";

static char *put(char *at, const char *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static char *put_hex(char *at, const char *bytes, size_t size)
{
    *at++ = '"';
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        *at++ = hex_digits[byte >> 4];
        *at++ = hex_digits[byte & 15];
    }
    *at++ = '"';
    return at;
}

static char *put_integer(char *at, int64_t value)
{
    char digits[20];
    size_t start = sizeof(digits);
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

    if (value < 0)
        *at++ = '-';
    do {
        digits[--start] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    return put(at, digits + start, sizeof(digits) - start);
}

/* A string that needs no escapes: all those of our own tables. */
static char *put_word(char *at, const char *word)
{
    *at++ = '"';
    at = put(at, word, strlen(word));
    *at++ = '"';
    return at;
}

static char *put_octal(char *at, int mode)
{
    char digits[16];

    snprintf(digits, sizeof(digits), "0%03o", (unsigned int)mode);
    return put_word(at, digits);
}

/*
 * How many bytes from here make one character, or one maximal ill-formed part (*valid false): the
 * byte that cannot stand where it does begins the next one.  first is 0x80 or more; Unicode, table
 * 3-7.
 */
static size_t utf8_length(const unsigned char *s, const unsigned char *end, bool *valid)
{
    unsigned char first = s[0], low = 0x80, high = 0xbf;
    size_t want = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, got = 1;

    *valid = false;
    if (first < 0xc2 || first > 0xf4)
        return 1;
    if (first == 0xe0)
        low = 0xa0; /* overlong */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* overlong */
    else if (first == 0xf4)
        high = 0x8f; /* past U+10FFFF */

    while (got < want && s + got < end && s[got] >= low && s[got] <= high) {
        low = 0x80;
        high = 0xbf;
        got++;
    }
    *valid = got == want;
    return got;
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
    *at++ = hex_digits[c >> 4];
    *at++ = hex_digits[c & 15];
    return at;
}

static char *put_multibyte(char *at, const unsigned char *s, size_t length, bool valid)
{
    if (!valid)
        return put(at, REPLACEMENT, 3);
    if (s[0] == 0xc2 && s[1] < 0xa0)
        return put_escape(at, s[1]); /* a C1 control: U+0080 to U+009F are C2 80 to C2 9F */
    return put(at, (const char *)s, length);
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Bytes chosen by an adversary.  *valid becomes false where they are not UTF-8. */
static char *put_string(char *at, const char *bytes, size_t size, bool *valid)
{
    const unsigned char *s = (const unsigned char *)bytes, *end = s + size;

    *at++ = '"';
    while (s < end) {
        bool whole;
        size_t length;

        if (is_plain(*s)) {
            *at++ = (char)*s++;
        } else if (*s < 0x80) {
            at = put_escape(at, *s++);
        } else {
            length = utf8_length(s, end, &whole);
            at = put_multibyte(at, s, length, whole);
            s += length;
            *valid &= whole;
        }
    }
    *at++ = '"';
    return at;
}

/* The fields that are not in every record that may carry them. */
static bool is_absent(const struct event *event, const struct field *field, bool path_valid)
{
    if ((field->codes & (1u << event->code)) == 0)
        return true;
    if (field->kind == FIELD_MODE)
        return event->mode == EVENT_NO_MODE;
    return field->kind == FIELD_PATH_HEX && path_valid;
}

static char *put_value(char *at, const struct event *event, const struct field *field,
                       bool *path_valid)
{
    char text[EVENT_FLAGS_SIZE];
    bool comm_valid = true; /* not asked for: a comm has no hexadecimal form */

    switch (field->kind) {
    case FIELD_CODE:
        return put_word(at, event_code_name(event->code));
    case FIELD_COMM:
        return put_string(at, event->comm, strlen(event->comm), &comm_valid);
    case FIELD_INT:
        return put_integer(at, field->get(event));
    case FIELD_PATH:
        return put_string(at, event->path, event->path != NULL ? event->path_len : 0, path_valid);
    case FIELD_PATH_HEX:
        return put_hex(at, event->path, event->path_len);
    case FIELD_FLAGS:
        return put_word(at, event_flags_string(event->flags, text));
    case FIELD_MODE:
        return put_octal(at, event->mode);
    case FIELD_ERRNO:
        return put_word(at, event_errno_name(-event->fd, text));
    case FIELD_REASON:
        return put_word(at, event_reason_name(event->reason));
    }
    return at;
}

size_t json_bound(const struct event *event)
{
    size_t path = event->path != NULL ? event->path_len : 0;
    size_t comm = event->comm != NULL ? strlen(event->comm) : 0;

    return FIXED_MAX + comm * ESCAPED_MAX + path * (ESCAPED_MAX + 2);
}

size_t json_record(char *buf, const struct event *event)
{
    bool path_valid = true;
    char *at = buf, before = '{';

    for (size_t i = 0; i < field_count; i++) {
        const struct field *field = &field_table[i];

        if (is_absent(event, field, path_valid))
            continue;
        *at++ = before;
        before = ',';
        at = put_word(at, field->key);
        *at++ = ':';
        at = put_value(at, event, field, &path_valid);
    }
    at = put(at, "}\n", 2);
    return (size_t)(at - buf);
}
