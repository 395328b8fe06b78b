/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an engine is: something that sees processes open and close files and says so.
 *
 * Lifecycle, driven by run.c in its one poll loop:
 *
 *   open()      starts it: ENGINE_STARTING.  Must not block for long: work goes on in dispatch().
 *   fds(), timeout(), dispatch()   again and again; dispatch() returns the state.
 *   ENGINE_WATCHING is reached: names and paths are in force from now on.  The caller then calls
 *   watch() for each process, and end_when_idle() where the run shall end with its targets.
 *   stop()      ask it to end; dispatch() goes on until ENGINE_DONE, giving all that was seen.
 *   close()     frees it; also in the middle, when it then ends what it started as best it can.
 *
 * Events reach the sink from within dispatch() and report_held() alone, in the order the kernel did
 * them for each process; they are borrowed for the call.
 */
#ifndef FILEMON_ENGINE_H
#define FILEMON_ENGINE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/finding.h"
#include "event/event.h"
#include "event/pathfilter.h"

enum engine_state {
    ENGINE_STARTING,
    ENGINE_WATCHING,
    ENGINE_IDLE, /* watching, but no watched process is left (only after end_when_idle()) */
    ENGINE_DONE, /* over: everything it saw has been given */
};

struct stap_options;

/* What every engine needs.  Borrowed by the engine until close(). */
struct engine_config {
    const struct pathfilter *filter; /* the engine keeps other paths from leaving the kernel */
    char *const *names;              /* programs to be matched when they are executed; NULL-ended */
    bool all;                        /* every process but filemon and its own */
    int depth;      /* generations of descendants to follow; DEPTH_ALL: every one */
    bool failed;    /* opens that failed, too */
    bool initial;   /* report_held() will be called */
    bool other_way; /* --engine NAME:WAY: see engine_ops.way */
    const struct stap_options *stap; /* of that engine alone, see engine/stap/stap.h; never NULL */
    char *why; /* not NULL: another engine is tried where this one fails to start, and the reason is
                * written here, ENGINE_WHY_SIZE bytes, instead of being said: see engine_failed() */
};

#define ENGINE_WHY_SIZE 512

#define DEPTH_ALL (-1)

struct engine_sink {
    void (*event)(void *ctx, const struct event *event);
    void *ctx;
};

struct engine;

/* The most descriptors fds() gives. */
#define ENGINE_MAX_FDS 8

struct engine_ops {
    const char *name; /* as in --engine */
    const char *way;  /* --engine NAME:WAY has it work in this other way; NULL: there is but one */

    /*
     * Can it run here?  Prints a list, a line for each thing it needs, to out (NULL: nothing),
     * with the command that would mend what is missing.  Returns 0 when it can; -EAGAIN when
     * nothing is missing but it is unlikely to work, so that another engine comes first; otherwise
     * -errno.  *lack (when not NULL) is then the first thing that is missing, or the doubt.
     */
    int (*check)(const struct engine_config *config, FILE *out, struct finding *lack);

    /* 0 and *engine, or -errno with a message already given (by engine_failed(), as are those of
     * dispatch() before it says ENGINE_WATCHING). */
    int (*open)(struct engine **engine, const struct engine_config *config,
                const struct engine_sink *sink);

    /* Fills fds[] with what poll() shall wait for; returns how many. */
    int (*fds)(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS]);

    /* ms after which dispatch() wants to be called even if no descriptor is ready; -1: never. */
    int (*timeout)(struct engine *engine);

    /*
     * Does what is ready, without waiting.  An enum engine_state, or -errno when it failed, with a
     * message already given (all that was read has been given to the sink then, too).
     */
    int (*dispatch)(struct engine *engine);

    /*
     * Watches a running process, with its descendants of now and later, from now on.  pid: in
     * filemon's own namespace.  0, -ESRCH, -errno.
     */
    int (*watch)(struct engine *engine, pid_t pid);

    /* The filter has a prefix more: it is in force from now on.  0, -E2BIG, -errno. */
    int (*add_prefix)(struct engine *engine, const char *path, enum pathfilter_verdict verdict);

    /*
     * With engine_config.initial, once, when every target is watched: gives an EVENT_HELD for each
     * descriptor that was open when its process became watched and that no other event has told of.
     * They reach the sink from within this call or later ones of dispatch().  0, -errno.
     */
    int (*report_held)(struct engine *engine);

    /* Asks for an EVENT_MARK, which comes when all that has happened until now was given.  Once at
     * a time.  0, -errno. */
    int (*mark)(struct engine *engine);

    /* From now on say ENGINE_IDLE when no watched process is left.  0, -errno. */
    int (*end_when_idle)(struct engine *engine);

    /* Asks it to end.  More than once does no harm. */
    void (*stop)(struct engine *engine);

    void (*close)(struct engine *engine);
};

extern const struct engine_ops engine_stap;
extern const struct engine_ops engine_bpf; /* built with BPF=0, it can never run */

/* All engines, in the order in which auto tries them, ended by NULL. */
extern const struct engine_ops *const engine_list[];

/* The engine that tries those of the list which can run here, in their order, until one of them
 * watches.  To be opened only after engine_choose() has returned it; it has no check(). */
extern const struct engine_ops engine_auto;

/* The engine of the list, or engine_auto, that has this name; other_way: it is NAME:WAY.  NULL:
 * none. */
const struct engine_ops *engine_find(const char *name, bool *other_way);

/* Returns `wanted`, if it can run here; NULL: it cannot, and a message was given.  engine_auto can
 * run where one of the list can. */
const struct engine_ops *engine_choose(const struct engine_ops *const *list,
                                       const struct engine_ops *wanted,
                                       const struct engine_config *config);

/* The name of the engine that is at work: with engine_auto, the one that it has chosen. */
const char *engine_name(const struct engine_ops *ops, const struct engine *engine);

/* For engines: the message of a start that failed, which another engine may follow. */
void engine_failed(const struct engine_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
