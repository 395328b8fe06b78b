/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints through perf events.  The kernel calls what is attached so with preemption off, also
 * from Linux 7.0 on, where a program that is attached to the tracepoint itself can be preempted and
 * is then skipped for every other task that reaches it on that processor.
 */
#ifndef FILEMON_BPF_PERF_H
#define FILEMON_BPF_PERF_H

#include <bpf/libbpf.h>

/*
 * Attaches a program of type tracepoint to an event, as in "raw_syscalls/sys_enter".  The link is
 * the caller's; NULL: failed, errno says why.  tracefs need not be mounted.
 */
struct bpf_link *perf_attach(const struct bpf_program *program, const char *event);

#endif
