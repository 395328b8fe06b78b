/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event → ledger → filter → summary and output, behind one call: pipeline_take().
 *
 * Records wait in memory until the poll loop finds that the output takes them: pipeline_pollfd(),
 * pipeline_hangup(), pipeline_write().  The first error of the output ends it: the message has been
 * given when a call returns, pipeline_error() is the error from then on, and later records only
 * count in the summary.
 *
 * A pipeline that is all zeros takes no event and has no output; each other call does nothing.
 */
#ifndef FILEMON_PIPELINE_H
#define FILEMON_PIPELINE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "event/recordfilter.h"
#include "options.h"

struct pipeline {
    const struct options *options; /* borrowed */
    struct recordfilter filter;
    struct ledger *ledger;
    struct results *results; /* NULL: none is asked for */
    struct facts *facts;     /* NULL: none is asked for */
    struct summary *summary; /* NULL: the options ask for none */
    struct output *output;   /* NULL: not opened */
    bool awaits_mark;        /* set by who asked for an EVENT_MARK: it prints the summary */
    int64_t read_us;         /* date of the latest record that was read; 0: none was */
    int64_t due_us; /* --every: totals are due at a record of this date; 0: not known yet */
    int error;      /* 0: the output takes lines */
    uint64_t lost;  /* events */
    bool said_no_bytes;
};

/* Borrows options and paths.  0, or -errno with a message given.  Call pipeline_close() in any
 * case. */
int pipeline_open(struct pipeline *pipeline, const struct options *options,
                  const struct pathfilter *paths);

/* An engine_sink.event; ctx is the pipeline. */
void pipeline_take(void *ctx, const struct event *event);

/* The same for a record, which passes the ledger by.  With --every, totals are printed when the
 * date of records has reached the next interval. */
void pipeline_take_record(void *ctx, const struct event *record);

/* No event follows: prints the summary that awaits a mark, and the last one. */
void pipeline_finish(struct pipeline *pipeline);

bool pipeline_has_summary(const struct pipeline *pipeline);

/* Prints the summary so far. */
void pipeline_print_summary(struct pipeline *pipeline);

/* 0; -EPIPE when the output's reader has gone, which is no failure; another -errno. */
int pipeline_error(const struct pipeline *pipeline);

/* More than OUTPUT_HIGH_WATER waits: the caller reads no further event until less does. */
bool pipeline_is_full(const struct pipeline *pipeline);

/* Nothing waits to be written, or nothing can be written any more. */
bool pipeline_is_drained(const struct pipeline *pipeline);

/* What poll() waits for.  Where it finds POLLERR, POLLHUP or POLLNVAL, pipeline_hangup() is due. */
struct pollfd pipeline_pollfd(const struct pipeline *pipeline);
void pipeline_hangup(struct pipeline *pipeline);

/* Writes what the output takes without blocking. */
void pipeline_write(struct pipeline *pipeline);

/* The options name the output's FILE, which pipeline_reopen() opens anew. */
bool pipeline_has_file(const struct pipeline *pipeline);
void pipeline_reopen(struct pipeline *pipeline);

/* The last pipeline_write(): returns how many lines the output did not take. */
size_t pipeline_flush(struct pipeline *pipeline);

/* Frees all.  discard: lines that still wait are no error.  0, or the -errno that ended the output,
 * now or before, with a message given. */
int pipeline_close(struct pipeline *pipeline, bool discard);

#endif
