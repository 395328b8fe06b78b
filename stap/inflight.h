/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls in flight: what their entry leaves for their exit. */
#ifndef FILEMON_STAP_INFLIGHT_H
#define FILEMON_STAP_INFLIGHT_H

#include "calls.h"
#include "filter.h"
#include "state.h"

/*
 * What the entry of a call leaves for its exit, at most one for each thread: the time at which a
 * dup2 or dup3 was entered (it closes the old descriptor then); the table that a close_range may
 * leave; whether the result of a close is reported; the file that receive_fd() is about to install;
 * which file a call reads or writes; the paths of a call that the kernel has resolved; and an open
 * that a signal interrupted, until it is known whether the kernel restarts it.  If no slot is free,
 * dup2 and dup3 get the time of their exit, paths are those that the program gave, a close has no
 * result, and the others count as lost.
 */
#define FM_FLIGHTS 1024
struct fm_traced;
struct fm_resolved {
    const struct fm_traced *traced; /* NULL: none; see changes.h */
    enum fm_verdict verdict;
    char *path, *destination; /* freed with the slot; destination NULL: the call has only one */
};
#define FM_FLIGHT_TRIES 16
struct fm_flight {
    struct fm_time time;
    struct fm_call call;
    struct files_struct *files;
    struct file *receiving;
    int result;     /* of an interrupted open: -ERESTARTSYS and the like; 0: another call */
    bool transfers; /* this call reads or writes: see transfers.h */
    u64 serials[3]; /* of the counts where it reads, writes and maps; 0: none */
    bool closes;    /* the result of this close is reported */
    bool blocked;   /* this dup2 or dup3 has blocked its new descriptor, see recorded.h */
    struct fm_resolved resolved;
};
static struct fm_flight_slot {
    struct task_struct *task; /* NULL: free; only this thread uses .flight */
    struct fm_flight flight;
} fm_flights[FM_FLIGHTS];
static atomic_t fm_n_flights = ATOMIC_INIT(0);

static struct fm_flight_slot *fm_flight_at(u32 try)
{
    u64 hash = (uintptr_t)current * 0x9e3779b97f4a7c15ULL;

    return &fm_flights[((hash >> 32) + try) % FM_FLIGHTS];
}

static struct fm_flight_slot *fm_my_flight(void)
{
    u32 try;

    for (try = 0; atomic_read(&fm_n_flights) && try < FM_FLIGHT_TRIES; try++)
        if (READ_ONCE(fm_flight_at(try)->task) == current)
            return fm_flight_at(try);
    return NULL;
}

static void fm_resolved_free(struct fm_resolved *resolved)
{
    kfree(resolved->path);
    kfree(resolved->destination);
    *resolved = (struct fm_resolved){};
}

/* False: the thread has no call in flight. */
static bool fm_end_flight(struct fm_flight *ended)
{
    struct fm_flight_slot *slot = fm_my_flight();

    if (!slot)
        return false;
    fm_resolved_free(&slot->flight.resolved);
    *ended = slot->flight;
    atomic_dec(&fm_n_flights);
    /* Pairs with cmpxchg() in fm_begin_flight().  Otherwise the thread that takes the slot could
     * write its call before this one is copied. */
    smp_store_release(&slot->task, NULL);
    return true;
}

static void fm_drop_flight(void)
{
    struct fm_flight dropped;

    fm_end_flight(&dropped);
}

/* NULL: no slot is free.  If the exit of the previous call was missed, its slot is freed first. */
static struct fm_flight *fm_begin_flight(void)
{
    u32 try;

    fm_drop_flight();
    for (try = 0; try < FM_FLIGHT_TRIES; try++) {
        struct fm_flight_slot *slot = fm_flight_at(try);

        if (cmpxchg(&slot->task, NULL, current))
            continue;
        atomic_inc(&fm_n_flights);
        slot->flight = (struct fm_flight){.time = fm_now()};
        return &slot->flight;
    }
    return NULL;
}

/* At the end of the script. */
static void fm_flights_free(void)
{
    int i;

    for (i = 0; i < FM_FLIGHTS; i++)
        fm_resolved_free(&fm_flights[i].flight.resolved);
}

#endif
