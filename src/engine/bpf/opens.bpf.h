/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records of opens and of failed opens: their paths, and the path filter. */
#ifndef FILEMON_BPF_OPENS_H
#define FILEMON_BPF_OPENS_H

#include "asked.bpf.h"
#include "bytes.bpf.h"
#include "claims.bpf.h"
#include "inodes.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "walk.bpf.h"

/* Delivers the record in s and its payload, and marks the descriptor as recorded. */
static __always_inline void deliver_path(struct scratch *s)
{
    __u64 table = s->record.table;
    __u32 fd = s->record.fd;

    if (s->record.kind == RECORD_FAIL) {
        deliver_scratch(s);
        return;
    }
    /* Before the delivery: another thread may close the descriptor at any time, and an unmarked
     * descriptor's close would not be delivered. */
    forget_bytes(table, fd);
    set_recorded(table, fd, RECORDED);
    if (!deliver_scratch(s))
        clear_recorded(table, fd);
}

/*
 * Looks up the next component of the path, from the root on.  The longest rule that matches
 * decides: it is found last.  True: the decision is final.
 */
static __always_inline bool filter_component(struct scratch *s)
{
    struct rule_node *node;

    if (s->components.count == 0 || !take_component(s, s->components.count - 1, longest_component))
        return true;
    node = bpf_map_lookup_elem(&rules, &s->lookup.key);
    if (!node)
        return true;
    if (node->verdict != RULE_NONE)
        s->lookup.wanted = node->verdict == RULE_INCLUDE;
    s->lookup.key.parent = node->node;
    s->components.count--;
    return false;
}

SUBPROGRAM bool filter_components(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < COMPONENTS; i++) {
        if (filter_component(s))
            return true;
        barrier();
    }
    return false;
}

SUBPROGRAM bool filter_more(__u32 program)
{
    for (int i = 0; i < COMPONENT_CALLS; i++)
        if (filter_components(program))
            return true;
    return false;
}

SUBPROGRAM int filter_path(__u32 program)
{
    for (int i = 0; i < COMPONENT_CALLS; i++)
        if (filter_more(program))
            break;
    return 0;
}

/* Whether the path filter includes the path in the payload. */
static __always_inline bool filter(struct scratch *s)
{
    if (!filtering)
        return true;
    if (s->record.marks & MARK_CUT || is_outside_mounts(s)) {
        /* The look-up needs the beginning of the path.  The filter may include this path. */
        s->is_undecided = true;
        return false;
    }
    s->lookup.key.parent = 0;
    s->components.taken = s->length;
    s->lookup.wanted = wanted_below_root;
    filter_path(s->program);
    return s->lookup.wanted;
}

/* Begins the record of the request in s. */
static __always_inline void begin_open(struct task_struct *task, struct scratch *s,
                                       enum record_kind kind, __s32 fd)
{
    begin_record(task, &s->record, kind, fd);
    s->record.flags = s->request.flags;
    s->record.mode = s->request.mode;
}

/* Adds the file, and its path, or the name of a file that has no path, to the record in s.  False:
 * a path, which filter() has to check. */
static __always_inline bool write_path(struct task_struct *task, struct scratch *s,
                                       struct file *file)
{
    add_file(&s->record, file);
    walk_file(task, s, file);
    if (write_pathless_name(s))
        return true;
    s->walk.unlinked = is_unlinked(s);
    walk(s->program);
    s->record.walked = s->length;
    return false;
}

/* Writes the path of the file for the record in s.  False: the path filter excludes the file, or
 * s->is_undecided is set. */
static __always_inline bool decide_path(struct task_struct *task, struct scratch *s,
                                        struct file *file)
{
    s->is_undecided = false;
    if (by_inode && !is_wanted_inode(task, s, file))
        return false;
    return write_path(task, s, file) || by_inode || filter(s);
}

/* The same, and counts an undecided file as lost. */
static __always_inline bool write_wanted_path(struct task_struct *task, struct scratch *s,
                                              struct file *file)
{
    bool wanted = decide_path(task, s, file);

    if (s->is_undecided)
        count_lost();
    return wanted;
}

/* Reads the name of the request to this offset of the payload.  True: the name is too long, and
 * cut. */
static __always_inline bool read_name(struct scratch *s, __u64 at)
{
    const char *name = s->request.name;
    long size = bpf_probe_read_user_str(&s->payload[at], PATH_BYTES, name);
    char next = '\0';

    if (size > 0)
        s->length = at + size - 1;
    else if (size < 0) /* the name cannot be read */
        s->record.marks |= MARK_NONE;
    if (size < PATH_BYTES)
        return false;
    bpf_probe_read_user(&next, 1, name + PATH_BYTES - 1);
    return next != '\0';
}

/* Adds the name that an open was given, unless another thread has unmapped it meanwhile. */
static __always_inline void add_given(struct scratch *s)
{
    __u64 at = bounded(s->length, PATH_BYTES);

    if (!is_asked(FACT(GIVEN)) || !s->request.name || at != s->length)
        return;
    read_name(s, at);
    if (!(s->record.marks & MARK_NONE))
        s->facts.known |= FACT(GIVEN);
    s->record.marks &= ~MARK_NONE;
}

static __always_inline void open_succeeded(struct task_struct *task, struct scratch *s)
{
    struct file *file = s->file ? s->file : file_of(task, s->record.fd);

    if (!report_opens || !is_asked_for(task, s->record.flags))
        return;
    if (!file) /* another thread has already closed it */
        count_lost();
    else if (write_wanted_path(task, s, file) && claim(&s->record, file)) {
        add_given(s);
        deliver_path(s);
    }
}

/*
 * Delivers the open of the request in the scratch of a program.  A subprogram: if it were inlined
 * into every branch that ends with an open, the verifier would need three times as long.
 */
SUBPROGRAM int deliver_open(__u32 program)
{
    struct scratch *s = get_scratch(program);

    if (s)
        open_succeeded(current_task(), s);
    return 0;
}

#define AT_FDCWD -100

/* Writes the path of the directory that a name is relative to.  If dirfd is not open, the record
 * has MARK_TEXT and no path. */
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
    if (write_pathless_name(s))
        return;
    s->walk.unlinked = is_unlinked(s);
    walk(s->program);
}

#define RESOLVE_IN_ROOT 0x10 /* linux/openat2.h */

/* Whether the kernel looks up the name from dirfd on: a relative name, or any with
 * RESOLVE_IN_ROOT. */
static __always_inline bool is_from_directory(const struct request *request)
{
    char first = '\0';

    bpf_probe_read_user(&first, 1, request->name);
    return first != '/' || request->resolve & RESOLVE_IN_ROOT;
}

/* Delivers the request in s as a failed open. */
static __always_inline void open_failed(struct task_struct *task, struct scratch *s)
{
    bool cut;
    __u64 at;

    if (!is_asked_for(task, s->request.flags))
        return;
    begin_open(task, s, RECORD_FAIL, s->request.error);
    s->length = 0;
    if (is_from_directory(&s->request))
        walk_directory(task, s, s->request.dirfd);
    at = bounded(s->length, PATH_BYTES);
    s->record.walked = at;
    cut = read_name(s, at);
    if (is_asked(FACT(GIVEN)) && !cut && !(s->record.marks & MARK_NONE))
        s->facts.known |= FACT(GIVEN);
    /* A part of the path is missing: user space cannot filter it. */
    if (filtering && (cut || s->record.marks & MARK_CUT))
        count_lost();
    else
        deliver_path(s);
}

/* Delivers the failed open of the request in the scratch of a program. */
SUBPROGRAM int deliver_failed(__u32 program)
{
    struct scratch *s = get_scratch(program);

    if (s)
        open_failed(current_task(), s);
    return 0;
}

#endif
