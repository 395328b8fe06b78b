/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/json.h"

#include <stdio.h>
#include <string.h>

#include "output/value.h"
#include "text.h"

/* Everything but paths, comm and the texts of facts, which have no fixed limit. */
#define FIXED_MAX 1024
#define FACTS_FIXED_MAX 1024

/* A field, and the text before its value: ",\"pid\":". */
#define HEAD_BYTES 24
static struct member {
    int64_t (*get)(const struct event *); /* as in field_table; NULL: a record may lack the value */
    size_t size;
    char head[HEAD_BYTES];
} members[FIELDS_MAX]; /* in the order of field_table */

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

char *json_put_string(char *at, const char *bytes, size_t size)
{
    const char *end = bytes + size;

    *at++ = '"';
    while (bytes < end) {
        unsigned char first = (unsigned char)*bytes;
        size_t length = text_plain(bytes, (size_t)(end - bytes));
        bool valid;

        if (length > 0) {
            at = put(at, bytes, length);
        } else if (first < 0x80) {
            at = put_escape(at, first);
            length = 1;
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
    case VALUE_LITERAL:
        return put(at, value->bytes, value->size);
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

/* The bytes of a JSON object, in which a control that json_put_string() escapes may stand as it is.
 */
static char *put_object(char *at, const char *bytes, size_t size)
{
    if (memchr(bytes, 0x7f, size) == NULL && memchr(bytes, 0xc2, size) == NULL)
        return put(at, bytes, size);
    for (const char *end = bytes + size; bytes < end; bytes++) {
        if (bytes[0] == 0x7f)
            at = put_escape(at, 0x7f);
        else if ((unsigned char)bytes[0] == 0xc2 && (unsigned char)bytes[1] < 0xa0)
            at = put_escape(at, (unsigned char)*++bytes);
        else
            *at++ = *bytes;
    }
    return at;
}

static size_t record_as_read(char *buf, const struct event *event)
{
    char *at = put_object(buf, event->line, event->line_len - 1); /* without the brace */

    if (event->line_lacks_host && event->host != NULL) {
        at = put(at, ",\"maquina\":", 11);
        at = put_word(at, event->host, strlen(event->host));
    }
    at = put(at, "}\n", 2);
    return (size_t)(at - buf);
}

/* What facts add to a record. */
static size_t facts_bound(struct event_facts *facts)
{
    return facts != NULL ? FACTS_FIXED_MAX + JSON_STRING_BOUND(event_texts_size(facts)) : 0;
}

size_t json_bound(const struct event *event)
{
    size_t path = event->path != NULL ? event->path_len : 0;
    size_t destination = event->destination != NULL ? event->destination_len : 0;
    size_t comm = event->comm != NULL ? strlen(event->comm) : 0;

    return FIXED_MAX + JSON_STRING_BOUND(comm) + JSON_STRING_BOUND(path) + 2 * path +
           JSON_STRING_BOUND(destination) + 2 * destination + facts_bound(event->facts) +
           (event->line != NULL ? JSON_STRING_BOUND(event->line_len) : 0);
}

static void make_members(void)
{
    for (size_t i = 0; i < field_count; i++) {
        members[i].get = field_table[i].facts == 0 ? field_table[i].get : NULL;
        members[i].size = (size_t)snprintf(members[i].head, HEAD_BYTES,
                                           ",\"%s\":", field_table[i].key);
    }
}

/* The comma of the first head becomes the brace.  Copies HEAD_BYTES for every head: a memcpy(3) of
 * constant size is faster. */
size_t json_record(char *buf, const struct event *event, const struct fields *fields)
{
    const struct field_places *of = &fields->of[event->code];
    char *at = buf;
    struct value value;

    if (fields->as_read && event->line != NULL)
        return record_as_read(buf, event);
    if (members[0].size == 0)
        make_members();
    for (size_t i = 0; i < of->n; i++) {
        const struct member *member = &members[of->place[i]];

        memcpy(at, member->head, HEAD_BYTES);
        if (member->get != NULL) { /* the most frequent kind */
            at = value_put_integer(at + member->size, member->get(event));
            continue;
        }
        value_get(&value, &field_table[of->place[i]], event);
        if (value.kind != VALUE_NONE)
            at = put_value(at + member->size, &value);
    }
    at += at == buf;
    *buf = '{';
    at = put(at, "}\n", 2);
    return (size_t)(at - buf);
}
