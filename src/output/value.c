/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/value.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text.h"

static void set_bytes(struct value *value, enum value_kind kind, const char *bytes, size_t size)
{
    value->kind = kind;
    value->bytes = bytes;
    value->size = size;
}

static void set_word(struct value *value, const char *word)
{
    set_bytes(value, VALUE_WORD, word, strlen(word));
}

static void set_path(struct value *value, const char *path, size_t len)
{
    if (path != NULL)
        set_bytes(value, VALUE_BYTES, path, len);
}

static void set_path_hex(struct value *value, const char *path, size_t len)
{
    if (path != NULL && !text_is_utf8(path, len))
        set_bytes(value, VALUE_HEX, path, len);
}

static void set_mode(struct value *value, int mode)
{
    if (mode == EVENT_NO_MODE)
        return;
    snprintf(value->room, sizeof(value->room), "0%03o", (unsigned int)mode);
    set_word(value, value->room);
}

static void set_iso_date(struct value *value, int64_t date_us)
{
    time_t seconds = date_us / 1000000;
    struct tm utc = {0};
    size_t len;

    gmtime_r(&seconds, &utc);
    len = strftime(value->room, sizeof(value->room), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(value->room + len, sizeof(value->room) - len, ".%06dZ", (int)(date_us % 1000000));
    set_word(value, value->room);
}

/* Whether the event has what the field needs; a text may still be NULL. */
static bool are_known(const struct field *field, const struct event_facts *facts)
{
    if (field->facts == 0)
        return true;
    return facts != NULL && (field->kind == FIELD_TEXT || (field->facts & ~facts->known) == 0);
}

static void set_text(struct value *value, const char *text)
{
    if (text != NULL)
        set_bytes(value, VALUE_BYTES, text, strlen(text));
}

static void set_device(struct value *value, const struct event_file *file)
{
    if (file->major == EVENT_NO_MAJOR)
        return;
    snprintf(value->room, sizeof(value->room), "%u:%u", file->major, file->minor);
    set_word(value, value->room);
}

static void set_inode(struct value *value, int64_t shown, uint64_t inode)
{
    if (!event_is_integer(inode))
        return;
    value->kind = VALUE_INTEGER;
    value->integer = shown;
}

/* integer: what field->get() returns; a negative one is not known. */
static void set_count(struct value *value, int64_t integer)
{
    value->integer = integer;
    if (integer >= 0)
        value->kind = VALUE_INTEGER;
}

static void set_bool(struct value *value, int64_t integer)
{
    if (integer < 0)
        return;
    set_word(value, integer > 0 ? "true" : "false");
    value->kind = VALUE_LITERAL;
}

void value_get(struct value *value, const struct field *field, const struct event *event)
{
    size_t path_len = event->path != NULL ? event->path_len : 0;

    value->kind = VALUE_NONE;
    if ((field->codes & (1u << event->code)) == 0 || !are_known(field, event->facts))
        return;
    switch (field->kind) {
    case FIELD_CODE:
        set_word(value, event_code_name(event->code));
        break;
    case FIELD_COMM:
        set_bytes(value, VALUE_BYTES, event->comm, strlen(event->comm));
        break;
    case FIELD_INT:
    case FIELD_FD:
    case FIELD_DATE:
    case FIELD_DURATION:
        value->kind = VALUE_INTEGER;
        value->integer = field->get(event);
        break;
    case FIELD_PATH:
        set_bytes(value, VALUE_BYTES, event->path, path_len);
        break;
    case FIELD_PATH_HEX:
        set_path_hex(value, event->path, path_len);
        break;
    case FIELD_DESTINATION:
        set_path(value, event->destination, event->destination_len);
        break;
    case FIELD_DESTINATION_HEX:
        set_path_hex(value, event->destination, event->destination_len);
        break;
    case FIELD_FLAGS:
        if (event->call == NULL)
            set_word(value, event_flags_string(event->flags, value->room));
        break;
    case FIELD_MODE:
        set_mode(value, event->mode);
        break;
    case FIELD_ERRNO:
        set_word(value, event_errno_name(-event->fd, value->room));
        break;
    case FIELD_CALL:
        if (event->call != NULL)
            set_word(value, event->call);
        break;
    case FIELD_REASON:
        if (event->code != EVENT_OPEN || event->reason == REASON_RECEIVED)
            set_word(value, event_reason_name(event->reason));
        break;
    case FIELD_HOST:
        if (event->host != NULL)
            set_word(value, event->host);
        break;
    case FIELD_ISO_DATE:
        set_iso_date(value, event->date_us);
        break;
    case FIELD_TEXT:
        set_text(value, *event_text(field, event->facts));
        break;
    case FIELD_INODE:
        set_inode(value, field->get(event), event->facts->file.inode);
        break;
    case FIELD_DEVICE:
        set_device(value, &event->facts->file);
        break;
    case FIELD_COUNT:
        set_count(value, field->get(event));
        break;
    case FIELD_BOOL:
        set_bool(value, field->get(event));
        break;
    }
}

/* "00", "01" ... "99" */
#define TEN(tens)                                                                                  \
    tens "0" tens "1" tens "2" tens "3" tens "4" tens "5" tens "6" tens "7" tens "8" tens "9"
static const char pairs[] = TEN("0") TEN("1") TEN("2") TEN("3") TEN("4") TEN("5") TEN("6") TEN("7")
    TEN("8") TEN("9");

/* Writes eight digits that end at start; returns their beginning. */
static char *put_eight(char *start, uint32_t number)
{
    for (int i = 0; i < 4; i++, number /= 100)
        memcpy(start -= 2, pairs + number % 100 * 2, 2);
    return start;
}

/* Half of the output is numbers, so this is fast: two digits at a time, by 32-bit divisions. */
char *value_put_integer(char *at, int64_t integer)
{
    uint64_t left = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    char digits[2 * VALUE_INTEGER_BYTES] = {0}, *end = digits + VALUE_INTEGER_BYTES, *start = end;
    uint32_t rest;

    for (; left >= 100000000; left /= 100000000)
        start = put_eight(start, (uint32_t)(left % 100000000));
    for (rest = (uint32_t)left; rest >= 100; rest /= 100)
        memcpy(start -= 2, pairs + rest % 100 * 2, 2);
    if (rest >= 10)
        memcpy(start -= 2, pairs + rest * 2, 2);
    else
        *--start = (char)('0' + rest);
    if (integer < 0)
        *--start = '-';
    memcpy(at, start, VALUE_INTEGER_BYTES);
    return at + (end - start);
}

char *value_put_hex(char *at, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        *at++ = TEXT_HEX_DIGITS[byte >> 4];
        *at++ = TEXT_HEX_DIGITS[byte & 15];
    }
    return at;
}
