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

_Static_assert(DIAG_LINE_MAX <= PIPE_BUF, "pipes keep a line whole");

#define ERASE "\r\x1b[K"

static int shown = DIAG_INFO;
static bool progress; /* a progress line stands on the terminal */

void diag_set_verbosity(int verbosity)
{
    shown = DIAG_INFO + verbosity;
}

/* The most bytes that visible() makes of one character: two of C1, four bytes each. */
#define VISIBLE_MAX 12

static size_t escape(unsigned char byte, char *out)
{
    static const char letters[256] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r', ['\\'] = '\\'};
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    if (letters[byte] != '\0') {
        out[1] = letters[byte];
        return 2;
    }
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

static bool is_control(const char *character, size_t len)
{
    unsigned char first = (unsigned char)character[0];

    if (len == 1)
        return first < 0x20 || first == 0x7f;
    return first == 0xc2 && (unsigned char)character[1] < 0xa0; /* C1 */
}

/* The first character of text as it shall be seen; *taken: its bytes.  Returns those of out. */
static size_t visible(const char *text, size_t len, char out[static VISIBLE_MAX], size_t *taken)
{
    bool valid;
    size_t size = 0;

    *taken = text_utf8(text, len, &valid);
    if (valid && text[0] != '\\' && !is_control(text, *taken)) {
        memcpy(out, text, *taken);
        return *taken;
    }
    for (size_t i = 0; i < *taken; i++)
        size += escape((unsigned char)text[i], out + size);
    return size;
}

/* Adds text to the size bytes of line, and the end of the line.  Returns the size then. */
static size_t finish(char line[static DIAG_LINE_MAX], size_t size, const char *text, size_t len)
{
    size_t cut = size; /* the last place between characters where CUT still fits */
    size_t taken;

    for (; len > 0; text += taken, len -= taken) {
        char out[VISIBLE_MAX];
        size_t more = visible(text, len, out, &taken);
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

void diag(enum diag_level level, const char *format, ...)
{
    int saved = errno;
    char text[DIAG_LINE_MAX] = ""; /* what does not fit here does not fit the line either */
    char line[DIAG_LINE_MAX] = PREFIX;
    va_list arguments;

    if ((int)level > shown)
        return;
    diag_progress(NULL);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    size_t size = finish(line, sizeof PREFIX - 1, text, strlen(text));
    /* Where standard error does not take it, there is nobody left to tell. */
    (void)TEMP_FAILURE_RETRY(write(STDERR_FILENO, line, size));
    errno = saved;
}

void diag_progress(const char *format, ...)
{
    int saved = errno;
    char text[DIAG_LINE_MAX] = "", line[DIAG_LINE_MAX] = ERASE PREFIX;
    size_t size = sizeof ERASE - 1;
    va_list arguments;

    if (format && shown >= DIAG_INFO && isatty(STDERR_FILENO)) {
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        size = finish(line, sizeof ERASE PREFIX - 1, text, strlen(text)) - 1; /* no newline */
        progress = true;
    } else if (!progress || format) {
        errno = saved;
        return;
    } else {
        progress = false;
    }
    (void)TEMP_FAILURE_RETRY(write(STDERR_FILENO, line, size));
    errno = saved;
}
