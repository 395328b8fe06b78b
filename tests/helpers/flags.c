/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flags.h"

#include <stddef.h>

void put_flags(FILE *stream, uint64_t flags)
{
    static const struct {
        const char *name;
        uint64_t value, part_of;
    } names[] = {
        {"O_CREAT", 0100, 0},        {"O_EXCL", 0200, 0},
        {"O_NOCTTY", 0400, 0},       {"O_TRUNC", 01000, 0},
        {"O_APPEND", 02000, 0},      {"O_NONBLOCK", 04000, 0},
        {"O_SYNC", 04010000, 0},     {"O_DSYNC", 010000, 04010000},
        {"O_TMPFILE", 020200000, 0}, {"O_DIRECTORY", 0200000, 020200000},
        {"O_NOFOLLOW", 0400000, 0},  {"O_NOATIME", 01000000, 0},
        {"O_CLOEXEC", 02000000, 0},  {"O_PATH", 010000000, 0},
    };
    static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR"};

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
