/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/replay/record.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/trace.h"
#include "text.h"

static int refuse(struct record *record, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct record *record, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(record->why, sizeof(record->why), format, args);
    va_end(args);
    return -EBADMSG;
}

/* ---- Values --------------------------------------------------------------------------------- */

static bool take_integer(struct event *event, const struct field *field, const json_t *value)
{
    return json_is_integer(value) && field->set(event, json_integer_value(value));
}

/* For the first key that is a fact. */
static void begin_facts(struct record *record)
{
    record->facts = (struct event_facts){.file = {.major = EVENT_NO_MAJOR, .inode = EVENT_NO_INODE},
                                         .bytes = {.read = EVENT_NO_COUNT,
                                                   .written = EVENT_NO_COUNT,
                                                   .reads = EVENT_NO_COUNT,
                                                   .writes = EVENT_NO_COUNT,
                                                   .mapped_is_missing = true}};
    record->event.facts = &record->facts;
}

static bool take_device(struct event_facts *facts, const char *text)
{
    size_t len = strcspn(text, ":");
    int64_t major, minor;

    if (text[len] == '\0' || text_number(text, len, 0, EVENT_NO_MAJOR - 1, &major) != 0 ||
        text_number(text + len + 1, strlen(text + len + 1), 0, UINT32_MAX, &minor) != 0)
        return false;
    facts->file.major = (uint32_t)major;
    facts->file.minor = (uint32_t)minor;
    facts->known |= FACT(FILE);
    return true;
}

/* fichero_hex and destino_hex have the bytes, wherever they stand. */
static bool take_path(const char **path, size_t *path_len, const json_t *value)
{
    if (*path != NULL)
        return true;
    *path = json_string_value(value);
    *path_len = json_string_length(value);
    return true;
}

static bool take_hex(struct record_bytes *bytes, const char **path, size_t *path_len,
                     const json_t *value)
{
    size_t len = json_string_length(value), size = len / 2;

    if (size >= bytes->room) {
        char *more = realloc(bytes->at, size + 1);

        if (more == NULL)
            return false;
        bytes->at = more;
        bytes->room = size + 1;
    }
    if (size == 0 || text_unhex(bytes->at, json_string_value(value), len) < 0 ||
        memchr(bytes->at, '\0', size) != NULL)
        return false;
    bytes->at[size] = '\0';
    *path = bytes->at;
    *path_len = size;
    return true;
}

static bool take_call(struct event *event, const char *name)
{
    enum traced_call call = trace_find_call(name);

    if (call == TRACED_COUNT)
        return false;
    event->call = trace_call_name(call);
    return true;
}

static bool take_mode(struct event *event, const char *digits)
{
    size_t len = strlen(digits);
    unsigned int mode = 0;

    if (len < 4 || len > 8 || strspn(digits, "01234567") != len)
        return false;
    for (; *digits != '\0'; digits++)
        mode = mode * 8 + (unsigned int)(*digits - '0');
    event->mode = (int)mode;
    return true;
}

static bool take_reason(struct event *event, const char *name)
{
    event->reason = event_reason_of(name);
    return event->reason != REASON_COUNT &&
           (event->code == EVENT_OPEN) == (event->reason == REASON_RECEIVED);
}

/* What other keys imply is only looked at for its type. */
static bool take_text(struct record *record, const struct field *field, const json_t *value)
{
    struct event *event = &record->event;
    const char *text = json_string_value(value);

    if (text == NULL)
        return false;
    switch (field->kind) {
    case FIELD_COMM:
        event->comm = text;
        return true;
    case FIELD_PATH:
        return take_path(&event->path, &event->path_len, value);
    case FIELD_PATH_HEX:
        return take_hex(&record->bytes, &event->path, &event->path_len, value);
    case FIELD_DESTINATION:
        return take_path(&event->destination, &event->destination_len, value);
    case FIELD_DESTINATION_HEX:
        return take_hex(&record->destination, &event->destination, &event->destination_len, value);
    case FIELD_CALL:
        return take_call(event, text);
    case FIELD_FLAGS:
        return event_flags_of(text, &event->flags);
    case FIELD_MODE:
        return take_mode(event, text);
    case FIELD_REASON:
        return take_reason(event, text);
    case FIELD_HOST:
        event->host = text;
        return event_is_host(text);
    case FIELD_TEXT:
        *event_text(field, event->facts) = text;
        return true;
    case FIELD_DEVICE:
        return take_device(event->facts, text);
    default:
        return true;
    }
}

static bool take_value(struct record *record, const struct field *field, const json_t *value)
{
    if (field->facts != 0 && record->event.facts == NULL)
        begin_facts(record);
    switch (field->kind) {
    case FIELD_INT:
    case FIELD_INODE:
    case FIELD_FD:
    case FIELD_DURATION:
    case FIELD_COUNT:
        return take_integer(&record->event, field, value);
    case FIELD_BOOL:
        return json_is_boolean(value) && field->set(&record->event, json_is_true(value));
    case FIELD_DATE:
        return json_is_integer(value);
    default:
        return take_text(record, field, value);
    }
}

/* ---- Keys ----------------------------------------------------------------------------------- */

/* Keys mostly come in the order of the table: the search begins after the field found before.
 * NULL: filemon has no such key. */
static const struct field *find_field(const char *key, const struct field *after)
{
    const struct field *end = field_table + field_count;

    for (const struct field *field = after; field < end; field++)
        if (strcmp(field->key, key) == 0)
            return field;
    for (const struct field *field = field_table; field < after; field++)
        if (strcmp(field->key, key) == 0)
            return field;
    return NULL;
}

static uint64_t bit_of(const struct field *field)
{
    return UINT64_C(1) << (field - field_table);
}

static bool is_required(const struct field *field, enum event_code code)
{
    if ((field->codes & 1u << code) == 0 || field->on_request)
        return false;
    switch (field->kind) {
    case FIELD_DATE: /* of date_us, or of duracion_ns */
    case FIELD_MODE:
    case FIELD_ERRNO: /* of the descriptor */
    case FIELD_PATH:  /* of fichero_hex, perhaps: see check() */
    case FIELD_PATH_HEX:
    case FIELD_DESTINATION: /* of destino_hex, perhaps; and few calls that fail have it */
    case FIELD_DESTINATION_HEX:
    case FIELD_CALL:
    case FIELD_HOST:
        return false;
    case FIELD_REASON:
        return code == EVENT_CLOSE;
    default:
        return true;
    }
}

/* By code: the fields that a record must have. */
static uint64_t required[EVENT_RECORDS];

static void find_required(void)
{
    for (unsigned int code = 0; code < EVENT_RECORDS; code++)
        for (const struct field *field = field_table; field < field_table + field_count; field++)
            if (is_required(field, code))
                required[code] |= bit_of(field);
}

/* ---- Records -------------------------------------------------------------------------------- */

static bool has_destination(enum event_code code)
{
    return code == EVENT_RENAME || code == EVENT_LINK || code == EVENT_SYMLINK;
}

static int check(struct record *record, uint64_t seen)
{
    const struct event *event = &record->event;
    uint64_t missing = required[event->code] & ~seen;

    if (event->call != NULL) /* no open, so without flags */
        missing &= ~bit_of(find_field("flags", field_table));
    if (missing != 0)
        return refuse(record, "the key %s is missing, one of the usual keys",
                      field_table[__builtin_ctzll(missing)].key);
    if (event->code != EVENT_LOST && event->path == NULL)
        return refuse(record, "the key fichero is missing, one of the usual keys");
    if (has_destination(event->code) && event->destination == NULL)
        return refuse(record, "the key destino is missing, one of the usual keys");
    if ((event->code == EVENT_FAIL) != (event->fd < 0))
        return refuse(record, "descriptor has a value that filemon does not write there");
    return RECORD_READ;
}

/*
 * As engines deliver it: a path that is cut begins with "...", and the name of a failed open is
 * empty if the engine could not read it.
 */
static bool is_cut(const struct event *event)
{
    if (event->path == NULL)
        return false;
    if (event->destination != NULL && strncmp(event->destination, "...", 3) == 0)
        return event->code != EVENT_SYMLINK; /* whose text may begin so */
    return strncmp(event->path, "...", 3) == 0 ||
           (event->code == EVENT_FAIL && event->path_len == 0 && event->fd != -EFAULT);
}

static int take_keys(struct record *record)
{
    const struct field *after = field_table, *field;
    uint64_t seen = 0;
    const char *key;
    json_t *value;

    json_object_foreach(record->object, key, value)
    {
        field = find_field(key, after);
        if (field == NULL || (field->codes & 1u << record->event.code) == 0) {
            record->unknown = key;
            continue;
        }
        if (!take_value(record, field, value))
            return refuse(record, "%s has a value that filemon does not write there", key);
        seen |= bit_of(field);
        after = field + 1;
    }
    record->event.path_cut = is_cut(&record->event);
    return check(record, seen);
}

/* The code, or -1 for totals. */
static int read_code(struct record *record, int *code)
{
    const char *name = json_string_value(json_object_get(record->object, field_table[0].key));

    if (name == NULL)
        return refuse(record, "there is no %s", field_table[0].key);
    *code = event_code_of(name);
    if (*code >= 0)
        return RECORD_READ;
    return strcmp(name, "resumen") == 0 ? RECORD_TOTALS
                                        : refuse(record, "%s is '%s'", field_table[0].key, name);
}

static int parse(struct record *record, const char *line, size_t len)
{
    json_error_t error;

    json_decref(record->object);
    record->object = json_loadb(line, len, 0, &error);
    if (record->object == NULL)
        return refuse(record, "%s", error.text);
    return json_is_object(record->object) ? 0 : refuse(record, "it is no JSON object");
}

/* Without blanks around it. */
static void keep_object(struct event *event, const char *line, size_t len)
{
    const char *begin = memchr(line, '{', len), *end = memrchr(line, '}', len);

    event->line = begin;
    event->line_len = (size_t)(end + 1 - begin);
}

int record_read(struct record *record, const char *line, size_t len)
{
    int result = parse(record, line, len), code = -1;

    if (required[EVENT_LOST] == 0)
        find_required();
    record->unknown = NULL;
    if (result == 0)
        result = read_code(record, &code);
    if (result < 0 || code < 0)
        return result;
    record->event = (struct event){.code = code, .mode = EVENT_NO_MODE, .reason = REASON_COUNT};
    keep_object(&record->event, line, len);
    return take_keys(record);
}

void record_release(struct record *record)
{
    json_decref(record->object);
    free(record->bytes.at);
    free(record->destination.at);
    *record = RECORD_EMPTY;
}
