/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories and files whose content ends up in the kernel: nobody but root and the caller may be
 * able to change them, nor to put something else in their place.
 */
#ifndef FILEMON_TRUST_H
#define FILEMON_TRUST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define TRUST_FAULT_SIZE 384

/*
 * Opens a directory for reading after checking every component of its path, symbolic links
 * included: each must belong to root or to the caller, and no other user may be able to write to a
 * directory on the way (but with the sticky bit, which protects what is ours in it) or to the last
 * one at all.  create: makes the components that are missing.
 *
 * A descriptor, to be used with openat(2) and its kin, so that what was checked is what is used.
 * -EPERM: refused, and *fault says what and what to do; other -errno as of open(2) and mkdir(2).
 */
int trust_open_directory(const char *path, bool create, char fault[static TRUST_FAULT_SIZE]);

/* Opens a regular file in it for reading.  A descriptor, or -errno as above. */
int trust_open_file(int directory, const char *name, char fault[static TRUST_FAULT_SIZE]);

/* The text of a symbolic link in it, NUL-terminated, if the link belongs to root or to the caller.
 * 0, or -errno (-ENAMETOOLONG: it does not fit). */
int trust_read_link(int directory, const char *name, char *text, size_t size);

#endif
