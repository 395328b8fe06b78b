/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions of the kernel, probed many at once: kprobe.multi, which needs CONFIG_FPROBE. */
#ifndef FILEMON_BPF_PROBES_H
#define FILEMON_BPF_PROBES_H

#include <bpf/libbpf.h>
#include <stdbool.h>

enum probes {
    PROBES_ENTRIES,
    PROBES_RETURNS,
    PROBES_RETURNS_HELD, /* what find_held() needs beside those */
    PROBES_RING,         /* a return, for which many threads wait at once */
};

/* False: this kernel has no probes at all. */
bool probes_are_there(void);

/*
 * Attaches a program of type kprobe.multi, or kretprobe.multi, to those of the functions that the
 * kernel has; the cookies are of enum probe_cookie.  The link is the caller's; NULL: failed, errno
 * says why.
 */
struct bpf_link *probes_attach(const struct bpf_program *program, enum probes which);

/* Makes each call that the probes are for, once, without an effect. */
void probes_make_calls(void);

#endif
