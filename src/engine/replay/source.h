/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a file, a pipe or standard input, without waiting for them. */
#ifndef FILEMON_SOURCE_H
#define FILEMON_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest line that is read.  filemon writes no such record: that of a failed open
 * whose name has three PATH_MAX bytes, none of them UTF-8, has some 100 KiB. */
#define SOURCE_LINE_MAX (1u << 20)

struct source {
    const char *name; /* for messages */
    int fd;           /* for poll(2), after SOURCE_WAITS; -1: closed */
    uint64_t line;    /* the number of the latest line, from 1 on */
    bool polls;       /* reading may have to wait */
    bool skips;       /* the rest of a line that is too long */
    bool ended;       /* read(2) has returned 0 */
    char *buf;        /* what is not taken yet is buf[start] to buf[end - 1] */
    size_t start, end, room;
};

enum source_state {
    SOURCE_LINE,  /* *line and *len are the next line, valid until the next call */
    SOURCE_LONG,  /* the next line is too long, and skipped */
    SOURCE_READ,  /* a part of the next line was read: call again */
    SOURCE_WAITS, /* nothing can be read now */
    SOURCE_ENDED,
};

/* file: a path, or "-" for standard input.  Opening a FIFO does not wait for a writer, reading it
 * does.  0, or -errno; call source_close() in any case. */
int source_open(struct source *source, const char *file);
void source_close(struct source *source);

/* Returns an enum source_state, or -errno, after one read(2) at most: a line can have no end.  The
 * last line need not end in a newline. */
int source_next(struct source *source, const char **line, size_t *len);

#endif
