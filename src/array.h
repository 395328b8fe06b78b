/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_ARRAY_H
#define FILEMON_ARRAY_H

/* How many elements an array has; not of a pointer to its first one. */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
