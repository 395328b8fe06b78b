/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resolves a path like realpath(3), but goes on where something is missing: the rest is taken as
 * text.  The route also has the places where another file would change the result.
 */
#ifndef FILEMON_ROUTE_H
#define FILEMON_ROUTE_H

#include <stddef.h>

/* Where a component was looked up: a change of this directory entry can change the result. */
struct place {
    char *directory; /* exists, without symbolic links */
    char *name;
};

struct route {
    int missing;  /* ENOENT or ENOTDIR: the path does not exist; 0: it exists */
    char **paths; /* The last is the resolved path.  If it is missing, those before it are the paths
                   * that it gets if a file or directory replaces one of the dangling links. */
    size_t n_paths;
    struct place *places; /* of each component looked up, also of those in the texts of links */
    size_t n_places;
};

/* path: absolute.  0; or -errno, and a route with the places so far and no paths.  -ELOOP after as
 * many links as the kernel allows.  Call route_release() in any case. */
int route_resolve(struct route *route, const char *path);
void route_release(struct route *route);

/* Makes an operand absolute with the working directory, without cleaning it.  The caller frees
 * *path.  0, -ENOMEM, -EINVAL for an empty operand, -ENOENT if the working directory was removed.
 */
int path_make_absolute(const char *operand, char **path);

#endif
