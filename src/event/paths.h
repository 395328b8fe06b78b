/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns the PATHs and exclusions of the command line into prefixes of the path filter, and follows
 * PATHs that do not exist yet.
 *
 * Each operand is made absolute with the working directory, and added in two forms: cleaned (see
 * pathfilter_clean()) as PATHFILTER_TYPED, and with symbolic links resolved as PATHFILTER_RESOLVED.
 *
 * An operand that does not exist is resolved by route_resolve(), which goes on as text where
 * something is missing, and follows a dangling link by its text.  All paths of the route become
 * prefixes.  Until the operand exists, inotify(7) watches the directories in which its components
 * are looked up.  If a symbolic link is made there, or a directory replaced, the operand is
 * resolved again, and new prefixes are added.
 */
#ifndef FILEMON_PATHS_H
#define FILEMON_PATHS_H

#include "event/pathfilter.h"

struct paths;

/* Adds the operands to the filter, which must outlive *paths.  Both lists end with a NULL.  0, or
 * -errno after a message.  Free with paths_close(). */
int paths_open(struct paths **paths, struct pathfilter *filter, char *const *includes,
               char *const *excludes);
void paths_close(struct paths *paths);

/* Readable when paths_dispatch() has work; -1: every operand exists. */
int paths_fd(const struct paths *paths);

/* Called for each path that an operand resolved to after a change; the filter has it already, maybe
 * since before the change.  0, -errno. */
typedef int paths_added(void *ctx, const char *path, enum pathfilter_verdict verdict);

/* Reads the events of inotify(7) and resolves the operands again that they concern. */
void paths_dispatch(struct paths *paths, paths_added *added, void *ctx);

#endif
