/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readiness: reports that the watch has begun, to the descriptor of --ready-fd and to the service
 * manager whose socket the environment variable NOTIFY_SOCKET names (sd_notify(3)).
 *
 * A reader of the descriptor gets a newline, or EOF if the watch never begins.
 */
#ifndef FILEMON_READY_H
#define FILEMON_READY_H

#include <sys/socket.h>
#include <sys/un.h>

struct ready {
    int fd; /* -1: none, or closed */
    struct sockaddr_un manager;
    socklen_t manager_size; /* 0: none */
};

#define READY_NONE ((struct ready){.fd = -1})

/* Takes over fd, which is -1 or open; neither it nor NOTIFY_SOCKET is passed on to programs that
 * are started after this call.  Reports a NOTIFY_SOCKET that cannot be used. */
void ready_open(struct ready *ready, int fd);

/* Reports that the watch has begun, once, and closes the descriptor.  A failure, such as a full
 * pipe, is only a warning: the watch goes on. */
void ready_report(struct ready *ready);

/* Closes the descriptor, if ready_report() has not. */
void ready_close(struct ready *ready);

#endif
