/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another way to see calls: probes of kernel functions, if the kernel can probe many at once
 * (kprobe.multi).  Unlike the tracepoints on system calls, the probes cost other calls nothing.
 *
 * A new descriptor is seen in fd_install() or do_dup2(), before any thread can use it.  A call that
 * a seccomp filter answers does not reach these functions.  The entry of a call is seen in its
 * function, and treated as in sys_enter; exits are needed for few calls only.  Failed opens are not
 * seen.  Calls that read and write have probes only if they are counted (-b): reads.bpf.h.
 */
#ifndef FILEMON_BPF_PROBES_H
#define FILEMON_BPF_PROBES_H

#include "calls.bpf.h"
#include "closings.bpf.h"
#include "files.bpf.h"
#include "inflight.bpf.h"
#include "opens.bpf.h"
#include "record.h"
#include "state.bpf.h"
#include "syscalls.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* The self-test: the loader makes each call once, and checks how often each probe was hit. */
volatile bool testing = false;
__u32 hits_of_entries[CALLS_COUNT], hits_of_returns[CALLS_COUNT], hits_of_files[CALLS_COUNT];

static __always_inline void count_hit(struct pt_regs *regs, __u32 hits[CALLS_COUNT])
{
    __u32 number = call_number(regs);

    if (testing && number < CALL_NUMBERS && current_task()->tgid == own_tgid)
        hits[bounded(calls[bounded(number, CALL_NUMBERS)] & 0xff, CALLS_COUNT)]++;
}

#define ENOSYS 38 /* asm-generic/errno.h */

/*
 * Whether the call in the registers is being executed.  If not, io_uring opens the file: in a
 * worker, or before a thread returns from any call, whose result is then already in ax.
 */
static __always_inline bool is_in_call(struct task_struct *task, struct pt_regs *regs)
{
    return !(task->flags & PF_IO_WORKER) && (int)regs->ax == -ENOSYS;
}

static __always_inline void install_open(struct task_struct *task, enum call call,
                                         const __u64 args[4], __u32 fd, struct file *file)
{
    struct scratch *s = get_scratch(ON_LEAVE);

    if (!s)
        return;
    read_request(call, args, &s->request);
    begin_open(task, s, RECORD_OPEN, fd);
    s->file = file;
    deliver_open(ON_LEAVE);
}

/* The entry of fcntl(2) is seen in f_dupfd(), after the call has looked up the file of origin:
 * another thread may have closed origin in between. */
static __always_inline void install_copy(struct task_struct *task, __u32 origin, __u32 fd,
                                         __u32 how, struct file *file)
{
    __u64 entered = how & COPY_REPLACES ? take_entry_time(task) : 0;

    if (leave_inflight(task) == THREAD_COPYING ||
        is_closing_file(table_of(task), origin, (__u64)file))
        how |= COPY_RECORDED;
    take_copy(origin, fd, how, entered, (__u64)file);
}

static __always_inline void install_file(struct task_struct *task, struct pt_regs *regs, __u32 fd,
                                         struct file *file)
{
    __u64 args[4];
    enum call call = take_call(regs, &task, args);

    if (call == CALL_NONE || call > CALL_FCNTL || !is_in_call(task, regs))
        return;
    if (call <= CALL_OPEN_BY_HANDLE_AT)
        install_open(task, call, args, fd, file);
    else if (is_copy(call, args) && call != CALL_DUP2)
        install_copy(task, args[0], fd, 0, file);
}

/*
 * void fd_install(unsigned int fd, struct file *file): all new descriptors except those of dup2.
 * The number can be that of a descriptor whose close is in flight.
 */
static __always_inline int install(struct pt_regs *regs, __u32 fd, struct file *file)
{
    struct task_struct *task = current_task();

    if (file_received(task) == (__u64)file) {
        end_receiving(task);
        note_executable(task);
        take_received(fd, (__u64)file);
    } else {
        install_file(task, regs, fd, file);
    }
    end_closing(task, fd);
    return 0;
}

/* Whether the descriptor is reserved for an open in flight: then dup2 fails with EBUSY. */
static __always_inline bool is_reserved(struct task_struct *task, __u32 fd)
{
    struct fdtable *table = task->files->fdt;
    unsigned long word = 0;

    if (file_of(task, fd))
        return false;
    bpf_probe_read_kernel(&word, sizeof(word), table->open_fds + fd / 64);
    return word >> fd % 64 & 1;
}

/* int do_dup2(struct files_struct *files, struct file *file, unsigned fd, unsigned flags), called
 * with files->file_lock held. */
static __always_inline int replace(struct pt_regs *regs, __u32 fd, struct file *file)
{
    struct task_struct *task = NULL;
    __u64 args[4];

    if (take_call(regs, &task, args) != CALL_DUP2 || !is_in_call(task, regs) ||
        is_reserved(task, fd))
        return 0;
    end_closing(task, fd);
    install_copy(task, args[0], fd, COPY_REPLACES, file);
    return 0;
}

/* The addresses of fd_install() and do_dup2(), from the self-test.  on_function() compares
 * addresses, and not cookies, because the kernel has to search for a cookie. */
__u64 install_address, replace_address;

/* filemon, which is never watched, makes the calls of the self-test. */
static __always_inline void test_function(struct pt_regs *ctx, struct pt_regs *regs)
{
    __u64 cookie = bpf_get_attach_cookie(ctx);

    if (cookie == PROBE_INSTALL)
        install_address = bpf_get_func_ip(ctx);
    else if (cookie == PROBE_REPLACE)
        replace_address = bpf_get_func_ip(ctx);
    count_hit(regs, cookie == PROBE_CALL ? hits_of_entries : hits_of_files);
}

/* Nearly all runs end at the first check: they are in unwatched processes. */
SEC("kprobe.multi")
int on_function(struct pt_regs *ctx)
{
    __u64 address;

    if (!is_watched(bpf_get_current_task_btf()->tgid)) {
        if (testing)
            test_function(ctx, user_registers());
        return 0;
    }
    address = bpf_get_func_ip(ctx);
    return address == install_address   ? install(user_registers(), ctx->di, (void *)ctx->si)
           : address == replace_address ? replace(user_registers(), ctx->dx, (void *)ctx->si)
                                        : enter(user_registers());
}

/* Calls that can change the file descriptor table of their thread are followed in all processes. */
SEC("kprobe.multi")
int on_table_call(struct pt_regs *ctx)
{
    count_hit(user_registers(), hits_of_entries);
    return enter_call(user_registers());
}

SEC("kretprobe.multi")
int on_return(struct pt_regs *ctx)
{
    count_hit(user_registers(), hits_of_returns);
    return leave(user_registers(), ctx->ax);
}

#endif
