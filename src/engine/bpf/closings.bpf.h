/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors whose close(2) has begun.  The record of the close is made by then, but the file
 * stays in the table for a while: another thread can still copy it, and the scan of -i can come
 * upon it.
 */
#ifndef FILEMON_BPF_CLOSINGS_H
#define FILEMON_BPF_CLOSINGS_H

#include "state.bpf.h"

/* Other threads, or processes, have the same file descriptor table. */
static __always_inline bool has_others(struct task_struct *task)
{
    return task->files->count.counter > 1;
}

/* A slot is shared by few descriptors, and by none of one table below CLOSING_SLOTS. */
struct closing {
    __u64 file, table; /* 0: none */
    __u32 fd;
};

#define CLOSING_SLOTS 4096

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLOSING_SLOTS);
    __type(key, __u32);
    __type(value, struct closing);
} closings SEC(".maps");

static __always_inline struct closing *closing_of(__u64 table, __u32 fd)
{
    __u32 slot = ((__u32)(table >> 6) * 2654435761u + fd) % CLOSING_SLOTS;

    return bpf_map_lookup_elem(&closings, &slot);
}

/* Nobody else can see the descriptor while it is being closed. */
static __always_inline bool is_closed_unseen(struct task_struct *task)
{
    return !report_held && !has_others(task);
}

static __always_inline void begin_closing(struct task_struct *task, __u32 fd, struct file *file)
{
    __u64 table = table_of(task);
    struct closing *closing;

    if (is_closed_unseen(task))
        return;
    closing = closing_of(table, fd);
    if (!closing)
        return;
    closing->file = (__u64)file;
    closing->table = table;
    closing->fd = fd;
}

static __always_inline bool is_closing(const struct closing *closing, __u64 table, __u32 fd)
{
    return closing && closing->table == table && closing->fd == fd;
}

static __always_inline void end_closing(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task);
    struct closing *closing;

    if (is_closed_unseen(task))
        return;
    closing = closing_of(table, fd);
    if (is_closing(closing, table, fd))
        closing->table = 0;
}

/* file: its address. */
static __always_inline bool is_closing_file(__u64 table, __u32 fd, __u64 file)
{
    struct closing *closing = closing_of(table, fd);

    return is_closing(closing, table, fd) && closing->file == file;
}

#endif
