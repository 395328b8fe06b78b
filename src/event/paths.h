/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns the PATHs and exclusions of the command line into prefixes of the path filter, and follows
 * PATHs that do not exist yet.
 *
 * Each operand is made absolute with the working directory, and added in two forms: cleaned (see
 * pathfilter_clean()) as PATHFILTER_TYPED, and with symbolic links resolved as PATHFILTER_RESOLVED.
 *
 * For an operand that does not exist, route_resolve() gives a route: several paths at which the
 * file can come to exist.  The first is the part that exists, resolved, with the rest of the text
 * behind it.  Each dangling link on the way gives another one, with the link's text in place of the
 * link.
 *
 * All become prefixes.  Until the operand exists, inotify(7) watches the directories in which its
 * components are looked up.  If one of these names is made there, or moved there, the operand is
 * resolved again, and new prefixes are added; the old ones stay.
 *
 * By inode (-I), each operand must exist.  The files themselves are the engine's to compare:
 * paths_inodes() lists them.  The filter gets only typed prefixes, for the names of failed opens.
 */
#ifndef FILEMON_PATHS_H
#define FILEMON_PATHS_H

#include <stdbool.h>

#include "event/pathfilter.h"

struct paths;

/* An operand that means the file or directory to which it leads. */
struct inode_path {
    char *path; /* absolute; links in it are for the kernel to follow */
    enum pathfilter_verdict verdict;
    int watch; /* of inotify(7), which keeps the inode in the kernel's memory; -1: none */
};

/* Adds the operands to the filter, which must outlive *paths.  Both lists end with a NULL.
 * 0, or -errno after a message: then *paths is NULL, and the filter has a part of them.  Free with
 * paths_close(), which takes NULL. */
int paths_open(struct paths **paths, struct pathfilter *filter, char *const *includes,
               char *const *excludes, bool by_inode);
void paths_close(struct paths *paths);

/* The operands, if by_inode; owned by paths, which may be NULL: none.  *n: their number. */
const struct inode_path *paths_inodes(const struct paths *paths, size_t *n);

/* Adds the operands, which are absolute, to the filter as they are written but cleaned, without
 * looking at any file.  0, or -errno after a message. */
int paths_add_texts(struct pathfilter *filter, char *const *includes, char *const *excludes);

/* Readable when paths_dispatch() has work; owned by paths.  -1: nothing is watched, since every
 * operand exists or inotify(7) fails.  It can change to -1 at each paths_dispatch(). */
int paths_fd(const struct paths *paths);

/* Called, after a change, for each path of an operand's new route, even if the old route had it.
 * The filter has the path, which is valid during the call.  0; after -errno there is a warning, and
 * no further call for this operand. */
typedef int paths_added(void *ctx, const char *path, enum pathfilter_verdict verdict);

/* Reads the events of inotify(7), resolves the operands again that they concern, and warns of
 * inodes that are deleted. */
void paths_dispatch(struct paths *paths, paths_added *added, void *ctx);

#endif
