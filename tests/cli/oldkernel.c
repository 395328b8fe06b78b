/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library for LD_PRELOAD (ld.so(8)).  bpf(2) answers as on an older kernel: with EINVAL for types
 * of maps after number $LAST_MAP, and for programs that call a helper after number $LAST_HELPER,
 * with the verifier's message.  A limit that is not set, or 0, is that of the running kernel.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool exceeds(unsigned int number, const char *limit)
{
    const char *text = getenv(limit);
    unsigned long last = text ? strtoul(text, NULL, 10) : 0;

    return last > 0 && number > last;
}

static bool is_helper(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == 0;
}

/* The program's first helper that the kernel does not know; 0: none. */
static int unknown_helper(const union bpf_attr *attr)
{
    const struct bpf_insn *insns = (const struct bpf_insn *)(uintptr_t)attr->insns;

    for (unsigned int i = 0; i < attr->insn_cnt; i++)
        if (is_helper(&insns[i]) && exceeds((unsigned int)insns[i].imm, "LAST_HELPER"))
            return insns[i].imm;
    return 0;
}

static bool refuses(long command, long argument)
{
    const union bpf_attr *attr = (const union bpf_attr *)(uintptr_t)argument;
    int helper = command == BPF_PROG_LOAD ? unknown_helper(attr) : 0;

    if (helper != 0 && attr->log_size > 0)
        snprintf((char *)(uintptr_t)attr->log_buf, attr->log_size, "invalid func unknown#%d\n",
                 helper);
    return helper != 0 || (command == BPF_MAP_CREATE && exceeds(attr->map_type, "LAST_MAP"));
}

long syscall(long number, ...)
{
    long (*next)(long number, ...) = (__typeof__(next))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_bpf && refuses(arguments[0], arguments[1])) {
        errno = EINVAL;
        return -1;
    }
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}
