/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings: what an engine needs here, whether that is met, and how to fix what is not.  An
 * engine's check() fills an array of them, which --check prints and which decides whether the
 * engine can run.
 */
#ifndef FILEMON_FINDING_H
#define FILEMON_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define LOCKDOWN_LEVEL_SIZE 32

struct finding {
    char what[256]; /* the requirement; empty: the finding does not apply here */
    char fix[512];  /* a command or a sentence; empty: the requirement is met */
    bool doubt;     /* with a fix: perhaps the requirement is met; else it certainly is not */
};

/*
 * Prints to out (NULL: nowhere) the findings that apply here.  Returns 0 if every requirement is
 * met; -ENOSYS if one certainly is not, which then is *problem, the first of several; else -EAGAIN
 * if one perhaps is not, which then is *problem.  problem may be NULL.
 */
int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *problem);

/*
 * The level of kernel lockdown ("none", "integrity", "confidentiality"), which more than one engine
 * has to check.  path: the file lockdown of securityfs, which has the level in brackets: "none
 * [integrity] confidentiality".  level[0] is NUL if the file cannot be read, as in a kernel that
 * was built without lockdown.
 */
void lockdown_level(const char *path, char level[static LOCKDOWN_LEVEL_SIZE]);

#endif
