/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries and exits of system calls: which of them are followed, and what is done at each. */
#ifndef FILEMON_BPF_SYSCALLS_H
#define FILEMON_BPF_SYSCALLS_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <stdbool.h>

#include "calls.bpf.h"
#include "changes.bpf.h"
#include "claims.bpf.h"
#include "closings.bpf.h"
#include "executables.bpf.h"
#include "files.bpf.h"
#include "inflight.bpf.h"
#include "received.bpf.h"
#include "record.h"
#include "recorded.bpf.h"
#include "ring.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"
#include "track.bpf.h"
#include "transfers.bpf.h"

/*
 * Finds out which call this is, with its task and its arguments.  CALL_NONE: the call is not
 * followed, or the process is not watched; calls from CALL_OF_TABLE on are followed in all
 * processes.  Nearly all calls are left at the first check, that of their number: so the task is
 * read only after it.
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
    if (is_asked(FACTS_OF_PROGRAM) && is_watched(current->tgid))
        note_executable(*task);
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
    __u32 command = args[1]; /* the upper half of the register is undefined */

    return call == CALL_DUP || call == CALL_DUP2 ||
           (call == CALL_FCNTL && (command == F_DUPFD || command == F_DUPFD_CLOEXEC));
}

/*
 * Whether a seccomp filter has answered the open with an error: the program sees a failed open. The
 * answer of a tracer is not reported: the tracer can still change it.
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
        if (is_asked(FACT(RESULT)) && take_entry_time(task))
            deliver_result(task, result);
        return 0;
    }
    if (call == CALL_DUP2)
        entered = take_entry_time(task);
    /* exec gives its thread the pid of the process, whose state is that of another call. */
    state = leave_inflight(task);
    if (!was_entered(state) && call != CALL_EXEC && !was_refused(task, call, result))
        return 0;
    if (call == CALL_RING_ENTER) {
        report_last_ring_open(task, ON_LEAVE);
    } else if (call <= CALL_OPEN_BY_HANDLE_AT) {
        on_open(task, call, args, result);
    } else if (call == CALL_GET_FD) {
        if (result >= 0 && !receiving_is_seen)
            take_installed(result, 0);
    } else if (call >= CALL_CLOSE_RANGE) {
        if (call == CALL_EXEC)
            on_failed_program(task, call_number(regs), args, result);
        /* The table's other users have left it since the entry: so it closed in this table, not in
         * a copy. */
        if (same && result == 0 && call == CALL_CLOSE_RANGE && args[2] & CLOSE_RANGE_UNSHARE)
            on_close_range(task, args[0], args[1], args[2]);
    } else if (call >= CALL_TRACED) {
        on_change(task, call - CALL_TRACED, args, result);
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
        on_close(task, args[0], true, true);
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

static __always_inline int enter(struct pt_regs *regs)
{
    return counting_bytes && enter_transfer(regs) ? 0 : enter_call(regs);
}

static __always_inline int leave(struct pt_regs *regs, long result)
{
    return counting_bytes && leave_transfer(regs, result) ? 0 : leave_call(regs, result);
}

#endif
