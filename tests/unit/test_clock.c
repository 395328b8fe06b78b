/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"

/* A monotonic time between two readings converts to a time between two readings of realtime. */
static void epoch_converts_monotonic_to_realtime(void **state)
{
    (void)state;
    int64_t mono_before = clock_ns(CLOCK_MONOTONIC), real_before = clock_ns(CLOCK_REALTIME);
    int64_t epoch = clock_epoch_ns();
    int64_t real_after = clock_ns(CLOCK_REALTIME), mono_after = clock_ns(CLOCK_MONOTONIC);

    assert_in_range(epoch, real_before - mono_after, real_after - mono_before);
}

static void milliseconds_are_monotonic(void **state)
{
    (void)state;
    int64_t before = clock_ns(CLOCK_MONOTONIC), ms = clock_ms(), after = clock_ns(CLOCK_MONOTONIC);

    assert_in_range(ms, before / 1000000, after / 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoch_converts_monotonic_to_realtime),
        cmocka_unit_test(milliseconds_are_monotonic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
