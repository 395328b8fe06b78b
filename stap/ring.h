/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where lines wait for the reader, and how they get there. */
#ifndef FILEMON_STAP_RING_H
#define FILEMON_STAP_RING_H

#include "transport.h"

/*
 * From line to reader: one ring for all processors, which keeps the lines in the order in which
 * they were made and whole or not at all, emptied into stap's transport by a timer, and by whoever
 * finds it half full.  (A message a line costs stapio two system calls each, on the processor that
 * is being watched.)
 */
#define FM_RING (4 << 20)
#define FM_PUMP (64 << 10) /* half full, it is emptied each time that so much came in */
static char fm_ring[FM_RING];
static u64 fm_ring_in, fm_ring_out; /* bytes that ever went in, and out */
static DEFINE_RAW_SPINLOCK(fm_ring_lock);
static DEFINE_RAW_SPINLOCK(fm_pump_lock);

/* A line is given its number when it goes in, in the ring's order: see report.h. */
static inline void fm_number_line(char *line, u32 len, bool ends);

/* False: there is no room.  ends: an event ends with it. */
static bool fm_ring_put(char *bytes, u32 n, bool ends)
{
    unsigned long irq;
    u32 at, first;
    bool room;

    raw_spin_lock_irqsave(&fm_ring_lock, irq);
    room = FM_RING - (fm_ring_in - smp_load_acquire(&fm_ring_out)) >= n;
    if (room) {
        fm_number_line(bytes, n, ends);
        at = fm_ring_in % FM_RING;
        first = min_t(u32, n, FM_RING - at);
        memcpy(fm_ring + at, bytes, first);
        if (first < n)
            memcpy(fm_ring, bytes + first, n - first);
        smp_store_release(&fm_ring_in, fm_ring_in + n);
    }
    raw_spin_unlock_irqrestore(&fm_ring_lock, irq);
    return room;
}

/* As many whole lines from `out` on as a message holds: stapio may be late, not tear one. */
static u32 fm_message(u64 out)
{
    u64 in = smp_load_acquire(&fm_ring_in);
    u32 n = min_t(u64, FM_MESSAGE, in - out);

    while (n && out + n != in && fm_ring[(out + n - 1) % FM_RING] != '\n')
        n--;
    return n;
}

static void fm_pump_there(void *unused);
static call_single_data_t fm_pump_call = CSD_INIT(fm_pump_there, NULL);

/*
 * All goes through one CPU's part: stapio reads each in a thread of its own, and gives up their
 * order where one of them is late.  What a CPU is given that came online later nobody would read.
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
        smp_store_release(&fm_ring_out, out + n);
        fm_send_message(&irq);
    }
    raw_spin_unlock(&fm_pump_lock);
}

static void fm_pump_there(void *unused)
{
    fm_pump();
}

/* At the end, when there is no next tick. */
static void fm_pump_out(void)
{
    int tries;

    for (tries = 0; tries < 1000; tries++) {
        fm_pump();
        if (smp_load_acquire(&fm_ring_out) == READ_ONCE(fm_ring_in))
            return;
        udelay(100);
    }
}

#endif
