/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines as prefixes, "+/etc" or "-/etc", and the last as the path: the filter says what a walk over
 * the list says.  libFuzzer's entry:
 *
 *   clang -D_GNU_SOURCE -Isrc -g -O1 -fsanitize=fuzzer,address,undefined \
 *       -o fuzz_pathfilter tests/fuzz/fuzz_pathfilter.c src/event/pathfilter.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/pathfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct expectation {
    const char *path;
    size_t longest; /* 1 + length of the longest prefix so far, "/" being of length 0 */
    bool any_include, include, exclude;
};

static size_t key_length(const char *prefix)
{
    return strcmp(prefix, "/") == 0 ? 0 : strlen(prefix);
}

static void expect(struct expectation *expected, const char *prefix, bool include)
{
    size_t len = key_length(prefix);
    char after = strncmp(expected->path, prefix, len) == 0 ? expected->path[len] : 'x';

    expected->any_include |= include;
    if (expected->path[0] != '/' || (after != '/' && after != '\0') || len + 1 < expected->longest)
        return;
    if (len + 1 > expected->longest)
        expected->include = expected->exclude = false;
    expected->longest = len + 1;
    expected->include |= include;
    expected->exclude |= !include;
}

static bool wanted(const struct expectation *expected)
{
    if (expected->longest == 0)
        return !expected->any_include;
    return expected->include && !expected->exclude;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *last = strrchr(text, '\n'), *rest = text;
    struct pathfilter *filter = pathfilter_new();
    struct expectation expected = {.path = last != NULL ? last + 1 : ""};

    if (last != NULL)
        *last = '\0';
    while (rest != NULL) {
        const char *line = strsep(&rest, "\n");

        if ((line[0] == '+' || line[0] == '-') && line[1] == '/') {
            bool include = line[0] == '+';

            pathfilter_add(filter, line + 1, include ? PATHFILTER_INCLUDE : PATHFILTER_EXCLUDE,
                           PATHFILTER_RESOLVED);
            expect(&expected, line + 1, include);
        }
    }
    if (pathfilter_match(filter, expected.path, strlen(expected.path)) != wanted(&expected))
        abort();
    pathfilter_free(filter);
    free(text);
    return 0;
}
