/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the kernel that the script's C uses, in user space: types, atomic operations, locks,
 * memory and time.  C11's atomics take the place of the kernel's memory model, so that
 * ThreadSanitizer sees which accesses the code orders and which it does not.
 */
#ifndef FILEMON_TESTS_KERNEL_H
#define FILEMON_TESTS_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/auxvec.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef CLOSE_RANGE_CLOEXEC /* before Linux 5.11 */
#define CLOSE_RANGE_CLOEXEC 4
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef int32_t s32;
typedef uint32_t u32;
typedef int64_t s64;
typedef uint64_t u64;
typedef unsigned short umode_t;

#define __user
#define __rcu
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#undef static_assert
#define static_assert(condition) _Static_assert(condition, #condition)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))

#define KERNEL_VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))
#ifndef LINUX_VERSION_CODE
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
#endif

#define S_IALLUGO 07777
#define PID_MAX_LIMIT (4 << 20)
#define NSEC_PER_MSEC 1000000L

struct hlist_node {
    struct hlist_node *next, **pprev;
};

/* Errors that the kernel never returns to user space. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 516 };

#define IS_ERR(pointer) ((uintptr_t)(pointer) >= (uintptr_t)-4095)
#define ERR_PTR(error) ((void *)(intptr_t)(error))

/* ---- Memory model ---------------------------------------------------------------------------- */

#define READ_ONCE(variable) __atomic_load_n(&(variable), __ATOMIC_RELAXED)
#define WRITE_ONCE(variable, value) __atomic_store_n(&(variable), value, __ATOMIC_RELAXED)
#define smp_load_acquire(pointer) __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define smp_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
#define rcu_dereference(pointer) __atomic_load_n(&(pointer), __ATOMIC_ACQUIRE)
#define rcu_dereference_raw(pointer) rcu_dereference(pointer)
#define barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A fence on a variable of the thread's own: ThreadSanitizer would take a fence on a shared
 * variable for an order between two threads. */
static inline void smp_mb(void)
{
    static _Thread_local int own;

    __atomic_fetch_add(&own, 1, __ATOMIC_SEQ_CST);
}
#define smp_mb__after_atomic() smp_mb()

#define xchg(pointer, value) __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST)
#define try_cmpxchg(pointer, old, new)                                                             \
    __atomic_compare_exchange_n(pointer, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
/* Returns the value before. */
#define cmpxchg(pointer, old, new)                                                                 \
    ({                                                                                             \
        __typeof__(*(pointer)) was = (old);                                                        \
        try_cmpxchg(pointer, &was, new);                                                           \
        was;                                                                                       \
    })

typedef struct {
    int counter;
} atomic_t;
#define ATOMIC_INIT(value)                                                                         \
    {                                                                                              \
        value                                                                                      \
    }
#define atomic_read(atomic) READ_ONCE((atomic)->counter)
#define atomic_set(atomic, value) WRITE_ONCE((atomic)->counter, value)
#define atomic_add(value, atomic)                                                                  \
    ((void)__atomic_fetch_add(&(atomic)->counter, value, __ATOMIC_SEQ_CST))
#define atomic_inc(atomic) atomic_add(1, atomic)
#define atomic_dec(atomic) atomic_add(-1, atomic)
#define atomic_xchg(atomic, value) xchg(&(atomic)->counter, value)

typedef struct {
    s64 counter;
} atomic64_t;
#define ATOMIC64_INIT(value) ATOMIC_INIT(value)
#define atomic64_read(atomic) READ_ONCE((atomic)->counter)
#define atomic64_add(value, atomic) atomic_add(value, atomic)
#define atomic64_inc(atomic) atomic_add(1, atomic)
#define atomic64_inc_return(atomic) (__atomic_add_fetch(&(atomic)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic64_xchg(atomic, value) xchg(&(atomic)->counter, value)

/* ---- Locks ----------------------------------------------------------------------------------- */

typedef pthread_mutex_t raw_spinlock_t;
#define DEFINE_RAW_SPINLOCK(name) raw_spinlock_t name = PTHREAD_MUTEX_INITIALIZER
#define raw_spin_lock(lock) pthread_mutex_lock(lock)
#define raw_spin_trylock(lock) (pthread_mutex_trylock(lock) == 0)
#define raw_spin_unlock(lock) pthread_mutex_unlock(lock)
#define raw_spin_lock_irqsave(lock, flags) ((flags) = 0, pthread_mutex_lock(lock))
#define raw_spin_unlock_irqrestore(lock, flags) ((void)(flags), pthread_mutex_unlock(lock))

/* Sequence counts without a writer.  The next kernel_seq_retries reads have to be repeated, as if a
 * writer had interrupted them. */
typedef struct {
    unsigned int sequence;
} seqcount_spinlock_t;
typedef struct {
    unsigned int sequence;
} seqlock_t;
static _Thread_local int kernel_seq_retries;

#define read_seqcount_begin(seq) READ_ONCE((seq)->sequence)
#define read_seqcount_retry(seq, begun)                                                            \
    (READ_ONCE((seq)->sequence) != (begun) || (kernel_seq_retries && kernel_seq_retries--))
#define read_seqbegin(seq) read_seqcount_begin(seq)
#define read_seqretry(seq, begun) read_seqcount_retry(seq, begun)

#define IS_ERR_VALUE(value) ((unsigned long)(value) >= (unsigned long)-4095)

/* ---- CPUs: each thread is on a CPU of its own ------------------------------------------------ */

#define nr_cpu_ids 16
static _Thread_local int kernel_cpu;

/* A thread sees only its own copy of a per-CPU variable, so each thread must initialize its copy.
 */
#define typeof(what) __typeof__(what)
#define DEFINE_PER_CPU(type, name) _Thread_local typeof(type) name
#define this_cpu_ptr(pointer) (pointer)
#define this_cpu_read(name) (name)
#define per_cpu(name, cpu) (*((void)(cpu), &(name)))
#define smp_processor_id() kernel_cpu
#define for_each_possible_cpu(cpu) for ((cpu) = kernel_cpu; (cpu) == kernel_cpu; (cpu)++)

static _Thread_local u64 kernel_cycles;
#define get_cycles() (kernel_cycles++)

/* ---- Memory ---------------------------------------------------------------------------------- */

#define GFP_ATOMIC 0
#define __GFP_NOWARN 0

static int kernel_allocated;   /* allocations that are not freed yet */
static int kernel_memory = -1; /* how many more allocations succeed; -1: all */

static inline void *kmalloc(size_t size, int flags)
{
    (void)flags;
    if (__atomic_load_n(&kernel_memory, __ATOMIC_RELAXED) == 0)
        return NULL;
    if (__atomic_load_n(&kernel_memory, __ATOMIC_RELAXED) > 0)
        __atomic_fetch_sub(&kernel_memory, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&kernel_allocated, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

static inline void *kzalloc(size_t size, int flags)
{
    void *memory = kmalloc(size, flags);

    return memory != NULL ? memset(memory, 0, size) : NULL;
}

static inline void kfree(const void *memory)
{
    if (memory != NULL)
        __atomic_fetch_sub(&kernel_allocated, 1, __ATOMIC_RELAXED);
    free((void *)memory);
}

static inline char *kmemdup_nul(const char *from, size_t len, int flags)
{
    char *copy = kmalloc(len + 1, flags);

    if (copy != NULL) {
        memcpy(copy, from, len);
        copy[len] = '\0';
    }
    return copy;
}

/* ---- Time: it stands still until a test changes it ------------------------------------------- */

typedef s64 ktime_t;
#define KERNEL_BOOTED INT64_C(1300000000000000000) /* CLOCK_REALTIME when CLOCK_MONOTONIC was 0 */
#define KERNEL_NOW 5000000000
static s64 kernel_now = KERNEL_NOW;
static s64 kernel_stolen; /* ns for which the CPU is stopped after each reading of the clock */

/* Called once, by the next ktime_get() of this thread: stands for another thread that runs at that
 * moment. */
static _Thread_local void (*kernel_meanwhile)(void);

static inline ktime_t ktime_get(void)
{
    void (*meanwhile)(void) = kernel_meanwhile;

    kernel_meanwhile = NULL;
    if (meanwhile != NULL)
        meanwhile();
    return __atomic_fetch_add(&kernel_now, kernel_stolen, __ATOMIC_RELAXED);
}
#define ktime_get_ns() ((u64)ktime_get())
#define ktime_mono_to_real(time) ((time) + KERNEL_BOOTED)
#define ktime_to_us(time) ((time) / 1000)
#define ktime_to_ns(time) (time)
#define udelay(us) ((void)(us))

struct timespec64 {
    s64 tv_sec;
    long tv_nsec;
};
static struct timespec64 kernel_timens; /* the offset of the task's time namespace */

#define timens_add_monotonic(time)                                                                 \
    ((time)->tv_sec += kernel_timens.tv_sec, (time)->tv_nsec += kernel_timens.tv_nsec)
#define timespec64_to_ns(time) ((time)->tv_sec * 1000000000 + (time)->tv_nsec)

/* ---- Text and bits --------------------------------------------------------------------------- */

static inline int kstrtou64(const char *text, unsigned int base, u64 *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    *number = strtoull(text, &end, (int)base);
    return *end != '\0' ? -EINVAL : -errno;
}

/* Unlike strtol(): no blank may precede the number, and only a newline may follow it. */
static inline int kstrtol(const char *text, unsigned int base, long *number)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;

    if (*digits < '0' || *digits > '9')
        return -EINVAL;
    errno = 0;
    *number = strtol(text, &end, (int)base);
    end += *end == '\n';
    return *end != '\0' ? -EINVAL : -errno;
}

#define BITS_PER_LONG (8 * sizeof(long))

static inline bool test_bit(unsigned long bit, const unsigned long *bits)
{
    return READ_ONCE(bits[bit / BITS_PER_LONG]) >> bit % BITS_PER_LONG & 1;
}

static inline unsigned long find_next_bit(const unsigned long *bits, unsigned long size,
                                          unsigned long from)
{
    while (from < size && !test_bit(from, bits))
        from++;
    return from < size ? from : size;
}

#endif
