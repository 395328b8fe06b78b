/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read(2), write(2), pread64(2) and pwrite64(2) where functions are probed (-b): these calls are
 * counted when vfs_read() and vfs_write() return, which costs other calls nothing.
 *
 * The file is an argument.  So a call counts for its descriptor if that is open for the same file,
 * whatever other threads have closed and opened meanwhile, and nothing is noted at the entry.
 */
#ifndef FILEMON_BPF_READS_H
#define FILEMON_BPF_READS_H

#include "bytes.bpf.h"
#include "calls.bpf.h"
#include "probes.bpf.h"
#include "syscalls.bpf.h"
#include "track.bpf.h"
#include "walk.bpf.h"

/* For the self-test: probes.bpf.h. */
__u32 hits_of_transfers[2];

/* The arguments of read_preemption(): the address of the kernel's preempt_dynamic_mode
 * (kernel/sched/core.c); and its result, whether the kernel runs its own code up to the end, or to
 * where that lets others run. */
__u64 preemption_address;
bool preemption_is_voluntary;

#define PREEMPT_DYNAMIC_NONE 0
#define PREEMPT_DYNAMIC_VOLUNTARY 1

/* Run by the loader. */
SEC("raw_tp")
int read_preemption(struct bpf_raw_tracepoint_args *ctx)
{
    int mode = -1;

    bpf_probe_read_kernel(&mode, sizeof(mode), (void *)preemption_address);
    preemption_is_voluntary = mode == PREEMPT_DYNAMIC_NONE || mode == PREEMPT_DYNAMIC_VOLUNTARY;
    return 0;
}

/* The first call through the descriptor, or one through a descriptor that was closed meanwhile. */
SUBPROGRAM int count_first(__u64 table, __u32 fd, __u64 file, __u32 transfer, __u64 n)
{
    struct counted *found = NULL;

    if (is_recorded(table, fd) && (__u64)file_of(current_task(), fd) == file)
        found = find_or_add_counted(table, fd);
    if (found) {
        found->file = file;
        add_transfer(found, transfer, n);
    }
    return 0;
}

/* ctx: of a program at the return of vfs_read() or vfs_write(), which get the file first. */
static __always_inline int count_file(void *ctx, enum transfer transfer, long result)
{
    struct task_struct *task = current_task();
    __u64 args[4], table, file = 0;
    struct counted *found;

    if (!is_watched(task->tgid)) {
        if (testing && task->tgid == own_tgid)
            hits_of_transfers[transfer]++;
        return 0;
    }
    if (stopping || result < 0)
        return 0;
    bpf_get_func_arg(ctx, 0, &file);
    call_arguments(user_registers(), call_is_compat(task), args);
    table = table_of(task);
    found = find_counted(table, args[0]);
    if (!found || found->file != file)
        return count_first(table, args[0], file, transfer, result);
    add_transfer(found, transfer, result);
    return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(on_read, void *file, void *to, __u64 size, void *position, long result)
{
    return count_file(ctx, TRANSFER_READ, result);
}

SEC("fexit/vfs_write")
int BPF_PROG(on_write, void *file, void *from, __u64 size, void *position, long result)
{
    return count_file(ctx, TRANSFER_WRITE, result);
}

#endif
