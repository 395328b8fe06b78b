/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where records go: one line each, in a buffer that is written when the descriptor takes it, so
 * that a slow reader blocks nothing.  On a pipe, terminal or socket what is written ends with a
 * line wherever one ends within PIPE_BUF bytes, so that writers who share a pipe do not mix theirs;
 * a line that was begun is finished before the file is reopened or closed.
 *
 * The first error of writing stays: each later call returns it again and writes no more.  A line
 * that a regular file took a part of is cut off again, and in a file that is appended to and does
 * not end in a newline the first line begins after one.
 *
 * SIGPIPE and SIGXFSZ must be ignored or blocked by the caller.
 */
#ifndef FILEMON_OUTPUT_H
#define FILEMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"

enum output_format { FORMAT_JSON, FORMAT_TEXT, FORMAT_CSV };

struct output;

/*
 * file: a path, opened for appending (created with mode 0666 less the umask, close-on-exec); NULL:
 * standard output, of which a copy is held.  A FIFO that nobody reads is refused, -ENXIO: waiting
 * for its reader would hang the start.  0, or -errno with no message given.  Free with
 * output_close().
 */
int output_open(struct output **output, const char *file, enum output_format format);

/* Adds a record to the buffer; before the first one the header of CSV, which a FILE that is not
 * empty has already.  0, -ENOMEM. */
int output_event(struct output *output, const struct event *event);

/* Adds whole lines of another kind.  0, -ENOMEM. */
int output_bytes(struct output *output, const char *bytes, size_t size);

/* Bytes that wait to be written.  Above OUTPUT_HIGH_WATER the caller should stop adding. */
size_t output_pending(const struct output *output);
#define OUTPUT_HIGH_WATER (1u << 20)

/* How many lines that is. */
size_t output_pending_lines(const struct output *output);

/* The descriptor, for poll(): POLLOUT while output_pending(), else for POLLERR and POLLHUP alone.
 * Where poll() finds one of these, output_hangup() is the error that it stands for. */
int output_fd(const struct output *output);
int output_hangup(const struct output *output);

/*
 * Writes what the descriptor takes now, without blocking: where its open file description is not
 * ours alone it asks poll() first.  It gives a pipe, terminal or socket at most PIPE_BUF bytes at a
 * time, which POLLOUT promises to take.  A regular file takes everything.  0, or -errno of
 * write(2); -EPIPE when the reader is gone, be it a pipe's or that of a socket.
 */
int output_write(struct output *output);

/*
 * Opens the file anew by its name (SIGHUP, for logrotate), after what waits was written to the old
 * one; does nothing for standard output.  0, or -errno: the old file stays in use then. -ETIMEDOUT:
 * a FIFO whose reader did not take what waits within a second.
 */
int output_reopen(struct output *output);

/*
 * Writes the rest if it can be done without blocking for more than timeout_ms altogether, checks
 * that the file took it (close(2)), frees.  0, or the first -errno; -ETIMEDOUT.
 */
int output_close(struct output *output, int timeout_ms);

#endif
