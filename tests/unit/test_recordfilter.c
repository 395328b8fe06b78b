/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event/recordfilter.h"
#include "event/trace.h"

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

static int match(const struct recordfilter *filter, enum event_code code, const char *path)
{
    struct event record = {.code = code, .path = path, .path_len = strlen(path)};

    return recordfilter_match(filter, &record);
}

/* Two patterns at most; NULL: none. */
#define FILTER(first, second)                                                                      \
    {                                                                                              \
        .paths = *state, .sets = TRACE_ALL, .patterns = (char *[])                                 \
        {                                                                                          \
            first, second, NULL                                                                    \
        }                                                                                          \
    }

static void without_rules_every_record_passes(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE_ALL}, empty = FILTER(NULL, NULL);

    for (enum event_code code = 0; code < EVENT_LOST; code++) {
        assert_int_equal(match(&filter, code, "/a"), 1);
        assert_int_equal(match(&empty, code, "pipe:[5]"), 1);
        assert_false(recordfilter_compares_path(&filter, code));
        assert_false(recordfilter_compares_path(&empty, code));
    }
}

static void a_pattern_matches_the_whole_path(void **state)
{
    struct recordfilter filter = FILTER("*.conf", "/srv/?/[a-c]*");

    assert_true(recordfilter_compares_path(&filter, EVENT_OPEN));
    assert_int_equal(match(&filter, EVENT_OPEN, "/etc/a.conf"), 1);
    assert_int_equal(match(&filter, EVENT_CLOSE, "/etc/x/y/.conf"), 1);
    assert_int_equal(match(&filter, EVENT_OPEN, "/etc/a.conf.d/a"), 0);
    assert_int_equal(match(&filter, EVENT_OPEN, "/srv/1/bin"), 1);
    assert_int_equal(match(&filter, EVENT_OPEN, "/srv/1/bin/x/y"), 1);
    assert_int_equal(match(&filter, EVENT_OPEN, "/srv/1/din"), 0);
    assert_int_equal(match(&filter, EVENT_OPEN, "/srv/11/bin"), 0);
}

static void a_pattern_takes_any_bytes(void **state)
{
    struct recordfilter filter = FILTER("/\xff?/*\n*", NULL);

    assert_int_equal(match(&filter, EVENT_OPEN, "/\xff\xc3/a\nb"), 1);
    assert_int_equal(match(&filter, EVENT_OPEN, "/\xc3\xa9/a\nb"), 0);
}

static void a_deleted_file_matches_by_both_paths(void **state)
{
    struct recordfilter with = FILTER("*.conf (deleted)", NULL), without = FILTER("*.conf", NULL);

    assert_int_equal(match(&with, EVENT_HELD, "/etc/a.conf (deleted)"), 1);
    assert_int_equal(match(&without, EVENT_HELD, "/etc/a.conf (deleted)"), 1);
    assert_int_equal(match(&without, EVENT_HELD, "/etc/a.conf (deleted) (deleted)"), 0);
    assert_int_equal(match(&without, EVENT_HELD, " (deleted)"), 0);
}

static void names_of_failed_opens_are_cleaned(void **state)
{
    struct recordfilter filter = FILTER("/etc/*.conf", NULL);

    assert_int_equal(match(&filter, EVENT_FAIL, "/etc//./a.conf"), 1);
    assert_int_equal(match(&filter, EVENT_FAIL, "/etc/../srv/a.conf"), 0);
    assert_int_equal(match(&filter, EVENT_OPEN, "/etc//./a.conf"), 1);
    assert_int_equal(match(&filter, EVENT_FAIL, ""), 0);
    assert_int_equal(match(&filter, EVENT_FAIL, "a.conf"), 0);
}

/* A record that may or may not match must not vanish without being counted. */
static void what_is_too_long_is_an_error(void **state)
{
    struct recordfilter filter = FILTER("*.conf", NULL);
    size_t len = PATHFILTER_NAME_MAX + sizeof " (deleted)";
    char *path = malloc(len + 1);

    memset(path, 'a', len);
    path[0] = '/';
    path[len] = '\0';
    assert_int_equal(match(&filter, EVENT_FAIL, path), -ENAMETOOLONG);
    assert_int_equal(match(&filter, EVENT_OPEN, path), 0);
    strcpy(path + len - strlen(" (deleted)"), " (deleted)");
    assert_int_equal(match(&filter, EVENT_OPEN, path), -ENAMETOOLONG);
    strcpy(path + len - strlen(".conf"), ".conf");
    assert_int_equal(match(&filter, EVENT_OPEN, path), 1);
    free(path);
}

static void paths_and_patterns_must_both_match(void **state)
{
    struct recordfilter filter = FILTER("*.conf", NULL);

    assert_int_equal(pathfilter_add(*state, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED), 0);
    assert_int_equal(match(&filter, EVENT_OPEN, "/etc/a.conf"), 1);
    assert_int_equal(match(&filter, EVENT_OPEN, "/srv/a.conf"), 0);
    assert_int_equal(match(&filter, EVENT_OPEN, "/etc/a"), 0);
    assert_int_equal(match(&filter, EVENT_FAIL, "/etc/a"), 0);
}

/* The path of a file that the engine has matched by its inode may be any; a failed open has no
 * file. */
static void by_inode_only_names_of_failed_opens_are_compared(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE_ALL, .by_inode = true},
                        patterns = FILTER("*.conf", NULL);

    patterns.by_inode = true;
    assert_int_equal(pathfilter_add(*state, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED), 0);
    for (enum event_code code = 0; code < EVENT_LOST; code++) {
        assert_int_equal(match(&filter, code, "/srv/a"), code != EVENT_FAIL);
        assert_int_equal(match(&patterns, code, "/srv/a"), 0);
        assert_int_equal(recordfilter_compares_path(&filter, code), code == EVENT_FAIL);
    }
    assert_int_equal(match(&filter, EVENT_FAIL, "/etc/a"), 1);
    assert_int_equal(match(&patterns, EVENT_OPEN, "/srv/a.conf"), 1);
    assert_true(recordfilter_compares_path(&patterns, EVENT_OPEN));
}

static void failed_opens_alone(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE_ALL, .only_failed = true};

    for (enum event_code code = 0; code < EVENT_RECORDS; code++)
        assert_int_equal(match(&filter, code, "/a"), code == EVENT_FAIL || code == EVENT_LOST);
}

static int match_both(const struct recordfilter *filter, enum event_code code, const char *path,
                      const char *destination)
{
    struct event record = {.code = code,
                           .path = path,
                           .path_len = strlen(path),
                           .destination = destination,
                           .destination_len = strlen(destination)};

    return recordfilter_match(filter, &record);
}

static void either_path_is_enough(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE_ALL},
                        patterns = FILTER("*.conf", NULL);

    assert_int_equal(pathfilter_add(*state, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED), 0);
    assert_int_equal(pathfilter_add(*state, "/etc/x", PATHFILTER_EXCLUDE, PATHFILTER_RESOLVED), 0);
    assert_int_equal(match_both(&filter, EVENT_RENAME, "/etc/a", "/srv/a"), 1);
    assert_int_equal(match_both(&filter, EVENT_RENAME, "/srv/a", "/etc/a"), 1);
    assert_int_equal(match_both(&filter, EVENT_LINK, "/etc/x/a", "/etc/a"), 1);
    assert_int_equal(match_both(&filter, EVENT_RENAME, "/etc/x/a", "/srv/a"), 0);
    assert_int_equal(match_both(&filter, EVENT_FAIL, "/srv/a", "/etc/a"), 1);
    assert_int_equal(match_both(&patterns, EVENT_RENAME, "/etc/a", "/etc/a.conf"), 1);
    assert_int_equal(match_both(&patterns, EVENT_RENAME, "/etc/a", "/srv/a.conf"), 0);
}

/* A relative text of a symbolic link says nothing about where it leads. */
static void a_link_matches_by_an_absolute_text(void **state)
{
    struct recordfilter filter = FILTER("*.conf", NULL);

    assert_int_equal(match_both(&filter, EVENT_SYMLINK, "/srv/a", "/etc/a.conf"), 1);
    assert_int_equal(match_both(&filter, EVENT_SYMLINK, "/srv/a", "../etc/a.conf"), 0);
    assert_int_equal(match_both(&filter, EVENT_SYMLINK, "/srv/a.conf", "a"), 1);
}

/* Where an engine cannot resolve them, they are as the program gave them. */
static void names_given_to_calls_are_cleaned(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE_ALL};

    assert_int_equal(pathfilter_add(*state, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED), 0);
    assert_int_equal(pathfilter_add(*state, "/lib", PATHFILTER_INCLUDE, PATHFILTER_TYPED), 0);
    assert_int_equal(match(&filter, EVENT_UNLINK, "/srv/../etc//a"), 1);
    assert_int_equal(match(&filter, EVENT_CHMOD, "/lib/a"), 1);
    assert_int_equal(match(&filter, EVENT_CHMOD, "/etc/../srv"), 0);
    assert_int_equal(match(&filter, EVENT_EXEC, "/etc/../srv"), 1);
    filter.by_inode = true;
    assert_int_equal(match(&filter, EVENT_UNLINK, "/srv/a"), 0);
    assert_true(recordfilter_compares_path(&filter, EVENT_UNLINK));
    assert_false(recordfilter_compares_path(&filter, EVENT_EXEC));
}

/* An engine has found the inodes of a call's paths. */
static void what_an_engine_has_matched_passes(void **state)
{
    struct recordfilter filter = FILTER("*.conf", NULL);
    struct event record = {
        .code = EVENT_UNLINK, .path = "/srv/a.conf", .path_len = 11, .is_matched = true};

    filter.by_inode = true;
    assert_int_equal(pathfilter_add(*state, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED), 0);
    assert_int_equal(recordfilter_match(&filter, &record), 1);
    record.path = "/srv/a.list";
    assert_int_equal(recordfilter_match(&filter, &record), 0);
    record.path = "/srv/a.conf";
    record.is_matched = false;
    assert_int_equal(recordfilter_match(&filter, &record), 0);
}

static void only_what_is_in_the_sets_passes(void **state)
{
    struct recordfilter filter = {.paths = *state, .sets = TRACE(NAMES) | TRACE(FAIL)};
    struct event fail = {.code = EVENT_FAIL, .path = "/a", .path_len = 2, .call = "unlinkat"};

    assert_int_equal(match(&filter, EVENT_OPEN, "/a"), 0);
    assert_int_equal(match(&filter, EVENT_CHMOD, "/a"), 0);
    assert_int_equal(match(&filter, EVENT_UNLINK, "/a"), 1);
    assert_int_equal(match(&filter, EVENT_FAIL, "/a"), 0); /* of an open */
    assert_int_equal(recordfilter_match(&filter, &fail), 1);
    fail.call = "fchmodat";
    assert_int_equal(recordfilter_match(&filter, &fail), 0);
}

static void losses_pass_always(void **state)
{
    struct recordfilter filter = FILTER("*.conf", NULL);
    struct event lost = {.code = EVENT_LOST, .lost = 1};

    assert_int_equal(recordfilter_match(&filter, &lost), 1);
}

static void patterns_that_match_nothing_have_a_fault(void **state)
{
    static const char *const good[] = {"*",         "/etc/*", "?etc",      "[/]etc",
                                       "\\/etc",    "/[]]",   "/[!]]",     "/[[:alpha:]]",
                                       "/[[.-.]x]", "/[\\]]", "pipe:\\[*", "anon_inode:*"};
    static const char *const bad[] = {"passwd", "./x",   "/[",          "/[]",        "/[!]", "/[a",
                                      "/[\\]",  "/[a\\", "/[[:alpha:]", "/[[:alpha]", "/x\\", "\\"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(recordfilter_fault(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(recordfilter_fault(bad[i]));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_rules_every_record_passes),
        TEST(a_pattern_matches_the_whole_path),
        TEST(a_pattern_takes_any_bytes),
        TEST(a_deleted_file_matches_by_both_paths),
        TEST(names_of_failed_opens_are_cleaned),
        TEST(what_is_too_long_is_an_error),
        TEST(paths_and_patterns_must_both_match),
        TEST(by_inode_only_names_of_failed_opens_are_compared),
        TEST(failed_opens_alone),
        TEST(either_path_is_enough),
        TEST(a_link_matches_by_an_absolute_text),
        TEST(names_given_to_calls_are_cleaned),
        TEST(what_an_engine_has_matched_passes),
        TEST(only_what_is_in_the_sets_passes),
        TEST(losses_pass_always),
        TEST(patterns_that_match_nothing_have_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
