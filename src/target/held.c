/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/held.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct file {
    pid_t pid, ppid;
    int fd;
    uint32_t flags;
    char comm[EVENT_COMM_SIZE];
    char *path; /* NULL: forgotten */
};

struct held_files {
    struct file *files; /* by rising pid and descriptor */
    size_t count, room;
    int64_t date_us;
    uint64_t mono_ns;
};

struct reading {
    struct held_files *held;
    const struct procfs *procfs;
    const struct held_scope *scope;
    pid_t pid;
    struct procfs_stat stat;
};

static bool is_target(const struct held_scope *scope, pid_t pid)
{
    for (size_t i = 0; i < scope->n_pids; i++)
        if (scope->pids[i] == pid)
            return true;
    return false;
}

/* Is it one, or does it descend from one? */
static bool is_within(const struct reading *reading, pid_t pid)
{
    struct procfs_stat stat = reading->stat;

    if (reading->scope->all)
        return pid != reading->scope->self && stat.ppid != reading->scope->self;
    for (int generation = 0; pid > 0; generation++) {
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
                           .path = strdup(file->path)};
    memcpy(files->comm, reading->stat.comm, sizeof(files->comm) - 1);
    if (files->path == NULL)
        return -ENOMEM;
    held->count++;
    return 0;
}

static int add_process(void *ctx, pid_t pid)
{
    struct reading *reading = ctx;
    int result;

    if (procfs_stat(reading->procfs, pid, &reading->stat) != 0 || !is_within(reading, pid))
        return 0;
    reading->pid = pid;
    result = procfs_files(reading->procfs, pid, add_file, reading);
    return result == -ENOMEM ? result : 0;
}

int held_read(struct held_files **held, const struct procfs *procfs, const struct held_scope *scope)
{
    struct reading reading = {.procfs = procfs, .scope = scope};
    struct timespec now;
    int result;

    reading.held = calloc(1, sizeof(*reading.held));
    if (reading.held == NULL)
        return -ENOMEM;
    result = procfs_each(procfs, add_process, &reading);
    if (result < 0) {
        held_free(reading.held);
        return result;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    reading.held->date_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    clock_gettime(CLOCK_MONOTONIC, &now);
    reading.held->mono_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    *held = reading.held;
    return 0;
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

static void forget_range(struct held_files *held, pid_t pid, struct fd_range range)
{
    for (size_t i = find(held, pid); i < held->count && held->files[i].pid == pid; i++) {
        struct file *file = &held->files[i];

        if ((unsigned int)file->fd < range.first || (unsigned int)file->fd > range.last)
            continue;
        free(file->path);
        file->path = NULL;
    }
}

void held_forget(struct held_files *held, const struct event *event)
{
    if (event->code == EVENT_EXIT)
        forget_range(held, event->pid, (struct fd_range){0, UINT_MAX});
    else if (event->n_ranges == 0 && event->fd >= 0)
        forget_range(held, event->pid,
                     (struct fd_range){(unsigned int)event->fd, (unsigned int)event->fd});
    for (size_t i = 0; i < event->n_ranges; i++)
        forget_range(held, event->pid, event->ranges[i]);
}

void held_give(const struct held_files *held, void (*give)(void *ctx, const struct event *event),
               void *ctx)
{
    for (size_t i = 0; i < held->count; i++) {
        const struct file *file = &held->files[i];
        struct event event = {.code = EVENT_HELD,
                              .pid = file->pid,
                              .ppid = file->ppid,
                              .tid = file->pid,
                              .comm = file->comm,
                              .path = file->path,
                              .fd = file->fd,
                              .date_us = held->date_us,
                              .mono_ns = held->mono_ns,
                              .flags = file->flags,
                              .mode = EVENT_NO_MODE};

        if (file->path == NULL)
            continue;
        event.path_len = strlen(file->path);
        give(ctx, &event);
    }
}
