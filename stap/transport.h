/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All uses of SystemTap's private runtime, written for versions 4.8, 5.1 and 5.6: tests/runtime
 * fails if another version differs.  The runtime declares some variables and functions only after
 * this code.  Only macros use those, and only functions of monitorFicheros.stp, which come last,
 * expand the macros.
 *
 * The ring keeps lines whole and in order.  This header sends one message to stapio: print.c copies
 * it through its per-CPU buffer into relayfs.
 */
#ifndef FILEMON_STAP_TRANSPORT_H
#define FILEMON_STAP_TRANSPORT_H

#include "kernel.h"

/* The maximum size of a message, in bytes; it fits into the print buffer. */
#define FM_MESSAGE 8192
static_assert(FM_MESSAGE <= STP_BUFFER_SIZE);

/*
 * _stp_relay_data: the channel, to see how full it is.
 *
 * stap's own code (_stp_data_write_reserve) writes only as many bytes as there is room for.  After
 * a message that is cut off at a full buffer, or, in stap 4.8, after a header that would begin in
 * the last 8 bytes of a sub-buffer, stapio takes data for headers, and everything that follows is
 * lost in silence.
 */
static struct rchan *fm_channel;
#define fm_find_channel() (fm_channel = _stp_relay_data.rchan)

/* The n-th argument of the probed function.  The tapset's pointer_arg() can fail the whole probe.
 */
#define fm_argument(n) regs_get_kernel_argument(CONTEXT->kregs, n)

/* A warning, on standard error. */
#define fm_warn(...) _stp_warn(__VA_ARGS__)

/* The CPUs whose transport buffers stapio reads: those that were online when it started. */
static cpumask_t fm_read_cpus;

/* Begins the next sub-buffer: called when the rest of this one is too short for a header. */
static size_t __stp_relay_switch_subbuf(struct rchan_buf *buf, size_t length);

/* Whether the transport has room for the whole message of n bytes. */
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
 * Returns the place for a message of n bytes, which fm_send_message() then sends; NULL: no room
 * now. stap's printf() does the same, but its strings are too short for a path.  Interrupts are
 * disabled until fm_send_message().
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
 * stap allocates a context for each CPU that is online when the module starts, and silently skips
 * probes on other CPUs.  This allocates the missing contexts; stap frees them.  It may sleep.
 */
#define fm_equip_cpu(cpu)                                                                          \
    do {                                                                                           \
        if (!per_cpu(contexts, cpu))                                                               \
            per_cpu(contexts, cpu) = _stp_vzalloc_node(sizeof(struct context), cpu_to_node(cpu));  \
    } while (0)

#endif
