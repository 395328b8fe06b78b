/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filemon's commands to the script. */
#ifndef FILEMON_STAP_CONTROL_H
#define FILEMON_STAP_CONTROL_H

#include "asked.h"
#include "changes.h"
#include "exec.h"
#include "facts.h"
#include "filter.h"
#include "held.h"
#include "inodes.h"
#include "programs.h"

/*
 * Each write is one command: a letter, and bytes whose meaning depends on the letter alone.
 *
 *   +BYTES   more of the argument of the next command (a write carries at most MAXSTRINGLEN - 1)
 *   I  E     the argument is a PATH (I) or an exclusion (E); also allowed after G
 *   O  X     the argument is a descriptor of the writer, whose file or directory itself is a PATH
 *            (O) or an exclusion (X); not allowed after G
 *   N        the argument is a name, matched at exec
 *   D        the argument is how many generations to follow
 *   A        watch every process
 *   W        report only what is opened for writing
 *   Q        report no opens that succeed, and nothing of their descriptors
 *   U        the argument is a user, as the writer's namespace numbers it: report only what these
 *            open
 *   C        with A: the argument is the id of a control group: report only what its processes and
 *            marked ones open
 *   K        the argument is a set of facts to add to lines, as a number: see facts.h
 *   T        report initially open descriptors, too
 *   Y        the argument is a set: 1 report programs that are executed, 2 report calls other than
 *            opens that failed, too
 *   G        go: names, paths and switches are complete; answers "mirando", or "sin_inodo" if an O
 *            or X failed
 *   P        the argument is a process to watch, as the writer's namespace numbers it
 *   H        report some of the initially open descriptors; answers "sigue" if there are more
 *   M        answers "marca", after the lines of all earlier events
 *   F        answers "fin" when no watched process is left
 *   S        stop: answers "fin", the last line
 */
static char fm_argument[FM_PATH];
static u32 fm_argument_len;

static s64 fm_own_clock_ahead(void)
{
    struct timespec64 ahead = {};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
    timens_add_monotonic(&ahead);
#endif
    return timespec64_to_ns(&ahead);
}

static void fm_control(const char *command)
{
    u32 len = strlen(command + (command[0] != 0));
    long number = -1;
    u64 id;

    if (command[0] == '+') {
        len = min_t(u32, len, sizeof(fm_argument) - 1 - fm_argument_len);
        memcpy(fm_argument + fm_argument_len, command + 1, len);
        fm_argument_len += len;
        return;
    }
    fm_argument[fm_argument_len] = '\0';
    switch (command[0]) {
    case 'I':
    case 'E':
        fm_prefix_add(fm_argument, fm_argument_len, command[0] == 'I');
        break;
    case 'O':
    case 'X':
        if (kstrtol(fm_argument, 10, &number) == 0)
            fm_inode_add(number, command[0] == 'O');
        break;
    case 'N':
        fm_name_add(fm_argument, fm_argument_len);
        break;
    case 'D':
        if (kstrtol(fm_argument, 10, &number) == 0 && number >= 0 && number < FM_EVERY - 1)
            fm_depth = number + 1;
        break;
    case 'A':
        WRITE_ONCE(fm_all, true);
        break;
    case 'W':
        fm_writes = true;
        break;
    case 'Q':
        fm_no_opens = true;
        break;
    case 'U':
        if (kstrtol(fm_argument, 10, &number) == 0)
            fm_user_add(make_kuid(current_user_ns(), number));
        break;
    case 'C':
        if (kstrtou64(fm_argument, 10, &id) == 0)
            fm_group_add(id);
        break;
    case 'K':
        if (kstrtol(fm_argument, 10, &number) == 0)
            fm_facts = number;
        break;
    case 'Y':
        if (kstrtol(fm_argument, 10, &number) == 0)
            fm_programs = number & 1, fm_failed_calls = number & 2;
        break;
    case 'T':
        fm_initial = true;
        break;
    case 'G':
        if (fm_inode_missing) {
            fm_send_status("sin_inodo", 9);
            break;
        }
        fm_self[0] = current->tgid;
        fm_owner = get_pid(task_tgid(current));
        fm_ns = task_active_pid_ns(current);
        fm_clock_ahead = fm_own_clock_ahead();
        /* Pairs with fm_is_on(). */
        smp_store_release(&fm_on, true);
        fm_send_status("mirando", 7);
        break;
    case 'P':
        if (kstrtol(fm_argument, 10, &number) == 0 && fm_watch(number))
            fm_mark_descendants();
        break;
    case 'H':
        fm_scan_next();
        break;
    case 'M':
        fm_send_status("marca", 5);
        break;
    case 'F':
        WRITE_ONCE(fm_end, true);
        /* Pairs with fm_unmark(), which says what would go wrong. */
        smp_mb();
        fm_idle();
        break;
    case 'S':
        WRITE_ONCE(fm_on, false);
        WRITE_ONCE(fm_stop, true);
        fm_report_lost();
        fm_idle();
        break;
    }
    fm_argument_len = 0;
}

#endif
