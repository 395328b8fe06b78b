/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What musl, or glibc before 2.34 (Debian 11), does not have. */
#ifndef FILEMON_COMPAT_H
#define FILEMON_COMPAT_H

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef TEMP_FAILURE_RETRY
#define TEMP_FAILURE_RETRY(call)                                                                   \
    __extension__({                                                                                \
        __typeof__(call) result_;                                                                  \
        do                                                                                         \
            result_ = (call);                                                                      \
        while (result_ == -1 && errno == EINTR);                                                   \
        result_;                                                                                   \
    })
#endif

/* glibc names the calls of its own time; the kernel's headers may be newer. */
#ifndef SYS_close_range
#define SYS_close_range __NR_close_range
#endif
#ifndef SYS_openat2
#define SYS_openat2 __NR_openat2
#endif

/* These tune glibc's malloc(3). */
#ifndef __GLIBC__
#define mallopt(option, value) ((void)0)
#define malloc_trim(pad) ((void)0)
#endif

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
#define HAVE_STRERRORNAME_NP
#endif
#endif

#ifndef HAVE_STRERRORNAME_NP
static inline const char *strerrorname_np(int error)
{
    switch (error) {
#include "errno.inc" /* made by make: case 2: return "ENOENT"; ... */
    default:
        return NULL;
    }
}

static inline const char *strerrordesc_np(int error)
{
    return strerrorname_np(error) != NULL ? strerror(error) : NULL;
}
#endif

#endif
