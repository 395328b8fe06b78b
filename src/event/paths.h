/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PATHs and exclusions of the command line as prefixes of the path filter.
 *
 * Each is made absolute by the working directory.  As it was typed, cleaned of ".", ".." and double
 * slashes by its letters, it matches names that were given.  As it is resolved, symbolic links
 * followed, it matches paths.
 *
 * One that does not exist is resolved as far as it goes, a dangling link by its text, and the rest
 * is taken by its letters.  It then matches under each name that it has if ordinary files and
 * directories come to be where something is missing now, or replace a dangling link.  Where it
 * leads elsewhere later, by a link that is made or by a directory that another one replaces, a
 * prefix is added: so the directories in which its components are looked up are watched with
 * inotify(7), until the PATH exists.
 */
#ifndef FILEMON_PATHS_H
#define FILEMON_PATHS_H

#include "event/pathfilter.h"

struct paths;

/* Adds them to the filter, which outlives this; the lists end with a NULL.  0, or -errno with a
 * message given.  Free with paths_close(). */
int paths_open(struct paths **paths, struct pathfilter *filter, char *const *includes,
               char *const *excludes);
void paths_close(struct paths *paths);

/* Readable when something has come to be where a PATH was missing; -1: none is missing. */
int paths_fd(const struct paths *paths);

/* Is told of each path that one turned out to lead to, which the filter has by then; it may have
 * had it before.  0, -errno. */
typedef int paths_added(void *ctx, const char *path, enum pathfilter_verdict verdict);

/* Takes what is to be read. */
void paths_dispatch(struct paths *paths, paths_added *added, void *ctx);

#endif
