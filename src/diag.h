/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every message to standard error: the whole line is built first and written in one write(2),
 * "filemon: " before it and a newline after it.
 *
 * A message is one line, and shows what it quotes without obeying it: see text_visible().  As the
 * backslash is escaped, what stands there says exactly which bytes it was.
 *
 * Where standard error is a stream of systemd's journal, the line begins with its priority, as in
 * "<4>", which the journal takes off.
 */
#ifndef FILEMON_DIAG_H
#define FILEMON_DIAG_H

enum diag_level {
    DIAG_ERROR,   /* always shown */
    DIAG_WARNING, /* always shown */
    DIAG_INFO,    /* not with -q */
    DIAG_VERBOSE, /* only with -v */
};

/* What to show: -1 quiet, 0 normal, 1 verbose.  At start: normal. */
void diag_set_verbosity(int verbosity);

/* The most bytes of a line, newline included: PIPE_BUF, so that no pipe tears one. */
#define DIAG_LINE_MAX 4096

/* A longer line has "..." in place of its middle, cut between two characters: what was too long is
 * a path, and the reason stands behind it.  Leaves errno alone. */
void diag(enum diag_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Where standard error is a terminal, a line that is written over by the next one; elsewhere, and
 * with -q, nothing.  NULL takes it off.  A message takes it off by itself.
 */
void diag_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
