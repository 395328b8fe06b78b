/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which paths are wanted: those below a PATH and not below an exclusion, the longest of the
 * prefixes that match deciding; of the same path as both, the exclusion decides.  Without any PATH
 * every path is wanted that no exclusion matches.  A prefix matches at a component's boundary:
 * /etc matches /etc and /etc/hosts, never /etcetera.  "/" matches every path.
 * Paths are bytes.  The cost of a match depends on the path's length, not on how many prefixes
 * there are: one hash for each component boundary, looked up in one table.
 */
#ifndef FILEMON_PATHFILTER_H
#define FILEMON_PATHFILTER_H

#include <stdbool.h>
#include <stddef.h>

enum pathfilter_verdict { PATHFILTER_INCLUDE, PATHFILTER_EXCLUDE };

struct pathfilter;

/* NULL: no memory.  Free with pathfilter_free(). */
struct pathfilter *pathfilter_new(void);
void pathfilter_free(struct pathfilter *filter);

/*
 * Adds an absolute, normalized path, as pathfilter_resolve() gives it; it is copied.  One that is
 * there already with this verdict is not added twice.
 * 0, -ENOMEM, -EINVAL when it does not begin with '/'.
 */
int pathfilter_add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict);

/* Is this path wanted?  One that is not absolute ("pipe:[5]") is below no prefix. */
bool pathfilter_match(const struct pathfilter *filter, const char *path, size_t len);

/* True where pathfilter_match() would say yes to every path. */
bool pathfilter_all(const struct pathfilter *filter);

/* Calls each(ctx, path, verdict) for every prefix, in the order they were added, until it returns
 * other than 0; returns that, or 0. */
int pathfilter_each(const struct pathfilter *filter,
                    int (*each)(void *ctx, const char *path, enum pathfilter_verdict verdict),
                    void *ctx);

/*
 * An operand as the kernel will name it: made absolute by the working directory, symbolic links of
 * the part that exists resolved (realpath(3)), ".", ".." and double slashes of the rest taken out
 * by their letters.  It need not exist.  A link whose target does not exist stands for itself: it
 * is not known yet what will be there.  *resolved is the caller's to free. 0, -ENOMEM, -EINVAL for
 * an empty path, -ENAMETOOLONG past PATH_MAX, -ENOENT where the working directory was removed, or
 * what realpath failed with (ELOOP, EACCES).
 */
int pathfilter_resolve(const char *path, char **resolved);

#endif
