/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens and closes of io_uring, which have no system call for each request.
 *
 * The completion of a request can come too late to read its result: the kernel posts it long after
 * the request has run (IORING_SETUP_DEFER_TASKRUN), after all requests of the submission have run,
 * or never (IOSQE_CQE_SKIP_SUCCESS, a full completion queue).  By then the descriptor can refer to
 * another file.  So:
 *
 * A close is reported when it is submitted, as close(2) is at its entry.
 *
 * An open without links to other requests runs before the next request of its thread is submitted,
 * unless io_uring_queue_async_work shows that a worker runs it.  So its result is read when the
 * next request is submitted, at the exit of io_uring_enter(2), or at its completion, whatever comes
 * first.
 *
 * Requests that wait for others (linked, drained) can be cancelled: they are reported at their
 * completion.  If their success has no completion, nothing shows whether they ran: they are counted
 * as lost.
 *
 * Files in the ring's own file table (file_slot) have no descriptor.  Failed opens are not
 * reported: the kernel has freed their name.  Kernels before 6.0 store requests in another form:
 * there io_uring is not seen.
 */
#ifndef FILEMON_BPF_RING_H
#define FILEMON_BPF_RING_H

#include "files.bpf.h"
#include "state.bpf.h"

/* enum io_uring_op of linux/io_uring.h */
#define IORING_OP_OPENAT 18
#define IORING_OP_CLOSE 19
#define IORING_OP_OPENAT2 28

/* linux/io_uring_types.h; the values are those of IOSQE_* */
#define REQ_F_IO_DRAIN 2
#define REQ_F_LINK 4
#define REQ_F_HARDLINK 8
#define REQ_F_FORCE_ASYNC 16
#define REQ_F_CQE_SKIP 64

/* Requests that have been reported before their completion, by their address. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, __u8);
} ring_reported SEC(".maps");

/* The last open that a thread has submitted, until its result has been read. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32); /* its pid */
    __type(value, __u64);
} ring_opens SEC(".maps");

/* False before Linux 6.0.  Whatever reads a request checks this first. */
static __always_inline bool knows_requests(void)
{
    return bpf_core_field_exists(struct io_kiocb, cmd);
}

static __always_inline void *ring_command(struct io_kiocb *request)
{
    return (void *)request + bpf_core_field_offset(request->cmd);
}

static __always_inline bool is_ring_open(struct io_kiocb *request)
{
    struct io_open *open;
    __u8 operation;

    if (!knows_requests())
        return false;
    operation = BPF_CORE_READ(request, opcode);
    open = ring_command(request);
    return (operation == IORING_OP_OPENAT || operation == IORING_OP_OPENAT2) &&
           BPF_CORE_READ(open, file_slot) == 0;
}

static __always_inline bool is_ring_close(struct io_kiocb *request)
{
    struct io_close *close;

    if (!knows_requests())
        return false;
    close = ring_command(request);
    return BPF_CORE_READ(request, opcode) == IORING_OP_CLOSE &&
           BPF_CORE_READ(close, file_slot) == 0;
}

/* The lower 32 bits: newer kernels have 64. */
static __always_inline __u32 ring_flags(struct io_kiocb *request)
{
    __u32 flags = 0;

    bpf_probe_read_kernel(&flags, sizeof(flags),
                          (void *)request + bpf_core_field_offset(request->flags));
    return flags;
}

/* Whether the request is drained, or linked with requests before or after it. */
static __always_inline bool waits_for_others(struct io_kiocb *request, __u32 flags)
{
    struct io_ring_ctx *ring = BPF_CORE_READ(request, ctx);

    if (!bpf_core_field_exists(ring->submit_state.link.head))
        return true;
    return flags & (REQ_F_IO_DRAIN | REQ_F_LINK | REQ_F_HARDLINK) ||
           BPF_CORE_READ(ring, submit_state.link.head);
}

static __always_inline void set_ring_reported(struct io_kiocb *request)
{
    __u64 key = (__u64)request;
    __u8 yes = 1;

    bpf_map_update_elem(&ring_reported, &key, &yes, BPF_ANY);
}

static __always_inline bool clear_ring_reported(struct io_kiocb *request)
{
    __u64 key = (__u64)request;

    return bpf_map_delete_elem(&ring_reported, &key) == 0;
}

/* Reports an open that has run. */
static __always_inline void report_ring_open(struct task_struct *task, __u32 program,
                                             struct io_kiocb *request)
{
    struct scratch *s = get_scratch(program);
    struct io_open *open = ring_command(request);
    int result = BPF_CORE_READ(request, cqe.res);

    if (!s || result < 0)
        return;
    s->request.flags = BPF_CORE_READ(open, how.flags);
    s->request.mode = BPF_CORE_READ(open, how.mode);
    s->request.name = NULL; /* the kernel has freed its copy */
    begin_open(task, s, RECORD_OPEN, result);
    s->file = NULL;
    open_succeeded(task, s);
}

/* Reports the last open that this thread has submitted, which has run by now. */
static __always_inline void report_last_ring_open(struct task_struct *task, __u32 program)
{
    __u32 pid = task->pid;
    __u64 *found = bpf_map_lookup_elem(&ring_opens, &pid);
    struct io_kiocb *request;

    if (!found)
        return;
    request = (void *)*found;
    bpf_map_delete_elem(&ring_opens, &pid);
    if (!is_ring_open(request))
        return;
    set_ring_reported(request);
    report_ring_open(task, program, request);
}

/* When a worker runs the request, or it is complete.  True: it was the thread's last open. */
static __always_inline bool forget_last_ring_open(struct task_struct *task,
                                                  struct io_kiocb *request)
{
    __u32 pid = task->pid;
    __u64 *found = bpf_map_lookup_elem(&ring_opens, &pid);

    return found && *found == (__u64)request && bpf_map_delete_elem(&ring_opens, &pid) == 0;
}

static __always_inline void submit_ring_open(struct task_struct *task, struct io_kiocb *request)
{
    __u32 flags = ring_flags(request), pid = task->pid;
    __u64 address = (__u64)request;

    if (!waits_for_others(request, flags) && !(flags & REQ_F_FORCE_ASYNC))
        bpf_map_update_elem(&ring_opens, &pid, &address, BPF_ANY);
    else if (flags & REQ_F_CQE_SKIP)
        count_lost();
}

static __always_inline void submit_ring_close(struct task_struct *task, struct io_kiocb *request)
{
    struct io_close *close = ring_command(request);
    __u32 flags = ring_flags(request);

    if (!waits_for_others(request, flags)) {
        set_ring_reported(request);
        on_close(task, BPF_CORE_READ(close, fd), true, false);
    } else if (flags & REQ_F_CQE_SKIP) {
        count_lost();
    }
}

/* A close that failed has closed nothing, unless the flush failed: then the descriptor is free. */
static __always_inline void complete_ring_close(struct task_struct *task, struct io_kiocb *request)
{
    struct io_close *close = ring_command(request);
    __u32 fd = BPF_CORE_READ(close, fd);

    if (BPF_CORE_READ(request, cqe.res) >= 0 || !file_of(task, fd))
        on_close(task, fd, false, false);
}

#endif
