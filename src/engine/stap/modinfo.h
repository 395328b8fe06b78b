/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks the file of a kernel module. */
#ifndef FILEMON_MODINFO_H
#define FILEMON_MODINFO_H

#include <stddef.h>

#define MODINFO_FAULT_SIZE 128

/*
 * Checks that the file is a complete module (an ELF object whose header, sections and section table
 * lie within the file) for this kernel release (the first word of its vermagic; a running kernel
 * does not show the other words).  0; -ENOEXEC, and fault is the rest of a sentence ("is
 * truncated"); other -errno.
 */
int modinfo_check(int fd, const char *release, char fault[static MODINFO_FAULT_SIZE]);

/* The same for bytes in memory. */
int modinfo_check_bytes(const unsigned char *bytes, size_t size, const char *release,
                        char fault[static MODINFO_FAULT_SIZE]);

#endif
