/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scan for initially open descriptors: those that watched processes have open when the watch
 * begins.
 *
 * For each descriptor the scan first claims it, then reserves the place of its record in the ring
 * buffer, and then marks it as recorded.  In this order the records of one descriptor number are in
 * order, too: earlier uses of the number come before the record `held`, since their calls have
 * delivered their records before the claim; and its close comes after it, since no close is
 * delivered of a descriptor that is not marked.
 *
 * In between, a call can put another file there and report it, and a further call the first file
 * again: the record `held` would follow theirs.  Such calls say that they have overtaken the scan,
 * which then discards its record.
 */
#ifndef FILEMON_BPF_HELD_H
#define FILEMON_BPF_HELD_H

#include "asked.bpf.h"
#include "claims.bpf.h"
#include "closings.bpf.h"
#include "executables.bpf.h"
#include "files.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* Whether this is a file of filemon itself: its child has not executed the command yet, and the
 * exec will close the descriptor. */
static __always_inline bool is_own_file(struct task_struct *task, bool cloexec)
{
    return task->real_parent->tgid == own_tgid && (cloexec || watch_all);
}

/*
 * Whether the thread is exiting.  The iterator skips the other threads of its process while they
 * use the same table: so the scan must be repeated to see the table through one of them.
 */
static __always_inline bool is_exiting(struct task_struct *task)
{
    if (!(task->flags & PF_EXITING))
        return false;
    scan_again = true;
    return true;
}

/* Whether the file is still in the table, and the table has a user whose exit will report its
 * end. */
static __always_inline bool is_still_held(struct task_struct *task, __u32 fd, struct file *file)
{
    return !is_exiting(task) && file_of(task, fd) == (void *)address_of(file);
}

/*
 * Removes the mark of a descriptor whose record is discarded.  If a call reports what is open there
 * by now, or if that is another file, it may have a record, so the descriptor stays marked.  If it
 * has none, its close is delivered without an open, which the ledger ignores.  What a call has left
 * to the scan has none: it is not marked, or the next scan would pass over it.
 */
static __always_inline void unmark_held(struct task_struct *task, __u64 table, __u32 fd,
                                        struct file *file)
{
    struct chunk *chunk = find_chunk(table, fd);
    __u64 now = (__u64)file_of(task, fd);
    bool is_left = overtaken == BY_COPY || (overtaken == BY_NO_CALL && now == address_of(file));

    if (chunk && chunk->recorded[fd % CHUNK_FDS] == RECORDED_HELD)
        chunk->recorded[fd % CHUNK_FDS] = now && !is_left ? RECORDED : 0;
}

/* If the same file is open there again, a call may have left it to the scan. */
static __always_inline void scan_later(struct task_struct *task, const struct scratch *s,
                                       struct file *file)
{
    if ((__u64)file_of(task, s->record.fd) != address_of(file))
        return;
    forget_claim(s->record.table, s->record.fd);
    scan_again = true;
}

/*
 * Claims the descriptor of s for the scan: after that no call reports it.  False: a call reports
 * the descriptor; or a call has reported both it and its close, which is still in flight.
 */
static __always_inline bool claim_for_scan(const struct scratch *s, __u64 file)
{
    struct claim_key key = {s->record.table, s->record.fd};
    __u64 *claimed = bpf_map_lookup_elem(&claims, &key);
    bool is_stale = claimed && *claimed != file; /* the claimed file was closed */
    int result = bpf_map_update_elem(&claims, &key, &file, is_stale ? BPF_ANY : BPF_NOEXIST);

    if (result != 0 && result != -EEXIST)
        count_lost();
    scan_has_claimed = result == 0 && !is_closing_file(key.table, key.fd, file);
    return scan_has_claimed;
}

/* Claims the descriptor, since the scan may be repeated: each descriptor counts once. */
static __always_inline void lose_held(const struct scratch *s, struct file *file)
{
    if (claim_for_scan(s, address_of(file)))
        count_lost();
}

/* Marks the claimed descriptor of s as recorded.  False: it was closed meanwhile, or a call has
 * overtaken the scan. */
static __always_inline bool mark_held(struct task_struct *task, const struct scratch *s,
                                      struct file *file)
{
    __u64 table = s->record.table;
    __u32 fd = s->record.fd;

    if (overtaken != BY_NO_CALL || is_recorded(table, fd))
        return false;
    set_recorded(table, fd, RECORDED_HELD);
    memory_barrier();
    if (is_still_held(task, fd, file) && overtaken == BY_NO_CALL &&
        recorded_as(table, fd) == RECORDED_HELD)
        return true;
    unmark_held(task, table, fd, file);
    return false;
}

/* Delivers the record in s, whose path ends within the first `bytes` of the payload. */
static __always_inline bool deliver_held(struct task_struct *task, struct scratch *s,
                                         struct file *file, const __u32 bytes)
{
    const __u32 head = facts_asked ? sizeof(s->facts) + sizeof(s->record) : sizeof(s->record);
    void *from = facts_asked ? (void *)&s->facts : (void *)&s->record;
    void *record = bpf_ringbuf_reserve(&events, head + bytes, 0);

    if (!record) {
        count_lost();
        return false;
    }
    s->record.time = bpf_ktime_get_ns();
    bpf_probe_read_kernel(record, head + bytes, from);
    if (mark_held(task, s, file)) {
        bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
        return true;
    }
    bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
    scan_later(task, s, file);
    return false;
}

#define SHORT_PATH 128
#define LONG_PATH 512

/* The verifier allows only constant sizes: one of three is chosen. */
static __always_inline bool deliver_held_path(struct task_struct *task, struct scratch *s,
                                              struct file *file)
{
    __u32 walked = s->record.walked;

    return walked <= SHORT_PATH  ? deliver_held(task, s, file, SHORT_PATH)
           : walked <= LONG_PATH ? deliver_held(task, s, file, LONG_PATH)
                                 : deliver_held(task, s, file, PATH_BYTES + 64);
}

static __always_inline bool is_unreported(struct task_struct *task, __u32 fd, struct file *file)
{
    return is_still_held(task, fd, file) && !is_recorded(table_of(task), fd);
}

/* From here on, calls that change the descriptor overtake the scan. */
static __always_inline void begin_reporting(__u64 table, __u32 fd)
{
    scanned_fd = fd;
    scan_has_claimed = false;
    overtaken = BY_NO_CALL;
    scanned_table = table;
    memory_barrier();
}

/*
 * Runs for each open descriptor when the loader reads the iterator.  For each record it gives the
 * loader a byte to read: when the loader's buffer is full, the iterator pauses, and the loader
 * empties the ring buffer.
 */
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
    task = untrusted(trusted);
    if (!is_watched(task->tgid) || !is_unreported(task, fd, file))
        return 0;
    cloexec = closes_on_exec(task, fd);
    if (is_own_file(task, cloexec) || !is_asked_for(task, file->f_flags))
        return 0;
    note_executable(task);
    begin_record_of(task, trusted, &s->record, RECORD_HELD, fd);
    s->record.flags = descriptor_flags(file->f_flags, cloexec);
    if (!is_held_as_path(task, s, file)) {
        if (s->is_undecided)
            lose_held(s, file);
        return 0;
    }
    begin_reporting(s->record.table, fd);
    found = is_unreported(task, fd, file) && claim_for_scan(s, address_of(file)) &&
            deliver_held_path(task, s, file);
    scanned_table = 0;
    if (found)
        bpf_seq_write(ctx->meta->seq, &found, 1);
    return 0;
}

#endif
