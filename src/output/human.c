/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output/columns.h"

/* Everything but the path, which has no fixed limit. */
#define FIXED_MAX 1024

enum {
    COMM_COLUMNS = 15,
    COMM_COLUMNS_NARROW = 10,
    PID_COLUMNS = 7,
    CODE_COLUMNS = 5,
    FD_COLUMNS = 5,
    DURATION_COLUMNS = 7,
    PATH_COLUMNS_MIN = 16, /* on a terminal too narrow for this many, lines wrap */
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

static char *put_time(char *at, const struct event *event, const struct screen *screen)
{
    time_t seconds = event->date_us / 1000000;
    struct tm local = {0};

    localtime_r(&seconds, &local);
    at += strftime(at, 16, "%H:%M:%S", &local);
    if (!is_narrow(screen))
        at += sprintf(at, ".%03d", (int)(event->date_us / 1000 % 1000));
    *at++ = ' ';
    return at;
}

static char *put_comm(char *at, const struct event *event, const struct screen *screen)
{
    size_t width = is_narrow(screen) ? COMM_COLUMNS_NARROW : COMM_COLUMNS;
    const char *comm = event->code == EVENT_LOST ? "" : event->comm;
    char word[COLUMNS_BOUND(EVENT_COMM_SIZE)];

    *columns_put(word, comm, strnlen(comm, EVENT_COMM_SIZE - 1), width) = '\0';
    at = columns_put_left(at, word, width);
    *at++ = ' ';
    return at;
}

static char *put_number(char *at, int number, bool present, size_t width)
{
    char word[16] = "";

    if (present)
        snprintf(word, sizeof(word), "%d", number);
    at = columns_put_right(at, word, width);
    *at++ = ' ';
    return at;
}

static const char *colour_of(enum event_code code)
{
    static const char *const colours[EVENT_RECORDS] = {
        [EVENT_OPEN] = "\x1b[32m", [EVENT_CLOSE] = "\x1b[2m", [EVENT_DUP] = "\x1b[36m",
        [EVENT_FAIL] = "\x1b[31m", [EVENT_HELD] = "\x1b[36m", [EVENT_ERROR] = "\x1b[35m",
        [EVENT_LOST] = "\x1b[35m",
    };
    return colours[code];
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

static char *put_code(char *at, const struct event *event, const struct screen *screen)
{
    char word[32];

    *columns_put_left(word, event_code_name(event->code), CODE_COLUMNS) = '\0';
    at = put_coloured(at, word, event, screen);
    *at++ = ' ';
    return at;
}

static char *put_duration(char *at, const struct event *event)
{
    char word[COLUMNS_DURATION_SIZE] = "";

    if (event->code == EVENT_CLOSE)
        columns_duration(word, event->duration_ns);
    at = columns_put_right(at, word, DURATION_COLUMNS);
    return stpcpy(at, "  ");
}

/* Writes what follows the path to words. */
static void describe(const struct event *event, char *words, size_t size)
{
    const char *description = strerrordesc_np(-event->fd);
    char number[16];

    words[0] = '\0';
    if (event->code == EVENT_FAIL)
        snprintf(words, size, ": %s",
                 description ? description : event_errno_name(-event->fd, number));
    else if (event->code == EVENT_DUP)
        snprintf(words, size, " (copy of %d)", event->origin);
    else if (event->code == EVENT_ERROR)
        snprintf(words, size, " (its close was missed)");
    else if (event->code == EVENT_CLOSE && event->reason != REASON_CLOSE)
        snprintf(words, size, " (%s)", event_reason_name(event->reason));
    else if (event->code == EVENT_LOST)
        snprintf(words, size, "%llu event%s lost", (unsigned long long)event->lost,
                 event->lost == 1 ? "" : "s");
}

/* The columns of the line without the other columns and the blanks between them. */
static size_t room_for_path(const struct screen *screen)
{
    size_t used = PID_COLUMNS + CODE_COLUMNS + FD_COLUMNS + DURATION_COLUMNS + 7;

    if (is_narrow(screen))
        used += strlen("HH:MM:SS") + COMM_COLUMNS_NARROW;
    else
        used += strlen("HH:MM:SS.mmm") + COMM_COLUMNS;
    return screen->columns > used + PATH_COLUMNS_MIN ? screen->columns - used : PATH_COLUMNS_MIN;
}

/* The words after the path are kept whole, and the path is cut, but not below PATH_COLUMNS_MIN. */
static char *put_path(char *at, const struct event *event, const struct screen *screen)
{
    size_t size = event->path != NULL ? event->path_len : 0, room = room_for_path(screen);
    size_t columns = columns_of(event->path, size);
    char words[128], shown[COLUMNS_BOUND(sizeof(words))];

    describe(event, words, sizeof(words));
    if (columns > PATH_COLUMNS_MIN && columns + strlen(words) > room)
        columns = room > strlen(words) + PATH_COLUMNS_MIN ? room - strlen(words) : PATH_COLUMNS_MIN;
    at = columns_put(at, event->path, size, columns);
    *columns_put(shown, words, strlen(words), room - columns) = '\0';
    return put_coloured(at, shown, event, screen);
}

size_t human_bound(const struct event *event)
{
    return FIXED_MAX + COLUMNS_BOUND(event->path != NULL ? event->path_len : 0);
}

size_t human_record(char *buf, const struct event *event, const struct screen *screen)
{
    bool of_process = event->code != EVENT_LOST;
    char *at = put_time(buf, event, screen);

    at = put_comm(at, event, screen);
    at = put_number(at, event->pid, of_process, PID_COLUMNS);
    at = put_code(at, event, screen);
    at = put_number(at, event->fd, of_process && event->code != EVENT_FAIL, FD_COLUMNS);
    at = put_duration(at, event);
    at = put_path(at, event, screen);
    *at++ = '\n';
    return (size_t)(at - buf);
}
