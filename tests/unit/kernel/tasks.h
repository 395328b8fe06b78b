/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes, descriptors, paths and user memory, as the script's C reads them.  The functions
 * world_* make them for one test, and world_end() frees them.
 */
#ifndef FILEMON_TESTS_KERNEL_TASKS_H
#define FILEMON_TESTS_KERNEL_TASKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "kernel.h"

#define TASK_COMM_LEN 16
#define PF_EXITING 0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD 0x00200000

/* ---- Files ----------------------------------------------------------------------------------- */

struct super_block {
    dev_t s_dev;
    unsigned long s_magic;
    struct dentry *s_root;
};

struct inode {
    unsigned long i_ino;
    u32 i_generation;
    struct super_block *i_sb;
};

struct dentry_operations {
    void *d_dname;
};

struct dentry {
    const char *name; /* the whole path */
    struct dentry *d_parent;
    struct inode *d_inode;
    const struct dentry_operations *d_op;
    struct super_block *d_sb;
    bool unlinked;
};
#define d_unlinked(dentry) ((dentry)->unlinked)

/* Held by whoever renames. */
static seqlock_t rename_lock;

struct vfsmount {
    struct dentry *mnt_root;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

#define MAJOR(dev) ((dev) >> 20)
#define MINOR(dev) ((dev)&0xfffff)

struct file;
struct file_operations {
    int (*flush)(struct file *file, void *id);
};

struct file {
    const struct file_operations *f_op; /* not NULL */
    struct inode *f_inode;
    struct path f_path;
    unsigned int f_flags, f_mode;
    int references;
    struct dentry dentry;
};

#define FMODE_WRITE 2

#define WORLD_DESCRIPTORS 512
#define WORLD_WORDS (WORLD_DESCRIPTORS / BITS_PER_LONG)

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
    unsigned long *close_on_exec, *open_fds;
};

struct files_struct {
    atomic_t count;
    struct fdtable *fdt;
    struct fdtable table;
    struct file *files[WORLD_DESCRIPTORS];
    unsigned long close_on_exec[WORLD_WORDS], open_fds[WORLD_WORDS];
};

struct fs_struct {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
    seqlock_t seq;
#else
    seqcount_spinlock_t seq;
#endif
    struct path root, pwd;
};

#define file_inode(file) ((file)->f_inode)

/* Writes the path to the end of the buffer. */
static inline char *d_path(const struct path *path, char *buffer, int size)
{
    const char *tail = d_unlinked(path->dentry) ? " (deleted)" : "";
    size_t len = strlen(path->dentry->name) + strlen(tail);

    if (size < 0 || len + 1 > (size_t)size)
        return ERR_PTR(-ENAMETOOLONG);
    buffer += size - 1 - len;
    return strcat(strcpy(buffer, path->dentry->name), tail);
}

static inline bool kernel_get_file(struct file *file)
{
    int references = __atomic_load_n(&file->references, __ATOMIC_RELAXED);

    while (references != 0)
        if (__atomic_compare_exchange_n(&file->references, &references, references + 1, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return true;
    return false;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct file *get_file_rcu(struct file **where)
{
    struct file *file = rcu_dereference(*where);

    return file != NULL && kernel_get_file(file) ? file : NULL;
}
#else
#define get_file_rcu(file) kernel_get_file(file)
#endif

static inline void fput(struct file *file)
{
    assert_true(__atomic_fetch_sub(&file->references, 1, __ATOMIC_ACQ_REL) > 1);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

struct task_struct;

struct pid {
    struct task_struct *task;
    int references;
};

struct pid_namespace {
    int ahead; /* an id here is the initial namespace's id minus this; 0: not in here */
    int idr;   /* stands for the table of pids */
};
static struct pid_namespace init_pid_ns;

struct signal_struct {
    atomic_t live;
};

struct mm_struct {
    struct file *exe_file;
    unsigned long arg_start, arg_end, saved_auxv[8];
};

struct pt_regs {
    long nr;
    unsigned long args[6];
    bool ia32;
};

/* A user of the initial namespace. */
typedef struct {
    uid_t val;
} kuid_t;

struct user_namespace {
    uid_t ahead; /* a user here has the initial namespace's number minus this */
};

struct cgroup {
    u64 id;
    struct cgroup *parent;
};

#define cgroup_id(group) ((group)->id)
#define cgroup_parent(group) ((group)->parent)
#define task_dfl_cgroup(task) ((task)->cgroup)

struct ns_common {
    unsigned int inum;
};

struct mnt_namespace {
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
    atomic_t count;
#endif
    struct ns_common ns;
};

struct nsproxy {
    struct mnt_namespace *mnt_ns;
};

struct task_struct {
    struct cgroup *cgroup;
    struct nsproxy *nsproxy;
    pid_t pid, tgid;
    kuid_t euid;
    struct user_namespace user_ns;
    unsigned int flags;
    u64 start_time, self_exec_id;
    char comm[TASK_COMM_LEN];
    struct task_struct *real_parent, *group_leader;
    struct signal_struct *signal, own_signal;
    struct files_struct *files;
    struct fs_struct *fs, own_fs;
    struct mm_struct *mm, own_mm;
    struct pt_regs regs;
    struct pid thread_pid;
    struct pid_namespace *pid_ns;
    pthread_mutex_t alloc_lock;
    bool dead;
};

static _Thread_local struct task_struct *kernel_current;
#define current kernel_current

/* In ascending order of their pids.  Iterations skip dead tasks. */
#define WORLD_TASKS 64
static struct task_struct *world_tasks[WORLD_TASKS];
static int world_n_tasks;

static inline struct task_struct *kernel_next(int *i, const struct task_struct *leader,
                                              bool threads)
{
    for (; *i < __atomic_load_n(&world_n_tasks, __ATOMIC_ACQUIRE); ++*i) {
        struct task_struct *task = world_tasks[*i];

        if (!READ_ONCE(task->dead) && (threads || task->group_leader == task) &&
            (leader == NULL || task->group_leader == leader))
            return task;
    }
    return NULL;
}

#define kernel_for_each(task, leader, threads)                                                     \
    for (int task##_at = 0; ((task) = kernel_next(&task##_at, leader, threads)) != NULL;           \
         task##_at++)
#define for_each_process(task) kernel_for_each(task, NULL, false)
#define for_each_thread(process, thread) kernel_for_each(thread, (process)->group_leader, true)
#define for_each_process_thread(process, thread)                                                   \
    for_each_process(process)                                                                      \
        for_each_thread(process, thread)

#define task_lock(task) pthread_mutex_lock(&(task)->alloc_lock)
#define task_unlock(task) pthread_mutex_unlock(&(task)->alloc_lock)

static inline struct task_struct *pid_task(struct pid *pid, enum pid_type type)
{
    if (pid == NULL || pid->task->dead ||
        (type == PIDTYPE_TGID && pid->task->group_leader != pid->task))
        return NULL;
    return pid->task;
}

/* The pid with this number in the initial namespace, or with the next higher one. */
static inline struct pid *kernel_pid_from(int nr)
{
    for (int i = 0; i < world_n_tasks; i++)
        if (world_tasks[i]->pid >= nr)
            return &world_tasks[i]->thread_pid;
    return NULL;
}

static inline struct pid *idr_get_next(const int *idr, int *nr)
{
    struct pid *pid = kernel_pid_from(*nr);

    assert_ptr_equal(idr, &init_pid_ns.idr);
    if (pid != NULL)
        *nr = pid->task->pid;
    return pid;
}

static inline struct pid *find_vpid(int nr)
{
    struct pid *pid = kernel_pid_from(nr + current->pid_ns->ahead);

    return pid != NULL && pid->task->pid == nr + current->pid_ns->ahead ? pid : NULL;
}

static inline pid_t __task_pid_nr_ns(struct task_struct *task, enum pid_type type,
                                     struct pid_namespace *ns)
{
    pid_t nr = (type == PIDTYPE_PID ? task->pid : task->tgid) - ns->ahead;

    return nr > 0 ? nr : 0;
}

#define task_euid(task) ((task)->euid)
#define uid_eq(left, right) ((left).val == (right).val)
#define __kuid_val(user) ((user).val)
#define current_user_ns() (&current->user_ns)

static inline kuid_t make_kuid(const struct user_namespace *ns, uid_t user)
{
    return (kuid_t){user + ns->ahead};
}

#define task_tgid(task) (&(task)->group_leader->thread_pid)
#define task_active_pid_ns(task) ((task)->pid_ns)
#define get_pid(pid) ((pid)->references++, (pid))
#define put_pid(pid) ((void)(pid)->references--)

static inline struct file *fget_raw(unsigned int fd)
{
    struct fdtable *table = rcu_dereference(current->files->fdt);
    struct file *file = fd < table->max_fds ? rcu_dereference(table->fd[fd]) : NULL;

    return file != NULL && kernel_get_file(file) ? file : NULL;
}

/* ---- System calls and the user's memory ------------------------------------------------------ */

#ifdef __x86_64__
#define CONFIG_X86_64 1
enum {
    __NR_ia32_open = 5,
    __NR_ia32_creat = 8,
    __NR_ia32_mmap = 90,
    __NR_ia32_openat = 295,
    __NR_ia32_open_by_handle_at = 342,
    __NR_ia32_openat2 = 437
};
#define in_ia32_syscall() (current->regs.ia32)
#endif

#define task_pt_regs(task) (&(task)->regs)
#define syscall_get_nr(task, regs) ((void)(task), (regs)->nr)
#define syscall_get_arguments(task, regs, to)                                                      \
    ((void)(task), memcpy(to, (regs)->args, sizeof((regs)->args)))

struct ksignal {
    struct {
        struct {
            unsigned long sa_flags;
        } sa;
    } ka;
};

/* Addresses below this are in a page that is not in memory.  Every read of user memory must be
 * inside pagefault_disable(). */
#define WORLD_NO_PAGE 4096
static _Thread_local int kernel_pagefault_off;
#define pagefault_disable() ((void)kernel_pagefault_off++)
#define pagefault_enable() ((void)kernel_pagefault_off--)
#define access_ok(from, size) ((void)(from), (void)(size), true)

static inline long strncpy_from_user(char *to, const char *from, long size)
{
    size_t len;

    assert_int_equal(kernel_pagefault_off, 1);
    if ((uintptr_t)from < WORLD_NO_PAGE)
        return -EFAULT;
    len = strnlen(from, (size_t)size);
    memcpy(to, from, len < (size_t)size ? len + 1 : len);
    return (long)len;
}

static inline unsigned long __copy_from_user_inatomic(void *to, const void *from,
                                                      unsigned long size)
{
    assert_int_equal(kernel_pagefault_off, 1);
    if ((uintptr_t)from < WORLD_NO_PAGE)
        return size;
    memcpy(to, from, size);
    return 0;
}

/* ---- The world of a test --------------------------------------------------------------------- */

static void *world_memory[4096];
static int world_n_memory;
static struct file *world_files_made[2048];
static int world_n_files;

static inline void *world_new(size_t size)
{
    void *memory = calloc(1, size);

    assert_true(memory != NULL && world_n_memory < (int)ARRAY_SIZE(world_memory));
    world_memory[world_n_memory++] = memory;
    return memory;
}

static inline struct file *world_file(const char *path, unsigned int flags)
{
    static const struct file_operations operations;
    struct file *file = world_new(sizeof(*file));

    file->dentry.name = path;
    file->f_path.dentry = &file->dentry;
    file->f_flags = flags;
    file->f_mode = (flags & O_ACCMODE) != O_RDONLY ? FMODE_WRITE : 0;
    file->references = 1;
    file->f_op = &operations;
    assert_true(world_n_files < (int)ARRAY_SIZE(world_files_made));
    world_files_made[world_n_files++] = file;
    return file;
}

static inline struct path world_path(const char *name)
{
    return world_file(name, 0)->f_path;
}

static inline struct files_struct *world_files(void)
{
    struct files_struct *files = world_new(sizeof(*files));

    files->table = (struct fdtable){.max_fds = WORLD_DESCRIPTORS,
                                    .fd = files->files,
                                    .close_on_exec = files->close_on_exec,
                                    .open_fds = files->open_fds};
    files->fdt = &files->table;
    return files;
}

static inline void world_share(struct task_struct *task, struct files_struct *files)
{
    if (task->files != NULL)
        atomic_dec(&task->files->count);
    if (files != NULL)
        atomic_inc(&files->count);
    WRITE_ONCE(task->files, files);
}

static inline struct task_struct *world_task(pid_t pid, const char *comm)
{
    struct task_struct *task = world_new(sizeof(*task));
    int at = world_n_tasks;

    assert_true(world_n_tasks < WORLD_TASKS);
    task->pid = task->tgid = pid;
    strncpy(task->comm, comm, sizeof(task->comm) - 1);
    task->real_parent = task->group_leader = task;
    task->signal = &task->own_signal;
    atomic_set(&task->own_signal.live, 1);
    task->fs = &task->own_fs;
    task->own_fs.root = world_path("/");
    task->own_fs.pwd = world_path("/home/u");
    task->mm = &task->own_mm;
    task->thread_pid.task = task;
    task->pid_ns = &init_pid_ns;
    pthread_mutex_init(&task->alloc_lock, NULL);
    for (; at > 0 && world_tasks[at - 1]->pid > pid; at--)
        world_tasks[at] = world_tasks[at - 1];
    world_tasks[at] = task;
    __atomic_store_n(&world_n_tasks, world_n_tasks + 1, __ATOMIC_RELEASE);
    return task;
}

static inline struct task_struct *world_process(pid_t pid, const char *comm,
                                                struct task_struct *parent)
{
    struct task_struct *task = world_task(pid, comm);

    if (parent != NULL)
        task->real_parent = parent;
    world_share(task, world_files());
    return task;
}

static inline struct task_struct *world_thread(pid_t tid, struct task_struct *leader)
{
    struct task_struct *task = world_task(tid, leader->comm);

    task->tgid = leader->tgid;
    task->group_leader = leader;
    task->real_parent = leader->real_parent;
    task->signal = leader->signal;
    atomic_inc(&leader->signal->live);
    world_share(task, leader->files);
    return task;
}

static inline void world_set_bit(unsigned long *bits, unsigned int bit, bool value)
{
    unsigned long mask = 1ul << bit % BITS_PER_LONG;

    if (value)
        __atomic_fetch_or(&bits[bit / BITS_PER_LONG], mask, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&bits[bit / BITS_PER_LONG], ~mask, __ATOMIC_RELAXED);
}

/* Makes fd refer to the file; NULL: closes fd. */
static inline void world_install(struct files_struct *files, unsigned int fd, struct file *file)
{
    assert_true(fd < WORLD_DESCRIPTORS);
    world_set_bit(files->open_fds, fd, file != NULL);
    world_set_bit(files->close_on_exec, fd, file != NULL && file->f_flags & O_CLOEXEC);
    __atomic_store_n(&files->files[fd], file, __ATOMIC_RELEASE);
}

static inline void world_call(long nr, unsigned long a, unsigned long b, unsigned long c,
                              unsigned long d)
{
    current->regs = (struct pt_regs){.nr = nr, .args = {a, b, c, d}};
}

static inline void world_end(void)
{
    while (world_n_memory > 0)
        free(world_memory[--world_n_memory]);
    world_n_files = world_n_tasks = 0;
    current = NULL;
    kernel_memory = -1;
    init_pid_ns.ahead = 0;
    kernel_timens = (struct timespec64){0};
}

#endif
