/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens directories and files whose content will be loaded into the kernel.  Only root and the
 * caller may be able to change or replace them.
 */
#ifndef FILEMON_TRUST_H
#define FILEMON_TRUST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define TRUST_FAULT_SIZE 384

/*
 * Opens a directory for reading, after checking every component of its path, symbolic links
 * included.  Each must belong to root or to the caller.  Other users must not be able to write to
 * the directory.  They may be able to write to a directory on the way only if it has the sticky
 * bit, which keeps them from renaming and removing our entries.  create: creates missing
 * components.
 *
 * Returns a descriptor, to be used with openat(2) and the like, so that the directory that was
 * checked is the one that is used.  -EPERM: refused, and fault is a sentence that says why and what
 * to do; other -errno of open(2) and mkdir(2).
 */
int trust_open_directory(const char *path, bool create, char fault[static TRUST_FAULT_SIZE]);

/* Opens a regular file of the directory for reading, after the same checks.  A descriptor, or
 * -errno as above. */
int trust_open_file(int directory, const char *name, char fault[static TRUST_FAULT_SIZE]);

/* Reads a symbolic link of the directory, NUL-terminated, if it belongs to root or to the caller.
 * 0, or -errno (-ENAMETOOLONG: size is too small). */
int trust_read_link(int directory, const char *name, char *text, size_t size);

#endif
