/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The time of an event, the options of filemon, and the count of lost events. */
#ifndef FILEMON_STAP_STATE_H
#define FILEMON_STAP_STATE_H

#include "kernel.h"

/* The longest path in bytes, including its NUL: the limit of d_path() and getname(). */
#define FM_PATH 4096

/*
 * The time of an event by two clocks, both computed from one reading: if a hypervisor stopped the
 * CPU between two readings, the date and the duration would contradict each other.
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

static bool fm_initial;             /* the scan for initially open descriptors is going on */
static bool fm_on;                  /* names and paths are complete: events are reported */
static bool fm_end;                 /* send "fin" when no process is watched any more */
static bool fm_stop;                /* send "fin" now: no event is reported after it */
static struct pid *fm_owner;        /* filemon: the script exits when filemon has exited */
static struct pid_namespace *fm_ns; /* lines have process ids of this namespace */
static s64 fm_clock_ahead;          /* ns: offset of CLOCK_MONOTONIC in filemon's time namespace */

static atomic_t fm_lost = ATOMIC_INIT(0); /* events that could not be reported */

#endif
