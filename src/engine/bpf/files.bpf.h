/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, copies and closes: which of them leave the kernel, and as what. */
#ifndef FILEMON_BPF_FILES_H
#define FILEMON_BPF_FILES_H

/* The record in s, with its payload. */
static __always_inline void deliver_path(struct scratch *s)
{
    __u64 size = sizeof(s->record) + bounded(s->length, 2 * PAYLOAD_BYTES);
    __u64 table = s->record.table;
    __u32 fd = s->record.fd;

    if (size > sizeof(s->record) + PAYLOAD_BYTES)
        return;
    if (s->record.kind == RECORD_FAIL) {
        deliver(&s->record, size);
        return;
    }
    /* First, for from now on another thread may close it. */
    set_recorded(table, fd, RECORDED);
    if (!deliver(&s->record, size))
        clear_recorded(table, fd);
}

/*
 * One component of the path, from the root on: the longest rule, which decides, comes last.
 * True: no other can match.
 */
static __always_inline bool filter_component(struct scratch *s)
{
    struct rule_node *node;

    if (s->n_components == 0 || !take_component(s, s->n_components - 1, longest_component))
        return true;
    node = bpf_map_lookup_elem(&rules, &s->key);
    if (!node)
        return true;
    if (node->verdict != RULE_NONE)
        s->wanted = node->verdict == RULE_INCLUDE;
    s->key.parent = node->node;
    s->n_components--;
    return false;
}

TURN bool filter_on(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < COMPONENTS; i++) {
        if (filter_component(s))
            return true;
        barrier();
    }
    return false;
}

/* Its directory is not in the dentry cache: the walk has come to nothing (open_by_handle_at). */
static __always_inline bool is_disconnected(struct scratch *s)
{
    return s->length == 0 && s->dentry != s->mount_root && s->dentry != s->root_dentry;
}

/* Is the path that was walked wanted? */
static __always_inline bool filter(struct scratch *s)
{
    if (!filtering)
        return true;
    if (s->record.marks & MARK_CUT || is_disconnected(s)) {
        /* Only its end is known, or nothing: no rule can be asked, and it may be wanted. */
        count_lost();
        return false;
    }
    s->key.parent = 0;
    s->taken = s->length;
    s->wanted = wanted_below_root;
    for (int i = 0; i < COMPONENT_TURNS; i++)
        if (filter_on(s->program))
            break;
    return s->wanted;
}

/* The beginning of the record of the request in s. */
static __always_inline void begin_open(struct task_struct *task, struct scratch *s,
                                       enum record_kind kind, __s32 fd)
{
    begin_record(task, &s->record, kind, fd);
    s->record.flags = s->request.flags;
    s->record.mode = s->request.mode;
}

/* Its path, or what stands for one, for the record in s.  False: a rule may exclude it. */
static __always_inline bool name_file(struct task_struct *task, struct scratch *s,
                                      struct file *file)
{
    walk_file(task, s, file);
    if (name_pathless(s))
        return true;
    s->unlinked = is_unlinked(s);
    walk(s->program);
    s->record.walked = s->length;
    return false;
}

static __always_inline void open_succeeded(struct task_struct *task, struct scratch *s)
{
    struct file *file = s->file ? s->file : file_of(task, s->record.fd);

    if (!file) /* another thread has closed it already */
        count_lost();
    else if ((name_file(task, s, file) || filter(s)) && claim(&s->record, file))
        deliver_path(s);
}

/*
 * The request in the scratch of a program has succeeded or failed.  Functions of their own, as TURN
 * says: inlined in every branch that ends with an open, they take the verifier three times as long.
 */
TURN int deliver_open(__u32 program)
{
    struct scratch *s = get_scratch(program);

    if (s)
        open_succeeded(current_task(), s);
    return 0;
}

#define AT_FDCWD -100

/* The directory that a name is relative to, or what was given as one; there may be none. */
static __always_inline void walk_directory(struct task_struct *task, struct scratch *s, int dirfd)
{
    struct file *directory = dirfd == AT_FDCWD ? NULL : file_of(task, dirfd);

    if (directory) {
        walk_file(task, s, directory);
    } else if (dirfd == AT_FDCWD) {
        walk_begin(task, s, task->fs->pwd.dentry, task->fs->pwd.mnt);
    } else {
        s->record.marks |= MARK_TEXT;
        return;
    }
    if (name_pathless(s))
        return;
    s->unlinked = is_unlinked(s);
    walk(s->program);
}

/* The name in the payload at this place; true: more of it than fits. */
static __always_inline bool read_name(struct scratch *s, __u64 at)
{
    const char *name = s->request.name;
    long size = bpf_probe_read_user_str(&s->payload[at], PATH_BYTES, name);
    char next = '\0';

    if (size > 0)
        s->length = at + size - 1;
    else if (size < 0) /* it runs into what is not mapped; 0: is empty */
        s->record.marks |= MARK_NONE;
    if (size < PATH_BYTES)
        return false;
    bpf_probe_read_user(&next, 1, name + PATH_BYTES - 1);
    return next != '\0';
}

#define RESOLVE_IN_ROOT 0x10 /* linux/openat2.h */

static __always_inline bool is_from_directory(const struct request *request)
{
    char first = '\0';

    bpf_probe_read_user(&first, 1, request->name);
    return first != '/' || request->resolve & RESOLVE_IN_ROOT;
}

/* Delivers the request in s as one that failed. */
static __always_inline void open_failed(struct task_struct *task, struct scratch *s)
{
    bool cut;
    __u64 at;

    begin_open(task, s, RECORD_FAIL, s->request.error);
    s->length = 0;
    if (is_from_directory(&s->request))
        walk_directory(task, s, s->request.dirfd);
    at = bounded(s->length, PATH_BYTES);
    s->record.walked = at;
    cut = read_name(s, at);
    /* Only a part of it is known: the reader cannot filter it. */
    if (filtering && (cut || s->record.marks & MARK_CUT))
        count_lost();
    else
        deliver_path(s);
}

TURN int deliver_failed(__u32 program)
{
    struct scratch *s = get_scratch(program);

    if (s)
        open_failed(current_task(), s);
    return 0;
}

#include "unread.bpf.h"

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
    else if (!fail_on_return(s))
        deliver_failed(ON_LEAVE);
}

/* It is open, and there is a record of the file that it has. */
static __always_inline bool can_be_copied(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task);

    return is_recorded(table, fd) || is_closing_file(table, fd, (__u64)file_of(task, fd));
}

/* A call that copies a descriptor. */
struct copy {
    __u32 origin, fd;
    bool replaces;
    bool was_recorded; /* origin, when the call began */
    __u64 entered; /* when it began, if there was a record of what was open as fd then; else 0 */
    __u64 file;    /* that is copied; 0: the one that the table has as fd */
};

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
    wanted = name_file(task, s, file) || same || filter(s);
    if (!same)
        s->record.marks |= MARK_GONE;
    return wanted;
}

/* Origin may have been another file's when the call began, or nobody's now. */
static __always_inline bool may_be_raced(struct task_struct *task, const struct copy *copy,
                                         bool known)
{
    return known ? has_others(task) : copy->was_recorded;
}

/* Pipes and sockets have no opens, so they are not held, either.  The path is in s. */
static __always_inline bool is_held_as_path(struct task_struct *task, struct scratch *s,
                                            struct file *file)
{
    return name_file(task, s, file) ? s->payload[0] == '/' : filter(s);
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

static __always_inline void on_dup(struct task_struct *task, const struct copy *copy)
{
    struct scratch *s = get_scratch(ON_LEAVE);
    __u64 table = table_of(task);
    bool known, replaced;

    if (!s || (copy->replaces && copy->origin == copy->fd))
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

TURN int take_copy(__u32 origin, __u32 fd, __u32 how, __u64 entered, __u64 file)
{
    struct copy copy = {origin, fd, how & COPY_REPLACES, how & COPY_RECORDED, entered, file};

    on_dup(current_task(), &copy);
    return 0;
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
