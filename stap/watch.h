/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes are watched. */
#ifndef FILEMON_STAP_WATCH_H
#define FILEMON_STAP_WATCH_H

#include "state.h"

/*
 * One byte a process, by its id in the initial namespace: 0: not watched; FM_EVERY: watched, and
 * every generation below it; n: watched, and n-1 generations below.  No lock and no hash, so that a
 * process that nobody watches pays one load.
 */
#define FM_EVERY 255
static u8 fm_marks[PID_MAX_LIMIT];
static atomic_t fm_live = ATOMIC_INIT(0); /* how many marks are not 0 */

static u8 fm_depth = FM_EVERY; /* the mark of a target */
static bool fm_all;            /* every process but fm_self */
static pid_t fm_self[2];       /* filemon and stapio: never watched */

static inline u8 fm_mark_of(struct task_struct *task)
{
    return READ_ONCE(fm_marks[task->tgid]);
}

static inline bool fm_is_self(pid_t tgid)
{
    return tgid == fm_self[0] || tgid == fm_self[1];
}

/*
 * Kernel threads never are: they make no system calls, and what they begin or end would only take
 * room in the tables below.  Who sees fm_on sees all that was set before it.
 */
static inline bool fm_watched(void)
{
    if (likely(!READ_ONCE(fm_all)))
        return fm_mark_of(current) != 0 && smp_load_acquire(&fm_on);
    return smp_load_acquire(&fm_on) && !(current->flags & PF_KTHREAD) && !fm_is_self(current->tgid);
}

/* True if it was the process's only mark, and is gone now. */
static bool fm_unmark(pid_t tgid)
{
    if (xchg(&fm_marks[tgid], 0) == 0)
        return false;
    atomic_dec(&fm_live);
    smp_mb__after_atomic();
    return true;
}

/* A process that ends meanwhile: either exit_files sees the mark, or we see live == 0.  The shell
 * that started filemon may be watched: then filemon and stapio are its descendants. */
static void fm_mark(struct task_struct *task, u8 mark)
{
    u8 old = READ_ONCE(fm_marks[task->tgid]);

    if (old >= mark || fm_is_self(task->tgid))
        return;
    if (xchg(&fm_marks[task->tgid], mark) == 0)
        atomic_inc(&fm_live);
    smp_mb();
    if (atomic_read(&task->signal->live) == 0)
        fm_unmark(task->tgid);
}

static inline u8 fm_child_mark(u8 mark)
{
    return mark == FM_EVERY ? FM_EVERY : mark > 0 ? mark - 1 : 0;
}

/*
 * Marks what descends from marked processes already.  New children append themselves to the list
 * that is walked, and are marked at birth once their parent is, so one walk after the parent's mark
 * finds all; it is repeated for those that stand before their parents.
 */
static void fm_mark_descendants(void)
{
    struct task_struct *task;
    int before;

    do {
        before = atomic_read(&fm_live);
        for_each_process(task) {
            u8 mark = fm_child_mark(fm_mark_of(rcu_dereference(task->real_parent)));

            if (mark && !(READ_ONCE(task->flags) & PF_KTHREAD))
                fm_mark(task, mark);
        }
    } while (atomic_read(&fm_live) != before);
}

static inline pid_t fm_tgid_nr(struct task_struct *task)
{
    if (likely(fm_ns == &init_pid_ns))
        return task->tgid;
    return __task_pid_nr_ns(task, PIDTYPE_TGID, fm_ns);
}

static inline pid_t fm_pid_nr(struct task_struct *task)
{
    if (likely(fm_ns == &init_pid_ns))
        return task->pid;
    return __task_pid_nr_ns(task, PIDTYPE_PID, fm_ns);
}

static bool fm_watch(pid_t nr)
{
    struct task_struct *task = pid_task(find_vpid(nr), PIDTYPE_PID);

    if (!task || READ_ONCE(task->flags) & PF_KTHREAD)
        return false;
    fm_mark(task, fm_depth);
    return true;
}

#endif
