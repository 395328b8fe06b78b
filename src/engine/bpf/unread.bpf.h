/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failed opens whose name is in a page that is not mapped yet.
 *
 * An open can fail before the kernel has read the name.  The program on the exit of the call cannot
 * read it either, since it must not sleep in a page fault.  From Linux 6.18 on, it can schedule a
 * function that runs when the thread returns to user mode, where a page fault is allowed.  The
 * thread makes no other call before that function has delivered the record, so the records of one
 * thread stay in order.
 */
#ifndef FILEMON_BPF_UNREAD_H
#define FILEMON_BPF_UNREAD_H

#include "opens.bpf.h"
#include "state.bpf.h"

/* include/uapi/linux/bpf.h; the verifier looks for a member of a type with this name. */
struct bpf_task_work {
    __u64 opaque;
} __attribute__((aligned(8)));

/* A definition, not a declaration: with an incomplete type, libbpf finds that the type of the
 * function differs from the kernel's. */
struct bpf_map {
    int ops;
};

typedef int work_function(struct bpf_map *map, void *key, void *value);

/*
 * Linux 6.18 and 6.19 take the program as another argument, which since 7.0 the verifier adds.  The
 * types that 7.0 lists for the old function are others, and libbpf refuses an object that declares
 * a function with types that are not the kernel's.
 */
#if LATEST
extern int bpf_task_work_schedule_resume(struct task_struct *task, struct bpf_task_work *work,
                                         void *map, work_function *function) __ksym __weak;
#define CAN_SCHEDULE bpf_task_work_schedule_resume
#define SCHEDULE(...) bpf_task_work_schedule_resume(__VA_ARGS__)
#else
extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *work,
                                              void *map, work_function *function,
                                              void *program) __ksym __weak;
#define CAN_SCHEDULE bpf_task_work_schedule_resume_impl
#define SCHEDULE(...) bpf_task_work_schedule_resume_impl(__VA_ARGS__, NULL)
#endif
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

#define EFAULT 14 /* asm-generic/errno-base.h */

/* An open whose record is delivered when its thread returns to user mode. */
struct deferred_open {
    struct bpf_task_work work;
    struct request request;
};

/* By the thread's pid. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct deferred_open);
} deferred_opens SEC(".maps");

/* Without preemption: another thread on this CPU would use the same scratch. */
static int deliver_deferred(struct bpf_map *map, void *pid, void *value)
{
    const struct deferred_open *deferred = value;
    const char *name = deferred->request.name;
    struct scratch *s;
    char byte;

    bpf_copy_from_user(&byte, 1, name);
    bpf_copy_from_user(&byte, 1, name + PATH_BYTES - 1);
    bpf_preempt_disable();
    s = get_scratch(ON_RETURN);
    if (s) {
        s->request = deferred->request;
        deliver_failed(ON_RETURN);
    }
    bpf_preempt_enable();
    return 0;
}

/*
 * Defers the record of the failed open in s until its name can be read.  False: the name can be
 * read now, or never.  Must be inlined into the program: called from a subprogram, the verifier
 * checks deliver_deferred() as a part of the program, which must not sleep.
 */
static __always_inline bool defer_failed(struct scratch *s)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct deferred_open deferred = {.request = s->request}, *stored;
    __u32 pid = task->pid;

    if (!DIRECT || !CAN_SCHEDULE || s->request.error == -EFAULT ||
        bpf_probe_read_user_str(s->payload, PATH_BYTES, s->request.name) >= 0)
        return false;
    if (bpf_map_update_elem(&deferred_opens, &pid, &deferred, BPF_ANY) != 0)
        return false;
    stored = bpf_map_lookup_elem(&deferred_opens, &pid);
    return stored && SCHEDULE(task, &stored->work, &deferred_opens, deliver_deferred) == 0;
}

#endif
