/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Mounts tracefs in no mount namespace: nobody else sees it, and closing the descriptor unmounts
 * it. */
static int mount_tracefs(void)
{
    int fs = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), mount = -1, error;

    if (fs < 0)
        return -1;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
    error = errno;
    close(fs);
    errno = error;
    return mount;
}

static int open_tracefs(void)
{
    int fd = open("/sys/kernel/tracing/events", O_PATH | O_CLOEXEC);

    if (fd < 0)
        return mount_tracefs();
    close(fd);
    return open("/sys/kernel/tracing", O_PATH | O_CLOEXEC);
}

/* The event's number for perf_event_open(2); -1: see errno. */
static long event_id(const char *event)
{
    char path[128], text[32] = "";
    int tracefs = open_tracefs(), fd;
    long id = -1;

    if (tracefs < 0)
        return -1;
    snprintf(path, sizeof(path), "events/%s/id", event);
    fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && sscanf(text, "%ld", &id) != 1)
        errno = EINVAL;
    if (fd >= 0)
        close(fd);
    close(tracefs);
    return id;
}

/* An event on one CPU is enough: the program runs on all CPUs. */
static int open_event(long id)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_TRACEPOINT,
        .size = sizeof(attributes),
        .config = (__u64)id,
        .sample_period = 1,
        .wakeup_events = 1,
    };

    return (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

struct bpf_link *perf_attach(const struct bpf_program *program, const char *event)
{
    long id = event_id(event);
    int fd = id < 0 ? -1 : open_event(id), error;
    struct bpf_link *link;

    if (fd < 0)
        return NULL;
    link = bpf_program__attach_perf_event(program, fd);
    if (link)
        return link;
    error = errno;
    close(fd);
    errno = error;
    return NULL;
}
