/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list that an engine's check() prints: what it needs, and what mends that which is missing. */
#ifndef FILEMON_FINDING_H
#define FILEMON_FINDING_H

#include <stddef.h>
#include <stdio.h>

struct finding {
    char what[160];
    char mend[400]; /* a command or a sentence; empty: nothing is amiss */
};

/*
 * Prints each finding that has a `what` to out (NULL: nothing).  0 when nothing is missing;
 * otherwise -ENOSYS, and *lack (may be NULL) is the first that is.
 */
int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *lack);

#endif
