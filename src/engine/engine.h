/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: delivers the events of watched processes from the kernel.
 *
 * Lifecycle, driven by the poll loop of run.c:
 *
 *   open() starts the engine (ENGINE_STARTING).  It must not block for long: dispatch() continues
 *   the start.
 *
 *   fds(), timeout() and dispatch() are called in a loop; dispatch() returns the state.  From
 *   ENGINE_WATCHING on, the names and paths of the config apply.
 *
 *   watch() is called for each process, after ENGINE_WATCHING; and end_when_idle(), if the run ends
 *   with its targets.
 *
 *   stop() asks the engine to end; dispatch() delivers the remaining events, up to ENGINE_DONE.
 *
 *   close() ends what the engine has started, as far as possible, and frees it; in any state.
 *
 * Only dispatch() and report_held() deliver events.  The events of one process come in the order in
 * which they happened in the kernel.  An event is valid during the call of the sink.
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
#include "event/paths.h"
#include "event/trace.h"

enum engine_state {
    ENGINE_STARTING,
    ENGINE_WATCHING,
    ENGINE_IDLE, /* watching, but no watched process is left (only after end_when_idle()) */
    ENGINE_DONE, /* ended: every event has been delivered */
};

struct stap_options;

/* The configuration of any engine, which borrows it until close(). */
struct engine_config {
    const struct pathfilter *filter; /* applied in the kernel: other paths are not delivered */
    const struct inode_path *inodes; /* applied in the kernel instead of paths: what is at or below
                                      * one of them, by whatever name */
    size_t n_inodes;                 /* 0: paths are compared */
    char *const *names;              /* programs to match at exec; ends with NULL */
    bool all;                        /* every process but filemon and its own programs */
    bool writes;                     /* only what is opened for writing */
    const uid_t *users;              /* only what threads with these effective users open */
    size_t n_users;                  /* 0: of every user */
    const uint64_t *groups;          /* ids of control groups: what is opened in them or below */
    size_t n_groups;                 /* 0: none */
    int depth;                       /* levels of descendants to follow; DEPTH_ALL: every one */
    unsigned int sets;               /* deliver what is in these, see event/trace.h */
    bool failed;                     /* deliver what failed, of these sets */
    bool initial;                    /* report_held() will be called */
    unsigned int facts;              /* what to add to events: see event_facts */
    bool other_way;                  /* --engine NAME:WAY: see engine_ops.way */
    char *const *files;              /* only for the replay: what it reads; ends with NULL */
    bool keeps_keys; /* only for the replay: keys that it does not know are written, too */
    const struct stap_options *stap; /* only for that engine, see engine/stap/stap.h; never NULL */
    char *why; /* if not NULL, another engine is tried when this one fails to start: engine_failed()
                * writes the reason here, ENGINE_WHY_SIZE bytes, instead of printing it */
};

#define ENGINE_WHY_SIZE 512

#define DEPTH_ALL (-1)

/* With -v, of the calls on names and attributes.  What it says is one of both. */
#define ENGINE_PATHS "the paths of changes are %s"
#define ENGINE_PATHS_RESOLVED "resolved by the kernel"
#define ENGINE_PATHS_GIVEN "as they were given"

/* The largest engine_config.n_users and n_groups. */
#define ENGINE_USERS_MAX 64
#define ENGINE_GROUPS_MAX 64

struct engine_sink {
    void (*event)(void *ctx, const struct event *event);
    void *ctx;
};

struct engine;

/* The largest result of fds(). */
#define ENGINE_MAX_FDS 8

struct engine_ops {
    const char *name;      /* as in --engine */
    bool delivers_records; /* which the ledger must not get; else events */
    unsigned int lacks;    /* facts that it cannot add to events: a set */
    unsigned int sets;     /* that it can deliver */
    const char *way; /* of --engine NAME:WAY: its other way to work; NULL: it has only one way */

    /* Whether the engine can run here: findings_report() of its requirements. */
    int (*check)(const struct engine_config *config, FILE *out, struct finding *problem);

    /* 0, or -errno after engine_failed(). */
    int (*open)(struct engine **engine, const struct engine_config *config,
                const struct engine_sink *sink);

    /* Fills in fds[] for poll(2); returns their number. */
    int (*fds)(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS]);

    /* The timeout for poll(2), after which dispatch() must be called; ms, -1: none. */
    int (*timeout)(struct engine *engine);

    /*
     * Does what can be done without waiting.  Returns an enum engine_state; or, after everything
     * that was read has been delivered, -errno after a message (before ENGINE_WATCHING by
     * engine_failed()).
     */
    int (*dispatch)(struct engine *engine);

    /* Watches a process and its descendants, existing and future ones.  pid: in filemon's own pid
     * namespace.  0, -ESRCH, -errno. */
    int (*watch)(struct engine *engine, pid_t pid);

    /* Applies a prefix that was added to the filter.  0, -E2BIG, -errno. */
    int (*add_prefix)(struct engine *engine, const char *path, enum pathfilter_verdict verdict);

    /*
     * With engine_config.initial, to be called once, when all targets are watched: delivers an
     * EVENT_HELD for each initially open descriptor that no other event has reported, in this call
     * or in later calls of dispatch().  0, -errno.
     */
    int (*report_held)(struct engine *engine);

    /* Requests an EVENT_MARK, which is delivered after all events up to now.  One at a time.  0,
     * -errno. */
    int (*mark)(struct engine *engine);

    /* From now on dispatch() returns ENGINE_IDLE if no watched process is left.  0, -errno. */
    int (*end_when_idle)(struct engine *engine);

    /* Asks the engine to end.  May be called more than once. */
    void (*stop)(struct engine *engine);

    void (*close)(struct engine *engine);
};

extern const struct engine_ops engine_stap;
extern const struct engine_ops engine_bpf; /* in a build with BPF=0 its check() always fails */

/* All engines, in the order in which auto tries them; ends with NULL. */
extern const struct engine_ops *const engine_list[];

/* auto: opens the engines of the list that can run here, one after another, until one reaches
 * ENGINE_WATCHING.  Has no check(), and must be opened after engine_choose() has returned it. */
extern const struct engine_ops engine_auto;

/* The engine of the list, or engine_auto, that has this name; other_way: it is NAME:WAY.  NULL:
 * none. */
const struct engine_ops *engine_find(const char *name, bool *other_way);

/* Whether the engine, or with engine_auto each of engine_list, cannot add one of these facts. */
bool engine_lacks(const struct engine_ops *ops, unsigned int facts);

/* The first of engine_list that can add all of these facts; NULL: none. */
const struct engine_ops *engine_with(unsigned int facts);

/* The first engine of the list that delivers these sets; NULL: none does. */
const struct engine_ops *engine_for(const struct engine_ops *const *list, unsigned int sets);

/* Returns wanted if it can run here; else NULL after a message.  engine_auto can run if an engine
 * of the list can. */
const struct engine_ops *engine_choose(const struct engine_ops *const *list,
                                       const struct engine_ops *wanted,
                                       const struct engine_config *config);

/* The name of the engine; for engine_auto, that of the engine it has opened. */
const char *engine_name(const struct engine_ops *ops, const struct engine *engine);

/* For engines: reports why the start failed, by a message or in config->why. */
void engine_failed(const struct engine_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
