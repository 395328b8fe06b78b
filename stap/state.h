/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When something happened, what was asked for, and what could not be told. */
#ifndef FILEMON_STAP_STATE_H
#define FILEMON_STAP_STATE_H

#include "kernel.h"

#define FM_VERSION 3 /* of the lines that filemon reads */

/* The most bytes of a path, its NUL included: what d_path() and getname() go up to. */
#define FM_PATH 4096

/*
 * When an event happened, by both clocks from one reading: a CPU that is stolen between two
 * readings (a virtual machine's) would give a date and a duration that contradict each other.
 */
struct fm_time {
    s64 us; /* CLOCK_REALTIME */
    u64 ns; /* CLOCK_MONOTONIC */
};

static struct fm_time fm_now(void)
{
    ktime_t now = ktime_get();

    return (struct fm_time){.us = ktime_to_us(ktime_mono_to_real(now)), .ns = ktime_to_ns(now)};
}

static bool fm_failed;              /* opens that failed, too */
static bool fm_initial;             /* those that were open at the beginning are being reported */
static bool fm_on;                  /* names and paths are complete: begin */
static bool fm_end;                 /* say "fin" when no mark is left */
static bool fm_stop;                /* say it now: nothing comes after it */
static struct pid *fm_owner;        /* filemon: when it is gone, so are we */
static struct pid_namespace *fm_ns; /* the numbers that are printed are of this one */
static s64 fm_clock_ahead; /* ns: filemon's monotonic clock, in a time namespace of its own */

static atomic_t fm_lost = ATOMIC_INIT(0); /* events that could not be reported */

#endif
