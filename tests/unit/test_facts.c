/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
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

/* ---- Command lines --------------------------------------------------------------------------- */

/* text: NULL to read those of the process. */
static void take_arguments(struct facts *facts, uint64_t number, const char *text, pid_t pid,
                           int64_t mono_ns)
{
    struct event_facts event_facts = {.known = FACT(EXECUTABLE), .executable = number};
    struct event event = {.code = EVENT_ARGUMENTS,
                          .pid = pid,
                          .mono_ns = (uint64_t)mono_ns,
                          .path = text,
                          .path_len = text != NULL ? strlen(text) : 0,
                          .facts = &event_facts};

    facts_take_arguments(facts, &event);
}

static const char *arguments_of(struct facts *facts, uint64_t number)
{
    struct event_facts event = {.known = FACT(EXECUTABLE), .executable = number};

    facts_complete(facts, &event);
    return event.arguments;
}

static void arguments_are_known_by_the_number_of_the_executable(void **state)
{
    take_arguments(*state, 7, "early", 0, 0);
    assert_null(arguments_of(*state, 7));
    take_executable(*state, 7, "/bin/cat");
    assert_null(arguments_of(*state, 7));
    take_executable(*state, 8, "/bin/cat");
    take_arguments(*state, 7, "cat a  b", 0, 0);
    take_arguments(*state, 8, "cat \xff\n", 0, 0);
    assert_string_equal(arguments_of(*state, 7), "cat a  b");
    assert_string_equal(arguments_of(*state, 8), "cat \xff\n");
    assert_string_equal(path_of(*state, 7), "/bin/cat");
    take_arguments(*state, 7, "", 0, 0);
    assert_null(arguments_of(*state, 7));
    take_executable(*state, 8, "/bin/dd");
    assert_null(arguments_of(*state, 8));
}

static void arguments_are_kept_as_long_as_the_executable(void **state)
{
    uint64_t number;

    for (number = 1; number <= 2 * FACTS_EXECUTABLES + 7; number++) {
        take_executable(*state, number, "/bin/cat");
        take_arguments(*state, number, "cat", 0, 0);
        assert_string_equal(arguments_of(*state, 1), "cat");
    }
    assert_null(arguments_of(*state, 2));
}

/* Behind `before` bytes, so that the end of the room for arguments can be inside of the text. */
static size_t kept_of(struct facts *facts, size_t before, const char *text)
{
    char *arguments = malloc(before + strlen(text) + 1);
    size_t len;

    memset(arguments, 'x', before);
    strcpy(arguments + before, text);
    take_arguments(facts, 7, arguments, 0, 0);
    len = strlen(arguments_of(facts, 7));
    assert_memory_equal(arguments_of(facts, 7), arguments, len);
    free(arguments);
    return len;
}

/* Not within a character, which would be none then. */
static void long_arguments_are_cut(void **state)
{
    static const char one[] = "abcdefgh", two[] = "\xc3\xb1", three[] = "\xe2\x82\xac",
                      four[] = "\xf0\x9f\x92\xa9", stray[] = "\x80\x80\x80\x80\x80\x80";

    take_executable(*state, 7, "/bin/cat");
    assert_int_equal(kept_of(*state, ARGUMENTS_BYTES - 4, one), ARGUMENTS_BYTES);
    for (size_t room = 1; room <= 4; room++) {
        size_t before = ARGUMENTS_BYTES - room;

        assert_int_equal(kept_of(*state, before, two) - before, room >= 2 ? 2 : 0);
        assert_int_equal(kept_of(*state, before, three) - before, room >= 3 ? 3 : 0);
        assert_int_equal(kept_of(*state, before, four) - before, room >= 4 ? 4 : 0);
        assert_int_equal(kept_of(*state, before, stray) - before, room);
    }
}

/* A process with these arguments, which exits when *input is closed. */
static pid_t start(const char *const *args, int *input)
{
    int in[2], executed[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(executed, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        execv("/bin/sh", (char *const *)args);
        _exit(127);
    }
    close(in[0]);
    close(executed[1]);
    assert_int_equal(read(executed[0], &byte, 1), 0);
    close(executed[0]);
    *input = in[1];
    return pid;
}

static void stop(pid_t pid, int input)
{
    int status;

    close(input);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define SECOND 1000000000

/* If the engine could not read them.  A process that started later is another one, which has got
 * the pid. */
static void arguments_are_read_of_the_same_process_only(void **state)
{
    static const char *const args[] = {"sh", "-c", "read x || :", "", "a  b", "", "", NULL};
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    int input;
    pid_t pid = start(args, &input);

    take_executable(*state, 7, "/bin/sh");
    take_arguments(*state, 7, NULL, pid, now + SECOND);
    assert_string_equal(arguments_of(*state, 7), "sh -c read x || :  a  b");
    take_arguments(*state, 7, NULL, pid, now - SECOND);
    assert_null(arguments_of(*state, 7));
    take_arguments(*state, 7, NULL, 0, now + SECOND);
    assert_null(arguments_of(*state, 7));
    stop(pid, input);
    take_arguments(*state, 7, NULL, pid, now + SECOND);
    assert_null(arguments_of(*state, 7));
}

static void long_arguments_that_are_read_are_cut(void **state)
{
    char first[ARGUMENTS_BYTES - 20], second[40];
    const char *const args[] = {"sh", "-c", "read x || :", first, second, NULL};
    int input;
    pid_t pid;

    memset(first, 'x', sizeof(first));
    memset(second, 'y', sizeof(second));
    first[sizeof(first) - 1] = second[sizeof(second) - 1] = '\0';
    pid = start(args, &input);
    take_executable(*state, 7, "/bin/sh");
    take_arguments(*state, 7, NULL, pid, clock_ns(CLOCK_MONOTONIC) + SECOND);
    assert_int_equal(strlen(arguments_of(*state, 7)), ARGUMENTS_BYTES);
    assert_string_equal(arguments_of(*state, 7) + ARGUMENTS_BYTES - 5, "xx yy");
    stop(pid, input);
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
        TEST(arguments_are_known_by_the_number_of_the_executable),
        TEST(arguments_are_kept_as_long_as_the_executable),
        TEST(long_arguments_are_cut),
        TEST(arguments_are_read_of_the_same_process_only),
        TEST(long_arguments_that_are_read_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
