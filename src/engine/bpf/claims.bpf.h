/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claims decide which record reports a descriptor: `held`, or the record of the call that has
 * opened or copied it.
 *
 * While find_held() scans the open descriptors, other threads open, copy and close descriptors.  An
 * open is reported at the exit of its call, when the descriptor has been in the table for a while:
 * without claims, both the scan and the call would report it.  So the scan and the call each claim
 * the descriptor before they report it, and the second of the two does not report it.
 *
 * A close is reported at the entry of its call.  If the call was entered before the watch began,
 * its entry was not seen, and the scan can still find the descriptor and report it as held.  The
 * close of such a descriptor is reported at the exit of the call, or, if that comes first, when
 * another file is opened as the same descriptor.
 */
#ifndef FILEMON_BPF_CLAIMS_H
#define FILEMON_BPF_CLAIMS_H

#include "bytes.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "walk.bpf.h"

/* The scan is running.  Set by the loader. */
volatile bool scanning = false;

/* The scan may have missed a descriptor, and must be repeated.  Read and cleared by the loader. */
volatile bool scan_again = false;

static __always_inline bool is_scanning(void)
{
    return report_held && scanning;
}

/* Any atomic operation is one. */
volatile __u64 n_barriers = 0;

static __always_inline void memory_barrier(void)
{
    __sync_fetch_and_add(&n_barriers, 1);
}

/* The descriptor that find_held() is reporting; table 0: none. */
volatile __u64 scanned_table = 0;
volatile __u32 scanned_fd = 0;

/* find_held() has claimed that descriptor.  It cannot where there is a claim for the same file,
 * such as that of an earlier use of the number. */
volatile bool scan_has_claimed = false;

/*
 * What a call has done with that descriptor since find_held() began with it.  The same file can be
 * open there before and after, so a look at the table does not tell.
 */
enum overtaken {
    BY_NO_CALL,
    BY_RECORD, /* a call reports the descriptor */
    BY_COPY,   /* a call has left the record of a copy to the scan */
};
volatile __u32 overtaken = BY_NO_CALL; /* enum overtaken */

static __always_inline bool is_scanned(__u64 table, __u32 fd)
{
    return report_held && scanned_table == table && scanned_fd == fd;
}

/* Call it before the record is delivered and the descriptor is marked. */
static __always_inline void overtake_scan(__u64 table, __u32 fd, enum overtaken how)
{
    if (!is_scanned(table, fd))
        return;
    overtaken = how;
    memory_barrier();
}

struct claim_key {
    __u64 table;
    __u32 fd;
} __attribute__((packed, aligned(4)));

/* The file that was reported for a descriptor: as held, or, while the scan runs, as opened or
 * copied.  Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct claim_key);
    __type(value, __u64);
} claims SEC(".maps");

static __always_inline __u8 recorded_as(__u64 table, __u32 fd)
{
    struct chunk *chunk = find_chunk(table, fd);

    return chunk ? chunk->recorded[fd % CHUNK_FDS] : 0;
}

/* In this order: the scan sets RECORDED_HELD before it clears scanned_table. */
static __always_inline bool is_claimed_as_held(__u64 table, __u32 fd)
{
    return (is_scanned(table, fd) && scan_has_claimed) || recorded_as(table, fd) == RECORDED_HELD;
}

/*
 * Delivers the close of a descriptor that was reported as held and closed by a call whose entry was
 * not seen.  A subprogram, so that its stack is not part of the callers'.
 */
SUBPROGRAM int deliver_unseen_close(__u64 table, __u32 fd, __u64 time)
{
    if (clear_recorded(table, fd)) {
        deliver_bytes(table, fd);
        deliver_close(current_task(), fd, time, false);
    }
    return 0;
}

/* Claims the descriptor that the current call has opened or copied, for its record.  False: the
 * record `held` reports it. */
static __always_inline bool claim(const struct record *record, struct file *file)
{
    struct claim_key key = {record->table, record->fd};
    __u64 address = (__u64)file, *claimed;

    if (!report_held || (!scanning && recorded_as(key.table, key.fd) != RECORDED_HELD))
        return true;
    if (bpf_map_update_elem(&claims, &key, &address, BPF_NOEXIST) != 0) {
        claimed = bpf_map_lookup_elem(&claims, &key);
        if (claimed && *claimed == address && is_claimed_as_held(key.table, key.fd))
            return false;
        bpf_map_update_elem(&claims, &key, &address, BPF_ANY);
    }
    /* In this order: either this call sees that the scan has marked the descriptor, or the scan
     * sees that it was overtaken. */
    overtake_scan(key.table, key.fd, BY_RECORD);
    if (recorded_as(key.table, key.fd) == RECORDED_HELD)
        deliver_unseen_close(key.table, key.fd, record->time);
    return true;
}

static __always_inline void forget_claim(__u64 table, __u32 fd)
{
    struct claim_key key = {table, fd};

    if (report_held)
        bpf_map_delete_elem(&claims, &key);
}

/* At the exit of close(2): delivers the close of a held descriptor if the call's entry was not
 * seen. */
static __always_inline void close_held(struct task_struct *task, __u32 fd)
{
    __u64 table = table_of(task), *claimed;
    struct claim_key key = {table, fd};

    if (!report_held || recorded_as(table, fd) != RECORDED_HELD)
        return;
    claimed = bpf_map_lookup_elem(&claims, &key);
    if (claimed && *claimed == (__u64)file_of(task, fd))
        return;
    forget_claim(table, fd);
    deliver_unseen_close(table, fd, bpf_ktime_get_ns());
}

#endif
