/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"

#define TRIES 16
#define CLOSE_NS 2000 /* a pair of readings this close is good enough */

int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_epoch_ns(void)
{
    int64_t epoch = 0, least = INT64_MAX;

    for (int i = 0; i < TRIES && least > CLOSE_NS; i++) {
        int64_t before = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME),
                after = clock_ns(CLOCK_MONOTONIC);

        if (after - before >= least)
            continue;
        least = after - before;
        epoch = real - (before + least / 2);
    }
    return epoch;
}
