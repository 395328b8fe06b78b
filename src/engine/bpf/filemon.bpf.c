/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs that run in the kernel, on tracepoints, iterators and probes of functions.
 *
 * Closes are reported at the entry of their call, everything else at its exit: so when a descriptor
 * is reused, the record of its close comes before that of its open.
 *
 * Data that is too large for the stack is in a scratch, of which each program has one on each CPU.
 */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <stdbool.h>

#include "calls.bpf.h"
#include "changes.bpf.h"
#include "claims.bpf.h"
#include "closings.bpf.h"
#include "exec.bpf.h"
#include "executables.bpf.h"
#include "files.bpf.h"
#include "held.bpf.h"
#include "inflight.bpf.h"
#include "opens.bpf.h"
#include "received.bpf.h"
#include "record.h"
#include "recorded.bpf.h"
#include "requests.bpf.h"
#include "ring.bpf.h"
#include "state.bpf.h"
#include "syscalls.bpf.h"
#include "tables.bpf.h"
#include "track.bpf.h"
#include "transfers.bpf.h"
#include "unread.bpf.h"

/*
 * One program of each pair is loaded: the one on the tracepoint itself or, if the kernel could
 * preempt that one (perf.h), the one on a perf event, whose name ends in _perf.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs)
{
    return enter(regs);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long result)
{
    return leave(regs, result);
}

SEC("tracepoint")
int on_enter_perf(void *ctx)
{
    return enter(user_registers());
}

SEC("tracepoint")
int on_leave_perf(struct trace_event_raw_sys_exit *ctx)
{
    return leave(user_registers(), ctx->ret);
}

#ifdef __TARGET_ARCH_x86
#include "hooks.bpf.h"
#include "probes.bpf.h"
#include "reads.bpf.h"
#endif

#define SIG_IGN 1 /* asm-generic/signal-defs.h; 0 is SIG_DFL */

/* Attached if failed opens are reported.  Runs in the thread to which the signal is delivered. */
SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal, int signal, void *info, struct k_sigaction *action)
{
    struct task_struct *task = current_task();
    __u32 pid = task->pid;
    struct request *request;
    struct scratch *s;

    if (stopping || !is_watched(task->tgid) || (unsigned long)action->sa.sa_handler <= SIG_IGN)
        return 0;
    request = bpf_map_lookup_elem(&interrupted, &pid);
    s = get_scratch(ON_SIGNAL);
    if (!request || !s)
        return 0;
    note_executable(task);
    s->request = *request;
    forget_interrupted(pid, THREAD_OUTSIDE);
    if (becomes_eintr(s->request.error, action->sa.sa_flags)) {
        s->request.error = -EINTR;
        deliver_failed(ON_SIGNAL);
    }
    return 0;
}

/* Before Linux 6.4 the name of this tracepoint is io_uring_submit_sqe. */
SEC("raw_tp/io_uring_submit_req")
int on_ring_submit(struct bpf_raw_tracepoint_args *ctx)
{
    struct io_kiocb *request = (void *)ctx->args[0];
    struct task_struct *task = current_task();

    if (stopping || !is_watched(task->tgid))
        return 0;
    note_executable(task);
    report_last_ring_open(task, ON_RING_SUBMIT);
    if (is_ring_open(request)) {
        clear_ring_reported(request); /* of an earlier request at the same address */
        submit_ring_open(task, request);
    } else if (is_ring_close(request)) {
        clear_ring_reported(request);
        submit_ring_close(task, request);
    } else if (counting_bytes) {
        submit_transfer((__u64)request);
    }
    return 0;
}

SEC("raw_tp/io_uring_queue_async_work")
int on_ring_async(struct bpf_raw_tracepoint_args *ctx)
{
    struct io_kiocb *request = (void *)ctx->args[0];
    struct task_struct *task = current_task();

    if (stopping || !is_watched(task->tgid))
        return 0;
    if (forget_last_ring_open(task, request) && ring_flags(request) & REQ_F_CQE_SKIP)
        count_lost();
    return 0;
}

SEC("raw_tp/io_uring_complete")
int on_ring_complete(struct bpf_raw_tracepoint_args *ctx)
{
    struct io_kiocb *request = (void *)ctx->args[1];
    struct task_struct *task = current_task();

    if (stopping || !is_watched(task->tgid))
        return 0;
    note_executable(task);
    forget_last_ring_open(task, request);
    if (is_ring_open(request)) {
        if (!clear_ring_reported(request))
            report_ring_open(task, ON_RING_COMPLETE, request);
    } else if (is_ring_close(request)) {
        if (!clear_ring_reported(request))
            complete_ring_close(task, request);
    } else if (counting_bytes) {
        complete_transfer((__u64)request);
    }
    return 0;
}

/*
 * exec renames its thread, by then the only one of the process, right after it has closed the
 * close-on-exec descriptors: these are the recorded descriptors that are not open any more.  comm
 * in the record is still that of the old program, which had these files open.
 */
static __always_inline int rename_task(int pid)
{
    struct task_struct *task = current_task();
    struct scratch *s = get_scratch(ON_RENAME);

    if (stopping || !s || task->pid != pid || !is_watched(task->tgid) || !is_executing(task))
        return 0;
    has_same_table(task);
    report_exec(task, s);
    return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task)
{
    return rename_task(task->pid);
}

SEC("tracepoint")
int on_rename_perf(struct trace_event_raw_task_rename *ctx)
{
    return rename_task(ctx->pid);
}

static __always_inline int exec_program(const char *filename)
{
    struct task_struct *task = current_task();
    struct scratch *s = get_scratch(ON_EXEC);

    if (s && naming && !stopping &&
        (comm_matches(s) || file_matches(s, filename) || executable_matches(task, s)))
        watch_process(task->tgid, generations);
    on_program(task);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
    return exec_program(program->filename);
}

SEC("tracepoint")
int on_exec_perf(struct trace_event_raw_sched_process_exec *ctx)
{
    return exec_program((void *)ctx + (ctx->__data_loc_filename & 0xffff));
}

static __always_inline int end_task(struct task_struct *task)
{
    /* False: other threads live on, or have not run this program yet. */
    bool last = task->signal->live.counter <= 0;
    __u32 tgid = task->tgid;

    if (stopping || task->flags & PF_KTHREAD)
        return 0;
    forget_interrupted(task->pid, THREAD_UNKNOWN);
    leave_table(task);
    if (!last) {
        if (report_held && task->pid == tgid)
            first_exited = true;
        return 0;
    }
    if (!is_watched(tgid)) {
        note_parent(tgid, task->real_parent->tgid, BPF_NOEXIST);
        return 0;
    }
    unwatch_process(tgid);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
    return end_task(untrusted(task));
}

SEC("tracepoint")
int on_exit_perf(void *ctx)
{
    return end_task(current_task());
}

/* Run by the loader for a process whose exit was not seen, since the kernel skipped on_exit(). */
__u32 exited_unseen;

SEC("raw_tp")
int forget_process(struct bpf_raw_tracepoint_args *ctx)
{
    unwatch_process(exited_unseen);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
