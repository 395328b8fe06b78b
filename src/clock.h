/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_CLOCK_H
#define FILEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The time of a clock, ns. */
int64_t clock_ns(clockid_t clock);

/* The time of CLOCK_MONOTONIC, ms: for deadlines. */
int64_t clock_ms(void);

/*
 * CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.  Two clocks cannot be read at the same moment, and the
 * scheduler can put milliseconds between two readings: so they are read several times, and the
 * closest pair counts.
 */
int64_t clock_epoch_ns(void);

#endif
