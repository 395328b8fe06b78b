/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_CLOCK_H
#define FILEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* What the clock shows, ns. */
int64_t clock_ns(clockid_t clock);

/* The same of CLOCK_MONOTONIC, ms: for deadlines. */
int64_t clock_ms(void);

/*
 * What CLOCK_REALTIME showed when CLOCK_MONOTONIC was at 0, ns.  Two clocks cannot be read at one
 * moment, and the CPU may be taken away between two readings for many milliseconds: this is the
 * closest pair of several.
 */
int64_t clock_epoch_ns(void);

#endif
