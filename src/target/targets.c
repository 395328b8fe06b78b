/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag.h"
#include "target/names.h"

/* Whether it can be watched; says why not. */
static bool is_process(const struct targets *targets, pid_t pid)
{
    struct procfs_stat stat;
    pid_t leader;

    if (procfs_stat(&targets->procfs, pid, &stat) < 0 || stat.state == 'Z' || stat.state == 'X') {
        diag(DIAG_ERROR,
             "there is no process %d: it has ended, or never was; -n NAME waits for a program",
             pid);
        return false;
    }
    leader = procfs_leader(&targets->procfs, pid);
    if (leader != pid)
        diag(DIAG_ERROR,
             "%d is a thread of process %d, and descriptors are the process's: -p %d watches them",
             pid, leader, leader);
    else if (stat.kernel_thread)
        diag(DIAG_WARNING,
             "process %d (%s) is a kernel thread: only programs that it starts open files", pid,
             stat.comm);
    return leader == pid;
}

/* Keeps those that are there. */
static int find_pids(struct targets *targets)
{
    const struct options *options = targets->options;

    targets->pids = calloc(options->n_pids + 1, sizeof(*targets->pids));
    if (!targets->pids)
        return -ENOMEM;
    for (size_t i = 0; i < options->n_pids; i++)
        if (is_process(targets, options->pids[i]))
            targets->pids[targets->n_pids++] = options->pids[i];
    return options->n_pids > 0 && targets->n_pids == 0 && !options->names[0] ? -ESRCH : 0;
}

int targets_open(struct targets *targets, const struct options *options, const char *proc)
{
    int result;

    *targets = (struct targets){.options = options, .procfs = {.fd = -1}};
    result = procfs_open(&targets->procfs, proc);
    if (result < 0) {
        diag(DIAG_ERROR, "%s: %s", proc, strerror(-result));
        return result;
    }
    return find_pids(targets);
}

void targets_close(struct targets *targets)
{
    free(targets->pids);
    free(targets->watched);
    if (targets->procfs.fd >= 0)
        procfs_close(&targets->procfs);
}

struct watch {
    struct targets *targets;
    const struct engine_ops *ops;
    struct engine *engine;
};

static int add_watched(struct targets *targets, pid_t pid)
{
    pid_t *more = reallocarray(targets->watched, targets->n_watched + 1, sizeof(*more));

    if (!more)
        return -ENOMEM;
    more[targets->n_watched++] = pid;
    targets->watched = more;
    return 0;
}

static int watch_pid(const struct watch *watch, pid_t pid)
{
    int result = watch->ops->watch(watch->engine, pid);

    if (result == 0 && watch->targets->options->initial)
        result = add_watched(watch->targets, pid);
    if (result == -ESRCH) {
        diag(DIAG_WARNING, "process %d has ended", pid);
        return 0;
    }
    if (result < 0)
        diag(DIAG_ERROR, "cannot watch process %d: %s", pid, strerror(-result));
    return result;
}

/* Nothing is wrong with a name that does not run yet, unless it is a typing error. */
static void say_waiting(const struct programs *programs, const char *name)
{
    const char *nearest = programs_nearest(programs, name);

    if (nearest)
        diag(DIAG_INFO,
             "%s: no such process yet; waiting for one to start (is '%s' meant, which runs?)", name,
             nearest);
    else
        diag(DIAG_INFO, "%s: no such process yet; waiting for one to start", name);
}

static int watch_name(const struct watch *watch, const struct programs *programs, const char *name)
{
    struct name_match match;
    int result = programs_match(programs, name, &match);

    if (result < 0)
        diag(DIAG_ERROR, "-n %s: %s", name, strerror(-result));
    else if (match.rule == NAME_NONE)
        say_waiting(programs, name);
    else
        diag(DIAG_INFO, "%s: %zu process%s, by %s", name, match.n_pids,
             match.n_pids == 1 ? "" : "es", name_rule_string(match.rule));
    for (size_t i = 0; result == 0 && i < match.n_pids; i++)
        result = watch_pid(watch, match.pids[i]);
    name_match_release(&match);
    return result;
}

static int watch_names(const struct watch *watch)
{
    struct programs *programs;
    int result;

    if (!watch->targets->options->names[0])
        return 0;
    result = programs_read(&programs, &watch->targets->procfs, getpid());
    if (result < 0) {
        diag(DIAG_ERROR, "-n: the programs that run cannot be read from /proc: %s",
             strerror(-result));
        return result;
    }
    for (char **name = watch->targets->options->names; result == 0 && *name; name++)
        result = watch_name(watch, programs, *name);
    programs_free(programs);
    return result;
}

int targets_watch(struct targets *targets, const struct engine_ops *ops, struct engine *engine,
                  pid_t command)
{
    const struct watch watch = {targets, ops, engine};
    int result = watch_names(&watch);

    for (size_t i = 0; result == 0 && i < targets->n_pids; i++)
        result = watch_pid(&watch, targets->pids[i]);
    if (result == 0 && command > 0)
        result = watch_pid(&watch, command);
    return result;
}

int targets_read_held(const struct targets *targets, struct held_files **held)
{
    const struct held_scope scope = {.pids = targets->watched,
                                     .n_pids = targets->n_watched,
                                     .depth = targets->options->depth,
                                     .all = targets->options->all,
                                     .self = getpid()};
    int result = held_read(held, &targets->procfs, &scope);

    if (result < 0)
        diag(DIAG_ERROR, "the files that are initially open cannot be read from /proc: %s",
             strerror(-result));
    return result;
}
