/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/replay/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536

int source_open(struct source *source, const char *file)
{
    bool is_stdin = strcmp(file, "-") == 0;
    struct stat status;

    *source = (struct source){.name = is_stdin ? "standard input" : file, .fd = -1};
    source->fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                          : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (source->fd < 0 || fstat(source->fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    source->polls = !S_ISREG(status.st_mode);
    return 0;
}

void source_close(struct source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    free(source->buf);
    source->fd = -1;
    source->buf = NULL;
}

/* Makes room for READ_BYTES after the bytes that are not taken. */
static int reserve(struct source *source)
{
    size_t left = source->end - source->start;

    if (source->start > 0) {
        memmove(source->buf, source->buf + source->start, left);
        source->start = 0;
        source->end = left;
    }
    if (source->room - left < READ_BYTES) {
        size_t room = 2 * source->room + READ_BYTES;
        char *buf = realloc(source->buf, room);

        if (buf == NULL)
            return -ENOMEM;
        source->buf = buf;
        source->room = room;
    }
    return 0;
}

/* A FIFO that no process has opened for writing yet is at its end for read(2), but not for poll(2).
 */
static bool is_readable(const struct source *source)
{
    struct pollfd pollfd = {.fd = source->fd, .events = POLLIN};

    return !source->polls || poll(&pollfd, 1, 0) > 0;
}

static int fill(struct source *source)
{
    int error = reserve(source);
    ssize_t n;

    if (error < 0)
        return error;
    if (!is_readable(source))
        return SOURCE_WAITS;
    n = read(source->fd, source->buf + source->end, READ_BYTES);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? SOURCE_WAITS : -errno;
    source->end += (size_t)n;
    source->ended = n == 0;
    return SOURCE_READ;
}

/* The end of the next line, after its newline; NULL: it was not read yet.  Of a last line that is
 * too long, nothing may be left. */
static const char *line_end(const struct source *source)
{
    size_t left = source->end - source->start;
    const char *from = source->buf + source->start;
    const char *newline = left > 0 ? memchr(from, '\n', left) : NULL;

    if (newline != NULL)
        return newline + 1;
    return source->ended && (left > 0 || source->skips) ? from + left : NULL;
}

/* Takes the next line, which ends before end. */
static int take(struct source *source, const char *end, const char **line, size_t *len)
{
    bool too_long;

    *line = source->buf + source->start;
    *len = (size_t)(end - *line);
    source->start += *len;
    if (*len > 0 && end[-1] == '\n')
        --*len;
    too_long = source->skips || *len > SOURCE_LINE_MAX;
    source->skips = false;
    source->line++;
    return too_long ? SOURCE_LONG : SOURCE_LINE;
}

static void skip_long(struct source *source)
{
    source->skips |= source->end - source->start > SOURCE_LINE_MAX;
    if (source->skips)
        source->start = source->end;
}

int source_next(struct source *source, const char **line, size_t *len)
{
    const char *end = line_end(source);

    if (end != NULL)
        return take(source, end, line, len);
    if (source->ended)
        return SOURCE_ENDED;
    skip_long(source);
    return fill(source);
}
