/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diag.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat.h"
#include "text.h"

#define PREFIX "filemon: "
#define CUT "..."

#define ERASE "\r\x1b[K" /* erases the current line of a terminal */

_Static_assert(DIAG_LINE_MAX <= PIPE_BUF, "a write of a line to a pipe is atomic");

static int shown = DIAG_INFO; /* the highest level that is shown */
static bool progress;         /* the terminal shows a progress line */

void diag_set_verbosity(int verbosity)
{
    shown = DIAG_INFO + verbosity;
}

static size_t visible_size(const char *text, size_t len)
{
    char out[TEXT_VISIBLE_MAX];
    size_t size = 0, taken;

    for (; len > 0; text += taken, len -= taken)
        size += text_visible(text, len, out, &taken);
    return size;
}

/* Adds as many characters of text as fit in room bytes, escaped.  Returns the rest of text. */
static const char *add(char *line, size_t *size, size_t room, const char *text)
{
    size_t len = strlen(text), taken;

    for (; len > 0; text += taken, len -= taken) {
        char out[TEXT_VISIBLE_MAX];
        size_t more = text_visible(text, len, out, &taken);
        if (more > room)
            break;
        memcpy(line + *size, out, more);
        *size += more;
        room -= more;
    }
    return text;
}

/* The longest end of text that fits in room bytes when escaped; begins with a whole character. */
static const char *tail(const char *text, size_t room)
{
    size_t len = strlen(text), left = visible_size(text, len), taken;

    for (; left > room; text += taken, len -= taken) {
        char out[TEXT_VISIBLE_MAX];
        left -= text_visible(text, len, out, &taken);
    }
    return text;
}

/* Adds text, its middle cut if necessary, and a newline to the first size bytes of line.  Returns
 * the new size. */
static size_t finish(char line[static DIAG_LINE_MAX], size_t size, const char *text)
{
    size_t room = DIAG_LINE_MAX - strlen("\n") - size;

    if (visible_size(text, strlen(text)) > room) {
        text = add(line, &size, (room - strlen(CUT)) / 2, text);
        memcpy(line + size, CUT, strlen(CUT));
        size += strlen(CUT);
        room = DIAG_LINE_MAX - strlen("\n") - size;
        text = tail(text, room);
    }
    add(line, &size, room, text);
    line[size] = '\n';
    return size + 1;
}

/* Builds the line: begin, then the formatted text.  Returns its size. */
static size_t build(char line[static DIAG_LINE_MAX], const char *begin, const char *format,
                    va_list arguments)
{
    size_t size = strlen(begin);
    char *text;

    memcpy(line, begin, size);
    if (vasprintf(&text, format, arguments) < 0)
        return finish(line, size, format); /* no memory: the format alone is better than nothing */
    size = finish(line, size, text);
    free(text);
    return size;
}

static void put(const char *line, size_t size)
{
    /* A failure of standard error cannot be reported anywhere. */
    (void)TEMP_FAILURE_RETRY(write(STDERR_FILENO, line, size));
}

/* JOURNAL_STREAM alone is not enough (sd-daemon(3)): it is inherited even if standard error was
 * redirected. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return !strcmp(stream, own);
}

/* No level has the priority 6 (info): systemd gives that to the records on standard output. */
static const char *prefix_of(enum diag_level level)
{
    static const char *const journal[] = {
        [DIAG_ERROR] = "<3>" PREFIX,
        [DIAG_WARNING] = "<4>" PREFIX,
        [DIAG_INFO] = "<5>" PREFIX,
        [DIAG_VERBOSE] = "<7>" PREFIX,
    };

    if (progress)
        return ERASE PREFIX;
    return is_journal() ? journal[level] : PREFIX;
}

bool diag_shows(enum diag_level level)
{
    return (int)level <= shown;
}

void diag(enum diag_level level, const char *format, ...)
{
    int saved = errno;
    char line[DIAG_LINE_MAX];
    va_list arguments;

    if (!diag_shows(level))
        return;
    va_start(arguments, format);
    put(line, build(line, prefix_of(level), format, arguments));
    va_end(arguments);
    progress = false;
    errno = saved;
}

static bool shows_progress(void)
{
    return shown >= DIAG_INFO && isatty(STDERR_FILENO);
}

void diag_progress(const char *format, ...)
{
    int saved = errno;
    va_list arguments;

    va_start(arguments, format);
    if (format == NULL && progress) {
        put(ERASE, strlen(ERASE));
        progress = false;
    }
    if (format != NULL && shows_progress()) {
        char line[DIAG_LINE_MAX];
        put(line, build(line, ERASE PREFIX, format, arguments) - strlen("\n"));
        progress = true;
    }
    va_end(arguments);
    errno = saved;
}
