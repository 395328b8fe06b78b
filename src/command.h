/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child after "--": started stopped, released, signalled, reaped.
 *
 *   command_start()     forks it; it executes nothing yet, so that an engine can watch its pid
 *   command_release()   lets it execute
 *   command_reap()      after each SIGCHLD, which the caller reads
 *   command_cancel()    ends one that was never released; does nothing otherwise
 *
 * A command that runs is never ended here: it goes on without filemon.
 */
#ifndef FILEMON_COMMAND_H
#define FILEMON_COMMAND_H

#include <stdbool.h>
#include <sys/signalfd.h>

#include "spawn.h"
#include "witness.h"

/* Of its status, as shells have them. */
enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNALLED = 128 /* + N */ };

struct command {
    struct spawned child; /* pid 0: none, or it has exited */
    const char *program;  /* argv[0], borrowed; NULL: there is no command */
    struct witness witness;
    int status; /* its own or one of the above; -1: none yet */
};

/* Of a run without a command; what the other functions take, too. */
#define COMMAND_NONE ((struct command){.child = {.hold = -1, .failure = -1}, .status = -1})

/* argv: NULL for none.  0, or -errno with a message given. */
int command_start(struct command *command, char *const *argv);

/* 0, or -errno of its exec with a message given; then it has a status. */
int command_release(struct command *command);

void command_cancel(struct command *command);

/* Frees what watches over its signals.  The command goes on, where it runs. */
void command_close(struct command *command);

/* True once, when it has exited: it has a status from then on. */
bool command_reap(struct command *command);

/* Between start and exit; between release and exit. */
bool command_exists(const struct command *command);
bool command_runs(const struct command *command);

/* Passes on a signal that filemon got, unless the command got it as well, being of the process
 * group that it was sent to: then true. */
bool command_signal(struct command *command, const struct signalfd_siginfo *info);

#endif
