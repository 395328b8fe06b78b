/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/rules.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"
#include "engine/bpf/record.h"
#include "text.h"

/* Moves *path past slashes to the next component; returns its length, 0 at the end. */
static size_t next_component(const char **path)
{
    *path += strspn(*path, "/");
    return strcspn(*path, "/");
}

/* A node's number is 1 + its index; 0 is the root. */
struct node {
    __u32 parent, verdict;
    bool wide; /* includes everything below, since a rule there is not in the map */
    size_t len;
    char *name;
};

/* slots is a hash (linear probing) of node numbers, 0 if free.  There are twice as many slots as
 * there is room for nodes. */
struct rules {
    struct node *nodes;
    __u32 *slots;
    size_t count, room; /* room is a power of 2 */
    size_t longest; /* longest component so far; once measured, the longest that fits in a key */
    bool measured;  /* the map exists: longest is final */
    bool wide;      /* like node.wide, of the root */
    bool full;      /* a rules_add() failed: a part of its nodes may be missing in the map */
};

#define ROOM_MIN 8

static size_t slot_of(const struct rules *rules, __u32 parent, const char *name, size_t len)
{
    __u64 hash = text_hash(parent, name, len);

    return (hash ^ hash >> 32) & (2 * rules->room - 1);
}

/* The slot of this node, or the free slot where it belongs. */
static __u32 *find_slot(const struct rules *rules, __u32 parent, const char *name, size_t len)
{
    size_t slot = slot_of(rules, parent, name, len);

    for (; rules->slots[slot] != 0; slot = (slot + 1) & (2 * rules->room - 1)) {
        const struct node *node = &rules->nodes[rules->slots[slot] - 1];

        if (node->parent == parent && node->len == len && memcmp(node->name, name, len) == 0)
            break;
    }
    return &rules->slots[slot];
}

static int grow(struct rules *rules)
{
    size_t room = rules->room != 0 ? 2 * rules->room : ROOM_MIN;
    __u32 *slots = calloc(2 * room, sizeof(*slots));
    struct node *nodes = slots ? reallocarray(rules->nodes, room, sizeof(*nodes)) : NULL;

    if (!nodes) {
        free(slots);
        return -ENOMEM;
    }
    free(rules->slots);
    rules->slots = slots;
    rules->nodes = nodes;
    rules->room = room;
    for (size_t i = 0; i < rules->count; i++)
        *find_slot(rules, nodes[i].parent, nodes[i].name, nodes[i].len) = (__u32)i + 1;
    return 0;
}

/* Nodes reserved for each prefix that may be added later, and the limit of all of them. */
#define SPARE_NODES 16
#define SPARE_MAX 16384

/* The longest component of a later prefix that gets a node.  Every look-up of a BPF program hashes
 * a key of that length: with NAME_BYTES a look-up takes 70 ns more. */
#define SPARE_NAME_BYTES 63

static size_t spare_nodes(size_t expected)
{
    return expected < SPARE_MAX / SPARE_NODES ? expected * SPARE_NODES : SPARE_MAX;
}

/* Returns the number of the node, which is added if it does not exist; 0: no memory. */
static __u32 find_or_add(struct rules *rules, __u32 parent, const char *name, size_t len)
{
    __u32 *slot = rules->room != 0 ? find_slot(rules, parent, name, len) : NULL;
    struct node node = {.parent = parent, .len = len};

    if (slot && *slot != 0)
        return *slot;
    if (rules->count == rules->room && grow(rules) < 0)
        return 0;
    node.name = strndup(name, len);
    if (!node.name)
        return 0;
    rules->nodes[rules->count++] = node;
    if (len > rules->longest)
        rules->longest = len;
    return *find_slot(rules, parent, name, len) = (__u32)rules->count;
}

/* The map cannot hold a rule below this node.  If the rule includes, the kernel lets everything
 * below the node pass, and pathfilter_match() decides; an exclusion is left to pathfilter_match()
 * alone. */
static void widen(struct rules *rules, __u32 number, enum pathfilter_verdict verdict, __u32 *end)
{
    *end = 0;
    if (verdict == PATHFILTER_EXCLUDE)
        return;
    *end = number;
    if (number == 0) {
        rules->wide = true;
        return;
    }
    rules->nodes[number - 1].wide = true;
    rules->nodes[number - 1].verdict = RULE_INCLUDE;
}

/* Adds the nodes of a rule.  *end: the node where it ends, 0 for the root.  0, -errno. */
static int add_nodes(struct rules *rules, const char *path, enum pathfilter_verdict verdict,
                     __u32 *end)
{
    __u32 last = verdict == PATHFILTER_EXCLUDE ? RULE_EXCLUDE : RULE_INCLUDE, number = 0;
    const char *at = path;

    for (size_t len; (len = next_component(&at)) > 0; at += len) {
        if (len > NAME_BYTES) {
            diag(DIAG_ERROR, "%s: a component is longer than %d bytes", path, NAME_BYTES);
            return -ENAMETOOLONG;
        }
        if (rules->measured && len > rules->longest) {
            widen(rules, number, verdict, end);
            return 0;
        }
        number = find_or_add(rules, number, at, len);
        if (number == 0)
            return -ENOMEM;
    }
    /* A path that is both included and excluded is excluded: RULE_EXCLUDE is the greater.  The root
     * has no verdict but rules_size.below_root. */
    if (number > 0 && rules->nodes[number - 1].verdict < last && !rules->nodes[number - 1].wide)
        rules->nodes[number - 1].verdict = last;
    *end = number;
    return 0;
}

static int add_rule(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    __u32 end;

    return add_nodes(ctx, path, verdict, &end);
}

static void measure_names(char *const *names, struct rules_size *size)
{
    for (char *const *name = names; name && *name; name++) {
        size_t len = strlen(*name);

        size->names++;
        if (len > size->longest_name && len <= NAME_BYTES)
            size->longest_name = len;
    }
}

int rules_measure(const struct engine_config *config, struct rules_size *size, struct rules **rules)
{
    int result;

    *size = (struct rules_size){
        .any = !pathfilter_all(config->filter),
        .below_root = pathfilter_match(config->filter, "/", 1),
    };
    measure_names(config->names, size);
    *rules = calloc(1, sizeof(**rules));
    result = *rules ? pathfilter_each(config->filter, add_rule, *rules) : -ENOMEM;
    if (result < 0)
        return result;
    if (pathfilter_expected(config->filter) > 0 && (*rules)->longest < SPARE_NAME_BYTES)
        (*rules)->longest = SPARE_NAME_BYTES;
    (*rules)->measured = true;
    size->nodes = (*rules)->count + spare_nodes(pathfilter_expected(config->filter));
    size->longest = (*rules)->longest;
    return 0;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++)
        free(rules->nodes[i].name);
    free(rules->nodes);
    free(rules->slots);
    free(rules);
}

/* Writes n nodes by one system call: ten thousand calls would take seconds. */
static int update_map(const struct rules *rules, size_t first, size_t n, int map)
{
    size_t key_size = offsetof(struct rule_key, name) + rules->longest + 1;
    char *keys = calloc(n + 1, key_size);
    struct rule_node *values = calloc(n + 1, sizeof(*values));
    __u32 count = (__u32)n;
    int result = keys && values ? 0 : -ENOMEM;

    for (size_t i = 0; result == 0 && i < n; i++) {
        const struct node *node = &rules->nodes[first + i];
        char *key = keys + i * key_size;

        memcpy(key, &node->parent, sizeof(node->parent));
        memcpy(key + offsetof(struct rule_key, name), node->name, node->len);
        values[i] = (struct rule_node){.node = (__u32)(first + i + 1), .verdict = node->verdict};
    }
    if (result == 0 && n > 0 && bpf_map_update_batch(map, keys, values, &count, NULL) != 0)
        result = -errno;
    free(keys);
    free(values);
    return result;
}

int rules_fill(const struct rules *rules, int map)
{
    return update_map(rules, 0, rules->count, map);
}

int rules_add(struct rules *rules, int map, const char *path, enum pathfilter_verdict verdict)
{
    size_t before = rules->count;
    __u32 end = 0;
    int result = rules->full ? -E2BIG : add_nodes(rules, path, verdict, &end);

    if (result == 0)
        result = update_map(rules, before, rules->count - before, map);
    if (result == 0 && end > 0 && end <= before)
        result = update_map(rules, end - 1, 1, map);
    rules->full |= result < 0;
    return result;
}

bool rules_want_root(const struct rules *rules)
{
    return rules->wide;
}

int names_fill(char *const *names, int map)
{
    for (; names && *names; names++) {
        char key[NAME_BYTES + 1] = "";
        size_t len = strlen(*names);
        __u8 yes = 1;

        if (len > NAME_BYTES)
            continue;
        memcpy(key, *names, len);
        if (bpf_map_update_elem(map, key, &yes, BPF_ANY) != 0)
            return -errno;
    }
    return 0;
}
