/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run in the one poll loop: signals, the output, PATHs that did not exist, and the engine.
 *
 *   STARTING   the engine starts; the command is held before its first instruction
 *   WATCHING   until the engine is idle, the duration is over, a signal asks, the output ends
 *   STOPPING   the engine was asked to end, and delivers its last events
 *   DRAINING   the engine has ended; the records that wait are written
 *   WAITING    the watch ended before the command, since the output or the engine failed
 *   DONE
 *
 * The table `transitions` in run.c says what happens in which state.
 *
 * With "-- COMMAND" signals are passed on to the command, unless they reached it as well (see
 * witness.h), and the watch ends with the command, whose exit status is waited for.  After a second
 * signal and after --duration the command goes on without filemon.
 *
 * Memory is bounded: while more than OUTPUT_HIGH_WATER bytes wait for the reader of the output, the
 * engine is not read.  Only the ledger grows, by a record for each open descriptor.  The tests hold
 * a run below 32 MB.
 */
#ifndef FILEMON_RUN_H
#define FILEMON_RUN_H

#include "engine/engine.h"
#include "options.h"

/* Exit statuses, but for those of COMMAND; the last is the only one of a failure with COMMAND. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_NO_ENGINE = 3,
    STATUS_FAILED_WITH_COMMAND = 125, /* as env(1) and timeout(1) have it */
};

/* Builds the module, or whatever makes later starts fast.  Returns the exit status. */
int run_prepare(const struct options *options, const struct engine_ops *ops);

/* Returns the exit status that the man page promises. */
int run_watch(const struct options *options, const struct engine_ops *ops);

/* The part of the options that engines need; the filter is the caller's. */
struct engine_config run_config(const struct options *options, const struct pathfilter *filter);

#endif
