/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SystemTap's own buffers, which take the lines to the reader. */
#ifndef FILEMON_STAP_TRANSPORT_H
#define FILEMON_STAP_TRANSPORT_H

#include "kernel.h"

static DEFINE_PER_CPU(bool, fm_in_line); /* from fm_begin() to fm_send() or fm_abandon() */

/*
 * Can the transport take n bytes whole?  stap's own code writes as much as there is room for: what
 * is torn at a full buffer, and in stap 4.8 also a header that meets the last 8 bytes of a
 * sub-buffer, leaves stapio out of step for good, with everything after it lost in silence.
 */
static struct rchan *fm_channel; /* stap's, which is declared further below than this */
static size_t __stp_relay_switch_subbuf(struct rchan_buf *buf, size_t length);

static bool fm_has_room(u32 n)
{
    struct rchan_buf *buf = fm_channel ? *per_cpu_ptr(fm_channel->buf, smp_processor_id()) : NULL;
    u32 size, here, used;

    if (!buf)
        return false;
    n += sizeof(struct _stp_trace);
    size = buf->chan->subbuf_size;
    here = buf->offset < size ? size - buf->offset : 0;
    if (n <= here)
        return true;
    used = buf->subbufs_produced - buf->subbufs_consumed + 1; /* one is being written */
    if (used + (n - here) / size + 2 > buf->chan->n_subbufs)
        return false;
    if (here <= sizeof(struct _stp_trace))
        __stp_relay_switch_subbuf(buf, 0);
    return true;
}

/* The CPUs whose part of the transport stapio reads: those that were online when it began. */
static cpumask_t fm_read_cpus;

#endif
