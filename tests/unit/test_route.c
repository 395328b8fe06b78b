/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"
#include "event/route.h"

static int resolve(const char *operand, struct route *route)
{
    char *path;
    int error = path_make_absolute(operand, &path);

    *route = (struct route){0};
    if (error != 0)
        return error;
    error = route_resolve(route, path);
    free(path);
    return error;
}

/* Compares the path that the operand resolves to, which need not exist. */
static void assert_resolved(const char *operand, const char *directory, const char *rest)
{
    char expected[2 * PATH_MAX];
    struct route route;

    snprintf(expected, sizeof(expected), "%s%s", directory, rest);
    assert_int_equal(resolve(operand, &route), 0);
    assert_string_equal(route.paths[route.n_paths - 1], expected);
    route_release(&route);
}

static void assert_fails(const char *operand, int error)
{
    struct route route;

    assert_int_equal(resolve(operand, &route), error);
    assert_int_equal(route.n_paths, 0);
    route_release(&route);
}

/* others: the other paths of the route, below the directory, one for each dangling link on the way.
 */
static void assert_missing(const char *operand, const char *directory, const char *others)
{
    struct route route;
    char seen[3 * PATH_MAX] = "";

    assert_int_equal(resolve(operand, &route), 0);
    assert_true(route.missing == ENOENT || route.missing == ENOTDIR);
    for (size_t i = 0; i + 1 < route.n_paths; i++) {
        assert_memory_equal(route.paths[i], directory, strlen(directory));
        strcat(strcat(seen, " "), route.paths[i] + strlen(directory));
    }
    assert_string_equal(seen, others);
    route_release(&route);
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

static void missing_components_are_textual(void **state)
{
    assert_int_equal(close(creat("file", 0600)), 0);
    assert_resolved("file/x", *state, "/file/x");
    assert_resolved("file/..", *state, "");
    assert_resolved("\xff\n", *state, "/\xff\n");
    assert_missing("file/x", *state, "");
    assert_missing("new/x", *state, "");
}

static void dangling_links_are_followed_by_their_text(void **state)
{
    char target[PATH_MAX];

    snprintf(target, sizeof(target), "%s/run/stub", (char *)*state);
    assert_int_equal(mkdir("etc", 0700), 0);
    assert_int_equal(symlink(target, "etc/absolute"), 0);
    assert_int_equal(symlink("../run/other", "etc/relative"), 0);
    assert_int_equal(symlink("relative", "etc/chain"), 0);
    assert_int_equal(symlink("etc", "there"), 0);
    assert_int_equal(symlink("new/../chain", "etc/up"), 0);
    assert_resolved("etc/absolute", *state, "/run/stub");
    assert_missing("etc/absolute", *state, " /etc/absolute");
    assert_resolved("etc/absolute/x", *state, "/run/stub/x");
    assert_missing("etc/absolute/x/../y", *state, " /etc/absolute/y");
    assert_resolved("etc/relative", *state, "/run/other");
    assert_resolved("etc/chain/x", *state, "/run/other/x");
    assert_missing("etc/chain/x", *state, " /etc/chain/x /etc/relative/x");
    assert_resolved("there/chain", *state, "/run/other");
    assert_missing("there/chain", *state, " /etc/chain /etc/relative");
    assert_missing("there/new", *state, "");
    assert_resolved("etc/up", *state, "/run/other");
    assert_int_equal(mkdir("run", 0700), 0);
    assert_missing("etc/relative", *state, " /etc/relative");
    assert_int_equal(close(creat("run/other", 0600)), 0);
    assert_resolved("etc/chain", *state, "/run/other");
    assert_int_equal(symlink("../run/other/x", "etc/below_file"), 0);
    assert_missing("etc/below_file", *state, " /etc/below_file");
}

static bool has_place(const struct route *route, const char *directory, const char *name)
{
    for (size_t i = 0; i < route->n_places; i++)
        if (strcmp(route->places[i].directory, directory) == 0 &&
            strcmp(route->places[i].name, name) == 0)
            return true;
    return false;
}

/* The route must list every directory entry whose change can end the loop or change the result. */
static void components_have_places(void **state)
{
    char link[16], target[16], real[PATH_MAX], parent[PATH_MAX];
    struct route route;

    snprintf(parent, sizeof(parent), "%s", (char *)*state);
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(resolve("link/../link/new/x", &route), 0);
    snprintf(real, sizeof(real), "%s/real", (char *)*state);
    assert_true(has_place(&route, dirname(parent), strrchr(*state, '/') + 1));
    assert_true(has_place(&route, *state, "link"));
    assert_true(has_place(&route, *state, "real"));
    assert_true(has_place(&route, real, "new"));
    assert_false(has_place(&route, real, "x"));
    route_release(&route);
    for (int i = 0; i <= 40; i++) {
        snprintf(link, sizeof(link), "link%d", i);
        snprintf(target, sizeof(target), "link%d", i - 1);
        assert_int_equal(symlink(i == 0 ? "real" : target, link), 0);
    }
    assert_int_equal(resolve("link40", &route), -ELOOP);
    for (int i = 0; i <= 40; i++) {
        snprintf(link, sizeof(link), "link%d", i);
        assert_true(has_place(&route, *state, link));
    }
    route_release(&route);
}

static void errors_of_resolving(void **state)
{
    char *long_path = malloc(PATH_MAX + 1), name[300], link[16], target[16];

    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("pong", "ping"), 0);
    assert_int_equal(symlink("ping", "pong"), 0);
    assert_fails("", -EINVAL);
    assert_fails("loop", -ELOOP);
    assert_fails("loop/x", -ELOOP);
    assert_fails("ping", -ELOOP);
    for (int i = 0; i <= 40; i++) {
        snprintf(link, sizeof(link), "link%d", i);
        snprintf(target, sizeof(target), "link%d", i - 1);
        assert_int_equal(symlink(i == 0 ? "nowhere" : target, link), 0);
    }
    assert_resolved("link39", *state, "/nowhere"); /* the kernel follows 40 links at most */
    assert_fails("link40", -ELOOP);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_fails(name, -ENAMETOOLONG);
    for (int i = 0; i < PATH_MAX; i += 2)
        memcpy(long_path + i, "/x", 3);
    assert_fails(long_path, -ENAMETOOLONG);
    long_path[PATH_MAX - 2] = '\0';
    assert_resolved(long_path, long_path, "");
    free(long_path);
}

static void removed_working_directory_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(mkdir("gone", 0700), 0);
    assert_int_equal(chdir("gone"), 0);
    assert_int_equal(rmdir("../gone"), 0);
    assert_fails("x", -ENOENT);
    assert_resolved("/missing-", "/missing-", "");
}

/* Creates the missing directories of the path, one after another, until the path exists or leads
 * out of the directory.  Returns the result of the last route_resolve(). */
static int make_missing(const char *directory, const char *path, struct route *route)
{
    int error;

    while ((error = route_resolve(route, path), route->missing != 0)) {
        bool made = false;

        for (size_t i = 0; i < route->n_places && !made; i++) {
            char place[2 * PATH_MAX];

            snprintf(place, sizeof(place), "%s/%s", route->places[i].directory,
                     route->places[i].name);
            made = lies_in(directory, place) && mkdir(place, 0700) == 0;
        }
        if (!made)
            break;
        route_release(route);
    }
    return error;
}

/* Creates missing directories, and compares the result with the kernel's.  Returns false, without a
 * comparison, if the path leads out of the directory. */
static bool leads_where_the_kernel_says(const char *directory, const char *path)
{
    char real[PATH_MAX];
    struct route before, route;
    int error = route_resolve(&before, path);
    bool exists = realpath(path, real) != NULL, tried;

    assert_true(error == 0 || error == -ELOOP);
    if (before.missing == 0) {
        assert_int_equal(exists ? 0 : -errno, error);
    } else {
        assert_false(exists);
        assert_int_equal(errno, before.missing);
    }
    assert_int_equal(make_missing(directory, path, &route), error);
    tried = route.missing == 0;
    if (tried && error == 0) {
        assert_non_null(realpath(path, real));
        assert_string_equal(before.paths[before.n_paths - 1], real);
    } else if (tried) {
        assert_null(realpath(path, real));
        assert_int_equal(errno, ELOOP);
    }
    route_release(&before);
    route_release(&route);
    return tried;
}

static void random_paths_resolve_as_in_the_kernel(void **state)
{
    int tried = 0;

    random_start(__func__);
    for (int round = 0; round < 3000; round++) {
        char path[2 * PATH_MAX], name[16];

        for (int i = 0; i < 10; i++)
            random_change(*state);
        random_name(name);
        snprintf(path, sizeof(path), "%s/%s", (char *)*state, name);
        tried += leads_where_the_kernel_says(*state, path);
    }
    assert_in_range(tried, 2700, 3000); /* the others lead out of the directory */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absolute_paths_are_normalized),
        test_in_directory(relative_paths_begin_at_the_working_directory),
        test_in_directory(links_are_resolved),
        test_in_directory(missing_components_are_textual),
        test_in_directory(dangling_links_are_followed_by_their_text),
        test_in_directory(components_have_places),
        test_in_directory(errors_of_resolving),
        test_in_directory(removed_working_directory_is_an_error),
        test_in_directory(random_paths_resolve_as_in_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
