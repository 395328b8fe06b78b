/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The output: lines in a buffer, which is written when the descriptor is ready, so that a slow
 * reader blocks nothing.
 *
 * To a pipe, terminal or socket each write(2) has at most PIPE_BUF bytes, and ends at the end of a
 * line if there is one among them: a pipe takes that much as a whole, so that the lines of several
 * writers do not mix.  (A CSV record whose path has a newline is several lines.)
 *
 * An error of writing is permanent: every later output_write() returns it and writes nothing.  If a
 * regular file took only a part of a record, that part is removed again.  If a file that is
 * appended to does not end in a newline, a newline is written first.
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
struct fields; /* output/fields.h */

/*
 * fields: what records are written with; borrowed until output_close().
 * file: a path, opened for appending (mode 0666 less the umask, close-on-exec); NULL: a copy of
 * standard output.  A FIFO without a reader is refused, -ENXIO, since waiting for one would hang
 * the start.  FORMAT_CSV: a file that has content and begins with another header is refused,
 * -EEXIST.  0, or -errno without a message.  Free with output_close().
 */
int output_open(struct output **output, const char *file, enum output_format format,
                const struct fields *fields);

/*
 * The same for a file that each output_write() replaces, see output/replace.h, by the last text of
 * output_bytes(); it takes no record.  The file is left as it is until then.  What
 * replace_open() returns.
 */
int output_open_replaced(struct output **output, const char *file);

/* Adds a record to the buffer.  0, -ENOMEM.  With FORMAT_CSV the first record comes after a header,
 * which output_close() writes if there is no record; a file given by its path that has content when
 * it is opened gets no header. */
int output_event(struct output *output, const struct event *event);

/* Adds text that is no record, or replaces what waits; its last byte must be a newline.  0,
 * -ENOMEM. */
int output_bytes(struct output *output, const char *bytes, size_t size);

/* Bytes in the buffer.  The caller should add no more while it is above OUTPUT_HIGH_WATER. */
size_t output_pending(const struct output *output);
#define OUTPUT_HIGH_WATER (1u << 20)

/* Lines in the buffer, counted by their newlines. */
size_t output_pending_lines(const struct output *output);

/* The descriptor, for poll(2), until the next output_reopen(): with POLLOUT while output_pending()
 * is not 0, else with no events.  After POLLERR or POLLHUP, output_hangup() returns the error, a
 * negative number. */
int output_fd(const struct output *output);
int output_hangup(const struct output *output);

/*
 * Writes as much as the descriptor takes without blocking.  A standard output that cannot be opened
 * again for filemon alone is not made non-blocking, since that would affect the others who share
 * it: poll(2) is asked before each write instead.  A regular file takes everything.  0, also if
 * bytes remain; or the -errno of write(2), -EPIPE if the reader of a pipe or socket has closed it.
 */
int output_write(struct output *output);

/*
 * First writes the buffer to the old file, then opens the file again by its name (SIGHUP, for
 * logrotate); does nothing for standard output and for a file that is replaced.  0: output_fd() is
 * another now, unless it is standard output.  -errno: the old file stays in use; -ETIMEDOUT: the
 * reader of a FIFO did not take the buffer within a second.
 */
int output_reopen(struct output *output);

/*
 * Writes the buffer, blocking for at most timeout_ms (0 or less: not at all), closes the file and
 * frees the output in any case.  0, or the first -errno, close(2) included; -ETIMEDOUT.
 */
int output_close(struct output *output, int timeout_ms);

#endif
