/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/targets.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "diag.h"
#include "target/names.h"

/* ---- The processes of -p -------------------------------------------------------------------- */

/* Whether the process exists although /proc does not show it. */
static bool is_hidden(const struct targets *targets, pid_t pid)
{
    return targets->procfs.real && (kill(pid, 0) == 0 || errno == EPERM);
}

static void refuse_unread(const struct targets *targets, pid_t pid, int error)
{
    if (error != -ESRCH)
        diag(DIAG_ERROR, "process %d cannot be watched: reading /proc/%d/stat: %s", pid, pid,
             strerror(-error));
    else if (is_hidden(targets, pid))
        diag(DIAG_ERROR,
             "process %d cannot be watched: it exists, but /proc hides it (mount option hidepid); "
             "root with CAP_SYS_PTRACE sees it",
             pid);
    else
        diag(DIAG_ERROR,
             "there is no process %d: it has exited, or never existed; -n NAME waits for a program",
             pid);
}

/* Why a process that /proc shows cannot be watched; NULL: it can. */
static const char *obstacle(const struct procfs_stat *stat, pid_t pid)
{
    if (stat->state == 'Z' || stat->state == 'X')
        return "it has exited, and only its parent still has to wait for it";
    if (stat->kernel_thread)
        return "it is a kernel thread, and only programs open files";
    return pid == getpid() ? "it is filemon itself" : NULL;
}

/* Reports why the process cannot be watched, if so. */
static bool may_watch(const struct targets *targets, pid_t pid, struct procfs_stat *stat)
{
    int result = procfs_stat(&targets->procfs, pid, stat);
    const char *why = result == 0 ? obstacle(stat, pid) : NULL;
    pid_t leader;

    if (result < 0) {
        refuse_unread(targets, pid, result);
        return false;
    }
    if (why) {
        diag(DIAG_ERROR, "process %d cannot be watched: %s", pid, why);
        return false;
    }
    leader = procfs_leader(&targets->procfs, pid);
    if (leader != pid)
        diag(DIAG_ERROR,
             "%d is a thread of process %d, and descriptors are the process's: -p %d watches them",
             pid, leader, leader);
    return leader == pid;
}

static int pin_processes(struct targets *targets)
{
    const struct options *options = targets->options;

    targets->pins = calloc(options->n_pids + 1, sizeof(*targets->pins));
    if (!targets->pins) {
        diag(DIAG_ERROR, "-p: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    for (size_t i = 0; i < options->n_pids; i++) {
        struct procfs_stat stat;

        if (may_watch(targets, options->pids[i], &stat))
            targets->pins[targets->n_pins++] = procfs_pin(&targets->procfs, options->pids[i],
                                                          &stat);
    }
    return options->n_pids > 0 && targets->n_pins == 0 && !options->names[0] && !options->groups[0]
               ? -ESRCH
               : 0;
}

/* ---- The control groups of -g --------------------------------------------------------------- */

/* The directory that has the group's directory. */
static int watch_parent(struct targets *targets, const struct cgroup *group)
{
    char parent[PATH_MAX];

    snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(group->path, '/') - group->path),
             group->path);
    return inotify_add_watch(targets->removals, parent, IN_DELETE | IN_ONLYDIR) < 0 ? -errno : 0;
}

static int add_group(struct targets *targets, const char *root, const char *given)
{
    struct cgroup *group = &targets->groups[targets->n_groups];
    int result = cgroups_find(root, given, group);

    if (result < 0)
        return result;
    targets->group_ids[targets->n_groups++] = group->id;
    result = watch_parent(targets, group);
    if (result == 0 && !cgroup_exists(group))
        result = -ENOENT;
    if (result < 0)
        diag(DIAG_ERROR, "-g %s: %s: %s", given, group->path, strerror(-result));
    return result;
}

static int make_groups(struct targets *targets, size_t n)
{
    targets->groups = calloc(n, sizeof(*targets->groups));
    targets->group_ids = calloc(n, sizeof(*targets->group_ids));
    targets->removals = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (targets->groups && targets->group_ids && targets->removals >= 0)
        return 0;
    diag(DIAG_ERROR, "-g: %s", strerror(errno));
    return -errno;
}

static int find_groups(struct targets *targets)
{
    char **given = targets->options->groups, root[PATH_MAX];
    int result;

    if (!given[0])
        return 0;
    result = cgroups_root("-g", root);
    if (result < 0)
        return result;
    result = make_groups(targets, ENGINE_GROUPS_MAX);
    for (; result == 0 && *given; given++)
        result = add_group(targets, root, *given);
    return result;
}

bool targets_groups_removed(struct targets *targets)
{
    char events[4096];

    while (read(targets->removals, events, sizeof(events)) > 0) {
    }
    for (size_t i = 0; i < targets->n_groups; i++)
        if (cgroup_exists(&targets->groups[i]))
            return false;
    close(targets->removals);
    targets->removals = -1;
    return true;
}

/* ---- /proc ---------------------------------------------------------------------------------- */

static bool needs_procfs(const struct options *options)
{
    return options->n_pids > 0 || options->names[0];
}

static int open_procfs(struct targets *targets, const char *proc)
{
    int result = procfs_open(&targets->procfs, proc);

    if (!needs_procfs(targets->options))
        return 0;
    if (result < 0) {
        diag(DIAG_ERROR, "%s: %s; -p and -n need it: mount -t proc proc %s", proc,
             strerror(-result), proc);
        return result;
    }
    if (procfs_is_own(&targets->procfs))
        return 0;
    diag(DIAG_ERROR,
         "%s shows the processes of another pid namespace: -p and -n need one of this "
         "namespace, as 'unshare --pid --fork --mount-proc' mounts it",
         proc);
    return -EXDEV;
}

int targets_open(struct targets *targets, const struct options *options, const char *proc)
{
    int result;

    *targets = (struct targets)TARGETS_NONE;
    targets->options = options;
    result = open_procfs(targets, proc);
    if (result == 0)
        result = find_groups(targets);
    return result < 0 ? result : pin_processes(targets);
}

void targets_close(struct targets *targets)
{
    for (size_t i = 0; i < targets->n_pins; i++)
        procfs_unpin(&targets->pins[i]);
    free(targets->pins);
    free(targets->watched);
    for (size_t i = 0; i < targets->n_groups; i++)
        free(targets->groups[i].path);
    free(targets->groups);
    free(targets->group_ids);
    if (targets->removals >= 0)
        close(targets->removals);
    if (targets->procfs.fd >= 0)
        procfs_close(&targets->procfs);
}

/* ---- Watching ------------------------------------------------------------------------------- */

static int add(struct targets *targets, const pid_t *pids, size_t n)
{
    pid_t *more = reallocarray(targets->watched, targets->n_watched + n + 1, sizeof(*more));

    if (!more) {
        diag(DIAG_ERROR, "the list of processes: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    if (n > 0) /* else pids may be NULL, which memcpy(3) does not allow */
        memcpy(more + targets->n_watched, pids, n * sizeof(*pids));
    targets->watched = more;
    targets->n_watched += n;
    return 0;
}

static int add_pins(struct targets *targets)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < targets->n_pins; i++) {
        const struct procfs_pin *pin = &targets->pins[i];

        if (procfs_has_exited(&targets->procfs, pin))
            diag(DIAG_WARNING, "process %d has exited", pin->pid);
        else
            result = add(targets, &pin->pid, 1);
    }
    return result;
}

static void report_waiting(const struct programs *programs, const char *name)
{
    const char *nearest = programs_nearest(programs, name);

    if (nearest)
        diag(DIAG_INFO,
             "%s: no such process yet; waiting for one to start (did you mean '%s', which is "
             "running?)",
             name, nearest);
    else
        diag(DIAG_INFO, "%s: no such process yet; waiting for one to start", name);
}

static int add_name(struct targets *targets, const struct programs *programs, const char *name)
{
    struct name_match match;
    int result = programs_match(programs, name, &match);

    if (result < 0)
        diag(DIAG_ERROR, "-n %s: %s", name, strerror(-result));
    else if (match.rule == NAME_NONE)
        report_waiting(programs, name);
    else
        diag(DIAG_INFO, "%s: %zu process%s, by %s", name, match.n_pids,
             match.n_pids == 1 ? "" : "es", name_rule_string(match.rule));
    if (result == 0)
        result = add(targets, match.pids, match.n_pids);
    name_match_release(&match);
    return result;
}

static int add_names(struct targets *targets)
{
    struct programs *programs = NULL;
    int result;

    if (!targets->options->names[0])
        return 0;
    result = programs_read(&programs, &targets->procfs, getpid());
    if (result < 0) {
        diag(DIAG_ERROR, "-n: running programs cannot be read from /proc: %s", strerror(-result));
        return result;
    }
    for (char **name = targets->options->names; result == 0 && *name; name++)
        result = add_name(targets, programs, *name);
    programs_free(programs);
    return result;
}

static const struct procfs_pin *find_pin(const struct targets *targets, pid_t pid)
{
    for (size_t i = 0; i < targets->n_pins; i++)
        if (targets->pins[i].pid == pid)
            return &targets->pins[i];
    return NULL;
}

static int watch_pid(const struct targets *targets, const struct engine_ops *ops,
                     struct engine *engine, pid_t pid)
{
    const struct procfs_pin *pin = find_pin(targets, pid);
    int result = ops->watch(engine, pid);

    if (result == -ESRCH && !(pin && !procfs_has_exited(&targets->procfs, pin))) {
        diag(DIAG_WARNING, "process %d has exited", pid);
        return 0;
    }
    if (result == -ESRCH)
        diag(DIAG_ERROR,
             "process %d cannot be watched: /proc shows it, but it is not in the kernel's list of "
             "processes",
             pid);
    else if (result < 0)
        diag(DIAG_ERROR, "process %d cannot be watched: %s", pid, strerror(-result));
    return result;
}

static int report_held(const struct engine_ops *ops, struct engine *engine)
{
    int result = ops->report_held(engine);

    if (result < 0)
        diag(DIAG_ERROR, "-i: the files that are initially open cannot be reported: %s",
             strerror(-result));
    return result;
}

static int end_when_idle(const struct engine_ops *ops, struct engine *engine)
{
    int result = ops->end_when_idle(engine);

    if (result < 0)
        diag(DIAG_ERROR, "cannot watch: %s", strerror(-result));
    return result;
}

int targets_watch(struct targets *targets, const struct engine_ops *ops, struct engine *engine,
                  pid_t command)
{
    const struct options *options = targets->options;
    int result = add_names(targets);

    if (result == 0)
        result = add_pins(targets);
    if (result == 0 && command > 0)
        result = add(targets, &command, 1);
    targets->n_watched = options_sort_pids(targets->watched, targets->n_watched);
    for (size_t i = 0; result == 0 && i < targets->n_watched; i++)
        result = watch_pid(targets, ops, engine, targets->watched[i]);
    if (result == 0 && options->initial)
        result = report_held(ops, engine);
    if (result == 0 && !options->all && !options->names[0] && !options->groups[0])
        result = end_when_idle(ops, engine);
    return result;
}
