/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches the loaded programs to tracepoints, iterators and functions of the kernel. */
#ifndef FILEMON_BPF_LINKS_H
#define FILEMON_BPF_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/bpf/program.h"

/* Whether functions of the kernel can be probed in place of the tracepoints on system calls. */
bool links_may_probe(const struct program *program);

/* What the user misses where functions cannot be probed. */
#define WITHOUT_PROBES "system calls are seen at tracepoints, which cost every process more"

/* The same where programs cannot be attached through perf events: perf.h. */
#define WITHOUT_PERF                                                                               \
    "the programs used instead can be preempted, and then miss events, which are counted"

/*
 * Loads the programs and attaches them (links_attach()), beginning with program->way and
 * program->probes.  If probes or perf events do not work, for whatever reason, does without, which
 * gives the same records.  0, or -errno after a message.  End with program_unload(), in either
 * case.
 */
int links_start(struct program *program);

/* Whether functions of the kernel are probed to resolve the paths of calls on names and
 * attributes: hooks.bpf.h. */
bool links_resolve(const struct program *program);

/* Before loading: selects the programs that the configuration needs.  0, -errno. */
int links_select(const struct program *program);

/*
 * Attaches every program that the configuration needs, except that of LINK_HELD, which
 * links_attach_one() attaches later; and runs the iterator LINK_TASKS once, which finds filemon's
 * own process.  A program for io_uring that does not attach, since a kernel may lack io_uring, is
 * left out with a message at -v.  0; after -errno the caller must call links_detach().
 */
int links_attach(struct program *program);

/* Attaches the program of one link, if the configuration needs it.  0, -errno. */
int links_attach_one(struct program *program, enum link link);

/* Whether the programs are attached that watch processes: true from the first of them on, until
 * links_detach(). */
bool links_are_attached(const struct program *program);

/* Runs an attached iterator over all tasks: LINK_TASKS looks for tasks to watch, LINK_USERS for
 * users of file descriptor tables.  Returns when it has ended: 0, -errno. */
int links_iterate(struct program *program, enum link link);

/* Waits until every program that runs now on any CPU has returned; filemon has none that can sleep.
 * 0, -errno. */
int links_wait(void);

/* The number of returns of functions that the kernel had no room to see, also of links that are
 * detached by now. */
uint64_t links_missed(const struct program *program);

/* Detaches all that is attached. */
void links_detach(struct program *program);

#endif
