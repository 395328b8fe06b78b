/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The path filter and the names of -n, in the form of the maps that the BPF programs read. */
#ifndef FILEMON_BPF_RULES_H
#define FILEMON_BPF_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

/* The path filter as a tree of path components: a rule is a prefix, and ends at a node.  Free with
 * rules_free(). */
struct rules;

/* The sizes of the maps, which must be known before they are created. */
struct rules_size {
    bool any;            /* the filter has a rule */
    bool below_root;     /* a path that matches no rule, or only "/", passes */
    size_t nodes;        /* of the tree, with room for prefixes that are added later */
    size_t longest;      /* longest component */
    size_t names;        /* number of names */
    size_t longest_name; /* longest of the names, in bytes without NUL, as longest */
};

/* Builds the tree, and fills in *size.  config->filter is borrowed during the call.  0; -ENOMEM;
 * -ENAMETOOLONG: a component is longer than NAME_BYTES.  Call rules_free(*rules) also after an
 * error. */
int rules_measure(const struct engine_config *config, struct rules_size *size,
                  struct rules **rules);

/* NULL is allowed. */
void rules_free(struct rules *rules);

/* Fills the map of the rules, which is empty and was created for the sizes of rules_measure().  0,
 * -errno. */
int rules_fill(const struct rules *rules, int map);

/*
 * Adds a prefix to tree and map, see pathfilter_expect().  If a component is too long for the map's
 * key, a rule that includes is cut to the components before it, so that the kernel lets everything
 * below these pass, and one that excludes is not added; pathfilter_match() decides then.  0, or
 * -errno: the kernel does not know the prefix, and every later call returns -E2BIG.
 */
int rules_add(struct rules *rules, int map, const char *path, enum pathfilter_verdict verdict);

/* Whether rules_add() met a prefix whose first component is too long: then the kernel must let
 * paths pass as if rules_size.below_root were true.  Ask after each rules_add(). */
bool rules_want_root(const struct rules *rules);

/* Fills the map of the names; NULL: there are none.  Names longer than NAME_BYTES, which no file
 * and no comm has, are left out.  0, -errno. */
int names_fill(char *const *names, int map);

#endif
