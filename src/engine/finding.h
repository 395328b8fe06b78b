/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings: the requirements of an engine, whether each is met here, and what fixes one that is
 * not.  An engine's check() fills an array of findings: --check prints them, and they decide
 * whether the engine can run.
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
    bool doubt;     /* with a fix: the requirement is perhaps not met; false: it certainly is not */
};

/*
 * Prints to out (NULL: nowhere) the findings that apply here.  Returns 0 if every requirement is
 * met; -ENOSYS if one certainly is not: *problem is then the first such one; else -EAGAIN: *problem
 * is then the first that perhaps is not met.  problem may be NULL.
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
