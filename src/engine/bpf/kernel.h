/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's structs, with the members that the programs use.  When libbpf loads the programs, it
 * replaces the offsets by those of the running kernel, from its type information (CO-RE): the order
 * of the members here, and the gaps between them, do not matter.
 */
#ifndef FILEMON_BPF_KERNEL_H
#define FILEMON_BPF_KERNEL_H

typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* From linux/bpf.h, which cannot be included: it needs headers of the C library for one
 * architecture. */
enum {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
    BPF_ANY = 0,
    BPF_NOEXIST = 1,
};

enum {
    BPF_RB_NO_WAKEUP = 1,
    BPF_RB_FORCE_WAKEUP = 2,
    BPF_RB_AVAIL_DATA = 0,
};

/* asm-generic/errno-base.h */
#define EINTR 4
#define E2BIG 7
#define EEXIST 17
#define ENAMETOOLONG 36

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    int counter;
} atomic_t;

struct thread_info {
    unsigned long flags;
    __u32 status; /* x86 */
};

struct qstr {
    __u32 len;
    const unsigned char *name;
};

struct proc_ns_operations {
    const char *name;
};

struct ns_common {
    const struct proc_ns_operations *ops;
    unsigned int inum;
};

struct mnt_namespace {
    struct ns_common ns;
};

struct super_block {
    __u32 s_dev;
    unsigned long s_magic;
    struct dentry *s_root;
};

struct inode {
    unsigned long i_ino;
    __u32 i_generation;
    void *i_private;
    struct super_block *i_sb;
};

struct dentry_operations {
    void *d_dname;
};

struct hlist_bl_node {
    struct hlist_bl_node **pprev;
};

struct seqcount {
    unsigned int sequence;
};

struct seqcount_spinlock {
    struct seqcount seqcount;
};

struct dentry {
    struct seqcount_spinlock d_seq;
    struct hlist_bl_node d_hash;
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    unsigned char d_iname[1]; /* before 6.14; its size varies */
    const struct dentry_operations *d_op;
    struct super_block *d_sb;
};

union shortname_store {
    unsigned char string[40];
};

/* From 6.14 on. */
struct dentry___shortname {
    union shortname_store d_shortname;
};

struct vfsmount {
    struct dentry *mnt_root;
};

struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

struct file_operations {
    void *flush;
};

struct file {
    struct path f_path;
    struct inode *f_inode;
    unsigned int f_flags;
    const struct file_operations *f_op;
};

struct llist_head {
    void *first;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
    unsigned long *open_fds, *close_on_exec;
};

struct files_struct {
    atomic_t count;
    struct fdtable *fdt;
};

struct fs_struct {
    struct path root, pwd;
};

struct mm_struct {
    unsigned long arg_start, arg_end;
    struct file *exe_file;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

struct list_head {
    struct list_head *next;
};

struct signal_struct {
    atomic_t live;
    struct list_head thread_head;
    int nr_threads;
    struct pid *pids[4];
};

typedef struct {
    unsigned int val;
} kuid_t;

struct cred {
    kuid_t euid;
};

struct kernfs_node {
    __u64 id;
};

struct cgroup_subsys_state {
    struct cgroup_subsys_state *parent;
};

struct cgroup {
    struct cgroup_subsys_state self;
    struct kernfs_node *kn;
};

struct css_set {
    struct cgroup *dfl_cgrp;
};

struct task_struct {
    struct thread_info thread_info;
    unsigned int flags;
    unsigned int ptrace;
    int pid, tgid;
    __u64 start_time, self_exec_id;
    char comm[16];
    struct task_struct *group_leader;
    unsigned int in_execve : 1;
    struct task_struct *real_parent;
    struct pid *thread_pid;
    struct list_head thread_node;
    struct signal_struct *signal;
    struct files_struct *files;
    struct fs_struct *fs;
    struct nsproxy *nsproxy;
    struct mm_struct *mm;
    const struct cred *real_cred;
    struct css_set *cgroups;
};

struct sigaction {
    void *sa_handler;
    unsigned long sa_flags;
};

struct k_sigaction {
    struct sigaction sa;
};

struct linux_binprm {
    const char *filename;
};

struct open_how {
    __u64 flags, mode;
};

struct io_open {
    __u32 file_slot;
    struct open_how how;
};

struct io_close {
    int fd;
    __u32 file_slot;
};

struct io_cqe {
    __s32 res;
    int fd; /* until the request is complete */
};

struct io_splice {
    int splice_fd_in;
    unsigned int flags;
};

struct io_cmd_data {
    struct file *file;
};

struct io_submit_link {
    struct io_kiocb *head;
};

struct io_submit_state {
    struct io_submit_link link;
};

struct io_ring_ctx {
    struct io_submit_state submit_state;
};

struct io_kiocb {
    struct io_cmd_data cmd;
    __u8 opcode;
    __u64 flags; /* 32 bits in older kernels */
    struct io_cqe cqe;
    struct io_ring_ctx *ctx;
};

struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};

struct timens_offsets {
    struct timespec64 monotonic;
};

struct time_namespace {
    struct timens_offsets offsets;
};

struct nsproxy {
    struct mnt_namespace *mnt_ns;
    struct time_namespace *time_ns; /* with CONFIG_TIME_NS, from 5.6 on */
};

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__task {
    struct task_struct *task;
};

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};

/* The contexts of programs of type tracepoint. */
struct trace_event_raw_sys_exit {
    long ret;
};

struct trace_event_raw_task_rename {
    int pid;
};

struct trace_event_raw_sched_process_exec {
    __u32 __data_loc_filename; /* the lower half is the name's offset */
};

struct trace_event_raw_sched_process_fork {
    int child_pid;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long ax, bx, cx, dx, si, di, bp, r8, r10, orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
    unsigned long regs[31];
    unsigned long orig_x0;
    int syscallno;
};
#endif

#pragma clang attribute pop

/* From linux/bpf.h: part of the interface of programs, so its layout is fixed. */
struct bpf_raw_tracepoint_args {
    __u64 args[2];
};

#endif
