/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls on names and attributes, where filemon asks for them (-t names, -t attributes), and failed
 * executions.  A call is reported at its exit, which shows whether it has succeeded.
 *
 * The kernel asks its security modules before it changes a name or an attribute, and then has the
 * directory, whose mount is known, and the dentry.  So where the functions that ask are probed, the
 * path is read there, before a rename moves it or an unlink removes it, and kept until the exit.
 * Calls that do not come by have the paths that the program gave, made absolute, as the name of a
 * failed open.
 */
#ifndef FILEMON_STAP_CHANGES_H
#define FILEMON_STAP_CHANGES_H

#include "../src/event/calls.h"
#include "asked.h"
#include "inflight.h"
#include "inodes.h"
#include "opens.h"
#include "walk.h"

/* Whether calls that failed are reported, too. */
static bool fm_failed_calls;

struct fm_traced {
    int native, compat; /* its numbers */
    enum call_shape shape;
    const char *name;
};

#if defined(CONFIG_X86_64)
#define FM_TRACED(name, record, x86_64, ia32, arm64, arm, shape) {x86_64, ia32, shape, #name},
#elif defined(CONFIG_ARM64)
#define FM_TRACED(name, record, x86_64, ia32, arm64, arm, shape) {arm64, arm, shape, #name},
#else
#define FM_TRACED(name, record, x86_64, ia32, arm64, arm, shape) {NO_CALL, NO_CALL, shape, #name},
#endif
static const struct fm_traced fm_traced[] = {TRACED_CALLS(FM_TRACED)};

static bool fm_has_text(const struct fm_traced *traced)
{
    return traced->shape == SHAPE_TEXT || traced->shape == SHAPE_TEXT_AT;
}

static bool fm_has_destination(const struct fm_traced *traced)
{
    return traced->shape == SHAPE_NAMES || traced->shape == SHAPE_AT_AT || fm_has_text(traced);
}

static bool fm_is_compat_call(void)
{
#if defined(CONFIG_X86_64)
    return in_ia32_syscall();
#elif defined(CONFIG_ARM64)
    return is_compat_task();
#else
    return false;
#endif
}

/* The number of the call that current is in, that of a 64-bit call for an x32 one; -1: none. */
static long fm_call_number(void)
{
    long nr = syscall_get_nr(current, task_pt_regs(current));

#ifdef CONFIG_X86_64
    if (nr < 0 || in_ia32_syscall() || !(nr & __X32_SYSCALL_BIT))
        return nr;
    nr &= ~__X32_SYSCALL_BIT;
    if (nr == 520) /* execve of x32 */
        return __NR_execve;
    if (nr == 545)
        return __NR_execveat;
#endif
    return nr;
}

/* The call that current is in; NULL: one that is not reported here.  A worker of io_uring(7) makes
 * no call, but has the registers of a thread that made one. */
static const struct fm_traced *fm_traced_call(void)
{
    bool compat = fm_is_compat_call();
    long nr = fm_call_number();
    int i;

    if (nr < 0 || current->flags & FM_IO_WORKER)
        return NULL;
    for (i = 0; i < TRACED_COUNT; i++)
        if (nr == (compat ? fm_traced[i].compat : fm_traced[i].native))
            return &fm_traced[i];
    return NULL;
}

/* ---- Paths that the kernel has resolved ------------------------------------------------------ */

/* A name that is not there yet is in no hash of names: so d_path() takes it for deleted.  NULL: the
 * path is too long, or there is no memory. */
static char *fm_copy_path(const struct path *path)
{
    struct fm_line line;
    u32 len;

    fm_begin(&line);
    if (!fm_path_of(&line, path))
        return NULL;
    len = d_unlinked(path->dentry) ? fm_name_end(line.path, line.path_len) : line.path_len;
    return kmemdup_nul(line.path, len, GFP_ATOMIC | __GFP_NOWARN);
}

/* Of two paths one is enough. */
static enum fm_verdict fm_judge_either(const struct path *path, const struct path *destination)
{
    enum fm_verdict verdict = fm_judge_inode(path), other;

    if (verdict == FM_WANTED || !destination->dentry)
        return verdict;
    other = fm_judge_inode(destination);
    return other == FM_UNWANTED ? verdict : other;
}

/*
 * The kernel is about to change the dentry on this mount.  destination: the dentry of the second
 * path, on the same mount; NULL: the call has only one.  The caller of the probed function holds
 * all of them.  An open that creates a file comes by, too.
 */
static void fm_resolve(struct vfsmount *mount, struct dentry *dentry, struct dentry *destination)
{
    const struct path first = {.mnt = mount, .dentry = dentry},
                      second = {.mnt = mount, .dentry = destination};
    struct fm_resolved resolved = {.traced = fm_traced_call()};
    struct fm_flight *flight;

    if (!resolved.traced || !fm_is_of_asked(current))
        return;
    resolved.verdict = fm_judge_either(&first, &second);
    resolved.path = fm_copy_path(&first);
    if (destination)
        resolved.destination = fm_copy_path(&second);
    flight = fm_begin_flight();
    if (flight && resolved.path && !resolved.destination == !destination)
        flight->resolved = resolved;
    else
        fm_resolved_free(&resolved);
}

/* Its paths are to be freed.  All zeros: the call has not come by. */
static struct fm_resolved fm_take_resolved(const struct fm_traced *traced)
{
    struct fm_flight_slot *slot = fm_my_flight();
    struct fm_resolved resolved = {};

    if (!slot || !slot->flight.resolved.traced)
        return resolved;
    resolved = slot->flight.resolved;
    slot->flight.resolved = (struct fm_resolved){};
    fm_drop_flight();
    if (resolved.traced != traced)
        fm_resolved_free(&resolved);
    return resolved;
}

/* ---- Paths that the program gave ------------------------------------------------------------- */

/* Which arguments of a call a path is made of; -1: none. */
struct fm_arguments {
    int dirfd, name;
};

static struct fm_arguments fm_path_arguments(enum call_shape shape)
{
    switch (shape) {
    case SHAPE_AT:
    case SHAPE_AT_AT:
        return (struct fm_arguments){0, 1};
    case SHAPE_DESCRIPTOR:
        return (struct fm_arguments){0, -1};
    case SHAPE_TEXT:
        return (struct fm_arguments){-1, 1};
    case SHAPE_TEXT_AT:
        return (struct fm_arguments){1, 2};
    default:
        return (struct fm_arguments){-1, 0};
    }
}

static struct fm_arguments fm_destination_arguments(enum call_shape shape)
{
    return shape == SHAPE_AT_AT ? (struct fm_arguments){2, 3} : (struct fm_arguments){-1, 1};
}

/* Writes the path to the end of the line's buffer.  Without a name it is that of the directory.
 * False: it is incomplete. */
static bool fm_write_given(struct fm_line *line, struct fm_arguments given)
{
    struct fm_call call = {.dirfd = AT_FDCWD};
    unsigned long args[6];

    fm_syscall_args(args);
    if (given.dirfd >= 0)
        call.dirfd = args[given.dirfd];
    if (given.name >= 0)
        call.name = (const char __user *)args[given.name];
    return call.name ? fm_path_given(line, &call) : fm_prepend_directory(line, call.dirfd);
}

/* The text of a symbolic link stands for itself. */
static bool fm_write_text(struct fm_line *line)
{
    char *end = line->start + FM_LINE;
    unsigned long args[6];
    long len;

    fm_syscall_args(args);
    len = fm_user_string(end - FM_PATH, (const char __user *)args[0], FM_PATH);
    if (len < 0)
        return false;
    line->path_len = min_t(long, len, FM_PATH - 1);
    line->path = memmove(end - 1 - line->path_len, end - FM_PATH, line->path_len);
    return len < FM_PATH;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static bool fm_write_resolved(struct fm_line *line, const char *path)
{
    line->path_len = strlen(path);
    line->path -= line->path_len;
    memcpy(line->path, path, line->path_len);
    return true;
}

/* Sends the destination.  False: it is incomplete. */
static bool fm_send_destination(struct fm_line *line, const struct fm_traced *traced,
                                const char *resolved, u32 *parts)
{
    bool whole;

    if (fm_has_text(traced))
        whole = fm_write_text(line);
    else if (resolved)
        whole = fm_write_resolved(line, resolved);
    else
        whole = fm_write_given(line, fm_destination_arguments(traced->shape));
    *parts = fm_destination(line);
    return whole;
}

/* The argument after the name: a mode or, of unlinkat(2), flags. */
static void fm_second_argument(struct fm_line *line, const struct fm_traced *traced)
{
    unsigned long args[6];

    fm_syscall_args(args);
    fm_lit(line, ", modo: ");
    fm_num(line, (u16)args[traced->shape == SHAPE_AT ? 2 : 1]);
}

static void fm_call_text(struct fm_line *line, const struct fm_traced *traced, u32 destinations)
{
    fm_lit(line, ", llamada: \"");
    fm_str(line, traced->name, strlen(traced->name));
    *line->at++ = '"';
    if (destinations) {
        fm_lit(line, ", destinos: ");
        fm_num(line, destinations);
    }
}

/* resolved: has no paths, if the kernel has resolved none.  The path filter is not applied here:
 * filemon has both paths, or the given ones, to compare. */
static void fm_report_call(const struct fm_traced *traced, int result,
                           const struct fm_resolved *resolved)
{
    struct fm_time time = fm_now();
    struct fm_line line;
    bool whole = true;
    u32 destinations = 0;

    fm_event(&line);
    if (fm_has_destination(traced))
        whole = fm_send_destination(&line, traced, resolved->destination, &destinations);
    whole &= resolved->path ? fm_write_resolved(&line, resolved->path)
                            : fm_write_given(&line, fm_path_arguments(traced->shape));
    fm_start(&line, "llamada");
    fm_path(&line);
    fm_descriptor(&line, result);
    fm_times(&line, time);
    if (result >= 0 && !destinations)
        fm_second_argument(&line, traced);
    if (!whole && result != -EFAULT)
        fm_lit(&line, ", cortado: 1");
    fm_call_text(&line, traced, destinations);
    if (fm_by_inode && resolved->path)
        fm_lit(&line, ", buscado: 1");
    fm_finish(&line);
}

/* What failed has the names that it was given.  The inodes of -I decide about resolved paths only:
 * given ones are compared as text. */
static void fm_report_change(const struct fm_traced *traced, int result,
                             const struct fm_resolved *resolved)
{
    const struct fm_resolved none = {};

    if (result < 0 || !resolved->path)
        fm_report_call(traced, result, &none);
    else if (resolved->verdict == FM_WANTED)
        fm_report_call(traced, result, resolved);
    else if (resolved->verdict == FM_UNDECIDED)
        atomic_inc(&fm_lost);
}

/* At the exit of a call.  One that a signal interrupted is made again, or fails for the program:
 * here nothing shows which of both. */
static void fm_change_returned(int result)
{
    const struct fm_traced *traced = fm_traced_call();
    struct fm_resolved resolved = fm_take_resolved(traced);

    if (traced && (result >= 0 || fm_failed_calls) && !fm_is_restart(result) &&
        fm_is_of_asked(current))
        fm_report_change(traced, result, &resolved);
    fm_resolved_free(&resolved);
}

#endif
