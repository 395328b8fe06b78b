/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/value.h"

#include <stdio.h>
#include <string.h>

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

static void set_mode(struct value *value, int mode)
{
    if (mode == EVENT_NO_MODE)
        return;
    snprintf(value->room, sizeof(value->room), "0%03o", (unsigned int)mode);
    set_word(value, value->room);
}

void value_get(struct value *value, const struct field *field, const struct event *event)
{
    size_t path_len = event->path != NULL ? event->path_len : 0;

    value->kind = VALUE_NONE;
    if ((field->codes & (1u << event->code)) == 0)
        return;
    switch (field->kind) {
    case FIELD_CODE:
        set_word(value, event_code_name(event->code));
        break;
    case FIELD_COMM:
        set_bytes(value, VALUE_BYTES, event->comm, strlen(event->comm));
        break;
    case FIELD_INT:
        value->kind = VALUE_INTEGER;
        value->integer = field->get(event);
        break;
    case FIELD_PATH:
        set_bytes(value, VALUE_BYTES, event->path, path_len);
        break;
    case FIELD_PATH_HEX:
        if (!text_is_utf8(event->path, path_len))
            set_bytes(value, VALUE_HEX, event->path, path_len);
        break;
    case FIELD_FLAGS:
        set_word(value, event_flags_string(event->flags, value->room));
        break;
    case FIELD_MODE:
        set_mode(value, event->mode);
        break;
    case FIELD_ERRNO:
        set_word(value, event_errno_name(-event->fd, value->room));
        break;
    case FIELD_REASON:
        set_word(value, event_reason_name(event->reason));
        break;
    }
}

char *value_put_integer(char *at, int64_t integer)
{
    char digits[20];
    size_t start = sizeof(digits);
    uint64_t left = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;

    if (integer < 0)
        *at++ = '-';
    do {
        digits[--start] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    return mempcpy(at, digits + start, sizeof(digits) - start);
}

char *value_put_hex(char *at, const char *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    return at;
}
