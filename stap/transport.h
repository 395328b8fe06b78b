/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that the script takes from SystemTap's private runtime, read in 4.8 and 5.1: the test
 * tests/runtime fails where another version has something else.  What the runtime declares after
 * this is in macros, for the script's own functions, which come last.
 *
 * From line to reader it is the ring's part to keep lines whole and in order.  Here one message
 * goes to stapio: printed by print.c, through its buffer of this processor, into relayfs.
 */
#ifndef FILEMON_STAP_TRANSPORT_H
#define FILEMON_STAP_TRANSPORT_H

#include "kernel.h"

/* The most bytes of a message.  The print buffer has room for it. */
#define FM_MESSAGE 8192
static_assert(FM_MESSAGE <= STP_BUFFER_SIZE);

/*
 * _stp_relay_data: the channel, for how full it is.
 *
 * stap's own code (_stp_data_write_reserve) writes as much as there is room for: what is torn at a
 * full buffer, and in stap 4.8 also a header that meets the last 8 bytes of a sub-buffer, leaves
 * stapio out of step for good, with everything after it lost in silence.
 */
static struct rchan *fm_channel;
#define fm_find_channel() (fm_channel = _stp_relay_data.rchan)

/* The probed function's argument: the tapset's pointer_arg() may fail, and a probe with it. */
#define fm_argument(n) regs_get_kernel_argument(CONTEXT->kregs, n)

/* What stdout has no line for. */
#define fm_warn(...) _stp_warn(__VA_ARGS__)

/* The CPUs whose part of the transport stapio reads: those that were online when it began. */
static cpumask_t fm_read_cpus;

/* Begins the next sub-buffer, where a header would be torn. */
static size_t __stp_relay_switch_subbuf(struct rchan_buf *buf, size_t length);

/* Can the transport take n bytes whole? */
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

/*
 * Where a message of n bytes is to be written, until it is sent; NULL: not now.  This is what
 * stap's printf() does: a string of stap's, which could be given to that, has no room for a path.
 * Meanwhile the interrupts are off.
 */
static char *fm_begin_message(u32 n, unsigned long *irq)
{
    char *to;

    if (!fm_has_room(n) || !_stp_print_trylock_irqsave(irq))
        return NULL;
    to = _stp_reserve_bytes(n);
    if (!to)
        _stp_print_unlock_irqrestore(irq);
    return to;
}

static void fm_send_message(unsigned long *irq)
{
    _stp_print_unlock_irqrestore(irq);
    _stp_print_flush();
}

/*
 * stap gives a context to the CPUs that are online when it begins, and skips what happens on others
 * without counting it.  Here these get theirs, which stap frees.  It may sleep.
 */
#define fm_equip_cpu(cpu)                                                                          \
    do {                                                                                           \
        if (!per_cpu(contexts, cpu))                                                               \
            per_cpu(contexts, cpu) = _stp_vzalloc_node(sizeof(struct context), cpu_to_node(cpu));  \
    } while (0)

#endif
