/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which table of descriptors a thread has, and when that is gone. */
#ifndef FILEMON_BPF_TABLES_H
#define FILEMON_BPF_TABLES_H

static __always_inline __u32 table_of(struct task_struct *task)
{
    struct table *table = find_table(task);
    __u32 id = task->tgid;

    barrier_var(id); /* no one load from either place: the verifier takes none */
    if (table)
        id = table->id;
    return id;
}

static __always_inline bool is_counted(__u32 tgid)
{
    return n_tables && bpf_map_lookup_elem(&counted, &tgid);
}

/* False: it was counted already, or there is no room. */
static __always_inline bool count_table(__u64 files, __u32 id, __u32 number, __s32 users)
{
    struct table table = {id, number, users};
    long result = bpf_map_update_elem(&tables, &files, &table, BPF_NOEXIST);
    __u8 yes = 1;

    if (result != 0) {
        if (result != -EEXIST) /* another thread was first */
            count_lost();
        return false;
    }
    bpf_map_update_elem(&counted, &id, &yes, BPF_ANY);
    __sync_fetch_and_add(&n_tables, 1);
    return true;
}

/* Above every tgid (PID_MAX_LIMIT). */
#define FIRST_OWN_TABLE 0x80000000u

/* One that is not the first of its process. */
static __always_inline void count_own_table(__u64 files)
{
    __u32 id = FIRST_OWN_TABLE | bpf_get_prandom_u32();

    count_table(files, id, id, 1);
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

/* Of two at once that find it left one takes it off. */
static __always_inline void drop_table(__u64 key, struct table *table)
{
    __u32 id = table->id, number = table->number;

    if (bpf_map_delete_elem(&tables, &key) != 0)
        return;
    end_table(id, number);
    bpf_map_delete_elem(&counted, &id);
    __sync_fetch_and_add(&n_tables, -1);
}

/* One of its users is gone; it is kept by that key. */
static __always_inline void leave_table(__u64 key, struct table *table)
{
    __sync_fetch_and_add(&table->users, -1);
    if (table->users <= 0)
        drop_table(key, table);
}

/*
 * The kernel has given this address to a new table.  The one that it was of is gone, but not told
 * yet if a thread has left it in a call that has not ended (after_unshare): for this it is kept by
 * its id, which is no address.
 */
static __always_inline void make_way(__u64 files)
{
    struct table *table = n_tables ? bpf_map_lookup_elem(&tables, &files) : NULL;
    struct table gone;
    __u64 id;

    if (!table)
        return;
    gone = *table;
    id = gone.id;
    bpf_map_update_elem(&tables, &id, &gone, BPF_ANY);
    bpf_map_delete_elem(&tables, &files);
}

/* A table, to be found again. */
struct reference {
    __u64 files;
    __u32 id;
    __u32 kept;
};

static __always_inline struct table *seek_table(const struct reference *to, __u64 *key)
{
    struct table *table;

    *key = to->files;
    table = bpf_map_lookup_elem(&tables, key);
    if (table && table->id == to->id)
        return table;
    *key = to->id; /* make_way() */
    return bpf_map_lookup_elem(&tables, key);
}

/* The tables in which processes count, by tgid. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, struct reference);
} homes SEC(".maps");

static __always_inline bool counts_processes(const struct table *table)
{
    return table->id < FIRST_OWN_TABLE;
}

/* One more process has it. */
static __always_inline void add_process(struct table *table, __u64 files, __u32 tgid)
{
    struct reference home = {.files = files};

    home.id = table->id;
    __sync_fetch_and_add(&table->users, 1);
    if (counts_processes(table) && bpf_map_update_elem(&homes, &tgid, &home, BPF_ANY))
        count_lost();
}

/* The table of this process is kept from now on, if it was not. */
static __always_inline struct table *keep_table_of(struct task_struct *task, __u64 files)
{
    struct table *table = bpf_map_lookup_elem(&tables, &files);

    if (table)
        return table;
    if (!count_table(files, task->tgid, table_number(task, process_number(task)), 0))
        return bpf_map_lookup_elem(&tables, &files);
    table = bpf_map_lookup_elem(&tables, &files);
    if (table)
        add_process(table, files, task->tgid);
    return table;
}

/* The process has ended, or left its table as a whole. */
static __always_inline void leave_home(struct task_struct *task)
{
    __u32 tgid = task->tgid;
    struct reference *found = n_tables ? bpf_map_lookup_elem(&homes, &tgid) : NULL;
    struct reference home;
    struct table *table;
    __u64 key;

    if (!found)
        return;
    home = *found;
    if (bpf_map_delete_elem(&homes, &tgid) != 0) /* another thread was first */
        return;
    table = seek_table(&home, &key);
    if (table)
        leave_table(key, table);
}

/* Its threads are gone but for one, which may have another table. */
static __always_inline void check_home(struct task_struct *task)
{
    __u32 tgid = task->tgid;
    struct reference *home = n_tables ? bpf_map_lookup_elem(&homes, &tgid) : NULL;

    if (home && home->id != table_of(task))
        leave_home(task);
}

/* A thread of this process, or a process that is watched, begins. */
static __always_inline void begin_with_table(struct task_struct *parent, struct task_struct *child)
{
    __u64 files = files_of(parent), own = files_of(child);
    bool thread = parent->tgid == child->tgid;
    struct table *table;

    if (files == own && thread) {
        table = n_tables ? bpf_map_lookup_elem(&tables, &files) : NULL;
        if (table && !counts_processes(table))
            __sync_fetch_and_add(&table->users, 1);
    } else if (files == own) {
        table = keep_table_of(parent, files);
        if (table)
            add_process(table, files, child->tgid);
    } else if (thread) {
        keep_table_of(parent, files);
        count_own_table(own);
    } else if (is_counted(child->tgid)) {
        /* Others have the table of a process that had this number before. */
        count_own_table(own);
    }
}

/* It was found running: are there more who have its table than its threads? */
static __always_inline void find_shared_table(struct task_struct *task)
{
    __u64 files = files_of(task);
    struct table *table = bpf_map_lookup_elem(&tables, &files);

    if (table)
        add_process(table, files, task->tgid);
    else if (BPF_CORE_READ(task, files, count.counter) > BPF_CORE_READ(task, signal, nr_threads))
        keep_table_of(task, files);
}

/* A thread ends. */
static __always_inline void end_with_table(struct task_struct *task, struct table *table)
{
    __u64 files = files_of(task);

    if (counts_processes(table)) {
        if (task->files->count.counter == 1)
            drop_table(files, table);
    } else if (!(task->flags & PF_IO_WORKER)) { /* those begin unseen */
        leave_table(files, table);
    }
}

/* Processes whose end was seen last: threads of theirs may still be on their way to it. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u8);
} ended SEC(".maps");

static __always_inline void note_ended(__u32 tgid)
{
    __u8 yes = 1;

    if (n_tables)
        bpf_map_update_elem(&ended, &tgid, &yes, BPF_ANY);
}

static __always_inline bool has_just_ended(__u32 tgid)
{
    return bpf_map_lookup_elem(&ended, &tgid) != NULL;
}

/* The threads that a process has left.  One that ends is none of them any more while it still has
 * its table: do_exit() takes it off long before exit_files(). */
static __always_inline __s32 threads_of(struct task_struct *task)
{
    return BPF_CORE_READ(task, signal, live.counter);
}

/* Those that may have a table: until they are released, which is after exit_files(). */
static __always_inline __s32 unreleased_threads_of(struct task_struct *task)
{
    return BPF_CORE_READ(task, signal, nr_threads);
}

/* The table that a thread has when a call begins which may give it one of its own. */
struct before {
    struct reference table;
    __u32 tgid; /* another thread may have had this one's address */
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64); /* the kernel's task_struct */
    __type(value, struct before);
} tables_before SEC(".maps");

#define CLONE_FILES 0x400     /* linux/sched.h */
#define CLOSE_RANGE_UNSHARE 2 /* linux/close_range.h */

static __always_inline bool may_unshare(enum call call, const __u64 args[4])
{
    return call == CALL_CLOSE_RANGE ? args[2] & CLOSE_RANGE_UNSHARE
           : call == CALL_UNSHARE   ? args[0] & CLONE_FILES
                                    : call == CALL_EXEC;
}

/* An exec comes to it when no other threads are left. */
static __always_inline void before_unshare(struct task_struct *task, enum call call)
{
    struct before before = {};
    __u64 key = (__u64)task, files = files_of(task);
    struct table *table;

    if (task->files->count.counter <= 1) {
        bpf_map_delete_elem(&tables_before, &key);
        return;
    }
    if (call != CALL_EXEC && unreleased_threads_of(task) > 1)
        keep_table_of(task, files);
    before.tgid = task->tgid;
    before.table.files = files;
    before.table.id = task->tgid;
    table = find_table(task);
    if (table) {
        before.table.id = table->id;
        before.table.kept = 1;
    }
    bpf_map_update_elem(&tables_before, &key, &before, BPF_ANY);
}

/* It has a copy now, of which there are no records. */
static __always_inline void move_on(struct task_struct *task, const struct reference *before)
{
    __u64 files = files_of(task), key;
    struct table *table = seek_table(before, &key);

    bool alone = threads_of(task) <= 1; /* or none, when it ends */

    make_way(files);
    if (!before->kept && !table && alone) /* only such have it as are not watched */
        return;
    if (table && !counts_processes(table))
        leave_table(key, table);
    else if (table && alone)
        leave_home(task);
    count_own_table(files);
}

/* True: the call might have given it one, but it has the one that it had. */
static __always_inline bool after_unshare(struct task_struct *task)
{
    __u64 key = (__u64)task;
    struct before *found = bpf_map_lookup_elem(&tables_before, &key);
    struct before before;

    if (!found)
        return false;
    before = *found;
    bpf_map_delete_elem(&tables_before, &key);
    if (before.tgid != (__u32)task->tgid)
        return false;
    if (before.table.files == files_of(task))
        return true;
    move_on(task, &before.table);
    return false;
}

#endif
