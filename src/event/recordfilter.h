/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record filter: which of the ledger's records are reported.  A record is if each of its rules
 * holds: the path filter, one of the patterns, the kind of record.
 *
 * A pattern is compared with the whole path, as fnmatch(3) does without flags and in the C locale:
 * `*` crosses slashes, and `?` and a bracket expression match one byte.  The path of a deleted file
 * is also compared without " (deleted)"; the name of a failed open is cleaned first.
 */
#ifndef FILEMON_RECORDFILTER_H
#define FILEMON_RECORDFILTER_H

#include <stdbool.h>

#include "event/event.h"
#include "event/pathfilter.h"

/* Its members are borrowed. */
struct recordfilter {
    const struct pathfilter *paths;
    char *const *patterns; /* NULL at the end; NULL or none: every path passes */
    bool only_failed;      /* of records, FAIL and LOST alone pass */
};

/* Whether the record is reported: 1, 0, or -ENAMETOOLONG if its path is too long to be compared.
 * A LOST passes always. */
int recordfilter_match(const struct recordfilter *filter, const struct event *record);

/* Whether a path is needed to tell: a record whose path is cut cannot be judged then. */
bool recordfilter_compares_paths(const struct recordfilter *filter);

/* What is wrong with a pattern that matches no path, or not what was meant, and what to do; NULL:
 * nothing.  The pattern is not empty. */
const char *recordfilter_fault(const char *pattern);

#endif
