/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record filter: which of the ledger's records are reported.  A record must pass the path
 * filter, match one of the patterns, if there are any, and be of a kind that is reported.
 *
 * A pattern is compared with the whole path, as fnmatch(3) does without flags and in the C locale:
 * `*` crosses slashes, and `?` and a bracket expression match one byte.  The path of a deleted file
 * is also compared without " (deleted)"; the name that a call was given is cleaned first.
 *
 * A record with two paths passes if one of them does.  The text of a symbolic link is a path if it
 * is absolute.
 */
#ifndef FILEMON_RECORDFILTER_H
#define FILEMON_RECORDFILTER_H

#include <stdbool.h>

#include "event/event.h"
#include "event/pathfilter.h"

/* Its members are borrowed. */
struct recordfilter {
    const struct pathfilter *paths;
    bool by_inode;         /* the engine has matched PATHs, except with the names given to calls */
    char *const *patterns; /* NULL at the end; NULL or none: every path passes */
    unsigned int sets;     /* only these records pass, see event/trace.h */
    bool only_failed;      /* and of these only FAIL and LOST records */
};

/* Whether the record is reported: 1, 0, or -ENAMETOOLONG if its path is too long to be compared.
 * A LOST passes always. */
int recordfilter_match(const struct recordfilter *filter, const struct event *record);

/* Whether the filter compares the paths of such records: it cannot judge one whose path is cut. */
bool recordfilter_compares_path(const struct recordfilter *filter, enum event_code code);

/* Why the pattern, which is not empty, cannot match a path or cannot mean what it says, and what to
 * write instead, for a message; a constant.  NULL: it can. */
const char *recordfilter_fault(const char *pattern);

#endif
