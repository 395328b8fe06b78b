/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The output: lines in a buffer, which is written when the descriptor is ready, so that a slow
 * reader blocks nothing.
 *
 * To a pipe, terminal or socket each write(2) ends at the end of a line if there is one within
 * PIPE_BUF bytes, so that the lines of several writers of a pipe do not mix.
 *
 * An error of writing is permanent: every later output_write() returns it and writes nothing.  If a
 * regular file took only a part of a line, that part is removed again.  If a file that is appended
 * to does not end in a newline, a newline is written first.
 *
 * The caller must ignore or block SIGPIPE and SIGXFSZ.
 */
#ifndef FILEMON_OUTPUT_H
#define FILEMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"

enum output_format { FORMAT_JSON, FORMAT_TEXT, FORMAT_CSV };

struct output;

/*
 * file: a path, opened for appending (mode 0666 less the umask, close-on-exec); NULL: a copy of
 * standard output.  A FIFO without a reader is refused, -ENXIO, since waiting for one would hang
 * the start.  0, or -errno without a message.  Free with output_close().
 */
int output_open(struct output **output, const char *file, enum output_format format);

/* Adds a record to the buffer.  With FORMAT_CSV the header precedes the first record, unless the
 * file was not empty.  0, -ENOMEM. */
int output_event(struct output *output, const struct event *event);

/* Adds whole lines of another kind.  0, -ENOMEM. */
int output_bytes(struct output *output, const char *bytes, size_t size);

/* Bytes in the buffer.  The caller should add no more while it is above OUTPUT_HIGH_WATER. */
size_t output_pending(const struct output *output);
#define OUTPUT_HIGH_WATER (1u << 20)

/* Lines in the buffer. */
size_t output_pending_lines(const struct output *output);

/* The descriptor, for poll(2): for POLLOUT while output_pending() is not 0, else for POLLERR and
 * POLLHUP only.  After one of these two, output_hangup() returns the -errno that it means. */
int output_fd(const struct output *output);
int output_hangup(const struct output *output);

/*
 * Writes as much as the descriptor takes without blocking.  If others share the open file
 * description, which is then not non-blocking, poll(2) is asked before each write of at most
 * PIPE_BUF bytes.  A regular file takes everything.  0, or the -errno of write(2); -EPIPE if the
 * reader of a pipe or socket has closed it.
 */
int output_write(struct output *output);

/*
 * Writes the buffer to the old file and opens the file again by its name (SIGHUP, for logrotate);
 * does nothing for standard output.  0; or -errno, and the old file stays in use.  -ETIMEDOUT: the
 * reader of a FIFO did not take the buffer within a second.
 */
int output_reopen(struct output *output);

/*
 * Writes the buffer, blocking for at most timeout_ms, closes the file and frees the output.  0, or
 * the first -errno, close(2) included; -ETIMEDOUT.
 */
int output_close(struct output *output, int timeout_ms);

#endif
