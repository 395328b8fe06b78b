/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts programs: stap, staprun and the command after "--". */
#ifndef FILEMON_SPAWN_H
#define FILEMON_SPAWN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * To be called first in main().  Saves the signal mask and the dispositions of SIGCHLD and SIGXFSZ,
 * which the command inherits.  Then sets SIGCHLD to its default, since a process that ignores it
 * gets no status from waitpid(2); and ignores SIGXFSZ, so that write(2) fails with EFBIG at the
 * size limit of a file.
 */
void spawn_save_signals(void);

struct spawn {
    char *const *argv; /* argv[0] is looked up in PATH unless it holds a '/' */
    char *const *env;  /* "NAME=value", added to filemon's environment; ends with NULL; or NULL */
    const char *dir;   /* working directory; NULL: filemon's */
    int in, out, err;  /* standard descriptors, which the caller closes; -1: filemon's */
    bool group;        /* run in a process group of its own, with no signal blocked and default
                        * SIGCHLD, SIGINT and SIGTERM; SIGTERM ends it when filemon exits */
    /* NULL, or a file or directory that only this program sees in place of mount_over, by a bind
     * mount in its own namespace.  Where that is not permitted, the program sees mount_over. */
    const char *mount_file, *mount_over;
    bool hold; /* do not execute before spawn_release() */
};

struct spawned {
    pid_t pid;
    int hold;    /* pipe that spawn_release() writes to; -1: not held */
    int failure; /* pipe with the errno of a failed exec, or EOF after a successful one */
};

/*
 * Forks and executes the program.  Without group, it gets the signal mask and the dispositions that
 * spawn_save_signals() saved; if that was not called, an empty mask.  0; or -errno and no process.
 * With hold, failures of exec are reported by spawn_release().
 */
int spawn_start(const struct spawn *spawn, struct spawned *spawned);

/* Looks up a program in PATH.  0; -EACCES if it exists but cannot be executed; -ENOENT. */
int spawn_find(const char *program, char path[static PATH_MAX]);

/* Lets a held program execute.  0; or the -errno of its exec, and the process was waited for. */
int spawn_release(struct spawned *spawned);

/* Ends a held program that was not released. */
void spawn_cancel(struct spawned *spawned);

#endif
