/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that are executed, where filemon asks for them (-t exec). */
#ifndef FILEMON_STAP_PROGRAMS_H
#define FILEMON_STAP_PROGRAMS_H

#include "asked.h"
#include "changes.h"
#include "opens.h"
#include "walk.h"

static bool fm_programs;

/* At the return of an exec, in the new program: its path is that of its executable. */
static void fm_report_program(void)
{
    struct fm_time time = fm_now();
    struct fm_line line;
    struct file *exe;

    if (!fm_programs || !current->mm || !fm_is_of_asked(current))
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

static void fm_report_failed_program(int result)
{
    if (fm_programs)
        fm_change_returned(result);
}

#endif
