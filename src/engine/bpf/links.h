/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches the loaded programs to tracepoints, iterators and functions of the kernel. */
#ifndef FILEMON_BPF_LINKS_H
#define FILEMON_BPF_LINKS_H

#include <stdbool.h>

#include "engine/bpf/program.h"

/* Whether functions of the kernel can be probed in place of the tracepoints on system calls. */
bool links_may_probe(const struct program *program);

/* Before loading: selects the programs that the configuration needs.  0, -errno. */
int links_select(const struct program *program);

/*
 * Attaches all programs but that of LINK_HELD, and finds filemon's own process.  0; -errno: some
 * may be attached, see links_detach().  Without io_uring, or without a tracepoint on it, its
 * programs are left out.
 */
int links_attach(struct program *program);

/* Attaches the program of one link, if the configuration needs it.  0, -errno. */
int links_attach_one(struct program *program, enum link link);

/* Whether links_attach() has succeeded and links_detach() has not been called. */
bool links_are_attached(const struct program *program);

/* Runs the iterator of this link, LINK_TASKS or LINK_USERS, for every task.  0, -errno. */
int links_iterate(struct program *program, enum link link);

/* Waits until every program that is running now on any CPU has returned.  0, -errno. */
int links_wait(void);

/* Detaches all that is attached. */
void links_detach(struct program *program);

#endif
