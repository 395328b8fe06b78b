/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings: the requirements of an engine, as its check() lists them, and how to fix each one. */
#ifndef FILEMON_FINDING_H
#define FILEMON_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct finding {
    char what[256]; /* the requirement; empty: the finding does not apply here */
    char fix[512];  /* a command or a sentence; empty: the requirement is met */
    bool doubt;     /* with a fix: the requirement is not missing, but may not be met */
};

/*
 * Prints the findings that apply to out (NULL: prints nothing).  Returns 0 if every requirement is
 * met; -ENOSYS if one is missing; else -EAGAIN if one is in doubt.  *problem (if not NULL) is then
 * the first missing requirement, or the first one in doubt.
 */
int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *problem);

/*
 * The level of kernel lockdown that a file of securityfs shows in brackets: "none [integrity]
 * confidentiality".  level[0] is NUL if the kernel has no lockdown, or if the file cannot be read.
 */
#define LOCKDOWN_LEVEL_SIZE 32
void lockdown_level(const char *path, char level[static LOCKDOWN_LEVEL_SIZE]);

#endif
