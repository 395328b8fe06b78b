/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lifetime of file descriptor tables.  A table is identified by the address of its
 * files_struct, whether threads, processes or one thread use it.  A copy of a table (fork, unshare)
 * is another table, in which no descriptor is recorded.
 *
 * A table ends when its last user, a thread, leaves it: at sched_process_exit, or by unshare,
 * close_range or exec.  An exiting thread has its table a little longer than until
 * sched_process_exit, but does not change it any more.  The users are counted from the table's
 * first record on.  files_struct.count does not help: it falls only after sched_process_exit, so
 * two threads that exit at the same moment both read 2, and so does one that exits while the other
 * lives on.
 *
 * The count of users can be too high: it can include a thread that was already exiting, or a worker
 * of io_uring, whose creation no tracepoint shows.  Then the end of a table is in doubt.  To settle
 * the doubt the loader runs find_users() over all tasks: a table that no task uses has ended.
 *
 * The kernel can reuse the address of a table whose end is still in doubt: see begin_table().
 */
#ifndef FILEMON_BPF_TABLES_H
#define FILEMON_BPF_TABLES_H

#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "bytes.bpf.h"
#include "calls.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"

/* Tables whose end is in doubt, or that a thread is about to leave, with the record of their end,
 * which names the last such thread. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct report);
} doubts SEC(".maps");

/* `doubts` has new entries.  Cleared by the loader. */
volatile bool is_in_doubt = false;

/* Tables whose end a CPU is delivering.  If this is full, nobody waits for the others. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u64);
    __type(value, bool); /* without meaning */
} endings SEC(".maps");

/* Descriptors that a subprogram unmarks in one call. */
#define CLEARED_FDS 8

/* Unmarks the recorded ones of the descriptors from `begin` on whose bit is set.  True: there were
 * some. */
SUBPROGRAM bool clear_some(__u64 table, __u32 begin, __u8 closed)
{
    struct chunk *chunk = find_chunk(table, begin);
    bool any = false;

    for (__u32 i = 0; chunk && i < CLEARED_FDS; i++) {
        __u8 *recorded = &chunk->recorded[(begin + i) % CHUNK_FDS];

        if (!(closed >> i & 1) || !*recorded)
            continue;
        *recorded = 0;
        deliver_bytes(table, begin + i);
        any = true;
    }
    return any;
}

/* The same for the descriptors of a chunk. */
SUBPROGRAM bool clear_chunk(__u64 table, __u32 number, __u64 closed)
{
    bool any = false;

    for (__u32 i = 0; i < CHUNK_FDS; i += CLEARED_FDS)
        if (closed >> i & 0xff && clear_some(table, number * CHUNK_FDS + i, closed >> i))
            any = true;
    return any;
}

/* The result of visiting some chunks of a table: a set of these. */
#define SWEEP_RECORDED 1 /* they had recorded descriptors */
#define SWEEP_OVER 2     /* the table has no more chunks */

/* Nested loops, in subprograms that the verifier checks once each: together they visit as many
 * chunks as `descriptors` can have. */
#define SWEEP_CHUNKS 16
#define SWEEP_BLOCK (64 * SWEEP_CHUNKS)

/* Removes chunks of a table, from this index of its list on.  True: there are no more. */
SUBPROGRAM bool sweep_on(__u64 table, __u32 place)
{
    for (int i = 0; i < SWEEP_CHUNKS; i++) {
        struct chunk_key key = {table, place++};
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return true;
        if (counting_bytes)
            deliver_bytes_of_chunk(table, *chunk);
        forget_chunk(table, *chunk);
        bpf_map_delete_elem(&chunk_lists, &key);
        barrier();
    }
    return false;
}

SUBPROGRAM bool sweep_block(__u64 table, __u32 place)
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
    END_BY_THIS,   /* the current thread is the last user */
    END_BY_OTHERS, /* the last user has left before: its record is in `doubts`, if it was seen */
};

static __always_inline void copy_end(struct record *record, const struct report *last)
{
    __builtin_memcpy(record, &last->record, RECORD_HEAD);
    if (facts_asked)
        *facts_of(record) = last->facts;
}

/* The record of an end that nobody has seen has no thread. */
static __always_inline void begin_end(struct record *record)
{
    __builtin_memset(record, 0, RECORD_HEAD);
    record->fd = -1;
    if (facts_asked)
        __builtin_memset(facts_of(record), 0, sizeof(struct record_facts));
}

static __always_inline void fill_end(__u64 table, enum end how, struct record *record)
{
    struct report *last = bpf_map_lookup_elem(&doubts, &table);

    if (how == END_BY_THIS)
        begin_record(current_task(), record, RECORD_EXIT, -1);
    else if (last)
        copy_end(record, last);
    else
        begin_end(record);
    if (!record->time)
        record->time = bpf_ktime_get_ns();
    record->kind = RECORD_EXIT;
    record->table = table;
    if (last)
        bpf_map_delete_elem(&doubts, &table);
}

/* Several threads can find that a table has ended: the one that deletes its entry delivers the
 * record. */
SUBPROGRAM int deliver_end(__u64 table, enum end how)
{
    void *room;

    if (bpf_map_delete_elem(&tables, &table) != 0)
        return 0;
    sweep_table(table);
    room = reserve_room(RECORD_HEAD);
    if (!room) {
        bpf_map_delete_elem(&doubts, &table);
        return 0;
    }
    fill_end(table, how, record_in(room));
    submit_room(room);
    return 0;
}

/*
 * Ends the table that had an entry of this time.  Its address can be that of another table by now:
 * the threads of that one get past begin_table() only when `endings` does not have the address, and
 * then the entry is gone, or another.
 */
SUBPROGRAM int end_table(__u64 address, __u64 created, enum end how)
{
    bool value = true;
    int result = bpf_map_update_elem(&endings, &address, &value, BPF_NOEXIST);
    struct table *table;

    if (result == -EEXIST)
        return 0;
    table = bpf_map_lookup_elem(&tables, &address);
    if (table && table->created == created)
        deliver_end(address, how);
    if (result == 0)
        bpf_map_delete_elem(&endings, &address);
    return 0;
}

/*
 * If another thread finds that the table has ended, its end names the current one.  goes_on: the
 * thread lives on, and can deliver records before that: so the end is dated by when it is found,
 * not by now.
 */
SUBPROGRAM int prepare_end(__u64 table, bool goes_on)
{
    struct report report = {};

    begin_record(current_task(), &report.record, RECORD_EXIT, -1);
    if (goes_on)
        report.record.time = 0;
    return bpf_map_update_elem(&doubts, &table, &report, BPF_ANY);
}

/* The current thread leaves the table, or has left it, and is perhaps its last user. */
static __always_inline void doubt_end(__u64 table, bool goes_on)
{
    if (prepare_end(table, goes_on) != 0)
        count_lost();
    is_in_doubt = true;
}

/* Three nested loops of so many iterations wait some milliseconds. */
#define WAIT_ITERATIONS 64

SUBPROGRAM bool wait_on(__u64 table)
{
    for (int i = 0; i < WAIT_ITERATIONS; i++)
        if (!bpf_map_lookup_elem(&endings, &table))
            return true;
    return false;
}

SUBPROGRAM bool wait_longer(__u64 table)
{
    for (int i = 0; i < WAIT_ITERATIONS; i++)
        if (wait_on(table))
            return true;
    return false;
}

/* If another CPU is delivering the end of the table, waits until it has.  It cannot be preempted
 * there. */
SUBPROGRAM int wait_for_end(__u64 table)
{
    for (int i = 0; i < WAIT_ITERATIONS; i++)
        if (wait_longer(table))
            return 0;
    count_lost();
    return 0;
}

/*
 * The kernel has created a table, which no thread can use yet: an earlier table at its address has
 * ended, and its end must be delivered before the first record of this one.  settle_doubt() or a
 * thread in leave_old_table() can be at it, after the kernel has freed the earlier one.
 */
static __always_inline void begin_table(__u64 address)
{
    struct table *earlier = bpf_map_lookup_elem(&tables, &address);

    if (earlier)
        end_table(address, earlier->created, END_BY_OTHERS);
    wait_for_end(address);
}

/* A thread or a process is created: it shares its parent's table, or has a copy. */
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

/* Whether the leader of the thread's process uses the same table and is not exiting: its own exit
 * will decide whether the table ends. */
static __always_inline bool has_living_leader(struct task_struct *task, __u64 table)
{
    struct task_struct *leader = task->group_leader;

    return task->pid != task->tgid && !(leader->flags & PF_EXITING) && table_of(leader) == table;
}

/* Counts the current thread as having left; whether others still use the table.  Workers of
 * io_uring are not counted, since they may not have been counted when they joined. */
static __always_inline bool leave_and_has_users(struct task_struct *task, struct table *table)
{
    if (!is_io_worker(task))
        __sync_fetch_and_add(&table->left, 1);
    return table->left < table->first + table->joined;
}

/* At the exit of the current thread. */
static __always_inline void leave_table(struct task_struct *task)
{
    __u64 address = table_of(task);
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table)
        return;
    if (!leave_and_has_users(task, table) || task->files->count.counter == 1)
        end_table(address, table->created, END_BY_THIS);
    else if (!has_living_leader(task, address))
        doubt_end(address, false);
}

/* ---- Calls that give their thread a copy of its table -----------------------------------------
 */

/* The table of a thread at the entry of such a call. */
struct table_at_entry {
    __u64 table, created; /* as in struct table; created 0: nothing in it was recorded */
};

/* By the address of the task_struct, since exec can change the pid of its thread. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct table_at_entry);
} tables_at_entry SEC(".maps");

#define CLONE_FILES 0x400     /* linux/sched.h */
#define CLOSE_RANGE_UNSHARE 2 /* linux/close_range.h */

static __always_inline bool may_unshare(enum call call, const __u64 args[4])
{
    return call == CALL_CLOSE_RANGE ? args[2] & CLOSE_RANGE_UNSHARE
           : call == CALL_UNSHARE   ? args[0] & CLONE_FILES
                                    : call == CALL_EXEC;
}

/* At the entry of such a call.  The kernel makes no copy for the only user of a table. */
static __always_inline void note_table_at_entry(struct task_struct *task)
{
    struct table_at_entry before = {table_of(task)};
    struct table *table = bpf_map_lookup_elem(&tables, &before.table);
    __u64 key = address_of(task);

    if (table)
        before.created = table->created;
    if (task->files->count.counter == 1)
        bpf_map_delete_elem(&tables_at_entry, &key); /* of a call whose exit was not seen */
    else if (bpf_map_update_elem(&tables_at_entry, &key, &before, BPF_ANY) != 0)
        count_lost();
    else if (table) /* the kernel can free it, and use it again, before the exit of the call */
        prepare_end(before.table, true);
}

/* The current thread has left its old table, whose address can be that of another table by now. */
static __always_inline void leave_old_table(struct task_struct *task,
                                            const struct table_at_entry *before)
{
    struct table *table = bpf_map_lookup_elem(&tables, &before->table);

    if (table && table->created == before->created && !leave_and_has_users(task, table))
        end_table(before->table, before->created, END_BY_THIS);
    else if (table)
        doubt_end(before->table, true);
    wait_for_end(before->table); /* it precedes the next record of this thread */
}

/* At the exit of such a call: whether the thread still has its old table, and not a copy. */
static __always_inline bool has_same_table(struct task_struct *task)
{
    __u64 key = address_of(task), now = table_of(task);
    struct table_at_entry *found = bpf_map_lookup_elem(&tables_at_entry, &key), before;

    if (!found)
        return true;
    before = *found;
    bpf_map_delete_elem(&tables_at_entry, &key);
    if (before.table == now)
        return true;
    leave_old_table(task, &before);
    begin_table(now);
    return false;
}

/* ---- Settling doubts --------------------------------------------------------------------------
 */

/* The loader runs begin_settling() for each table in doubt, which it names here, then find_users()
 * twice for all tasks, then settle_doubt() for each of these tables. */
__u64 doubted;

SEC("raw_tp")
int begin_settling(struct bpf_raw_tracepoint_args *ctx)
{
    __u64 address = doubted;
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table)
        return 0;
    table->is_used = table->is_leaving = false;
    table->joined_at_scan = table->joined;
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
    task = untrusted(task);
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
 * Delivers the end of the table if the scans have found no user.  A user that they have found puts
 * the end in doubt again when it leaves.  If they have found an exiting thread, which may or may
 * not have run leave_table(), they must be repeated.  If a thread has joined since they began, they
 * may have missed it.
 */
SEC("raw_tp")
int settle_doubt(struct bpf_raw_tracepoint_args *ctx)
{
    __u64 address = doubted;
    struct table *table = bpf_map_lookup_elem(&tables, &address);

    if (!table || table->is_used || table->joined != table->joined_at_scan)
        return 0;
    if (table->is_leaving) {
        is_in_doubt = true;
        return 0;
    }
    end_table(address, table->created, END_BY_OTHERS);
    return 0;
}

#endif
