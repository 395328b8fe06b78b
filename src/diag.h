/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to standard error.  A message is one line, "filemon: ...", written by one write(2).
 *
 * Control characters and backslashes in quoted paths and names are escaped, see text_visible(): a
 * message stays one line, cannot control the terminal, and shows the exact bytes.
 *
 * If standard error is a stream of systemd's journal, the line begins with a priority, such as
 * "<4>", which the journal removes.
 */
#ifndef FILEMON_DIAG_H
#define FILEMON_DIAG_H

#include <stdbool.h>

enum diag_level {
    DIAG_ERROR,   /* always shown */
    DIAG_WARNING, /* always shown */
    DIAG_INFO,    /* not with -q */
    DIAG_VERBOSE, /* only with -v */
};

/* -1 quiet, 0 normal (the default), 1 verbose. */
void diag_set_verbosity(int verbosity);

/* Whether diag() writes messages of this level. */
bool diag_shows(enum diag_level level);

/* Bytes of the longest line, newline included: PIPE_BUF, so that writes to a pipe are atomic. */
#define DIAG_LINE_MAX 4096

/* Writes a message if the verbosity shows its level.  In a longer line "..." replaces the middle:
 * a long message is one with a long path, and its reason is at the end.  Preserves errno. */
void diag(enum diag_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Shows a line that the next diag_progress() or diag() overwrites; NULL erases it.  Does nothing if
 * standard error is no terminal, or with -q.  Preserves errno.
 */
void diag_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
