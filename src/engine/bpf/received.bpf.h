/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that another process sent (SCM_RIGHTS), and those of pidfd_getfd(2).
 *
 * Every caller gets them from receive_fd(file): system calls, io_uring, seccomp for a supervisor.
 * Since Linux 7.3, sockets get them from scm_recv_one_fd(file) instead.  The function's entry notes
 * the file for the thread.  fd_install() reports it if that is probed, else the function's return.
 * Without kprobes, only the result of pidfd_getfd(2) is seen.
 */
#ifndef FILEMON_BPF_RECEIVED_H
#define FILEMON_BPF_RECEIVED_H

#include "asked.bpf.h"
#include "claims.bpf.h"
#include "executables.bpf.h"
#include "files.bpf.h"
#include "opens.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* Set by the loader: receive_fd() is probed. */
volatile bool receiving_is_seen = false;

/* The self-test: the loader receives a descriptor over a socket. */
volatile __u32 own_received = 0;

/* By the thread's pid, the file that the thread is receiving. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u64);
} receiving SEC(".maps");

/* The number of entries: opens look into the map only if there are some. */
volatile __u32 n_receiving = 0;

/* Before Linux 6.8, receive_fd() may call __receive_fd(), which is probed, too. */
static __always_inline void begin_receiving(struct task_struct *task, __u64 file)
{
    __u32 pid = task->pid;
    __u64 *known = bpf_map_lookup_elem(&receiving, &pid);

    if (known && *known == file)
        return;
    if (known) /* its return was missed */
        count_lost();
    if (bpf_map_update_elem(&receiving, &pid, &file, BPF_ANY) != 0)
        count_lost();
    else if (!known)
        __sync_fetch_and_add(&n_receiving, 1);
}

/* The file's address; 0: the thread receives none. */
static __always_inline __u64 file_received(struct task_struct *task)
{
    __u32 pid = task->pid;
    __u64 *known = n_receiving ? bpf_map_lookup_elem(&receiving, &pid) : NULL;

    return known ? *known : 0;
}

static __always_inline void end_receiving(struct task_struct *task)
{
    __u32 pid = task->pid;

    if (bpf_map_delete_elem(&receiving, &pid) == 0)
        __sync_fetch_and_sub(&n_receiving, 1);
}

static __always_inline void report_received(struct task_struct *task, __u32 fd, struct file *file)
{
    __u64 flags = descriptor_flags(BPF_CORE_READ(file, f_flags), closes_on_exec(task, fd));
    struct scratch *s = get_scratch(ON_LEAVE);

    if (!s || !report_opens || !is_asked_for(task, flags))
        return;
    begin_record(task, &s->record, RECORD_RECEIVED, fd);
    s->record.flags = flags;
    if (is_held_as_path(task, s, file) && claim(&s->record, file))
        deliver_path(s);
    else if (s->is_undecided)
        count_lost();
}

/* Called in fd_install(). */
SUBPROGRAM int take_received(__u32 fd, __u64 file)
{
    report_received(current_task(), fd, (void *)file);
    return 0;
}

/* Called after fd_install(): another thread may have closed the descriptor.  received: the address
 * of its file; 0: not known. */
SUBPROGRAM int take_installed(__u32 fd, __u64 received)
{
    struct task_struct *task = current_task();
    struct file *file = file_of(task, fd);

    if (!file || (received && (__u64)file != received))
        count_lost();
    else
        report_received(task, fd, file);
    return 0;
}

#ifdef __TARGET_ARCH_x86

/* receive_fd(struct file *file, ...), __receive_fd() and scm_recv_one_fd() */
SEC("kprobe")
int on_receive(struct pt_regs *ctx)
{
    struct task_struct *task = current_task();

    if (task->tgid == own_tgid)
        own_received++;
    if (!stopping && is_watched(task->tgid))
        begin_receiving(task, ctx->di);
    return 0;
}

/* scm_recv_one_fd() can also return 0, as if that were the descriptor, if a security module keeps
 * the process from receiving the file: then one record counts as lost. */
SEC("kretprobe")
int on_received(struct pt_regs *ctx)
{
    struct task_struct *task = current_task();
    __u64 file = file_received(task);
    int result = ctx->ax;

    if (!file)
        return 0;
    end_receiving(task);
    note_executable(task);
    if (result >= 0 && !stopping)
        take_installed(result, file);
    return 0;
}

#endif

#endif
