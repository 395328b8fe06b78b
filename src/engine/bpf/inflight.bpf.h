/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which threads have entered a system call, and interrupted opens.
 *
 * The kernel does not execute a call that a seccomp filter or a tracer answers: sys_enter is
 * skipped for it, but sys_exit is not, and looks like the exit of an executed call.  So a byte for
 * each thread, found by its pid, says whether it has entered a call.
 *
 * An open that a signal interrupts (of a FIFO, for example) returns one of the kernel's internal
 * errors, such as ERESTARTSYS.  Whether the program sees EINTR, or the kernel restarts the call, is
 * decided when the signal is delivered: until then the request is kept in `interrupted`.
 */
#ifndef FILEMON_BPF_INFLIGHT_H
#define FILEMON_BPF_INFLIGHT_H

#include "record.h"
#include "state.bpf.h"

enum thread_state {
    THREAD_UNKNOWN, /* not seen since the watch began: it may have been in a call then */
    THREAD_OUTSIDE,
    THREAD_INSIDE,
    THREAD_COPYING, /* inside a call that copies a descriptor which had a record at its entry */
    THREAD_TRANSFERRING, /* inside a call that is counted, whose entry has noted serial numbers */
    THREAD_INTERRUPTED,  /* the request of its open is in `interrupted` */
};

/* Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u8[PIDS_PER_LINE]);
} thread_states SEC(".maps");

/* By the thread's pid. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct request);
} interrupted SEC(".maps");

/*
 * When a thread, found by its pid, entered a dup2(2) that replaces a recorded descriptor.  Such a
 * close is delivered at the exit of the call, but dated by its entry, like other closes: in between
 * the call can wait for a file system.  A call that fails leaves its entry in this map.
 *
 * With FACT(RESULT) also when it entered a close(2) whose result is delivered.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u64);
} entry_times SEC(".maps");

static __always_inline void note_entry_time(struct task_struct *task)
{
    __u64 now = bpf_ktime_get_ns();
    __u32 pid = task->pid;

    bpf_map_update_elem(&entry_times, &pid, &now, BPF_ANY);
}

/* Removes and returns the time that note_entry_time() has stored; 0: none. */
static __always_inline __u64 take_entry_time(struct task_struct *task)
{
    __u32 pid = task->pid;
    __u64 *found = bpf_map_lookup_elem(&entry_times, &pid);
    __u64 time = found ? *found : 0;

    if (found)
        bpf_map_delete_elem(&entry_times, &pid);
    return time;
}

/* Sets the state of a thread; returns the old one. */
static __always_inline enum thread_state set_thread_state(__u32 pid, enum thread_state state)
{
    __u32 line = pid / PIDS_PER_LINE;
    __u8 *states = bpf_map_lookup_elem(&thread_states, &line);
    __u8 before;

    if (!states)
        return THREAD_UNKNOWN;
    before = states[pid % PIDS_PER_LINE];
    states[pid % PIDS_PER_LINE] = state;
    return before;
}

/* Sets the state of a thread, and removes its interrupted request.  Also for a thread that exits:
 * another thread can get its pid before any program runs for it. */
static __always_inline void forget_interrupted(__u32 pid, enum thread_state state)
{
    if (set_thread_state(pid, state) == THREAD_INTERRUPTED)
        bpf_map_delete_elem(&interrupted, &pid);
}

/* At the exit of a call: returns the state that the thread had in it. */
static __always_inline enum thread_state leave_inflight(struct task_struct *task)
{
    return set_thread_state(task->pid, THREAD_OUTSIDE);
}

static __always_inline bool was_entered(enum thread_state state)
{
    return state == THREAD_INSIDE || state == THREAD_COPYING || state == THREAD_TRANSFERRING ||
           state == THREAD_UNKNOWN;
}

static __always_inline void keep_interrupted(struct task_struct *task,
                                             const struct request *request)
{
    __u32 pid = task->pid;

    if (bpf_map_update_elem(&interrupted, &pid, request, BPF_ANY) == 0)
        set_thread_state(pid, THREAD_INTERRUPTED);
    else
        count_lost();
}

/* include/linux/errno.h */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

static __always_inline bool is_interrupted(int result)
{
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

#define SA_RESTART 0x10000000 /* asm-generic/signal-defs.h */

/* The same decision as in handle_signal() of the kernel, before a handler runs. */
static __always_inline bool becomes_eintr(int error, unsigned long sa_flags)
{
    return error == -ERESTARTNOHAND || error == -ERESTART_RESTARTBLOCK ||
           (error == -ERESTARTSYS && !(sa_flags & SA_RESTART));
}

#endif
