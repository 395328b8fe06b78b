/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec: whether the new program has one of the names. */
#ifndef FILEMON_STAP_EXEC_H
#define FILEMON_STAP_EXEC_H

#include "names.h"
#include "walk.h"

/* The name given to exec (AT_EXECFN of getauxval(3)): for a script, the script's name. */
static bool fm_execfn_is_name(struct fm_line *line)
{
    struct mm_struct *mm = current->mm;
    char *at = line->start;
    long len;
    u32 i;

    for (i = 0; i + 1 < ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[i] != AT_NULL; i += 2) {
        if (mm->saved_auxv[i] != AT_EXECFN)
            continue;
        len = fm_user_string(at, (const char __user *)mm->saved_auxv[i + 1], FM_PATH);
        if (len < 0 || len == FM_PATH)
            return false;
        at = strrchr(at, '/') ? strrchr(at, '/') + 1 : at;
        return fm_is_name(at, strlen(at));
    }
    return false;
}

static bool fm_exe_is_name(struct fm_line *line, struct mm_struct *mm)
{
    struct file *exe = fm_get_exe(mm);
    bool match = exe && fm_path_of(line, &exe->f_path) && fm_any_component_is_name(line->path);

    if (exe)
        fput(exe);
    return match;
}

static void fm_executed(void)
{
    struct fm_line line;
    u32 len = strlen(current->comm);
    bool match;

    /* Pairs with the release in fm_name_add(): a thread that sees a name also sees fm_depth, which
     * is set before.  Otherwise it could mark its process with another depth. */
    if (!smp_load_acquire(&fm_names) || !current->mm || fm_mark_of(current) >= fm_depth)
        return;
    fm_begin(&line);
    match = fm_is_name(current->comm, len) || fm_exe_is_name(&line, current->mm) ||
            (len == TASK_COMM_LEN - 1 && fm_execfn_is_name(&line));
    if (match)
        fm_mark(current, fm_depth);
}

/* By hand there is no filemon that reads /proc, so this marks the running processes that have one
 * of the names. */
static void fm_mark_running(void)
{
    struct task_struct *task;
    struct fm_line line;

    if (!fm_names)
        return;
    fm_begin(&line);
    for_each_process(task) {
        bool match = false;

        if (READ_ONCE(task->flags) & PF_KTHREAD || task->tgid == fm_self[1])
            continue;
        task_lock(task);
        if (task->mm)
            match = fm_is_name(task->comm, strlen(task->comm)) || fm_exe_is_name(&line, task->mm);
        task_unlock(task);
        if (match)
            fm_mark(task, fm_depth);
    }
}

#endif
