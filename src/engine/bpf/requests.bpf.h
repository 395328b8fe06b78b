/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes of io_uring (-b).
 *
 * The submission of a request notes its descriptors, and the serial numbers of their counts; its
 * completion has the result.  A file in the ring's own file table has no descriptor, and is not
 * counted.  A request that reads again and again (IORING_OP_READ_MULTISHOT) completes as another
 * one, and is not counted either.
 */
#ifndef FILEMON_BPF_REQUESTS_H
#define FILEMON_BPF_REQUESTS_H

#include "ring.bpf.h"
#include "transfers.bpf.h"

/* enum io_uring_op of linux/io_uring.h */
#define IORING_OP_READV 1
#define IORING_OP_WRITEV 2
#define IORING_OP_READ_FIXED 4
#define IORING_OP_WRITE_FIXED 5
#define IORING_OP_READ 22
#define IORING_OP_WRITE 23
#define IORING_OP_SPLICE 30
#define IORING_OP_TEE 33
#define IORING_OP_READV_FIXED 60
#define IORING_OP_WRITEV_FIXED 61

#define REQ_F_FIXED_FILE 1
#define SPLICE_F_FD_IN_FIXED (1u << 31) /* linux/io_uring.h */

/* A request that was submitted. */
struct submitted {
    __u64 table;
    __u32 from, to;
    struct noted noted;
};

/* By the address of the request.  Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, struct submitted);
} submitted_transfers SEC(".maps");

static __always_inline __u32 spliced_descriptor(struct io_kiocb *request)
{
    struct io_splice *splice = ring_command(request);

    if (!bpf_core_type_exists(struct io_splice) ||
        BPF_CORE_READ(splice, flags) & SPLICE_F_FD_IN_FIXED)
        return NO_FD;
    return BPF_CORE_READ(splice, splice_fd_in);
}

static __always_inline void find_request_ends(struct io_kiocb *request, __u32 *from, __u32 *to)
{
    __u32 fd = ring_flags(request) & REQ_F_FIXED_FILE ? NO_FD : BPF_CORE_READ(request, cqe.fd);

    switch (BPF_CORE_READ(request, opcode)) {
    case IORING_OP_READV:
    case IORING_OP_READ_FIXED:
    case IORING_OP_READ:
    case IORING_OP_READV_FIXED:
        *from = fd;
        break;
    case IORING_OP_WRITEV:
    case IORING_OP_WRITE_FIXED:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV_FIXED:
        *to = fd;
        break;
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
        *from = spliced_descriptor(request);
        *to = fd;
        break;
    }
}

SUBPROGRAM int submit_transfer(__u64 address)
{
    struct io_kiocb *request = (void *)address;
    struct submitted submitted = {.from = NO_FD, .to = NO_FD};

    if (!knows_requests())
        return 0;
    find_request_ends(request, &submitted.from, &submitted.to);
    submitted.table = table_of(current_task());
    submitted.noted.from = serial_if_any(submitted.table, submitted.from);
    submitted.noted.to = serial_if_any(submitted.table, submitted.to);
    if (!submitted.noted.from && !submitted.noted.to) {
        bpf_map_delete_elem(&submitted_transfers, &address); /* of an earlier request */
        return 0;
    }
    if (ring_flags(request) & REQ_F_CQE_SKIP) /* its success has no completion */
        count_lost();
    bpf_map_update_elem(&submitted_transfers, &address, &submitted, BPF_ANY);
    return 0;
}

SUBPROGRAM int complete_transfer(__u64 address)
{
    struct submitted *found = bpf_map_lookup_elem(&submitted_transfers, &address), submitted;
    struct io_kiocb *request = (void *)address;
    int result;

    if (!found || !knows_requests())
        return 0;
    submitted = *found;
    bpf_map_delete_elem(&submitted_transfers, &address);
    result = BPF_CORE_READ(request, cqe.res);
    if (result < 0)
        return 0;
    if (submitted.noted.from)
        count_transfer(submitted.table, submitted.from, submitted.noted.from, TRANSFER_READ,
                       result);
    if (submitted.noted.to)
        count_transfer(submitted.table, submitted.to, submitted.noted.to, TRANSFER_WRITE, result);
    return 0;
}

#endif
