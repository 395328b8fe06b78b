/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command: the child after "--".
 *
 *   command_start()     forks the child, which executes nothing yet: an engine can watch its pid
 *   command_release()   lets the child execute
 *   command_reap()      to be called after each SIGCHLD
 *   command_cancel()    ends a child that was not released
 *
 * A released command is never killed: it goes on without filemon.
 */
#ifndef FILEMON_COMMAND_H
#define FILEMON_COMMAND_H

#include <stdbool.h>
#include <sys/signalfd.h>

#include "spawn.h"
#include "witness.h"

/* Statuses of a command that has none of its own, as in shells. */
enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNALLED = 128 /* + N */ };

struct command {
    struct spawned child; /* pid 0: not started, or exited */
    const char *program;  /* argv[0], borrowed; NULL: no command */
    struct witness witness;
    int status; /* its exit status or one of the above; -1: still running, or not started */
};

/* The value before command_start(); the other functions accept it, and then do nothing. */
#define COMMAND_NONE ((struct command){.child = {.hold = -1, .failure = -1}, .status = -1})

/* argv: NULL for no command.  0, or -errno after a message. */
int command_start(struct command *command, char *const *argv);

/* 0; or the -errno of the exec after a message, and command->status is set. */
int command_release(struct command *command);

void command_cancel(struct command *command);

/* Frees what command_start() allocated; a running command goes on. */
void command_close(struct command *command);

/* Returns true once, when the command has exited; sets command->status. */
bool command_reap(struct command *command);

/* Whether it was started and has not exited; whether it was also released. */
bool command_exists(const struct command *command);
bool command_runs(const struct command *command);

/* Sends the command a signal that filemon got.  Returns true, and sends nothing, if the command got
 * the signal too, since it was sent to their process group. */
bool command_signal(struct command *command, const struct signalfd_siginfo *info);

#endif
