/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The witness finds out whether a signal was sent to filemon alone or to its whole process group,
 * and so to the command too.  siginfo does not show that: kill(2) of a process and of its group
 * look the same.
 *
 * The witness is a child in the same group that does nothing but collect signals: it gets what the
 * group gets.  The kernel signals the members of a group youngest first, so the witness has a
 * signal before filemon has it.
 *
 * The signals of a terminal, which siginfo does show, are always for the group.  The witness would
 * not be right about them: of two signals that follow each other closely it may get one, while
 * filemon, which had read the first already, gets both.
 */
#ifndef FILEMON_WITNESS_H
#define FILEMON_WITNESS_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

struct witness {
    pid_t pid;  /* 0: no witness */
    int socket; /* closing it ends the witness */
};

/* Forks the witness.  If that fails there is none. */
void witness_start(struct witness *witness);
void witness_stop(struct witness *witness);

/* Whether the signal was sent to the whole group: by the terminal, or so that the witness got it as
 * well.  Without a witness, only the former is known. */
bool witness_has(struct witness *witness, const struct signalfd_siginfo *info);

#endif
