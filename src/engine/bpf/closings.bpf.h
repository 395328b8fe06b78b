/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors whose close(2) is in flight.  A program on the entry of the call has already
 * delivered the record of the close, but the kernel has not yet removed the descriptor: another
 * thread can still copy it, and the scan for initially open descriptors can find it.
 */
#ifndef FILEMON_BPF_CLOSINGS_H
#define FILEMON_BPF_CLOSINGS_H

#include "recorded.bpf.h"
#include "state.bpf.h"

/* Whether other threads or processes use the same file descriptor table. */
static __always_inline bool has_shared_table(struct task_struct *task)
{
    return task->files->count.counter > 1;
}

/* A slot of an array, found by a hash of table and descriptor.  Two descriptors of one table that
 * are less than CLOSING_SLOTS apart have different slots. */
struct closing {
    __u64 file, table; /* table 0: the slot is free */
    __u64 begun;       /* tells the table from a later one at the same address */
    __u32 fd;
};

#define CLOSING_SLOTS 4096

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLOSING_SLOTS);
    __type(key, __u32);
    __type(value, struct closing);
} closings SEC(".maps");

static __always_inline struct closing *find_closing(__u64 table, __u32 fd)
{
    __u32 slot = ((__u32)(table >> 6) * 2654435761u + fd) % CLOSING_SLOTS;

    return bpf_map_lookup_elem(&closings, &slot);
}

/* Whether any slot was ever taken: in most watches no table is shared. */
volatile bool any_closings = false;

/* Whether another thread or a scan can see the descriptor while it is being closed. */
static __always_inline bool can_be_seen(struct task_struct *task)
{
    return report_held || has_shared_table(task);
}

static __always_inline void begin_closing(struct task_struct *task, __u32 fd, struct file *file)
{
    __u64 table = table_of(task);
    struct closing *closing;

    if (!can_be_seen(task))
        return;
    closing = find_closing(table, fd);
    if (!closing)
        return;
    any_closings = true;
    closing->file = (__u64)file;
    closing->begun = bpf_ktime_get_ns();
    closing->table = table;
    closing->fd = fd;
}

static __always_inline bool is_closing(const struct closing *closing, __u64 table, __u32 fd)
{
    return closing && closing->table == table && closing->fd == fd;
}

/* The other users may have left the table since the close began. */
static __always_inline void end_closing(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task);
    struct closing *closing;

    if (!any_closings)
        return;
    closing = find_closing(table, fd);
    if (is_closing(closing, table, fd))
        closing->table = 0;
}

/* Whether the table that the close began with is still there; such a table has an entry. */
static __always_inline bool is_of_table(const struct closing *closing)
{
    __u64 address = closing->table;
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    return table && table->created <= closing->begun;
}

/* Whether a close of this descriptor is in flight, and of this file (its address). */
static __always_inline bool is_closing_file(__u64 table, __u32 fd, __u64 file)
{
    struct closing *closing = find_closing(table, fd);

    return is_closing(closing, table, fd) && closing->file == file && is_of_table(closing);
}

#endif
