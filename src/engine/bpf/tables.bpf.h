/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptor tables.  The kernel's files_struct names one while it lives: whether threads have
 * it, or processes, or a thread alone makes no difference.  A copy of a table (fork, unshare) is
 * another one, and of what was open in it there is no record.
 *
 * A table ends with its last user, a thread.  A thread that ends has the table a little longer than
 * a tracepoint shows, but does nothing to it any more: so the table is taken as ended when all its
 * users have come by sched_process_exit, or have left it by unshare, close_range or exec.  They are
 * counted from the first record on.  The kernel's own files_struct.count says less: it falls later,
 * and two threads that end at once both find 2 there, as does a thread that ends while another goes
 * on.
 *
 * The count of users can be too high: a thread was ending when it began, or was a worker of
 * io_uring, whose creation no tracepoint shows.  Then the end of a table is in doubt, and the
 * loader settles that: it lets find_users() look at all tasks.  A table that no task has is gone.
 *
 * Its address can be that of another table before: begin_table() finds this out.
 */
#ifndef FILEMON_BPF_TABLES_H
#define FILEMON_BPF_TABLES_H

#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "calls.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"

/* By files_struct: the record of its end, as of the last thread that left it in doubt. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct record);
} doubts SEC(".maps");

/* There are new ones: set here, cleared by the loader. */
volatile bool is_in_doubt = false;

/* The table that settle_doubt() is ending just now. */
volatile __u64 settling = 0;

/* What became of some chunks of a table. */
#define SWEEP_RECORDED 1 /* there were any */
#define SWEEP_OVER 2     /* there are no more */

/* Loops within loops, multiplied enough for all that there can be in `descriptors`: the verifier
 * goes through each of them once. */
#define SWEEP_CHUNKS 16
#define SWEEP_BLOCK (64 * SWEEP_CHUNKS)

/* Forgets chunks of a table, from this place of their list on.  True: there are no more. */
TURN bool sweep_on(__u64 table, __u32 place)
{
    for (int i = 0; i < SWEEP_CHUNKS; i++) {
        struct chunk_key key = {table, place++};
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return true;
        forget_chunk(table, *chunk);
        bpf_map_delete_elem(&chunk_lists, &key);
        barrier();
    }
    return false;
}

TURN bool sweep_block(__u64 table, __u32 place)
{
    for (__u32 i = 0; i < SWEEP_BLOCK; i += SWEEP_CHUNKS)
        if (sweep_on(table, place + i))
            return true;
    return false;
}

static __always_inline void sweep_table(__u64 table)
{
    for (__u32 i = 0; i < MAX_CHUNKS; i += SWEEP_BLOCK)
        if (sweep_block(table, i))
            break;
}

enum end {
    END_BY_THIS,   /* the current thread is its last user */
    END_BY_OTHERS, /* it has none any more: the record is in `doubts`, or nobody saw it */
};

static __always_inline void put_end(__u64 table, enum end how, struct record *record)
{
    struct record *last = bpf_map_lookup_elem(&doubts, &table);

    if (how == END_BY_THIS)
        begin_record(current_task(), record, RECORD_EXIT, -1);
    else if (last)
        *record = *last;
    if (!record->time)
        record->time = bpf_ktime_get_ns();
    record->kind = RECORD_EXIT;
    record->table = table;
    if (last)
        bpf_map_delete_elem(&doubts, &table);
}

/* Of those who find that a table has ended, one deletes it and says so. */
TURN int end_table(__u64 table, enum end how)
{
    struct record record = {.fd = -1};

    if (bpf_map_delete_elem(&tables, &table) != 0)
        return 0;
    sweep_table(table);
    put_end(table, how, &record);
    deliver(&record, RECORD_HEAD);
    return 0;
}

/*
 * The current thread leaves it, or has left it.  goes_on: there can be records of this thread
 * before the doubt is settled, so the table ends after them, when that is done.
 */
TURN int doubt_end(__u64 table, bool goes_on)
{
    struct record record = {};

    begin_record(current_task(), &record, RECORD_EXIT, -1);
    if (goes_on)
        record.time = 0;
    if (bpf_map_update_elem(&doubts, &table, &record, BPF_ANY) != 0)
        count_lost();
    is_in_doubt = true;
    return 0;
}

/* Turns of a wait, and how deep they are nested: together some milliseconds. */
#define WAIT_TURNS 64

TURN bool wait_on(__u64 table)
{
    for (int i = 0; i < WAIT_TURNS; i++)
        if (settling != table || !bpf_ktime_get_ns())
            return true;
    return false;
}

TURN bool wait_longer(__u64 table)
{
    for (int i = 0; i < WAIT_TURNS; i++)
        if (wait_on(table))
            return true;
    return false;
}

/* settle_doubt() has taken it first, on another processor, and cannot be preempted. */
TURN int wait_for_end(__u64 table)
{
    for (int i = 0; i < WAIT_TURNS; i++)
        if (wait_longer(table))
            return 0;
    count_lost();
    return 0;
}

/* The kernel has made a table, which nobody can use yet.  One that was at its address has ended. */
static __always_inline void begin_table(__u64 table)
{
    end_table(table, END_BY_OTHERS);
    if (settling == table)
        wait_for_end(table);
}

/* A thread or a process is created, with the table of another or one of its own. */
static __always_inline void begin_with_table(struct task_struct *parent, struct task_struct *child)
{
    __u64 address = table_of(child);
    struct table *table;

    if (address != table_of(parent)) {
        begin_table(address);
        return;
    }
    table = bpf_map_lookup_elem(&tables, &address);
    if (table)
        __sync_fetch_and_add(&table->joined, 1);
}

/* Others of its process have the same table: they have yet to end, and then it comes here again. */
static __always_inline bool has_living_leader(struct task_struct *task, __u64 table)
{
    struct task_struct *leader = task->group_leader;

    return task->pid != task->tgid && !(leader->flags & PF_EXITING) && table_of(leader) == table;
}

/* Of workers it is not known whether they were counted. */
static __always_inline bool has_users(struct task_struct *task, struct table *table)
{
    if (!is_io_worker(task))
        __sync_fetch_and_add(&table->left, 1);
    return table->left < table->first + table->joined;
}

/* The current thread ends. */
static __always_inline void leave_table(struct task_struct *task)
{
    __u64 address = table_of(task);
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table)
        return;
    if (!has_users(task, table) || task->files->count.counter == 1)
        end_table(address, END_BY_THIS);
    else if (!has_living_leader(task, address))
        doubt_end(address, false);
}

/* ---- Calls that give their thread a copy of its table -----------------------------------------
 */

/* The table of a thread when its call began, and which of those that have its address; 0: there was
 * no record of it. */
struct table_before {
    __u64 table, born;
};

/* By task_struct, for exec gives its thread another pid. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct table_before);
} tables_before SEC(".maps");

#define CLONE_FILES 0x400     /* linux/sched.h */
#define CLOSE_RANGE_UNSHARE 2 /* linux/close_range.h */

static __always_inline bool may_unshare(enum call call, const __u64 args[4])
{
    return call == CALL_CLOSE_RANGE ? args[2] & CLOSE_RANGE_UNSHARE
           : call == CALL_UNSHARE   ? args[0] & CLONE_FILES
                                    : call == CALL_EXEC;
}

/* Nothing is copied for the only user. */
static __always_inline void before_unshare(struct task_struct *task)
{
    struct table_before before = {table_of(task)};
    struct table *table = bpf_map_lookup_elem(&tables, &before.table);
    __u64 key = address_of(task);

    if (table)
        before.born = table->born;
    if (task->files->count.counter == 1)
        bpf_map_delete_elem(&tables_before, &key); /* of a call whose end was missed */
    else if (bpf_map_update_elem(&tables_before, &key, &before, BPF_ANY) != 0)
        count_lost();
}

/* The current thread has left it.  The address can be that of another table by now. */
static __always_inline void leave_table_before(struct task_struct *task,
                                               const struct table_before *before)
{
    struct table *table = bpf_map_lookup_elem(&tables, &before->table);

    if (table && table->born == before->born && !has_users(task, table))
        end_table(before->table, END_BY_THIS);
    else if (table)
        doubt_end(before->table, true);
}

/* False: the thread has a copy now. */
static __always_inline bool has_same_table(struct task_struct *task)
{
    __u64 key = address_of(task), now = table_of(task);
    struct table_before *found = bpf_map_lookup_elem(&tables_before, &key), before;

    if (!found)
        return true;
    before = *found;
    bpf_map_delete_elem(&tables_before, &key);
    if (before.table == now)
        return true;
    leave_table_before(task, &before);
    begin_table(now);
    return false;
}

/* ---- Settling doubts --------------------------------------------------------------------------
 */

/* The loader runs these: begin_settling() for each table in doubt, then find_users() for all tasks,
 * then settle_doubt() for each again. */
__u64 doubted;

SEC("raw_tp")
int begin_settling(struct bpf_raw_tracepoint_args *ctx)
{
    __u64 address = doubted;
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table)
        return 0;
    table->is_used = table->is_leaving = false;
    table->joined_before = table->joined;
    return 0;
}

SEC("iter/task")
int find_users(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    struct table *table;
    __u64 address;

    if (!task)
        return 0;
    task = walkable(task);
    address = table_of(task);
    table = bpf_map_lookup_elem(&tables, &address);
    if (!table)
        return 0;
    if (task->flags & PF_EXITING)
        table->is_leaving = true;
    else
        table->is_used = true;
    return 0;
}

/*
 * Who has it still will raise a doubt when he leaves.  Of a thread that is ending it is not known
 * whether it has come by leave_table() already: the scan is to be repeated.  One that was created
 * while the scan went on may have escaped it.
 */
SEC("raw_tp")
int settle_doubt(struct bpf_raw_tracepoint_args *ctx)
{
    __u64 address = doubted;
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table || table->is_used || table->joined != table->joined_before)
        return 0;
    if (table->is_leaving) {
        is_in_doubt = true;
        return 0;
    }
    settling = address;
    end_table(address, END_BY_OTHERS);
    settling = 0;
    return 0;
}

#endif
