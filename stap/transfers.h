/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calls that read, write or map files, which are counted at their exit (-b). */
#ifndef FILEMON_STAP_TRANSFERS_H
#define FILEMON_STAP_TRANSFERS_H

#include "bytes.h"
#include "inflight.h"
#include "recorded.h"

/* The descriptors of a call: where it reads, writes and maps; -1: nowhere. */
struct fm_ends {
    int from, to, mapped;
};

/* NULL: the descriptor is not recorded. */
static struct fm_slot *fm_recorded_slot(int fd)
{
    struct fm_table *table = fd >= 0 ? fm_my_table() : NULL;

    return table ? fm_find_slot(fm_key(table, fd)) : NULL;
}

static bool fm_shares_table(void)
{
    return current->files && atomic_read(&current->files->count) > 1;
}

static u64 fm_serial_of_descriptor(int fd)
{
    struct fm_slot *slot = fm_recorded_slot(fd);

    return slot ? fm_serial_of(fm_slot_number(slot)) : 0;
}

/*
 * At the entry of a call.  If other threads use the table, one of them can close the descriptor
 * during the call, and open another file under its number.  So the exit counts only what has the
 * same serial number: then the descriptor was recorded during the whole call, for one file.
 */
static void fm_transfer_begins(struct fm_ends ends)
{
    struct fm_flight *flight;
    u64 serials[3];

    if (likely(!fm_shares_table()))
        return;
    serials[0] = fm_serial_of_descriptor(ends.from);
    serials[1] = fm_serial_of_descriptor(ends.to);
    serials[2] = fm_serial_of_descriptor(ends.mapped);
    if (!serials[0] && !serials[1] && !serials[2]) /* of sockets, by hundreds of threads perhaps */
        return;
    flight = fm_begin_flight();
    if (flight) {
        flight->transfers = true;
        memcpy(flight->serials, serials, sizeof(serials));
    } else {
        atomic_inc(&fm_lost);
    }
}

/* The counts of a descriptor, if they still have this serial number.  NULL: they have not. */
static struct fm_counts *fm_noted_counts(int fd, u64 serial)
{
    struct fm_slot *slot = serial ? fm_recorded_slot(fd) : NULL;
    struct fm_counts *counts = slot ? fm_find_counts(fm_slot_number(slot)) : NULL;

    return counts && READ_ONCE(counts->serial) == serial ? counts : NULL;
}

static struct fm_counts *fm_own_counts(int fd)
{
    struct fm_slot *slot = fm_recorded_slot(fd);

    return slot ? fm_add_counts(fm_slot_number(slot)) : NULL;
}

static void fm_count_read(struct fm_counts *counts, s64 n)
{
    if (!counts)
        return;
    atomic64_add(n, &counts->read);
    atomic64_inc(&counts->reads);
}

static void fm_count_written(struct fm_counts *counts, s64 n)
{
    if (!counts)
        return;
    atomic64_add(n, &counts->written);
    atomic64_inc(&counts->writes);
}

static void fm_count_mapped(struct fm_counts *counts)
{
    if (counts)
        WRITE_ONCE(counts->mapped, true);
}

static bool fm_end_transfer(struct fm_flight *flight)
{
    struct fm_flight_slot *slot = fm_my_flight();

    return slot && slot->flight.transfers && fm_end_flight(flight);
}

/* At the exit of a call.  One that failed is not counted: its result is an error, or one of the
 * last page of addresses. */
static void fm_transferred(struct fm_ends ends, long result)
{
    bool failed = IS_ERR_VALUE(result);
    struct fm_flight flight;

    if (unlikely(fm_end_transfer(&flight))) {
        if (failed)
            return;
        fm_count_read(fm_noted_counts(ends.from, flight.serials[0]), result);
        fm_count_written(fm_noted_counts(ends.to, flight.serials[1]), result);
        fm_count_mapped(fm_noted_counts(ends.mapped, flight.serials[2]));
    } else if (!failed && !fm_shares_table()) {
        fm_count_read(fm_own_counts(ends.from), result);
        fm_count_written(fm_own_counts(ends.to), result);
        fm_count_mapped(fm_own_counts(ends.mapped));
    }
}

/* The descriptors whose arguments have these indexes; -1: there is none. */
static struct fm_ends fm_ends_of(int from, int to)
{
    unsigned long args[6];

    fm_syscall_args(args);
    return (struct fm_ends){
        .from = from < 0 ? -1 : (int)args[from],
        .to = to < 0 ? -1 : (int)args[to],
        .mapped = -1,
    };
}

/* mmap: its flags and its descriptor.  The call of 1995, on x86 for 32-bit programs, has the
 * address of an array of these. */
static struct fm_ends fm_ends_of_map(void)
{
    struct fm_ends ends = {-1, -1, -1};
    unsigned long args[6];
    u32 old[5];

    fm_syscall_args(args);
#ifdef CONFIG_X86_64
    if (in_ia32_syscall() && syscall_get_nr(current, task_pt_regs(current)) == __NR_ia32_mmap) {
        if (!fm_user_bytes(old, (const void __user *)args[0], sizeof(old)))
            return ends;
        args[3] = old[3];
        args[4] = old[4];
    }
#endif
    if (!(args[3] & MAP_ANONYMOUS))
        ends.mapped = (int)args[4];
    return ends;
}

/* vmsplice: as the kernel decides, the end of the pipe that is open for writing is written to. */
static struct fm_ends fm_ends_of_memory(void)
{
    struct fm_ends ends = fm_ends_of(0, -1);
    struct file *file = fm_get_file(ends.from);

    if (file && file->f_mode & FMODE_WRITE)
        ends = fm_ends_of(-1, 0);
    if (file)
        fput(file);
    return ends;
}

/* ---- AIO (io_submit) ------------------------------------------------------------------------ */

#define FM_EVENTS 1024 /* that one call can return and that are counted; more count as lost */

static void fm_count_event(const struct io_event *event)
{
    struct iocb request;

    if (event->res < 0 ||
        !fm_user_bytes(&request, (const void __user *)(uintptr_t)event->obj, sizeof(request)))
        return;
    switch (request.aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PREADV:
        fm_count_read(fm_own_counts(request.aio_fildes), event->res);
        break;
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PWRITEV:
        fm_count_written(fm_own_counts(request.aio_fildes), event->res);
        break;
    }
}

/* io_getevents has returned these events, whose requests were completed. */
static void fm_events_returned(long n)
{
    const struct io_event __user *events;
    struct io_event event;
    unsigned long args[6];
    long i;

    fm_syscall_args(args);
    events = (const struct io_event __user *)args[3];
    if (n > FM_EVENTS)
        atomic_inc(&fm_lost);
    for (i = 0; i < min_t(long, n, FM_EVENTS); i++)
        if (fm_user_bytes(&event, &events[i], sizeof(event)))
            fm_count_event(&event);
}

#endif
