/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/held.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

struct file {
    pid_t pid, ppid;
    int fd;
    uint32_t flags;
    char comm[EVENT_COMM_SIZE];
    char *path;     /* NULL: forgotten, or given */
    bool cut;       /* it is too long for /proc */
    uint64_t at_ns; /* they were read before this */
};

struct held_files {
    struct file *files; /* by rising pid and descriptor */
    size_t count, room;
    int64_t epoch_us;  /* when the monotonic clock was 0 */
    size_t unreadable; /* processes; the first: */
    pid_t unreadable_pid;
    char unreadable_comm[EVENT_COMM_SIZE];
};

/* Stands for a path of which nothing is known. */
#define CUT_PATH "..."

struct reading {
    struct held_files *held;
    const struct procfs *procfs;
    const struct held_scope *scope;
    pid_t pid;
    struct procfs_stat stat;
};

static int compare_pids(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

static bool is_target(const struct held_scope *scope, pid_t pid)
{
    return scope->n_pids > 0 &&
           bsearch(&pid, scope->pids, scope->n_pids, sizeof(pid), compare_pids) != NULL;
}

/* Is it one, or does it descend from one? */
static bool is_within(const struct reading *reading, pid_t pid)
{
    struct procfs_stat stat = reading->stat;

    if (reading->scope->all)
        return pid != reading->scope->self && stat.ppid != reading->scope->self;
    for (int generation = 0; pid > 0; generation++) {
        if (pid == reading->scope->self) /* of "-p $$", filemon is a descendant */
            return false;
        if (is_target(reading->scope, pid))
            return reading->scope->depth < 0 || generation <= reading->scope->depth;
        pid = stat.ppid;
        if (pid == 0 || procfs_stat(reading->procfs, pid, &stat) != 0)
            return false;
    }
    return false;
}

static int add_file(void *ctx, const struct procfs_file *file)
{
    struct reading *reading = ctx;
    struct held_files *held = reading->held;
    struct file *files;

    /* A command that is still to be executed: these are ours, and it will not have them. */
    if (reading->stat.ppid == reading->scope->self && (file->flags & O_CLOEXEC))
        return 0;
    if (held->count == held->room) {
        files = reallocarray(held->files, held->room ? 2 * held->room : 64, sizeof(*files));
        if (files == NULL)
            return -ENOMEM;
        held->files = files;
        held->room = held->room ? 2 * held->room : 64;
    }
    files = &held->files[held->count];
    *files = (struct file){.pid = reading->pid,
                           .ppid = reading->stat.ppid,
                           .fd = file->fd,
                           .flags = file->flags,
                           .cut = file->path == NULL,
                           .path = strdup(file->path != NULL ? file->path : CUT_PATH)};
    memcpy(files->comm, reading->stat.comm, sizeof(files->comm) - 1);
    if (files->path == NULL)
        return -ENOMEM;
    held->count++;
    return 0;
}

/* Of many, naming one is enough to see what is wrong. */
static void note_unreadable(struct held_files *held, const struct reading *reading)
{
    if (held->unreadable++ > 0)
        return;
    held->unreadable_pid = reading->pid;
    memcpy(held->unreadable_comm, reading->stat.comm, sizeof(held->unreadable_comm) - 1);
}

static int add_process(void *ctx, pid_t pid)
{
    struct reading *reading = ctx;
    struct held_files *held = reading->held;
    size_t before = held->count;
    int result = procfs_stat(reading->procfs, pid, &reading->stat);

    if (procfs_is_shortage(result))
        return result;
    if (result != 0 || reading->stat.kernel_thread || !is_within(reading, pid))
        return 0;
    reading->pid = pid;
    result = procfs_files(reading->procfs, reading->stat.thread, add_file, reading);
    for (size_t i = before; i < held->count; i++)
        held->files[i].at_ns = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    if (result == -EACCES || result == -EPERM)
        note_unreadable(held, reading);
    return procfs_is_shortage(result) ? result : 0;
}

int held_read(struct held_files **held, const struct procfs *procfs, const struct held_scope *scope)
{
    struct reading reading = {.procfs = procfs, .scope = scope};
    int result;

    reading.held = calloc(1, sizeof(*reading.held));
    if (reading.held == NULL)
        return -ENOMEM;
    reading.held->epoch_us = clock_epoch_ns() / 1000;
    result = procfs_each(procfs, add_process, &reading);
    if (result < 0) {
        held_free(reading.held);
        return result;
    }
    *held = reading.held;
    return 0;
}

size_t held_unreadable(const struct held_files *held, pid_t *pid, const char **comm)
{
    *pid = held->unreadable_pid;
    *comm = held->unreadable_comm;
    return held->unreadable;
}

void held_free(struct held_files *held)
{
    if (held == NULL)
        return;
    for (size_t i = 0; i < held->count; i++)
        free(held->files[i].path);
    free(held->files);
    free(held);
}

/* The first file of this process, or of the next one. */
static size_t find(const struct held_files *held, pid_t pid)
{
    size_t low = 0, high = held->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (held->files[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget(struct file *file)
{
    free(file->path);
    file->path = NULL;
}

static void give(const struct held_files *held, struct file *file, held_take *take, void *ctx)
{
    struct event event = {.code = EVENT_HELD,
                          .pid = file->pid,
                          .ppid = file->ppid,
                          .tid = file->pid,
                          .comm = file->comm,
                          .path = file->path,
                          .path_cut = file->cut,
                          .fd = file->fd,
                          .date_us = held->epoch_us + (int64_t)(file->at_ns / 1000),
                          .mono_ns = file->at_ns,
                          .flags = file->flags,
                          .mode = EVENT_NO_MODE};

    if (file->path == NULL)
        return;
    event.path_len = strlen(file->path);
    take(ctx, &event);
    forget(file);
}

static bool is_in(const struct fd_range *range, int fd)
{
    return (unsigned int)fd >= range->first && (unsigned int)fd <= range->last;
}

static bool concerns(const struct event *event, int fd)
{
    if (event->code == EVENT_EXIT)
        return true;
    for (size_t i = 0; i < event->n_ranges; i++)
        if (is_in(&event->ranges[i], fd))
            return true;
    return event->n_ranges == 0 && event->fd == fd;
}

/*
 * A close comes with the time when it began.  What was read after that may be what was put in the
 * place of the closed one; what was read before it was held.  An opening comes with the time when
 * it ended: what was read before that may be what it opened.
 */
static bool is_doubtful(const struct file *file, const struct event *event)
{
    bool opens = event->code == EVENT_OPEN || event->code == EVENT_DUP;

    return concerns(event, file->fd) && (opens || event->mono_ns < file->at_ns);
}

void held_meet(struct held_files *held, const struct event *event, held_take *take, void *ctx)
{
    for (size_t i = find(held, event->pid); i < held->count; i++) {
        struct file *file = &held->files[i];

        if (file->pid != event->pid)
            break;
        if (is_doubtful(file, event))
            forget(file);
        else if (event->mono_ns >= file->at_ns)
            give(held, file, take, ctx);
    }
}

void held_give(struct held_files *held, held_take *take, void *ctx)
{
    for (size_t i = 0; i < held->count; i++)
        give(held, &held->files[i], take, ctx);
}
