/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run: an engine, its records, and where they go, in the one poll loop.
 *
 *   state      event                          then
 *   STARTING   engine watches                 targets are watched, the command let go; WATCHING
 *   WATCHING   engine idle, duration over,    the engine is asked to end; STOPPING
 *              signal, reader gone, error
 *   any        second signal                  what was started is ended at once; DONE
 *   STOPPING   engine done                    its last records are written; DRAINING
 *   DRAINING   nothing waits to be written    DONE
 *
 * With "-- COMMAND" the first signal is the command's (it is passed on where it came to filemon
 * alone), and the watch ends with the command.
 */
#ifndef FILEMON_RUN_H
#define FILEMON_RUN_H

#include "engine/engine.h"
#include "options.h"

/* Builds the module, or whatever makes later starts fast.  Exit status. */
int run_prepare(const struct options *options, const struct engine_ops *ops);

/* Watches until it is over.  The exit status of contract and man page. */
int run_watch(const struct options *options, const struct engine_ops *ops);

/* What the options say to an engine; the filter is the caller's. */
struct engine_config run_config(const struct options *options, const struct pathfilter *filter);

#endif
