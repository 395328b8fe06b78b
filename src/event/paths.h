/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PATHs and exclusions of the command line as prefixes of the path filter.
 *
 * Each is made absolute by the working directory.  As it was typed, cleaned of ".", ".." and double
 * slashes by its letters, it matches names that were given.  As it is resolved, symbolic links
 * followed, it matches paths.  One that does not exist is resolved as far as it goes, a dangling
 * link by its text; the rest is taken by its letters.  It then matches under each name that it can
 * have when it exists: through each dangling link, and in the place of each dangling link.
 */
#ifndef FILEMON_PATHS_H
#define FILEMON_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "event/pathfilter.h"

/* Where one leads. */
struct route {
    int missing;  /* ENOENT or ENOTDIR: it does not exist; 0: it does */
    char **paths; /* the resolved path; where it is missing, also each that goes through no link
                   * from a dangling one on */
    size_t n_paths;
};

/* path: absolute.  0, or -errno and an empty route; ELOOP after as many links as the kernel allows.
 * Release it in any case. */
int route_resolve(struct route *route, const char *path);
void route_release(struct route *route);

/* An operand made absolute by the working directory, not cleaned; the caller's to free.  0,
 * -ENOMEM, -EINVAL for an empty one, -ENOENT where the working directory was removed. */
int path_make_absolute(const char *operand, char **path);

/* Adds them to the filter; the lists end with a NULL.  0, or -errno with a message given. */
int paths_add(struct pathfilter *filter, char *const *includes, char *const *excludes);

#endif
