/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that targets hold open when the watch begins.
 *
 * They are read from /proc while the targets run on.  So the engine watches first, and gives every
 * close from then on; then they are read.  Until the engine has caught up with the reading, its
 * events are shown to the list: those of before the reading take off it what nobody can tell, and
 * the first of after it lets the process's files go ahead.
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
    pid_t self; /* filemon: neither it nor its children count, but the command does, which is one of
                   pids and reported with the files alone that outlive exec */
};

/* Reads them.  0, or -errno; processes that end meanwhile are none.  Free with held_free(). */
int held_read(struct held_files **held, const struct procfs *procfs,
              const struct held_scope *scope);
void held_free(struct held_files *held);

/* How many processes' files may not be read, and, where it is not 0, which one is the first.  The
 * comm lasts as long as held. */
size_t held_unreadable(const struct held_files *held, pid_t *pid, const char **comm);

typedef void held_take(void *ctx, const struct event *event);

/* An event that take() has not had yet: gives it an EVENT_HELD for each file that has to come
 * before that event. */
void held_meet(struct held_files *held, const struct event *event, held_take *take, void *ctx);

/* Gives all that are left. */
void held_give(struct held_files *held, held_take *take, void *ctx);

#endif
