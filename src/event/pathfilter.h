/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path filter: a set of prefixes, each an absolute path that includes or excludes all paths at
 * or below it.
 *
 * The longest prefix that matches a path decides; if the same path is both, it excludes.  If none
 * matches, the path passes unless the filter has an including prefix.  A prefix matches at
 * component boundaries: /etc matches /etc and /etc/hosts, never /etcetera.  "/" matches every path.
 * "/etc/hosts (deleted)", as the kernel shows a deleted file, also matches as /etc/hosts.
 *
 * The name of a failed open leads to no file, so it is compared as text.  It can be below a PATH as
 * the user typed it ("/lib", although that is a symbolic link), which no resolved path is.  So a
 * prefix has a form.
 *
 * Paths are bytes.  The cost of a match depends on the length of the path, not on the number of
 * prefixes: one hash look-up at each component boundary.
 */
#ifndef FILEMON_PATHFILTER_H
#define FILEMON_PATHFILTER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum pathfilter_verdict { PATHFILTER_INCLUDE, PATHFILTER_EXCLUDE };

enum pathfilter_form {
    PATHFILTER_RESOLVED, /* compared with paths of files and with names of failed opens */
    PATHFILTER_TYPED,    /* compared only with names of failed opens */
};

struct pathfilter;

/* NULL: no memory.  Free with pathfilter_free(). */
struct pathfilter *pathfilter_new(void);
void pathfilter_free(struct pathfilter *filter);

/*
 * Adds a prefix: an absolute path without ".", "..", double slashes or a trailing slash, which is
 * copied.  The same path can be added with several verdicts and forms.  0, -ENOMEM, -EINVAL if it
 * does not begin with '/'.
 */
int pathfilter_add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict,
                   enum pathfilter_form form);

/*
 * Adds a symbolic link of the root directory ("/lib") and the path that it resolves to: names of
 * failed opens below the link are also compared by that path.  Each name is compared with each
 * link, so there should be few.  0, -ENOMEM.
 */
int pathfilter_add_alias(struct pathfilter *filter, const char *link, const char *target);

/* Announces that so many prefixes may be added while the filter is in use: an engine that copies
 * the filter into the kernel reserves room for them. */
void pathfilter_expect(struct pathfilter *filter, size_t prefixes);
size_t pathfilter_expected(const struct pathfilter *filter);

/* Whether a path that the kernel resolved passes.  A path that is not absolute ("pipe:[5]") matches
 * no prefix. */
bool pathfilter_match(const struct pathfilter *filter, const char *path, size_t len);

/* The longest name of a failed open, in bytes: the path of a directory, and a name relative to it.
 */
#define PATHFILTER_NAME_MAX (3 * PATH_MAX)

/*
 * Whether the name of a failed open, made absolute, passes: 1, 0, or -ENAMETOOLONG.  The name is
 * cleaned, and compared with prefixes of both forms, and once more with each link of
 * pathfilter_add_alias() replaced by its target.  The longest prefix is the one that leaves the
 * shortest rest of the name.
 */
int pathfilter_match_name(const struct pathfilter *filter, const char *name, size_t len);

/* The length of the path that a deleted file had: without " (deleted)", if the path ends so. */
size_t pathfilter_undeleted(const char *path, size_t len);

/* Whether every path passes, since the filter has no prefix. */
bool pathfilter_all(const struct pathfilter *filter);

/* Calls each(ctx, path, verdict) for every prefix of the form PATHFILTER_RESOLVED, in the order of
 * addition, until a call returns other than 0.  Returns the last result, or 0. */
int pathfilter_each(const struct pathfilter *filter,
                    int (*each)(void *ctx, const char *path, enum pathfilter_verdict verdict),
                    void *ctx);

/* Removes ".", "..", double and trailing slashes from an absolute path, in place and without
 * looking at any file; returns the new length. */
size_t pathfilter_clean(char *path);

#endif
