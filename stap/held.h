/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scan for initially open descriptors. */
#ifndef FILEMON_STAP_HELD_H
#define FILEMON_STAP_HELD_H

#include "asked.h"
#include "ends.h"
#include "filter.h"
#include "inodes.h"
#include "recorded.h"
#include "walk.h"

/*
 * The thread that writes the command H scans a limited number of threads and descriptors, while the
 * watched processes run on.  One scan of everything would keep the CPU and fill the ring for too
 * long.
 */
#define FM_SCAN_STEP 2048 /* descriptors and threads */
static int fm_scan_nr;    /* the next thread, by its id in the initial namespace */
static unsigned int fm_scan_fd;
static u64 fm_scan_began; /* processes that started later only inherited descriptors */

/* Sockets and the like have no path. */
static bool fm_has_path(const struct fm_line *line)
{
    return line->path[0] == '/';
}

/* The flags of an open file description keep the O_CLOEXEC of its open, which may differ from the
 * close-on-exec flag of the descriptor. */
static u32 fm_descriptor_flags(struct files_struct *files, unsigned int fd, const struct file *file)
{
    bool on_exec = test_bit(fd, rcu_dereference_raw(files->fdt)->close_on_exec);

    return (file->f_flags & ~O_CLOEXEC) | (on_exec ? O_CLOEXEC : 0);
}

/* Begins a line with the path of the file.  Sockets and the like have no path, and are never
 * reported. */
static enum fm_verdict fm_begin_held(struct fm_line *line, struct task_struct *task,
                                     struct file *file)
{
    enum fm_verdict verdict = fm_judge_inode(&file->f_path);

    if (verdict != FM_WANTED)
        return verdict;
    fm_event(line);
    line->task = task->group_leader;
    line->locked = task;
    line->inode = file_inode(file);
    if (!fm_comparable_path_of(line, &file->f_path))
        return FM_UNDECIDED;
    fm_strip_root(line, task);
    return fm_has_path(line) ? fm_judge_path(line) : FM_UNWANTED;
}

static void fm_report_held(struct fm_line *line, struct fm_table *table, unsigned int fd, u32 flags)
{
    struct fm_time time = fm_now();

    line->table = fm_number(table);
    fm_start(line, "held");
    fm_path(line);
    fm_descriptor(line, fd);
    fm_times(line, time);
    fm_lit(line, ", flags: ");
    fm_num(line, flags);
    fm_finish(line);
    fm_put(table, fm_key(table, fd), &fm_no_record);
}

/* Neither recorded nor blocked. */
static bool fm_is_unknown(const struct fm_table *table, unsigned int fd)
{
    return !fm_find_slot(fm_key(table, fd)) && !fm_find_slot(fm_key(table, fd) | FM_BLOCKED);
}

/* Call with fm_tables_lock held.  True: task or another thread uses the table, and the last user
 * will report its end. */
static bool fm_has_user(const struct fm_table *table, struct task_struct *task)
{
    /* Pairs with the atomic_dec_and_test() of live in do_exit(), between PF_EXITING and
     * exit_files(): the probe of exit_files() sees the table, or this thread sees PF_EXITING.  If
     * neither did, the end of the table would not be reported. */
    smp_mb();
    return fm_may_use(task, table->files) || fm_is_used_anywhere(table->files);
}

/* Call with fm_tables_lock held: a call that closes the descriptor either has blocked it already,
 * or reports its close after this. */
static bool fm_may_report_held(const struct fm_table *table, unsigned int fd,
                               const struct file *file)
{
    return fm_is_still(table->files, fd, file) && fm_is_unknown(table, fd);
}

/* Call with fm_tables_lock held.  Blocked, since the scan may visit a table more than once: each
 * descriptor counts once. */
static void fm_lose_held(struct fm_table *table, unsigned int fd)
{
    fm_block(table, fd);
    atomic_inc(&fm_lost);
}

static void fm_scan_file(struct task_struct *task, unsigned int fd, struct file *file)
{
    struct files_struct *files = task->files;
    u32 flags = fm_descriptor_flags(files, fd, file);
    enum fm_verdict verdict;
    struct fm_table *table;
    struct fm_line line;

    if (!fm_is_asked_for(task, file->f_flags))
        return;
    verdict = fm_begin_held(&line, task, file);
    if (verdict == FM_UNWANTED)
        return;
    raw_spin_lock(&fm_tables_lock);
    table = fm_find_or_add_table(files);
    if (table && !fm_has_user(table, task)) {
        fm_end_table(table); /* the probe of exit_files() may have run before the table was added */
    } else if (table && fm_may_report_held(table, fd, file)) {
        if (verdict == FM_UNDECIDED)
            fm_lose_held(table, fd);
        else
            fm_report_held(&line, table, fd, flags);
    }
    raw_spin_unlock(&fm_tables_lock);
}

/* Call with task_lock() held, which keeps the table, unless task is current. */
static void fm_scan_descriptor(struct task_struct *task, unsigned int fd)
{
    struct file *file = fm_get_file_of(task->files, fd);

    if (!file)
        return;
    fm_scan_file(task, fd, file);
    fput(file);
}

static void fm_unblock_mine(unsigned int fd)
{
    struct fm_table *table;

    raw_spin_lock(&fm_tables_lock);
    table = fm_my_table();
    if (table)
        fm_unblock(table, fd);
    raw_spin_unlock(&fm_tables_lock);
}

/* A copy of a descriptor that is not recorded yet counts as initially open. */
static void fm_scan_copy(unsigned int fd)
{
    fm_unblock_mine(fd);
    fm_scan_descriptor(current, fd);
}

/* Blocks a descriptor of current that a call other than an open installs, or that is being
 * replaced.  True: this call blocked it. */
static bool fm_block_mine(unsigned int fd)
{
    struct fm_table *table;
    bool unknown;

    raw_spin_lock(&fm_tables_lock);
    table = fm_find_or_add_table(current->files);
    unknown = table && fm_is_unknown(table, fd);
    if (unknown)
        fm_block(table, fd);
    raw_spin_unlock(&fm_tables_lock);
    return unknown;
}

static bool fm_has_leaders_table(const struct task_struct *task, const struct task_struct *leader)
{
    return task->pid > leader->pid && READ_ONCE(task->files) == READ_ONCE(leader->files);
}

/* Threads that share the table of the thread group leader are not scanned after it. */
static bool fm_is_scanned(struct task_struct *task)
{
    struct task_struct *leader = task->group_leader;

    if (READ_ONCE(task->flags) & PF_KTHREAD || fm_is_self(task->tgid) ||
        leader->start_time > fm_scan_began)
        return false;
    return (fm_all || fm_mark_of(task)) && !fm_has_leaders_table(task, leader);
}

/* The child that will execute filemon's command has copies of filemon's descriptors, which are
 * close-on-exec. */
static bool fm_is_filemons(struct task_struct *task, const struct fdtable *fdt, unsigned int fd)
{
    return rcu_dereference(task->real_parent)->tgid == fm_self[0] &&
           test_bit(fd, fdt->close_on_exec);
}

static bool fm_has_room_to_scan(void)
{
    return READ_ONCE(fm_ring_in) - READ_ONCE(fm_ring_out) < FM_RING / 2;
}

/* Call with task_lock() held.  False: the table has more descriptors. */
static bool fm_scan_table(struct task_struct *task, int *left)
{
    struct fdtable *fdt = rcu_dereference_raw(task->files->fdt);
    unsigned int fd = fm_scan_fd;

    for (; (fd = find_next_bit(fdt->open_fds, fdt->max_fds, fd)) < fdt->max_fds; fd++) {
        fm_scan_fd = fd;
        if (--*left < 0 || !fm_has_room_to_scan())
            return false;
        if (!fm_is_recorded(fm_find_table(task->files), fd) && !fm_is_filemons(task, fdt, fd))
            fm_scan_descriptor(task, fd);
    }
    return true;
}

/* Where the first thread of a process has exited, another one's table is scanned at the number of
 * the first one, too: when that thread executes a program it gets this number, and the scan would
 * not find it at its own number any more. */
static struct task_struct *fm_first_with_table(struct task_struct *task)
{
    struct task_struct *thread;

    if (task == task->group_leader && !READ_ONCE(task->files))
        for_each_thread(task, thread)
            if (READ_ONCE(thread->files))
                return thread;
    return task;
}

static bool fm_scan_thread(struct task_struct *task, int *left)
{
    bool done = true;

    task = fm_first_with_table(task);
    task_lock(task);
    if (task->files)
        done = fm_scan_table(task, left);
    task_unlock(task);
    return done;
}

/* False: there are more threads or descriptors. */
static bool fm_scan_some(void)
{
    int left = FM_SCAN_STEP;
    struct task_struct *task;
    struct pid *pid;

    while ((pid = idr_get_next(&init_pid_ns.idr, &fm_scan_nr))) {
        task = pid_task(pid, PIDTYPE_PID);
        if (--left < 0 || (task && fm_is_scanned(task) && !fm_scan_thread(task, &left)))
            return false;
        fm_scan_nr++;
        fm_scan_fd = 0;
    }
    return true;
}

static void fm_scan_next(void)
{
    if (!fm_scan_nr) {
        fm_scan_nr = 1;
        fm_scan_began = ktime_get_ns();
    }
    if (fm_scan_some())
        /* Pairs with fm_forget() and fm_copied(). */
        smp_store_release(&fm_initial, false);
    else
        fm_send_status("sigue", 5);
}

#endif
