/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each line of the input is a prefix, "+/etc" or "-/etc", and the last line is the path of an open.
 * The filter must decide as a scan of all prefixes does.  "make fuzz" runs this.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/pathfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct expectation {
    const char *path;
    size_t longest; /* 1 + length of the longest matching prefix so far; "/" has length 0 */
    bool any_include, include, exclude;
};

static size_t key_length(const char *prefix)
{
    return strcmp(prefix, "/") == 0 ? 0 : strlen(prefix);
}

static bool at_boundary(const char *rest)
{
    return rest[0] == '/' || rest[0] == '\0';
}

/* The kernel appends " (deleted)" to the path of a deleted file. */
static bool matches(const char *path, const char *prefix, size_t len)
{
    const char *rest = path + len;

    if (path[0] != '/' || strncmp(path, prefix, len) != 0)
        return false;
    return at_boundary(rest) || (len > 0 && strcmp(rest, " (deleted)") == 0);
}

static void expect(struct expectation *expected, const char *prefix, bool include)
{
    size_t len = key_length(prefix);

    expected->any_include |= include;
    if (!matches(expected->path, prefix, len) || len + 1 < expected->longest)
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
