/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's headers, and functions that hide differences between kernel versions. */
#ifndef FILEMON_STAP_KERNEL_H
#define FILEMON_STAP_KERNEL_H

#ifdef CONFIG_PREEMPT_RT
#error "with PREEMPT_RT locks sleep, which probes must not: they run with preemption disabled"
#endif

#ifdef __KERNEL__ /* the unit tests include a small kernel of their own before this */
#include <linux/aio_abi.h>
#include <linux/cgroup.h>
#include <linux/close_range.h>
#include <linux/compat.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/magic.h>
#include <linux/mm_types.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/ns_common.h>
#include <linux/nsproxy.h>
#include <linux/openat2.h>
#include <linux/percpu.h>
#include <linux/pid_namespace.h>
#include <linux/relay.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seqlock.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
#include <linux/time_namespace.h>
#endif
#include <asm/syscall.h>
#endif

/* A thread of io_uring(7) in a process. */
#ifdef PF_IO_WORKER
#define FM_IO_WORKER PF_IO_WORKER
#else
#define FM_IO_WORKER 0
#endif

static struct file *fm_get_exe(struct mm_struct *mm)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
    return get_file_rcu(&mm->exe_file);
#else
    struct file *exe = rcu_dereference_raw(mm->exe_file);

    return exe && get_file_rcu(exe) ? exe : NULL;
#endif
}

static unsigned int fm_seqcount_begin(const void *seq)
{
    return read_seqcount_begin((const seqcount_spinlock_t *)seq);
}

static int fm_seqcount_retry(const void *seq, unsigned int begun)
{
    return read_seqcount_retry((const seqcount_spinlock_t *)seq, begun);
}

static unsigned int fm_seqlock_begin(const void *seq)
{
    return read_seqbegin((const seqlock_t *)seq);
}

static int fm_seqlock_retry(const void *seq, unsigned int begun)
{
    return read_seqretry((const seqlock_t *)seq, begun);
}

/* fs_struct.seq is a seqcount_spinlock_t, in newer kernels a seqlock_t. */
#define fm_seq_begin(seq)                                                                          \
    _Generic(*(seq), seqlock_t : fm_seqlock_begin, default : fm_seqcount_begin)(seq)
#define fm_seq_retry(seq, begun)                                                                   \
    _Generic(*(seq), seqlock_t : fm_seqlock_retry, default : fm_seqcount_retry)(seq, begun)

#endif
