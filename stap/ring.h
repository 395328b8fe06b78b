/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The buffer of lines on their way to the reader. */
#ifndef FILEMON_STAP_RING_H
#define FILEMON_STAP_RING_H

#include "transport.h"

/*
 * One ring for all CPUs: it keeps lines in the order of their creation, and has each line whole or
 * not at all.  A timer empties it into stap's transport, and so does a probe that finds it half
 * full. (With one message per line, stapio would make two system calls for each line.)
 */
#define FM_RING (4 << 20)
#define FM_PUMP (64 << 10) /* above half, emptied after each so many bytes */
static char fm_ring[FM_RING];
static u64 fm_ring_in, fm_ring_out; /* total bytes written and read */
static DEFINE_RAW_SPINLOCK(fm_ring_lock);
static DEFINE_RAW_SPINLOCK(fm_pump_lock);

/* Numbers a line as it enters the ring: see report.h. */
static inline void fm_number_line(char *line, u32 len, bool ends);

/* False: there is no room.  ends: this is the last line of an event. */
static bool fm_ring_put(char *bytes, u32 n, bool ends)
{
    unsigned long irq;
    u32 at, first;
    bool room;

    raw_spin_lock_irqsave(&fm_ring_lock, irq);
    /* Pairs with the release in fm_pump().  Otherwise this line could overwrite one that is still
     * being copied out. */
    room = FM_RING - (fm_ring_in - smp_load_acquire(&fm_ring_out)) >= n;
    if (room) {
        fm_number_line(bytes, n, ends);
        at = fm_ring_in % FM_RING;
        first = min_t(u32, n, FM_RING - at);
        memcpy(fm_ring + at, bytes, first);
        if (first < n)
            memcpy(fm_ring, bytes + first, n - first);
        /* Pairs with fm_message(). */
        smp_store_release(&fm_ring_in, fm_ring_in + n);
    }
    raw_spin_unlock_irqrestore(&fm_ring_lock, irq);
    return room;
}

/* Bytes of the whole lines from out on that fit into one message: no line is split between two. */
static u32 fm_message(u64 out)
{
    /* Pairs with the release in fm_ring_put().  Otherwise a message could have bytes that are not
     * written yet. */
    u64 in = smp_load_acquire(&fm_ring_in);
    u32 n = min_t(u64, FM_MESSAGE, in - out);

    while (n && out + n != in && fm_ring[(out + n - 1) % FM_RING] != '\n')
        n--;
    return n;
}

static void fm_pump_there(void *unused);
static call_single_data_t fm_pump_call = CSD_INIT(fm_pump_there, NULL);

/*
 * All lines go through the transport buffer of one CPU.  stapio reads the buffer of each CPU in a
 * separate thread, and loses the order between them when one thread is late.  It does not read the
 * buffer of a CPU that came online after stapio started.
 */
static bool fm_pump_elsewhere(void)
{
    int cpu = cpumask_first_and(&fm_read_cpus, cpu_online_mask);

    if (cpu >= nr_cpu_ids || cpu == smp_processor_id())
        return false;
    smp_call_function_single_async(cpu, &fm_pump_call);
    return true;
}

static void fm_pump(void)
{
    unsigned long irq;
    u64 out;
    u32 n, first;
    char *to;

    if (fm_pump_elsewhere() || !raw_spin_trylock(&fm_pump_lock))
        return;
    for (;;) {
        out = fm_ring_out;
        n = fm_message(out);
        if (n == 0 || !(to = fm_begin_message(n, &irq)))
            break;
        first = min_t(u64, n, FM_RING - out % FM_RING);
        memcpy(to, fm_ring + out % FM_RING, first);
        memcpy(to + first, fm_ring, n - first);
        fm_send_message(&irq);
        /* Pairs with fm_ring_put().  After the message: fm_pump_out() ends when nothing is left. */
        smp_store_release(&fm_ring_out, out + n);
    }
    raw_spin_unlock(&fm_pump_lock);
}

static void fm_pump_there(void *unused)
{
    fm_pump();
}

/* At the end, when the timer does not run again. */
static void fm_pump_out(void)
{
    int tries;

    for (tries = 0; tries < 1000; tries++) {
        fm_pump();
        if (READ_ONCE(fm_ring_out) == READ_ONCE(fm_ring_in))
            return;
        udelay(100);
    }
}

#endif
