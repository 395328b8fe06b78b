/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the running processes of a program by the program's name.  The rules are tried in order;
 * the first rule that matches any process decides, and its result is every process that it matches:
 *
 *   1  the comm (if the name is longer than 15 bytes, its first 15 bytes, and then the last
 *      component of the executable or of argv[0] must be the whole name)
 *   2  the last component of the executable
 *   3  the last component of argv[0], without the '-' of a login shell; or of the script that an
 *      interpreter runs, which is the first argument that is no option, if argv[0] is one of the
 *      interpreters of names.c (sh -c, perl -e and the like run no script)
 *   4  the systemd unit of the cgroup, without ".service" and "@instance"
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
    pid_t *pids;         /* in rising order */
    size_t n_pids;
};

/* A snapshot of the running programs: /proc is read once for any number of names. */
struct programs;

/* self: this process is left out.  0, -errno; free with programs_free(). */
int programs_read(struct programs **programs, const struct procfs *procfs, pid_t self);
void programs_free(struct programs *programs);

/* name: not empty, without a slash.  0, -ENOMEM; call name_match_release() in either case. */
int programs_match(const struct programs *programs, const char *name, struct name_match *match);
void name_match_release(struct name_match *match);

/*
 * For a hint at a typing error: the name of a running program (its comm, or the last component of
 * its executable or argv[0]) with the fewest errors compared with name, and not more than
 * text_errors_allowed() of them; see text_errors().  NULL: none.  Valid as long as programs.
 */
const char *programs_nearest(const struct programs *programs, const char *name);

/* For messages: "comm", "executable", "argv[0]", "systemd unit", "directory of the executable". */
const char *name_rule_string(enum name_rule rule);

#endif
