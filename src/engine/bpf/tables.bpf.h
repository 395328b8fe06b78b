/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which table of descriptors a thread has, and when that is gone. */
#ifndef FILEMON_BPF_TABLES_H
#define FILEMON_BPF_TABLES_H

static __always_inline __u32 table_of(struct task_struct *task)
{
    struct member *member = find_member(task);
    __u32 id = task->tgid;

    barrier_var(id); /* no one load from either place: the verifier takes none */
    if (member)
        id = member->id;
    return id;
}

static __always_inline bool is_kept(__u32 id)
{
    return n_tables && bpf_map_lookup_elem(&tables, &id);
}

/* What became of some chunks of a table. */
#define SWEEP_RECORDED 1 /* there were any */
#define SWEEP_OVER 2     /* there are no more */

/* Loops within loops, multiplied enough for all that there can be in `descriptors`: the verifier
 * goes through each of them once. */
#define SWEEP_CHUNKS 16
#define SWEEP_BLOCK (64 * SWEEP_CHUNKS)

static __always_inline bool forget_chunk(__u32 table, __u32 chunk)
{
    __u64 key = chunk_key(table, chunk);

    return bpf_map_delete_elem(&descriptors, &key) == 0;
}

/* Forgets chunks of a table, from this place of their list on. */
TURN __u32 sweep_on(__u32 id, __u32 place)
{
    __u32 result = 0;

    for (int i = 0; i < SWEEP_CHUNKS; i++) {
        __u64 key = chunk_key(id, place++);
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return result | SWEEP_OVER;
        if (forget_chunk(id, *chunk))
            result |= SWEEP_RECORDED;
        bpf_map_delete_elem(&chunk_lists, &key);
        barrier();
    }
    return result;
}

TURN __u32 sweep_block(__u32 id, __u32 place)
{
    __u32 result = 0;

    for (__u32 i = 0; i < SWEEP_BLOCK && !(result & SWEEP_OVER); i += SWEEP_CHUNKS)
        result |= sweep_on(id, place + i);
    return result;
}

static __always_inline bool sweep_table(__u32 id)
{
    __u32 result = forget_chunk(id, 0) ? SWEEP_RECORDED : 0;

    if (!bpf_map_lookup_elem(&chunk_counts, &id))
        return result;
    for (__u32 i = 0; i < MAX_CHUNKS && !(result & SWEEP_OVER); i += SWEEP_BLOCK)
        result |= sweep_block(id, i);
    bpf_map_delete_elem(&chunk_counts, &id);
    return result & SWEEP_RECORDED;
}

/* A table is gone: tells so, when a record had been made of anything that was open in it. */
TURN int end_table(__u32 id, __u32 number)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct record record;

    if (sweep_table(id) || every_close) {
        begin_record(task, &record, RECORD_EXIT, -1);
        record.table = number;
        deliver(&record, RECORD_UNTIL(kind));
    }
    return 0;
}

/* Of two threads that both find no user left, one deletes the table. */
static __always_inline void release_table(const struct member *member)
{
    struct table *table = bpf_map_lookup_elem(&tables, &member->id);
    struct member *at;

    if (!table)
        return;
    __sync_fetch_and_add(&table->users, -1);
    if (table->users > 0 || bpf_map_delete_elem(&tables, &member->id) != 0)
        return;
    at = bpf_map_lookup_elem(&tables_at, &member->files);
    if (at && at->id == member->id)
        bpf_map_delete_elem(&tables_at, &member->files);
    end_table(member->id, member->number);
    __sync_fetch_and_add(&n_tables, -1);
}

/* False: the thread is no member. */
static __always_inline bool leave_table(__u64 task)
{
    struct member *found = n_tables ? bpf_map_lookup_elem(&members, &task) : NULL, member;

    if (!found)
        return false;
    member = *found;
    if (bpf_map_delete_elem(&members, &task) == 0) /* or join_thread() was first */
        release_table(&member);
    return true;
}

/* The kernel gave this files_struct to a new table. */
static __always_inline void forget_address(__u64 files)
{
    if (n_tables)
        bpf_map_delete_elem(&tables_at, &files);
}

/* The table must have another user, so that it cannot end meanwhile. */
static __always_inline void join_table(__u64 task, const struct member *member)
{
    struct table *table = bpf_map_lookup_elem(&tables, &member->id);
    int result;

    if (!table)
        return;
    __sync_fetch_and_add(&table->users, 1);
    result = bpf_map_update_elem(&members, &task, member, BPF_NOEXIST);
    if (result == 0)
        return;
    __sync_fetch_and_add(&table->users, -1);
    if (result != -EEXIST)
        count_lost();
}

/* True: the caller is its only user, and must release it.  False: it exists, or there is no room.
 */
static __always_inline bool create_table(const struct member *member)
{
    struct table table = {member->number, 1};
    int result = bpf_map_update_elem(&tables, &member->id, &table, BPF_NOEXIST);

    if (result != 0) {
        if (result != -EEXIST)
            count_lost();
        return false;
    }
    bpf_map_update_elem(&tables_at, &member->files, member, BPF_ANY);
    __sync_fetch_and_add(&n_tables, 1);
    return true;
}

/* Above every tgid (PID_MAX_LIMIT). */
#define FIRST_OWN_TABLE 0x80000000u

/* A table that is not the first of its process. */
static __always_inline void join_own_table(struct task_struct *task)
{
    struct member member = {files_of(task)};

    member.id = member.number = FIRST_OWN_TABLE | bpf_get_prandom_u32();
    if (!create_table(&member))
        return;
    join_table((__u64)task, &member);
    release_table(&member);
}

/*
 * The thread may end at any time, and leaves then: the kernel sets PF_EXITING before on_exit() runs
 * in it.  So either the flag is found here, or the member is found there.
 */
static __always_inline void join_thread(struct task_struct *task, const struct member *member)
{
    if (BPF_CORE_READ(task, flags) & (PF_EXITING | PF_IO_WORKER) || !files_of(task))
        return;
    join_table((__u64)task, member);
    if (BPF_CORE_READ(task, flags) & PF_EXITING)
        leave_table((__u64)task);
}

/* At this node of its process's list. */
TURN int join_listed(__u64 node, __u64 files, __u32 id, __u32 number)
{
    struct member member = {files, id, number};
    struct task_struct *task = NULL;

    task = (void *)node - bpf_core_field_offset(task->thread_node);
    join_thread(task, &member);
    return 0;
}

/* Threads of one turn, and turns: multiplied twice enough for all members. */
#define JOINING_THREADS 32
#define JOINING_TURNS 32

/* Some threads of a process, from this node of its list on.  Returns the next; 0: no more. */
TURN __u64 join_on(__u64 node, __u64 head, __u64 files, __u32 id, __u32 number)
{
    for (int i = 0; i < JOINING_THREADS; i++) {
        if (!node || node == head)
            return 0;
        join_listed(node, files, id, number);
        if (bpf_probe_read_kernel(&node, sizeof(node), (void *)node) != 0)
            return 0;
        barrier();
    }
    return node == head ? 0 : node;
}

TURN __u64 join_block(__u64 node, __u64 head, __u64 files, __u32 id, __u32 number)
{
    for (int i = 0; i < JOINING_TURNS && node; i++)
        node = join_on(node, head, files, id, number);
    return node;
}

/* All threads of the process but members of other tables.  The kernel frees them after a grace
 * period, so the list leads to its end. */
static __always_inline void join_threads(struct task_struct *task, const struct member *member)
{
    struct signal_struct *signal = BPF_CORE_READ(task, signal);
    __u64 head = (__u64)signal + bpf_core_field_offset(signal->thread_head), node = 0;

    bpf_probe_read_kernel(&node, sizeof(node), (void *)head);
    for (int i = 0; i < MAX_MEMBERS / JOINING_THREADS / JOINING_TURNS && node; i++)
        node = join_block(node, head, member->files, member->id, member->number);
    if (node)
        count_lost();
}

/*
 * From now on this process's table is kept.  All of the process's threads are members before one of
 * them goes on: so the table cannot end while another thread of it has yet to join.  A thread that
 * is created meanwhile is on the list already, or on_fork() finds that the table is kept.
 */
static __always_inline void keep_table(struct task_struct *task)
{
    struct member member = {files_of(task), task->tgid};
    bool created;

    if (find_member(task))
        return;
    member.number = table_number(task, process_number(task));
    created = create_table(&member);
    join_thread(task, &member);
    join_threads(task, &member);
    if (created)
        release_table(&member);
}

/* A thread of this process, or a process that is watched, begins. */
static __always_inline void begin_with_table(struct task_struct *parent, struct task_struct *child)
{
    bool shared = files_of(parent) == files_of(child), thread = parent->tgid == child->tgid;
    struct member *found, member;

    if (shared != thread || (thread && is_kept(parent->tgid)))
        keep_table(parent);
    if (shared) {
        found = find_member(parent);
        if (!found)
            return;
        member = *found;
        join_table((__u64)child, &member);
    } else if (thread || is_kept(child->tgid)) { /* others have that of an earlier process */
        join_own_table(child);
    }
}

/* It was found running: are there more who have its table than its threads? */
static __always_inline void find_shared_table(struct task_struct *task)
{
    __u64 files = files_of(task);
    struct member *found = bpf_map_lookup_elem(&tables_at, &files), member;

    if (found) {
        member = *found;
        join_threads(task, &member);
    } else if (BPF_CORE_READ(task, files, count.counter) >
               BPF_CORE_READ(task, signal, nr_threads)) {
        keep_table(task);
    }
}

#define CLONE_FILES 0x400     /* linux/sched.h */
#define CLOSE_RANGE_UNSHARE 2 /* linux/close_range.h */

static __always_inline bool may_unshare(enum call call, const __u64 args[4])
{
    return call == CALL_CLOSE_RANGE ? args[2] & CLOSE_RANGE_UNSHARE
           : call == CALL_UNSHARE   ? args[0] & CLONE_FILES
                                    : call == CALL_EXEC;
}

/*
 * An exec comes to it when no other threads are left.  A thread that ends still has the table, so
 * nr_threads counts, which falls when it is released, after exit_files().
 */
static __always_inline void before_unshare(struct task_struct *task, enum call call)
{
    if (call != CALL_EXEC && task->files->count.counter > 1 && task->signal->nr_threads > 1)
        keep_table(task);
}

/*
 * False: the call gave its thread a copy of its table, of which there are no records.
 *
 * The thread leaves the table only here: others who have it may have ended since the call made the
 * copy, and found that one member was left.
 *
 * No member: if there is a copy, only processes that are not watched have the other one.
 */
static __always_inline bool has_same_table(struct task_struct *task)
{
    __u64 files = files_of(task), key = (__u64)task;
    struct member *member = find_member(task);

    if (!member || member->files == files)
        return true;
    leave_table(key);
    forget_address(files);
    join_own_table(task);
    return false;
}

#endif
