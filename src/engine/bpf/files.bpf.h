/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, copies and closes of descriptors: which are delivered, and as which record. */
#ifndef FILEMON_BPF_FILES_H
#define FILEMON_BPF_FILES_H

#include "bytes.bpf.h"
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

/* Reads the arguments of an open as the kernel does: flags are an int, but 64 bits for openat2(2);
 * a mode is an umode_t. */
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

/* At the entry of a call that copies fd: whether fd is recorded, or was until its close, which is
 * still in flight. */
static __always_inline bool can_be_copied(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task);

    return is_recorded(table, fd) || is_closing_file(table, fd, (__u64)file_of(task, fd));
}

static __always_inline struct file *copied_file(struct task_struct *task, const struct copy *copy)
{
    return copy->file ? (void *)copy->file : file_of(task, copy->fd);
}

/* Delivers the close that dup2 makes, before the copy, with the time of the entry of the call. */
static __always_inline void deliver_replaced(struct record *record, __u64 entered)
{
    __u64 now = record->time;

    record->time = entered;
    record->kind = RECORD_REPLACED;
    deliver(record, RECORD_HEAD);
    record->time = now;
}

/*
 * Writes the path of a copy.  Another thread can close origin while this one copies it, and the
 * record of the close then comes first:
 *
 *     this thread                      another
 *     dup(3) makes 4
 *                                      close(3) begins: CLOSE 3
 *     dup(3) ends: DUP 3, 4
 *
 * The copy can even be 3 itself, if its number is allocated after the close.
 *
 * Then the ledger has removed the file of origin, or knows another file that was opened under that
 * number since.  So the record has the path of the copy, too.  False: there is no path, or the
 * filter excludes it.
 */
static __always_inline bool name_copy(struct task_struct *task, struct scratch *s,
                                      const struct copy *copy, bool known)
{
    struct file *file = copied_file(task, copy);
    bool wanted, same = known && file == file_of(task, copy->origin) && copy->origin != copy->fd;

    if (!file) { /* already closed */
        if (!known)
            count_lost();
        return false;
    }
    if (same) { /* it is as wanted as origin */
        write_path(task, s, file);
        return true;
    }
    wanted = write_wanted_path(task, s, file);
    s->record.marks |= MARK_GONE;
    return wanted;
}

/* Whether origin may have referred to another file at the entry of the call, or been closed since.
 */
static __always_inline bool may_be_raced(struct task_struct *task, const struct copy *copy,
                                         bool known)
{
    return known ? has_shared_table(task) : copy->was_recorded;
}

#define O_CLOEXEC 02000000 /* asm-generic/fcntl.h */

static __always_inline bool closes_on_exec(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    unsigned long word = 0;

    bpf_probe_read_kernel(&word, sizeof(word), table->close_on_exec + fd / 64);
    return word >> fd % 64 & 1;
}

/* The flags of an open file description keep the O_CLOEXEC of its open, which may differ from the
 * close-on-exec flag of the descriptor. */
static __always_inline __u64 descriptor_flags(__u32 flags, bool cloexec)
{
    return (flags & ~O_CLOEXEC) | (cloexec ? O_CLOEXEC : 0);
}

/* Whether the file is reported as held: pipes and sockets are not, as they have no opens.  Writes
 * the path to s. */
static __always_inline bool is_held_as_path(struct task_struct *task, struct scratch *s,
                                            struct file *file)
{
    return decide_path(task, s, file) && (!(s->record.marks & MARK_TEXT) || s->payload[0] == '/');
}

/*
 * Leaves the record of a copy to the scan, since the scan has not reached origin yet.  The scan may
 * have passed the number of the copy, so it must be repeated.  The claim of an earlier use of that
 * number is removed, since it would keep the scan from reporting the copy.
 */
static __always_inline void leave_to_scan(__u64 table, __u32 fd)
{
    if (recorded_as(table, fd) != RECORDED_HELD)
        forget_claim(table, fd);
    overtake_scan(table, fd, BY_COPY);
    scan_again = true;
}

static __always_inline void scan_copy(struct task_struct *task, struct scratch *s,
                                      const struct copy *copy)
{
    struct file *file = copied_file(task, copy);

    s->record.marks = 0;
    if (file && (is_held_as_path(task, s, file) || s->is_undecided))
        leave_to_scan(table_of(task), copy->fd);
}

static __always_inline void on_dup(struct task_struct *task, struct scratch *s,
                                   const struct copy *copy)
{
    __u64 table = table_of(task);
    bool known, replaced;

    if (copy->replaces && copy->origin == copy->fd)
        return;
    /* Whether the scan will deliver a record of origin that it has begun is not known yet. */
    known = is_recorded(table, copy->origin) && !is_scanned(table, copy->origin);
    if (!is_recorded(table, copy->fd) && !known && !copy->was_recorded) {
        if (is_scanning())
            scan_copy(task, s, copy);
        return;
    }
    begin_record(task, &s->record, RECORD_DUP, copy->fd);
    if (copy->entered)
        overtake_scan(table, copy->fd, BY_RECORD);
    else if (!claim(&s->record, copied_file(task, copy)))
        return;
    replaced = clear_recorded(table, copy->fd);
    if (replaced)
        deliver_bytes(table, copy->fd);
    if (replaced && copy->entered)
        deliver_replaced(&s->record, copy->entered);
    s->record.origin = copy->origin;
    if (may_be_raced(task, copy, known) && name_copy(task, s, copy, known)) {
        s->record.kind = copy->replaces ? RECORD_DUP2_PATH : RECORD_DUP_PATH;
        deliver_path(s);
        return;
    }
    s->record.kind = copy->replaces ? RECORD_DUP2 : RECORD_DUP;
    s->record.marks = known ? s->record.marks & MARK_GONE : MARK_GONE;
    if (known && !s->record.marks)
        set_recorded(table, copy->fd, RECORDED);
    if (!known && is_scanning())
        leave_to_scan(table, copy->fd);
    deliver(&s->record, RECORD_UNTIL(origin));
}

#define COPY_REPLACES 1
#define COPY_RECORDED 2 /* was_recorded */

/* Delivers s->copy. */
SUBPROGRAM int deliver_copy(__u32 program)
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

/* Whether the file system has a say in the close of this file: then close(2) can fail. */
static __always_inline bool awaits_result(struct file *file)
{
    return is_asked(FACT(RESULT)) && BPF_CORE_READ(file, f_op, flush);
}

/* At the exit of a close(2) whose entry has called note_entry_time(). */
static __always_inline void deliver_result(struct task_struct *task, long result)
{
    void *room = reserve_room(RECORD_HEAD);

    if (!room)
        return;
    begin_record(task, record_in(room), RECORD_RESULT, result);
    submit_room(room);
}

/*
 * Delivers a close.  returns: the exit of close(2) follows.  begins: this is the entry of close(2).
 * A recorded descriptor that is not open then is a copy that another thread closed before the
 * record of the copy was delivered.  This close(2) will fail, and the descriptor stays recorded
 * until its number is reused.
 */
static __always_inline void on_close(struct task_struct *task, __u32 fd, bool begins, bool returns)
{
    __u64 table = table_of(task);
    __u8 *recorded = find_recorded(table, fd);
    bool awaits = false;
    struct file *file;

    if (!recorded)
        return;
    if (begins) {
        file = file_of(task, fd);
        if (!file)
            return;
        begin_closing(task, fd, file);
        awaits = returns && awaits_result(file);
    }
    if (!*recorded) /* another thread closes the same descriptor */
        return;
    *recorded = 0;
    forget_claim(table, fd);
    deliver_bytes(table, fd);
    if (awaits)
        note_entry_time(task);
    deliver_close(task, fd, 0, awaits);
}

/* Unmarks the descriptors from first to last of one chunk.  True: some were recorded. */
SUBPROGRAM bool clear_range_of(__u64 table, __u32 chunk, __u32 first, __u32 last)
{
    __u32 begin = chunk * CHUNK_FDS, end = begin + CHUNK_FDS - 1;

    if (first > end || last < begin)
        return false;
    return clear_chunk(table, chunk,
                       ~0ull << (first > begin ? first - begin : 0) &
                           ~0ull >> (last < end ? end - last : 0));
}

/* Unmarks descriptors in chunks of a table, from this index of its list of chunks on.  Returns
 * SWEEP_*. */
SUBPROGRAM __u32 clear_chunks(__u64 table, __u32 place, __u32 first, __u32 last)
{
    __u32 result = 0;

    for (int i = 0; i < SWEEP_CHUNKS; i++) {
        struct chunk_key key = {table, place++};
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return result | SWEEP_OVER;
        if (clear_range_of(table, *chunk, first, last))
            result |= SWEEP_RECORDED;
        barrier();
    }
    return result;
}

SUBPROGRAM __u32 clear_block(__u64 table, __u32 place, __u32 first, __u32 last)
{
    __u32 result = 0;

    for (__u32 i = 0; i < SWEEP_BLOCK && !(result & SWEEP_OVER); i += SWEEP_CHUNKS)
        result |= clear_chunks(table, place + i, first, last);
    return result;
}

/* For a range of more chunks than this, the list of the table's chunks is scanned instead. */
#define RANGE_CHUNKS 32

/* Unmarks a range of descriptors.  True: some were recorded. */
static __always_inline bool clear_range(__u64 table, __u32 first, __u32 last)
{
    __u32 chunk = first / CHUNK_FDS, result = 0;

    if (last / CHUNK_FDS - chunk < RANGE_CHUNKS) {
        for (int i = 0; i < RANGE_CHUNKS && chunk <= last / CHUNK_FDS; i++)
            if (clear_range_of(table, chunk++, first, last))
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
    void *room;

    /* CLOSE_RANGE_CLOEXEC closes nothing, and unknown flags are an error. */
    if (first > last || first > end || flags & ~CLOSE_RANGE_UNSHARE)
        return;
    /* The call copies the table, and closes descriptors of the copy: none of these is recorded. */
    if (flags & CLOSE_RANGE_UNSHARE && task->files->count.counter > 1)
        return;
    if (!clear_range(table_of(task), first, last < end ? last : end))
        return;
    room = reserve_room(RECORD_UNTIL(last));
    if (!room)
        return;
    begin_record(task, record_in(room), RECORD_CLOSE_RANGE, -1);
    record_in(room)->first = first;
    record_in(room)->last = last;
    submit_room(room);
}

#endif
