/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run: an engine, its records, and where they go, in the one poll loop.
 *
 *   STARTING   the engine starts, the command waits to be let go
 *   WATCHING   until the engine is idle, the duration over, a signal asks, the output takes no more
 *   STOPPING   the engine was asked to end, and delivers its last records
 *   DRAINING   the engine has ended; what waits is written
 *   WAITING    the watch ended early, since the output or the engine failed; the command goes on
 *   DONE
 *
 * What happens in which state is a table in run.c.
 *
 * With "-- COMMAND" signals are the command's (they are passed on where they came to filemon
 * alone, see witness.h), and the watch ends with the command, whose status is waited for.  The
 * command goes on without filemon after a second signal and after --duration.
 *
 * Memory does not grow with what comes: while more than OUTPUT_HIGH_WATER waits for the reader of
 * the output, the engine is not read.  Below 32 MB, the tests say; but the ledger holds a record of
 * each descriptor that is open.
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

/* Builds the module, or whatever makes later starts fast.  Exit status. */
int run_prepare(const struct options *options, const struct engine_ops *ops);

/* Watches until it is over.  The exit status of contract and man page. */
int run_watch(const struct options *options, const struct engine_ops *ops);

/* What the options say to an engine; the filter is the caller's. */
struct engine_config run_config(const struct options *options, const struct pathfilter *filter);

#endif
