/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who tells of a descriptor: the record `held`, or that of the call which has opened or copied it.
 *
 * While find_held() comes by the descriptors that are open when the watch begins, others are
 * opened, copied and closed.  A call is seen at its end, when its descriptor has been open for a
 * while: both records would tell of it.  So who is about to tell claims the descriptor first, and
 * the other keeps silent.
 *
 * A close is seen when it begins, and its descriptor can be come upon before it is gone.  So a
 * descriptor that was held, and is closed by a call that had begun before, is found when that call
 * ends; or when the descriptor is another file's, if that comes first.
 */
#ifndef FILEMON_BPF_CLAIMS_H
#define FILEMON_BPF_CLAIMS_H

#include "recorded.bpf.h"
#include "state.bpf.h"
#include "walk.bpf.h"

/* Set by the loader around the scan. */
volatile bool scanning = false;

/* Something may have escaped the scan: it is to be repeated. */
volatile bool scan_again = false;

static __always_inline bool is_scanning(void)
{
    return report_held && scanning;
}

/* The descriptor that find_held() is claiming; 0: none. */
volatile __u64 scanned_table = 0;
volatile __u32 scanned_fd = 0;

struct claim_key {
    __u64 table;
    __u32 fd;
} __attribute__((packed, aligned(4)));

/* The file of which a record says that it was held, or, while the scan goes on, opened.  Sized by
 * the loader. */
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

/* The scan sets the one before it takes back the other. */
static __always_inline bool is_claimed_as_held(__u64 table, __u32 fd)
{
    return (scanned_table == table && scanned_fd == fd) || recorded_as(table, fd) == RECORDED_HELD;
}

/* It was closed by then, by a call that nobody saw begin.  A function of its own, for its stack. */
TURN int deliver_unseen_close(__u64 table, __u32 fd, __u64 time)
{
    if (clear_recorded(table, fd))
        deliver_close(current_task(), fd, time);
    return 0;
}

/* Of what the current call, whose record this is, has opened or copied.  False: `held` tells it. */
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

/* close(2) ends. */
static __always_inline void end_held(struct task_struct *task, __u32 fd)
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
