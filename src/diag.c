/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diag.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define PREFIX "filemon: "
#define CUT "...\n"
#define ROOM (DIAG_LINE_MAX - sizeof CUT + 1) /* what leaves place for CUT */

#define ERASE "\r\x1b[K" /* of a terminal: what stands on this line */

_Static_assert(DIAG_LINE_MAX <= PIPE_BUF, "pipes keep a line whole");

static int shown = DIAG_INFO;
static bool progress; /* a progress line stands on the terminal */

void diag_set_verbosity(int verbosity)
{
    shown = DIAG_INFO + verbosity;
}

/* Adds text to the size bytes of line, and the end of the line.  Returns the size then. */
static size_t finish(char line[static DIAG_LINE_MAX], size_t size, const char *text, size_t len)
{
    size_t cut = size; /* the last place between characters where CUT still fits */
    size_t taken;

    for (; len > 0; text += taken, len -= taken) {
        char out[TEXT_VISIBLE_MAX];
        size_t more = text_visible(text, len, out, &taken);
        if (size <= ROOM)
            cut = size;
        if (size + more > DIAG_LINE_MAX - 1) {
            memcpy(line + cut, CUT, sizeof CUT - 1);
            return cut + sizeof CUT - 1;
        }
        memcpy(line + size, out, more);
        size += more;
    }
    line[size] = '\n';
    return size + 1;
}

/* The whole line, after begin.  Returns its size. */
static size_t build(char line[static DIAG_LINE_MAX], const char *begin, const char *format,
                    va_list arguments)
{
    char text[DIAG_LINE_MAX] = ""; /* what does not fit here does not fit the line either */
    size_t size = strlen(begin);

    memcpy(line, begin, size);
    vsnprintf(text, sizeof text, format, arguments);
    return finish(line, size, text, strlen(text));
}

static void put(const char *line, size_t size)
{
    /* Where standard error does not take it, there is nobody left to tell. */
    (void)TEMP_FAILURE_RETRY(write(STDERR_FILENO, line, size));
}

void diag(enum diag_level level, const char *format, ...)
{
    int saved = errno;
    char line[DIAG_LINE_MAX];
    va_list arguments;

    if ((int)level > shown)
        return;
    va_start(arguments, format);
    put(line, build(line, progress ? ERASE PREFIX : PREFIX, format, arguments));
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
