/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of targets: which processes the options name, and having the engine watch them.
 * Every failure has been reported when a call returns.
 */
#ifndef FILEMON_TARGETS_H
#define FILEMON_TARGETS_H

#include <stddef.h>
#include <sys/types.h>

#include "engine/engine.h"
#include "options.h"
#include "target/held.h"
#include "target/procfs.h"

struct targets {
    const struct options *options; /* borrowed */
    struct procfs procfs;
    pid_t *pids; /* those of -p that exist at start */
    size_t n_pids;
    pid_t *watched; /* with -i: the processes that the engine was told to watch */
    size_t n_watched;
};

/* Finds the processes of -p; proc is the root of procfs, "/proc".  0, -errno; call targets_close()
 * in either case. */
int targets_open(struct targets *targets, const struct options *options, const char *proc);
void targets_close(struct targets *targets);

/*
 * Has the engine watch the processes of -n and -p, and the command (0: none).  The engine must be
 * watching already: it matches names itself, so no program is missed that starts after /proc was
 * read.  0, -errno.
 */
int targets_watch(struct targets *targets, const struct engine_ops *ops, struct engine *engine,
                  pid_t command);

/* Reads the files that the watched processes hold open.  0, -errno. */
int targets_read_held(const struct targets *targets, struct held_files **held);

#endif
