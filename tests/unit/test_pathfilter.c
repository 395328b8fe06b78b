/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    assert_int_equal(pathfilter_add(filter, path, verdict), 0);
}

static bool wants(const struct pathfilter *filter, const char *path)
{
    size_t len = strlen(path);
    char *copy = malloc(len); /* exactly so long, without a NUL: a sanitizer sees a step past it */
    bool wanted;

    if (len != 0)
        memcpy(copy, path, len);
    wanted = pathfilter_match(filter, copy, len);
    free(copy);
    return wanted;
}

static void empty_filter_wants_everything(void **state)
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

static void exclusions_alone_leave_the_rest(void **state)
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
    assert_int_equal(pathfilter_add(*state, "etc", PATHFILTER_INCLUDE), -EINVAL);
    assert_int_equal(pathfilter_add(*state, "", PATHFILTER_EXCLUDE), -EINVAL);
    assert_true(pathfilter_all(*state));
}

static int collect(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    strcat(ctx, verdict == PATHFILTER_INCLUDE ? " +" : " -");
    strcat(ctx, path);
    return strcmp(path, "/stop") == 0 ? 7 : 0;
}

static void each_goes_through_them_in_order(void **state)
{
    char seen[100] = "";

    add(*state, "/b", PATHFILTER_INCLUDE);
    add(*state, "/", PATHFILTER_EXCLUDE);
    add(*state, "/b", PATHFILTER_INCLUDE);
    add(*state, "/b", PATHFILTER_EXCLUDE);
    add(*state, "/a", PATHFILTER_INCLUDE);
    assert_int_equal(pathfilter_each(*state, collect, seen), 0);
    assert_string_equal(seen, " +/b -/ -/b +/a");
    add(*state, "/stop", PATHFILTER_INCLUDE);
    add(*state, "/after", PATHFILTER_INCLUDE);
    seen[0] = '\0';
    assert_int_equal(pathfilter_each(*state, collect, seen), 7);
    assert_string_equal(seen, " +/b -/ -/b +/a +/stop");
}

/* The header's rules, letter by letter, over a list. */
struct reference {
    char path[32];
    enum pathfilter_verdict verdict;
};

static bool is_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strcmp(prefix, "/") == 0)
        return path[0] == '/';
    return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool reference_wants(const struct reference *list, size_t count, const char *path)
{
    size_t best = 0;
    bool include = true, exclude = false, any = false;

    for (size_t i = 0; i < count; i++)
        if (list[i].verdict == PATHFILTER_INCLUDE)
            include = false;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(list[i].path);

        if (!is_below(path, list[i].path) || len < best)
            continue;
        if (!any || len > best)
            include = exclude = false;
        any = true;
        best = len;
        if (list[i].verdict == PATHFILTER_INCLUDE)
            include = true;
        else
            exclude = true;
    }
    return include && !exclude;
}

static void random_path(char path[32])
{
    static const char *const names[] = {"a", "b", "aa", "ab", "\xff", "a\n", ".", "..x"};
    unsigned int components = random_below(5);

    strcpy(path, components == 0 ? "/" : "");
    for (unsigned int i = 0; i < components; i++) {
        strcat(path, "/");
        strcat(path, names[random_below(8)]);
    }
}

static void any_filter_is_as_the_rules_say(void **state)
{
    (void)state;
    random_start(__func__);
    for (int round = 0; round < 2000; round++) {
        struct pathfilter *filter = pathfilter_new();
        struct reference list[40];
        size_t count = random_below(40);
        char path[32];

        for (size_t i = 0; i < count; i++) {
            random_path(list[i].path);
            list[i].verdict = random_below(2) ? PATHFILTER_INCLUDE : PATHFILTER_EXCLUDE;
            add(filter, list[i].path, list[i].verdict);
        }
        for (int i = 0; i < 200; i++) {
            random_path(path);
            if (wants(filter, path) != reference_wants(list, count, path))
                fail_msg("round %d: %s", round, path);
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

/* A directory of its own for each test of pathfilter_resolve(), which runs in it. */
static int enter_directory(void **state)
{
    char template[] = "/tmp/filemon-pathfilter-XXXXXX";

    if (mkdtemp(template) == NULL || chdir(template) != 0)
        return -1;
    *state = realpath(template, NULL);
    return *state == NULL;
}

static int leave_directory(void **state)
{
    char command[PATH_MAX + 16];
    int status;

    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    status = chdir("/") != 0 || system(command) != 0;
    free(*state);
    return status;
}

static void assert_resolved(const char *path, const char *directory, const char *rest)
{
    char expected[2 * PATH_MAX], *resolved = NULL;

    snprintf(expected, sizeof(expected), "%s%s", directory, rest);
    assert_int_equal(pathfilter_resolve(path, &resolved), 0);
    assert_string_equal(resolved, expected);
    free(resolved);
}

static void absolute_paths_are_normalized(void **state)
{
    (void)state;
    assert_resolved("/", "/", "");
    assert_resolved("//", "/", "");
    assert_resolved("/..", "/", "");
    assert_resolved("/tmp/..", "/", "");
    assert_resolved("/missing-", "/missing-", "");
    assert_resolved("/missing-/", "/missing-", "");
    assert_resolved("//missing-//./x//../y/", "/missing-/y", "");
    assert_resolved("/missing-/../../../other-", "/other-", "");
    assert_resolved("/missing-/..", "/", "");
}

static void relative_paths_begin_at_the_working_directory(void **state)
{
    assert_int_equal(mkdir("there", 0700), 0);
    assert_resolved(".", *state, "");
    assert_resolved("there", *state, "/there");
    assert_resolved("there/", *state, "/there");
    assert_resolved("./there/../new/file", *state, "/new/file");
    assert_resolved("123", *state, "/123");
    assert_int_equal(chdir("/"), 0);
    assert_resolved("missing-", "/missing-", "");
    assert_resolved(".", "/", "");
    assert_resolved("..", "/", "");
}

static void links_are_resolved(void **state)
{
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(mkdir("real/deep", 0700), 0);
    assert_int_equal(symlink("real/deep", "link"), 0);
    assert_int_equal(symlink("link", "chain"), 0);
    assert_int_equal(symlink("/", "root"), 0);
    assert_resolved("link", *state, "/real/deep");
    assert_resolved("chain/new", *state, "/real/deep/new");
    assert_resolved("link/..", *state, "/real");
    assert_resolved("missing/../link/x", *state, "/real/deep/x");
    assert_resolved("root/missing-", "/missing-", "");
    assert_resolved("root", "/", "");
}

static void what_is_missing_is_taken_by_its_letters(void **state)
{
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(close(creat("file", 0600)), 0);
    assert_resolved("dangling", *state, "/dangling");
    assert_resolved("dangling/x", *state, "/dangling/x");
    assert_resolved("file/x", *state, "/file/x");
    assert_resolved("file/..", *state, "");
    assert_resolved("\xff\n", *state, "/\xff\n");
}

static void what_cannot_be_resolved_is_an_error(void **state)
{
    char *resolved = NULL, *long_path = malloc(PATH_MAX + 1), name[300];

    (void)state;
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(pathfilter_resolve("", &resolved), -EINVAL);
    assert_int_equal(pathfilter_resolve("loop", &resolved), -ELOOP);
    assert_int_equal(pathfilter_resolve("loop/x", &resolved), -ELOOP);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(pathfilter_resolve(name, &resolved), -ENAMETOOLONG);
    for (int i = 0; i < PATH_MAX; i += 2)
        memcpy(long_path + i, "/x", 3);
    assert_int_equal(pathfilter_resolve(long_path, &resolved), -ENAMETOOLONG);
    long_path[PATH_MAX - 2] = '\0';
    assert_resolved(long_path, long_path, "");
    free(long_path);
}

static void removed_working_directory_is_an_error(void **state)
{
    char *resolved = NULL;

    (void)state;
    assert_int_equal(mkdir("gone", 0700), 0);
    assert_int_equal(chdir("gone"), 0);
    assert_int_equal(rmdir("../gone"), 0);
    assert_int_equal(pathfilter_resolve("x", &resolved), -ENOENT);
    assert_resolved("/missing-", "/missing-", "");
}

#define test_of(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define test_in_directory(function)                                                                \
    cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_of(empty_filter_wants_everything),
        test_of(prefixes_end_at_a_component),
        test_of(root_matches_every_path),
        test_of(longest_prefix_decides),
        test_of(exclusions_alone_leave_the_rest),
        test_of(exclusion_wins_over_the_same_path),
        test_of(relative_prefixes_are_refused),
        test_of(each_goes_through_them_in_order),
        cmocka_unit_test(any_filter_is_as_the_rules_say),
        test_of(thousands_of_prefixes),
        cmocka_unit_test(absolute_paths_are_normalized),
        test_in_directory(relative_paths_begin_at_the_working_directory),
        test_in_directory(links_are_resolved),
        test_in_directory(what_is_missing_is_taken_by_its_letters),
        test_in_directory(what_cannot_be_resolved_is_an_error),
        test_in_directory(removed_working_directory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
