/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which program a process executes.  Its path and its arguments are sent once, before the first
 * line that needs them, under a number that the lines of the process then have: at its exit a
 * process has no executable any more.
 */
#ifndef FILEMON_STAP_EXECUTABLES_H
#define FILEMON_STAP_EXECUTABLES_H

#include "record.h"
#include "walk.h"

/*
 * By a hash of the process's id.  The members after it tell whether the executable is still the
 * same: the start of the process, since ids are reused; how many programs its thread has executed;
 * and the file, which prctl(2) can change (PR_SET_MM_EXE_FILE).  If all rows are taken, the one
 * that was used first is overwritten: its process gets another number.
 */
#define FM_EXECUTABLES 8192
#define FM_EXECUTABLE_TRIES 16
struct fm_executable {
    pid_t tgid;
    u64 born, execs;
    const struct file *file;
    u64 number; /* 0: the row is free */
    u64 used;   /* the number that was given last at that moment */
};
static struct fm_executable fm_executables[FM_EXECUTABLES];
static u64 fm_last_executable;
static DEFINE_RAW_SPINLOCK(fm_executables_lock); /* of all above and below */

/* The line of a path: the CPU's own buffer has the line that needs it. */
static char fm_executable_buffer[FM_LINE];

static bool fm_is_executable_of(const struct fm_executable *row, const struct fm_executable *now)
{
    return row->number && row->tgid == now->tgid && row->born == now->born &&
           row->execs == now->execs;
}

/* The row of the process, or the one that it may overwrite. */
static struct fm_executable *fm_executable_row(pid_t tgid)
{
    struct fm_executable *row, *best = NULL;
    u32 try;

    for (try = 0; try < FM_EXECUTABLE_TRIES; try++) {
        row = &fm_executables[((u32)tgid * 2654435761u / 65536 + try) % FM_EXECUTABLES];
        if (row->number && row->tgid == tgid)
            return row;
        if (!best || row->used < best->used)
            best = row;
    }
    return best;
}

/* False: the path is too long, or there was no room for its line. */
static bool fm_send_executable(struct task_struct *task, struct file *file, u64 number)
{
    struct fm_line line;
    int lost = atomic_read(&fm_lost);

    fm_begin_in(&line, fm_executable_buffer);
    line.task = task;
    if (!fm_path_of(&line, &file->f_path))
        return false;
    fm_strip_root(&line, task);
    if (!fm_path_fits(&line))
        fm_parts(&line);
    fm_head(&line);
    fm_lit(&line, "programa\", tid: ");
    fm_num(&line, fm_pid_nr(task));
    fm_lit(&line, ", programa: ");
    fm_num(&line, number);
    fm_path(&line);
    fm_finish(&line);
    return atomic_read(&fm_lost) == lost;
}

#define FM_ARGUMENTS_BYTES 4096

/* Puts the arguments, joined by spaces, where lines have their path.  Empty ones at the end are
 * room that is left of overwritten ones.  False: they cannot be read here: a probe sees the user
 * memory of current alone, and only what is in memory. */
static bool fm_read_arguments(struct fm_line *line, const struct mm_struct *mm)
{
    unsigned long start = READ_ONCE(mm->arg_start), end = READ_ONCE(mm->arg_end);
    u32 len = end > start ? min_t(unsigned long, end - start, FM_ARGUMENTS_BYTES) : 0, i;

    line->path -= len;
    if (mm != current->mm || !fm_user_bytes(line->path, (const void __user *)start, len))
        return false;
    while (len && !line->path[len - 1])
        len--;
    for (i = 0; i < len; i++)
        line->path[i] = line->path[i] ?: ' ';
    line->path_len = len;
    return true;
}

/* After the path of the executable.  False: there was no room. */
static bool fm_send_arguments(struct task_struct *task, u64 number)
{
    struct fm_line line;
    int lost = atomic_read(&fm_lost);
    bool known;

    if (!fm_is_fact(FM_ARGUMENTS))
        return true;
    fm_begin_in(&line, fm_executable_buffer);
    line.task = task;
    known = fm_read_arguments(&line, task->mm);
    if (known && !fm_path_fits(&line))
        fm_parts(&line);
    fm_head(&line);
    fm_lit(&line, "argumentos\", pid: ");
    fm_num(&line, fm_tgid_nr(task));
    fm_lit(&line, ", tid: ");
    fm_num(&line, fm_pid_nr(task));
    fm_lit(&line, ", programa: ");
    fm_num(&line, number);
    if (known)
        fm_path(&line);
    fm_times(&line, fm_now());
    fm_finish(&line);
    return atomic_read(&fm_lost) == lost;
}

/* Call with the lock held.  Returns the number; 0: not all could be sent. */
static u64 fm_renew_executable(struct task_struct *task, struct fm_executable *row,
                               const struct fm_executable *now)
{
    struct file *file = fm_get_exe(task->mm);
    bool sent = file && fm_send_executable(task, file, fm_last_executable + 1) &&
                fm_send_arguments(task, fm_last_executable + 1);

    if (sent) {
        *row = *now;
        row->file = file;
        row->number = row->used = ++fm_last_executable;
    }
    if (file)
        fput(file);
    return sent ? row->number : 0;
}

/*
 * The number of the program that the task executes; 0: none, or not known.  The task is current, or
 * task_lock() is held.  executing: it is in the middle of exec(2), with the new executable already,
 * but what exec closes was opened by the old program, whose name the task still has.
 *
 * The line of the path is sent with the lock held: another thread of the process cannot send a line
 * with the number before it.
 */
static u64 fm_executable_of(struct task_struct *task, bool executing)
{
    struct fm_executable now = {.tgid = task->tgid,
                                .born = task->group_leader->start_time,
                                .execs = task->self_exec_id,
                                .file = task->mm ? rcu_dereference_raw(task->mm->exe_file) : NULL};
    struct fm_executable *row;
    u64 number = 0;

    raw_spin_lock(&fm_executables_lock);
    row = fm_executable_row(now.tgid);
    if (fm_is_executable_of(row, &now) && (executing || !now.file || row->file == now.file)) {
        row->used = fm_last_executable;
        number = row->number;
    } else if (!executing && now.file) {
        number = fm_renew_executable(task, row, &now);
    }
    raw_spin_unlock(&fm_executables_lock);
    return number;
}

#endif
