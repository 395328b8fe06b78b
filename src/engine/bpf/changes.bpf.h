/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that -t adds: on names and attributes, and failed executions.  A call is reported at its
 * exit, with the paths that hooks.bpf.h has resolved, or else as the program gave them, made
 * absolute, like the name of a failed open.
 */
#ifndef FILEMON_BPF_CHANGES_H
#define FILEMON_BPF_CHANGES_H

#include "asked.bpf.h"
#include "event/calls.h"
#include "executables.bpf.h"
#include "inodes.bpf.h"
#include "opens.bpf.h"
#include "record.h"
#include "resolved.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* Set by the loader before it loads: some of these calls are reported; and executions. */
const volatile bool tracing = false;
const volatile bool report_programs = false;

/* By enum traced_call; a power of two of them. */
#define SHAPES 64
#define SHAPE_OF(name, record, x86_64, ia32, arm64, arm, shape) shape,
static const __u8 shapes[SHAPES] = {TRACED_CALLS(SHAPE_OF)};

/* A call, and the record of it while it is written. */
struct change {
    __u32 call; /* enum traced_call */
    __s32 result;
    __u64 args[4];
    __u32 length; /* of text */
    struct record_facts facts;
    struct record record;
    char text[CHANGE_BYTES + PAYLOAD_BYTES]; /* follows the record; the rest is for the verifier */
};

/* One on each CPU.  The loader makes the value small if no such call is reported: then the verifier
 * must find nothing that reads it. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct change));
} changes SEC(".maps");

static __always_inline struct change *get_change(void)
{
    __u32 key = 0;

    return tracing ? bpf_map_lookup_elem(&changes, &key) : NULL;
}

static __always_inline void append_text(struct change *change, struct scratch *s)
{
    __u64 length = bounded(s->length, PAYLOAD_BYTES), at = bounded(change->length, CHANGE_BYTES);

    bpf_probe_read_kernel(&change->text[at], length, s->payload);
    change->length = at + length;
}

/* Writes the name of s->request to the payload, behind the path of the directory that it is
 * relative to; or if it is none or empty, that path alone.  Its marks are in s->record. */
static __always_inline void write_given(struct task_struct *task, struct scratch *s)
{
    __u64 at;

    s->length = 0;
    s->record.marks = 0;
    if (!s->request.name || is_from_directory(&s->request))
        walk_directory(task, s, s->request.dirfd);
    at = bounded(s->length, PATH_BYTES);
    s->record.walked = at;
    s->length = at;
    if (s->request.name && read_name(s, at))
        s->record.marks |= MARK_CUT;
}

/* The first or only path of the record. */
SUBPROGRAM int add_path(__u32 program)
{
    struct scratch *s = get_scratch(program);
    struct change *change = get_change();

    if (!s || !change)
        return 0;
    write_given(current_task(), s);
    change->record.walked = s->record.walked;
    change->record.named = s->length - s->record.walked;
    change->record.marks = s->record.marks;
    change->record.path_inode = s->record.inode;
    append_text(change, s);
    return 0;
}

/* The second path of the record, or the text of a symbolic link. */
SUBPROGRAM int add_destination(__u32 program, bool is_text)
{
    struct scratch *s = get_scratch(program);
    struct change *change = get_change();

    if (!s || !change)
        return 0;
    if (is_text) {
        s->length = s->record.walked = s->record.marks = 0;
        if (read_name(s, 0))
            s->record.marks |= MARK_CUT;
    } else {
        write_given(current_task(), s);
    }
    change->record.destination_walked = s->record.walked;
    change->record.destination_marks = s->record.marks;
    append_text(change, s);
    return 0;
}

static __always_inline void set_name(struct scratch *s, __u64 dirfd, __u64 name)
{
    s->request = (struct request){.name = (void *)name, .dirfd = dirfd};
}

static __always_inline enum call_shape shape_of(const struct change *change)
{
    return shapes[bounded(change->call, SHAPES)];
}

static __always_inline void add_resolved(struct change *change, const struct resolved *resolved)
{
    __u64 length = bounded(resolved->walked + resolved->destination_walked, 2 * PATH_BYTES);

    change->record.walked = resolved->walked;
    change->record.named = 0;
    change->record.marks = resolved->marks | (by_inode ? MARK_WANTED : 0);
    change->record.destination_walked = resolved->destination_walked;
    change->record.destination_marks = resolved->destination_marks;
    bpf_probe_read_kernel(change->text, length, resolved->text);
    change->length = length;
}

static __always_inline void add_link_text(struct change *change, struct scratch *s)
{
    enum call_shape shape = shape_of(change);

    if (shape != SHAPE_TEXT && shape != SHAPE_TEXT_AT)
        return;
    set_name(s, AT_FDCWD, change->args[0]);
    add_destination(s->program, true);
}

static __always_inline void add_given_paths(struct change *change, struct scratch *s)
{
    const __u64 *args = change->args;

    switch (shape_of(change)) {
    case SHAPE_NAME:
    case SHAPE_NAMES:
        set_name(s, AT_FDCWD, args[0]);
        break;
    case SHAPE_AT:
    case SHAPE_AT_AT:
        set_name(s, args[0], args[1]);
        break;
    case SHAPE_DESCRIPTOR:
        set_name(s, args[0], 0);
        break;
    case SHAPE_TEXT:
        set_name(s, AT_FDCWD, args[1]);
        break;
    case SHAPE_TEXT_AT:
        set_name(s, args[1], args[2]);
        break;
    }
    add_path(s->program);
    switch (shape_of(change)) {
    case SHAPE_NAMES:
        set_name(s, AT_FDCWD, args[1]);
        add_destination(s->program, false);
        break;
    case SHAPE_AT_AT:
        set_name(s, args[2], args[3]);
        add_destination(s->program, false);
        break;
    default:
        break;
    }
}

/* What failed has the names that it was given.  False: by the inodes of -I, the call is not wanted;
 * without them, its paths are compared as text. */
static __always_inline bool add_paths(struct task_struct *task, struct change *change,
                                      struct scratch *s)
{
    struct resolved *resolved = find_resolved(task, change->call);

    if (resolved && change->result >= 0) {
        if (by_inode && !resolved->wanted)
            return false;
        add_resolved(change, resolved);
    } else {
        add_given_paths(change, s);
    }
    add_link_text(change, s);
    return true;
}

/* The argument after the name: a mode or, of unlinkat(2), flags. */
static __always_inline __u16 mode_of(const struct change *change)
{
    return shape_of(change) == SHAPE_AT ? change->args[2] : change->args[1];
}

/* The filter cannot compare a path of which a part is missing. */
static __always_inline bool is_incomplete(const struct record *record)
{
    return (record->marks | record->destination_marks) & MARK_CUT;
}

/* Delivers the call in `changes`. */
SUBPROGRAM int deliver_change(__u32 program)
{
    struct task_struct *task = current_task();
    struct scratch *s = get_scratch(program);
    struct change *change = get_change();
    __u64 length;

    if (!s || !change)
        return 0;
    begin_record(task, &change->record, RECORD_CALL, change->result);
    change->record.mode = mode_of(change);
    change->record.call = change->call;
    change->record.destination_walked = change->record.destination_marks = 0;
    change->length = 0;
    if (!add_paths(task, change, s))
        return 0;
    length = bounded(change->length, 2 * CHANGE_BYTES);
    if (length > CHANGE_BYTES || (filtering && is_incomplete(&change->record))) {
        count_lost();
        return 0;
    }
    barrier_var(length); /* as in deliver_scratch() */
    deliver(&change->record, sizeof(change->record) + length);
    return 0;
}

/* At the exit of a call.  One that a signal interrupted is made again, or fails for the program:
 * here nothing shows which of both. */
static __always_inline void on_change(struct task_struct *task, enum traced_call call,
                                      const __u64 args[4], long result)
{
    struct change *change = get_change();

    if (change && (result >= 0 || report_failed) && !is_interrupted(result) && is_of_asked(task)) {
        change->call = call;
        change->result = result;
        __builtin_memcpy(change->args, args, sizeof(change->args));
        deliver_change(ON_LEAVE);
    }
    forget_resolved(task);
}

/* At the exit of execve(2) or execveat(2). */
static __always_inline void on_failed_program(struct task_struct *task, __u32 number,
                                              const __u64 args[4], long result)
{
    if (report_programs && result < 0 && is_watched(task->tgid))
        on_change(task, is_execveat(number) ? TRACED_execveat : TRACED_execve, args, result);
}

/* A program was executed: its path is that of its executable. */
static __always_inline void on_program(struct task_struct *task)
{
    struct scratch *s = get_scratch(ON_EXEC);
    struct file *file = task->mm->exe_file;

    if (!report_programs || !s || stopping || !is_watched(task->tgid) || !is_of_asked(task))
        return;
    note_executable(task);
    begin_record(task, &s->record, RECORD_PROGRAM, 0);
    if (write_wanted_path(task, s, file))
        deliver_scratch(s);
}

#endif
