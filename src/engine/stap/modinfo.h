/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel module's file says of itself. */
#ifndef FILEMON_MODINFO_H
#define FILEMON_MODINFO_H

#include <stddef.h>

#define MODINFO_FAULT_SIZE 128

/*
 * Is it a whole module for that kernel release?  Whole: an ELF object whose header, sections and
 * section table lie within the file.  For it: the first word of its vermagic, the rest of which no
 * running kernel shows.  0; -ENOEXEC and *fault says why not ("is truncated"); other -errno.
 */
int modinfo_check(int fd, const char *release, char fault[static MODINFO_FAULT_SIZE]);

/* The same of bytes in memory. */
int modinfo_check_bytes(const unsigned char *bytes, size_t size, const char *release,
                        char fault[static MODINFO_FAULT_SIZE]);

#endif
