/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a signal was sent to filemon alone or to its whole process group, so that it reached the
 * command as well.  The signal itself does not say: kill(2) of a process and of its group look
 * alike.
 *
 * A child in the group, which does nothing but collect signals, has got what the group got.  The
 * kernel signals the members of a group youngest first, so it has the signal before filemon has.
 */
#ifndef FILEMON_WITNESS_H
#define FILEMON_WITNESS_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

struct witness {
    pid_t pid;  /* 0: there is none */
    int socket; /* to it; its end is the witness's, too */
};

/* Without memory or another process for one there is none. */
void witness_start(struct witness *witness);
void witness_stop(struct witness *witness);

/* Without a witness, only what the terminal sends is taken for a signal to the group. */
bool witness_has(struct witness *witness, const struct signalfd_siginfo *info);

#endif
