/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmocka fixtures that catch the messages of diag(). */
#ifndef FILEMON_TESTS_CAUGHT_H
#define FILEMON_TESTS_CAUGHT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag.h"

/* Standard error is a socket that keeps each write(2) as a message. */
struct caught {
    int saved, ends[2];
};

static inline int caught_begin(void **state)
{
    static struct caught caught;

    *state = &caught;
    diag_set_verbosity(0);
    caught.saved = dup(STDERR_FILENO);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, caught.ends) != 0)
        return -1;
    return dup2(caught.ends[1], STDERR_FILENO) < 0;
}

static inline int caught_end(void **state)
{
    const struct caught *caught = *state;

    dup2(caught->saved, STDERR_FILENO);
    close(caught->saved);
    close(caught->ends[0]);
    close(caught->ends[1]);
    return 0;
}

/* Returns the next message, NUL-terminated, or "" if there is none. */
static inline const char *caught_line(void **state)
{
    static char line[2 * DIAG_LINE_MAX];
    const struct caught *caught = *state;
    ssize_t size = recv(caught->ends[0], line, sizeof line - 1, 0);

    line[size < 0 ? 0 : size] = '\0';
    return line;
}

#endif
