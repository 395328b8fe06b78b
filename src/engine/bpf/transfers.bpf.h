/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls that read, write or map files, which are counted at their exit (-b).
 *
 * If threads share the file descriptor table, another one can close the descriptor during the call,
 * and open another file under its number.  So the entry of such a call notes the serial numbers of
 * the counts, and its exit counts only what still has them: then the descriptor was recorded during
 * the whole call, for one file.
 *
 *     this thread                      another
 *     read(3) begins: serial 7
 *                                      close(3): counts 7 are delivered
 *                                      open() = 3
 *     read(3) ends: no counts 7
 *
 * If no other thread can use the table, nothing is noted.
 */
#ifndef FILEMON_BPF_TRANSFERS_H
#define FILEMON_BPF_TRANSFERS_H

#include "asked.bpf.h"
#include "bytes.bpf.h"
#include "calls.bpf.h"
#include "closings.bpf.h"
#include "inflight.bpf.h"
#include "state.bpf.h"
#include "track.bpf.h"

/*
 * What a call transfers, in a byte: 1 + the index of the argument that is the descriptor it reads
 * from, and 16 times the same for the one that it writes to; or one of the TRANSFERS_* below.
 * 0: the call is not counted.
 */
#define IN(argument) ((argument) + 1)
#define OUT(argument) (((argument) + 1) << 4)

#define TRANSFERS_MMAP 0xf0     /* argument 4 is the descriptor, 3 the flags */
#define TRANSFERS_OLD_MMAP 0xf1 /* argument 0 is the address of an array of these */
#define TRANSFERS_VMSPLICE 0xf2 /* argument 0 is the descriptor of one end of a pipe */
#define TRANSFERS_EVENTS 0xf3   /* io_getevents: argument 3 is the address of the events */
#define TRANSFERS_SPECIAL TRANSFERS_MMAP

#define TRANSFER_NUMBERS 1024 /* a power of two */

#if defined(__TARGET_ARCH_x86)

/* As in `calls`; the numbers from 512 on are those of x32. */
/* clang-format off */
static const __u16 transfers[TRANSFER_NUMBERS] = {
    [0] = NATIVE(IN(0)), [1] = NATIVE(OUT(0)), /* read, write */
    [3] = COMPAT(IN(0)), [4] = COMPAT(OUT(0)),
    [17] = NATIVE(IN(0)), [18] = NATIVE(OUT(0)), /* pread64, pwrite64 */
    [180] = COMPAT(IN(0)), [181] = COMPAT(OUT(0)),
    [19] = NATIVE(IN(0)), [20] = NATIVE(OUT(0)), /* readv, writev */
    [145] = COMPAT(IN(0)), [146] = COMPAT(OUT(0)),
    [515] = NATIVE(IN(0)), [516] = NATIVE(OUT(0)),
    [295] = NATIVE(IN(0)), [296] = NATIVE(OUT(0)), /* preadv, pwritev */
    [333] = NATIVE(TRANSFERS_EVENTS) | COMPAT(IN(0)), [334] = COMPAT(OUT(0)),
    [534] = NATIVE(IN(0)), [535] = NATIVE(OUT(0)),
    [327] = NATIVE(IN(0)), [328] = NATIVE(OUT(0)), /* preadv2, pwritev2 */
    [378] = COMPAT(IN(0)), [379] = COMPAT(OUT(0)),
    [546] = NATIVE(IN(0)), [547] = NATIVE(OUT(0)),
    [40] = NATIVE(OUT(0) | IN(1)), /* sendfile, sendfile64 */
    [187] = COMPAT(OUT(0) | IN(1)), [239] = COMPAT(OUT(0) | IN(1)),
    [275] = NATIVE(IN(0) | OUT(2)), /* splice */
    [313] = COMPAT(IN(0) | OUT(2)),
    [276] = NATIVE(IN(0) | OUT(1)), /* tee */
    [315] = COMPAT(IN(0) | OUT(1)),
    [326] = NATIVE(IN(0) | OUT(2)), /* copy_file_range */
    [377] = COMPAT(IN(0) | OUT(2)),
    [278] = NATIVE(TRANSFERS_VMSPLICE), [532] = NATIVE(TRANSFERS_VMSPLICE),
    [316] = COMPAT(TRANSFERS_VMSPLICE),
    [9] = NATIVE(TRANSFERS_MMAP), [192] = COMPAT(TRANSFERS_MMAP), /* mmap, mmap2 */
    [90] = COMPAT(TRANSFERS_OLD_MMAP),
    [208] = NATIVE(TRANSFERS_EVENTS), [247] = COMPAT(TRANSFERS_EVENTS), /* io_getevents */
    [385] = COMPAT(TRANSFERS_EVENTS), [416] = COMPAT(TRANSFERS_EVENTS), /* io_pgetevents */
};
/* clang-format on */

/* The argument of index 4. */
static __always_inline __u64 fifth_argument(struct pt_regs *regs, bool compat)
{
    return compat ? (__u32)regs->di : regs->r8;
}

#elif defined(__TARGET_ARCH_arm64)

/* clang-format off */
static const __u16 transfers[TRANSFER_NUMBERS] = {
    [63] = NATIVE(IN(0)), [64] = NATIVE(OUT(0)), /* read, write */
    [3] = COMPAT(IN(0)), [4] = NATIVE(TRANSFERS_EVENTS) | COMPAT(OUT(0)),
    [65] = NATIVE(IN(0)), [66] = NATIVE(OUT(0)), /* readv, writev */
    [145] = COMPAT(IN(0)), [146] = COMPAT(OUT(0)),
    [67] = NATIVE(IN(0)), [68] = NATIVE(OUT(0)), /* pread64, pwrite64 */
    [180] = COMPAT(IN(0)), [181] = COMPAT(OUT(0)),
    [69] = NATIVE(IN(0)), [70] = NATIVE(OUT(0)), /* preadv, pwritev */
    [361] = COMPAT(IN(0)), [362] = COMPAT(OUT(0)),
    [286] = NATIVE(IN(0)), [287] = NATIVE(OUT(0)), /* preadv2, pwritev2 */
    [392] = COMPAT(IN(0)), [393] = COMPAT(OUT(0)),
    [71] = NATIVE(OUT(0) | IN(1)), /* sendfile, sendfile64 */
    [187] = COMPAT(OUT(0) | IN(1)), [239] = COMPAT(OUT(0) | IN(1)),
    [75] = NATIVE(TRANSFERS_VMSPLICE), [343] = COMPAT(TRANSFERS_VMSPLICE),
    [76] = NATIVE(IN(0) | OUT(2)), [340] = COMPAT(IN(0) | OUT(2)), /* splice */
    [77] = NATIVE(IN(0) | OUT(1)), [342] = COMPAT(IN(0) | OUT(1)), /* tee */
    [285] = NATIVE(IN(0) | OUT(2)), [391] = COMPAT(IN(0) | OUT(2)), /* copy_file_range */
    [222] = NATIVE(TRANSFERS_MMAP), [192] = COMPAT(TRANSFERS_MMAP), /* mmap, mmap2 */
    [247] = COMPAT(TRANSFERS_EVENTS), /* io_getevents: 4 */
    [292] = NATIVE(TRANSFERS_EVENTS), /* io_pgetevents */
    [399] = COMPAT(TRANSFERS_EVENTS), [416] = COMPAT(TRANSFERS_EVENTS),
};
/* clang-format on */

static __always_inline __u64 fifth_argument(struct pt_regs *regs, bool compat)
{
    return compat ? (__u32)regs->regs[4] : regs->regs[4];
}

#endif

/* No descriptor. */
#define NO_FD 0xffffffffu

/* The descriptors of a call. */
struct ends {
    __u32 from, to; /* NO_FD: none, or a call without one */
    __u32 mapped;
};

#define MAP_ANONYMOUS 0x20 /* asm-generic/mman-common.h */

static __always_inline __u32 mapped_descriptor(__u64 flags, __u64 fd)
{
    return flags & MAP_ANONYMOUS ? NO_FD : fd;
}

/* As the kernel's get_fd_type() decides: the end that is open for writing is written to. */
static __always_inline void splice_memory(struct task_struct *task, __u32 fd, struct ends *ends)
{
    struct file *file = file_of(task, fd);

    if (file && (BPF_CORE_READ(file, f_flags) & O_ACCMODE) != O_RDONLY)
        ends->to = fd;
    else
        ends->from = fd;
}

static __always_inline __u32 descriptor(const __u64 args[4], __u32 place)
{
    return place == 1 ? args[0] : place == 2 ? args[1] : place == 3 ? args[2] : NO_FD;
}

static __always_inline void find_ends(struct task_struct *task, __u32 how, const __u64 args[4],
                                      __u64 fifth, struct ends *ends)
{
    __u32 old[5] = {};

    *ends = (struct ends){NO_FD, NO_FD, NO_FD};
    if (how < TRANSFERS_SPECIAL) {
        ends->from = descriptor(args, how & 15);
        ends->to = descriptor(args, how >> 4);
    } else if (how == TRANSFERS_MMAP) {
        ends->mapped = mapped_descriptor(args[3], fifth);
    } else if (how == TRANSFERS_OLD_MMAP) {
        if (bpf_probe_read_user(old, sizeof(old), (void *)args[0]) == 0)
            ends->mapped = mapped_descriptor(old[3], old[4]);
    } else if (how == TRANSFERS_VMSPLICE) {
        splice_memory(task, args[0], ends);
    }
}

/* What the call in the registers transfers; 0: it is not counted. */
static __always_inline __u32 transfer_of(struct pt_regs *regs, bool *compat)
{
    __u32 number = call_number(regs), how;

    if (number >= TRANSFER_NUMBERS)
        return 0;
    how = transfers[bounded(number, TRANSFER_NUMBERS)];
    if (!how)
        return 0;
    *compat = call_is_compat(bpf_get_current_task_btf());
    return *compat ? how >> 8 : how & 0xff;
}

/* What the entry of a call notes for its exit, by the thread's pid. */
struct noted {
    __u64 from, to, mapped; /* serial numbers; 0: the descriptor was not recorded */
};

/* Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct noted);
} noted_serials SEC(".maps");

static __always_inline __u64 serial_if_any(__u64 table, __u32 fd)
{
    return fd == NO_FD ? 0 : serial_of(table, fd);
}

SUBPROGRAM int note_serials(__u64 table, __u32 from, __u32 to, __u32 mapped)
{
    __u32 pid = bpf_get_current_pid_tgid();
    struct noted noted = {serial_if_any(table, from), serial_if_any(table, to),
                          serial_if_any(table, mapped)};

    if (!noted.from && !noted.to && !noted.mapped)
        bpf_map_delete_elem(&noted_serials, &pid); /* of a call whose exit was not seen */
    else if (bpf_map_update_elem(&noted_serials, &pid, &noted, BPF_ANY) != 0)
        count_lost();
    return 0;
}

/* Counts a call whose entry has noted serial numbers. */
static __always_inline void count_noted(__u64 table, const struct ends *ends, __u64 n)
{
    __u32 pid = bpf_get_current_pid_tgid();
    struct noted *found = bpf_map_lookup_elem(&noted_serials, &pid), noted;

    if (!found)
        return;
    noted = *found;
    bpf_map_delete_elem(&noted_serials, &pid);
    if (noted.from)
        count_transfer(table, ends->from, noted.from, TRANSFER_READ, n);
    if (noted.to)
        count_transfer(table, ends->to, noted.to, TRANSFER_WRITE, n);
    if (noted.mapped)
        count_transfer(table, ends->mapped, noted.mapped, TRANSFER_MAP, 0);
}

static __always_inline void count_unnoted(__u64 table, const struct ends *ends, __u64 n)
{
    if (ends->from != NO_FD)
        count_transfer(table, ends->from, 0, TRANSFER_READ, n);
    if (ends->to != NO_FD)
        count_transfer(table, ends->to, 0, TRANSFER_WRITE, n);
    if (ends->mapped != NO_FD)
        count_transfer(table, ends->mapped, 0, TRANSFER_MAP, 0);
}

/* ---- AIO (io_submit) ------------------------------------------------------------------------ */

/* linux/aio_abi.h */
struct io_event {
    __u64 data, object; /* the address of the request */
    __s64 result, result2;
};

struct aio_request { /* the part of struct iocb from aio_lio_opcode on */
    __u16 operation;
    __s16 priority;
    __u32 fd;
};

#define AIO_REQUEST_OFFSET 16

#define IOCB_CMD_PREAD 0
#define IOCB_CMD_PWRITE 1
#define IOCB_CMD_PREADV 7
#define IOCB_CMD_PWRITEV 8

static __always_inline void count_event(__u64 table, const struct io_event *event)
{
    struct aio_request request = {};

    if (event->result < 0 || bpf_probe_read_user(&request, sizeof(request),
                                                 (void *)(event->object + AIO_REQUEST_OFFSET)) != 0)
        return;
    if (request.operation == IOCB_CMD_PREAD || request.operation == IOCB_CMD_PREADV)
        count_transfer(table, request.fd, 0, TRANSFER_READ, event->result);
    else if (request.operation == IOCB_CMD_PWRITE || request.operation == IOCB_CMD_PWRITEV)
        count_transfer(table, request.fd, 0, TRANSFER_WRITE, event->result);
}

#define EVENTS_AT_ONCE 16
#define EVENTS_MAX (64 * EVENTS_AT_ONCE)

SUBPROGRAM int count_some_events(__u64 table, __u64 events, __u32 n)
{
    struct io_event event;

    for (__u32 i = 0; i < EVENTS_AT_ONCE && i < n; i++) {
        if (bpf_probe_read_user(&event, sizeof(event), (void *)(events + i * sizeof(event))) != 0)
            return 0;
        count_event(table, &event);
    }
    return 0;
}

/* The requests of these events were completed, and io_getevents(2) has returned them. */
SUBPROGRAM int count_events(__u64 table, __u64 events, __u32 n)
{
    for (__u32 i = 0; i < EVENTS_MAX; i += EVENTS_AT_ONCE) {
        if (i >= n)
            return 0;
        count_some_events(table, events + i * sizeof(struct io_event), n - i);
    }
    if (n > EVENTS_MAX)
        count_lost();
    return 0;
}

/* ---- Entries and exits ---------------------------------------------------------------------- */

/* True: the call is one of those that are counted. */
static __always_inline bool enter_transfer(struct pt_regs *regs)
{
    bool compat = false;
    __u32 how = transfer_of(regs, &compat);
    enum thread_state state = THREAD_INSIDE;
    struct task_struct *task;
    struct ends ends;
    __u64 args[4];

    if (!how)
        return false;
    task = current_task();
    if (stopping || !is_watched(task->tgid))
        return true;
    if (has_shared_table(task)) {
        call_arguments(regs, compat, args);
        find_ends(task, how, args, fifth_argument(regs, compat), &ends);
        note_serials(table_of(task), ends.from, ends.to, ends.mapped);
        state = THREAD_TRANSFERRING;
    }
    forget_interrupted(task->pid, state);
    return true;
}

/* An address is no negative number, but errors are the last page of addresses (IS_ERR_VALUE). */
static __always_inline bool has_failed(long result)
{
    return result < 0 && result >= -4095;
}

/* True: the call is one of those that are counted. */
static __always_inline bool leave_transfer(struct pt_regs *regs, long result)
{
    bool compat = false;
    __u32 how = transfer_of(regs, &compat);
    enum thread_state state;
    struct task_struct *task;
    struct ends ends;
    __u64 args[4];

    if (!how)
        return false;
    task = current_task();
    if (stopping || !is_watched(task->tgid))
        return true;
    state = leave_inflight(task);
    if (has_failed(result) || !was_entered(state))
        return true;
    call_arguments(regs, compat, args);
    if (how == TRANSFERS_EVENTS) {
        count_events(table_of(task), args[3], result);
        return true;
    }
    find_ends(task, how, args, fifth_argument(regs, compat), &ends);
    if (state == THREAD_TRANSFERRING)
        count_noted(table_of(task), &ends, result);
    else
        count_unnoted(table_of(task), &ends, result);
    return true;
}

#endif
