/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/pathfilter.h"
#include "random.h"

static int set_up(void **state)
{
    *state = pathfilter_new();
    return *state == NULL;
}

static int tear_down(void **state)
{
    pathfilter_free(*state);
    return 0;
}

static void add(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict)
{
    assert_int_equal(pathfilter_add(filter, path, verdict, PATHFILTER_RESOLVED), 0);
}

static bool wants(const struct pathfilter *filter, const char *path)
{
    size_t len = strlen(path);
    char *copy = malloc(len); /* without a NUL, so that a sanitizer detects overruns */
    bool wanted;

    if (len != 0)
        memcpy(copy, path, len);
    wanted = pathfilter_match(filter, copy, len);
    free(copy);
    return wanted;
}

static void empty_filter_includes_everything(void **state)
{
    assert_true(pathfilter_all(*state));
    assert_true(wants(*state, "/"));
    assert_true(wants(*state, "/etc/hosts"));
    assert_true(wants(*state, "pipe:[5]"));
    assert_true(wants(*state, ""));
}

static void prefixes_end_at_a_component(void **state)
{
    add(*state, "/etc", PATHFILTER_INCLUDE);
    add(*state, "/usr/lib", PATHFILTER_INCLUDE);
    assert_false(pathfilter_all(*state));
    assert_true(wants(*state, "/etc"));
    assert_true(wants(*state, "/etc/"));
    assert_true(wants(*state, "/etc/hosts"));
    assert_true(wants(*state, "/usr/lib/x/y/z"));
    assert_false(wants(*state, "/etcetera"));
    assert_false(wants(*state, "/et"));
    assert_false(wants(*state, "/"));
    assert_false(wants(*state, "/usr"));
    assert_false(wants(*state, "/usr/libx"));
    assert_false(wants(*state, "/var/etc"));
    assert_false(wants(*state, "etc/hosts"));
    assert_false(wants(*state, "pipe:[5]"));
    assert_false(wants(*state, ""));
}

static void root_matches_every_path(void **state)
{
    add(*state, "/", PATHFILTER_INCLUDE);
    assert_false(pathfilter_all(*state));
    assert_true(wants(*state, "/"));
    assert_true(wants(*state, "/etc/hosts"));
    assert_false(wants(*state, "socket:[7]"));
}

static void longest_prefix_decides(void **state)
{
    add(*state, "/a", PATHFILTER_INCLUDE);
    add(*state, "/a/b", PATHFILTER_EXCLUDE);
    add(*state, "/a/b/c", PATHFILTER_INCLUDE);
    assert_true(wants(*state, "/a/x"));
    assert_false(wants(*state, "/a/b"));
    assert_false(wants(*state, "/a/b/x"));
    assert_true(wants(*state, "/a/b/c"));
    assert_true(wants(*state, "/a/b/c/d"));
    assert_true(wants(*state, "/a/bc"));
}

static void exclusions_alone_include_the_rest(void **state)
{
    add(*state, "/proc", PATHFILTER_EXCLUDE);
    assert_false(pathfilter_all(*state));
    assert_true(wants(*state, "/etc/hosts"));
    assert_true(wants(*state, "pipe:[5]"));
    assert_false(wants(*state, "/proc/1"));
    add(*state, "/", PATHFILTER_EXCLUDE);
    assert_false(wants(*state, "/etc/hosts"));
}

static void exclusion_wins_over_the_same_path(void **state)
{
    add(*state, "/a", PATHFILTER_EXCLUDE);
    add(*state, "/a", PATHFILTER_INCLUDE);
    add(*state, "/b", PATHFILTER_INCLUDE);
    add(*state, "/b", PATHFILTER_EXCLUDE);
    assert_false(wants(*state, "/a"));
    assert_false(wants(*state, "/b/x"));
    assert_false(wants(*state, "/c"));
}

static void relative_prefixes_are_refused(void **state)
{
    assert_int_equal(pathfilter_add(*state, "etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED),
                     -EINVAL);
    assert_int_equal(pathfilter_add(*state, "", PATHFILTER_EXCLUDE, PATHFILTER_RESOLVED), -EINVAL);
    assert_true(pathfilter_all(*state));
}

static int collect(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    strcat(ctx, verdict == PATHFILTER_INCLUDE ? " +" : " -");
    strcat(ctx, path);
    return strcmp(path, "/stop") == 0 ? 7 : 0;
}

static void each_iterates_in_order(void **state)
{
    char seen[100] = "";

    add(*state, "/b", PATHFILTER_INCLUDE);
    add(*state, "/", PATHFILTER_EXCLUDE);
    add(*state, "/b", PATHFILTER_INCLUDE);
    add(*state, "/b", PATHFILTER_EXCLUDE);
    add(*state, "/a", PATHFILTER_INCLUDE);
    assert_int_equal(pathfilter_each(*state, collect, seen), 0);
    assert_string_equal(seen, " +/b -/b -/ +/a");
    add(*state, "/stop", PATHFILTER_INCLUDE);
    add(*state, "/after", PATHFILTER_INCLUDE);
    seen[0] = '\0';
    assert_int_equal(pathfilter_each(*state, collect, seen), 7);
    assert_string_equal(seen, " +/b -/b -/ +/a +/stop");
}

static void add_typed(struct pathfilter *filter, const char *path, enum pathfilter_verdict verdict)
{
    assert_int_equal(pathfilter_add(filter, path, verdict, PATHFILTER_TYPED), 0);
}

static bool wants_name(const struct pathfilter *filter, const char *name)
{
    size_t len = strlen(name);
    char *copy = malloc(len + 1);
    int wanted;

    memcpy(copy, name, len);
    wanted = pathfilter_match_name(filter, copy, len);
    free(copy);
    assert_in_range(wanted, 0, 1);
    return wanted;
}

static void typed_prefixes_match_only_names(void **state)
{
    add(*state, "/usr/lib", PATHFILTER_INCLUDE);
    add_typed(*state, "/lib", PATHFILTER_INCLUDE);
    assert_true(wants_name(*state, "/lib/none"));
    assert_true(wants_name(*state, "/usr/lib/none"));
    assert_false(wants_name(*state, "/library"));
    assert_true(wants(*state, "/usr/lib/some"));
    assert_false(wants(*state, "/lib/some"));
    add(*state, "/lib", PATHFILTER_INCLUDE);
    assert_true(wants(*state, "/lib/some"));
    add_typed(*state, "/usr/lib", PATHFILTER_INCLUDE);
    assert_true(wants(*state, "/usr/lib/some"));
}

static void typed_exclusions_match_only_names(void **state)
{
    add(*state, "/usr/lib", PATHFILTER_EXCLUDE);
    add_typed(*state, "/lib", PATHFILTER_EXCLUDE);
    assert_false(wants_name(*state, "/lib/none"));
    assert_true(wants(*state, "/lib/some"));
    assert_false(wants(*state, "/usr/lib/some"));
    assert_true(wants_name(*state, "/etc/none"));
}

static void names_are_cleaned(void **state)
{
    add(*state, "/tmp/d", PATHFILTER_INCLUDE);
    assert_true(wants_name(*state, "/tmp/d/./z/no"));
    assert_true(wants_name(*state, "/tmp/d/z//no"));
    assert_true(wants_name(*state, "//tmp/x/../d/"));
    assert_true(wants_name(*state, "/../tmp/d/."));
    assert_false(wants_name(*state, "/tmp/d/../etc/none"));
    assert_false(wants_name(*state, "/tmp/d/.."));
    assert_false(wants_name(*state, "tmp/d/z"));
    assert_false(wants_name(*state, ""));
}

static void too_long_names_are_refused(void **state)
{
    char name[PATHFILTER_NAME_MAX + 2];

    memset(name, 'x', sizeof(name));
    name[0] = '/';
    assert_int_equal(pathfilter_match_name(*state, name, PATHFILTER_NAME_MAX), 1);
    assert_int_equal(pathfilter_match_name(*state, name, PATHFILTER_NAME_MAX + 1), -ENAMETOOLONG);
    name[2] = '/';
    assert_int_equal(pathfilter_add_alias(*state, "/x", "/usr/lib"), 0);
    assert_int_equal(pathfilter_match_name(*state, name, PATHFILTER_NAME_MAX), -ENAMETOOLONG);
}

static void links_in_the_root_are_aliases(void **state)
{
    assert_int_equal(pathfilter_add_alias(*state, "/lib", "/usr/lib"), 0);
    assert_int_equal(pathfilter_add_alias(*state, "/here", "/"), 0);
    add(*state, "/usr", PATHFILTER_EXCLUDE);
    assert_false(wants_name(*state, "/lib/none"));
    assert_false(wants_name(*state, "/lib"));
    assert_false(wants_name(*state, "/here/usr/none"));
    assert_true(wants_name(*state, "/here"));
    assert_true(wants_name(*state, "/library/none"));
    assert_true(wants_name(*state, "/etc/lib/none"));
    /* The prefix that leaves the shortest rest decides: it leaves "/none", and /usr more. */
    add_typed(*state, "/lib/firmware", PATHFILTER_INCLUDE);
    assert_true(wants_name(*state, "/lib/firmware/none"));
    assert_false(wants_name(*state, "/lib/none"));
}

static void deleted_files_match_by_the_name_they_had(void **state)
{
    add(*state, "/tmp/f", PATHFILTER_INCLUDE);
    add(*state, "/tmp/d", PATHFILTER_INCLUDE);
    add(*state, "/tmp/d/x", PATHFILTER_EXCLUDE);
    assert_true(wants(*state, "/tmp/f (deleted)"));
    assert_true(wants(*state, "/tmp/d (deleted)"));
    assert_true(wants(*state, "/tmp/d/f (deleted)"));
    assert_true(wants_name(*state, "/tmp/d (deleted)/none"));
    assert_false(wants(*state, "/tmp/d/x (deleted)"));
    assert_false(wants(*state, "/tmp/d (deleted)/f")); /* the directory really has that name */
    assert_true(wants(*state, "/tmp/d/x (deleted)/f"));
    assert_false(wants(*state, "/tmp/f(deleted)"));
    assert_false(wants(*state, "/tmp/g (deleted)"));
    assert_false(wants(*state, " (deleted)"));
    assert_false(wants(*state, "/ (deleted)"));
    add(*state, "/tmp/d/x (deleted)", PATHFILTER_INCLUDE); /* the file really has that name */
    assert_true(wants(*state, "/tmp/d/x (deleted)"));
}

static void assert_cleaned(const char *path, const char *expected)
{
    char *copy = strdup(path);

    assert_int_equal(pathfilter_clean(copy), strlen(expected));
    assert_string_equal(copy, expected);
    free(copy);
}

static void cleaning_is_textual(void **state)
{
    (void)state;
    assert_cleaned("/", "/");
    assert_cleaned("//.//", "/");
    assert_cleaned("/..", "/");
    assert_cleaned("/a/../../b/", "/b");
    assert_cleaned("/a//b/./c", "/a/b/c");
    assert_cleaned("/a/b/../..", "/");
    assert_cleaned("/.../..x/.y", "/.../..x/.y");
}

/* A second implementation of the rules of pathfilter.h, over a list. */
struct reference {
    char path[64];
    enum pathfilter_verdict verdict;
    enum pathfilter_form form;
};

static bool is_boundary(const char *rest)
{
    return *rest == '\0' || *rest == '/';
}

/* The length of the rest of the path after the prefix; -1: the prefix does not match. */
static int left_by(const char *path, const char *prefix, bool given)
{
    size_t len = strcmp(prefix, "/") == 0 ? 0 : strlen(prefix);
    const char *rest = path + len;

    if (path[0] != '/' || strncmp(path, prefix, len) != 0)
        return -1;
    if (strncmp(rest, " (deleted)", 10) == 0 && len > 0 &&
        (rest[10] == '\0' || (given && rest[10] == '/')))
        return (int)strlen(rest);
    return is_boundary(rest) ? (int)strlen(rest) : -1;
}

struct reference_verdict {
    int left; /* the shortest rest after a match so far; INT_MAX: no match */
    bool include, exclude;
};

static void reference_search(const struct reference *list, size_t count, bool given,
                             const char *path, struct reference_verdict *verdict)
{
    for (size_t i = 0; i < count; i++) {
        int left = left_by(path, list[i].path, given);

        if (left < 0 || left > verdict->left || (!given && list[i].form == PATHFILTER_TYPED))
            continue;
        if (left < verdict->left)
            *verdict = (struct reference_verdict){.left = left};
        if (list[i].verdict == PATHFILTER_INCLUDE)
            verdict->include = true;
        else
            verdict->exclude = true;
    }
}

/* A second implementation of pathfilter_clean(), with a list of components. */
static void reference_clean(const char *name, char *cleaned)
{
    char copy[256], *rest = strcpy(copy, name), *stay[64], *component;
    size_t n = 0;

    while ((component = strsep(&rest, "/")) != NULL) {
        if (strcmp(component, "..") == 0)
            n -= n > 0;
        else if (strcmp(component, "") != 0 && strcmp(component, ".") != 0)
            stay[n++] = component;
    }
    strcpy(cleaned, n == 0 ? "/" : "");
    for (size_t i = 0; i < n; i++)
        strcat(strcat(cleaned, "/"), stay[i]);
}

/* There is one alias: /a is a link to /b/ab. */
static bool reference_wants(const struct reference *list, size_t count, bool given,
                            const char *path)
{
    struct reference_verdict verdict = {.left = INT_MAX};
    char cleaned[256], other[512];
    bool any = false;

    for (size_t i = 0; i < count; i++)
        any |= list[i].verdict == PATHFILTER_INCLUDE;
    if (!given) {
        reference_search(list, count, false, path, &verdict);
    } else {
        reference_clean(path, cleaned);
        reference_search(list, count, true, cleaned, &verdict);
        if (strncmp(cleaned, "/a", 2) == 0 && is_boundary(cleaned + 2)) {
            sprintf(other, "/b/ab%s", cleaned + 2);
            reference_search(list, count, true, other, &verdict);
        }
    }
    return verdict.left == INT_MAX ? !any : verdict.include && !verdict.exclude;
}

/* clean: the path has no components that cleaning would remove. */
static void random_path(char path[64], bool clean)
{
    static const char *const names[] = {"a",   "b",           "aa", "ab", "\xff", "a\n",
                                        "..x", "a (deleted)", "",   ".",  "..",   ".."};
    unsigned int components = random_below(clean ? 4 : 6);

    strcpy(path, components == 0 ? "/" : "");
    for (unsigned int i = 0; i < components; i++) {
        strcat(path, "/");
        strcat(path, names[random_below(clean ? 8 : 12)]);
    }
}

static void random_filters_follow_the_rules(void **state)
{
    (void)state;
    random_start(__func__);
    for (int round = 0; round < 2000; round++) {
        struct pathfilter *filter = pathfilter_new();
        struct reference list[40];
        size_t count = random_below(40);
        char path[64];

        assert_int_equal(pathfilter_add_alias(filter, "/a", "/b/ab"), 0);
        for (size_t i = 0; i < count; i++) {
            random_path(list[i].path, true);
            list[i].verdict = random_below(2) ? PATHFILTER_INCLUDE : PATHFILTER_EXCLUDE;
            list[i].form = random_below(2) ? PATHFILTER_RESOLVED : PATHFILTER_TYPED;
            assert_int_equal(pathfilter_add(filter, list[i].path, list[i].verdict, list[i].form),
                             0);
        }
        for (int i = 0; i < 200; i++) {
            bool given = random_below(2);

            random_path(path, !given);
            if ((given ? wants_name(filter, path) : wants(filter, path)) !=
                reference_wants(list, count, given, path))
                fail_msg("round %d: %s %s", round, given ? "name" : "path", path);
        }
        pathfilter_free(filter);
    }
}

static void thousands_of_prefixes(void **state)
{
    char path[64];

    for (int i = 0; i < 10000; i++) {
        snprintf(path, sizeof(path), "/srv/%d/data", i);
        add(*state, path, i % 10 == 3 ? PATHFILTER_EXCLUDE : PATHFILTER_INCLUDE);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof(path), "/srv/%d/data/x", i);
        assert_int_equal(wants(*state, path), i < 10000 && i % 10 != 3);
        snprintf(path, sizeof(path), "/srv/%d/dat", i);
        assert_false(wants(*state, path));
    }
}

#define test_of(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_of(empty_filter_includes_everything),
        test_of(prefixes_end_at_a_component),
        test_of(root_matches_every_path),
        test_of(longest_prefix_decides),
        test_of(exclusions_alone_include_the_rest),
        test_of(exclusion_wins_over_the_same_path),
        test_of(relative_prefixes_are_refused),
        test_of(each_iterates_in_order),
        cmocka_unit_test(random_filters_follow_the_rules),
        test_of(thousands_of_prefixes),
        test_of(typed_prefixes_match_only_names),
        test_of(typed_exclusions_match_only_names),
        test_of(names_are_cleaned),
        test_of(too_long_names_are_refused),
        test_of(links_in_the_root_are_aliases),
        test_of(deleted_files_match_by_the_name_they_had),
        cmocka_unit_test(cleaning_is_textual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
