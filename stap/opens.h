/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, failed ones too. */
#ifndef FILEMON_STAP_OPENS_H
#define FILEMON_STAP_OPENS_H

#include "asked.h"
#include "facts.h"
#include "filter.h"
#include "held.h"
#include "inflight.h"
#include "inodes.h"
#include "recorded.h"
#include "walk.h"

static enum fm_verdict fm_judge_file(struct fm_line *line, struct file *file)
{
    enum fm_verdict verdict = fm_judge_inode(&file->f_path);

    if (verdict != FM_WANTED)
        return verdict;
    fm_event(line);
    line->inode = file_inode(file);
    return fm_comparable_path_of(line, &file->f_path) ? fm_judge_path(line) : FM_UNDECIDED;
}

/* Begins a line with the path of the file.  False: the file is not to be reported. */
static bool fm_begin_file(struct fm_line *line, struct file *file)
{
    enum fm_verdict verdict = fm_judge_file(line, file);

    if (verdict == FM_UNDECIDED)
        atomic_inc(&fm_lost);
    return verdict == FM_WANTED;
}

static void fm_opened(const struct fm_call *call, unsigned int fd, struct file *file)
{
    struct fm_time time = fm_now();
    struct fm_record record;
    struct fm_table *table;
    struct fm_line line;

    if (unlikely(fm_forget(fd, &record)))
        fm_report_missed_close(fd, &record, time);
    if (fm_no_opens || !fm_is_asked_for(current, call->flags) || !fm_begin_file(&line, file) ||
        (call->received && !fm_has_path(&line)))
        return;
    table = fm_add_my_table();
    if (!table)
        return;
    record = fm_record_of(&line, time);
    fm_report_open(&line, call, fm_number(table), fd, time);
    fm_remember(table, fd, &record);
}

/*
 * The path filter is not applied: filemon also compares the name with each PATH as typed.  cortado:
 * the name is incomplete, so that filemon must not compare it.
 */
static void fm_open_failed(const struct fm_call *call, int result)
{
    struct fm_time time = fm_now();
    struct fm_line line;
    bool whole;

    if (!fm_is_asked_for(current, call->flags))
        return;
    fm_event(&line);
    whole = fm_path_given(&line, call) || result == -EFAULT;
    fm_start(&line, "fail");
    fm_path(&line);
    fm_given(&line, call);
    fm_descriptor(&line, result);
    fm_times(&line, time);
    fm_flags_and_mode(&line, call->flags, call->mode);
    if (!whole)
        fm_lit(&line, ", cortado: 1");
    fm_finish(&line);
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

/* A signal interrupted the open.  fm_signalled(), this thread's next open or its exit shows whether
 * it was restarted. */
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
 * A signal handler is about to run: only then can an interrupted call fail with EINTR
 * (handle_signal() in the kernel's arch/x86/kernel/signal.c and its like).  Where no handler runs,
 * as after SIGSTOP and SIGCONT, the kernel restarts the call.
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

/*
 * The entry of receive_fd(), which installs what another process has sent (SCM_RIGHTS), or the file
 * of pidfd_getfd(2).  Before Linux 6.8, receive_fd() may call __receive_fd(), which is probed, too;
 * since 7.3, sockets have scm_recv_one_fd() instead.
 */
static void fm_receiving(struct file *file)
{
    struct fm_flight *flight = fm_begin_flight();

    if (flight)
        flight->receiving = file;
    else
        atomic_inc(&fm_lost);
}

static bool fm_is_receiving(const struct file *file)
{
    struct fm_flight_slot *slot = fm_my_flight();

    return slot && slot->flight.receiving == file;
}

static void fm_received(unsigned int fd, struct file *file)
{
    const struct fm_call call = {
        .flags = fm_descriptor_flags(current->files, fd, file),
        .received = true,
    };

    fm_drop_flight();
    fm_opened(&call, fd, file);
}

/* If receive_fd() has failed, it has not called fd_install().  The file may be freed soon, and its
 * address used for another one. */
static void fm_receive_returned(void)
{
    struct fm_flight_slot *slot = fm_my_flight();

    if (slot && slot->flight.receiving)
        fm_drop_flight();
}

/* At the entry of fd_install(): no other thread can use the descriptor yet. */
static void fm_installing(unsigned int fd, struct file *file)
{
    int which;
    struct fm_call call;

    if (unlikely(fm_is_receiving(file))) {
        fm_received(fd, file);
        return;
    }
    which = fm_which_open();
    if (which >= 0) {
        fm_call_args(&call, which);
        fm_opened(&call, fd, file);
    } else if (unlikely(READ_ONCE(fm_initial))) {
        fm_block_mine(fd);
    }
}

static void fm_open_returned(int result)
{
    int which = fm_which_open();
    struct fm_call call;

    fm_drop_flight();
    if (result >= 0 || which < 0)
        return;
    fm_call_args(&call, which);
    if (fm_is_restart(result))
        fm_interrupted(&call, result);
    else
        fm_open_failed(&call, result);
}

#endif
