/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel is to look for, put into its maps: the path filter as a tree, and the names. */
#ifndef FILEMON_BPF_RULES_H
#define FILEMON_BPF_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

/* The path filter as a tree of components, each of them once.  Free with rules_free(). */
struct rules;

/* What has to be known before the maps are made. */
struct rules_size {
    bool any;
    bool below_root;     /* is a path wanted that matches no rule but "/"? */
    size_t nodes;        /* of the tree, and room for those that may come */
    size_t longest;      /* name that they can have */
    size_t names;        /* how many */
    size_t longest_name; /* of these */
};

/* Makes the tree.  0; -ENOMEM; -ENAMETOOLONG: a component is longer than NAME_BYTES. */
int rules_measure(const struct engine_config *config, struct rules_size *size,
                  struct rules **rules);
void rules_free(struct rules *rules);

/* Fills the map of the rules, which is empty and of this size.  0, -errno. */
int rules_fill(const struct rules *rules, int map);

/* One more, in a filter that expects it.  Where the map has no room for a name of it, more leaves
 * the kernel than the filter wants.  0; -E2BIG: the map is full. */
int rules_add(struct rules *rules, int map, const char *path, enum pathfilter_verdict verdict);

/* Whether that is all that matches no rule but "/". */
bool rules_want_root(const struct rules *rules);

/* Fills the map of the names.  0, -errno. */
int names_fill(char *const *names, int map);

#endif
