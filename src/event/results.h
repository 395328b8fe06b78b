/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results of close(2).  The CLOSE of a file whose file system has a say in it (its operation flush)
 * is delivered at the entry of the call, and its result when the call returns.  The record waits
 * for it, and with it the later records of its process and of others with the same file descriptor
 * table: their order stays what the kernel did.
 */
#ifndef FILEMON_RESULTS_H
#define FILEMON_RESULTS_H

#include "event/event.h"

/* So many records wait at most.  If more would, the oldest result is not waited for. */
#define RESULTS_WAITING 4096

struct results;

/* Gets the records in order.  A CLOSE whose result is known to be an error has its name in the
 * facts. */
typedef void results_emit(void *ctx, const struct event *record);

/* NULL: no memory.  Free with results_free(), which takes NULL and emits nothing. */
struct results *results_new(results_emit *emit, void *ctx);
void results_free(struct results *results);

/* Passes a record on, now or later.  It waits if it is a CLOSE with FACT(RESULT), or has to follow
 * one. */
void results_take(struct results *results, const struct event *record);

/* To be called with each event of an engine before the records that it leads to: with RESULT, and
 * with those that show that there will be none, since the thread does something else or its table
 * has ended. */
void results_note(struct results *results, const struct event *event);

/* Passes on all that waits: no event follows. */
void results_end(struct results *results);

#endif
