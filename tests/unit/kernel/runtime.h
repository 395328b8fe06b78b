/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of SystemTap's runtime, and of the kernel's functions for CPUs, that the script's C
 * uses. */
#ifndef FILEMON_TESTS_KERNEL_RUNTIME_H
#define FILEMON_TESTS_KERNEL_RUNTIME_H

#include <stdio.h>

#include "tasks.h"

static const struct {
    char name[16];
} kernel_module = {"filemon_unit"};
#define THIS_MODULE (&kernel_module)

/* ---- CPUs ------------------------------------------------------------------------------------ */

typedef struct {
    unsigned long bits;
} cpumask_t;
typedef struct {
    void (*func)(void *);
    void *info;
} call_single_data_t;
#define CSD_INIT(func, info)                                                                       \
    {                                                                                              \
        func, info                                                                                 \
    }

static cpumask_t kernel_online = {1};
static int kernel_called_cpu; /* the CPU that the last call was sent to; -1: none */
#define cpu_online_mask (&kernel_online)

static inline int cpumask_first_and(const cpumask_t *a, const cpumask_t *b)
{
    return (a->bits & b->bits) != 0 ? __builtin_ctzl(a->bits & b->bits) : nr_cpu_ids;
}

static inline void smp_call_function_single_async(int cpu, call_single_data_t *call)
{
    (void)call;
    WRITE_ONCE(kernel_called_cpu, cpu);
}

/* ---- The print buffer of this CPU, and the flushed bytes ------------------------------------- */

#define STP_BUFFER_SIZE 8192
static _Thread_local char runtime_buffer[STP_BUFFER_SIZE];
static _Thread_local unsigned int runtime_reserved;
static bool runtime_refuses; /* _stp_reserve_bytes() fails */
static char runtime_flushed[8 << 20];
static size_t runtime_flushed_len, runtime_flushes;

static inline void *_stp_reserve_bytes(int size)
{
    char *at = runtime_buffer + runtime_reserved;

    if (runtime_refuses || size < 0 || runtime_reserved + (unsigned int)size > STP_BUFFER_SIZE)
        return NULL;
    runtime_reserved += (unsigned int)size;
    return at;
}

/* Whether this CPU has locked its print buffer. */
static _Thread_local bool runtime_prints;

static inline bool _stp_print_trylock_irqsave(unsigned long *irq)
{
    *irq = 0;
    return !runtime_prints && (runtime_prints = true);
}

static inline void _stp_print_unlock_irqrestore(const unsigned long *irq)
{
    assert_int_equal(*irq, 0);
    runtime_prints = false;
}

/* ---- The channel to stapio ------------------------------------------------------------------- */

struct _stp_trace {
    u32 sequence, pdu_len;
};

struct rchan;
struct rchan_buf {
    struct rchan *chan;
    size_t offset, subbufs_produced, subbufs_consumed;
};
struct rchan {
    size_t subbuf_size, n_subbufs;
    struct rchan_buf **buf;
};
#define per_cpu_ptr(pointer, cpu) (&(pointer)[cpu])

static struct rchan_buf *runtime_buffers[nr_cpu_ids];
static struct rchan_buf runtime_buffer_of[nr_cpu_ids];
static struct rchan runtime_channel;

static size_t __stp_relay_switch_subbuf(struct rchan_buf *buf, size_t length)
{
    buf->offset = 0;
    buf->subbufs_produced++;
    return length;
}

/* Like stap's: a message that does not fit into the rest of a sub-buffer continues in the next. */
static inline void _stp_print_flush(void)
{
    struct rchan_buf *buf = runtime_buffers[kernel_cpu];
    size_t len = runtime_reserved;

    assert_true(runtime_flushed_len + len < sizeof(runtime_flushed));
    memcpy(runtime_flushed + runtime_flushed_len, runtime_buffer, len);
    runtime_flushed_len += len;
    runtime_flushed[runtime_flushed_len] = '\0';
    runtime_flushes++;
    runtime_reserved = 0;
    for (len += sizeof(struct _stp_trace); buf->offset + len > buf->chan->subbuf_size;) {
        len -= buf->chan->subbuf_size - buf->offset;
        __stp_relay_switch_subbuf(buf, 0);
    }
    buf->offset += len;
}

static inline void runtime_start(size_t subbuf_size, size_t n_subbufs)
{
    runtime_channel = (struct rchan){subbuf_size, n_subbufs, runtime_buffers};
    for (int i = 0; i < nr_cpu_ids; i++) {
        runtime_buffer_of[i] = (struct rchan_buf){.chan = &runtime_channel};
        runtime_buffers[i] = &runtime_buffer_of[i];
    }
    runtime_flushed_len = runtime_flushes = 0;
    runtime_refuses = false;
    kernel_called_cpu = -1;
    kernel_cpu = 0;
    kernel_online.bits = 1;
}

#endif
