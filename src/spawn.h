/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting another program: what stap, staprun and the command of "--" have in common. */
#ifndef FILEMON_SPAWN_H
#define FILEMON_SPAWN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Call first thing in main().  Remembers the signal mask and what is ignored, for the programs that
 * are started; then has this process take SIGCHLD, without which waitpid(2) gives no status and a
 * pid is reused at once, and ignore SIGXFSZ, so that a file at its size limit is an error of
 * write(2), EFBIG.
 */
void spawn_keep_signals(void);

struct spawn {
    char *const *argv; /* argv[0] is looked up in PATH unless it holds a '/' */
    char *const *env;  /* "NAME=value" added to our own environment, NULL-ended; may be NULL */
    const char *dir;   /* its working directory; NULL: ours */
    int in, out, err;  /* its standard descriptors; -1: ours.  They stay open here. */
    bool group;      /* in a process group of its own, with no signal blocked, not ignoring SIGCHLD,
                      * SIGINT and SIGTERM, and ended by the latter when we die */
    const char *lay; /* not NULL: this file is seen in place of `over` by it alone, */
    const char *over; /* in a mount namespace of its own (root only) */
    bool hold;        /* executes nothing before spawn_release() */
};

struct spawned {
    pid_t pid;
    int hold;    /* spawn.hold: written to by spawn_release(); else -1 */
    int failure; /* gives the errno of an exec that failed, or end of file */
};

/*
 * Starts it.  Without group, it has the signal mask and ignores what spawn_keep_signals() found;
 * where that was never called, an empty mask.
 * Without hold, an exec that fails is this call's result: 0, or -errno and no process.
 */
int spawn_start(const struct spawn *spawn, struct spawned *spawned);

/* Where a program is found in PATH.  0; -EACCES where it is there and may not be executed; -ENOENT.
 */
int spawn_find(const char *program, char path[static PATH_MAX]);

/* Lets a held one go.  0, or the -errno of its exec; then it has ended, and has been waited for. */
int spawn_release(struct spawned *spawned);

/* Ends a held one that was never released. */
void spawn_cancel(struct spawned *spawned);

#endif
