/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every message to standard error: the whole line is built first, control and other unprintable
 * bytes are made visible (\n, \x1b), and it is written in one write(2), "filemon: " before it.
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

/* Longer ones are cut at 4,096 bytes, with "..." as their end. */
void diag(enum diag_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
