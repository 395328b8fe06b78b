/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

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

        assert_ptr_equal(trace_find_call(trace_call_name(call)), trace_call_name(call));
        assert_true(TRACE_CALLS & 1u << trace_call_set(call));
        assert_true(trace_codes(1u << trace_call_set(call)) & 1u << code);
    }
    assert_null(trace_find_call("openat"));
    assert_int_equal(trace_call_set(TRACED_renameat2), TRACE_NAMES);
    assert_int_equal(trace_call_set(TRACED_fchmod), TRACE_ATTRIBUTES);
    assert_int_equal(trace_call_set(TRACED_execveat), TRACE_EXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_in_one_set),
        cmocka_unit_test(sets_are_found_by_name),
        cmocka_unit_test(failures_are_those_of_the_other_sets),
        cmocka_unit_test(calls_have_names_and_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
