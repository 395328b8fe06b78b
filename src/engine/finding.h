/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list that an engine's check() prints: what it needs, and what mends that which is missing. */
#ifndef FILEMON_FINDING_H
#define FILEMON_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct finding {
    char what[256];
    char mend[512]; /* a command or a sentence; empty: nothing is amiss */
    bool doubt;     /* nothing is missing, but the engine is unlikely to work */
};

/*
 * Prints each finding that has a `what` to out (NULL: nothing).  -ENOSYS when something is missing,
 * and *lack (may be NULL) is the first thing that is; otherwise -EAGAIN when there is a doubt, and
 * *lack is the first; otherwise 0.
 */
int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *lack);

#endif
