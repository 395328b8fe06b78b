/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The assembled monitorFicheros.stp, NUL-terminated.  It is part of the program, so that it cannot
 * be missing or be that of another version. */
#ifndef FILEMON_SCRIPT_H
#define FILEMON_SCRIPT_H

extern const char script_text[];

#endif
