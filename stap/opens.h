/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, failed ones too. */
#ifndef FILEMON_STAP_OPENS_H
#define FILEMON_STAP_OPENS_H

#include "by_hand.h"
#include "filter.h"
#include "held.h"
#include "walk.h"

/* whole: the path can be compared with PATHs. */
static void fm_finish_open(struct fm_line *line, const struct fm_call *call, int result,
                           struct fm_time time, bool whole)
{
    fm_path(line);
    fm_descriptor(line, result, time.us / 1000);
    if (!FM_BY_HAND) {
        fm_times(line, time);
        fm_lit(line, ", flags: ");
        fm_num(line, call->flags);
        if (call->flags & (O_CREAT | __O_TMPFILE)) {
            fm_lit(line, ", modo: ");
            fm_num(line, call->mode & S_IALLUGO);
        }
        if (!whole)
            fm_lit(line, ", cortado: 1");
    }
    fm_finish(line);
}

/* The kernel's own name for the file of a new descriptor; false: it is not one to be reported. */
static bool fm_begin_file(struct fm_line *line, unsigned int fd, struct file *file)
{
    struct fm_record old;

    if (!fm_event(line))
        return false;
    if (!fm_path_of(line, &file->f_path)) {
        fm_abandon(line);
        atomic_inc(&fm_lost);
        return false;
    }
    if (fm_wanted(line->path, line->path_len))
        return true;
    fm_abandon(line);
    if (fm_forget(fd, &old) && FM_BY_HAND)
        kfree(old.path);
    return false;
}

/* The line's table is that of the record; false: there is no room, the line is not sent. */
static bool fm_keep_record(struct fm_line *line, unsigned int fd, struct fm_time time)
{
    struct fm_record record = {.ns = time.ns};

    if (FM_BY_HAND)
        record.path = kmemdup_nul(line->path, line->path_len, GFP_ATOMIC | __GFP_NOWARN);
    line->table = fm_remember(fd, &record);
    if (line->table)
        return true;
    kfree(record.path);
    fm_abandon(line);
    return false;
}

static void fm_opened(const struct fm_call *call, unsigned int fd, struct file *file)
{
    struct fm_time time = fm_now();
    struct fm_line line;

    if (FM_BY_HAND)
        fm_missed_close(fd, time);
    if (!fm_begin_file(&line, fd, file) || !fm_keep_record(&line, fd, time))
        return;
    fm_start(&line, "open");
    fm_finish_open(&line, call, fd, time, true);
}

/* The name that was given is filemon's to compare: with each PATH as it was typed, too. */
static void fm_open_failed(const struct fm_call *call, int result)
{
    struct fm_time time = fm_now();
    struct fm_line line;
    bool whole;

    if (!fm_event(&line))
        return;
    whole = fm_path_given(&line, call) || result == -EFAULT;
    fm_start(&line, "fail");
    fm_finish_open(&line, call, result, time, whole);
}

static bool fm_is_restart(int result)
{
    switch (result) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        return true;
    default:
        return false;
    }
}

/* A signal interrupted it: fm_signalled(), the next open of this thread or its end decides. */
static void fm_interrupted(const struct fm_call *call, int result)
{
    struct fm_flight *flight = fm_begin_flight();

    if (flight) {
        flight->call = *call;
        flight->result = result;
    } else {
        atomic_inc(&fm_lost);
    }
}

/*
 * A handler is about to run: the one moment at which an interrupted call may end with EINTR
 * (handle_signal() in the kernel's arch/x86/kernel/signal.c and its like).  Where no handler runs,
 * as after SIGSTOP and SIGCONT, the call begins again.
 */
static void fm_signalled(const struct ksignal *signal)
{
    struct fm_flight open;

    if (!fm_end_flight(&open) || !open.result || open.result == -ERESTARTNOINTR)
        return;
    if (open.result == -ERESTARTSYS && signal->ka.sa.sa_flags & SA_RESTART)
        return;
    fm_open_failed(&open.call, -EINTR);
}

/* A descriptor gets its file: nobody sees it there yet. */
static void fm_installing(unsigned int fd, struct file *file)
{
    int which = fm_which_open();
    struct fm_call call;

    if (which >= 0) {
        fm_call_args(&call, which);
        fm_opened(&call, fd, file);
    } else if (unlikely(READ_ONCE(fm_initial))) {
        fm_block_mine(fd);
    }
}

static void fm_opened_by_hand(int which, unsigned int fd)
{
    struct file *file = fm_get_file(fd);
    struct fm_call call;

    if (file) {
        fm_call_args(&call, which);
        fm_opened(&call, fd, file);
        fput(file);
    } else {
        /* another thread closed it before its number was even returned */
        atomic_inc(&fm_lost);
    }
}

static void fm_open_returned(int which, int result)
{
    struct fm_call call;

    fm_drop_flight();
    if (result >= 0 && FM_BY_HAND)
        fm_opened_by_hand(which, result);
    if (result >= 0 || !fm_failed)
        return;
    fm_call_args(&call, which);
    if (fm_is_restart(result))
        fm_interrupted(&call, result);
    else
        fm_open_failed(&call, result);
}

#endif
