/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches programs to tracepoints through perf events.  The kernel runs such a program with
 * preemption disabled.  A program on the tracepoint itself can be preempted since Linux 7.0, and is
 * then skipped for other tasks that reach it on that CPU.
 */
#ifndef FILEMON_BPF_PERF_H
#define FILEMON_BPF_PERF_H

#include <bpf/libbpf.h>

/*
 * Attaches a program of type tracepoint to an event, such as "raw_syscalls/sys_enter".  tracefs
 * need not be mounted.  The caller destroys the link; NULL: see errno.
 */
struct bpf_link *perf_attach(const struct bpf_program *program, const char *event);

#endif
