/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/rules.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "diag.h"
#include "engine/bpf/record.h"

/* The next component of a path, after the slashes that *path stands at; its length, 0 at the end.
 */
static size_t next_component(const char **path)
{
    *path += strspn(*path, "/");
    return strcspn(*path, "/");
}

static int measure_rule(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    struct rules_size *size = ctx;
    const char *at = path;

    (void)verdict;
    for (size_t len; (len = next_component(&at)) > 0; at += len) {
        size->components++;
        if (len > size->longest)
            size->longest = len;
    }
    if (size->longest <= NAME_BYTES)
        return 0;
    diag(DIAG_ERROR, "%s: a component is longer than %d bytes", path, NAME_BYTES);
    return -ENAMETOOLONG;
}

int rules_measure(const struct engine_config *config, struct rules_size *size)
{
    *size = (struct rules_size){
        .any = !pathfilter_all(config->filter),
        .below_root = pathfilter_match(config->filter, "/", 1),
    };
    for (char *const *name = config->names; name && *name; name++) {
        size_t len = strlen(*name);

        size->names++;
        if (len > size->longest_name && len <= NAME_BYTES)
            size->longest_name = len;
    }
    return pathfilter_each(config->filter, measure_rule, size);
}

struct filling {
    int map;
    __u32 nodes; /* numbers given so far; 0 is the root's */
};

static int fill_rule(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    enum rule_verdict last = verdict == PATHFILTER_EXCLUDE ? RULE_EXCLUDE : RULE_INCLUDE;
    struct filling *filling = ctx;
    __u32 parent = 0;
    const char *at = path;

    for (size_t len; (len = next_component(&at)) > 0; at += len) {
        struct rule_key key = {.parent = parent};
        struct rule_node node = {0};

        memcpy(key.name, at, len);
        if (bpf_map_lookup_elem(filling->map, &key, &node) != 0)
            node.node = ++filling->nodes;
        /* Of the same path as both, the exclusion decides. */
        if (at[len] == '\0' && node.verdict < last)
            node.verdict = last;
        if (bpf_map_update_elem(filling->map, &key, &node, BPF_ANY) != 0)
            return -errno;
        parent = node.node;
    }
    return 0;
}

int rules_fill(const struct pathfilter *filter, int map)
{
    struct filling filling = {.map = map};

    return pathfilter_each(filter, fill_rule, &filling);
}

int names_fill(char *const *names, int map)
{
    for (; names && *names; names++) {
        char key[NAME_BYTES + 1] = "";
        size_t len = strlen(*names);
        __u8 yes = 1;

        if (len > NAME_BYTES)
            continue; /* no program has it */
        memcpy(key, *names, len);
        if (bpf_map_update_elem(map, key, &yes, BPF_ANY) != 0)
            return -errno;
    }
    return 0;
}
