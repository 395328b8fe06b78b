/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag.h"

static void refuse(const char *program, int error)
{
    const char *advice = error == -ENOENT   ? "COMMAND is a program in PATH or the path of one"
                         : error == -EACCES ? "COMMAND must be a file that may be executed"
                                            : "COMMAND cannot be run";

    diag(DIAG_ERROR, "%s: %s; %s", program, strerror(-error), advice);
}

int command_start(struct command *command, char *const *argv)
{
    struct spawn spawn = {.argv = argv, .in = -1, .out = -1, .err = -1, .hold = true};
    int result;

    if (!argv)
        return 0;
    command->program = argv[0];
    witness_start(&command->witness);
    result = spawn_start(&spawn, &command->child);
    if (result < 0)
        refuse(command->program, result);
    return result;
}

int command_release(struct command *command)
{
    int result;

    if (!command_exists(command))
        return 0;
    result = spawn_release(&command->child);
    if (result < 0) {
        command->child.pid = 0;
        command->status = result == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
        refuse(command->program, result);
    }
    return result;
}

void command_cancel(struct command *command)
{
    if (command->child.hold < 0)
        return;
    spawn_cancel(&command->child);
    command->child.pid = 0;
}

void command_close(struct command *command)
{
    witness_stop(&command->witness);
}

bool command_reap(struct command *command)
{
    int status;

    if (!command_exists(command) ||
        waitpid(command->child.pid, &status, WNOHANG) != command->child.pid)
        return false;
    command->child.pid = 0;
    command->status = WIFSIGNALED(status) ? STATUS_SIGNALLED + WTERMSIG(status)
                                          : WEXITSTATUS(status);
    return true;
}

bool command_exists(const struct command *command)
{
    return command->child.pid > 0;
}

bool command_runs(const struct command *command)
{
    return command_exists(command) && command->child.hold < 0;
}

bool command_signal(struct command *command, const struct signalfd_siginfo *info)
{
    bool reached = witness_has(&command->witness, info) && command_runs(command) &&
                   getpgid(command->child.pid) == getpgrp();

    if (!reached && command_runs(command))
        kill(command->child.pid, (int)info->ssi_signo);
    return reached;
}
