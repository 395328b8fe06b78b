/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that are executed, where filemon asks for them (-t exec). */
#ifndef FILEMON_STAP_PROGRAMS_H
#define FILEMON_STAP_PROGRAMS_H

#include "asked.h"
#include "opens.h"
#include "walk.h"

/* In fm_programs. */
#define FM_PROGRAMS 1
#define FM_FAILED_PROGRAMS 2
static u32 fm_programs;

/* At the return of an exec, in the new program: its path is that of its executable. */
static void fm_report_program(void)
{
    struct fm_time time = fm_now();
    struct fm_line line;
    struct file *exe;

    if (!(fm_programs & FM_PROGRAMS) || !current->mm || !fm_is_of_asked(current))
        return;
    exe = fm_get_exe(current->mm);
    if (!exe)
        return;
    if (fm_begin_file(&line, exe)) {
        fm_start(&line, "exec");
        fm_path(&line);
        fm_times(&line, time);
        fm_finish(&line);
    }
    fput(exe);
}

static bool fm_is_execveat(void)
{
    long nr = syscall_get_nr(current, task_pt_regs(current));

#ifdef CONFIG_X86_64
    if (in_ia32_syscall())
        return nr == __NR_ia32_execveat;
    if (nr == (__X32_SYSCALL_BIT | 545)) /* execveat of x32 */
        return true;
#endif
    return nr == __NR_execveat;
}

/* The name that was given is made absolute, as that of a failed open. */
static void fm_report_failed_program(int result)
{
    struct fm_time time = fm_now();
    bool at = fm_is_execveat(), whole;
    struct fm_call call = {.dirfd = AT_FDCWD};
    unsigned long args[6];
    struct fm_line line;

    if (!(fm_programs & FM_FAILED_PROGRAMS) || fm_is_restart(result) || !fm_is_of_asked(current))
        return;
    fm_syscall_args(args);
    if (at)
        call.dirfd = args[0];
    call.name = (const char __user *)args[at];
    fm_event(&line);
    whole = fm_path_given(&line, &call) || result == -EFAULT;
    fm_start(&line, "fallo");
    fm_path(&line);
    fm_descriptor(&line, result);
    fm_times(&line, time);
    if (!whole)
        fm_lit(&line, ", cortado: 1");
    fm_lit(&line, ", llamada: \"execve");
    if (at)
        fm_lit(&line, "at");
    *line.at++ = '"';
    fm_finish(&line);
}

#endif
