/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The system calls that open files: their numbers and arguments.  Reading user memory. */
#ifndef FILEMON_STAP_CALLS_H
#define FILEMON_STAP_CALLS_H

#include "kernel.h"

struct fm_call {
    int dirfd;
    const char __user *name;
    u64 flags, mode, resolve;
    bool received; /* it is no call: the flags are those of what another process sent */
};

/*
 * Copies a string from user memory.  A probe must not sleep, so a page that is not in memory is an
 * error.  Returns the length of the string; size, if the first size bytes have no NUL; or -EFAULT.
 */
static long fm_user_string(char *to, const char __user *from, long size)
{
    long len;

    pagefault_disable();
    len = strncpy_from_user(to, from, size);
    pagefault_enable();
    return len;
}

static bool fm_user_bytes(void *to, const void __user *from, unsigned long size)
{
    bool done;

    pagefault_disable();
    done = access_ok(from, size) && __copy_from_user_inatomic(to, from, size) == 0;
    pagefault_enable();
    return done;
}

enum { FM_OPEN, FM_OPENAT, FM_OPENAT2, FM_CREAT, FM_BY_HANDLE };

#ifdef CONFIG_X86_64
static int fm_which_ia32_open(long nr)
{
    switch (nr) {
    case __NR_ia32_open:
        return FM_OPEN;
    case __NR_ia32_creat:
        return FM_CREAT;
    case __NR_ia32_openat:
        return FM_OPENAT;
    case __NR_ia32_openat2:
        return FM_OPENAT2;
    case __NR_ia32_open_by_handle_at:
        return FM_BY_HANDLE;
    default:
        return -1;
    }
}
#endif

/* The opening call that current is in; -1: another call. */
static int fm_which_open(void)
{
    long nr = syscall_get_nr(current, task_pt_regs(current));

#ifdef CONFIG_X86_64
    if (in_ia32_syscall())
        return fm_which_ia32_open(nr);
    if (nr >= 0)
        nr &= ~__X32_SYSCALL_BIT;
#endif
    switch (nr) {
#ifdef __NR_open
    case __NR_open:
        return FM_OPEN;
    case __NR_creat:
        return FM_CREAT;
#endif
    case __NR_openat:
        return FM_OPENAT;
    case __NR_openat2:
        return FM_OPENAT2;
    case __NR_open_by_handle_at:
        return FM_BY_HANDLE;
    default:
        return -1;
    }
}

static inline void fm_syscall_args(unsigned long args[6])
{
    syscall_get_arguments(current, task_pt_regs(current), args);
}

static void fm_call_args(struct fm_call *call, int which)
{
    unsigned long args[6];
    struct open_how how = {};

    fm_syscall_args(args);
    memset(call, 0, sizeof(*call));
    call->dirfd = AT_FDCWD;
    switch (which) {
    case FM_OPEN:
        call->name = (const char __user *)args[0];
        call->flags = (u32)args[1];
        call->mode = (umode_t)args[2];
        break;
    case FM_OPENAT:
        call->dirfd = args[0];
        call->name = (const char __user *)args[1];
        call->flags = (u32)args[2];
        call->mode = (umode_t)args[3];
        break;
    case FM_OPENAT2:
        call->dirfd = args[0];
        call->name = (const char __user *)args[1];
        if (fm_user_bytes(&how, (const void __user *)args[2], sizeof(how))) {
            call->flags = how.flags;
            call->mode = how.mode;
            call->resolve = how.resolve;
        }
        break;
    case FM_CREAT:
        call->name = (const char __user *)args[0];
        call->flags = O_CREAT | O_WRONLY | O_TRUNC;
        call->mode = (umode_t)args[1];
        break;
    case FM_BY_HANDLE:
        call->dirfd = args[0];
        call->flags = (u32)args[2];
        break;
    }
}

#endif
