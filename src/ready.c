/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The datagram is written here and not by libsystemd: sd_notify(3) documents it for programs that
 * do not link that library, and it is less code than dealing with a library that may be missing.
 */
#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag.h"

#define NOTIFY_SOCKET "NOTIFY_SOCKET"

/* 0; -EAFNOSUPPORT: neither a path nor an abstract name, such as vsock:2:1234; -ENAMETOOLONG. */
static int parse_socket(struct ready *ready, const char *name)
{
    struct sockaddr_un *address = &ready->manager;
    size_t len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len < 2)
        return -EAFNOSUPPORT;
    if (len >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, len);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    ready->manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static void warn_unnotified(const char *socket, int error)
{
    diag(DIAG_WARNING, "%s %s: %s; the service manager is not told that the watch has begun",
         NOTIFY_SOCKET, socket, strerror(-error));
}

void ready_open(struct ready *ready, int fd)
{
    const char *name = getenv(NOTIFY_SOCKET);
    int error;

    *ready = (struct ready){.fd = fd};
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (name == NULL)
        return;
    error = parse_socket(ready, name);
    if (error < 0)
        warn_unnotified(name, error);
    unsetenv(NOTIFY_SOCKET);
}

static int notify(const struct ready *ready)
{
    static const char message[] = "READY=1";
    int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

    if (socket_fd < 0)
        return -errno;
    if (sendto(socket_fd, message, strlen(message), MSG_NOSIGNAL,
               (const struct sockaddr *)&ready->manager, ready->manager_size) < 0)
        error = -errno;
    close(socket_fd);
    return error;
}

static void notify_manager(struct ready *ready)
{
    int error = ready->manager_size > 0 ? notify(ready) : 0;
    char name[sizeof(ready->manager.sun_path) + 1] = "";

    if (error < 0) {
        memcpy(name, ready->manager.sun_path, sizeof(ready->manager.sun_path));
        if (name[0] == '\0')
            name[0] = '@';
        warn_unnotified(name, error);
    }
    ready->manager_size = 0;
}

/* A full pipe would keep filemon in write(2), where no signal is read.  O_NONBLOCK is not set:
 * others may share the open file description. */
static int write_newline(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

    if (poll(&pollfd, 1, 0) == 0)
        return -EAGAIN;
    return write(fd, "\n", 1) == 1 ? 0 : -errno;
}

static void warn_unread(int fd, int error)
{
    diag(DIAG_WARNING, "--ready-fd %d: %s; its reader is not told that the watch has begun", fd,
         error == -EAGAIN ? "it takes no byte now" : strerror(-error));
}

void ready_report(struct ready *ready)
{
    int error = ready->fd >= 0 ? write_newline(ready->fd) : 0;

    if (error < 0 && error != -EPIPE)
        warn_unread(ready->fd, error);
    ready_close(ready);
    notify_manager(ready);
}

void ready_close(struct ready *ready)
{
    if (ready->fd >= 0)
        close(ready->fd);
    ready->fd = -1;
}
