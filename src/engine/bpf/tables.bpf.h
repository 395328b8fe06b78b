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

static __always_inline void count_table(__u64 files, __u32 id, __u32 number, __s32 users)
{
    struct table table = {id, number, users};
    __u8 yes = 1;

    long result = bpf_map_update_elem(&tables, &files, &table, BPF_NOEXIST);

    if (result != 0) {
        if (result != -EEXIST) /* another thread was first */
            count_lost();
        return;
    }
    bpf_map_update_elem(&counted, &id, &yes, BPF_ANY);
    __sync_fetch_and_add(&n_tables, 1);
}

/* Above every tgid (PID_MAX_LIMIT). */
#define FIRST_OWN_TABLE 0x80000000u

/* One that is not the first of its process. */
static __always_inline void count_own_table(__u64 files)
{
    __u32 id = FIRST_OWN_TABLE | bpf_get_prandom_u32();

    count_table(files, id, id, 1);
}

/* Together they are enough for 524,288 descriptors. */
#define SWEEP_CHUNKS 16
#define SWEEP_TURNS 512

/* Forgets some chunks of a table.  True: all are forgotten. */
TURN bool sweep_on(__u32 id, __u32 max)
{
    struct scratch *s = get_scratch();

    for (int i = 0; s && i < SWEEP_CHUNKS; i++) {
        __u64 key = chunk_key(id, s->sweep);

        if (s->sweep * CHUNK_FDS >= max)
            return true;
        if (bpf_map_delete_elem(&descriptors, &key) == 0)
            s->wanted = true;
        s->sweep++;
        barrier();
    }
    return false;
}

/* A table is gone: tells so, when a record had been made of anything that was open in it. */
TURN int end_table(__u32 id, __u32 number)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct scratch *s = get_scratch();
    __u32 max = task->files->fdt->max_fds;

    if (!s)
        return 0;
    s->sweep = 0;
    s->wanted = false;
    for (int i = 0; i < SWEEP_TURNS; i++)
        if (sweep_on(id, max))
            break;
    if (s->wanted || every_close) {
        begin_record(task, &s->record, RECORD_EXIT, -1);
        s->record.table = number;
        deliver(&s->record, RECORD_UNTIL(kind));
    }
    return 0;
}

/* A thread uses this table no more.  Of two at once both may find it left; the second has nothing
 * to tell. */
static __always_inline void leave_table(__u64 files, struct table *table)
{
    __u32 id = table->id, number = table->number;

    __sync_fetch_and_add(&table->users, -1);
    if (table->users > 0)
        return;
    end_table(id, number);
    bpf_map_delete_elem(&counted, &id);
    if (bpf_map_delete_elem(&tables, &files) == 0)
        __sync_fetch_and_add(&n_tables, -1);
}

/* The threads that a process has left. */
static __always_inline __s32 threads_of(struct task_struct *task)
{
    return BPF_CORE_READ(task, signal, live.counter);
}

/* The table of this process is counted from now on, if it was not: it has these users. */
static __always_inline struct table *count_table_of(struct task_struct *task, __u64 files,
                                                    __s32 users)
{
    struct table *table = bpf_map_lookup_elem(&tables, &files);

    if (table)
        return table;
    count_table(files, task->tgid, process_number(task), users);
    return bpf_map_lookup_elem(&tables, &files);
}

/* A thread of this process, or a process that is watched, begins. */
static __always_inline void begin_with_table(struct task_struct *parent, struct task_struct *child)
{
    __u64 files = files_of(parent), own = files_of(child);
    bool thread = parent->tgid == child->tgid;
    struct table *table;

    if (files == own && (!thread || n_tables)) {
        table = thread ? bpf_map_lookup_elem(&tables, &files)
                       : count_table_of(parent, files, threads_of(parent));
        if (table)
            __sync_fetch_and_add(&table->users, 1);
    } else if (files != own && thread) {
        count_table_of(parent, files, threads_of(parent) - 1);
        count_own_table(own);
    } else if (!thread && is_counted(child->tgid)) {
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
        __sync_fetch_and_add(&table->users, threads_of(task));
    else if (BPF_CORE_READ(task, files, count.counter) > BPF_CORE_READ(task, signal, nr_threads))
        count_table_of(task, files, threads_of(task));
}

/* The table that a thread has when a call begins which may give it one of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64); /* the kernel's task_struct */
    __type(value, __u64);
} tables_before SEC(".maps");

static __always_inline void before_unshare(struct task_struct *task)
{
    __u64 key = (__u64)task, files = files_of(task);

    if (task->files->count.counter > 1)
        bpf_map_update_elem(&tables_before, &key, &files, BPF_ANY);
    else
        bpf_map_delete_elem(&tables_before, &key);
}

static __always_inline void after_unshare(struct task_struct *task)
{
    __u64 key = (__u64)task, files = files_of(task), old;
    __u64 *before = bpf_map_lookup_elem(&tables_before, &key);
    struct table *table;

    if (!before)
        return;
    old = *before;
    bpf_map_delete_elem(&tables_before, &key);
    if (old == files)
        return;
    table = bpf_map_lookup_elem(&tables, &old);
    if (!table && threads_of(task) == 1) /* only such share it as are not watched */
        return;
    if (table)
        leave_table(old, table);
    else
        count_table_of(task, old, threads_of(task) - 1);
    count_own_table(files);
}

#endif
