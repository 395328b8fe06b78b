/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compat.h"
#include "output/columns.h"
#include "output/value.h"
#include "text.h"

/* Everything but paths and the texts of facts, which have no fixed limit. */
#define FIXED_MAX 1024
#define FACTS_FIXED_MAX 1024

/* A value of a fixed width, and a NUL. */
#define VALUE_MAX EVENT_FLAGS_SIZE

enum {
    COMM_COLUMNS_NARROW = 10,
    TIME_COLUMNS_NARROW = 8,
    PATH_COLUMNS_MIN = 16, /* on a terminal too narrow for this many, lines wrap */
};

/* A line that is being written. */
struct line {
    const struct event *event;
    const struct fields *fields;
    const struct screen *screen;
    char *at;
    char *filled; /* what follows is padding */
};

static bool is_narrow(const struct screen *screen)
{
    return screen->columns < HUMAN_NARROW;
}

struct screen screen_of(int fd)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    bool dumb = term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;

    return (struct screen){.columns = columns_of_terminal(fd),
                           .colour = isatty(fd) && !dumb && (none == NULL || none[0] == '\0')};
}

/* The columns of a field; 0: as many as its value has. */
static size_t width_of(const struct line *line, const struct field *field)
{
    if (is_narrow(line->screen) && field->kind == FIELD_DATE)
        return TIME_COLUMNS_NARROW;
    if (is_narrow(line->screen) && field->kind == FIELD_COMM)
        return COMM_COLUMNS_NARROW;
    if (field->kind == FIELD_CODE)
        return line->fields->code_columns;
    return (size_t)abs(field->columns);
}

/* What precedes a field that is not the first. */
static const char *gap_before(const struct field *field)
{
    return field->kind == FIELD_PATH || field->kind == FIELD_DESTINATION ? "  " : " ";
}

/* Without milliseconds where the screen is narrow. */
static char *put_time(char *at, const struct line *line)
{
    time_t seconds = line->event->date_us / 1000000;
    struct tm local = {0};

    localtime_r(&seconds, &local);
    at += strftime(at, 16, "%H:%M:%S", &local);
    if (!is_narrow(line->screen))
        at += sprintf(at, ".%03d", (int)(line->event->date_us / 1000 % 1000));
    return at;
}

static const char *colour_of(enum event_code code)
{
    static const char *const colours[EVENT_RECORDS] = {
        [EVENT_OPEN] = "\x1b[32m", [EVENT_CLOSE] = "\x1b[2m", [EVENT_DUP] = "\x1b[36m",
        [EVENT_FAIL] = "\x1b[31m", [EVENT_HELD] = "\x1b[36m", [EVENT_ERROR] = "\x1b[35m",
        [EVENT_LOST] = "\x1b[35m", [EVENT_EXEC] = "\x1b[34m",
    };
    return colours[code] != NULL ? colours[code] : "\x1b[33m";
}

static char *put_coloured(char *at, const char *word, const struct event *event,
                          const struct screen *screen)
{
    if (!screen->colour || word[0] == '\0')
        return stpcpy(at, word);
    at = stpcpy(at, colour_of(event->code));
    at = stpcpy(at, word);
    return stpcpy(at, "\x1b[m");
}

static char *put_duration(char *at, const struct event *event)
{
    char word[COLUMNS_DURATION_SIZE];

    return event->code == EVENT_CLOSE ? stpcpy(at, columns_duration(word, event->duration_ns)) : at;
}

/* Writes what follows the path to words. */
static void describe(const struct event *event, char *words, size_t size)
{
    const char *description = strerrordesc_np(-event->fd);
    char number[16];

    words[0] = '\0';
    if (event->code == EVENT_FAIL)
        snprintf(words, size, ": %s%s%s", event->call ? event->call : "", event->call ? ": " : "",
                 description ? description : event_errno_name(-event->fd, number));
    else if (event->code == EVENT_DUP)
        snprintf(words, size, " (copy of %d)", event->origin);
    else if (event->code == EVENT_ERROR)
        snprintf(words, size, " (its close was missed)");
    else if ((event->code == EVENT_CLOSE && event->reason != REASON_CLOSE) ||
             (event->code == EVENT_OPEN && event->reason == REASON_RECEIVED))
        snprintf(words, size, " (%s)", event_reason_name(event->reason));
    else if (event->code == EVENT_LOST)
        snprintf(words, size, "%llu event%s lost", (unsigned long long)event->lost,
                 event->lost == 1 ? "" : "s");
}

/* The columns that are left for each field of no fixed width. */
static size_t room_for_path(const struct line *line)
{
    size_t used = 0, paths = 0;

    for (size_t i = 0; i < line->fields->n; i++) {
        const struct field *field = line->fields->list[i];

        used += width_of(line, field) + (i > 0 ? strlen(gap_before(field)) : 0);
        paths += field->columns == 0;
    }
    if (line->screen->columns <= used + paths * PATH_COLUMNS_MIN)
        return PATH_COLUMNS_MIN;
    return (line->screen->columns - used) / paths;
}

/* What is left of the room for a path. */
static size_t room_beside(size_t room, size_t used)
{
    return room > used + PATH_COLUMNS_MIN ? room - used : PATH_COLUMNS_MIN;
}

/* Returns the columns that the path has. */
static size_t put_cut(struct line *line, const char *path, size_t size, size_t room)
{
    size_t columns = columns_of(path, size);

    if (columns > room)
        columns = room;
    line->at = columns_put(line->at, path, size, columns);
    return columns;
}

#define ARROW " -> "

/* Both paths, each in half of the room at least; returns the columns that they have. */
static size_t put_paths(struct line *line, size_t room)
{
    const struct event *event = line->event;
    size_t second = columns_of(event->destination, event->destination_len);
    size_t both = room_beside(room, strlen(ARROW)), first;

    first = room_beside(both, second < both / 2 ? second : both / 2);
    first = put_cut(line, event->path, event->path_len, first) + strlen(ARROW);
    line->at = stpcpy(line->at, ARROW);
    return first +
           put_cut(line, event->destination, event->destination_len, room_beside(room, first));
}

/* The words after the path are kept whole, and the path is cut, but not below PATH_COLUMNS_MIN. */
static void put_path(struct line *line)
{
    const struct event *event = line->event;
    size_t size = event->path != NULL ? event->path_len : 0, room = room_for_path(line), columns;
    char words[128] = "", shown[COLUMNS_BOUND(sizeof(words))];

    if (line->fields->usual)
        describe(event, words, sizeof(words));
    if (line->fields->usual && event->destination != NULL)
        columns = put_paths(line, room_beside(room, strlen(words)));
    else
        columns = put_cut(line, event->path, size, room_beside(room, strlen(words)));
    *columns_put(shown, words, strlen(words), room > columns ? room - columns : 0) = '\0';
    line->at = put_coloured(line->at, shown, event, line->screen);
    if (size > 0 || shown[0] != '\0')
        line->filled = line->at;
}

static void put_destination(struct line *line)
{
    const struct event *event = line->event;

    if (event->destination != NULL &&
        put_cut(line, event->destination, event->destination_len, room_for_path(line)) > 0)
        line->filled = line->at;
}

/* Bytes in hexadecimal, as many as there is room for. */
static void put_hex(struct line *line, const struct value *value)
{
    size_t room = room_for_path(line);
    bool fits = 2 * value->size <= room;

    line->at = value_put_hex(line->at, value->bytes, fits ? value->size : (room - 1) / 2);
    if (!fits)
        line->at = stpcpy(line->at, "…");
    line->filled = line->at;
}

/* The value of a field; ends with a NUL. */
static void put_value(char *at, const struct line *line, const struct field *field,
                      const struct value *value)
{
    if (field->kind == FIELD_DATE)
        at = put_time(at, line);
    else if (field->kind == FIELD_DURATION)
        at = put_duration(at, line->event);
    else if (field->kind == FIELD_FD && line->event->code == EVENT_FAIL)
        *at = '\0';
    else if (value->kind == VALUE_INTEGER)
        at = value_put_integer(at, value->integer);
    else if (value->kind == VALUE_WORD || value->kind == VALUE_LITERAL)
        at = mempcpy(at, value->bytes, value->size);
    else if (value->kind == VALUE_BYTES)
        at = mempcpy(at, value->bytes, strnlen(value->bytes, EVENT_COMM_SIZE - 1));
    *at = '\0';
}

/* A comm that is no text is wider than its column on any screen. */
static size_t most_columns(const struct line *line, const struct field *field)
{
    bool cut = field->kind == FIELD_COMM || line->screen->columns != COLUMNS_UNLIMITED;

    return cut ? width_of(line, field) : COLUMNS_UNLIMITED;
}

/* A value in columns of a fixed width. */
static void put_word(struct line *line, const struct field *field, const struct value *value)
{
    size_t width = width_of(line, field);
    char whole[VALUE_MAX], shown[COLUMNS_BOUND(VALUE_MAX)], padded[sizeof(shown)];
    bool right = field->columns > 0, coloured = field->kind == FIELD_CODE && line->screen->colour;

    put_value(whole, line, field, value);
    *columns_put(shown, whole, strlen(whole), most_columns(line, field)) = '\0';
    *(right ? columns_put_right : columns_put_left)(padded, shown, width) = '\0';
    if (shown[0] != '\0')
        line->filled = line->at + strlen(right ? padded : shown);
    if (!coloured) {
        line->at = stpcpy(line->at, padded);
        return;
    }
    line->at = line->filled = put_coloured(line->at, padded, line->event, line->screen);
}

/* A text of any length, in columns of a fixed width at least. */
static void put_text(struct line *line, const struct field *field, const struct value *value)
{
    size_t size = value->kind == VALUE_BYTES ? value->size : 0;
    size_t width = width_of(line, field), columns;
    char *start = line->at;

    line->at = columns_put(start, value->bytes, size, most_columns(line, field));
    if (size > 0)
        line->filled = line->at;
    for (columns = columns_of(start, (size_t)(line->at - start)); columns < width; columns++)
        *line->at++ = ' ';
}

static void put_field(struct line *line, const struct field *field)
{
    struct value value;

    if (field->kind == FIELD_PATH) {
        put_path(line);
        return;
    }
    if (field->kind == FIELD_DESTINATION) {
        put_destination(line);
        return;
    }
    value_get(&value, field, line->event);
    if (value.kind == VALUE_HEX)
        put_hex(line, &value);
    else if (field->kind == FIELD_TEXT)
        put_text(line, field, &value);
    else
        put_word(line, field, &value);
}

/* After the keys of a LIST, which need not have any that a loss has. */
static void put_loss(struct line *line)
{
    char words[128];

    describe(line->event, words, sizeof(words));
    line->at = put_coloured(stpcpy(line->at, " "), words, line->event, line->screen);
    line->filled = line->at;
}

/* What facts add to a record. */
static size_t facts_bound(struct event_facts *facts)
{
    return facts != NULL ? FACTS_FIXED_MAX + COLUMNS_BOUND(event_texts_size(facts)) : 0;
}

size_t human_bound(const struct event *event)
{
    size_t path = event->path != NULL ? event->path_len : 0;
    size_t destination = event->destination != NULL ? event->destination_len : 0;

    return FIXED_MAX + COLUMNS_BOUND(path) + 2 * path + COLUMNS_BOUND(destination) +
           2 * destination + facts_bound(event->facts);
}

size_t human_record(char *buf, const struct event *event, const struct fields *fields,
                    const struct screen *screen)
{
    struct line line = {
        .event = event, .fields = fields, .screen = screen, .at = buf, .filled = buf};

    for (size_t i = 0; i < fields->n; i++) {
        if (i > 0)
            line.at = stpcpy(line.at, gap_before(fields->list[i]));
        put_field(&line, fields->list[i]);
    }
    if (event->code == EVENT_LOST && !fields->usual)
        put_loss(&line);
    *line.filled++ = '\n';
    return (size_t)(line.filled - buf);
}
