/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, copies and closes: which of them leave the kernel, and as what. */
#ifndef FILEMON_BPF_FILES_H
#define FILEMON_BPF_FILES_H

#include "claims.bpf.h"
#include "closings.bpf.h"
#include "inflight.bpf.h"
#include "opens.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"
#include "unread.bpf.h"
#include "walk.bpf.h"

#define O_CREAT_WRONLY_TRUNC 01101

/*
 * With the widths that the kernel takes: flags are an int but for openat2(2), a mode is an umode_t.
 */
static __always_inline void read_request(enum call call, const __u64 args[4],
                                         struct request *request)
{
    *request = (struct request){(void *)args[0], AT_FDCWD, 0, (__u32)args[1], (__u16)args[2], 0};
    switch (call) {
    case CALL_CREAT:
        request->flags = O_CREAT_WRONLY_TRUNC;
        request->mode = (__u16)args[1];
        break;
    case CALL_OPENAT:
        request->name = (void *)args[1];
        request->dirfd = args[0];
        request->flags = (__u32)args[2];
        request->mode = (__u16)args[3];
        break;
    case CALL_OPENAT2:
        request->name = (void *)args[1];
        request->dirfd = args[0];
        bpf_probe_read_user(&request->flags, 3 * sizeof(__u64), (void *)args[2]);
        break;
    case CALL_OPEN_BY_HANDLE_AT: /* has no name */
        *request = (struct request){NULL, args[0], 0, (__u32)args[2], 0, 0};
        break;
    default:
        break;
    }
}

static __always_inline void on_open(struct task_struct *task, enum call call, const __u64 args[4],
                                    int result)
{
    struct scratch *s = get_scratch(ON_LEAVE);

    if (!s || (result < 0 && !report_failed))
        return;
    read_request(call, args, &s->request);
    if (result >= 0) {
        begin_open(task, s, RECORD_OPEN, result);
        s->file = NULL;
        deliver_open(ON_LEAVE);
        return;
    }
    s->request.error = result;
    if (is_interrupted(result))
        keep_interrupted(task, &s->request);
    else if (!defer_failed(s))
        deliver_failed(ON_LEAVE);
}

/* It is open, and there is a record of the file that it has. */
static __always_inline bool can_be_copied(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task);

    return is_recorded(table, fd) || is_closing_file(table, fd, (__u64)file_of(task, fd));
}

static __always_inline struct file *copied_file(struct task_struct *task, const struct copy *copy)
{
    return copy->file ? (void *)copy->file : file_of(task, copy->fd);
}

/* What dup2 closes, at the beginning of the call, before what it copies. */
static __always_inline void deliver_replaced(struct record *record, __u64 entered)
{
    __u64 now = record->time;

    record->time = entered;
    record->kind = RECORD_REPLACED;
    deliver(record, RECORD_HEAD);
    record->time = now;
}

/*
 * Another thread can close origin while this one copies it, and that record comes first:
 *
 *     this thread                      another
 *     dup(3) makes 4
 *                                      close(3) begins: CLOSE 3
 *     dup(3) ends: DUP 3, 4
 *
 * The copy can even be 3 again, when it gets its number after the close.
 *
 * Then origin does not tell the file any more, or tells another one that was opened since.  So the
 * record has the path of the copy as well.  False: it has none, and origin says what is known.
 */
static __always_inline bool name_copy(struct task_struct *task, struct scratch *s,
                                      const struct copy *copy, bool known)
{
    struct file *file = copied_file(task, copy);
    bool wanted, same = known && file == file_of(task, copy->origin) && copy->origin != copy->fd;

    if (!file) { /* closed already */
        if (!known)
            count_lost();
        return false;
    }
    wanted = write_path(task, s, file) || same || filter(s);
    if (!same)
        s->record.marks |= MARK_GONE;
    return wanted;
}

/* Origin may have been another file's when the call began, or nobody's now. */
static __always_inline bool may_be_raced(struct task_struct *task, const struct copy *copy,
                                         bool known)
{
    return known ? has_shared_table(task) : copy->was_recorded;
}

/* Pipes and sockets have no opens, so they are not held, either.  The path is in s. */
static __always_inline bool is_held_as_path(struct task_struct *task, struct scratch *s,
                                            struct file *file)
{
    return write_path(task, s, file) ? s->payload[0] == '/' : filter(s);
}

/*
 * A copy of what the scan has not reached yet has no record of its own.  The scan reports the copy,
 * but may have passed its number already, and a claim from an earlier use of the number would stop
 * it.
 */
static __always_inline void leave_to_scan(__u64 table, __u32 fd)
{
    if (recorded_as(table, fd) != RECORDED_HELD)
        forget_claim(table, fd);
    scan_again = true;
}

static __always_inline void scan_copy(struct task_struct *task, struct scratch *s,
                                      const struct copy *copy)
{
    struct file *file = copied_file(task, copy);

    s->record.marks = 0;
    if (file && is_held_as_path(task, s, file))
        leave_to_scan(table_of(task), copy->fd);
}

static __always_inline void on_dup(struct task_struct *task, struct scratch *s,
                                   const struct copy *copy)
{
    __u64 table = table_of(task);
    bool known, replaced;

    if (copy->replaces && copy->origin == copy->fd)
        return;
    known = is_recorded(table, copy->origin);
    if (!is_recorded(table, copy->fd) && !known && !copy->was_recorded) {
        if (is_scanning())
            scan_copy(task, s, copy);
        return;
    }
    begin_record(task, &s->record, RECORD_DUP, copy->fd);
    if (!copy->entered && !claim(&s->record, copied_file(task, copy)))
        return;
    replaced = clear_recorded(table, copy->fd);
    if (replaced && copy->entered)
        deliver_replaced(&s->record, copy->entered);
    s->record.origin = copy->origin;
    if (may_be_raced(task, copy, known) && name_copy(task, s, copy, known)) {
        s->record.kind = copy->replaces ? RECORD_DUP2_PATH : RECORD_DUP_PATH;
        deliver_path(s);
        return;
    }
    s->record.kind = copy->replaces ? RECORD_DUP2 : RECORD_DUP;
    s->record.marks &= MARK_GONE;
    if (known && !s->record.marks)
        set_recorded(table, copy->fd, RECORDED);
    if (!known && is_scanning())
        leave_to_scan(table, copy->fd);
    deliver(&s->record, RECORD_UNTIL(origin));
}

#define COPY_REPLACES 1
#define COPY_RECORDED 2 /* was_recorded */

/* s->copy. */
TURN int deliver_copy(__u32 program)
{
    struct scratch *s = get_scratch(program);

    if (s)
        on_dup(current_task(), s, &s->copy);
    return 0;
}

static __always_inline void take_copy(__u32 origin, __u32 fd, __u32 how, __u64 entered, __u64 file)
{
    struct scratch *s = get_scratch(ON_LEAVE);

    if (!s)
        return;
    s->copy = (struct copy){origin, fd, how & COPY_REPLACES, how & COPY_RECORDED, entered, file};
    deliver_copy(ON_LEAVE);
}

/*
 * begins: before close(2) closes.  The record of a copy is made when the call that copies ends:
 * another thread may have closed it by then, and this call is going to fail.  It stays for whoever
 * comes next.
 */
static __always_inline void on_close(struct task_struct *task, __u32 fd, bool begins)
{
    __u64 table = table_of(task);
    __u8 *recorded = find_recorded(table, fd);
    struct file *file;

    if (!recorded)
        return;
    if (begins) {
        file = file_of(task, fd);
        if (!file)
            return;
        begin_closing(task, fd, file);
    }
    if (!*recorded) /* another thread closes it, too */
        return;
    *recorded = 0;
    forget_claim(table, fd);
    deliver_close(task, fd, 0);
}

/* Those of one chunk.  True when a record had been made of any. */
TURN bool clear_chunk(__u64 table, __u32 number, __u32 first, __u32 last)
{
    struct chunk *chunk = find_chunk(table, number * CHUNK_FDS);
    bool any = false;

    for (__u32 i = 0; chunk && i < CHUNK_FDS; i++) {
        __u32 fd = number * CHUNK_FDS + i;

        if (fd >= first && fd <= last && chunk->recorded[i]) {
            chunk->recorded[i] = 0;
            any = true;
        }
    }
    return any;
}

/* Some chunks of a table, from this place of their list on. */
TURN __u32 clear_on(__u64 table, __u32 place, __u32 first, __u32 last)
{
    __u32 result = 0;

    for (int i = 0; i < SWEEP_CHUNKS; i++) {
        struct chunk_key key = {table, place++};
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return result | SWEEP_OVER;
        if (clear_chunk(table, *chunk, first, last))
            result |= SWEEP_RECORDED;
        barrier();
    }
    return result;
}

TURN __u32 clear_block(__u64 table, __u32 place, __u32 first, __u32 last)
{
    __u32 result = 0;

    for (__u32 i = 0; i < SWEEP_BLOCK && !(result & SWEEP_OVER); i += SWEEP_CHUNKS)
        result |= clear_on(table, place + i, first, last);
    return result;
}

/* Chunks looked at one by one; in a wider range, those of the table's list. */
#define RANGE_CHUNKS 32

/* True when a record had been made of any. */
static __always_inline bool clear_range(__u64 table, __u32 first, __u32 last)
{
    __u32 chunk = first / CHUNK_FDS, result = 0;

    if (last / CHUNK_FDS - chunk < RANGE_CHUNKS) {
        for (int i = 0; i < RANGE_CHUNKS && chunk <= last / CHUNK_FDS; i++)
            if (clear_chunk(table, chunk++, first, last))
                result = SWEEP_RECORDED;
        return result;
    }
    for (__u32 i = 0; i < MAX_CHUNKS && !(result & SWEEP_OVER); i += SWEEP_BLOCK)
        result |= clear_block(table, i, first, last);
    return result & SWEEP_RECORDED;
}

static __always_inline void on_close_range(struct task_struct *task, __u32 first, __u32 last,
                                           __u32 flags)
{
    __u32 end = task->files->fdt->max_fds - 1;
    struct record record;

    /* With CLOSE_RANGE_CLOEXEC nothing is closed, with unknown flags neither. */
    if (first > last || first > end || flags & ~CLOSE_RANGE_UNSHARE)
        return;
    /* Closes in a copy of its own, of which there are no records (has_same_table). */
    if (flags & CLOSE_RANGE_UNSHARE && task->files->count.counter > 1)
        return;
    if (clear_range(table_of(task), first, last < end ? last : end)) {
        begin_record(task, &record, RECORD_CLOSE_RANGE, -1);
        record.first = first;
        record.last = last;
        deliver(&record, RECORD_UNTIL(last));
    }
}

#endif
