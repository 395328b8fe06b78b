/* SPDX-License-Identifier: GPL-2.0-or-later */
/* monitorFicheros.stp in one piece, carried in the program: it can be neither missing nor another.
 * A NUL ends it. */
#ifndef FILEMON_SCRIPT_H
#define FILEMON_SCRIPT_H

extern const char script_text[];

#endif
