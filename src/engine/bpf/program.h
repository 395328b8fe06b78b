/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads the programs of filemon.bpf.c into the kernel, and sizes and fills their maps. */
#ifndef FILEMON_BPF_PROGRAM_H
#define FILEMON_BPF_PROGRAM_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/bpf/rules.h"
#include "engine/engine.h"

struct filemon_bpf; /* filemon.skel.h, which is generated */

/* For which functions of the kernel the programs are compiled, in the order of the attempts. */
enum way {
    WAY_LATEST, /* those of Linux 7.0 */
    WAY_DIRECT, /* bpf_rdonly_cast(), of 6.2 */
    WAY_PLAIN,
    WAYS,
};

/* What the programs are attached to: tracepoints, iterators, and sets of functions. */
enum link {
    LINK_FORK,
    LINK_EXEC,
    LINK_RENAME,
    LINK_EXIT,
    LINK_SIGNAL,
    LINK_ENTER,
    LINK_LEAVE,
    LINK_RING,
    LINK_RING_ASYNC,
    LINK_RING_SUBMIT,
    LINK_TASKS,
    LINK_USERS,
    LINK_HELD,
    LINK_ENTRIES,
    LINK_TABLE_CALLS,
    LINK_RETURNS,
    LINK_RING_RETURNS,
    LINK_TRANSFERS,
    LINK_TRANSFER_RETURNS,
    LINK_READ,
    LINK_WRITE,
    LINK_RECEIVE,
    LINK_RECEIVED,
    LINK_RECEIVE_LAST = LINK_RECEIVE + 5, /* two for each function, see attach_receiving() */
    LINK_HOOK,                            /* and the others, see hooks_of_paths in links.c */
    LINK_HOOK_LAST = LINK_HOOK + 10,
    LINKS,
};

/* All zeros: nothing is loaded.  The caller sets config and notes, calls program_choose(), and sets
 * probes. */
struct program {
    const struct engine_config *config; /* borrowed until program_unload() */
    FILE *notes;                        /* where program_note() writes; NULL: messages at -v */
    enum way way;
    bool perf;    /* programs of tracepoints are attached through perf events: perf.h */
    bool returns; /* programs can be attached to the returns of functions: reads.bpf.h */
    bool probes;  /* functions of the kernel are probed: probes.bpf.h */
    struct rules *rules;
    struct filemon_bpf *skeleton; /* its maps, programs and variables */
    struct bpf_link *links[LINKS];
    uint64_t missed;  /* by links that were detached: links_missed() */
    char trouble[96]; /* why functions are not probed, if no error of the kernel says it */
};

/* Sets what to try first on this kernel: way, perf and returns. */
void program_choose(struct program *program);

/*
 * Loads the programs in the first way that the kernel accepts, beginning with program->way,
 * program->perf and program->probes, which are changed to what was accepted.  0; -errno after a
 * message.  Free with program_unload(), in either case.
 */
int program_load(struct program *program);

/* Reports something that does not work on this kernel, and what the user misses by it. */
void program_note(const struct program *program, const char *effect, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs a program once, in this thread. */
void program_run(const struct bpf_program *program);

/* Detaches the programs, and frees what program_load() has made. */
void program_unload(struct program *program);

#endif
