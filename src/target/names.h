/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the running processes of a program by the program's name.  The rules are tried in order;
 * the first rule that matches any process decides, and its result is every process that it matches:
 *
 *   1  the comm is the name; a name of more than 15 bytes matches if the comm is its first 15
 *      bytes and the last component of the executable or of argv[0] is the whole name
 *   2  the last component of the executable
 *   3  the last component of argv[0], without the '-' of a login shell; or, if argv[0] is one of
 *      the interpreters that names.c knows, the last component of the script: of the first
 *      argument that does not begin with '-'.  sh -c, perl -e and the like have no script, and sed
 *      and awk have one only if -f names it
 *   4  the systemd unit, without ".service" and "@instance"
 *   5  any directory component of the executable
 *
 * No rule matches kernel threads, zombies and filemon itself.
 */
#ifndef FILEMON_NAMES_H
#define FILEMON_NAMES_H

#include <stddef.h>
#include <sys/types.h>

#include "target/procfs.h"

enum name_rule { NAME_NONE, NAME_COMM, NAME_EXE, NAME_ARGV, NAME_UNIT, NAME_DIRECTORY };

struct name_match {
    enum name_rule rule; /* NAME_NONE: no such process */
    pid_t *pids;         /* in the order of procfs_each(): rising */
    size_t n_pids;
};

/* A snapshot of the running programs: /proc is read once for any number of names. */
struct programs;

/* self: the pid of a process to leave out, as is one that exits meanwhile.  Returns 0 or -errno.
 * Free with programs_free(), which also takes NULL. */
int programs_read(struct programs **programs, const struct procfs *procfs, pid_t self);
void programs_free(struct programs *programs);

/* name: not empty, without a slash.  Returns 0, also if no process matches; or -ENOMEM.  Call
 * name_match_release() after an error too. */
int programs_match(const struct programs *programs, const char *name, struct name_match *match);
void name_match_release(struct name_match *match);

/*
 * For a hint at a typing error: the name of a running program (its comm, or the last component of
 * its executable or argv[0]) with the fewest errors compared with name, and not more than
 * text_errors_allowed() of them; see text_errors().  NULL: none.  Valid as long as programs.
 */
const char *programs_nearest(const struct programs *programs, const char *name);

/* For messages: "comm", "executable", "argv[0]" (also for a script), "systemd unit", "directory of
 * the executable", "nothing" for NAME_NONE.  A constant. */
const char *name_rule_string(enum name_rule rule);

#endif
