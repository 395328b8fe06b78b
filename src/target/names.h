/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a program's name to its processes.  The first of the rules below that matches any process
 * decides, and every process it matches is one of that program:
 *
 *   1  its comm (a name longer than the kernel's 15 bytes matches a comm cut from it only where the
 *      executable's or argv[0]'s last component is the whole name)
 *   2  the last component of its executable
 *   3  the last component of argv[0] (a '-' before it, of a login shell, is no part of it), or of
 *      the script that an interpreter runs: where argv[0] is one of those that names.c lists, the
 *      first argument that is no option; none for sh -c, perl -e and their like
 *   4  the systemd unit of its cgroup without ".service" and without "@instance"
 *   5  any directory component of its executable
 *
 * Kernel threads, zombies and filemon itself are never matched.
 */
#ifndef FILEMON_NAMES_H
#define FILEMON_NAMES_H

#include <stddef.h>
#include <sys/types.h>

#include "target/procfs.h"

enum name_rule { NAME_NONE, NAME_COMM, NAME_EXE, NAME_ARGV, NAME_UNIT, NAME_DIRECTORY };

struct name_match {
    enum name_rule rule; /* NAME_NONE: no process of that name now */
    pid_t *pids;         /* rising */
    size_t n_pids;
};

/* The programs that ran at one moment: /proc is read once, however many names are looked up. */
struct programs;

/* self: the process to leave out.  0, -errno; free with programs_free(). */
int programs_read(struct programs **programs, const struct procfs *procfs, pid_t self);
void programs_free(struct programs *programs);

/* name: not empty and without a slash.  0, -ENOMEM; release with name_match_release() in either
 * case. */
int programs_match(const struct programs *programs, const char *name, struct name_match *match);
void name_match_release(struct name_match *match);

/*
 * The program that runs and whose name (comm, last component of the executable or of argv[0]) is
 * most like this one, letter case aside: for a hint at a typing error, when no process is of that
 * name.  Up to a third of the bytes may be wrong, missing or too many, or have changed places, and
 * never more than three.  NULL: none is; else it lasts as long as programs.
 */
const char *programs_nearest(const struct programs *programs, const char *name);

/* For people: "comm", "executable", "argv[0]", "systemd unit", "directory of the executable". */
const char *name_rule_string(enum name_rule rule);

#endif
