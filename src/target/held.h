/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that targets hold open when the watch begins.
 *
 * They are read from /proc while the targets run on.  So the engine watches first and gives every
 * close from then on; then they are read; and what happened to a descriptor until the engine has
 * caught up with the reading takes it off the list again: nobody knows which of the two was first.
 */
#ifndef FILEMON_HELD_H
#define FILEMON_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"
#include "target/procfs.h"

struct held_files;

/* Whose files. */
struct held_scope {
    const pid_t *pids; /* the targets, rising */
    size_t n_pids;
    int depth;  /* generations of descendants, below 0: every one */
    bool all;   /* every process */
    pid_t self; /* but for this one */
};

/* Reads them.  0, or -errno; processes that end meanwhile are none.  Free with held_free(). */
int held_read(struct held_files **held, const struct procfs *procfs,
              const struct held_scope *scope);
void held_free(struct held_files *held);

/* This has happened since the watch began. */
void held_forget(struct held_files *held, const struct event *event);

/* Gives an EVENT_HELD for each that is left. */
void held_give(const struct held_files *held, void (*give)(void *ctx, const struct event *event),
               void *ctx);

#endif
