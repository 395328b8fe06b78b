/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which paths are wanted: those below a PATH and not below an exclusion, the longest of the
 * prefixes that match deciding; of the same path as both, the exclusion decides.  Without any PATH
 * every path is wanted that no exclusion matches.  A prefix matches at a component's boundary:
 * /etc matches /etc and /etc/hosts, never /etcetera.  "/" matches every path.  The name that a file
 * had, "/etc/hosts (deleted)", is also matched without what the kernel has put after it.
 *
 * Names that were given and lead nowhere are matched by their letters.  They may be below a PATH as
 * it was typed, which other paths cannot be: "/lib" where that is a symbolic link.
 *
 * Paths are bytes.  The cost of a match depends on the path's length, not on how many prefixes
 * there are: at each component boundary one look-up in one hash.
 */
#ifndef FILEMON_PATHFILTER_H
#define FILEMON_PATHFILTER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum pathfilter_verdict { PATHFILTER_INCLUDE, PATHFILTER_EXCLUDE };

enum pathfilter_form {
    PATHFILTER_RESOLVED, /* matches every path */
    PATHFILTER_TYPED,    /* matches only names that were given */
};

struct pathfilter;

/* NULL: no memory.  Free with pathfilter_free(). */
struct pathfilter *pathfilter_new(void);
void pathfilter_free(struct pathfilter *filter);

/*
 * Adds an absolute path without ".", "..", double slashes or a slash at its end; it is copied.  One
 * that is there already with this verdict is not added twice: it matches what either form does.
 * 0, -ENOMEM, -EINVAL when it does not begin with '/'.
 */
int pathfilter_add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict,
                   enum pathfilter_form form);

/*
 * A symbolic link in the root directory ("/lib") and the resolved path that it leads to: names that
 * were given below it are matched by that path, too.  Few: each name is compared with each link.
 * 0, -ENOMEM.
 */
int pathfilter_add_alias(struct pathfilter *filter, const char *link, const char *target);

/* So many more prefixes may be added while the filter is in use: engines make room for them. */
void pathfilter_expect(struct pathfilter *filter, size_t prefixes);
size_t pathfilter_expected(const struct pathfilter *filter);

/* Is this path, which the kernel resolved, wanted?  One that is not absolute ("pipe:[5]") is below
 * no prefix. */
bool pathfilter_match(const struct pathfilter *filter, const char *path, size_t len);

/* The most bytes of a name: a directory's path and what is relative to it. */
#define PATHFILTER_NAME_MAX (3 * PATH_MAX)

/*
 * Is this name, which was given and made absolute, wanted?  It is cleaned, and matched against
 * prefixes of both forms.  The longest is the one that leaves the least of the name, also where the
 * name goes through a link of pathfilter_add_alias().  1, 0, or -ENAMETOOLONG.
 */
int pathfilter_match_name(const struct pathfilter *filter, const char *name, size_t len);

/* True where pathfilter_match() would say yes to every path. */
bool pathfilter_all(const struct pathfilter *filter);

/* Calls each(ctx, path, verdict) for every resolved prefix, in the order in which their paths were
 * added, until it returns other than 0; returns that, or 0. */
int pathfilter_each(const struct pathfilter *filter,
                    int (*each)(void *ctx, const char *path, enum pathfilter_verdict verdict),
                    void *ctx);

/* Takes ".", ".." and needless slashes out of an absolute path, by its letters and in place;
 * returns its length. */
size_t pathfilter_clean(char *path);

#endif
