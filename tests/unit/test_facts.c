/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/facts.h"
#include "users.h"

static int set_up(void **state)
{
    *state = facts_new();
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    facts_free(*state);
    return 0;
}

/* Returns the name that the user is given; NULL: none. */
static const char *name_of(struct facts *facts, uid_t user)
{
    struct event_facts event = {.known = FACT(USER), .user = user};

    facts_complete(facts, &event);
    assert_int_equal(event.user, user);
    return event.user_name;
}

static void users_have_their_names(void **state)
{
    assert_string_equal(name_of(*state, 0), "root");
    assert_null(name_of(*state, 4294967294));
    assert_string_equal(name_of(*state, 0), "root");
}

/* More users than names are kept for, most of which share a place with others. */
static void each_of_many_users_has_its_own_name(void **state)
{
    for (uid_t user = 0; user < 70000; user = user < 2000 ? user + 1 : user + 977) {
        const struct passwd *entry = getpwuid(user);
        const char *name = name_of(*state, user);

        assert_int_equal(name != NULL, entry != NULL);
        if (entry != NULL)
            assert_string_equal(name, entry->pw_name);
    }
}

static void unknown_facts_have_no_names(void **state)
{
    struct event_facts event = {.known = 0, .user = 0, .group = 1};

    facts_complete(*state, &event);
    assert_null(event.user_name);
    assert_null(event.group_path);
}

/* No group has this id. */
static void groups_that_are_removed_have_no_path(void **state)
{
    struct event_facts event = {.known = FACT(GROUP), .group = UINT64_MAX};

    facts_complete(*state, &event);
    assert_null(event.group_path);
    facts_find_groups(*state);
    facts_complete(*state, &event);
    assert_null(event.group_path);
}

static void take_executable(struct facts *facts, uint64_t number, const char *path)
{
    struct event_facts event_facts = {.known = FACT(EXECUTABLE), .executable = number};
    struct event event = {
        .code = EVENT_EXECUTABLE, .path = path, .path_len = strlen(path), .facts = &event_facts};

    facts_take_executable(facts, &event);
}

static const char *path_of(struct facts *facts, uint64_t number)
{
    struct event_facts event = {.known = FACT(EXECUTABLE), .executable = number};

    facts_complete(facts, &event);
    return event.executable_path;
}

static void executables_are_known_by_their_numbers(void **state)
{
    assert_null(path_of(*state, 7));
    take_executable(*state, 7, "/bin/cat");
    take_executable(*state, UINT64_MAX, "/bin/dd");
    assert_string_equal(path_of(*state, 7), "/bin/cat");
    assert_string_equal(path_of(*state, UINT64_MAX), "/bin/dd");
    take_executable(*state, 7, "/bin/cp");
    assert_string_equal(path_of(*state, 7), "/bin/cp");
    assert_null(path_of(*state, 8));
}

/* Memory is bounded, and what is used again and again stays. */
static void the_executables_that_were_used_last_are_kept(void **state)
{
    uint64_t number, last = 3 * FACTS_EXECUTABLES + 77;
    char path[32];

    for (number = 1; number <= last; number++) {
        snprintf(path, sizeof(path), "/%ju", (uintmax_t)number);
        take_executable(*state, number, path);
        assert_string_equal(path_of(*state, 1), "/1");
    }
    for (number = last; number > last - FACTS_EXECUTABLES + 1; number--) {
        snprintf(path, sizeof(path), "/%ju", (uintmax_t)number);
        assert_string_equal(path_of(*state, number), path);
    }
    assert_string_equal(path_of(*state, 1), "/1");
    assert_null(path_of(*state, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(users_have_their_names),
        TEST(each_of_many_users_has_its_own_name),
        TEST(unknown_facts_have_no_names),
        TEST(groups_that_are_removed_have_no_path),
        TEST(executables_are_known_by_their_numbers),
        TEST(the_executables_that_were_used_last_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
