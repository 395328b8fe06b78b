/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptors that the watched processes have open when the watch begins.
 *
 * The scan claims a descriptor, reserves the place of its record `held` in the ring, and only then
 * puts the descriptor into the set of those that were recorded.  So what calls reported of the
 * number before stands before the record, and what follows from the record stands behind it.
 */
#ifndef FILEMON_BPF_HELD_H
#define FILEMON_BPF_HELD_H

#include "claims.bpf.h"
#include "closings.bpf.h"
#include "files.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* How many there were. */
volatile __u64 n_held = 0;

#define O_CLOEXEC 02000000 /* asm-generic/fcntl.h */

static __always_inline bool closes_on_exec(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    unsigned long word = 0;

    bpf_probe_read_kernel(&word, sizeof(word), table->close_on_exec + fd / 64);
    return word >> fd % 64 & 1;
}

/* A child of filemon has yet to execute the command: what exec closes is filemon's own. */
static __always_inline bool is_own_file(struct task_struct *task, bool cloexec)
{
    return task->real_parent->tgid == own_tgid && (cloexec || watch_all);
}

/* The other threads of its process are passed over as long as it has the same table. */
static __always_inline bool is_ending(struct task_struct *task)
{
    if (!(task->flags & PF_EXITING))
        return false;
    scan_again = true;
    return true;
}

/* The file is still there, and the table has a user who will say that it ends. */
static __always_inline bool is_still_held(struct task_struct *task, __u32 fd, struct file *file)
{
    return !is_ending(task) && file_of(task, fd) == (void *)address_of(file);
}

/*
 * What has been opened meanwhile has a record, perhaps: a close that is reported in vain does no
 * harm.
 */
static __always_inline void take_back(struct task_struct *task, __u64 table, __u32 fd)
{
    struct chunk *chunk = find_chunk(table, fd);

    if (chunk && chunk->recorded[fd % CHUNK_FDS] == RECORDED_HELD)
        chunk->recorded[fd % CHUNK_FDS] = file_of(task, fd) ? RECORDED : 0;
}

/*
 * Claims the descriptor of s, in whose name nobody else reports it from now on.  False: a call
 * reports it, or has reported it and its close, which has yet to remove it from the table.
 */
static __always_inline bool claim_as_held(const struct scratch *s, __u64 file)
{
    struct claim_key key = {s->record.table, s->record.fd};
    __u64 *claimed = bpf_map_lookup_elem(&claims, &key);
    bool is_stale = claimed && *claimed != file; /* of a file that is not there any more */
    int result = bpf_map_update_elem(&claims, &key, &file, is_stale ? BPF_ANY : BPF_NOEXIST);

    if (result != 0 && result != -EEXIST)
        count_lost();
    return result == 0 && !is_closing_file(key.table, key.fd, file);
}

/*
 * Puts the descriptor of s, which is claimed, into the set of those that were recorded.  False: it
 * has been closed meanwhile.
 */
static __always_inline bool record_as_held(struct task_struct *task, const struct scratch *s,
                                           struct file *file)
{
    set_recorded(s->record.table, s->record.fd, RECORDED_HELD);
    __sync_fetch_and_add(&n_held, 1); /* a barrier, too */
    if (is_still_held(task, s->record.fd, file))
        return true;
    take_back(task, s->record.table, s->record.fd);
    return false;
}

/* The record in s, whose path ends within the first `bytes` of the payload.  It has its place in
 * the ring after all that calls have reported of this number before the claim. */
static __always_inline bool deliver_held(struct task_struct *task, struct scratch *s,
                                         struct file *file, const __u32 bytes)
{
    void *record = bpf_ringbuf_reserve(&events, sizeof(s->record) + bytes, 0);

    if (!record) {
        count_lost();
        return false;
    }
    s->record.time = bpf_ktime_get_ns();
    bpf_probe_read_kernel(record, sizeof(s->record) + bytes, s);
    if (record_as_held(task, s, file)) {
        bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
        return true;
    }
    bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
    return false;
}

#define SHORT_PATH 128
#define LONG_PATH 512

static __always_inline bool deliver_walked(struct task_struct *task, struct scratch *s,
                                           struct file *file)
{
    __u32 walked = s->record.walked;

    return walked <= SHORT_PATH  ? deliver_held(task, s, file, SHORT_PATH)
           : walked <= LONG_PATH ? deliver_held(task, s, file, LONG_PATH)
                                 : deliver_held(task, s, file, PATH_BYTES + 64);
}

/* Runs for each descriptor when the loader reads the iterator.  It reads a byte for each record, so
 * that it can empty the ring in between. */
SEC("iter/task_file")
int find_held(struct bpf_iter__task_file *ctx)
{
    struct task_struct *trusted = ctx->task, *task;
    struct file *file = ctx->file;
    struct scratch *s = get_scratch(ON_HELD);
    __u32 fd = ctx->fd;
    bool cloexec, found;

    if (!trusted || !file || !s)
        return 0;
    task = walkable(trusted);
    if (!is_watched(task->tgid) || !is_still_held(task, fd, file) ||
        is_recorded(table_of(task), fd))
        return 0;
    cloexec = closes_on_exec(task, fd);
    if (is_own_file(task, cloexec))
        return 0;
    begin_record_of(task, trusted, &s->record, RECORD_HELD, fd);
    s->record.flags = file->f_flags | (cloexec ? O_CLOEXEC : 0);
    if (!is_held_as_path(task, s, file))
        return 0;
    scanned_fd = fd;
    scanned_table = s->record.table;
    found = claim_as_held(s, address_of(file)) && deliver_walked(task, s, file);
    scanned_table = 0;
    if (found)
        bpf_seq_write(ctx->meta->seq, &found, 1);
    return 0;
}

#endif
