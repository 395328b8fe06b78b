/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a path leads: its symbolic links followed, as far as it exists and by the letters of the
 * rest. */
#ifndef FILEMON_ROUTE_H
#define FILEMON_ROUTE_H

#include <stddef.h>

/* Where a component was looked up.  Something else of that name there may change where the path
 * leads. */
struct place {
    char *directory; /* resolved; it exists */
    char *name;
};

struct route {
    int missing;  /* ENOENT or ENOTDIR: it does not exist; 0: it does */
    char **paths; /* the last one is where it leads; where it is missing, those before it are what
                   * it is called where an ordinary file or directory replaces a dangling link */
    size_t n_paths;
    struct place *places; /* of each component that was looked up, of links and their texts too */
    size_t n_places;
};

/* path: absolute.  0, or -errno and a route that has places as far as it got, but no paths; ELOOP
 * after as many links as the kernel allows.  Release it in any case. */
int route_resolve(struct route *route, const char *path);
void route_release(struct route *route);

/* An operand made absolute by the working directory, not cleaned; the caller's to free.  0,
 * -ENOMEM, -EINVAL for an empty one, -ENOENT where the working directory was removed. */
int path_make_absolute(const char *operand, char **path);

#endif
