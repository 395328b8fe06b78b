/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls: their numbers, and their arguments in the user's registers. */
#ifndef FILEMON_BPF_CALLS_H
#define FILEMON_BPF_CALLS_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "record.h"

/* Set by the loader: the kernel takes the calls of x32 processes (x86). */
const volatile bool x32_calls = false;

/* A power of two above the number of every call that is followed. */
#define CALL_NUMBERS 512

/*
 * The table `calls`, to which the loader adds what -t asks for, maps the number of a system call to
 * an enum call, so that calls that are not followed cost one look-up.  The lower byte is for native
 * processes, the upper byte for 32-bit ones.
 */
#define NATIVE(call) (call)
#define COMPAT(call) ((call) << 8)
#define BOTH(call) (NATIVE(call) | COMPAT(call))

#if defined(__TARGET_ARCH_x86)

/* clang-format off */
#define CALLS                                                                                      \
    [2] = NATIVE(CALL_OPEN), [5] = COMPAT(CALL_OPEN),                                              \
    [3] = NATIVE(CALL_CLOSE), [6] = COMPAT(CALL_CLOSE),                                            \
    [8] = COMPAT(CALL_CREAT), [85] = NATIVE(CALL_CREAT),                                           \
    [11] = COMPAT(CALL_EXEC), [59] = NATIVE(CALL_EXEC),                                            \
    [32] = NATIVE(CALL_DUP), [41] = COMPAT(CALL_DUP),                                              \
    [33] = NATIVE(CALL_DUP2), [63] = COMPAT(CALL_DUP2),                                            \
    [292] = NATIVE(CALL_DUP2), [330] = COMPAT(CALL_DUP2), /* dup3 */                               \
    [55] = COMPAT(CALL_FCNTL), [72] = NATIVE(CALL_FCNTL), [221] = COMPAT(CALL_FCNTL),              \
    [257] = NATIVE(CALL_OPENAT), [295] = COMPAT(CALL_OPENAT),                                      \
    [272] = NATIVE(CALL_UNSHARE), [310] = COMPAT(CALL_UNSHARE),                                    \
    [304] = NATIVE(CALL_OPEN_BY_HANDLE_AT), [342] = COMPAT(CALL_OPEN_BY_HANDLE_AT),                \
    [322] = NATIVE(CALL_EXEC), [358] = COMPAT(CALL_EXEC), /* execveat */                           \
    [426] = BOTH(CALL_RING_ENTER),                                                                 \
    [436] = BOTH(CALL_CLOSE_RANGE),                                                                \
    [437] = BOTH(CALL_OPENAT2),                                                                    \
    [438] = BOTH(CALL_GET_FD)
/* clang-format on */

const volatile __u16 calls[CALL_NUMBERS] = {CALLS};

#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */

static __always_inline bool call_is_compat(struct task_struct *task)
{
    return task->thread_info.status & TS_COMPAT;
}

/* arch/x86/include/asm/unistd.h; arch/x86/entry/syscalls/syscall_64.tbl */
#define X32_SYSCALL_BIT 0x40000000
#define X32_EXECVE 520
#define X32_EXECVEAT 545
#define EXECVE 59
#define EXECVEAT 322
#define COMPAT_EXECVEAT 358

/* x32 calls have the numbers of 64-bit calls plus one bit; only exec has numbers of its own. */
static __always_inline __u32 call_number(struct pt_regs *regs)
{
    __u32 number = regs->orig_ax;

    if (!x32_calls || !(number & X32_SYSCALL_BIT))
        return number;
    number &= ~X32_SYSCALL_BIT;
    return number == X32_EXECVE ? EXECVE : number == X32_EXECVEAT ? EXECVEAT : number;
}

static __always_inline void call_arguments(struct pt_regs *regs, bool compat, __u64 args[4])
{
    if (compat) {
        args[0] = (__u32)regs->bx;
        args[1] = (__u32)regs->cx;
        args[2] = (__u32)regs->dx;
        args[3] = (__u32)regs->si;
    } else {
        args[0] = regs->di;
        args[1] = regs->si;
        args[2] = regs->dx;
        args[3] = regs->r10;
    }
}

#elif defined(__TARGET_ARCH_arm64)

/* The numbers of 32-bit processes are those of arm (arch/arm/tools/syscall.tbl). */
/* clang-format off */
#define CALLS                                                                                      \
    [5] = COMPAT(CALL_OPEN),                                                                       \
    [6] = COMPAT(CALL_CLOSE), [57] = NATIVE(CALL_CLOSE),                                           \
    [8] = COMPAT(CALL_CREAT),                                                                      \
    [11] = COMPAT(CALL_EXEC), [387] = COMPAT(CALL_EXEC), /* execveat */                            \
    [23] = NATIVE(CALL_DUP), [41] = COMPAT(CALL_DUP),                                              \
    [24] = NATIVE(CALL_DUP2), [358] = COMPAT(CALL_DUP2), /* dup3 */                                \
    [63] = COMPAT(CALL_DUP2),                                                                      \
    [25] = NATIVE(CALL_FCNTL), [55] = COMPAT(CALL_FCNTL),                                          \
    [56] = NATIVE(CALL_OPENAT), [322] = COMPAT(CALL_OPENAT),                                       \
    [97] = NATIVE(CALL_UNSHARE), [337] = COMPAT(CALL_UNSHARE),                                     \
    [221] = NATIVE(CALL_EXEC) | COMPAT(CALL_FCNTL), /* fcntl64 */                                  \
    [281] = NATIVE(CALL_EXEC), /* execveat */                                                      \
    [265] = NATIVE(CALL_OPEN_BY_HANDLE_AT), [371] = COMPAT(CALL_OPEN_BY_HANDLE_AT),                \
    [426] = BOTH(CALL_RING_ENTER),                                                                 \
    [436] = BOTH(CALL_CLOSE_RANGE),                                                                \
    [437] = BOTH(CALL_OPENAT2),                                                                    \
    [438] = BOTH(CALL_GET_FD)
/* clang-format on */

const volatile __u16 calls[CALL_NUMBERS] = {CALLS};

#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */

static __always_inline bool call_is_compat(struct task_struct *task)
{
    return task->thread_info.flags >> TIF_32BIT & 1;
}

static __always_inline __u32 call_number(struct pt_regs *regs)
{
    return regs->syscallno;
}

#define EXECVEAT 281
#define COMPAT_EXECVEAT 387

static __always_inline void call_arguments(struct pt_regs *regs, bool compat, __u64 args[4])
{
    /* The upper halves of a 32-bit process's registers are undefined. */
    __u64 mask = compat ? 0xffffffff : ~0ull;

    args[0] = regs->orig_x0 & mask;
    args[1] = regs->regs[1] & mask;
    args[2] = regs->regs[2] & mask;
    args[3] = regs->regs[3] & mask;
}

#else
#error "no system call numbers for this architecture: build with BPF=0"
#endif

static __always_inline bool is_execveat(__u32 number)
{
    return number == EXECVEAT || number == COMPAT_EXECVEAT;
}

#endif
