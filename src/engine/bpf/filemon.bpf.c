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
#include "claims.bpf.h"
#include "closings.bpf.h"
#include "exec.bpf.h"
#include "files.bpf.h"
#include "held.bpf.h"
#include "inflight.bpf.h"
#include "opens.bpf.h"
#include "record.h"
#include "recorded.bpf.h"
#include "ring.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"
#include "track.bpf.h"
#include "unread.bpf.h"

/*
 * What the call of a watched process is, its arguments with it; or one from CALL_OF_TABLE on, of
 * any process.  The task is asked for only when the number is one of ours: nearly all calls go no
 * further than that.
 */
static __always_inline enum call take_call(struct pt_regs *regs, struct task_struct **task,
                                           __u64 args[4])
{
    __u32 number = call_number(regs), call;
    struct task_struct *current;
    bool compat;

    if (number >= CALL_NUMBERS)
        return CALL_NONE;
    call = calls[bounded(number, CALL_NUMBERS)];
    if (!call || stopping)
        return CALL_NONE;
    current = bpf_get_current_task_btf();
    compat = call_is_compat(current);
    call = compat ? call >> 8 : call & 0xff;
    if (call < CALL_OF_TABLE && !is_watched(current->tgid))
        return CALL_NONE;
    *task = untrusted(current);
    call_arguments(regs, compat, args);
    return call;
}

static __always_inline struct pt_regs *user_registers(void)
{
    return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* linux/fcntl.h */
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

static __always_inline bool is_copy(enum call call, const __u64 args[4])
{
    __u32 command = args[1]; /* the upper half of the register may hold anything */

    return call == CALL_DUP || call == CALL_DUP2 ||
           (call == CALL_FCNTL && (command == F_DUPFD || command == F_DUPFD_CLOEXEC));
}

/*
 * A seccomp filter refused it with an error, as the program sees.  A tracer's answer is none of the
 * kernel's, and may not even be given yet.
 */
static __always_inline bool was_refused(struct task_struct *task, enum call call, long result)
{
    return call <= CALL_OPEN_BY_HANDLE_AT && result < 0 && !task->ptrace;
}

static __always_inline int leave_call(struct pt_regs *regs, long result)
{
    struct task_struct *task = NULL;
    __u64 args[4];
    enum call call = take_call(regs, &task, args);
    enum thread_state state;
    __u64 entered = 0;
    bool same;

    if (call == CALL_NONE)
        return 0;
    same = !may_unshare(call, args) || has_same_table(task);
    if (call >= CALL_OF_TABLE && !is_watched(task->tgid))
        return 0;
    if (call == CALL_CLOSE) {
        end_closing(task, args[0]);
        close_held(task, args[0]);
        return 0;
    }
    if (call == CALL_DUP2)
        entered = take_entry_time(task);
    /* exec gives its thread the pid of the process: that pid's state is not of this call. */
    state = leave_inflight(task);
    if (!was_entered(state) && call != CALL_EXEC && !was_refused(task, call, result))
        return 0;
    if (call == CALL_RING_ENTER) {
        report_last_ring_open(task, ON_LEAVE);
    } else if (call <= CALL_OPEN_BY_HANDLE_AT) {
        on_open(task, call, args, result);
    } else if (call >= CALL_CLOSE_RANGE) {
        /* The others who had the table when it began are gone: it has not closed in a copy. */
        if (same && result == 0 && call == CALL_CLOSE_RANGE && args[2] & CLOSE_RANGE_UNSHARE)
            on_close_range(task, args[0], args[1], args[2]);
    } else if (result >= 0) {
        __u32 how = (call == CALL_DUP2 ? COPY_REPLACES : 0) |
                    (state == THREAD_COPYING ? COPY_RECORDED : 0);

        if (!is_copy(call, args))
            return 0;
        take_copy(args[0], result, how, entered, 0);
    }
    return 0;
}

static __always_inline int enter_call(struct pt_regs *regs)
{
    struct task_struct *task = NULL;
    __u64 args[4];
    enum call call = take_call(regs, &task, args);
    bool copies;

    if (call == CALL_NONE)
        return 0;
    if (may_unshare(call, args))
        note_table_at_entry(task);
    if (call >= CALL_OF_TABLE && !is_watched(task->tgid))
        return 0;
    if (call == CALL_CLOSE) {
        on_close(task, args[0], true);
        return 0;
    }
    copies = is_copy(call, args) && can_be_copied(task, args[0]);
    forget_interrupted(task->pid, copies ? THREAD_COPYING : THREAD_INSIDE);
    if (call == CALL_DUP2 && is_recorded(table_of(task), args[1]))
        note_entry_time(task);
    if (call == CALL_CLOSE_RANGE)
        on_close_range(task, args[0], args[1], args[2]);
    return 0;
}

/*
 * Of each pair of programs one is loaded: the one on the tracepoint itself, or, where the kernel
 * could preempt that (perf.h), the one on a perf event, whose name ends in _perf.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs)
{
    return enter_call(regs);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long result)
{
    return leave_call(regs, result);
}

SEC("tracepoint")
int on_enter_perf(void *ctx)
{
    return enter_call(user_registers());
}

SEC("tracepoint")
int on_leave_perf(struct trace_event_raw_sys_exit *ctx)
{
    return leave_call(user_registers(), ctx->ret);
}

#ifdef __TARGET_ARCH_x86
#include "probes.bpf.h"
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
    s->request = *request;
    forget_interrupted(pid, THREAD_OUTSIDE);
    if (becomes_eintr(s->request.error, action->sa.sa_flags)) {
        s->request.error = -EINTR;
        deliver_failed(ON_SIGNAL);
    }
    return 0;
}

/* Its name before Linux 6.4 is io_uring_submit_sqe. */
SEC("raw_tp/io_uring_submit_req")
int on_ring_submit(struct bpf_raw_tracepoint_args *ctx)
{
    struct io_kiocb *request = (void *)ctx->args[0];
    struct task_struct *task = current_task();

    if (stopping || !bpf_core_field_exists(request->cmd) || !is_watched(task->tgid))
        return 0;
    report_last_ring_open(task, ON_RING_SUBMIT);
    if (is_ring_open(request)) {
        clear_ring_reported(request); /* of an earlier request at the same address */
        submit_ring_open(task, request);
    } else if (is_ring_close(request)) {
        clear_ring_reported(request);
        submit_ring_close(task, request);
    }
    return 0;
}

SEC("raw_tp/io_uring_queue_async_work")
int on_ring_async(struct bpf_raw_tracepoint_args *ctx)
{
    struct io_kiocb *request = (void *)ctx->args[0];
    struct task_struct *task = current_task();

    if (stopping || !bpf_core_field_exists(request->cmd) || !is_watched(task->tgid))
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

    if (stopping || !bpf_core_field_exists(request->cmd) || !is_watched(task->tgid))
        return 0;
    forget_last_ring_open(task, request);
    if (is_ring_open(request)) {
        if (!clear_ring_reported(request))
            report_ring_open(task, ON_RING_COMPLETE, request);
    } else if (is_ring_close(request)) {
        if (!clear_ring_reported(request))
            complete_ring_close(task, request);
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
    if (!last)
        return 0;
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
