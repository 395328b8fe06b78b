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
#include "target/procfs.h"

struct targets {
    const struct options *options; /* borrowed */
    struct procfs procfs;
    struct procfs_pin *pins; /* those of -p that exist at start: building a module takes a while */
    size_t n_pins;
    pid_t *watched; /* the processes that the engine is told to watch, rising, each once */
    size_t n_watched;
};

/*
 * Finds the processes of -p; proc is the root of procfs, "/proc".  0; -ESRCH when there is none of
 * them and no -n; -EXDEV when /proc shows another pid namespace; -errno.  Call targets_close() in
 * any case.
 */
int targets_open(struct targets *targets, const struct options *options, const char *proc);
void targets_close(struct targets *targets);

/*
 * Has the engine watch the processes of -n and -p, and the command (0: none).  The engine must be
 * watching already: it matches names itself, so no program is missed that starts after /proc was
 * read.  0, also when all of them have exited; -ESRCH when the engine does not find one that runs;
 * -errno.
 */
int targets_watch(struct targets *targets, const struct engine_ops *ops, struct engine *engine,
                  pid_t command);

#endif
