/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
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
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(users_have_their_names),
        TEST(each_of_many_users_has_its_own_name),
        TEST(unknown_facts_have_no_names),
        TEST(groups_that_are_removed_have_no_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
