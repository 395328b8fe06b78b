/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flags.h"

#include <fcntl.h>
#include <stddef.h>

void put_flags(FILE *stream, uint64_t flags)
{
    static const struct {
        const char *name;
        uint64_t value, part_of;
    } names[] = {
        {"O_CREAT", O_CREAT, 0},       {"O_EXCL", O_EXCL, 0},
        {"O_NOCTTY", O_NOCTTY, 0},     {"O_TRUNC", O_TRUNC, 0},
        {"O_APPEND", O_APPEND, 0},     {"O_NONBLOCK", O_NONBLOCK, 0},
        {"O_SYNC", O_SYNC, 0},         {"O_DSYNC", O_DSYNC, O_SYNC},
        {"O_TMPFILE", O_TMPFILE, 0},   {"O_DIRECTORY", O_DIRECTORY, O_TMPFILE},
        {"O_NOFOLLOW", O_NOFOLLOW, 0}, {"O_NOATIME", O_NOATIME, 0},
        {"O_CLOEXEC", O_CLOEXEC, 0},   {"O_PATH", O_PATH, 0},
    };
    static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

    uint64_t known = 3;

    fputs(access[flags & 3], stream);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint64_t whole = names[i].part_of;
        if ((flags & names[i].value) == names[i].value && (!whole || (flags & whole) != whole))
            fprintf(stream, "|%s", names[i].name);
        known |= names[i].value;
    }
    if (flags & ~known)
        fprintf(stream, "|%#llx", (unsigned long long)(flags & ~known));
}
