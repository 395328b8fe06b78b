/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "event/trace.h"

static bool has(unsigned int sets, enum event_code code, const char *call)
{
    struct event record = {.code = code, .call = call};

    return trace_has(sets, &record);
}

static void every_record_is_in_one_set(void **state)
{
    (void)state;
    for (enum event_code code = 0; code < EVENT_RECORDS; code++) {
        int sets = 0;

        for (enum trace_set set = 0; set < TRACE_SETS; set++)
            sets += trace_codes(1u << set) >> code & 1;
        assert_int_equal(sets, code == EVENT_LOST ? TRACE_SETS : 1);
    }
}

static void sets_are_found_by_name(void **state)
{
    (void)state;
    for (enum trace_set set = 0; set < TRACE_SETS; set++)
        assert_int_equal(trace_find(trace_name(set), strlen(trace_name(set))), set);
    assert_int_equal(trace_find("names,x", 5), TRACE_NAMES);
    assert_int_equal(trace_find("name", 4), TRACE_SETS);
    assert_int_equal(trace_find("", 0), TRACE_SETS);
}

/* So many failed opens are usual that they are asked for by themselves. */
static void failures_are_those_of_the_other_sets(void **state)
{
    unsigned int names = TRACE(NAMES) | TRACE(FAIL);

    (void)state;
    assert_true(has(names, EVENT_FAIL, "unlinkat"));
    assert_false(has(names, EVENT_FAIL, "fchmodat"));
    assert_false(has(names, EVENT_FAIL, NULL));
    assert_true(has(names | TRACE(OPEN), EVENT_FAIL, NULL));
    assert_true(has(TRACE(FAIL), EVENT_FAIL, NULL));
    assert_true(has(TRACE(FAIL) | TRACE(HELD), EVENT_FAIL, NULL));
    assert_false(has(TRACE(FAIL), EVENT_FAIL, "execve"));
    assert_false(has(TRACE(NAMES), EVENT_FAIL, "unlinkat"));
}

static void calls_have_names_and_sets(void **state)
{
    (void)state;
    for (enum traced_call call = 0; call < TRACED_COUNT; call++) {
        enum event_code code = trace_call_code(call);

        assert_int_equal(trace_find_call(trace_call_name(call)), call);
        assert_true(TRACE_CALLS & 1u << trace_call_set(call));
        assert_true(trace_codes(1u << trace_call_set(call)) & 1u << code);
    }
    assert_int_equal(trace_find_call("openat"), TRACED_COUNT);
    assert_int_equal(trace_call_set(TRACED_renameat2), TRACE_NAMES);
    assert_int_equal(trace_call_set(TRACED_fchmod), TRACE_ATTRIBUTES);
    assert_int_equal(trace_call_set(TRACED_execveat), TRACE_EXEC);
}

static void record_is(enum traced_call call, int result, unsigned int argument,
                      enum event_code code, int mode)
{
    struct event event = {.mode = EVENT_NO_MODE};

    trace_call_fill(&event, call, result, argument);
    assert_int_equal(event.code, code);
    assert_int_equal(event.mode, mode);
    assert_ptr_equal(event.call, result < 0 ? trace_call_name(call) : NULL);
}

static void a_call_is_reported_by_what_it_did(void **state)
{
    (void)state;
    record_is(TRACED_renameat2, 0, 0, EVENT_RENAME, EVENT_NO_MODE);
    record_is(TRACED_mknodat, 0, S_IFIFO | 0640, EVENT_MKNOD, 0640);
    record_is(TRACED_mkdir, -EEXIST, 0755, EVENT_FAIL, EVENT_NO_MODE);
    record_is(TRACED_unlinkat, 0, 0, EVENT_UNLINK, EVENT_NO_MODE);
    record_is(TRACED_unlinkat, 0, AT_REMOVEDIR, EVENT_RMDIR, EVENT_NO_MODE);
    record_is(TRACED_unlinkat, -ENOTDIR, AT_REMOVEDIR, EVENT_FAIL, EVENT_NO_MODE);
    assert_true(trace_call_has_destination(TRACED_link));
    assert_true(trace_call_has_destination(TRACED_symlinkat));
    assert_false(trace_call_has_destination(TRACED_mknod));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_in_one_set),
        cmocka_unit_test(sets_are_found_by_name),
        cmocka_unit_test(failures_are_those_of_the_other_sets),
        cmocka_unit_test(calls_have_names_and_sets),
        cmocka_unit_test(a_call_is_reported_by_what_it_did),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
