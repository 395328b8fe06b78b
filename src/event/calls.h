/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls that -t adds: one row for each, which filemon and both engines' sides in the
 * kernel read.  So it includes no other header.
 */
#ifndef FILEMON_CALLS_H
#define FILEMON_CALLS_H

/* Which arguments are paths, and the descriptors of the directories that these are relative to. */
enum call_shape {
    SHAPE_NAME,       /* (name, ...) */
    SHAPE_AT,         /* (dirfd, name, ...) */
    SHAPE_DESCRIPTOR, /* (fd, ...) */
    SHAPE_NAMES,      /* (name, destination) */
    SHAPE_AT_AT,      /* (dirfd, name, dirfd, destination, ...) */
    SHAPE_TEXT,       /* (text, name): symlink, whose destination is the text */
    SHAPE_TEXT_AT,    /* (text, dirfd, name) */
};

/* In place of a number: there is no such call. */
#define NO_CALL (-1)

/*
 * CALL(name, record, x86-64, ia32, arm64, arm, shape): the name as strace(1) has it; the code of
 * the record of its success; its numbers, in 32-bit processes too.  unlinkat with AT_REMOVEDIR is
 * an RMDIR.
 */
/* clang-format off */
#define TRACED_CALLS(CALL)                                                                         \
    CALL(execve,            EXEC,      59,      11,      221,     11,      SHAPE_NAME)             \
    CALL(execveat,          EXEC,      322,     358,     281,     387,     SHAPE_AT)               \
    CALL(rename,            RENAME,    82,      38,      NO_CALL, 38,      SHAPE_NAMES)            \
    CALL(renameat,          RENAME,    264,     302,     38,      329,     SHAPE_AT_AT)            \
    CALL(renameat2,         RENAME,    316,     353,     276,     382,     SHAPE_AT_AT)            \
    CALL(link,              LINK,      86,      9,       NO_CALL, 9,       SHAPE_NAMES)            \
    CALL(linkat,            LINK,      265,     303,     37,      330,     SHAPE_AT_AT)            \
    CALL(symlink,           SYMLINK,   88,      83,      NO_CALL, 83,      SHAPE_TEXT)             \
    CALL(symlinkat,         SYMLINK,   266,     304,     36,      331,     SHAPE_TEXT_AT)          \
    CALL(unlink,            UNLINK,    87,      10,      NO_CALL, 10,      SHAPE_NAME)             \
    CALL(unlinkat,          UNLINK,    263,     301,     35,      328,     SHAPE_AT)               \
    CALL(mkdir,             MKDIR,     83,      39,      NO_CALL, 39,      SHAPE_NAME)             \
    CALL(mkdirat,           MKDIR,     258,     296,     34,      323,     SHAPE_AT)               \
    CALL(rmdir,             RMDIR,     84,      40,      NO_CALL, 40,      SHAPE_NAME)             \
    CALL(mknod,             MKNOD,     133,     14,      NO_CALL, 14,      SHAPE_NAME)             \
    CALL(mknodat,           MKNOD,     259,     297,     33,      324,     SHAPE_AT)               \
    CALL(chmod,             CHMOD,     90,      15,      NO_CALL, 15,      SHAPE_NAME)             \
    CALL(fchmod,            CHMOD,     91,      94,      52,      94,      SHAPE_DESCRIPTOR)       \
    CALL(fchmodat,          CHMOD,     268,     306,     53,      333,     SHAPE_AT)               \
    CALL(fchmodat2,         CHMOD,     452,     452,     452,     452,     SHAPE_AT)               \
    CALL(chown,             CHOWN,     92,      182,     NO_CALL, 182,     SHAPE_NAME)             \
    CALL(lchown,            CHOWN,     94,      16,      NO_CALL, 16,      SHAPE_NAME)             \
    CALL(fchown,            CHOWN,     93,      95,      55,      95,      SHAPE_DESCRIPTOR)       \
    CALL(fchownat,          CHOWN,     260,     298,     54,      325,     SHAPE_AT)               \
    CALL(chown32,           CHOWN,     NO_CALL, 212,     NO_CALL, 212,     SHAPE_NAME)             \
    CALL(lchown32,          CHOWN,     NO_CALL, 198,     NO_CALL, 198,     SHAPE_NAME)             \
    CALL(fchown32,          CHOWN,     NO_CALL, 207,     NO_CALL, 207,     SHAPE_DESCRIPTOR)       \
    CALL(truncate,          TRUNCATE,  76,      92,      45,      92,      SHAPE_NAME)             \
    CALL(ftruncate,         TRUNCATE,  77,      93,      46,      93,      SHAPE_DESCRIPTOR)       \
    CALL(truncate64,        TRUNCATE,  NO_CALL, 193,     NO_CALL, 193,     SHAPE_NAME)             \
    CALL(ftruncate64,       TRUNCATE,  NO_CALL, 194,     NO_CALL, 194,     SHAPE_DESCRIPTOR)       \
    CALL(utime,             UTIMES,    132,     30,      NO_CALL, NO_CALL, SHAPE_NAME)             \
    CALL(utimes,            UTIMES,    235,     271,     NO_CALL, 269,     SHAPE_NAME)             \
    CALL(futimesat,         UTIMES,    261,     299,     NO_CALL, 326,     SHAPE_AT)               \
    CALL(utimensat,         UTIMES,    280,     320,     88,      348,     SHAPE_AT)               \
    CALL(utimensat_time64,  UTIMES,    NO_CALL, 412,     NO_CALL, 412,     SHAPE_AT)               \
    CALL(setxattr,          SETXATTR,  188,     226,     5,       226,     SHAPE_NAME)             \
    CALL(lsetxattr,         SETXATTR,  189,     227,     6,       227,     SHAPE_NAME)             \
    CALL(fsetxattr,         SETXATTR,  190,     228,     7,       228,     SHAPE_DESCRIPTOR)       \
    CALL(setxattrat,        SETXATTR,  463,     463,     463,     463,     SHAPE_AT)               \
    CALL(removexattr,       SETXATTR,  197,     235,     14,      235,     SHAPE_NAME)             \
    CALL(lremovexattr,      SETXATTR,  198,     236,     15,      236,     SHAPE_NAME)             \
    CALL(fremovexattr,      SETXATTR,  199,     237,     16,      237,     SHAPE_DESCRIPTOR)       \
    CALL(removexattrat,     SETXATTR,  466,     466,     466,     466,     SHAPE_AT)
/* clang-format on */

#define TRACED_ENUM(name, record, x86_64, ia32, arm64, arm, shape) TRACED_##name,
enum traced_call { TRACED_CALLS(TRACED_ENUM) TRACED_COUNT };

#endif
