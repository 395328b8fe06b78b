/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caught.h"
#include "diag.h"
#include "directory.h"
#include "event/paths.h"
#include "event/route.h"

static void operands_become_prefixes(void **state)
{
    struct pathfilter *filter = pathfilter_new();
    struct paths *paths;
    char *includes[] = {"link/sub", NULL}, *excludes[] = {"./link//sub/../out", NULL},
         path[PATH_MAX];
    static const struct {
        const char *name;
        bool path, given;
    } cases[] = {
        {"/real/sub/x", true, true},   {"/link/sub/x", false, true}, {"/real/out/x", false, false},
        {"/link/out/x", false, false}, {"/real/subx", false, false}, {"/x", false, false},
    };

    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(mkdir("real/sub", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(paths_open(&paths, filter, includes, excludes, false), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int len = snprintf(path, sizeof(path), "%s%s", (char *)*state, cases[i].name);

        assert_int_equal(pathfilter_match(filter, path, (size_t)len), cases[i].path);
        assert_int_equal(pathfilter_match_name(filter, path, (size_t)len), cases[i].given);
    }
    paths_close(paths);
    pathfilter_free(filter);
}

struct watched {
    struct pathfilter *filter;
    struct paths *paths;
    char added[8 * PATH_MAX];
};

static int note_added(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    struct watched *watched = ctx;

    assert_true(pathfilter_match(watched->filter, path, strlen(path)) ==
                (verdict == PATHFILTER_INCLUDE));
    snprintf(watched->added, sizeof(watched->added), "%s", path);
    return 0;
}

static struct watched *watch(const char *include, const char *exclude)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    char *includes[] = {(char *)include, NULL}, *excludes[] = {(char *)exclude, NULL};

    watched->filter = pathfilter_new();
    assert_int_equal(paths_open(&watched->paths, watched->filter, includes, excludes, false), 0);
    return watched;
}

static void end(struct watched *watched)
{
    paths_close(watched->paths);
    pathfilter_free(watched->filter);
    free(watched);
}

static bool is_readable(const struct watched *watched)
{
    struct pollfd fd = {.fd = paths_fd(watched->paths), .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

static bool wants(const struct watched *watched, const char *directory, const char *name)
{
    char path[2 * PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s%s", directory, name);

    return pathfilter_match(watched->filter, path, (size_t)len);
}

static void existing_paths_are_not_watched(void **state)
{
    struct watched *watched;

    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    watched = watch("link", NULL);
    assert_int_equal(paths_fd(watched->paths), -1);
    assert_int_equal(pathfilter_expected(watched->filter), 0);
    assert_true(wants(watched, *state, "/real/x"));
    end(watched);
}

static void a_new_link_is_followed(void **state)
{
    struct watched *watched;

    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(mkdir("real/sub", 0700), 0);
    watched = watch("later/sub/f", "never");
    assert_int_equal(pathfilter_expected(watched->filter), 2);
    assert_true(wants(watched, *state, "/later/sub/f"));
    assert_int_equal(mkdir("other", 0700), 0);
    assert_true(is_readable(watched));
    paths_dispatch(watched->paths, note_added, watched);
    assert_string_equal(watched->added, "");
    assert_int_equal(symlink("real", "later"), 0);
    assert_false(wants(watched, *state, "/real/sub/f"));
    paths_dispatch(watched->paths, note_added, watched);
    assert_true(wants(watched, *state, "/real/sub/f"));
    assert_int_equal(symlink("../../other/file", "real/sub/f"), 0);
    paths_dispatch(watched->paths, note_added, watched);
    assert_true(wants(watched, *state, "/other/file"));
    assert_int_equal(mkdir("other/file", 0700), 0);
    paths_dispatch(watched->paths, note_added, watched);
    paths_dispatch(watched->paths, note_added, watched); /* inotify reports the removed watch */
    assert_int_equal(remove("real/sub/f"), 0);
    assert_false(is_readable(watched)); /* it exists, so nothing is watched any more */
    end(watched);
}

static void an_exclusion_follows_a_link(void **state)
{
    struct watched *watched = watch(*state, "hidden");

    assert_true(wants(watched, *state, "/x/y"));
    assert_int_equal(mkdir("x", 0700), 0);
    assert_int_equal(symlink("x", "hidden"), 0);
    paths_dispatch(watched->paths, note_added, watched);
    assert_false(wants(watched, *state, "/x/y"));
    assert_true(wants(watched, *state, "/y"));
    end(watched);
}

/* A loop is refused at start; a loop that is made later is followed when it ends. */
static void the_end_of_a_loop_of_links_is_followed(void **state)
{
    struct watched *watched;
    char *includes[] = {"ping", NULL}, *excludes[] = {NULL};
    struct pathfilter *filter = pathfilter_new();
    struct paths *paths;

    assert_int_equal(symlink("pong", "ping"), 0);
    watched = watch("ping", NULL);
    assert_int_equal(symlink("far", "pong"), 0);
    assert_int_equal(symlink("ping", "far"), 0);
    assert_int_equal(paths_open(&paths, filter, includes, excludes, false), -ELOOP);
    pathfilter_free(filter);
    paths_dispatch(watched->paths, note_added, watched);
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(remove("far"), 0);
    assert_int_equal(symlink("real", "far"), 0);
    paths_dispatch(watched->paths, note_added, watched);
    assert_true(wants(watched, *state, "/real/x"));
    end(watched);
}

static void a_link_that_replaces_a_directory_is_followed(void **state)
{
    struct watched *watched;

    assert_int_equal(mkdir("a", 0700), 0);
    assert_int_equal(mkdir("a/b", 0700), 0);
    assert_int_equal(mkdir("other", 0700), 0);
    watched = watch("a/b/later", NULL);
    assert_int_equal(rename("a", "was"), 0);
    assert_int_equal(symlink("other", "a"), 0);
    paths_dispatch(watched->paths, note_added, watched);
    assert_true(wants(watched, *state, "/other/b/later"));
    assert_true(wants(watched, *state, "/a/b/later"));
    end(watched);
}

/* A loop of links. */
static bool route_fails(const char *directory, const char *name)
{
    char path[2 * PATH_MAX];
    struct route route;
    int error;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    error = route_resolve(&route, path);
    route_release(&route);
    return error != 0;
}

/* Makes random changes until the path exists: the filter must then include the path's target. */
static void random_paths_match_once_they_exist(void **state)
{
    int came = 0;

    diag_set_verbosity(-1);
    random_start(__func__);
    for (int round = 0; round < 300; round++) {
        char name[16], real[PATH_MAX];
        struct watched *watched;

        for (int i = 0; i < 10; i++)
            random_change(*state);
        do { /* not at once: each of a, b and c may be a loop */
            random_change(*state);
            random_name(name);
        } while (route_fails(*state, name));
        watched = watch(name, NULL);
        came += paths_fd(watched->paths) >= 0;
        for (int i = 0; i < 100 && realpath(name, real) == NULL; i++) {
            for (unsigned int changes = 1 + random_below(3); changes > 0; changes--)
                random_change(*state);
            if (paths_fd(watched->paths) >= 0)
                paths_dispatch(watched->paths, note_added, watched);
        }
        if (realpath(name, real) == NULL)
            came -= paths_fd(watched->paths) >= 0;
        else if (!wants(watched, real, "/x"))
            fail_msg("round %d: %s leads to %s", round, name, real);
        end(watched);
    }
    assert_in_range(came, 1, 300);
}

/* inotify_init1(2) fails without a free descriptor, and beyond fs.inotify.max_user_instances. */
static void a_missing_path_without_inotify_is_reported(void **state)
{
    struct watched *watched;
    struct rlimit limit, none;
    const char *line;
    void *caught;
    int next;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(caught_begin(&caught), 0);
    next = dup(STDERR_FILENO);
    close(next);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    watched = watch("missing", NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    line = caught_line(&caught);
    caught_end(&caught);
    diag_set_verbosity(-1);
    assert_non_null(strstr(line, " cannot be watched: Too many open files; "));
    assert_int_equal(paths_fd(watched->paths), -1);
    end(watched);
}

/* A link, a file that does not exist, or the working directory make no difference. */
static void texts_are_cleaned_and_not_resolved(void **state)
{
    struct pathfilter *filter = pathfilter_new();
    char include[PATH_MAX], exclude[PATH_MAX];

    snprintf(include, sizeof(include), "%s/./link//", (char *)*state);
    snprintf(exclude, sizeof(exclude), "%s/link/none/../x", (char *)*state);
    assert_int_equal(symlink("elsewhere", "link"), 0);
    assert_int_equal(paths_add_texts(filter, (char *[]){include, NULL}, (char *[]){exclude, NULL}),
                     0);
    snprintf(include, sizeof(include), "%s/link/file", (char *)*state);
    assert_true(pathfilter_match(filter, include, strlen(include)));
    assert_true(pathfilter_match_name(filter, include, strlen(include)));
    snprintf(include, sizeof(include), "%s/elsewhere/file", (char *)*state);
    assert_false(pathfilter_match(filter, include, strlen(include)));
    snprintf(include, sizeof(include), "%s/link/x/file", (char *)*state);
    assert_false(pathfilter_match(filter, include, strlen(include)));
    pathfilter_free(filter);
}

static struct watched *new_watched(void)
{
    struct watched *watched = calloc(1, sizeof(*watched));

    watched->filter = pathfilter_new();
    return watched;
}

static int watch_inodes(struct watched *watched, const char *include, const char *exclude)
{
    char *includes[] = {(char *)include, NULL}, *excludes[] = {(char *)exclude, NULL};

    return paths_open(&watched->paths, watched->filter, includes, excludes, true);
}

static int open_by_inode(const char *include, const char *exclude)
{
    struct watched *watched = new_watched();
    int error = watch_inodes(watched, include, exclude);

    end(watched);
    return error;
}

static int count_prefix(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    (void)path;
    (void)verdict;
    ++*(int *)ctx;
    return 0;
}

/* The kernel follows the links itself: the text of /proc/PID/root leads to another file.  Paths of
 * files are not compared, but names of failed opens are, also with what a link leads to. */
static void by_inode_operands_are_kept_as_they_are(void **state)
{
    struct watched *watched = new_watched();
    const struct inode_path *inodes;
    char path[PATH_MAX];
    int prefixes = 0, len;
    size_t n;

    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(watch_inodes(watched, "link", "/proc/self/root/"), 0);
    inodes = paths_inodes(watched->paths, &n);
    assert_int_equal(n, 2);
    snprintf(path, sizeof(path), "%s/link", (char *)*state);
    assert_string_equal(inodes[0].path, path);
    assert_int_equal(inodes[0].verdict, PATHFILTER_INCLUDE);
    assert_string_equal(inodes[1].path, "/proc/self/root/");
    assert_int_equal(inodes[1].verdict, PATHFILTER_EXCLUDE);
    pathfilter_each(watched->filter, count_prefix, &prefixes);
    assert_int_equal(prefixes, 0);
    len = snprintf(path, sizeof(path), "%s/real/none", (char *)*state);
    assert_int_equal(pathfilter_match_name(watched->filter, path, (size_t)len), 1);
    assert_int_equal(pathfilter_match_name(watched->filter, "/none", 5), 0);
    end(watched);
}

static void a_deleted_inode_is_reported(void **state)
{
    struct watched *watched = new_watched();
    void *caught;

    (void)state;
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(mkdir("other", 0700), 0);
    assert_int_equal(caught_begin(&caught), 0);
    assert_int_equal(watch_inodes(watched, "real", "other"), 0);
    assert_int_equal(rename("real", "moved"), 0);
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(rmdir("real"), 0);
    assert_false(is_readable(watched));
    assert_int_equal(rename("other", "moved"), 0);
    assert_true(is_readable(watched));
    paths_dispatch(watched->paths, note_added, watched);
    assert_non_null(strstr(caught_line(&caught), "/real is deleted: with -I"));
    assert_string_equal(caught_line(&caught), "");
    end(watched);
    caught_end(&caught);
}

/* A path that does not exist has no inode. */
static void by_inode_each_path_must_exist(void **state)
{
    void *caught;

    (void)state;
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(open_by_inode("link", "real"), 0);
    assert_int_equal(caught_begin(&caught), 0);
    assert_int_equal(open_by_inode("missing", NULL), -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "missing: No such file or directory; with -I"));
    assert_int_equal(open_by_inode("real", "dangling"), -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "dangling: No such file or directory; with -I"));
    caught_end(&caught);
}

/* As a service is: a user with one capability.  False: this process may not become one. */
static bool become_searcher(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    unsigned int search = 1u << CAP_DAC_READ_SEARCH;
    struct __user_cap_data_struct sets[2] = {{.effective = search, .permitted = search}};

    return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(65534, 65534, 65534) == 0 &&
           syscall(SYS_capset, &header, sets) == 0;
}

static void by_inode_a_capability_opens_directories(void **state)
{
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(mkdir("hidden", 0700), 0);
    assert_int_equal(mkdir("hidden/real", 0700), 0);
    child = fork();
    if (child == 0)
        _exit(become_searcher() && open_by_inode("hidden/real", NULL) != 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void an_inode_that_cannot_be_kept_is_reported_once(void **state)
{
    struct rlimit limit, none;
    const char *line;
    void *caught;
    int next;

    (void)state;
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(caught_begin(&caught), 0);
    next = dup(STDERR_FILENO);
    close(next);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(open_by_inode("real", "/"), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    line = caught_line(&caught);
    assert_non_null(strstr(line, "real cannot be watched: Too many open files; in btrfs or FAT"));
    assert_string_equal(caught_line(&caught), "");
    caught_end(&caught);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_directory(operands_become_prefixes),
        test_in_directory(existing_paths_are_not_watched),
        test_in_directory(a_new_link_is_followed),
        test_in_directory(an_exclusion_follows_a_link),
        test_in_directory(the_end_of_a_loop_of_links_is_followed),
        test_in_directory(a_link_that_replaces_a_directory_is_followed),
        test_in_directory(a_missing_path_without_inotify_is_reported),
        test_in_directory(texts_are_cleaned_and_not_resolved),
        test_in_directory(by_inode_each_path_must_exist),
        test_in_directory(by_inode_operands_are_kept_as_they_are),
        test_in_directory(a_deleted_inode_is_reported),
        test_in_directory(by_inode_a_capability_opens_directories),
        test_in_directory(an_inode_that_cannot_be_kept_is_reported_once),
        test_in_directory(random_paths_match_once_they_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
