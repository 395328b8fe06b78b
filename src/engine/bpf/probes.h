/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of many kernel functions at once: kprobe.multi, which needs CONFIG_FPROBE. */
#ifndef FILEMON_BPF_PROBES_H
#define FILEMON_BPF_PROBES_H

#include <bpf/libbpf.h>
#include <stdbool.h>

enum probes {
    PROBES_ENTRIES,
    PROBES_TABLE_CALLS, /* entries of calls that can change a file descriptor table */
    PROBES_RETURNS,
    PROBES_RETURNS_HELD, /* PROBES_RETURNS and those that the scan needs (find_held()) */
    PROBES_TRANSFERS,    /* entries of calls that read, write or map files (-b) */
    PROBES_TRANSFER_RETURNS,
    PROBES_RING, /* the return of io_uring_enter(2), in which many threads can wait */
};

/* Whether this kernel has kprobes. */
bool probes_are_there(void);

/*
 * Attaches a program of type kprobe.multi or kretprobe.multi to those functions of the set that
 * this kernel has.  The cookie of each is an enum probe_cookie.  The caller destroys the link.
 * NULL: see errno; ENOENT: the kernel has none of the functions.
 */
struct bpf_link *probes_attach(const struct bpf_program *program, enum probes which);

/* The address of the kernel's preempt_dynamic_mode (kernel/sched/core.c); 0: it has none, or does
 * not tell. */
__u64 probes_preemption(void);

/* Makes each probed system call once, without lasting effect, so that each probe fires. */
void probes_make_calls(void);

/* Sends itself a descriptor over a socket, so that the probes of receiving fire. */
void probes_receive(void);

#endif
