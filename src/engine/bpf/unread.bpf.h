/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of failed opens in memory that no page is mapped to yet.
 *
 * A call can fail before the kernel has read the name, and programs on its end must not wait for a
 * page.  From Linux 6.18 on, a program can have a function run when the thread returns to user
 * mode, where it may sleep: it has the page mapped, and makes the record.  Until then the thread
 * does nothing else, so the record keeps its place among those of its thread.
 */
#ifndef FILEMON_BPF_UNREAD_H
#define FILEMON_BPF_UNREAD_H

#include "opens.bpf.h"
#include "state.bpf.h"

/* include/uapi/linux/bpf.h; the kernel knows it by its name. */
struct bpf_task_work {
    __u64 opaque;
} __attribute__((aligned(8)));

/* Complete, or libbpf takes the function's type for another one than the kernel's. */
struct bpf_map {
    int ops;
};

typedef int work_function(struct bpf_map *map, void *key, void *value);

extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *work,
                                              void *map, work_function *function,
                                              void *program) __ksym __weak;
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

#define EFAULT 14 /* asm-generic/errno-base.h */

struct unread {
    struct bpf_task_work work;
    struct request request;
};

/* By the thread's pid. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct unread);
} unreads SEC(".maps");

/* The scratch is that of the processor: no other thread must come by meanwhile. */
static int fail_with_name(struct bpf_map *map, void *pid, void *value)
{
    const struct unread *unread = value;
    const char *name = unread->request.name;
    struct scratch *s;
    char byte;

    bpf_copy_from_user(&byte, 1, name);
    bpf_copy_from_user(&byte, 1, name + PATH_BYTES - 1);
    bpf_preempt_disable();
    s = get_scratch(ON_RETURN);
    if (s) {
        s->request = unread->request;
        deliver_failed(ON_RETURN);
    }
    bpf_preempt_enable();
    return 0;
}

/*
 * False: it has been read by now, or never can be.  Not called by functions of their own, in which
 * the verifier would take the other for part of the program, that must not sleep.
 */
static __always_inline bool fail_on_return(struct scratch *s)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct unread unread = {.request = s->request}, *stored;
    __u32 pid = task->pid;

    if (!DIRECT || !bpf_task_work_schedule_resume_impl || s->request.error == -EFAULT ||
        bpf_probe_read_user_str(s->payload, PATH_BYTES, s->request.name) >= 0)
        return false;
    if (bpf_map_update_elem(&unreads, &pid, &unread, BPF_ANY) != 0)
        return false;
    stored = bpf_map_lookup_elem(&unreads, &pid);
    return stored && bpf_task_work_schedule_resume_impl(task, &stored->work, &unreads,
                                                        fail_with_name, NULL) == 0;
}

#endif
