/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The executables of processes.  The path of one and the arguments are delivered once, before the
 * first record that needs them, under a number that the process's records then have: a walk for
 * each record would cost more, and at its exit a process has no executable any more.
 */
#ifndef FILEMON_BPF_EXECUTABLES_H
#define FILEMON_BPF_EXECUTABLES_H

#include "facts.bpf.h"
#include "state.bpf.h"
#include "walk.bpf.h"

static __always_inline void write_executable(struct scratch *s, struct task_struct *task,
                                             struct file *file, __u64 number)
{
    __builtin_memset(&s->facts, 0, sizeof(s->facts));
    __builtin_memset(&s->record, 0, sizeof(s->record));
    s->facts.executable = number;
    s->facts.known = FACT(EXECUTABLE);
    s->record.kind = RECORD_EXECUTABLE;
    s->record.time = bpf_ktime_get_ns();
    walk_begin_below(s, BPF_CORE_READ(task, fs, root.dentry), BPF_CORE_READ(task, fs, root.mnt),
                     BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_path.mnt));
    s->walk.unlinked = is_unlinked(s);
    walk(s->program);
    s->record.walked = s->length;
}

/* False: they cannot be read here.  Programs see the user memory of current alone, and only what is
 * in memory. */
static __always_inline bool read_arguments(struct scratch *s, struct task_struct *task)
{
    __u64 start = BPF_CORE_READ(task, mm, arg_start), end = BPF_CORE_READ(task, mm, arg_end);
    __u64 length = end > start ? end - start : 0;

    if (BPF_CORE_READ(task, mm) != BPF_CORE_READ(current_task(), mm))
        return false;
    if (length > ARGUMENTS_BYTES)
        length = ARGUMENTS_BYTES;
    s->length = length;
    return bpf_probe_read_user(s->payload, bounded(length, 2 * ARGUMENTS_BYTES), (void *)start) ==
           0;
}

/* After its executable, whose facts are in the scratch. */
static __always_inline bool deliver_arguments(struct scratch *s, struct task_struct *task)
{
    if (!is_asked(FACT(ARGUMENTS)))
        return true;
    __builtin_memset(&s->record, 0, sizeof(s->record));
    s->record.kind = RECORD_ARGUMENTS;
    s->record.time = bpf_ktime_get_ns();
    /* Not process_number(): the task is an address here, which the verifier lets no one follow. */
    s->record.pid = own_level == 0 ? BPF_CORE_READ(task, tgid)
                                   : pid_number(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]));
    if (!read_arguments(s, task)) {
        s->record.marks = MARK_NONE;
        s->length = 0;
    }
    return deliver_scratch(s);
}

/*
 * Delivers the path of the executable, and the arguments.  False: not all could be delivered.
 *
 * Any program can call this, so another one may be using the scratch on this CPU: one that an
 * interrupt has interrupted or, from Linux 7.0 on, one that was preempted.
 */
static __always_inline bool deliver_executable(struct task_struct *task, struct file *file,
                                               __u64 number)
{
    struct scratch *s = get_scratch(ON_EXECUTABLE);
    bool delivered;

    if (!s || s->is_used)
        return false;
    s->is_used = true;
    barrier();
    write_executable(s, task, file, number);
    delivered = deliver_scratch(s) && deliver_arguments(s, task);
    barrier();
    s->is_used = false;
    return delivered;
}

/* The number of executables that were delivered. */
volatile __u64 n_executables = 0;

/* Whether the reader may soon forget the path, since it keeps a limited number of them and the
 * process may have had no record for long. */
static __always_inline bool may_be_forgotten(const struct executable *known)
{
    return n_executables - known->before > EXECUTABLES / 2;
}

static __always_inline bool is_same_executable(const struct executable *known,
                                               const struct executable *now)
{
    return known && known->born == now->born && known->execs == now->execs &&
           known->file == now->file && !may_be_forgotten(known);
}

SUBPROGRAM int renew_executable(__u64 address)
{
    struct task_struct *task = (void *)address;
    struct executable now = {}, *known;
    __u32 tgid = BPF_CORE_READ(task, tgid);

    now.born = birth_of(task);
    now.execs = BPF_CORE_READ(task, self_exec_id);
    now.file = (__u64)BPF_CORE_READ(task, mm, exe_file);
    known = bpf_map_lookup_elem(&executables, &tgid);
    if (!now.file || is_same_executable(known, &now))
        return 0;
    now.number = new_number();
    now.before = n_executables;
    __sync_fetch_and_add(&n_executables, 1);
    if (deliver_executable(task, (void *)now.file, now.number))
        bpf_map_update_elem(&executables, &tgid, &now, BPF_ANY);
    else
        bpf_map_delete_elem(&executables, &tgid);
    return 0;
}

/*
 * Called when a program begins that may deliver records of the task.  Not where they are begun: the
 * walk needs more of the stack than is left there.  And not in the middle of exec(2), where the
 * task has the new executable already: what exec closes was opened by the old program, whose name
 * the task still has.
 */
static __always_inline void note_executable(struct task_struct *task)
{
    if (is_asked(FACTS_OF_PROGRAM))
        renew_executable(address_of(task));
}

#endif
