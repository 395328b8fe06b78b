/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdchaos FIRST LAST DIRECTORY JOURNAL [< KEEP]
 *
 * For each seed from FIRST to LAST, runs a tree of processes and threads that make calls on
 * descriptors, and writes a journal of these calls (chaos.h).  DIRECTORY must be empty.
 *
 * A seed is a program: each process or thread has a list of operations.  What an operation does
 * depends on its place in the list and on the open descriptors.  So each operation can be left out,
 * with every process that it would have started.  KEEP lists the numbers of the operations to do,
 * one on each line, as `records operations` prints them; if KEEP is empty, all are done.
 *
 * All calls are raw system calls: a function of the C library may make another call than its name
 * says, and processes that share memory share errno.  The program is linked statically, because the
 * journal would not have the opens of a dynamic linker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"

/* High descriptors, which no operation uses. */
enum { JOURNAL_FD = 1000, PROC_FD, PROGRAM_FD };

enum limit {
    NO_PARENT = 1,      /* getppid() returns the pid of another namespace */
    NEW_NAMESPACE = 16, /* its children are in a new pid namespace */
    NO_PROC = 2,        /* PROC_FD and PROGRAM_FD were closed: it cannot exec */
    IN_CHROOT = 4,
    IN_VFORK = 8,    /* it uses the memory of its parent */
    NO_THREADS = 32, /* a thread that does not exist here may hold locks of the C library */
};

enum {
    OPERATIONS = 24, /* of each process and thread */
    GENERATIONS = 3,
    SPAWNED = 24, /* at most so many processes are started for a seed */
    OPEN_AT_MOST = 50,
    THREADS = 3,
    CHILDREN = 8,
    PART = 100, /* descriptors of a part: one part for all users of a table, and one for each */
    PARTS = CHAOS_FDS / PART - 1,
    STACK = 256 << 10,
    NEVER_OPEN = CHAOS_FDS + 7,
};

struct child {
    pid_t pid;
    struct chaos_process *process;
};

struct actor {
    struct chaos_process *process;
    struct chaos_table *table;
    int part;            /* its own part of the table's descriptors */
    uint32_t seed, key;  /* key: identifies the list of operations */
    uint32_t index;      /* the index in the list */
    uint32_t op, random; /* the operation's number, and the state of its random numbers */
    pid_t pid, tid;      /* in the pid namespace of the first process */
    int number;          /* the index of the thread in its process */
    int generation;
    struct child child[CHILDREN];
    int children;
    pthread_t thread[THREADS];
    struct actor *in_thread[THREADS];
    int threads;
};

static struct chaos_journal *journal;

/* Makes a system call; returns its result or -errno. */
static long enter(long number, long a, long b, long c, long d, long e)
{
    long result;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
#elif defined(__i386__)
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    result = x0;
#elif defined(__arm__)
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    register long r3 __asm__("r3") = d;
    register long r4 __asm__("r4") = e;

    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4) : "memory");
    result = r0;
#else /* errno may be that of another process that shares the memory */
    result = syscall(number, a, b, c, d, e);
    result = result < 0 ? -errno : result;
#endif
    return result;
}

#define ENTER(number, a, b, c, d, e, ...)                                                          \
    enter((long)(number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define CALL(...) ENTER(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void fault(const char *what)
{
    snprintf(journal->fault, sizeof(journal->fault), "%s: %s", what, strerror(errno));
    CALL(SYS_exit_group, 1);
}

/* --- random numbers --- */

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint32_t x = a * 0x9e3779b1u ^ (b + 0x7f4a7c15u);

    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* A number from 0 to n - 1. */
static uint32_t roll(struct actor *actor, uint32_t n)
{
    actor->random = mix(actor->random, 1);
    return actor->random % n;
}

static bool is_kept(uint32_t op)
{
    for (uint32_t i = 0; i < journal->kept; i++) {
        if (journal->keep[i] == op)
            return true;
    }
    return journal->kept == 0;
}

/* --- the journal --- */

static uint64_t in_sequence(void)
{
    return atomic_fetch_add(&journal->sequence, 1) + 1;
}

static int32_t parent(const struct actor *actor)
{
    return actor->process->limits & NO_PARENT ? 0 : (int32_t)CALL(SYS_getppid);
}

static uint32_t number_of(const struct chaos_table *table)
{
    return (uint32_t)(table - journal->table);
}

static struct chaos_entry *begin(struct actor *actor, enum chaos_kind kind, const char *call,
                                 int fd, int other)
{
    uint32_t at = atomic_fetch_add(&journal->entries, 1);
    struct chaos_entry *entry = &journal->entry[at];

    if (at >= CHAOS_ENTRIES)
        fault("the journal is full");
    entry->kind = kind;
    entry->seed = actor->seed;
    entry->op = actor->op;
    entry->table = entry->now = number_of(actor->table);
    entry->pid = actor->pid;
    entry->tid = actor->tid;
    entry->ppid = parent(actor);
    entry->fd = fd;
    entry->other = other;
    CALL(SYS_prctl, PR_GET_NAME, entry->comm);
    strncpy(entry->call, call, sizeof(entry->call) - 1);
    entry->begin_us = clock_ns(CLOCK_REALTIME) / 1000;
    entry->begin_ns = clock_ns(CLOCK_MONOTONIC);
    entry->begin = in_sequence();
    return entry;
}

/* Returns the number with which the caller must call commit(). */
static uint64_t end(const struct actor *actor, struct chaos_entry *entry, long result)
{
    entry->result = (int32_t)result;
    entry->end_ns = clock_ns(CLOCK_MONOTONIC);
    entry->end_us = clock_ns(CLOCK_REALTIME) / 1000 + 1;
    uint64_t number = in_sequence();
    entry->end_ppid = parent(actor);
    return number;
}

static void commit(struct chaos_entry *entry, uint64_t number)
{
    atomic_store(&entry->end, number);
}

static void note(struct actor *actor, const char *call, long result)
{
    struct chaos_entry *entry = begin(actor, CHAOS_NOTE, call, -1, -1);

    commit(entry, end(actor, entry, result));
}

/* --- descriptors of the table --- */

static bool has_table_alone(const struct actor *actor)
{
    return atomic_load(&actor->table->parts) == 1u << actor->part;
}

/* Whether it is the only thread of its process, and the only user of its table. */
static bool alone(const struct actor *actor)
{
    return atomic_load(&actor->process->threads) == 0 && has_table_alone(actor);
}

static int own_first(const struct actor *actor)
{
    return (1 + actor->part) * PART;
}

static int own_last(const struct actor *actor)
{
    return own_first(actor) + PART - 1;
}

static bool is_own(const struct actor *actor, int fd)
{
    return fd >= own_first(actor) && fd <= own_last(actor);
}

static bool claim(struct actor *actor, int fd)
{
    uint8_t expected = FD_OPEN;

    return atomic_compare_exchange_strong(&actor->table->fd[fd], &expected, FD_TAKEN);
}

static void release(struct actor *actor, int fd)
{
    atomic_store(&actor->table->fd[fd], FD_OPEN);
}

static void remove_fd(struct actor *actor, int fd)
{
    atomic_store(&actor->table->fd[fd], FD_FREE);
}

/* Claims a random descriptor that this thread may use; -1: there is none. */
static int claim_any(struct actor *actor)
{
    int from = (int)roll(actor, 40);

    if (roll(actor, 3) == 0)
        from = own_first(actor);
    for (int i = 0; i < CHAOS_FDS; i++) {
        int fd = (from + i) % CHAOS_FDS;
        if ((has_table_alone(actor) || fd < PART || is_own(actor, fd)) && claim(actor, fd))
            return fd;
    }
    return -1;
}

static bool is_crowded(const struct actor *actor)
{
    int open = 0;

    for (int fd = 0; fd < CHAOS_FDS; fd++)
        open += atomic_load(&actor->table->fd[fd]) != FD_FREE;
    return open >= OPEN_AT_MOST;
}

static bool is_open(int fd)
{
    return CALL(SYS_fcntl, fd, F_GETFD) >= 0;
}

/* --- paths --- */

static long read_proc(const struct actor *actor, const char *link, char *path, size_t size)
{
    char name[64];
    long length;

    snprintf(name, sizeof(name), "/proc/%s", link);
    if (actor->process->limits & IN_CHROOT)
        length = CALL(SYS_readlinkat, PROC_FD, link, path, size - 1);
    else
        length = CALL(SYS_readlinkat, AT_FDCWD, name, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
    return length;
}

static void read_fd(const struct actor *actor, int fd, char *path, size_t size)
{
    char link[40];

    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "thread-self/cwd");
    else
        snprintf(link, sizeof(link), "thread-self/fd/%d", fd);
    read_proc(actor, link, path, size);
}

/* Makes the name of a failed open absolute, as filemon must report it. */
static void make_absolute(const struct actor *actor, int dirfd, const char *name, char *path)
{
    char base[CHAOS_PATH / 2] = "";

    path[0] = '\0';
    if (name == NULL)
        return;
    if (name[0] == '/') {
        snprintf(path, CHAOS_PATH, "%s", name);
        return;
    }
    read_fd(actor, dirfd, base, sizeof(base));
    if (name[0] == '\0' || base[0] == '\0') /* an empty name, or an invalid dirfd */
        snprintf(path, CHAOS_PATH, "%s%s", base, name);
    else
        snprintf(path, CHAOS_PATH, "%s/%s", strcmp(base, "/") == 0 ? "" : base, name);
}

static void find_numbers(struct actor *actor)
{
    char text[64];

    if (read_proc(actor, "thread-self", text, sizeof(text)) <= 0 ||
        sscanf(text, "%d/task/%d", &actor->pid, &actor->tid) != 2)
        fault("/proc/thread-self");
}

/* --- opening --- */

struct request {
    const char *call, *name;
    int dirfd;
    uint64_t flags;
    uint32_t mode;
    const int *again; /* the descriptor whose file is opened by its link in /proc; NULL: none */
};

static long call_openat2(const struct request *request)
{
    struct open_how how = {.flags = request->flags};

    if (request->flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
        how.mode = request->mode;
    return CALL(SYS_openat2, request->dirfd, request->name, &how, sizeof(how));
}

/* A handle names no mount.  Through the mount of DIRECTORY, which protect_outside() leaves
 * writable, it would open a file outside of DIRECTORY for writing, or a directory in which files
 * can be made. So it is only used for a file of the same mount as dirfd; else the call fails with
 * EINVAL. */
static long call_by_handle(const struct request *request)
{
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } name = {.handle.handle_bytes = MAX_HANDLE_SZ}, directory = name;
    int mount, own_mount;

    if (CALL(SYS_name_to_handle_at, request->dirfd, request->name, &name.handle, &mount, 0) != 0 ||
        CALL(SYS_name_to_handle_at, request->dirfd, "", &directory.handle, &own_mount,
             AT_EMPTY_PATH) != 0 ||
        mount != own_mount)
        name.handle.handle_bytes = 0;
    return CALL(SYS_open_by_handle_at, request->dirfd, &name.handle, (int)request->flags);
}

static long call_open(const struct request *request)
{
    switch (request->call[0]) {
#ifdef SYS_open
    case 'o': /* open */
        if (request->call[4] != '\0')
            break;
        return CALL(SYS_open, request->name, (int)request->flags, request->mode);
    case 'c': /* creat */
        return CALL(SYS_creat, request->name, request->mode);
#endif
    case 'b':
        return call_by_handle(request);
    case '2':
        return call_openat2(request);
    default:
        break;
    }
    return CALL(SYS_openat, request->dirfd, request->name, (int)request->flags, request->mode);
}

/* Whether the path of a descriptor has changed: when the last process of a mount namespace exits,
 * the paths of files that are open there change at once. */
static bool has_moved(const struct actor *actor, int fd, const char *before)
{
    char now[CHAOS_PATH];

    read_fd(actor, fd, now, sizeof(now));
    return strcmp(now, before) != 0;
}

/* Reads the name.  The names are in the file of the program, and a process that has not read them
 * yet may not have them in memory.  If the kernel then refuses the call before it reads the name,
 * filemon cannot read it either. */
static void touch_name(const char *name)
{
    for (const volatile char *at = name; *at != '\0'; at++)
        ;
}

static int do_open(struct actor *actor, const struct request *request)
{
    struct chaos_entry *entry = begin(actor, CHAOS_OPEN, request->call, request->dirfd, -1);
    int at = request->again != NULL ? *request->again : request->dirfd;
    char before[CHAOS_PATH], path[CHAOS_PATH] = "";
    uint64_t number;
    long result;

    entry->flags = request->flags;
    entry->mode = request->call[0] == 'b' ? 0 : request->mode; /* open_by_handle_at takes no mode */
    read_fd(actor, at, before, sizeof(before));
    touch_name(request->name);
    result = call_open(request);
    number = end(actor, entry, result);
    if (result >= 0)
        read_fd(actor, (int)result, path, sizeof(path));
    else if (request->call[0] != 'b') /* open_by_handle_at takes no name */
        make_absolute(actor, request->dirfd, request->name, path);
    /* If the thread is killed before this, its path is unknown. */
    if (!has_moved(actor, at, before))
        strcpy(entry->path, path);
    commit(entry, number);
    if (result >= 0)
        release(actor, (int)result);
    return (int)result;
}

static const char *const directories[] = {"sub", "sub/deep", "mnt", "root"};
static const char *const files[] = {"f0",          "f1",      "f2",          "sub/f0",     "sub/f1",
                                    "sub/deep/f0", "root/f0", "q\"\\\n\xff", "caf\xc3\xa9"};
static const char *const names[] = {
    "f0",
    "f1",
    "f2",
    "sub/f0",
    "sub/../f1",
    "sub/deep/f0",
    "sub/up/f2",
    "link",
    "dangling",
    "loop",
    "sub",
    ".",
    "sub/deep/../..",
    "fifo",
    "q\"\\\n\xff",
    "caf\xc3\xa9",
    "mnt/f0",
    "mnt",
    "mnt/deep/f0",
    "nothing",
    "f0/below",
    "",
    "sub//./f1",
    "root/f0",
    "node",
    "..",
    "../f0",
    "mnt/../f1",
    "huge",
};
static const char *const absolute_names[] = {
    "/dev/null",
    "/dev/zero",
    "/",
    "/proc/self/stat",
    "/proc/thread-self/status",
    "/dev",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/self/root",
    "/nothing",
};
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

static uint64_t some_flags(struct actor *actor)
{
    static const int extra[] = {O_CREAT,   O_EXCL,  O_TRUNC,     O_APPEND,   O_NONBLOCK,
                                O_SYNC,    O_DSYNC, O_DIRECTORY, O_NOFOLLOW, O_NOATIME,
                                O_CLOEXEC, O_PATH,  O_TMPFILE,   O_NOCTTY,   O_CLOEXEC};
    uint64_t flags = roll(actor, 3);

    for (uint32_t i = roll(actor, 3); i > 0; i--)
        flags |= (unsigned int)extra[roll(actor, COUNT(extra))];
    return flags | O_NONBLOCK; /* an open of a FIFO must not block */
}

static const char *some_name(struct actor *actor, bool relative, char *room, size_t size)
{
    const char *name = names[roll(actor, COUNT(names))];

    if (relative)
        return name;
    if (roll(actor, 5) == 0)
        return absolute_names[roll(actor, COUNT(absolute_names))];
    snprintf(room, size, "%s/%s", actor->process->base, name);
    return room;
}

static void op_open(struct actor *actor)
{
    static const char *const calls[] = {"open",         "openat", "2 openat2", "creat",
                                        "by_handle_at", "openat", "openat"};
    char room[CHAOS_PATH / 2];
    struct request request = {.call = calls[roll(actor, COUNT(calls))], .dirfd = AT_FDCWD};

    if (is_crowded(actor))
        return;
    request.name = some_name(actor, roll(actor, 2), room, sizeof(room));
    request.flags = some_flags(actor);
    request.mode = roll(actor, 01000);
    if (request.call[0] == 'c') {
        if (strstr(request.name, "fifo") != NULL) /* would block */
            return;
        request.flags = O_CREAT | O_WRONLY | O_TRUNC;
    }
    do_open(actor, &request);
}

/* Opens a name relative to a descriptor, which may be no directory, or closed. */
static void op_open_at(struct actor *actor)
{
    char room[CHAOS_PATH / 2];
    struct request request = {.call = roll(actor, 2) ? "openat" : "2 openat2"};
    int at = is_crowded(actor) ? -1 : claim_any(actor);

    if (at < 0)
        return;
    request.name = some_name(actor, roll(actor, 4), room, sizeof(room));
    request.dirfd = roll(actor, 8) ? at : NEVER_OPEN;
    request.flags = some_flags(actor);
    request.mode = roll(actor, 01000);
    do_open(actor, &request);
    release(actor, at);
}

static void op_open_directory(struct actor *actor)
{
    const char *name = directories[roll(actor, COUNT(directories))];
    struct request request = {"openat", name, AT_FDCWD, O_DIRECTORY, 0, NULL};

    request.flags |= roll(actor, 2) ? O_CLOEXEC : 0;
    if (!is_crowded(actor))
        do_open(actor, &request);
}

/* Opens the file of another descriptor by its link in /proc. */
static void op_open_anew(struct actor *actor)
{
    char name[64];
    struct request request = {"openat", name, PROC_FD, O_RDONLY | O_NONBLOCK, 0, NULL};
    int fd = is_crowded(actor) || actor->process->limits & NO_PROC ? -1 : claim_any(actor);

    if (fd < 0)
        return;
    snprintf(name, sizeof(name), "thread-self/fd/%d", fd);
    request.again = &fd;
    do_open(actor, &request);
    release(actor, fd);
}

static void open_new(struct actor *actor, const char *name)
{
    struct request request = {"openat", name, AT_FDCWD, O_RDWR | O_CREAT, 0600, NULL};

    request.flags |= roll(actor, 2) ? O_CLOEXEC : O_EXCL;
    do_open(actor, &request);
}

/* Creates a file, which no other thread opens, and renames or unlinks it while it is open. */
static void op_unlink_open_file(struct actor *actor)
{
    char name[32], other[32];

    if (is_crowded(actor) || !alone(actor))
        return;
    snprintf(name, sizeof(name), "new-%08x", actor->op);
    snprintf(other, sizeof(other), "sub/old-%08x", actor->op);
    open_new(actor, name);
    if (roll(actor, 2))
        note(actor, "rename", CALL(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, other, 0));
    else
        note(actor, "unlink", CALL(SYS_unlinkat, AT_FDCWD, name, 0));
    op_open_anew(actor);
}

/* --- closing --- */

static void do_close(struct actor *actor, int fd)
{
    struct chaos_entry *entry = begin(actor, CHAOS_CLOSE, "close", fd, -1);

    remove_fd(actor, fd);
    commit(entry, end(actor, entry, CALL(SYS_close, fd)));
}

static void op_close(struct actor *actor)
{
    int fd = claim_any(actor);

    if (fd >= 0)
        do_close(actor, fd);
}

static void op_close_nothing(struct actor *actor)
{
    struct chaos_entry *entry = begin(actor, CHAOS_CLOSE, "close", NEVER_OPEN, -1);

    commit(entry, end(actor, entry, CALL(SYS_close, NEVER_OPEN)));
}

static void remove_range(struct actor *actor, unsigned int first, unsigned int last)
{
    for (unsigned int fd = first; fd <= last && fd < CHAOS_FDS; fd++)
        remove_fd(actor, (int)fd);
}

static void check_table(struct actor *actor);

/* With CLOSE_RANGE_UNSHARE the thread is the only user of the table in which the call closes. */
static void do_range(struct actor *actor, unsigned int first, unsigned int last, unsigned int flags)
{
    bool closes = !(flags & CLOSE_RANGE_CLOEXEC), shared = !(flags & CLOSE_RANGE_UNSHARE);
    struct chaos_table *table = actor->table;
    struct chaos_entry *entry = begin(actor, closes ? CHAOS_RANGE : CHAOS_CLOSER,
                                      shared ? "close_range" : "close_range own", (int)first,
                                      (int)last);
    uint64_t number;

    if (closes && shared)
        remove_range(actor, first, last);
    number = end(actor, entry, CALL(SYS_close_range, first, last, flags));
    if (!shared)
        check_table(actor);
    if (closes && actor->table == table)
        remove_range(actor, first, last);
    entry->now = number_of(actor->table);
    commit(entry, number);
}

static void op_range(struct actor *actor)
{
    static const unsigned int flags[] = {0, 0, CLOSE_RANGE_CLOEXEC};
    unsigned int first = roll(actor, 60), last = first + roll(actor, 20);

    if (!has_table_alone(actor) || roll(actor, 2)) {
        first = (unsigned int)own_first(actor) + roll(actor, PART);
        last = first + roll(actor, (unsigned int)own_last(actor) + 1 - first);
    }
    do_range(actor, first, last, flags[roll(actor, COUNT(flags))]);
}

static void op_range_own(struct actor *actor)
{
    unsigned int first = roll(actor, 2) ? roll(actor, CHAOS_FDS) : roll(actor, 30);
    unsigned int last = first + roll(actor, CHAOS_FDS - first);

    if (!(actor->process->limits & NO_PROC))
        do_range(actor, first, last,
                 CLOSE_RANGE_UNSHARE | (roll(actor, 2) ? CLOSE_RANGE_CLOEXEC : 0));
}

/* Closes all descriptors, as daemons do. */
static void op_range_all(struct actor *actor)
{
    if (!alone(actor) || actor->process->limits & (IN_CHROOT | NO_PROC) || roll(actor, 3))
        return;
    actor->process->limits |= NO_PROC;
    do_range(actor, roll(actor, 4), ~0u, 0);
}

/* --- copies --- */

static void do_copy(struct actor *actor, const char *call, int fd, long number, int command,
                    int least)
{
    struct chaos_entry *entry = begin(actor, CHAOS_DUP, call, fd, least);
    long result;

    entry->flags = command == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0;
    result = number == SYS_dup ? CALL(SYS_dup, fd) : CALL(number, fd, command, least);
    commit(entry, end(actor, entry, result));
    release(actor, fd);
    if (result >= 0)
        release(actor, (int)result);
}

#ifdef SYS_fcntl64
#define SYS_FCNTL SYS_fcntl64
#else
#define SYS_FCNTL SYS_fcntl
#endif

static void op_dup(struct actor *actor)
{
    int fd = is_crowded(actor) ? -1 : claim_any(actor);
    int least = own_first(actor) + (int)roll(actor, 40);

    if (fd < 0)
        return;
    switch (roll(actor, 3)) {
    case 0:
        do_copy(actor, "dup", fd, SYS_dup, 0, 0);
        break;
    case 1:
        do_copy(actor, "fcntl", fd, SYS_FCNTL, F_DUPFD, least);
        break;
    default:
        do_copy(actor, "fcntl cloexec", fd, SYS_FCNTL, F_DUPFD_CLOEXEC, least);
    }
}

static void do_dup2(struct actor *actor, int fd, int onto, int flags)
{
    struct chaos_entry *entry = begin(actor, CHAOS_DUP2, flags < 0 ? "dup2" : "dup3", fd, onto);
    long result;

    entry->flags = flags > 0 ? O_CLOEXEC : 0;
#ifdef SYS_dup2
    result = flags < 0 ? CALL(SYS_dup2, fd, onto) : CALL(SYS_dup3, fd, onto, flags);
#else
    result = CALL(SYS_dup3, fd, onto, flags < 0 ? 0 : flags);
#endif
    commit(entry, end(actor, entry, result));
    release(actor, fd);
    release(actor, onto);
}

/* Copies onto itself, onto a free descriptor, or onto an open one. */
static void op_dup2(struct actor *actor)
{
    static const int flags[] = {-1, -1, 0, O_CLOEXEC};
    int fd = is_crowded(actor) ? -1 : claim_any(actor), onto = fd;
    int how = flags[roll(actor, COUNT(flags))];

    if (fd < 0)
        return;
    switch (roll(actor, 5)) {
    case 0:
        break;
    case 1:
        onto = own_first(actor) + (int)roll(actor, PART);
        if (onto != fd && !claim(actor, onto) && atomic_load(&actor->table->fd[onto]) != FD_FREE)
            onto = fd;
        break;
    default:
        onto = claim_any(actor);
        onto = onto < 0 ? fd : onto;
    }
    do_dup2(actor, fd, onto, how);
}

static void op_cloexec(struct actor *actor)
{
    int fd = claim_any(actor), on = (int)roll(actor, 2);
    struct chaos_entry *entry;

    if (fd < 0)
        return;
    entry = begin(actor, CHAOS_CLOEXEC, on ? "cloexec" : "no cloexec", fd, on);
    commit(entry, end(actor, entry, CALL(SYS_FCNTL, fd, F_SETFD, on ? FD_CLOEXEC : 0)));
    release(actor, fd);
}

/* --- descriptors that were not opened --- */

static int end_get(struct actor *actor, struct chaos_entry *entry, long result)
{
    commit(entry, end(actor, entry, result));
    if (result >= 0)
        release(actor, (int)result);
    return (int)result;
}

static struct chaos_entry *begin_get(struct actor *actor, const char *call)
{
    return begin(actor, CHAOS_GET, call, -1, -1);
}

static void end_get_pair(struct actor *actor, const char *call, long result, const int pair[2])
{
    for (int i = 0; i < 2; i++)
        end_get(actor, begin_get(actor, call), result < 0 ? result : pair[i]);
}

static void op_create_other(struct actor *actor)
{
    int pair[2] = {-1, -1};

    if (is_crowded(actor))
        return;
    switch (roll(actor, 4)) {
    case 0:
        end_get_pair(actor, "pipe2", CALL(SYS_pipe2, pair, roll(actor, 2) ? O_CLOEXEC : 0), pair);
        break;
    case 1:
        end_get(actor, begin_get(actor, "memfd_create"), CALL(SYS_memfd_create, "chaos", 0));
        break;
    case 2:
        end_get(actor, begin_get(actor, "eventfd2"), CALL(SYS_eventfd2, 0, EFD_CLOEXEC));
        break;
    default:
        end_get(actor, begin_get(actor, "socket"), CALL(SYS_socket, AF_UNIX, SOCK_DGRAM, 0));
    }
}

union control {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

static void message_of(struct msghdr *message, struct iovec *byte, union control *control)
{
    *message = (struct msghdr){
        .msg_iov = byte,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(*control),
    };
}

static long send_descriptor(int socket, int fd)
{
    char one = 1;
    struct iovec byte = {&one, 1};
    union control control = {0};
    struct msghdr message;

    message_of(&message, &byte, &control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return CALL(SYS_sendmsg, socket, &message, 0);
}

static long receive_descriptor(int socket, int flags)
{
    char one;
    struct iovec byte = {&one, 1};
    union control control = {0};
    struct msghdr message;
    int fd = -1;

    message_of(&message, &byte, &control);
    if (CALL(SYS_recvmsg, socket, &message, flags) > 0 && CMSG_FIRSTHDR(&message) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

/* O_LARGEFILE, which 64-bit kernels add: in <fcntl.h> of the C library it can be 0. */
#if defined(__aarch64__) || defined(__arm__)
#define KERNEL_LARGEFILE 0400000
#else
#define KERNEL_LARGEFILE 0100000 /* asm-generic/fcntl.h */
#endif

static uint64_t flags_of(int fd)
{
    return (uint64_t)CALL(SYS_FCNTL, fd, F_GETFL) & ~(uint64_t)(KERNEL_LARGEFILE | O_CLOEXEC);
}

struct reception {
    struct chaos_entry *entry;
    int flags;
    char path[CHAOS_PATH]; /* of the descriptor that is sent */
};

static struct reception begin_receive(struct actor *actor, const char *call, int fd, int flags)
{
    struct reception reception = {.flags = flags};

    read_fd(actor, fd, reception.path, sizeof(reception.path));
    reception.entry = begin(actor, CHAOS_RECEIVE, call, fd, -1);
    reception.entry->flags = CHAOS_FLAGS_UNKNOWN;
    return reception;
}

/*
 * Pipes and the like have no record.  pidfd_getfd(2) uses the table of the process's first thread,
 * which may differ from the table of this thread: so path and flags are read from the received
 * descriptor.
 */
static void end_receive(struct actor *actor, const struct reception *reception, long result)
{
    struct chaos_entry *entry = reception->entry;
    uint64_t number = end(actor, entry, result);

    if (result >= 0) {
        read_fd(actor, (int)result, entry->path, CHAOS_PATH);
        entry->flags = flags_of((int)result) | (unsigned int)reception->flags;
        entry->kind = entry->path[0] == '/' ? CHAOS_RECEIVE : CHAOS_GET;
        if (strcmp(entry->path, reception->path) != 0 ||
            has_moved(actor, entry->fd, reception->path))
            entry->path[0] = '\0';
    }
    commit(entry, number);
    if (result >= 0)
        release(actor, (int)result);
}

/* Sends a descriptor to its own process, and receives a copy. */
static void op_pass(struct actor *actor)
{
    int pair[2] = {-1, -1}, fd = is_crowded(actor) ? -1 : claim_any(actor);
    long result;

    if (fd < 0)
        return;
    result = CALL(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair);
    if (result == 0 && send_descriptor(pair[0], fd) > 0) {
        int flags = roll(actor, 2) ? MSG_CMSG_CLOEXEC : 0;
        struct reception reception = begin_receive(actor, "recvmsg", fd,
                                                   flags != 0 ? O_CLOEXEC : 0);

        end_receive(actor, &reception, receive_descriptor(pair[1], flags));
    }
    for (int i = 0; i < 2 && result == 0; i++) {
        atomic_store(&actor->table->fd[pair[i]], FD_TAKEN);
        do_close(actor, pair[i]);
    }
    release(actor, fd);
}

static void op_pidfd_getfd(struct actor *actor)
{
    int fd = is_crowded(actor) ? -1 : claim_any(actor);
    long pidfd;

    if (fd < 0)
        return;
    pidfd = CALL(SYS_pidfd_open, CALL(SYS_getpid), 0);
    if (pidfd >= 0) {
        struct reception reception = begin_receive(actor, "pidfd_getfd", fd, O_CLOEXEC);

        end_receive(actor, &reception, CALL(SYS_pidfd_getfd, pidfd, fd, 0));
        atomic_store(&actor->table->fd[pidfd], FD_TAKEN);
        do_close(actor, (int)pidfd);
    }
    release(actor, fd);
}

static void play(struct actor *actor);

/* --- tables --- */

static struct chaos_table *new_table(const struct chaos_table *from)
{
    uint32_t at = atomic_fetch_add(&journal->tables, 1);
    struct chaos_table *table = &journal->table[at];

    if (at >= CHAOS_TABLES)
        fault("too many tables");
    atomic_store(&table->parts, 1);
    table->used = from->used | 1;
    return table;
}

/* Claims a free part of the table; -1: there is none. */
static int claim_part(struct chaos_table *table)
{
    for (int part = 0; part < PARTS; part++) {
        if (atomic_fetch_or(&table->parts, 1u << part) >> part & 1)
            continue;
        table->used |= 1u << part;
        return part;
    }
    return -1;
}

/* Only descriptors of parts that ever had a user can be open. */
static bool may_be_open(const struct chaos_table *table, int fd)
{
    return fd < PART || table->used >> (fd / PART - 1) & 1;
}

/* Finds the open descriptors of a copied table: other users may have changed the table until the
 * copy was made. */
static void find_open(struct actor *actor)
{
    for (int fd = 0; fd < CHAOS_FDS; fd++) {
        bool open = may_be_open(actor->table, fd) && is_open(fd);
        atomic_store(&actor->table->fd[fd], open ? FD_OPEN : FD_FREE);
    }
}

/*
 * The kernel does not say whether two threads have the same table.  But locks of fcntl(2) belong to
 * a table: each table locks the byte of its number.
 */
static long lock_table(const struct chaos_table *table, int command)
{
    struct flock64 lock = {.l_type = F_WRLCK, .l_start = number_of(table), .l_len = 1};
    long result = CALL(SYS_FCNTL, JOURNAL_FD, command, &lock);

    return result < 0 ? result : lock.l_type;
}

static void begin_table(struct actor *actor)
{
    find_open(actor);
    if (!(actor->process->limits & NO_PROC) && lock_table(actor->table, F_SETLK64) < 0)
        fault("a table cannot be locked");
}

/* Whether the thread still has this table: F_GETLK does not report locks of one's own table, but
 * F_OFD_GETLK does.  Otherwise another table has the lock, or the old one was freed. */
static bool has_table(const struct chaos_table *table)
{
    return lock_table(table, F_GETLK64) == F_UNLCK && lock_table(table, F_OFD_GETLK) != F_UNLCK;
}

static void leave_table(const struct actor *actor)
{
    uint32_t others = ~(1u << actor->part);

    atomic_fetch_and(&actor->table->parts, others);
    if (number_of(actor->table) == atomic_load(&actor->process->table))
        atomic_fetch_and(&actor->process->parts, others);
}

static void leave_with_all(struct chaos_process *process)
{
    struct chaos_table *table = &journal->table[atomic_load(&process->table)];

    atomic_fetch_and(&table->parts, ~atomic_exchange(&process->parts, 0));
}

/* Makes the thread's table that of the process, if no thread has that of the process any more. */
static void adopt_table(const struct actor *actor)
{
    uint32_t none = 0;

    if (atomic_compare_exchange_strong(&actor->process->parts, &none, 1u << actor->part))
        atomic_store(&actor->process->table, number_of(actor->table));
}

static void use_copy(struct actor *actor)
{
    actor->table = new_table(actor->table);
    actor->part = 0;
    adopt_table(actor);
    begin_table(actor);
}

/* Finds out whether the last call gave the thread a copy of its table. */
static void check_table(struct actor *actor)
{
    if (has_table(actor->table))
        return;
    leave_table(actor);
    use_copy(actor);
}

static void op_unshare(struct actor *actor)
{
    struct chaos_entry *entry;
    uint64_t number;

    if (actor->process->limits & NO_PROC)
        return;
    entry = begin(actor, CHAOS_UNSHARE, "unshare files", -1, -1);
    number = end(actor, entry, CALL(SYS_unshare, CLONE_FILES));
    check_table(actor);
    entry->now = number_of(actor->table);
    commit(entry, number);
}

/* --- processes and threads --- */

static bool may_spawn(const struct actor *actor)
{
    return actor->generation > 0 && actor->children < CHILDREN &&
           !(actor->process->limits & IN_VFORK) && atomic_load(&journal->spawned) < SPAWNED;
}

static void start(struct actor *actor, const char *call)
{
    struct chaos_entry *entry;

    find_numbers(actor);
    entry = begin(actor, CHAOS_START, call, -1, -1);
    commit(entry, end(actor, entry, 0));
}

static struct chaos_process *new_process(const struct chaos_process *parent)
{
    uint32_t at = atomic_fetch_add(&journal->processes, 1);
    struct chaos_process *process = &journal->process[at];

    if (at >= CHAOS_PROCESSES)
        fault("too many processes");
    atomic_fetch_add(&journal->spawned, 1);
    memcpy(process->base, parent->base, sizeof(process->base));
    process->limits = parent->limits & ~(uint32_t)NEW_NAMESPACE;
    if (parent->limits & NEW_NAMESPACE)
        process->limits |= NO_PARENT;
    return process;
}

/* Prepares the first thread of a new process, which shares its parent's table or has a copy. */
static bool prepare_child(struct actor *child, const struct actor *parent, bool shares,
                          uint32_t limits)
{
    int part = shares ? claim_part(parent->table) : 0;

    if (part < 0)
        return false;
    *child = (struct actor){.process = new_process(parent->process),
                            .table = shares ? parent->table : new_table(parent->table),
                            .part = part,
                            .seed = parent->seed,
                            .key = mix(parent->op, 2),
                            .op = parent->op,
                            .generation = parent->generation - 1};
    child->process->limits |= limits;
    atomic_store(&child->process->table, number_of(child->table));
    atomic_store(&child->process->parts, 1u << part);
    return true;
}

/* Runs the operations of a child. */
static void run_child(struct actor *child, const char *call)
{
    start(child, call);
    play(child);
}

static void run_child_with_copy(struct actor *child, const char *call)
{
    begin_table(child);
    run_child(child, call);
}

static void add_child(struct actor *actor, const struct actor *child, const char *call, long pid)
{
    note(actor, call, pid);
    if (pid > 0)
        actor->child[actor->children++] = (struct child){(pid_t)pid, child->process};
    else
        leave_with_all(child->process);
}

static void spawn(struct actor *actor, const char *call)
{
    struct actor child;
    long pid;

    if (!may_spawn(actor) || !prepare_child(&child, actor, false, 0))
        return;
    pid = actor->process->limits & NO_THREADS ? CALL(SYS_clone, SIGCHLD) : fork();
    if (pid == 0)
        run_child_with_copy(&child, call);
    add_child(actor, &child, call, pid);
}

static void op_fork(struct actor *actor)
{
    spawn(actor, "fork");
}

/* Returns a stack for a process that runs in its parent's memory.  The actor is at its bottom. */
static struct actor *new_stack(void)
{
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (stack == MAP_FAILED)
        fault("mmap");
    return stack;
}

static long clone_in_memory(int (*run)(void *), struct actor *child, int flags)
{
    return clone(run, (char *)child + STACK, CLONE_VM | flags | SIGCHLD, child);
}

static int run_in_vfork(void *child)
{
    run_child_with_copy(child, "vfork");
    return 0;
}

static void op_vfork(struct actor *actor)
{
    struct actor *child;

    if (!may_spawn(actor))
        return;
    child = new_stack();
    if (prepare_child(child, actor, false, IN_VFORK))
        add_child(actor, child, "vfork", clone_in_memory(run_in_vfork, child, CLONE_VFORK));
    munmap(child, STACK);
}

/* --- processes that share their parent's table --- */

static int run_in_memory(void *child)
{
    run_child(child, "share vm");
    return 0;
}

/* The stack is not freed: the child may run longer than its parent. */
static void share_memory(struct actor *actor, int flags)
{
    struct actor *child = new_stack();
    uint32_t limits = flags & CLONE_VFORK ? IN_VFORK : NO_THREADS;

    if (prepare_child(child, actor, true, limits))
        add_child(actor, child, "share vm",
                  clone_in_memory(run_in_memory, child, CLONE_FILES | flags));
    else
        munmap(child, STACK);
}

static long clone_files(unsigned int flags, bool newer)
{
    struct clone_args args = {.flags = CLONE_FILES | flags, .exit_signal = SIGCHLD};

    if (newer)
        return CALL(SYS_clone3, &args, sizeof(args));
    return CALL(SYS_clone, CLONE_FILES | flags | SIGCHLD);
}

static void share_files(struct actor *actor, unsigned int flags)
{
    uint32_t threads = (uint32_t)atomic_load(&actor->process->threads);
    struct actor child;
    long pid;

    if (!prepare_child(&child, actor, true, threads > 0 ? NO_THREADS : 0))
        return;
    pid = clone_files(flags, roll(actor, 2));
    if (pid == 0)
        run_child(&child, "share");
    add_child(actor, &child, "share", pid);
}

static void op_share(struct actor *actor)
{
    int flags = roll(actor, 3) == 0 ? CLONE_VFORK : 0;

    if (!may_spawn(actor))
        return;
    if (roll(actor, 2))
        share_memory(actor, flags);
    else
        share_files(actor, (unsigned int)flags);
}

static void op_pid_namespace(struct actor *actor)
{
    if (!alone(actor) || !may_spawn(actor) || CALL(SYS_unshare, CLONE_NEWPID) != 0)
        return;
    actor->process->limits |= NEW_NAMESPACE;
    spawn(actor, "fork pidns");
}

static void *run_in_thread(void *given)
{
    run_child(given, "thread");
    return NULL;
}

static void start_thread(struct actor *actor, int number)
{
    static struct actor room[CHAOS_PROCESSES / 64]; /* a killed thread may hold malloc(3)'s lock */
    static _Atomic uint32_t used;
    struct actor *thread = &room[atomic_fetch_add(&used, 1) % COUNT(room)];
    int part = claim_part(actor->table);

    if (part < 0)
        return;
    *thread = (struct actor){.process = actor->process,
                             .table = actor->table,
                             .part = part,
                             .seed = actor->seed,
                             .key = mix(actor->op, 2 + (uint32_t)number),
                             .op = actor->op,
                             .number = number,
                             .generation = actor->generation};
    if (number_of(actor->table) == atomic_load(&actor->process->table))
        atomic_fetch_or(&actor->process->parts, 1u << part);
    if (pthread_create(&actor->thread[actor->threads], NULL, run_in_thread, thread) == 0)
        actor->in_thread[actor->threads++] = thread;
    else
        leave_table(thread);
}

static void op_threads(struct actor *actor)
{
    struct chaos_entry *entry;

    if (actor->number > 0 || atomic_load(&actor->process->threads) > 0 ||
        actor->process->limits & (IN_VFORK | NO_THREADS))
        return;
    atomic_store(&actor->process->threads, THREADS);
    entry = begin(actor, CHAOS_THREADS, "threads", -1, -1);
    for (int number = 1; number <= THREADS; number++)
        start_thread(actor, number);
    commit(entry, end(actor, entry, actor->threads));
}

/* Only the first thread starts others. */
static void op_join(struct actor *actor)
{
    if (actor->threads == 0)
        return;
    while (actor->threads > 0) {
        pthread_join(actor->thread[--actor->threads], NULL);
        leave_table(actor->in_thread[actor->threads]);
    }
    atomic_store(&actor->process->threads, 0);
    note(actor, "join", 0);
}

static void wait_for(const struct child *child)
{
    long result;

    do {
        result = CALL(SYS_wait4, child->pid, NULL, __WALL, NULL);
    } while (result == -EINTR);
    if (result == child->pid)
        leave_with_all(child->process);
}

static void op_kill(struct actor *actor)
{
    const struct child *child;

    if (actor->children == 0)
        return;
    child = &actor->child[--actor->children];
    note(actor, "kill", CALL(SYS_kill, child->pid, SIGKILL));
    wait_for(child);
}

static void op_wait(struct actor *actor)
{
    while (actor->children > 0)
        wait_for(&actor->child[--actor->children]);
}

/* --- exec --- */

static void op_exec_nothing(struct actor *actor)
{
    char *argv[] = {"nothing", NULL};
    struct chaos_entry *entry = begin(actor, CHAOS_EXEC, "execve", -1, -1);

    commit(entry, end(actor, entry, CALL(SYS_execve, "/dev/null/nothing", argv, argv + 1)));
}

/* The arguments of the executed program that hold the state of the actor. */
enum { RESUME_WORDS = 7 };

static void op_exec(struct actor *actor)
{
    char text[RESUME_WORDS][16];
    char *argv[RESUME_WORDS + 2] = {"fdchaos"};
    char *none[] = {NULL};
    const uint32_t values[RESUME_WORDS] = {(uint32_t)(actor->process - journal->process),
                                           number_of(actor->table),
                                           (uint32_t)actor->part,
                                           actor->seed,
                                           actor->key,
                                           actor->index + 1,
                                           (uint32_t)actor->generation};
    struct chaos_entry *entry;
    long result;

    if (actor->process->limits & NO_PROC)
        return;
    for (int i = 0; i < RESUME_WORDS; i++) {
        snprintf(text[i], sizeof(text[i]), "%u", values[i]);
        argv[i + 1] = text[i];
    }
    entry = begin(actor, CHAOS_EXEC, "execve", -1, -1);
    if (actor->process->limits & IN_CHROOT || roll(actor, 2))
        result = CALL(SYS_execveat, PROGRAM_FD, "", argv, none, AT_EMPTY_PATH);
    else
        result = CALL(SYS_execve, journal->program, argv, none);
    commit(entry, end(actor, entry, result));
}

/* Finds the descriptors that are open after an exec.  Another thread may have been killed during a
 * call on one: that one is not used again. */
static void find_open_after_exec(struct actor *actor)
{
    for (int fd = 0; fd < CHAOS_FDS; fd++) {
        bool known = atomic_load(&actor->table->fd[fd]) == FD_OPEN;
        bool open = may_be_open(actor->table, fd) && is_open(fd);
        atomic_store(&actor->table->fd[fd], !open ? FD_FREE : known ? FD_OPEN : FD_UNKNOWN);
    }
}

/* After an exec: the exec has ended the other threads, and copied the table if another process
 * shared it. */
static void keep_table_or_leave(struct actor *actor)
{
    if (has_table(actor->table)) {
        leave_with_all(actor->process);
        atomic_fetch_or(&actor->table->parts, 1u << actor->part);
        adopt_table(actor);
    } else {
        leave_table(actor);
        leave_with_all(actor->process);
        use_copy(actor);
    }
}

static void map_journal(void);

static void resume(char **argv)
{
    struct actor actor = {0};
    struct chaos_table *before;
    struct chaos_entry *entry;
    uint32_t value[RESUME_WORDS];

    for (int i = 0; i < RESUME_WORDS; i++)
        value[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
    map_journal();
    actor.process = &journal->process[value[0]];
    actor.process->limits &= ~(uint32_t)(IN_VFORK | NO_THREADS);
    atomic_store(&actor.process->threads, 0);
    actor.table = before = &journal->table[value[1]];
    actor.part = (int)value[2];
    actor.seed = value[3];
    actor.key = value[4];
    actor.index = value[5];
    actor.generation = (int)value[6];
    actor.op = mix(actor.key, actor.index - 1);
    find_numbers(&actor);
    keep_table_or_leave(&actor);
    entry = begin(&actor, CHAOS_EXECUTED, "executed", -1, -1);
    if (actor.table == before)
        find_open_after_exec(&actor);
    commit(entry, end(&actor, entry, 0));
    play(&actor);
}

/* --- roots, mounts, names of threads --- */

static void op_chroot(struct actor *actor)
{
    if (!alone(actor) || actor->process->limits & (IN_CHROOT | NO_PROC | IN_VFORK))
        return;
    if (CALL(SYS_chroot, "root") != 0 || CALL(SYS_chdir, "/") != 0)
        return;
    actor->process->limits |= IN_CHROOT;
    actor->process->base[0] = '\0';
    note(actor, "chroot", 0);
}

static void op_mount(struct actor *actor)
{
    long result;

    if (!alone(actor) || actor->process->limits & IN_VFORK || CALL(SYS_unshare, CLONE_NEWNS) != 0)
        return;
    CALL(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    switch (roll(actor, 4)) {
    case 0:
        result = CALL(SYS_mount, "sub", "mnt", NULL, MS_BIND, NULL);
        break;
    case 1:
        result = CALL(SYS_mount, "none", "mnt", "tmpfs", 0, NULL);
        break;
    case 2:
        result = CALL(SYS_mount, "f0", "f1", NULL, MS_BIND, NULL);
        break;
    default:
        result = CALL(SYS_mount, "none", "mnt", "overlay", MS_RDONLY, "lowerdir=sub:root");
    }
    note(actor, "mount", result);
}

static void op_rename(struct actor *actor)
{
    static const char *const comms[] = {"a", "b) S 1", "c\"\\\n", "fifteen bytes.."};
    const char *comm = comms[roll(actor, COUNT(comms))];
    struct chaos_entry *entry = begin(actor, CHAOS_NOTE, "comm", -1, -1);
    uint64_t number = end(actor, entry, CALL(SYS_prctl, PR_SET_NAME, comm));

    snprintf(entry->comm, sizeof(entry->comm), "%s", comm);
    commit(entry, number);
}

/* --- exits --- */

static void op_exit(struct actor *actor)
{
    note(actor, "exit_group", 0);
    CALL(SYS_exit_group, 0);
}

/* Exits the thread.  The exit of the last thread ends the process. */
static void op_exit_thread(struct actor *actor)
{
    note(actor, "exit", 0);
    CALL(SYS_exit, 0);
}

static void op_kill_self(struct actor *actor)
{
    static const int signals[] = {SIGKILL, SIGSEGV, SIGTERM};

    note(actor, "killed", 0);
    CALL(SYS_kill, CALL(SYS_getpid), signals[roll(actor, COUNT(signals))]);
    if (CALL(SYS_getpid) != 1)
        CALL(SYS_exit_group, 0);
}

static const struct {
    void (*run)(struct actor *actor);
    uint32_t weight;
} operations[] = {
    {op_open, 22},
    {op_open_at, 6},
    {op_open_directory, 4},
    {op_open_anew, 4},
    {op_unlink_open_file, 3},
    {op_close, 20},
    {op_close_nothing, 1},
    {op_range, 4},
    {op_range_own, 2},
    {op_range_all, 1},
    {op_dup, 8},
    {op_dup2, 9},
    {op_cloexec, 3},
    {op_create_other, 3},
    {op_pass, 2},
    {op_pidfd_getfd, 2},
    {op_fork, 5},
    {op_vfork, 2},
    {op_share, 3},
    {op_pid_namespace, 1},
    {op_threads, 3},
    {op_join, 2},
    {op_kill, 2},
    {op_wait, 1},
    {op_exec, 3},
    {op_exec_nothing, 1},
    {op_chroot, 1},
    {op_mount, 2},
    {op_unshare, 3},
    {op_rename, 2},
    {op_exit, 1},
    {op_exit_thread, 1},
    {op_kill_self, 1},
};

static void operate(struct actor *actor)
{
    uint32_t sum = 0, point;
    size_t i = 0;

    for (size_t j = 0; j < COUNT(operations); j++)
        sum += operations[j].weight;
    point = roll(actor, sum);
    while (point >= operations[i].weight)
        point -= operations[i++].weight;
    operations[i].run(actor);
}

/* Runs the list of operations.  Threads then return; processes exit. */
static void play(struct actor *actor)
{
    for (; actor->index < OPERATIONS; actor->index++) {
        actor->op = mix(actor->key, actor->index);
        actor->random = actor->op;
        if (is_kept(actor->op))
            operate(actor);
    }
    if (actor->number > 0)
        return;
    /* Otherwise its children outlive it, and its exit kills its threads. */
    if (mix(actor->key, 3) % 4 != 0) {
        op_join(actor);
        op_wait(actor);
    }
    if (mix(actor->key, 4) % 4 == 0)
        CALL(SYS_exit, 0);
    CALL(SYS_exit_group, 0);
}

/* --- the first process --- */

static void map_journal(void)
{
    journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, JOURNAL_FD, 0);
    if (journal == MAP_FAILED)
        _exit(1);
}

static void write_file(const char *path)
{
    if (mknod(path, S_IFREG | 0644, 0) != 0)
        fault(path);
}

#define HUGE ((off64_t)3 << 30)

static void make_tree(void)
{
    for (size_t i = 0; i < COUNT(directories); i++)
        mkdir(directories[i], 0755);
    mkdir("root/sub", 0755);
    mkdir("root/mnt", 0755);
    for (size_t i = 0; i < COUNT(files); i++)
        write_file(files[i]);
    write_file("root/sub/f0");
    write_file("root/sub/f1");
    if (symlink("sub/f0", "link") != 0 || symlink("none", "dangling") != 0 ||
        symlink("loop", "loop") != 0 || symlink("..", "sub/up") != 0 || mkfifo("fifo", 0600) != 0 ||
        mknod("node", S_IFCHR | 0600, 0) != 0)
        fault("tree");
    /* Too large for a 32-bit program that does not say O_LARGEFILE. */
    write_file("huge");
    if (truncate64("huge", HUGE) != 0)
        fault("huge");
}

/* Moves a descriptor to a high number. */
static void move_to(struct actor *actor, int fd, int number)
{
    struct chaos_entry *entry = begin(actor, CHAOS_DUP2, "dup2", fd, number);

    commit(entry, end(actor, entry, CALL(SYS_dup3, fd, number, 0)));
    do_close(actor, fd);
}

static void keep_open(struct actor *actor, const char *path, int flags, int number)
{
    struct request request = {"openat", path, AT_FDCWD, (uint64_t)(unsigned int)flags, 0, NULL};

    move_to(actor, do_open(actor, &request), number);
}

/* The clocks are read before the open, but the entry can only be written after the journal is
 * mapped. */
static void open_journal(struct actor *actor, const char *path)
{
    uint64_t us = clock_ns(CLOCK_REALTIME) / 1000, ns = clock_ns(CLOCK_MONOTONIC);
    int flags = O_RDWR | O_CREAT | O_TRUNC;
    long fd = CALL(SYS_openat, AT_FDCWD, path, flags, 0600);
    struct chaos_entry *entry;
    uint64_t number;

    if (fd < 0 || ftruncate((int)fd, sizeof(*journal)) != 0)
        _exit(1);
    journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (journal == MAP_FAILED)
        _exit(1);
    actor->process = journal->process;
    actor->table = journal->table;
    atomic_store(&journal->processes, 1);
    atomic_store(&journal->tables, 1);
    atomic_store(&actor->table->parts, 1);
    start(actor, "main");
    entry = begin(actor, CHAOS_OPEN, "openat", AT_FDCWD, -1);
    entry->begin_us = us;
    entry->begin_ns = ns;
    entry->flags = (unsigned int)flags;
    entry->mode = 0600;
    number = end(actor, entry, fd);
    read_fd(actor, (int)fd, entry->path, CHAOS_PATH);
    commit(entry, number);
    move_to(actor, (int)fd, JOURNAL_FD);
}

static void read_kept(void)
{
    char line[32];

    while (journal->kept < CHAOS_KEPT && fgets(line, sizeof(line), stdin) != NULL)
        journal->keep[journal->kept++] = (uint32_t)strtoul(line, NULL, 10);
}

static void play_seed(struct actor *actor, uint32_t seed)
{
    actor->seed = seed;
    actor->op = mix(seed, 5);
    actor->children = 0;
    actor->generation = GENERATIONS + 1;
    atomic_store(&journal->spawned, 0);
    spawn(actor, "seed");
    op_wait(actor);
}

/* A directory that a workload has changed to, and a name in absolute_names, may be outside of
 * DIRECTORY: what root would create or truncate there fails with EROFS.  Other users cannot do
 * this, and may not make a mount namespace. */
static void protect_outside(const char *directory)
{
    const unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY;

    if (unshare(CLONE_NEWNS) != 0)
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(directory, directory, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, "/", NULL, read_only, NULL) != 0)
        fault("read-only mounts");
    mount(NULL, "/dev", NULL, read_only, NULL); /* fails if this is no mount of its own */
}

int main(int argc, char **argv)
{
    struct actor actor = {0};

    if (argc == RESUME_WORDS + 1) {
        resume(argv);
    } else if (argc != 5) {
        fputs("usage: fdchaos FIRST LAST DIRECTORY JOURNAL\n", stderr);
        return 2;
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    umask(022);
    open_journal(&actor, argv[4]);
    protect_outside(argv[3]);
    read_proc(&actor, "self/exe", journal->program, sizeof(journal->program));
    keep_open(&actor, "/proc", O_PATH, PROC_FD);
    keep_open(&actor, journal->program, O_PATH, PROGRAM_FD);
    read_kept();
    if (chdir(argv[3]) != 0 || getcwd(actor.process->base, sizeof(actor.process->base)) == NULL)
        fault(argv[3]);
    make_tree();
    for (uint32_t seed = (uint32_t)strtoul(argv[1], NULL, 10);
         seed <= (uint32_t)strtoul(argv[2], NULL, 10); seed++)
        play_seed(&actor, seed);
    CALL(SYS_exit_group, journal->fault[0] != '\0');
}
