/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replaces a file as a whole: whoever opens it reads what it was before or what it is afterwards,
 * never a part.  The bytes are written to a file beside it, which is then renamed.
 *
 * The new file has mode 0666 less the umask; or mode, owner and group of the file that it replaces.
 */
#ifndef FILEMON_REPLACE_H
#define FILEMON_REPLACE_H

#include <stddef.h>

/* The path of the file to replace, for free(3): that which symbolic links lead to, as open(2) would
 * create it if it does not exist.  0, -errno;
 * -EEXIST: it exists and is no regular file; whatever keeps replace_file() from writing beside it.
 */
int replace_open(const char *file, char **path);

/* 0, or -errno: then the file is as it was. */
int replace_file(const char *path, const char *bytes, size_t size);

#endif
