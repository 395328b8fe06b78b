/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/results.h"

/* What was emitted: "CODE PATH RESULT;" for each record. */
struct fixture {
    struct results *results;
    char said[8192];
};

static void emit(void *ctx, const struct event *record)
{
    struct fixture *fixture = ctx;
    size_t len = strlen(fixture->said);

    snprintf(fixture->said + len, sizeof(fixture->said) - len, "%s %s %s;",
             event_code_name(record->code), record->path != NULL ? record->path : "-",
             record->facts != NULL && record->facts->result != NULL ? record->facts->result : "-");
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.said = ""};
    fixture.results = results_new(emit, &fixture);
    *state = &fixture;
    return fixture.results == NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    results_free(fixture->results);
    return 0;
}

/* A record by a thread of this process; the text is overwritten after the call, as an engine does.
 */
static void take(struct fixture *fixture, enum event_code code, pid_t pid, pid_t tid,
                 const char *path, unsigned int known)
{
    char text[64], user[] = "root";
    struct event_facts facts = {.known = known, .user_name = user};
    struct event record = {.code = code,
                           .pid = pid,
                           .tid = tid,
                           .table = (uint64_t)pid,
                           .comm = "cat",
                           .path = text,
                           .facts = &facts};

    snprintf(text, sizeof(text), "%s", path);
    record.path_len = strlen(text);
    results_take(fixture->results, &record);
    memset(text, 'x', sizeof(text));
    memset(user, 'x', sizeof(user));
}

static void begin_close(struct fixture *fixture, pid_t pid, pid_t tid, const char *path)
{
    take(fixture, EVENT_CLOSE, pid, tid, path, FACT(RESULT) | FACT(USER));
}

static void note(struct fixture *fixture, enum event_code code, pid_t pid, pid_t tid, int fd)
{
    struct event event = {.code = code, .pid = pid, .tid = tid, .table = (uint64_t)pid, .fd = fd};

    results_note(fixture->results, &event);
}

static void assert_said(struct fixture *fixture, const char *expected)
{
    assert_string_equal(fixture->said, expected);
    fixture->said[0] = '\0';
}

static void other_records_pass(void **state)
{
    take(*state, EVENT_OPEN, 1, 1, "/a", 0);
    take(*state, EVENT_CLOSE, 1, 1, "/a", FACT(USER));
    assert_said(*state, "open /a -;close /a -;");
}

static void a_close_gets_its_error(void **state)
{
    begin_close(*state, 1, 1, "/a");
    assert_said(*state, "");
    note(*state, EVENT_RESULT, 1, 1, -EIO);
    assert_said(*state, "close /a EIO;");
}

static void a_close_that_succeeds_has_none(void **state)
{
    begin_close(*state, 1, 1, "/a");
    note(*state, EVENT_RESULT, 1, 1, 0);
    assert_said(*state, "close /a -;");
    begin_close(*state, 1, 1, "/b");
    note(*state, EVENT_RESULT, 1, 1, -ENOSPC);
    assert_said(*state, "close /b ENOSPC;");
}

static void records_of_the_process_follow_it(void **state)
{
    begin_close(*state, 1, 1, "/a");
    take(*state, EVENT_OPEN, 1, 2, "/b", 0);
    take(*state, EVENT_OPEN, 3, 3, "/other", 0);
    take(*state, EVENT_CLOSE, 1, 2, "/b", 0);
    assert_said(*state, "open /other -;");
    note(*state, EVENT_RESULT, 1, 1, -EIO);
    assert_said(*state, "close /a EIO;open /b -;close /b -;");
}

/* Process 4 has the table of process 1, and process 5 does not. */
static void records_of_the_table_follow_it(void **state)
{
    struct fixture *fixture = *state;
    struct event record = {.code = EVENT_OPEN, .pid = 4, .tid = 4, .table = 1, .path = "/b"};

    begin_close(fixture, 1, 1, "/a");
    results_take(fixture->results, &record);
    take(fixture, EVENT_OPEN, 4, 4, "/own", 0); /* after what it has done before */
    take(fixture, EVENT_OPEN, 5, 5, "/c", 0);
    assert_said(fixture, "open /c -;");
    note(fixture, EVENT_RESULT, 1, 1, 0);
    assert_said(fixture, "close /a -;open /b -;open /own -;");
}

static void several_results_come_in_any_order(void **state)
{
    begin_close(*state, 1, 1, "/a");
    begin_close(*state, 2, 2, "/b");
    begin_close(*state, 1, 3, "/c");
    take(*state, EVENT_OPEN, 2, 2, "/d", 0);
    note(*state, EVENT_RESULT, 1, 3, -EIO);
    assert_said(*state, "");
    note(*state, EVENT_RESULT, 2, 2, -EDQUOT);
    assert_said(*state, "close /b EDQUOT;open /d -;");
    note(*state, EVENT_RESULT, 1, 1, 0);
    assert_said(*state, "close /a -;close /c EIO;");
}

static void a_thread_that_goes_on_has_no_result(void **state)
{
    begin_close(*state, 1, 1, "/a");
    note(*state, EVENT_OPEN, 1, 2, 3); /* another thread */
    note(*state, EVENT_BYTES, 0, 0, 3);
    assert_said(*state, "");
    note(*state, EVENT_OPEN, 1, 1, 3);
    assert_said(*state, "close /a -;");
}

static void the_end_of_the_table_ends_the_waiting(void **state)
{
    begin_close(*state, 1, 1, "/a");
    note(*state, EVENT_EXIT, 2, 2, 0);
    assert_said(*state, "");
    note(*state, EVENT_EXIT, 1, 5, 0);
    assert_said(*state, "close /a -;");
}

static void losses_do_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct event lost = {.code = EVENT_LOST, .lost = 1};

    begin_close(fixture, 0, 1, "/a");
    results_note(fixture->results, &lost);
    results_take(fixture->results, &lost);
    assert_said(fixture, "lost - -;");
    results_end(fixture->results);
    assert_said(fixture, "close /a -;");
}

/* Threads outside of the pid namespace have the number 0. */
static void a_thread_without_a_number_is_not_waited_for(void **state)
{
    begin_close(*state, 0, 0, "/a");
    assert_said(*state, "close /a -;");
}

static void the_end_passes_all_on(void **state)
{
    struct fixture *fixture = *state;

    begin_close(fixture, 1, 1, "/a");
    take(fixture, EVENT_OPEN, 1, 2, "/b", 0);
    begin_close(fixture, 1, 2, "/b");
    results_end(fixture->results);
    assert_said(fixture, "close /a -;open /b -;close /b -;");
    results_end(fixture->results);
    assert_said(fixture, "");
}

static void not_too_many_wait(void **state)
{
    struct fixture *fixture = *state;

    begin_close(fixture, 1, 1, "/a");
    for (int i = 0; i < RESULTS_WAITING - 1; i++)
        take(fixture, EVENT_OPEN, 1, 2, "/b", 0);
    assert_said(fixture, "");
    take(fixture, EVENT_OPEN, 1, 2, "/b", 0);
    assert_memory_equal(fixture->said, "close /a -;open /b -;", 21);
}

static void what_waits_is_freed(void **state)
{
    struct fixture *fixture = *state;

    begin_close(fixture, 1, 1, "/a");
    take(fixture, EVENT_OPEN, 1, 2, "/b", 0);
    assert_said(fixture, "");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(other_records_pass),
        TEST(a_close_gets_its_error),
        TEST(a_close_that_succeeds_has_none),
        TEST(records_of_the_process_follow_it),
        TEST(records_of_the_table_follow_it),
        TEST(several_results_come_in_any_order),
        TEST(a_thread_that_goes_on_has_no_result),
        TEST(the_end_of_the_table_ends_the_waiting),
        TEST(losses_do_not_wait),
        TEST(a_thread_without_a_number_is_not_waited_for),
        TEST(the_end_passes_all_on),
        TEST(not_too_many_wait),
        TEST(what_waits_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
