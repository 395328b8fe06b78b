/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of targets: finds the processes that the options name, and has the engine watch them.
 * A function that fails has reported why.
 */
#ifndef FILEMON_TARGETS_H
#define FILEMON_TARGETS_H

#include <stddef.h>
#include <sys/types.h>

#include "engine/engine.h"
#include "options.h"
#include "target/cgroups.h"
#include "target/procfs.h"

struct targets {
    const struct options *options; /* borrowed */
    struct procfs procfs;
    struct procfs_pin *pins; /* processes of -p: their pids can be reused while a module is built */
    size_t n_pins;
    struct cgroup *groups; /* of -g */
    uint64_t *group_ids;
    size_t n_groups;
    int removals;   /* an inotify(7) of the directories above them; -1: none */
    pid_t *watched; /* processes that the engine watches, in rising order, each once */
    size_t n_watched;
};

/* Nothing to close. */
#define TARGETS_NONE                                                                               \
    {                                                                                              \
        .procfs = {.fd = -1}, .removals = -1                                                       \
    }

/*
 * Pins the processes of -p, and finds the control groups of -g.  proc: the root of procfs, "/proc".
 * 0; -ESRCH if no process of -p can be watched and there is no -n or -g; -EXDEV if /proc shows
 * another pid namespace; -EINVAL if a control group is not found; -errno.  Call targets_close() in
 * any case.
 */
int targets_open(struct targets *targets, const struct options *options, const char *proc);
void targets_close(struct targets *targets);

/*
 * Has the engine watch the processes of -n and -p, and the command (its pid; 0: none).  With -i it
 * reports the files that are initially open; without -n and -a it says when no target is left.  The
 * engine must be watching already: it matches names at exec, so that no program is missed between
 * the scan of /proc and the watch.  0, even if all of them have exited; -ESRCH if the engine does
 * not find a process that runs; -errno.
 */
int targets_watch(struct targets *targets, const struct engine_ops *ops, struct engine *engine,
                  pid_t command);

/* To be called when targets.removals can be read: whether all control groups were removed now.
 * Forgets them then. */
bool targets_groups_removed(struct targets *targets);

#endif
