/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes are watched. */
#ifndef FILEMON_STAP_WATCH_H
#define FILEMON_STAP_WATCH_H

#include "state.h"

/*
 * The mark of each process, indexed by its id in the initial namespace.  0: not watched.  FM_EVERY:
 * watched, with all descendants.  n: watched, with n-1 generations of descendants.  An array needs
 * no lock and no hash: a process that is not watched costs one load.
 */
#define FM_EVERY 255
static u8 fm_marks[PID_MAX_LIMIT];
static atomic_t fm_live = ATOMIC_INIT(0); /* number of marks other than 0 */

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

/* Whether names and paths are complete. */
static inline bool fm_is_on(void)
{
    /* Pairs with the releases in fm_control() and begin_by_hand(): a probe that sees fm_on also
     * sees every path and option.  Otherwise it could report a file that the user excluded. */
    return smp_load_acquire(&fm_on);
}

/* Whether current is watched.  Kernel threads are not: they make no system calls, and would only
 * take room in the tables of calls in flight. */
static inline bool fm_watched(void)
{
    if (likely(!READ_ONCE(fm_all)))
        return fm_mark_of(current) != 0 && fm_is_on();
    return fm_is_on() && !(current->flags & PF_KTHREAD) && !fm_is_self(current->tgid);
}

/* Removes the mark.  True: this call removed it; false: the process had none. */
static bool fm_unmark(pid_t tgid)
{
    if (xchg(&fm_marks[tgid], 0) == 0)
        return false;
    atomic_dec(&fm_live);
    /* Pairs with the barrier in fm_control(): this thread sees fm_end, or fm_control() sees that
     * fm_live is 0.  If neither did, "fin" would be sent only by the next timer. */
    smp_mb__after_atomic();
    return true;
}

/* filemon and stapio are never marked, though they can be descendants of a watched shell. */
static void fm_mark(struct task_struct *task, u8 mark)
{
    u8 old = READ_ONCE(fm_marks[task->tgid]);

    if (old >= mark || fm_is_self(task->tgid))
        return;
    /* xchg() is a full barrier.  It pairs with the atomic_dec_and_test() of live in do_exit(): the
     * probe of exit_files() sees the mark, or this thread sees that live is 0.  If neither did, the
     * mark would stay, and the next process with this id would be watched. */
    if (xchg(&fm_marks[task->tgid], mark) == 0)
        atomic_inc(&fm_live);
    if (atomic_read(&task->signal->live) == 0)
        fm_unmark(task->tgid);
}

static inline u8 fm_child_mark(u8 mark)
{
    return mark == FM_EVERY ? FM_EVERY : mark > 0 ? mark - 1 : 0;
}

/*
 * Marks the descendants of marked processes.  The kernel appends a new child to the list of
 * processes, and the fork probe marks the child if its parent is marked: so one pass after marking
 * a parent finds all its children.  A child that was re-parented to a younger process precedes its
 * parent in the list: so the passes go on until one marks nothing.
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
