/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scans of all tasks, or of all their descriptors, by the iterators of the eBPF program: for what
 * was there before the programs were attached, and for what they did not see.
 */
#ifndef FILEMON_BPF_SCAN_H
#define FILEMON_BPF_SCAN_H

#include <sys/types.h>

#include "engine/bpf/program.h"
#include "engine/bpf/reader.h"

/* Watches the process and its descendants.  pid: in filemon's own pid namespace.  0; -ESRCH: there
 * is no such process; other -errno. */
int scan_target(struct program *program, pid_t pid);

/* Reports the end of the file descriptor tables whose end is in doubt, if no task uses them any
 * more: see tables.bpf.h. */
void scan_doubts(struct program *program);

/* The same when the programs have stopped: an exiting thread may still have its table, and is
 * waited for, but only some milliseconds. */
void scan_last_doubts(struct program *program);

/*
 * After the kernel has skipped a run of a program, which may have been that of a fork or an exit:
 * without this, a descendant would not be watched, or the run would wait forever for a process that
 * has exited.
 */
void scan_after_loss(struct program *program);

/* Reports the descriptors that watched processes have open, and delivers the records in between.
 * LINK_HELD is attached.  0, -errno. */
int scan_initially_open(struct program *program, struct reader *reader);

#endif
