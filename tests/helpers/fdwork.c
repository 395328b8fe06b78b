/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdwork [-w] SCENE DIRECTORY JOURNAL [ARG...]
 * fdwork --exec PROGRAM
 *
 * Plays one scene, a workload of opens, copies and closes, in the empty DIRECTORY, and writes to
 * JOURNAL the records that filemon must report.  -w: prints "ready" after the preparation (set_*)
 * and waits for a line on standard input before the scene (play_*).  Without arguments, fdwork
 * lists the scenes that need nothing but a directory.
 *
 * The preparation opens no file: it makes files with mknod(2).
 *
 * --exec: becomes PROGRAM, or exits with 126 if the kernel does not run it.  A shell, and a command
 * that uses execvp(3), would read such a program as a script.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "journal.h"

static struct {
    const char *directory, *journal;
    char **args; /* the ARGs */
} given;

/* In a loop that waits for another thread.  An emulator that runs all processors in one thread goes
 * on with the next one here, and not only when the time slice of this one is over. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void make_file(const char *path, mode_t mode)
{
    if (mknod(below(path), S_IFREG | mode, 0) != 0 || chmod(below(path), mode) != 0)
        die(path);
}

static void make_directory(const char *path)
{
    if (mkdir(below(path), 0755) != 0)
        die(path);
}

static void make_symlink(const char *target, const char *path)
{
    if (symlink(target, below(path)) != 0)
        die(path);
}

static void enter(const char *path)
{
    if (chdir(below(path)) != 0)
        die(path);
}

/* Opens and closes a file. */
static void touch_path(const char *path)
{
    shut(open_path(path));
}

static void expect(long result, const char *what)
{
    if (result < 0)
        die(what);
}

static int start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    errno = pthread_create(thread, NULL, run, arg);
    expect(-errno, "pthread_create");
    return 0;
}

/* Runs a function in a new thread and waits for it. */
static void in_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    start_thread(&thread, run, arg);
    pthread_join(thread, NULL);
}

/* --- plain: the five calls that open, with various flags --- */

static void set_file(void)
{
    make_file("file", 0644);
}

static void open_by_handle(void)
{
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } name = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount, at = open_as(AT_FDCWD, below(""), "", O_RDONLY | O_DIRECTORY, 0);

    expect(name_to_handle_at(AT_FDCWD, below("file"), &name.handle, &mount, 0), "handle");
    begin();
    shut(opened(syscall(SYS_open_by_handle_at, at, &name.handle, O_RDONLY | O_NONBLOCK),
                below("file"), O_RDONLY | O_NONBLOCK, 0));
    shut(at);
}

static void open_with_how(void)
{
    struct open_how how = {.flags = O_WRONLY | O_CREAT | O_EXCL, .mode = 0600};

    begin();
    shut(opened(syscall(SYS_openat2, AT_FDCWD, below("how"), &how, sizeof(how)), below("how"),
                how.flags, 0600));
}

static void play_plain(void)
{
#ifdef SYS_open
    begin();
    shut(opened(syscall(SYS_open, below("file"), O_RDONLY, 0), below("file"), O_RDONLY, 0));
    begin();
    shut(opened(syscall(SYS_creat, below("created"), 0640), below("created"),
                O_WRONLY | O_CREAT | O_TRUNC, 0640));
#endif
    touch_path("file");
    shut(open_as(AT_FDCWD, below("new"), "new", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    shut(open_as(AT_FDCWD, below("new"), "new", O_WRONLY | O_APPEND | O_TRUNC | O_NOCTTY, 0));
    shut(open_as(AT_FDCWD, below("new"), "new", O_WRONLY | O_SYNC | O_NOFOLLOW, 0));
    shut(open_as(AT_FDCWD, below("new"), "new", O_WRONLY | O_DSYNC | O_NOATIME, 0));
    open_with_how();
    open_by_handle();
}

/* --- duration: a file stays open while others are opened and closed --- */

static void play_duration(void)
{
    const struct timespec pause = {.tv_nsec = 30 * 1000 * 1000};
    int fd = open_path("file");

    for (int i = 0; i < 5; i++) {
        int other = open_path("file");
        nanosleep(&pause, NULL);
        shut(other);
    }
    shut(fd);
}

/* --- paths: every way to name one file --- */

static void set_paths(void)
{
    make_directory("d");
    make_directory("d/e");
    make_file("d/file", 0644);
    make_symlink("d/file", "link");
    make_symlink("../../d", "d/e/up");
    make_symlink("d", "also");
    enter("d/e");
}

static void play_paths(void)
{
    shut(open_as(AT_FDCWD, "../file", "d/file", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, ".././e/..//file", "d/file", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, "up/../link", "d/file", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, below("also/file"), "d/file", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, ".", "d/e", O_RDONLY | O_DIRECTORY, 0));
    int at = open_as(AT_FDCWD, below("also/e/."), "d/e", O_RDONLY | O_DIRECTORY, 0);
    shut(open_as(at, "../file", "d/file", O_RDONLY, 0));
    shut(open_as(at, "new", "d/e/new", O_WRONLY | O_CREAT, 0600));
    expect(rename(below("d"), below("moved")), "rename");
    shut(open_as(at, "../file", "moved/file", O_RDONLY, 0));
    shut(at);
}

/* --- mount: a bind mount, and a mount on top of it, in a new mount namespace --- */

static void set_mount(void)
{
    make_directory("a");
    make_directory("b");
    make_directory("b/c");
    make_file("a/file", 0644);
    expect(unshare(CLONE_NEWNS), "unshare");
    expect(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
    expect(mount(below("a"), below("b/c"), NULL, MS_BIND, NULL), "mount bind");
}

static void play_mount(void)
{
    touch_path("a/file");
    touch_path("b/c/file");
    expect(mount("none", below("b/c"), "tmpfs", 0, NULL), "mount tmpfs");
    shut(open_as(AT_FDCWD, below("b/c/new"), "b/c/new", O_WRONLY | O_CREAT, 0600));
    shut(open_as(AT_FDCWD, below("b/c"), "b/c", O_RDONLY | O_DIRECTORY, 0));
}

/* --- outside-mount: files that no mount of the process shows, which the kernel names "/" --- */

static void set_outside_mount(void)
{
    make_directory("a");
    make_directory("a/d");
    make_directory("b");
    make_file("file", 0644);
    make_file("a/d/file", 0644);
    expect(unshare(CLONE_NEWNS), "unshare");
    expect(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
    expect(mount(below("a"), below("b"), NULL, MS_BIND, NULL), "mount bind");
}

static void play_outside_mount(void)
{
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } name = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount, at = open_as(AT_FDCWD, below("b"), "b", O_RDONLY | O_DIRECTORY, 0);

    expect(name_to_handle_at(AT_FDCWD, below("file"), &name.handle, &mount, 0), "handle");
    begin();
    shut(opened(syscall(SYS_open_by_handle_at, at, &name.handle, O_RDONLY), "/", O_RDONLY, 0));
    shut(at);
    expect(chdir(below("b/d")), "chdir");
    shut(open_as(AT_FDCWD, "file", "b/d/file", O_RDONLY, 0));
    expect(rename(below("a/d"), below("moved")), "rename");
    shut(open_as(AT_FDCWD, "file", "/", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, ".", "/ (deleted)", O_WRONLY | O_TMPFILE, 0600));
}

/* --- chroot: paths are relative to the root of the process --- */

static void set_chroot(void)
{
    make_directory("root");
    make_directory("root/filemon-chroot");
    make_file("root/filemon-chroot/file", 0644);
    make_file("outside", 0644);
}

static void play_chroot(void)
{
    int outside = open_as(AT_FDCWD, below(""), "", O_RDONLY | O_DIRECTORY, 0);

    expect(chroot(below("root")), "chroot");
    expect(chdir("/filemon-chroot"), "chdir");
    shut(open_as(AT_FDCWD, "file", "/filemon-chroot/file", O_RDONLY, 0));
    shut(open_as(AT_FDCWD, "/filemon-chroot/../../filemon-chroot/file", "/filemon-chroot/file",
                 O_RDONLY, 0));
    open_as(AT_FDCWD, "nothing", "/filemon-chroot/nothing", O_RDONLY, 0);
    /* A file outside the process's root: the kernel's path begins at the root of the namespace. */
    shut(open_as(outside, "outside", "outside", O_RDONLY, 0));
    expect(chdir("/"), "chdir");
    open_as(AT_FDCWD, "filemon-chroot/nothing", "/filemon-chroot/nothing", O_RDONLY, 0);
    shut(outside);
}

/* --- threads: one thread closes a descriptor that another one opened --- */

static void *open_in_thread(void *fd)
{
    *(int *)fd = open_path("file");
    return NULL;
}

static void *shut_in_thread(void *fd)
{
    shut(*(int *)fd);
    return NULL;
}

/* Exits the thread by the system call, without pthread_exit(). */
static void *open_and_end(void *fd)
{
    *(int *)fd = open_path("file");
    syscall(SYS_exit, 0);
    return NULL;
}

static void play_threads(void)
{
    int first, second, third;

    in_thread(open_in_thread, &first);
    second = open_path("file");
    in_thread(shut_in_thread, &second);
    shut(first);
    in_thread(open_and_end, &third);
    second = open_path("file");
    in_thread(shut_in_thread, &third);
    in_thread(open_in_thread, &first);
    shut(second);
}

/* --- hammer: threads open and close at once, and get each other's descriptor numbers.  The order
 * of the records of two threads is not known. --- */

enum { HAMMER_THREADS = 4, HAMMER_ROUNDS = 400 };

static void set_hammer(void)
{
    for (int i = 0; i < HAMMER_THREADS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "file%d", i);
        make_file(name, 0644);
    }
}

static void *hammer(void *name)
{
    for (int i = 0; i < HAMMER_ROUNDS; i++)
        touch_path(name);
    return NULL;
}

static void play_hammer(void)
{
    static char names[HAMMER_THREADS][32];
    pthread_t threads[HAMMER_THREADS];

    for (int i = 0; i < HAMMER_THREADS; i++) {
        snprintf(names[i], sizeof(names[i]), "file%d", i);
        start_thread(&threads[i], hammer, names[i]);
    }
    for (int i = 0; i < HAMMER_THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* --- fork: generations of children.  filemon reports no record of inherited descriptors. --- */

enum { GENERATIONS = 4 };

static void set_fork(void)
{
    for (int i = 0; i <= GENERATIONS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "generation%d", i);
        make_file(name, 0644);
    }
}

static void play_generation(int generation)
{
    char name[32];

    snprintf(name, sizeof(name), "generation%d", generation);
    int fd = open_path(name);
    if (generation < GENERATIONS) {
        pid_t child = fork_child();
        if (child == 0) {
            shut(fd);
            play_generation(generation + 1);
            leave();
        }
        join_child(child);
    }
    touch_path(name);
}

static void play_fork(void)
{
    play_generation(0);
}

/* The part of /proc/PID/stat after the comm; "": there is no such process. */
static const char *stat_of(const char *pid, char line[static 512])
{
    char path[32];

    *line = '\0';
    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    FILE *stat = fopen(path, "re");
    if (stat == NULL)
        return line;
    char *got = fgets(line, 512, stat);
    fclose(stat);
    char *end = strrchr(line, ')');
    return got != NULL && end != NULL ? end + 2 : "";
}

/* The state letter of proc(5); 0: there is no such process. */
static char process_state(pid_t pid)
{
    char number[16], line[512];

    snprintf(number, sizeof(number), "%d", pid);
    return *stat_of(number, line);
}

static bool has_exited(pid_t pid)
{
    char state = process_state(pid);

    return state == 0 || state == 'Z';
}

static void sleep_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
}

/* --- daemon: a double fork; the grandchild opens files after its ancestors have exited --- */

static void play_daemon(void)
{
    pid_t first = getpid();
    int fd = open_path("file");

    if (fork_child() > 0)
        leave();
    pid_t second = getpid();
    expect(setsid(), "setsid");
    if (fork_child() > 0)
        leave();
    while (getppid() == second || !has_exited(first))
        sleep_briefly();
    shut(fd);
    touch_path("file");
    open_path("file");
}

/* --- dup: every call that copies a descriptor, and every way to replace one --- */

static void set_dup(void)
{
    make_file("a", 0644);
    make_file("b", 0644);
}

static void play_dup(void)
{
    int a = open_path("a"), b = open_path("b");
    int third = copy(a, -1, 0);

    copy(a, 40, 0);        /* onto a free descriptor */
    copy(b, 40, 0);        /* onto an open descriptor */
    copy(b, b, 0);         /* onto itself: nothing happens */
    copy(a, b, O_CLOEXEC); /* dup3 */
    copy(0, third, 0);     /* filemon does not know descriptor 0: only the close is reported */
    expect(copy(900, a, 0) == -1 && errno == EBADF ? 0 : -1, "dup2 of a closed one");
    expect(copy(a, a, O_CLOEXEC) == -1 && errno == EINVAL ? 0 : -1, "dup3 onto itself");
    expect(fcntl(a, F_DUPFD, -1) == -1 && errno == EINVAL ? 0 : -1, "F_DUPFD above all limits");
    shut(third);
    int above = copy_above(a, F_DUPFD, 100);
    shut(a);
    int again = copy_above(b, F_DUPFD_CLOEXEC, 7);
    copy(above, again, 0);
    shut(above);
    shut(b);
    shut(40);
    shut(again);
}

/* --- others: descriptors of pipes and sockets between those of files --- */

static void play_others(void)
{
    int fd = open_path("file"), pair[2];

    shut(fd);
    expect(pipe(pair), "pipe");
    shut(pair[0]);
    fd = open_path("file");
    shut(pair[1]);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    copy(pair[0], fd, 0);
    shut(fd);
    shut(pair[0]);
    shut(pair[1]);
    touch_path("file");
}

/* Executes this program again with the scene after-exec, and passes it the open descriptors. */
static noreturn void exec_self(void)
{
    static char numbers[MAX_HELD][16];
    char *args[2 * MAX_HELD + 5] = {"fdwork", "after-exec", (char *)(uintptr_t)given.directory,
                                    (char *)(uintptr_t)given.journal};
    int n = 4;

    state_exec();
    for (int fd = 0; fd < MAX_HELD; fd++) {
        if (held_path(fd) == NULL)
            continue;
        snprintf(numbers[fd], sizeof(numbers[fd]), "%d", fd);
        args[n++] = numbers[fd];
        args[n++] = (char *)(uintptr_t)held_path(fd);
    }
    execv("/proc/self/exe", args);
    die("exec");
}

static void play_after_exec(void)
{
    if (*given.args == NULL) {
        touch_path("file");
        return;
    }
    for (char **pair = given.args; *pair != NULL; pair += 2)
        hold((int)strtol(pair[0], NULL, 10), pair[1]);
    touch_path("file");
    shut((int)strtol(given.args[0], NULL, 10));
    open_path("file");
}

/* --- close_range --- */

static void open_several(int n)
{
    while (n-- > 0)
        open_path("file");
}

static void play_close_range(void)
{
    int first = open_path("file");
    unsigned int next = (unsigned int)first + 1;

    open_several(5);
    shut(first + 2);
    shut_range(next, next + 3, 0);
    shut_range(next, next + 3, 0);
    open_several(2);
    shut_range(next, next, CLOSE_RANGE_UNSHARE);
    shut_range(next, ~0U, 0);
    open_several(3);
    shut_range(next, ~0U, CLOSE_RANGE_CLOEXEC);
    open_several(1);
    exec_self();
}

/* --- exec: close-on-exec descriptors, marked by every call that can do it --- */

static void play_exec(void)
{
    int kept = open_path("file");
    int unmarked = open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    int marked = open_path("file"), ioctled = open_path("file");

    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    copy(kept, 50, O_CLOEXEC);
    copy_above(kept, F_DUPFD_CLOEXEC, 60);
    copy(50, 70, 0);
    expect(fcntl(unmarked, F_SETFD, 0), "F_SETFD");
    expect(fcntl(marked, F_SETFD, FD_CLOEXEC), "F_SETFD");
    expect(ioctl(ioctled, FIOCLEX), "FIOCLEX");
    journal_flush();
    expect(execl(below("nothing"), "nothing", NULL) == -1 ? 0 : -1, "exec of nothing");
    exec_self();
}

/* --- thread-exec: an exec by another thread than the first one, while others run --- */

static void *wait_for_end(void *arg)
{
    pause();
    return arg;
}

static void *exec_in_thread(void *arg)
{
    (void)arg;
    exec_self();
}

static void play_thread_exec(void)
{
    pthread_t other;

    open_path("file");
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    start_thread(&other, wait_for_end, NULL);
    in_thread(exec_in_thread, NULL);
}

/* --- shared-table: two processes share a file descriptor table, and use it in turn --- */

enum { STACK = 256 << 10 };

/* Runs a function in a new process that shares memory and descriptors. */
static pid_t start_sharer(int (*run)(void *), void *arg)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    expect(stack == MAP_FAILED ? -1 : 0, "mmap");
    journal_flush();
    pid_t pid = clone(run, stack + STACK, CLONE_VM | CLONE_FILES | SIGCHLD, arg);
    expect(pid, "clone");
    return pid;
}

static int use_and_end(void *given_fd)
{
    int *fd = given_fd, more = open_path("file");

    copy(*fd, 40, 0);
    shut(*fd);
    *fd = open_path("file"); /* reuses the number just closed */
    copy(*fd, more, O_CLOEXEC);
    open_path("file");
    _exit(0);
}

/* A descriptor that a process leaves open at its exit, and its pid. */
static struct {
    int fd;
    pid_t by;
} left;

static int outlive(void *arg)
{
    (void)arg;
    while (getppid() == left.by)
        sleep_briefly();
    shut(left.fd);
    open_path("file");
    leave();
}

static int unshare_and_end(void *arg)
{
    int *fd = arg, other = open_path("file");

    shut(other);
    journal_flush();
    expect(unshare(CLONE_FILES), "unshare");
    expect(close(*fd), "close"); /* a copy */
    _exit(0);
}

static int exec_in_sharer(void *arg)
{
    char *args[] = {"fdwork", "after-exec", (char *)(uintptr_t)given.directory,
                    (char *)(uintptr_t)given.journal, arg};

    journal_flush();
    execv("/proc/self/exe", args);
    die("exec");
}

static void play_shared_table(void)
{
    int fd = open_path("file");

    join_child(start_sharer(use_and_end, &fd));
    shut(40);
    join_child(start_sharer(unshare_and_end, &fd));
    shut(fd);
    fd = open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    join_child(start_sharer(exec_in_sharer, NULL));
    shut(fd);
    pid_t child = fork_child();
    if (child == 0) {
        left.by = getpid();
        left.fd = open_path("file");
        open_path("file");
        start_sharer(outlive, NULL);
        _exit(0);
    }
    join_child(child);
}

/* --- own-table: threads that leave the table of their process --- */

/* Waits until the kernel has released the thread: pthread_join() returns earlier. */
static void join_wholly(pthread_t thread, const pid_t *tid)
{
    pthread_join(thread, NULL);
    while (syscall(SYS_tgkill, getpid(), *tid, 0) == 0)
        sleep_briefly();
}

static struct {
    pthread_barrier_t turn;
    int before; /* a descriptor opened before the thread began */
    pid_t tid;
} own;

static void next_turn(void)
{
    pthread_barrier_wait(&own.turn);
}

/* Opens the same descriptor numbers as the first thread does, in turn, in the other table. */
static void *work_in_own_table(void *how)
{
    own.tid = gettid();
    if (how == NULL)
        expect(unshare(CLONE_FILES), "unshare");
    else
        expect(syscall(SYS_close_range, own.before, own.before, CLOSE_RANGE_UNSHARE), "unshare");
    own_descriptors();
    next_turn();
    if (how == NULL)
        expect(close(own.before), "close"); /* a copy */
    int fd = open_path("file");
    copy(fd, 50, 0);
    next_turn();
    next_turn();
    shut(fd);
    open_path("file");
    next_turn();
    next_turn();
    state_exit();
    return NULL;
}

static void work_in_both_tables(void *how)
{
    pthread_t thread;

    own.before = open_path("other");
    start_thread(&thread, work_in_own_table, how);
    next_turn();
    next_turn();
    int fd = open_path("other");
    shut(own.before);
    next_turn();
    next_turn();
    shut(fd);
    fd = open_path("other");
    next_turn();
    join_wholly(thread, &own.tid);
    shut(fd);
}

static void *exec_from_own_table(void *arg)
{
    (void)arg;
    expect(unshare(CLONE_FILES), "unshare");
    own_descriptors();
    open_path("file");
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    state_exit_of_process();
    exec_self();
}

static void set_own_table(void)
{
    set_file();
    make_file("other", 0644);
}

static void play_own_table(void)
{
    pthread_barrier_init(&own.turn, NULL, 2);
    work_in_both_tables(NULL);
    work_in_both_tables("close_range");
    open_path("other");
    in_thread(exec_from_own_table, NULL);
}

/* --- vfork: children that share the memory of their waiting parent, but not its file descriptor
 * table --- */

static int exec_nothing(void *arg)
{
    own_descriptors();
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    open_path("file");
    execl(below("nothing"), "nothing", NULL);
    state_exit();
    _exit(arg != NULL);
}

static int exec_after_opens(void *inherited)
{
    own_descriptors();
    expect(close(*(int *)inherited), "close"); /* a copy */
    open_path("file");
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);
    copy(open_path("file"), 50, O_CLOEXEC);
    exec_self();
}

static void vfork_and_join(int (*run)(void *), void *arg)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    expect(stack == MAP_FAILED ? -1 : 0, "mmap");
    pid_t pid = clone(run, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
    expect(pid, "clone");
    descriptors_of_process();
    join_child(pid);
    munmap(stack, STACK);
}

static void play_vfork(void)
{
    int fd = open_path("file");
    int marked = open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_CLOEXEC, 0);

    vfork_and_join(exec_nothing, NULL);
    vfork_and_join(exec_after_opens, &fd);
    shut(fd);
    touch_path("file");
    shut(marked);
}

/* --- exit: files are open when the process exits or is killed --- */

static void *end_all(void *arg)
{
    (void)arg;
    leave();
}

static void play_and_leave(void)
{
    pthread_t other;
    int fd = open_path("file");

    open_several(2);
    copy(fd, 30, 0);
    start_thread(&other, wait_for_end, NULL);
    in_thread(end_all, NULL);
}

static void play_and_hang(int ready)
{
    pthread_t other;

    open_several(3);
    start_thread(&other, wait_for_end, NULL);
    state_exit();
    expect(write(ready, "", 1), "write");
    pause();
}

static void play_exit(void)
{
    int ready[2], status;
    char byte;

    pid_t child = fork_child();
    if (child == 0)
        play_and_leave();
    join_child(child);
    expect(pipe(ready), "pipe");
    child = fork_child();
    if (child == 0)
        play_and_hang(ready[1]);
    expect(read(ready[0], &byte, 1), "read");
    expect(kill(child, SIGKILL), "kill");
    expect(waitpid(child, &status, 0), "waitpid");
    open_path("file");
}

/* --- names: unusual bytes in names of files and in the comm --- */

static const char *const hostile_names[] = {
    "with space",
    "quote\"quote'`$(x)",
    "back\\slash\\n\\u0041",
    "new\nline\ttab\r\x1b[31m\x7f",
    "{\"codigo\": \"open\"}",
    "percent%s%n%d",
    " \\",
    "a\xc3\xb1o \xe2\x82\xac \xf0\x9f\x90\xa7",
    "latin a\xf1o",
    "cut \xe2\x82",
    "overlong \xc0\xaf \xe0\x80\xaf",
    "surrogate \xed\xa0\x80",
    "beyond \xf4\x90\x80\x80 \xff\xfe",
    "replaced \xef\xbf\xbd",
    "gone (deleted)",
    "..hidden",
};

enum { N_HOSTILE = sizeof(hostile_names) / sizeof(*hostile_names), LONGEST = 255 };

/* A name of 255 bytes: of letters, and of two-byte characters cut in the middle. */
static const char *longest_name(const char *unit)
{
    static _Thread_local char name[LONGEST + 1];

    for (size_t i = 0; i < LONGEST; i++)
        name[i] = unit[i % strlen(unit)];
    return name;
}

static void set_names(void)
{
    set_file();
    for (int i = 0; i < N_HOSTILE; i++)
        make_file(hostile_names[i], 0644);
    make_file(longest_name("x"), 0644);
    make_file(longest_name("\xc3\xb1"), 0644);
    make_directory("dir \"\n\xff");
    make_file("dir \"\n\xff/file", 0644);
}

static void play_names(void)
{
    for (int i = 0; i < N_HOSTILE; i++)
        touch_path(hostile_names[i]);
    touch_path(longest_name("x"));
    touch_path(longest_name("\xc3\xb1"));
    touch_path("dir \"\n\xff/file");
    open_as(AT_FDCWD, below("dir \"\n\xff/nothing"), "dir \"\n\xff/nothing", O_RDONLY, 0);
    prctl(PR_SET_NAME, "q\"\\\n\x01) S 1 \xc3\xb1");
    touch_path("file");
    prctl(PR_SET_NAME, "fifteen bytes..");
    touch_path("file");
    journal_no_comm();
    prctl(PR_SET_NAME, "\xff\xc3 cut \xe2\x82");
    touch_path("file");
    prctl(PR_SET_NAME, "");
    touch_path("file");
}

/* --- deep: paths of 4,000 bytes, of 4,095, and of very many short components --- */

static struct {
    char path[PATH_MAX]; /* the path of the directory */
    char last[2][256];   /* names of files in it */
} deep;

/* Makes nested directories until the path has at least this many bytes. */
static void descend(size_t bytes, const char *component)
{
    snprintf(deep.path, sizeof(deep.path), "%s", below(""));
    enter("");
    while (strlen(deep.path) < bytes) {
        expect(mkdir(component, 0755), "mkdir");
        expect(chdir(component), component);
        strcat(deep.path, "/");
        strcat(deep.path, component);
    }
}

static void make_last(int which, size_t bytes)
{
    size_t length = bytes - strlen(deep.path) - 1;

    memset(deep.last[which], 'z', length);
    expect(mknod(deep.last[which], S_IFREG | 0644, 0), "mknod");
}

static void set_deep(void)
{
    descend(3860, "a directory with a long name");
    make_last(0, 4000);
    make_last(1, 4095);
}

static void set_stairs(void)
{
    descend(1000, "s");
    make_last(0, 1010);
    make_last(1, 1020);
}

static const char *deep_path(int which)
{
    const char *path = below(deep.path);

    strcat((char *)(uintptr_t)path, "/");
    return strcat((char *)(uintptr_t)path, deep.last[which]);
}

static void play_deep(void)
{
    for (int which = 0; which < 2; which++) {
        shut(open_as(AT_FDCWD, deep.last[which], deep_path(which), O_RDONLY, 0));
        shut(open_as(AT_FDCWD, deep_path(which), deep_path(which), O_RDONLY, 0));
    }
}

/* --- fifo: an open that blocks until another process opens the other end --- */

static void set_fifo(void)
{
    set_file();
    expect(mkfifo(below("fifo"), 0600), "mkfifo");
}

static void play_fifo(void)
{
    pid_t child = fork_child();

    if (child == 0) {
        touch_path("fifo");
        leave();
    }
    while (process_state(child) != 'S')
        sleep_briefly();
    for (int i = 0; i < 10; i++)
        touch_path("file");
    shut(open_as(AT_FDCWD, below("fifo"), "fifo", O_WRONLY, 0));
    join_child(child);
}

/* --- interrupted: signals interrupt a blocked open.  The kernel restarts it, except after a
 * handler without SA_RESTART: only then has the open failed --- */

static atomic_int *handled;

static void count_signal(int number)
{
    (void)number;
    ++*handled;
}

static void handle(int number, int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};

    expect(sigaction(number, &action, NULL), "sigaction");
}

static void await_state(pid_t pid, char state)
{
    while (process_state(pid) != state)
        sleep_briefly();
}

static void set_interrupted(void)
{
    set_fifo();
    handled = mmap(NULL, sizeof(*handled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                   0);
    if (handled == MAP_FAILED)
        die("mmap");
    handle(SIGUSR1, SA_RESTART);
    handle(SIGUSR2, 0);
}

/* Sends a signal, and waits until its handler has run and the process blocks again. */
static void interrupt(pid_t pid, int number)
{
    int before = *handled;

    expect(kill(pid, number), "kill");
    while (*handled == before)
        sleep_briefly();
    await_state(pid, 'S');
}

static void play_interrupted(void)
{
    pid_t child = fork_child();

    if (child == 0) {
        open_as(AT_FDCWD, below("fifo"), "fifo", O_RDONLY, 0);
        touch_path("fifo");
        leave();
    }
    await_state(child, 'S');
    expect(kill(child, SIGSTOP), "kill");
    await_state(child, 'T');
    expect(kill(child, SIGCONT), "kill");
    await_state(child, 'S');
    interrupt(child, SIGUSR1);
    interrupt(child, SIGUSR2);
    interrupt(child, SIGUSR1);
    shut(open_as(AT_FDCWD, below("fifo"), "fifo", O_WRONLY, 0));
    join_child(child);
}

/* --- special: opens of symbolic links, directories, and files without a name --- */

static const char *name_of(long fd)
{
    static char name[PATH_MAX];
    char link[40];

    snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
    ssize_t length = readlink(link, name, sizeof(name) - 1);
    expect(length, "readlink");
    name[length] = '\0';
    return name;
}

static void open_nameless(void)
{
    uint64_t flags = O_TMPFILE | O_RDWR;

    begin();
    long fd = syscall(SYS_openat, AT_FDCWD, below(""), flags, 0600);
    expect(fd, "O_TMPFILE");
    shut(opened(fd, name_of(fd), flags, 0600));
}

static void open_anew(int fd)
{
    char link[40];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const char *path = strdup(name_of(fd));
    shut(open_as(AT_FDCWD, link, path, O_RDONLY, 0));
    free((char *)(uintptr_t)path);
}

static void set_special(void)
{
    set_file();
    make_file("other", 0644);
    make_symlink("file", "link");
    make_directory("d");
}

static void play_special(void)
{
    shut(open_as(AT_FDCWD, below("file"), "file", O_PATH, 0));
    shut(open_as(AT_FDCWD, below("link"), "link", O_PATH | O_NOFOLLOW, 0));
    shut(open_as(AT_FDCWD, below("d"), "d", O_RDONLY | O_DIRECTORY, 0));
    open_nameless();
    int fd = open_path("file");
    open_anew(fd);
    expect(unlink(below("file")), "unlink");
    open_anew(fd);
    shut(fd);
    fd = open_path("other");
    expect(rename(below("other"), below("renamed")), "rename");
    open_anew(fd);
    shut(fd);
    fd = open_as(AT_FDCWD, below("d"), "d", O_RDONLY | O_DIRECTORY, 0);
    expect(rmdir(below("d")), "rmdir");
    open_as(fd, "nothing", "d (deleted)/nothing", O_RDONLY, 0);
    shut(fd);
}

/* --- fail: failed opens, and the path in their records --- */

static void set_fail(void)
{
    set_file();
    make_file("secret", 0600);
    make_directory("d");
    make_symlink("loop", "loop");
    enter("d");
}

static void fail_with_how(const char *path)
{
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};

    begin();
    opened(syscall(SYS_openat2, AT_FDCWD, below(path), &how, sizeof(how)), below(path), O_RDONLY,
           0);
}

static void fail_as_nobody(void)
{
    expect(setresuid(65534, 65534, 65534), "setresuid");
    open_as(AT_FDCWD, below("secret"), "secret", O_RDWR, 0);
    open_as(AT_FDCWD, below("new"), "new", O_WRONLY | O_CREAT, 0640);
    open_as(AT_FDCWD, "../file", "d/../file", O_RDONLY | O_NOATIME, 0); /* EPERM */
    leave();
}

static void play_fail(void)
{
    static char too_long[PATH_MAX + 100];

    open_as(AT_FDCWD, below("nothing"), "nothing", O_RDONLY, 0);
    open_as(AT_FDCWD, "nothing", "d/nothing", O_RDWR, 0);
    open_as(AT_FDCWD, "../d/./nothing//x", "d/../d/./nothing//x", O_RDONLY, 0);
    open_as(AT_FDCWD, below("file/below"), "file/below", O_RDONLY, 0);
    open_as(AT_FDCWD, below("loop"), "loop", O_WRONLY | O_TRUNC, 0);
    open_as(AT_FDCWD, below("file"), "file", O_RDWR | O_CREAT | O_EXCL, 0600);
    open_as(AT_FDCWD, below("d"), "d", O_WRONLY, 0);
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY | O_DIRECTORY, 0);
    fail_with_how("loop");
    int at = open_as(AT_FDCWD, below("d"), "d", O_RDONLY | O_DIRECTORY, 0);
    open_as(at, "nothing", "d/nothing", O_RDONLY, 0);
    open_as(at, below("nothing"), "nothing", O_RDONLY | O_CLOEXEC, 0);
    shut(at);
    memset(too_long, 'n', NAME_MAX + 1);
    open_as(AT_FDCWD, below(too_long), too_long, O_RDONLY, 0);
#ifdef SYS_open
    begin();
    opened(syscall(SYS_open, below("nothing"), O_RDONLY, 0), below("nothing"), O_RDONLY, 0);
    begin();
    opened(syscall(SYS_creat, below("d"), 0600), below("d"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
#endif
    begin();
    opened(syscall(SYS_openat, AT_FDCWD, 16, O_RDONLY, 0), "", O_RDONLY, 0);
    pid_t child = fork_child();
    if (child == 0)
        fail_as_nobody();
    join_child(child);
    touch_path("file");
}

/* --- errors: opens that fail for less usual reasons --- */

static void set_errors(void)
{
    char program[PATH_MAX];

    set_file();
    make_directory("d");
    make_directory("readonly");
    make_directory("proc");
    make_file("busy", 0644);
    make_file("readonly/file", 0644);
    expect(mkfifo(below("fifo"), 0600), "mkfifo");
    expect(mknod(below("device"), S_IFCHR | 0600, 0), "mknod"); /* 0:0 is no device */
    expect(unshare(CLONE_NEWNS), "unshare");
    expect(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
    expect(mount("none", below("readonly"), "tmpfs", MS_RDONLY, NULL), "mount tmpfs");
    expect(mount(realpath("/proc/self/exe", program), below("busy"), NULL, MS_BIND, NULL), "busy");
    expect(mount("none", below("proc"), "proc", 0, NULL), "mount proc");
    enter("d");
}

static int open_how(int dirfd, const char *name, const char *path, struct open_how how, size_t size)
{
    begin();
    return opened(syscall(SYS_openat2, dirfd, name, &how, size), path, how.flags, (mode_t)how.mode);
}

static void fail_by_resolve(void)
{
    struct open_how beneath = {.resolve = RESOLVE_BENEATH}, how = {.flags = O_RDONLY};

    open_how(AT_FDCWD, "../file", below("d/../file"), beneath, sizeof(beneath)); /* EXDEV */
    how.resolve = 1 << 20;
    open_how(AT_FDCWD, "../file", below("d/../file"), how, sizeof(how)); /* EINVAL */
    how.resolve = 0;
    open_how(AT_FDCWD, "../file", below("d/../file"), how, 8); /* EINVAL: too short */
}

/* A name whose NUL is the last byte before an unmapped page, and one without a NUL there. */
static void fail_at_the_edge(void)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *edge = pages + 4096 - sizeof("nothing");

    expect(pages == MAP_FAILED ? -1 : munmap(pages + 4096, 4096), "mmap");
    memcpy(edge, "nothing", sizeof("nothing"));
    open_as(AT_FDCWD, edge, "d/nothing", O_RDONLY, 0);
    memcpy(edge + 1, "nothing", sizeof("nothing") - 1);
    begin();
    opened(syscall(SYS_openat, AT_FDCWD, edge + 1, O_RDONLY, 0), "", O_RDONLY, 0); /* EFAULT */
    munmap(pages, 4096);
}

/* filemon reports the first PATH_MAX - 1 bytes of a longer name, after the directory. */
static void fail_by_length(const char *start, const char *directory)
{
    char name[PATH_MAX + 100], reported[2 * PATH_MAX];

    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % NAME_MAX == NAME_MAX - 1 ? '/' : 'n';
    memcpy(name, start, strlen(start));
    name[sizeof(name) - 1] = '\0';
    snprintf(reported, sizeof(reported), "%s%.*s", directory, PATH_MAX - 1, name);
    begin();
    opened(syscall(SYS_openat, AT_FDCWD, name, O_RDONLY, 0), reported, O_RDONLY, 0);
}

/* The dirfd is no directory, or is not open. */
static void fail_by_directory(void)
{
    int pair[2];

    begin();
    opened(syscall(SYS_openat, 900, "nothing", O_RDONLY, 0), "nothing", O_RDONLY, 0);
    begin();
    opened(syscall(SYS_openat, 900, "", O_RDONLY, 0), "", O_RDONLY, 0);
    open_as(900, below("nothing"), "nothing", O_RDONLY, 0);
    expect(pipe(pair), "pipe");
    char *path = strdup(name_of(pair[0]));
    char reported[64];
    snprintf(reported, sizeof(reported), "%s/nothing", path);
    begin();
    opened(syscall(SYS_openat, pair[0], "nothing", O_RDONLY, 0), reported, O_RDONLY, 0);
    begin();
    opened(syscall(SYS_openat, pair[0], "", O_RDONLY, 0), path, O_RDONLY, 0);
    free(path);
    shut(pair[0]);
    shut(pair[1]);
}

/* open_by_handle_at() is given no name, so its record has none. */
static void fail_by_handle(void)
{
    struct file_handle none = {.handle_bytes = 0};

    begin();
    opened(syscall(SYS_open_by_handle_at, AT_FDCWD, &none, O_RDONLY), "", O_RDONLY, 0);
}

static void fail_by_limit(void)
{
    struct rlimit limit, none;

    expect(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    none = (struct rlimit){3, limit.rlim_max};
    expect(setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
    open_as(AT_FDCWD, below("file"), "file", O_RDONLY, 0); /* EMFILE */
    expect(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

static void fail_by_lease(void)
{
    int fd = open_path("file");

    expect(fcntl(fd, F_SETSIG, SIGURG), "F_SETSIG"); /* which is ignored */
    expect(fcntl(fd, F_SETLEASE, F_RDLCK), "F_SETLEASE");
    open_as(AT_FDCWD, below("file"), "file", O_WRONLY | O_NONBLOCK, 0); /* EAGAIN */
    shut(fd);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* A signal ends the wait for the other end of a FIFO. */
static void fail_by_signal(void)
{
    struct sigaction action = {.sa_handler = ignore_signal};
    pid_t self = getpid(), child = fork_child();

    if (child == 0) {
        while (process_state(self) != 'S')
            sleep_briefly();
        kill(self, SIGUSR1);
        _exit(0);
    }
    sigaction(SIGUSR1, &action, NULL);
    open_as(AT_FDCWD, below("fifo"), "fifo", O_RDONLY, 0); /* EINTR */
    join_child(child);
}

static void play_errors(void)
{
    fail_by_resolve();
    fail_at_the_edge();
    fail_by_length("n", below("d/"));
    fail_by_length(below(""), "");
    fail_by_directory();
    fail_by_handle();
    open_as(AT_FDCWD, "", "d", O_RDONLY, 0);                            /* ENOENT */
    open_as(AT_FDCWD, below("fifo"), "fifo", O_WRONLY | O_NONBLOCK, 0); /* ENXIO */
    open_as(AT_FDCWD, below("device"), "device", O_RDONLY, 0);          /* ENXIO */
    open_as(AT_FDCWD, below("busy"), "busy", O_WRONLY, 0);              /* ETXTBSY */
    open_as(AT_FDCWD, below("readonly/new"), "readonly/new", O_WRONLY | O_CREAT, 0600); /* EROFS */
    open_as(AT_FDCWD, below("proc"), "proc", O_TMPFILE | O_RDWR, 0600);   /* EOPNOTSUPP */
    open_as(AT_FDCWD, below("file"), "file", O_TMPFILE | O_RDONLY, 0600); /* EINVAL */
    fail_by_limit();
    fail_by_lease();
    fail_by_signal();
}

/* --- wide: garbage in the bits of arguments that the kernel ignores --- */

/* The upper half of a register that holds a 32-bit argument. */
#define GARBAGE 0x5a5a5a5a00000000ul

static void set_wide(void)
{
    set_file();
    make_directory("d");
}

static int open_wide(unsigned long dirfd, const char *name, const char *path, unsigned long flags,
                     unsigned long mode)
{
    begin();
    return opened(syscall(SYS_openat, dirfd, name, flags, mode), below(path), (uint32_t)flags,
                  mode & 07777);
}

static void fail_how(int dirfd, const char *name, const char *path, struct open_how how)
{
    begin();
    opened(syscall(SYS_openat2, dirfd, name, &how, sizeof(how)), path, how.flags, (mode_t)how.mode);
}

static void play_wide(void)
{
    /* The kernel does not read the names of some failing calls.  The engine can read this one,
     * whose page is in memory since the write below. */
    static char name[] = "/none";
    unsigned long fd = (unsigned int)open_wide(GARBAGE | (unsigned int)AT_FDCWD, below("file"),
                                               "file", GARBAGE | O_RDONLY, GARBAGE);
    unsigned long at = (unsigned int)open_path("d");
    char inside[PATH_MAX];

    begin();
    copied((int)fd, (int)syscall(SYS_fcntl, GARBAGE | fd, GARBAGE | F_DUPFD, GARBAGE | 20));
    begin();
    copied((int)fd, (int)syscall(SYS_fcntl, fd, GARBAGE | F_DUPFD_CLOEXEC, 21ul));
    begin();
    copied((int)fd, (int)syscall(SYS_dup, GARBAGE | fd));
    begin();
    copied((int)fd, (int)syscall(SYS_dup3, GARBAGE | fd, GARBAGE | 22, GARBAGE));
    begin();
    expect(syscall(SYS_close, GARBAGE | 20), "close");
    closed(20);
    open_wide(GARBAGE | at, "none", "d/none", GARBAGE | O_WRONLY | O_TRUNC, GARBAGE);
    open_wide(AT_FDCWD, below("file"), "file", O_WRONLY | O_CREAT | O_EXCL, GARBAGE | 0173777);
    name[1] = 'n';
    snprintf(inside, sizeof(inside), "%s%s", below("d"), name);
    fail_how((int)at, name, inside, (struct open_how){.flags = O_RDWR, .resolve = RESOLVE_IN_ROOT});
    fail_how(AT_FDCWD, inside, inside, (struct open_how){.flags = 1ull << 40});
    fail_how(AT_FDCWD, inside, inside,
             (struct open_how){.flags = O_RDONLY | 1ull << 33 | O_CLOEXEC});
}

/* --- unread: opens that fail before the kernel has read the name, which is in pages that are not
 * in memory yet --- */

enum { NAME_PAGES = 4 };

static char *map_names(const char *name)
{
    long page = sysconf(_SC_PAGESIZE);
    const off_t places[] = {0, 2 * page - 5}; /* within one page, and across two */
    int fd = open_as(AT_FDCWD, below("names"), "names", O_RDWR | O_CREAT, 0600);

    expect(ftruncate(fd, NAME_PAGES * page), "ftruncate");
    for (int i = 0; i < 2; i++)
        expect(pwrite(fd, name, strlen(name) + 1, places[i]), "pwrite");
    char *names = mmap(NULL, (size_t)(NAME_PAGES * page), PROT_READ, MAP_PRIVATE, fd, 0);
    expect(names == MAP_FAILED ? -1 : 0, "mmap");
    expect(madvise(names, (size_t)(NAME_PAGES * page), MADV_RANDOM), "madvise");
    shut(fd);
    return names;
}

static void play_unread(void)
{
    const char *path = below("nothing"), *names = map_names(path);
    const struct open_how how = {.flags = 1ull << 40};

    fail_how(AT_FDCWD, names, path, how);
    fail_how(AT_FDCWD, names + 2 * sysconf(_SC_PAGESIZE) - 5, path, how);
    open_as(AT_FDCWD, path, "nothing", O_WRONLY, 0);
}

/* --- answered: calls that a seccomp filter answers, so that the kernel does not make them --- */

static volatile sig_atomic_t n_trapped;

static void count_trapped(int number)
{
    (void)number;
    n_trapped++;
}

#define ANSWER(number, with)                                                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, with)

static void apply_filter(struct sock_filter *filter, size_t length)
{
    struct sock_fprog program = {(unsigned short)length, filter};

    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "PR_SET_SECCOMP");
}

/* openat and dup3 are trapped, openat2 fails with EPERM, and the others return 0. */
static void answer_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ANSWER(SYS_openat, SECCOMP_RET_TRAP),
        ANSWER(SYS_openat2, SECCOMP_RET_ERRNO | EPERM),
        ANSWER(SYS_open_by_handle_at, SECCOMP_RET_ERRNO),
        ANSWER(SYS_dup, SECCOMP_RET_ERRNO),
        ANSWER(SYS_dup3, SECCOMP_RET_TRAP),
        ANSWER(SYS_close_range, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    apply_filter(filter, sizeof(filter) / sizeof(*filter));
}

/* A trapped call seems to return its own number, so descriptors of these numbers are opened. */
static void play_answered(void)
{
    struct sigaction action = {.sa_handler = count_trapped};
    struct open_how how = {.flags = O_RDONLY};
    int fd = open_path("file");

    copy(fd, SYS_openat, 0);
    copy(fd, SYS_dup3, 0);
    expect(sigaction(SIGSYS, &action, NULL), "sigaction");
    answer_calls();
    syscall(SYS_openat, AT_FDCWD, below("file"), O_RDONLY, 0);
    syscall(SYS_dup3, fd, 60, O_CLOEXEC);
    expect(n_trapped == 2 ? 0 : -1, "SIGSYS");
    expect(syscall(SYS_dup, fd) == 0 ? 0 : -1, "dup");
    expect(syscall(SYS_open_by_handle_at, fd, NULL, 0) == 0 ? 0 : -1, "open_by_handle_at");
    expect(syscall(SYS_close_range, 0u, ~0u, 0) == 0 ? 0 : -1, "close_range");
    begin();
    opened(syscall(SYS_openat2, AT_FDCWD, below("file"), &how, sizeof(how)), below("file"),
           O_RDONLY, 0);
    shut(fd);
}

/* --- traced: calls that a tracer answers, so that the kernel does not make them --- */

#ifdef __x86_64__
static void arrange_to_be_traced(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ANSWER(SYS_openat2, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    expect(ptrace(PTRACE_TRACEME, 0, NULL, NULL), "PTRACE_TRACEME");
    apply_filter(filter, sizeof(filter) / sizeof(*filter));
    raise(SIGSTOP);
}

/* The tracer answers openat2 at the filter's stop, and the calls up to getppid at PTRACE_SYSEMU. */
static void make_answered_calls(void)
{
    struct open_how how = {.flags = O_RDONLY};
    int fd = open_path("file");

    arrange_to_be_traced();
    syscall(SYS_openat2, AT_FDCWD, below("file"), &how, sizeof(how));
    syscall(SYS_openat, AT_FDCWD, below("file"), O_RDONLY, 0);
    syscall(SYS_dup, fd);
    syscall(SYS_close, fd);
    syscall(SYS_close_range, 0u, ~0u, 0);
    syscall(SYS_getppid);
    shut(fd);
    leave();
}

/* Answers a call with 0, which is an open descriptor.  as: the number that replaces the call's; -1
 * keeps the kernel from making the call.  Returns the number of the call. */
static long answer_call(pid_t pid, const long *as)
{
    struct user_regs_struct registers;
    long number;

    expect(ptrace(PTRACE_GETREGS, pid, NULL, &registers), "PTRACE_GETREGS");
    number = (long)registers.orig_rax;
    if (as)
        registers.orig_rax = (unsigned long long)*as;
    registers.rax = 0;
    expect(ptrace(PTRACE_SETREGS, pid, NULL, &registers), "PTRACE_SETREGS");
    return number;
}

static void await_stop(pid_t pid)
{
    int status;

    expect(waitpid(pid, &status, 0), "waitpid");
    expect(WIFSTOPPED(status) ? 0 : -1, "a stop");
}

static void play_traced(void)
{
    const long none = -1;
    pid_t pid = fork();

    if (pid == 0)
        make_answered_calls();
    await_stop(pid);
    expect(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL),
           "PTRACE_SETOPTIONS");
    expect(ptrace(PTRACE_CONT, pid, NULL, 0), "PTRACE_CONT");
    await_stop(pid);
    expect(answer_call(pid, &none) == SYS_openat2 ? 0 : -1, "openat2");
    do {
        expect(ptrace(PTRACE_SYSEMU, pid, NULL, 0), "PTRACE_SYSEMU");
        await_stop(pid);
    } while (answer_call(pid, NULL) != SYS_getppid);
    expect(ptrace(PTRACE_CONT, pid, NULL, 0), "PTRACE_CONT");
    join_child(pid);
}

/* --- x32: system calls with the numbers of x32 processes, if the kernel allows them --- */

#define X32(number) (0x40000000l + (number))

static void play_x32(void)
{
    const char *path = below("file");
    int fd;

    if (syscall(X32(SYS_getpid)) < 0)
        return;
    begin();
    fd = opened(syscall(X32(SYS_open), path, O_RDWR, 0), path, O_RDWR, 0);
    begin();
    copied(fd, (int)syscall(X32(SYS_dup), fd));
    begin();
    expect(syscall(X32(SYS_close), fd), "close");
    closed(fd);
    begin();
    opened(syscall(X32(SYS_open), below("none"), O_RDONLY, 0), below("none"), O_RDONLY, 0);
}
#endif

/* --- get-fd: pidfd_getfd(2) --- */

static void get_fd(int pidfd, int fd, bool is_file)
{
    int got;

    begin();
    got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    expect(got, "pidfd_getfd");
    if (is_file) {
        received(got, below("file"), O_RDWR | O_APPEND | O_CLOEXEC);
        shut(got);
    } else {
        expect(close(got), "close");
    }
}

static void play_get_fd(void)
{
    int fd = open_as(AT_FDCWD, below("file"), "file", O_RDWR | O_APPEND, 0), ends[2];
    pid_t parent = getpid(), child;

    expect(pipe(ends), "pipe");
    child = fork_child();
    if (child == 0) {
        int pidfd = (int)syscall(SYS_pidfd_open, parent, 0);

        expect(pidfd, "pidfd_open");
        get_fd(pidfd, fd, true);
        get_fd(pidfd, ends[0], false);
        expect(syscall(SYS_pidfd_getfd, pidfd, 999, 0) < 0 ? 0 : -1, "pidfd_getfd of nothing");
        get_fd(pidfd, fd, true);
        leave();
    }
    join_child(child);
    shut(fd);
}

/*
 * --- left-alone: one thread closes a descriptor and leaves the table; then another one gets the
 * same number for the same file, by a copy of a descriptor that was open before the watch ---
 */

enum { INHERITED_FD = 9 };

struct left_alone {
    int fd;
    atomic_bool starts, is_alone;
};

static void *copy_same_file(void *arg)
{
    struct left_alone *alone = arg;

    alone->starts = true;
    while (!alone->is_alone)
        sleep_briefly();
    expect(dup(INHERITED_FD) == alone->fd ? 0 : -1, "dup");
    expect(dup2(alone->fd, alone->fd + 1), "dup2");
    expect(close(alone->fd + 1), "close");
    expect(close(alone->fd), "close");
    return NULL;
}

static void play_left_alone(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct left_alone alone = {.is_alone = false};
    pthread_t thread;

    expect(pidfd, "pidfd_open");
    start_thread(&thread, copy_same_file, &alone);
    while (!alone.starts)
        sleep_briefly();
    begin();
    alone.fd = (int)syscall(SYS_pidfd_getfd, pidfd, INHERITED_FD, 0);
    expect(alone.fd, "pidfd_getfd");
    received(alone.fd, below("file"), O_RDONLY | O_CLOEXEC);
    shut(alone.fd);
    expect(unshare(CLONE_FILES), "unshare");
    alone.is_alone = true;
    pthread_join(thread, NULL);
}

/* --- no-unshare: executes a program whose unshare(2) a seccomp filter answers --- */

static void play_no_unshare(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ANSWER(SYS_unshare, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    apply_filter(filter, sizeof(filter) / sizeof(*filter));
    execv(given.args[0], given.args);
    die(given.args[0]);
}

/* --- restarted: an open of a FIFO that signals interrupt and the kernel restarts --- */

static void await_sleep(pid_t pid)
{
    while (process_state(pid) != 'S')
        sleep_briefly();
}

static struct {
    _Atomic int handled; /* signals */
    _Atomic bool shut;   /* the parent has closed its end: the second open must block */
    _Atomic bool opened;
} * restarted; /* shared with the child */

static void count_handled(int number)
{
    (void)number;
    restarted->handled++;
}

static void open_interrupted(void)
{
    touch_path("fifo");
    while (!restarted->shut)
        sleep_briefly();
    restarted->opened = true;
    open_as(AT_FDCWD, below("fifo"), "fifo", O_RDONLY | O_CLOEXEC, 0); /* EINTR */
    leave();
}

static void play_restarted(void)
{
    struct sigaction action = {.sa_handler = count_handled, .sa_flags = SA_RESTART};

    restarted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(restarted == MAP_FAILED ? -1 : 0, "mmap");
    expect(sigaction(SIGUSR1, &action, NULL), "sigaction");
    action.sa_flags = 0;
    expect(sigaction(SIGUSR2, &action, NULL), "sigaction");
    pid_t child = fork_child();
    if (child == 0)
        open_interrupted();
    for (int i = 1; i <= 3; i++) {
        await_sleep(child);
        expect(kill(child, SIGUSR1), "SIGUSR1");
        while (restarted->handled < i)
            sleep_briefly();
    }
    await_sleep(child);
    expect(kill(child, SIGSTOP), "SIGSTOP");
    while (process_state(child) != 'T')
        sleep_briefly();
    expect(kill(child, SIGCONT), "SIGCONT");
    await_sleep(child);
    shut(open_as(AT_FDCWD, below("fifo"), "fifo", O_WRONLY, 0));
    restarted->shut = true;
    while (!restarted->opened)
        sleep_briefly();
    await_sleep(child);
    expect(kill(child, SIGUSR2), "SIGUSR2");
    join_child(child);
}

/* --- flush: closes on a FUSE file system that is slow in each of them --- */

struct slow_files {
    _Atomic uint64_t flushed_ns; /* the time of the last request to flush */
    atomic_bool reads;           /* a read is in flight */
    atomic_bool may_read;        /* the server may answer it */
};
static struct slow_files *slow; /* shared with the file system */

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void reply(int fuse, uint64_t unique, int error, const void *data, size_t size)
{
    struct fuse_out_header header = {.len = (uint32_t)(sizeof(header) + size), .error = error};
    struct iovec parts[] = {{&header, sizeof(header)}, {(void *)(uintptr_t)data, size}};

    header.unique = unique;
    /* ENOENT: the file system was unmounted meanwhile.  The kernel does not wait for the answer to
     * a FUSE_RELEASE. */
    if (writev(fuse, parts, size > 0 ? 2 : 1) == -1 && errno != ENOENT)
        expect(-1, "/dev/fuse");
}

enum { FUSE_PAGE = 4096 }; /* the size of each file */
enum {
    GOOD_NODE = FUSE_ROOT_ID + 1,
    BAD_NODE
}; /* of the file "bad", whose flush fails; and of each other file */

static struct fuse_attr attributes_of(uint64_t node)
{
    return (struct fuse_attr){.ino = node,
                              .nlink = 1,
                              .size = FUSE_PAGE,
                              .mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644};
}

static void serve_read(int fuse, uint64_t unique)
{
    static const char page[FUSE_PAGE];

    slow->reads = true;
    while (!slow->may_read)
        sleep_briefly();
    reply(fuse, unique, 0, page, sizeof(page));
}

static void serve_request(int fuse, const struct fuse_in_header *request)
{
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
    uint64_t node = strcmp((const char *)(request + 1), "bad") == 0 ? BAD_NODE : GOOD_NODE;
    struct fuse_entry_out entry = {.nodeid = node, .entry_valid = 60, .attr = attributes_of(node)};
    struct fuse_attr_out attributes = {.attr_valid = 60, .attr = attributes_of(request->nodeid)};
    struct fuse_open_out opened_file = {.fh = 1};

    switch (request->opcode) {
    case FUSE_INIT:
        return reply(fuse, request->unique, 0, &init, sizeof(init));
    case FUSE_LOOKUP:
        return reply(fuse, request->unique, 0, &entry, sizeof(entry));
    case FUSE_GETATTR:
        return reply(fuse, request->unique, 0, &attributes, sizeof(attributes));
    case FUSE_OPEN:
        return reply(fuse, request->unique, 0, &opened_file, sizeof(opened_file));
    case FUSE_READ:
        return serve_read(fuse, request->unique);
    case FUSE_FLUSH:
        slow->flushed_ns = monotonic_ns();
        for (int i = 0; i < 200; i++) /* more than the slack of a comparison */
            sleep_briefly();
        return reply(fuse, request->unique, request->nodeid == BAD_NODE ? -EIO : 0, NULL, 0);
    case FUSE_RELEASE:
        return reply(fuse, request->unique, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
        return;
    default:
        return reply(fuse, request->unique, -ENOSYS, NULL, 0);
    }
}

/* Serves the file system until it is unmounted. */
noreturn static void serve(int fuse)
{
    static char buffer[1 << 16];

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed scene kills only the parent */
    while (read(fuse, buffer, sizeof(buffer)) > 0)
        serve_request(fuse, (const struct fuse_in_header *)(const void *)buffer);
    _exit(0);
}

static pid_t server;

static void set_slow(void)
{
    char options[64];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    set_file();
    make_directory("m");
    expect(fuse, "/dev/fuse");
    slow = mmap(NULL, sizeof(*slow), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(slow == MAP_FAILED ? -1 : 0, "mmap");
    expect(unshare(CLONE_NEWNS), "unshare");
    expect(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
    expect(mount("fuse", below("m"), "fuse", 0, options), "mount fuse");
    server = fork_child();
    if (server == 0)
        serve(fuse);
    expect(close(fuse), "close");
}

static void end_slow(void)
{
    expect(umount2(below("m"), MNT_DETACH), "umount");
    join_child(server);
}

static void play_flush(void)
{
    int other = open_path("file"), fd;

    closes_began_by(&slow->flushed_ns);
    shut(open_path("m/f"));
    fd = open_path("m/f");
    shut_range((unsigned int)fd, (unsigned int)fd, 0);
    fd = open_path("m/f");
    copy(other, fd, 0);
    closes_began_by(NULL);
    shut(fd);
    shut(other);
    end_slow();
}

/* --- results: closes that fail, in whose time another thread gets the same number --- */

static void close_with(int fd, int error)
{
    int result = close(fd);

    expect(result == (error ? -1 : 0) && (!error || errno == error) ? 0 : -1, "close");
}

#ifdef __x86_64__
/* By the call of 32-bit programs, which 64-bit ones can make, too, if the kernel runs such. */
static void close_as_32_bit(int fd, int error)
{
    long result = 6; /* asm/unistd_32.h: close */

    __asm__ volatile("int $0x80" : "+a"(result) : "b"(fd) : "memory");
    expect(result == -error ? 0 : -1, "close");
}
#endif

static void *open_meanwhile(void *fd)
{
    uint64_t before = slow->flushed_ns;
    int taken;

    *(atomic_bool *)fd = true;
    while (slow->flushed_ns == before)
        sleep_briefly();
    taken = open(below("file"), O_RDONLY | O_CLOEXEC);
    expect(taken, "open");
    close_with(taken, 0);
    return NULL;
}

/* With an argument, closes as 32-bit programs do, too. */
static void play_results(void)
{
    atomic_bool waits = false;
    pthread_t thread;
    int fd;

    close_with(open(below("m/good"), O_RDONLY), 0);
    close_with(open(below("m/bad"), O_RDONLY), EIO);
    fd = open(below("m/bad"), O_RDONLY);
    start_thread(&thread, open_meanwhile, &waits);
    while (!waits)
        sleep_briefly();
    close_with(fd, EIO);
    pthread_join(thread, NULL);
    fd = open(below("m/bad"), O_RDONLY);
    expect(dup2(STDOUT_FILENO, fd), "dup2"); /* tells no error */
    close_with(fd, 0);
#ifdef __x86_64__
    if (*given.args != NULL) {
        close_as_32_bit(open(below("m/good"), O_RDONLY), 0);
        close_as_32_bit(open(below("m/bad"), O_RDONLY), EIO);
    }
#endif
    end_slow();
}

/* --- ending: an exiting thread is no longer counted, but still uses the table: the kernel clears
 * the word of set_tid_address(2) before it releases the table, and that word is on a slow page ---
 */

static atomic_int ending_tid;

static void *end_slowly(void *page)
{
    ending_tid = gettid();
    syscall(SYS_set_tid_address, page);
    syscall(SYS_exit, 0);
    return NULL;
}

static void *map_slow_page(void)
{
    int fd = open_path("m/f");
    void *page = mmap(NULL, FUSE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

    expect(page == MAP_FAILED ? -1 : 0, "mmap");
    shut(fd);
    return page;
}

/* The exiting thread also holds mmap_lock, so nothing may be allocated until may_read is set. */
static void play_ending(void)
{
    void *page = map_slow_page();
    int fd = open_path("file");
    pthread_t thread;

    state_exit();
    own_descriptors();
    start_thread(&thread, end_slowly, page);
    while (!slow->reads)
        sleep_briefly();
    expect(syscall(SYS_close_range, fd, fd, CLOSE_RANGE_UNSHARE), "close_range");
    slow->may_read = true;
    while (syscall(SYS_tgkill, getpid(), ending_tid, 0) == 0)
        sleep_briefly();
    touch_path("file"); /* the same number */
    expect(munmap(page, FUSE_PAGE), "munmap");
    end_slow();
}

/* --- lingering: an exiting thread keeps its own table until there is a file "end" --- */

static void *end_slowly_with_own_table(void *page)
{
    expect(unshare(CLONE_FILES), "unshare");
    return end_slowly(page);
}

static void play_lingering(void)
{
    void *page = map_slow_page();
    int fd = open_path("file");
    pthread_t thread;

    start_thread(&thread, end_slowly_with_own_table, page);
    while (!slow->reads)
        sleep_briefly();
    make_file("ready", 0644);
    while (access(below("end"), F_OK) != 0)
        sleep_briefly();
    slow->may_read = true;
    shut(fd);
    while (syscall(SYS_tgkill, getpid(), ending_tid, 0) == 0)
        sleep_briefly();
    expect(munmap(page, FUSE_PAGE), "munmap");
    end_slow();
}

/* --- many: 20,000 opens by two processes at once, in tables that grow --- */

enum { MANY = 20000, AT_ONCE = 500 };

static void open_half_of_many(void)
{
    int fds[AT_ONCE];

    for (int i = 0; i < MANY / 2; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            fds[j] = open_path("file");
        for (int j = 0; j < AT_ONCE; j++)
            shut(fds[j]);
    }
}

static void play_many(void)
{
    pid_t child = fork_child();

    open_half_of_many();
    if (child == 0)
        leave();
    join_child(child);
}

/* Later lines have the pids of this process in the namespace of /proc. */
static void name_as_outside(void)
{
    char line[512];
    const char *rest = stat_of("self", line);

    expect(*rest == '\0' ? -1 : 0, "/proc/self/stat");
    journal_pids((pid_t)strtol(line, NULL, 10), (pid_t)strtol(rest + 2, NULL, 10));
}

/* Each generation waits for the next one. */
static void play_descent(bool in_namespace)
{
    pid_t child = 0;

    for (int generation = 0; child == 0 && generation < 3; generation++) {
        char name[32];
        snprintf(name, sizeof(name), "generation%d", generation);
        if (in_namespace)
            name_as_outside();
        touch_path(name);
        if (generation == 2)
            break;
        if (in_namespace && generation == 0)
            expect(unshare(CLONE_NEWPID), "unshare");
        child = fork_child();
    }
    if (child != 0)
        join_child(child);
    leave();
}

/* --- children: one child and one grandchild, for filemon --depth --- */

static void play_children(void)
{
    play_descent(false);
}

/* --- pidns: the same in a pid namespace.  Records have the pids of filemon's namespace --- */

static void play_pidns(void)
{
    play_descent(true);
}

/* --- tree: files in directories, for path filters --- */

static void set_tree(void)
{
    static const char *const directories[] = {"etc", "etc/sub", "etc/sub/in", "etcetera", "var"};

    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
        char file[64];
        make_directory(directories[i]);
        snprintf(file, sizeof(file), "%s/file", directories[i]);
        make_file(file, 0644);
    }
    make_symlink("etc", "link");
}

static void play_tree(void)
{
    int fd = open_path("etc/file");

    touch_path("etc");
    touch_path("etc/sub/file");
    touch_path("etc/sub/in/file");
    touch_path("etcetera/file");
    touch_path("var/file");
    shut(open_as(AT_FDCWD, below("link/file"), "etc/file", O_RDONLY, 0));
    copy(fd, open_path("var/file"), 0);
}

/* --- dup-race: a thread copies onto a descriptor that another thread closes.  Their order is not
 * known: the journal has only the numbers of copies and of closes --- */

enum { RACED = 40, RACE_ROUNDS = 2000, RACE_CLOSES = 100 };

static atomic_int race_closes;
static atomic_bool race_over;

static void *close_raced(void *arg)
{
    while (!race_over) {
        race_closes += close(RACED) == 0;
        sched_yield();
        relax();
    }
    return arg;
}

static FILE *open_journal(void)
{
    FILE *journal = fopen(given.journal, "ae");

    if (journal == NULL)
        die(given.journal);
    return journal;
}

static void play_dup_race(void)
{
    pthread_t other;
    int fd = open(below("file"), O_RDONLY), copies = 0;

    expect(fd, "open");
    start_thread(&other, close_raced, NULL);
    while (copies < RACE_ROUNDS || race_closes < RACE_CLOSES) {
        expect(dup2(fd, RACED), "dup2");
        if (++copies % 4 == 0) { /* not each time, so that copies are also replaced by copies */
            sched_yield();
            relax();
        }
    }
    race_over = true;
    pthread_join(other, NULL);
    FILE *journal = open_journal();
    fprintf(journal, "%d %d\n", copies, race_closes);
    fclose(journal);
}

/* --- copy-race: a thread copies a descriptor that another thread closes.  The journal has the
 * numbers of opens and of copies --- */

enum { COPY_ROUNDS = 8000, COPY_TARGET = 50, COPY_SPIN = 200 };

static atomic_int to_close = -1;

/* Waits for a random number of steps. */
static void spin_about(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    for (volatile unsigned i = *state >> 16 & 0xff; i > 0 && i < COPY_SPIN; i--)
        ;
}

static void *close_copied(void *arg)
{
    unsigned state = 1;

    while (!race_over) {
        if (to_close < 0) {
            relax();
            continue;
        }
        spin_about(&state);
        close(to_close);
        to_close = -1;
    }
    return arg;
}

static int copy_raced(int fd, int way)
{
    switch (way) {
    case 0:
        return dup(fd);
    case 1:
        return fcntl(fd, F_DUPFD, 0);
    case 2:
        return dup2(fd, COPY_TARGET);
    default:
        return dup3(fd, COPY_TARGET, O_CLOEXEC);
    }
}

static void play_copy_race(void)
{
    unsigned state = 7;
    int copies = 0;
    pthread_t other;

    start_thread(&other, close_copied, NULL);
    for (int round = 0; round < COPY_ROUNDS; round++) {
        int fd = open(below("file"), O_RDONLY), made;
        expect(fd, "open");
        to_close = fd;
        spin_about(&state);
        made = copy_raced(fd, round % 4);
        while (to_close >= 0)
            relax();
        if (made >= 0)
            close(made);
        copies += made >= 0;
    }
    race_over = true;
    pthread_join(other, NULL);
    FILE *journal = open_journal();
    fprintf(journal, "%d %d\n", COPY_ROUNDS, copies);
    fclose(journal);
}

/* --- path-race: a thread closes a pipe while another thread uses it as the dirfd of an open, which
 * fails.  The kernel frees the dentry of a pipe at once --- */

enum { PATH_RACE_SECONDS = 60, PATH_RACE_ROUNDS = 1000, PATH_RACE_BURST = 25, PATH_RACE_REST = 8 };

static atomic_int raced_pipe = -1;

static void *make_pipes(void *unused)
{
    int ends[2];

    while (!race_over) {
        expect(pipe(ends), "pipe");
        raced_pipe = ends[0];
        close(ends[0]);
        close(ends[1]);
    }
    return unused;
}

static void play_path_race(void)
{
    static char name[PATH_MAX];
    time_t end = time(NULL) + PATH_RACE_SECONDS;
    int failed = 0;
    pthread_t other;

    memset(name, 'n', sizeof(name) - 1);
    start_thread(&other, make_pipes, NULL);
    while (time(NULL) < end || failed < PATH_RACE_ROUNDS) {
        uint64_t begun_ns = monotonic_ns(), took_ns;

        for (int i = 0; i < PATH_RACE_BURST; i++)
            failed += syscall(SYS_openat, raced_pipe, name, O_RDONLY) == -1;
        took_ns = monotonic_ns() - begun_ns;
        /* A faster loop would lose records: each has a name of 4 KiB.  On a slow machine filemon is
         * slow, too. */
        usleep(10000 + (useconds_t)(took_ns / 1000) * PATH_RACE_REST);
    }
    race_over = true;
    pthread_join(other, NULL);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", failed);
    fclose(journal);
}

/* --- long-name: a name of more than PATH_MAX bytes --- */

static void play_long_name(void)
{
    static char name[PATH_MAX + 100];

    memset(name, 'n', sizeof(name) - 1);
    memcpy(name, below("d/"), strlen(below("d/")));
    expect(syscall(SYS_openat, AT_FDCWD, name, O_RDONLY) == -1 && errno == ENAMETOOLONG ? 0 : -1,
           "a name that is too long");
    touch_path("file");
}

/* --- table-race: one user of a file descriptor table exits while another one leaves the table, and
 * gets a copy if it is not the last user.  Their order is not known: the journal has only the
 * number of opens --- */

enum { TABLE_ROUNDS = 100 };

static atomic_int at_the_line;

/* Waits until as many threads have called this. */
static void line_up(int of)
{
    at_the_line++;
    while (at_the_line < of) {
        sched_yield();
        relax();
    }
}

static int open_raced(int flags)
{
    int fd = open(below("file"), O_RDONLY | flags);

    expect(fd, "open");
    return fd;
}

/* Each of these opens one file. */
static void leave_by_range(void)
{
    expect(syscall(SYS_close_range, 3, 100, CLOSE_RANGE_UNSHARE), "close_range");
    open_raced(0);
}

static void leave_by_unshare(void)
{
    expect(unshare(CLONE_FILES), "unshare");
    open_raced(0);
}

static void leave_by_exec(void)
{
    open_raced(0);
    execl("/proc/self/exe", "fdwork", "nothing", given.directory, given.journal, (char *)NULL);
    die("exec");
}

static void play_nothing(void)
{
}

static void (*const leaving[])(void) = {leave_by_range, leave_by_unshare, leave_by_exec};
enum { WAYS_TO_LEAVE = 3 };

static int leave_in_sharer(void *given_way)
{
    int way = *(int *)given_way; /* on the stack of a process that may exit first */

    line_up(2);
    leaving[way]();
    _exit(0);
}

static int end_in_sharer(void *arg)
{
    (void)arg;
    line_up(2);
    _exit(0);
}

static void race_to_leave(int way)
{
    start_sharer(end_in_sharer, NULL);
    line_up(2);
    leaving[way]();
}

static void race_to_end(int way)
{
    start_sharer(leave_in_sharer, &way);
    line_up(2);
}

static void *open_in_own_table(void *arg)
{
    leave_by_unshare();
    line_up(2);
    syscall(SYS_exit, 0);
    return arg;
}

static void race_of_tables(int way)
{
    pthread_t thread;

    (void)way;
    start_thread(&thread, open_in_own_table, NULL);
    line_up(2);
    syscall(SYS_exit, 0);
}

static void *end_in_thread(void *arg)
{
    line_up(3);
    syscall(SYS_exit, 0);
    return arg;
}

/* Two threads exit while a third one leaves their table. */
static void race_of_threads(int way)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        start_thread(&threads[i], end_in_thread, NULL);
    line_up(3);
    leaving[way]();
}

static void (*const table_races[])(int way) = {race_to_leave, race_to_end, race_of_tables,
                                               race_of_threads};
enum { TABLE_RACES = 4, TABLE_OPENS = 2 * TABLE_RACES * WAYS_TO_LEAVE * TABLE_ROUNDS * 3 };

/* Three opens in each round. */
static void race_with_tables(void)
{
    for (int round = 0; round < TABLE_RACES * WAYS_TO_LEAVE * TABLE_ROUNDS; round++) {
        pid_t child = fork();
        expect(child, "fork");
        if (child == 0) {
            open_raced(0);
            open_raced(O_CLOEXEC);
            table_races[round % TABLE_RACES](round % WAYS_TO_LEAVE);
            _exit(0);
        }
        join_child(child);
    }
}

/* Two processes do this at once, so that the kernel reuses the memory of freed tables. */
static void play_table_race(void)
{
    pid_t other = fork();

    expect(other, "fork");
    race_with_tables();
    if (other == 0)
        _exit(0);
    join_child(other);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", TABLE_OPENS);
    fclose(journal);
}

/* --- exec-race: in each of some processes the first thread exits, and then another one executes a
 * program.  So it gets the number of the first one, while filemon looks for users of tables by
 * number: a crowd of threads has the numbers in between.  Each process keeps one file open until
 * its program closes it.  The journal has the number of these files --- */

enum { RACERS = 200, CROWD = 2000, RACER_FD = 100, HOG_NS = 10000000 };

/* Takes nearly all the time of its processor. */
static noreturn void hog(pid_t player)
{
    const struct timespec rest = {.tv_nsec = HOG_NS / 32};

    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    while (getppid() == player) {
        for (uint64_t from = clock_ns(CLOCK_MONOTONIC); clock_ns(CLOCK_MONOTONIC) < from + HOG_NS;)
            ;
        nanosleep(&rest, NULL);
    }
    _exit(0);
}

static void run_on(pid_t pid, const cpu_set_t *processors)
{
    expect(sched_setaffinity(pid, sizeof(*processors), processors), "sched_setaffinity");
}

/* Leaves one processor to filemon, and takes the others.  False: there is only one. */
static bool leave_processor(cpu_set_t *one)
{
    cpu_set_t others;
    int processor = 0;

    expect(sched_getaffinity(0, sizeof(others), &others), "sched_getaffinity");
    if (CPU_COUNT(&others) == 1)
        return false;
    while (!CPU_ISSET(processor, &others))
        processor++;
    CPU_ZERO(one);
    CPU_SET(processor, one);
    CPU_CLR(processor, &others);
    run_on(getppid(), one);
    run_on(0, &others);
    return true;
}

/* Filemon then needs long to look at all tasks. */
static pid_t start_hog(const cpu_set_t *one)
{
    pid_t player = getpid(), pid = fork();

    expect(pid, "fork");
    if (pid == 0) {
        run_on(0, one);
        hog(player);
    }
    return pid;
}

static void *exec_as_first(void *arg)
{
    (void)arg;
    while (!has_exited(getpid()))
        sched_yield();
    raise(SIGSTOP);
    execl("/proc/thread-self/exe", "fdwork", "exec-racer", given.directory, given.journal,
          (char *)NULL);
    die("exec");
}

/* A stopped process waits for its parent. */
static void race_to_exec(void)
{
    pthread_t thread;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    expect(dup2(open_raced(0), RACER_FD), "dup2");
    raise(SIGSTOP);
    start_thread(&thread, exec_as_first, NULL);
    syscall(SYS_exit, 0);
}

static void play_exec_racer(void)
{
    raise(SIGSTOP);
    expect(close(RACER_FD), "close");
}

static void gather_crowd(void)
{
    pthread_attr_t small;
    pthread_t thread;

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (int i = 0; i < CROWD; i++) {
        errno = pthread_create(&thread, &small, wait_for_end, NULL);
        expect(-errno, "pthread_create");
    }
}

static pid_t start_racer(void)
{
    pid_t pid = fork();

    expect(pid, "fork");
    if (pid == 0)
        race_to_exec();
    expect(waitpid(pid, NULL, WUNTRACED), "waitpid");
    return pid;
}

/* Lets the process go on until it stops again or exits. */
static void go_on(pid_t racer)
{
    expect(kill(racer, SIGCONT), "kill");
    expect(waitpid(racer, NULL, WUNTRACED), "waitpid");
}

/* While a thread executes its program, first threads of other processes exit: so it is always in
 * doubt which tables have users. */
static void race_with_executions(const pid_t *racers)
{
    for (int i = 0; i < RACERS + RACERS / 4; i++) {
        if (i < RACERS)
            go_on(racers[i]);
        if (i >= RACERS / 4)
            go_on(racers[i - RACERS / 4]);
    }
}

static void play_exec_race(void)
{
    pid_t racers[RACERS], hog_pid = 0;
    cpu_set_t left_to_filemon;
    bool slows = leave_processor(&left_to_filemon);

    for (int i = 0; i < RACERS; i++)
        racers[i] = start_racer();
    gather_crowd();
    if (slows)
        hog_pid = start_hog(&left_to_filemon);
    race_with_executions(racers);
    if (slows)
        kill(hog_pid, SIGKILL);
    for (int i = 0; i < RACERS; i++)
        go_on(racers[i]);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", RACERS);
    fclose(journal);
}

/* --- held-exec: as for exec-race, while filemon looks for initially open descriptors.  Processes
 * that have many of them have the numbers in between.  The executions begin when there is a file
 * "go".  Each racer has file RACER_FD open until there is a file "end" --- */

enum { HOLDERS = 9, MOST_HELD = 20000, HELD_EXEC_PAUSE_US = 2000 };

static noreturn void hold_many(const char *ready)
{
    int null = open("/dev/null", O_RDONLY);
    struct rlimit limit;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    expect(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    expect(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    for (int fd = RACER_FD; fd < MOST_HELD && (rlim_t)fd < limit.rlim_max; fd++)
        expect(dup2(null, fd), "dup2");
    make_file(ready, 0644);
    for (;;)
        pause();
}

static void await_path(const char *name)
{
    while (access(below(name), F_OK) != 0)
        sleep_briefly();
}

static void play_held_exec(void)
{
    pid_t racers[RACERS], holder;
    char ready[] = "ready.0";

    for (int i = 0; i < RACERS; i++)
        racers[i] = start_racer();
    for (int i = 0; i < HOLDERS; i++, ready[sizeof(ready) - 2]++) {
        holder = fork();
        expect(holder, "fork");
        if (holder == 0)
            hold_many(ready);
        await_path(ready);
    }
    for (int i = 0; i < RACERS; i++)
        go_on(racers[i]);
    make_file("ready", 0644);
    await_path("go");
    for (int i = 0; i < RACERS; i++) {
        go_on(racers[i]);
        usleep(HELD_EXEC_PAUSE_US);
    }
    make_file("executed", 0644);
    await_path("end");
    for (int i = 0; i < RACERS; i++)
        kill(racers[i], SIGKILL);
}

/* --- table-reused: a process closes a file that its child has, too, and exits; the child of that
 * child probably gets the file descriptor table at the same address, and copies the file, which
 * nobody has opened in that table --- */

enum { REUSED_TABLES = 200 };

static void copy_inherited(int fd)
{
    pid_t child = fork();

    expect(child, "fork");
    if (child == 0) {
        expect(close(dup(fd)), "dup");
        _exit(0);
    }
    join_child(child);
    _exit(0);
}

/* With a second thread, the close can be seen while it is in flight. */
static void close_inherited(pid_t *heir, int go)
{
    int fd = open(below("file"), O_RDONLY);
    pthread_t thread;
    uint64_t one;
    pid_t child;

    expect(fd, "open");
    start_thread(&thread, wait_for_end, NULL);
    child = fork();
    expect(child, "fork");
    if (child == 0) {
        expect(read(go, &one, sizeof(one)), "read");
        copy_inherited(fd);
    }
    *heir = child;
    expect(close(fd), "close");
    _exit(0);
}

static void reuse_table(pid_t *heir, int go)
{
    const uint64_t one = 1;
    pid_t child = fork();

    expect(child, "fork");
    if (child == 0)
        close_inherited(heir, go);
    join_child(child);
    expect(write(go, &one, sizeof(one)), "write");
    join_child(*heir);
}

static void play_table_reused(void)
{
    int go = eventfd(0, 0);
    pid_t *heir = mmap(NULL, sizeof(*heir), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                       0);
    cpu_set_t first;

    expect(go, "eventfd");
    if (heir == MAP_FAILED)
        die("mmap");
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    run_on(0, &first);
    expect(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    for (int i = 0; i < REUSED_TABLES; i++)
        reuse_table(heir, go);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", REUSED_TABLES);
    fclose(journal);
}

/* --- busy: processes open and close as fast as they can, on all processors; the journal has the
 * number of opens.  endless: the same until there is a file "end" --- */

enum { BUSY_PROCESSES = 4, BUSY_ROUNDS = 10000 };

static void fork_busy(void (*run)(void))
{
    pid_t children[BUSY_PROCESSES];

    for (int i = 0; i < BUSY_PROCESSES; i++) {
        children[i] = fork();
        expect(children[i], "fork");
        if (children[i] == 0) {
            run();
            _exit(0);
        }
    }
    for (int i = 0; i < BUSY_PROCESSES; i++)
        join_child(children[i]);
}

static void open_busily(void)
{
    const char *path = below("file");

    for (int i = 0; i < BUSY_ROUNDS; i++)
        close(open(path, O_RDONLY));
}

static void play_busy(void)
{
    fork_busy(open_busily);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", BUSY_PROCESSES * BUSY_ROUNDS);
    fclose(journal);
}

#define WAITING 600
#define WAITING_WRITES 10

/* More processes wait in readv(2) than a kernel with few processors has room to see return. */
static void play_waiting(void)
{
    int ends[2], fd;
    pid_t children[WAITING];
    char byte = 0;
    struct iovec bytes = {&byte, 1};

    expect(pipe(ends), "pipe");
    for (int i = 0; i < WAITING; i++) {
        children[i] = fork();
        expect(children[i], "fork");
        if (children[i] == 0) {
            close(ends[1]);
            expect(readv(ends[0], &bytes, 1), "readv");
            _exit(0);
        }
    }
    for (int i = 0; i < WAITING; i++)
        while (process_state(children[i]) != 'S') /* nothing else of a child's sleeps */
            sleep_briefly();
    fd = open(below("file"), O_WRONLY);
    for (int i = 0; i < WAITING_WRITES; i++)
        expect(writev(fd, &bytes, 1), "writev");
    close(fd);
    close(ends[1]);
    for (int i = 0; i < WAITING; i++)
        join_child(children[i]);
    FILE *journal = open_journal();
    fprintf(journal, "%d\n", WAITING_WRITES);
    fclose(journal);
}

static void open_endlessly(void)
{
    const char *path = below("file"), *end = below("end");

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed scene kills only the parent */
    while (access(end, F_OK) != 0) {
        for (int i = 0; i < 100; i++)
            close(open(path, O_RDONLY));
    }
}

static void play_endless(void)
{
    fork_busy(open_endlessly);
}

/* --- restless: threads open, copy, replace and close descriptors of one table, in which others
 * stay open, until there is a file "end" --- */

enum { KEPT_FIRST = 500, KEPT = 100, RESTLESS_TARGET = 40, RESTLESS_FIRST = 50 };

static const char *restless_path, *restless_end;

static void open_and_close(int kept)
{
    (void)kept;
    close(open(restless_path, O_RDONLY));
}

static void copy_and_close(int kept)
{
    close(dup(kept));
}

static void replace_and_close(int kept)
{
    dup2(kept, RESTLESS_TARGET);
    dup2(kept, RESTLESS_TARGET);
    close(RESTLESS_TARGET);
}

static void copy_and_close_range(int kept)
{
    unsigned int fd = (unsigned int)fcntl(kept, F_DUPFD, RESTLESS_FIRST);

    syscall(SYS_close_range, fd, fd, 0);
}

static void (*const restless_ways[])(int kept) = {open_and_close, copy_and_close, replace_and_close,
                                                  copy_and_close_range};
enum { RESTLESS_WAYS = sizeof(restless_ways) / sizeof(*restless_ways) };

static void *be_restless(void *way)
{
    while (access(restless_end, F_OK) != 0) {
        for (int i = 0; i < 20; i++)
            restless_ways[*(const int *)way](KEPT_FIRST);
        usleep(5000); /* a faster loop would lose records */
    }
    return NULL;
}

static void play_restless(void)
{
    pthread_t threads[RESTLESS_WAYS];
    int ways[RESTLESS_WAYS], fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed scene kills only the parent */
    restless_path = below("file");
    restless_end = below("end");
    fd = open(restless_path, O_RDONLY);
    for (int i = 0; i < KEPT; i++)
        expect(dup2(fd, KEPT_FIRST + i), "dup2");
    close(fd);
    for (int i = 0; i < RESTLESS_WAYS; i++) {
        ways[i] = i;
        start_thread(&threads[i], be_restless, &ways[i]);
    }
    make_file("ready", 0644);
    for (int i = 0; i < RESTLESS_WAYS; i++)
        pthread_join(threads[i], NULL);
}

/*
 * --- passed: a child renews the copies of two descriptors in turn, by close_range(2) or dup2(2),
 * while filemon scans its table, until there is a file "end".  The parent's many descriptors make
 * the scan long.  The child makes a file "still" when it has stopped ---
 */

enum { LOW_ORIGIN = 10, PASSED_FIRST = 20, HIGH_ORIGIN = 900 };
enum { PARENT_FIRST = 1000, PARENT_KEPT = 5000 };

static void set_passed(void)
{
    make_file("file", 0644);
    make_file("other", 0644);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit = {PARENT_FIRST + PARENT_KEPT, PARENT_FIRST + PARENT_KEPT};

    expect(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

/* The scan reaches the one before the copies, the other after them. */
static int origin_of(int fd)
{
    return fd % 4 < 2 ? LOW_ORIGIN : HIGH_ORIGIN;
}

/* Replaces the copy by another file, and that by a new copy. */
static void renew_copy(int fd, const char *path)
{
    int other = open(path, O_RDONLY);

    dup2(other, fd);
    close(other);
    if (fd % 2)
        syscall(SYS_close_range, fd, fd, 0);
    dup2(origin_of(fd), fd);
}

static void renew_copies(void)
{
    const char *other = below("other"), *end = below("end");

    for (int fd = PASSED_FIRST; fd < HIGH_ORIGIN; fd++)
        expect(dup2(origin_of(fd), fd), "dup2");
    make_file("ready", 0644);
    for (int fd = PASSED_FIRST; access(end, F_OK) != 0; fd++) {
        if (fd == HIGH_ORIGIN)
            fd = PASSED_FIRST;
        renew_copy(fd, other);
        usleep(200); /* a faster loop would lose records */
    }
    make_file("still", 0644);
    for (;;)
        pause();
}

static void play_passed(void)
{
    int fd = open(below("file"), O_RDONLY);

    raise_descriptor_limit();
    expect(dup2(fd, LOW_ORIGIN), "dup2");
    expect(dup2(fd, HIGH_ORIGIN), "dup2");
    close(fd);
    pid_t child = fork();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed scene kills only the parent */
    if (child == 0)
        renew_copies();
    for (int i = 0; i < PARENT_KEPT; i++)
        expect(dup2(HIGH_ORIGIN, PARENT_FIRST + i), "dup2");
    make_file("full", 0644);
    waitpid(child, NULL, 0);
}

/* --- uring: opens and closes by io_uring --- */

struct ring {
    int fd;
    unsigned int flags;                     /* for io_uring_enter(2) */
    unsigned char how;                      /* flags of each request */
    unsigned int *tail, mask, *array;       /* submissions */
    unsigned int *head, *end, results_mask; /* completions */
    struct io_uring_sqe *requests;
    struct io_uring_cqe *results;
};

static void *map_ring(int fd, size_t size, off_t what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

    expect(at == MAP_FAILED ? -1 : 0, "mmap");
    return at;
}

static struct ring make_ring(unsigned int flags, unsigned char how)
{
    struct io_uring_params params = {.flags = flags, .sq_thread_idle = 1000};
    struct ring ring = {.flags = IORING_ENTER_GETEVENTS, .how = how};

    ring.fd = (int)syscall(SYS_io_uring_setup, 4, &params);
    expect(ring.fd, "io_uring_setup");
    if (flags & IORING_SETUP_SQPOLL)
        ring.flags |= IORING_ENTER_SQ_WAKEUP;
    const struct io_sqring_offsets *in = &params.sq_off;
    const struct io_cqring_offsets *out = &params.cq_off;
    char *at = map_ring(ring.fd, in->array + params.sq_entries * sizeof(unsigned int),
                        IORING_OFF_SQ_RING);
    ring.tail = (unsigned int *)(void *)(at + in->tail);
    ring.mask = *(unsigned int *)(void *)(at + in->ring_mask);
    ring.array = (unsigned int *)(void *)(at + in->array);
    at = map_ring(ring.fd, out->cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                  IORING_OFF_CQ_RING);
    ring.head = (unsigned int *)(void *)(at + out->head);
    ring.end = (unsigned int *)(void *)(at + out->tail);
    ring.results_mask = *(unsigned int *)(void *)(at + out->ring_mask);
    ring.results = (struct io_uring_cqe *)(void *)(at + out->cqes);
    ring.requests = map_ring(ring.fd, params.sq_entries * sizeof(struct io_uring_sqe),
                             IORING_OFF_SQES);
    return ring;
}

/* Submits a request, and waits until this many are complete. */
static void submit(struct ring *ring, struct io_uring_sqe request, unsigned int wait)
{
    unsigned int tail = *ring->tail;

    request.flags |= ring->how;
    ring->requests[tail & ring->mask] = request;
    ring->array[tail & ring->mask] = tail & ring->mask;
    __atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
    expect(syscall(SYS_io_uring_enter, ring->fd, 1, wait, wait > 0 ? ring->flags : 0, NULL, 0),
           "io_uring_enter");
}

/* Returns the result of the next completed request, or -1 and sets errno. */
static int reap(struct ring *ring)
{
    unsigned int head = *ring->head;

    while (__atomic_load_n(ring->end, __ATOMIC_ACQUIRE) == head)
        sleep_briefly();
    int result = ring->results[head & ring->results_mask].res;
    __atomic_store_n(ring->head, head + 1, __ATOMIC_RELEASE);
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : result;
}

static int submit_and_reap(struct ring *ring, struct io_uring_sqe request)
{
    submit(ring, request, 1);
    return reap(ring);
}

/* slot: the index in the ring's own table, from 1; 0: open a descriptor. */
static int request_open(struct ring *ring, const char *path, uint32_t flags, mode_t mode,
                        uint32_t slot)
{
    return submit_and_reap(ring, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
                                                       .fd = AT_FDCWD,
                                                       .addr = (uintptr_t)below(path),
                                                       .len = mode,
                                                       .open_flags = flags,
                                                       .file_index = slot});
}

static int request_close(struct ring *ring, int fd, uint32_t slot)
{
    return submit_and_reap(
        ring, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd, .file_index = slot});
}

static int ring_open(struct ring *ring, const char *path, uint32_t flags, mode_t mode)
{
    begin();
    int fd = request_open(ring, path, flags, mode, 0);
    expect(fd, path);
    return opened(fd, below(path), flags, mode);
}

static int ring_open_how(struct ring *ring, const char *path, struct open_how how)
{
    begin();
    int fd = submit_and_reap(ring, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT2,
                                                         .fd = AT_FDCWD,
                                                         .addr = (uintptr_t)below(path),
                                                         .len = sizeof(how),
                                                         .off = (uintptr_t)&how});
    expect(fd, path);
    return opened(fd, below(path), how.flags, (mode_t)how.mode);
}

static void ring_shut(struct ring *ring, int fd)
{
    begin();
    expect(request_close(ring, fd, 0), "close");
    closed(fd);
}

/* filemon reports no files in the ring's own table (not descriptors), and no failed requests. */
static void play_unreported(struct ring *ring)
{
    const int none[] = {-1, -1};

    expect(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, none, 2), "register");
    expect(request_open(ring, "file", O_RDONLY, 0, 2), "direct open");
    expect(request_open(ring, "new", O_RDWR | O_CREAT, 0600, 1), "direct open");
    expect(request_close(ring, 0, 2), "direct close");
    expect(request_open(ring, "nothing", O_RDONLY, 0, 0) == -1 && errno == ENOENT ? 0 : -1,
           "nothing");
    expect(request_close(ring, 900, 0) == -1 && errno == EBADF ? 0 : -1, "closed");
}

static void play_ring(unsigned int flags, unsigned char how)
{
    struct ring ring = make_ring(flags, how);
    int fd = ring_open(&ring, "file", O_RDONLY, 0);
    int other = ring_open(&ring, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0640);

    play_unreported(&ring);
    ring_shut(&ring, fd);
    fd = ring_open_how(&ring, "new", (struct open_how){.flags = O_WRONLY | O_CREAT, .mode = 0600});
    copy(fd, 50, 0);
    shut(fd);
    ring_shut(&ring, 50);
    fd = open_path("file");
    ring_shut(&ring, fd);
    touch_path("file");
    shut(other);
    ring_open(&ring, "file", O_RDONLY, 0);
    expect(close(ring.fd), "close");
}

/* A close without a completion event. */
static void play_silent_close(void)
{
    struct ring ring = make_ring(0, IOSQE_CQE_SKIP_SUCCESS);
    int fd = open_path("file");

    begin();
    submit(&ring, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd}, 0);
    expect(fcntl(fd, F_GETFD) == -1 ? 0 : -1, "close");
    closed(fd);
    shut(open_as(AT_FDCWD, below("new"), "new", O_RDWR, 0)); /* the same descriptor */
    expect(close(ring.fd), "close");
}

/* The completion of a close is posted after its descriptor number has been reused. */
static void play_late_completion(void)
{
    struct ring ring = make_ring(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER,
                                 IOSQE_ASYNC);
    int fd = open_path("file");

    begin();
    submit(&ring, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd}, 0);
    while (fcntl(fd, F_GETFD) != -1)
        sleep_briefly();
    closed(fd);
    int other = open_as(AT_FDCWD, below("new"), "new", O_RDWR, 0);
    expect(syscall(SYS_io_uring_enter, ring.fd, 0, 1, ring.flags, NULL, 0), "io_uring_enter");
    expect(reap(&ring), "close");
    shut(other);
    expect(close(ring.fd), "close");
}

static void play_uring(void)
{
    play_ring(0, 0);
    play_ring(0, IOSQE_ASYNC); /* by worker threads */
    play_ring(IORING_SETUP_SQPOLL, 0);
    play_silent_close();
    play_late_completion();
}

/* --- ring-result: io_uring closes a file whose flush fails; then the thread does nothing until
 * the file "end" is there --- */

static void play_ring_result(void)
{
    struct ring ring = make_ring(0, 0);

    expect(request_close(&ring, open(below("m/bad"), O_RDONLY), 0) == -1 && errno == EIO ? 0 : -1,
           "close");
    while (access(below("end"), F_OK) != 0)
        sleep_briefly();
    end_slow();
}

/* --- pid-reuse: an unwatched process reuses the pid of a watched process, and after that a watched
 * one does.  The file "pids" has the pids of the two targets --- */

static struct {
    pid_t short_lived, long_lived;
    int for_short[2], for_long[2], pids[2]; /* pipes */
} reuse;

static void give_turn(const int turn[2])
{
    expect(write(turn[1], "", 1), "write");
}

static void await_turn(const int turn[2])
{
    char byte;

    expect(read(turn[0], &byte, 1) == 1 ? 0 : -1, "read");
}

static noreturn void live_short(void)
{
    await_turn(reuse.for_short);
    copy(open_path("file"), 30, 0);
    touch_path("file");
    leave();
}

static noreturn void live_long(void)
{
    await_turn(reuse.for_long);
    pid_t child = fork_child();
    if (child == 0) {
        copy(open_path("file"), 30, 0);
        leave();
    }
    join_child(child);
    expect(write(reuse.pids[1], &child, sizeof(child)), "write");
    await_turn(reuse.for_long);
    touch_path("file");
    child = fork_child_as(reuse.short_lived);
    if (child == 0) {
        touch_path("file");
        open_path("file");
        leave();
    }
    join_child(child);
    leave();
}

/* An unwatched process: uses the same descriptors as the earlier owner of its pid, and writes no
 * lines. */
static void play_unwatched(pid_t pid)
{
    pid_t self = fork_child_as(pid);

    if (self == 0) {
        pid_t child = fork();
        int fd = open(below("unwatched"), O_RDONLY);
        if (child > 0)
            join_child(child);
        expect(dup2(fd, 30), "dup2");
        expect(close(fd), "close");
        expect(open(below("unwatched"), O_RDONLY), "open");
        _exit(0);
    }
    join_child(self);
}

static void set_pid_reuse(void)
{
    set_file();
    make_file("unwatched", 0644);
    expect(pipe(reuse.for_short), "pipe");
    expect(pipe(reuse.for_long), "pipe");
    expect(pipe(reuse.pids), "pipe");
    reuse.short_lived = fork_child();
    if (reuse.short_lived == 0)
        live_short();
    reuse.long_lived = fork_child();
    if (reuse.long_lived == 0)
        live_long();
    FILE *pids = fopen(below("pids"), "we");
    if (pids == NULL)
        die("pids");
    fprintf(pids, "%d %d\n", reuse.short_lived, reuse.long_lived);
    fclose(pids);
}

static void play_pid_reuse(void)
{
    pid_t child;

    give_turn(reuse.for_short);
    join_child(reuse.short_lived);
    play_unwatched(reuse.short_lived);
    give_turn(reuse.for_long);
    expect(read(reuse.pids[0], &child, sizeof(child)), "read");
    play_unwatched(child);
    give_turn(reuse.for_long);
    join_child(reuse.long_lived);
}

/* --- attach: threads and children open, close and fork while the watch begins.  The journal has
 * the files that must be reported ("sure": opened by a watched process after the watch began), and
 * those that may be ("perhaps") --- */

enum { STORM_FILES = 1 << 18, STORM_WATCHED = 3000, STORM_AT_ONCE = 8, STORM_LIVE_LONG = 3 };

/* Shared by all processes of the scene. */
static struct storm {
    atomic_int next;     /* the name of the next file */
    atomic_int alive;    /* processes without the first one */
    atomic_bool watched; /* the watch has begun */
    atomic_bool over;
    struct {
        pid_t pid;
        bool sure;
    } files[STORM_FILES];
} * storm;

static pthread_t storm_threads[2];

static const char *storm_path(int file)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", file);
    return below(name);
}

/* known: filemon is sure to watch this process once the watch has begun. */
static void open_next(bool known)
{
    int file = storm->next++;
    bool sure = known && storm->watched;

    if (file >= STORM_FILES)
        die("too many files");
    int fd = open(storm_path(file), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    expect(fd, "open");
    storm->files[file].pid = getpid();
    storm->files[file].sure = sure;
    close(fd);
    unlink(storm_path(file));
}

static void *open_on(void *arg)
{
    while (!storm->over) {
        open_next(true);
        sleep_briefly();
    }
    return arg;
}

static bool fork_in_storm(void)
{
    storm->alive++;
    pid_t pid = fork();
    expect(pid, "fork");
    return pid == 0;
}

static noreturn void leave_storm(void)
{
    storm->alive--;
    _exit(0);
}

/* If the parent of a process has exited before the watch began, filemon cannot know that it is a
 * descendant. */
static void leave_orphan(void)
{
    bool known = storm->watched;

    if (!fork_in_storm())
        return;
    open_next(known);
    open_next(known);
    leave_storm();
}

static noreturn void live_in_storm(int number, pid_t parent)
{
    open_next(true);
    if (number % 3 == 0)
        leave_orphan();
    while (number < STORM_LIVE_LONG && !storm->over && getppid() == parent) {
        open_next(true);
        sleep_briefly();
    }
    open_next(true);
    leave_storm();
}

static void *fork_on(void *arg)
{
    pid_t self = getpid();

    for (int number = 0; !storm->over; number++) {
        if (fork_in_storm())
            live_in_storm(number, self);
        while (storm->alive > STORM_AT_ONCE)
            sched_yield();
    }
    return arg;
}

static void set_attach(void)
{
    storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(storm == MAP_FAILED ? -1 : 0, "mmap");
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the children */
    start_thread(&storm_threads[0], open_on, NULL);
    start_thread(&storm_threads[1], fork_on, NULL);
}

static void play_attach(void)
{
    storm->watched = true;
    for (int first = storm->next; storm->next < first + STORM_WATCHED;)
        sleep_briefly();
    storm->over = true;
    pthread_join(storm_threads[0], NULL);
    pthread_join(storm_threads[1], NULL);
    while (storm->alive > 0)
        sleep_briefly();
    FILE *journal = open_journal();
    for (int i = 0; i < storm->next; i++)
        fprintf(journal, "%s %d %s\n", storm->files[i].sure ? "sure" : "perhaps",
                storm->files[i].pid, storm_path(i));
    fclose(journal);
}

/* --- main-thread: the main thread exits before the watch begins, and another thread goes on --- */

static void wait_for_start(void);

static void *work_alone(void *unused)
{
    while (process_state(getpid()) != 'Z')
        sleep_briefly();
    wait_for_start();
    touch_path("file");
    leave();
    return unused;
}

static void set_main_thread(void)
{
    pthread_t other;

    set_file();
    start_thread(&other, work_alone, NULL);
    pthread_exit(NULL);
}

/* --- received: descriptors that come over a socket --- */

enum { GIVEN_FILE, GIVEN_DIRECTORY, GIVEN_MEMORY, GIVEN_SOCKET, GIVEN };

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(GIVEN * sizeof(int))];
};

static void give(int socket, const int fds[static GIVEN])
{
    char byte = 0;
    struct iovec data = {&byte, 1};
    union control control = {.header = {.cmsg_len = CMSG_LEN(GIVEN * sizeof(int)),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    memcpy(CMSG_DATA(&control.header), fds, GIVEN * sizeof(int));
    expect(sendmsg(socket, &message, 0), "sendmsg");
}

static long receive_one(int socket, struct msghdr *message, int flags)
{
    return recvmsg(socket, message, flags);
}

static long receive_many(int socket, struct msghdr *message, int flags)
{
    struct mmsghdr messages = {.msg_hdr = *message};

    return recvmmsg(socket, &messages, 1, (unsigned int)flags, NULL);
}

static long receive_by_ring(int socket, struct msghdr *message, int flags)
{
    struct ring ring = make_ring(0, 0);
    long result = submit_and_reap(&ring, (struct io_uring_sqe){.opcode = IORING_OP_RECVMSG,
                                                               .fd = socket,
                                                               .addr = (uintptr_t)message,
                                                               .len = 1,
                                                               .msg_flags = (unsigned int)flags});

    expect(close(ring.fd), "close");
    return result;
}

/* A socket has no open, however it comes. */
static void receive(int socket, long (*call)(int, struct msghdr *, int), int flags)
{
    uint64_t cloexec = flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0;
    char byte;
    struct iovec data = {&byte, 1};
    union control control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fds[GIVEN];

    begin();
    expect(call(socket, &message, flags) == 1 ? 0 : -1, "receiving descriptors");
    memcpy(fds, CMSG_DATA(&control.header), sizeof(fds));
    received(fds[GIVEN_FILE], below("file"), O_RDWR | O_APPEND | cloexec);
    received(fds[GIVEN_DIRECTORY], given.directory, O_RDONLY | O_DIRECTORY | cloexec);
    received(fds[GIVEN_MEMORY], "/memfd:given (deleted)", O_RDWR | cloexec);
    shut(fds[GIVEN_FILE]);
    shut(fds[GIVEN_DIRECTORY]);
    shut(fds[GIVEN_MEMORY]);
    expect(close(fds[GIVEN_SOCKET]), "close");
}

static void play_received(void)
{
    int ends[2], fds[GIVEN];
    pid_t child;

    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
    fds[GIVEN_FILE] = open_as(AT_FDCWD, below("file"), "file",
                              O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    fds[GIVEN_DIRECTORY] = open_as(AT_FDCWD, given.directory, given.directory,
                                   O_RDONLY | O_DIRECTORY, 0);
    fds[GIVEN_MEMORY] = memfd_create("given", MFD_CLOEXEC);
    fds[GIVEN_SOCKET] = ends[0];
    child = fork_child();
    if (child == 0) {
        receive(ends[1], receive_one, 0);
        receive(ends[1], receive_one, MSG_CMSG_CLOEXEC);
        receive(ends[1], receive_one, MSG_PEEK); /* has descriptors, too */
        receive(ends[1], receive_many, 0);
        receive(ends[1], receive_by_ring, MSG_CMSG_CLOEXEC);
        give(ends[1], fds);
        leave();
    }
    for (int i = 0; i < 4; i++)
        give(ends[0], fds);
    receive(ends[0], receive_one, 0);
    join_child(child);
    expect(close(fds[GIVEN_MEMORY]), "close");
    shut(fds[GIVEN_FILE]);
    shut(fds[GIVEN_DIRECTORY]);
}

static const struct scene {
    const char *name;
    void (*set)(void);
    void (*play)(void);
    bool alone; /* not listed: it needs more than a directory */
} scenes[] = {
    {"plain", set_file, play_plain, false},
    {"duration", set_file, play_duration, false},
    {"paths", set_paths, play_paths, false},
    {"mount", set_mount, play_mount, false},
    {"outside-mount", set_outside_mount, play_outside_mount, true},
    {"chroot", set_chroot, play_chroot, false},
    {"threads", set_file, play_threads, false},
    {"hammer", set_hammer, play_hammer, false},
    {"fork", set_fork, play_fork, false},
    {"daemon", set_file, play_daemon, false},
    {"dup", set_dup, play_dup, false},
    {"others", set_file, play_others, false},
    {"close_range", set_file, play_close_range, false},
    {"exec", set_file, play_exec, false},
    {"thread-exec", set_file, play_thread_exec, false},
    {"shared-table", set_file, play_shared_table, false},
    {"own-table", set_own_table, play_own_table, false},
    {"vfork", set_file, play_vfork, false},
    {"exit", set_file, play_exit, false},
    {"names", set_names, play_names, false},
    {"deep", set_deep, play_deep, false},
    {"stairs", set_stairs, play_deep, false},
    {"fifo", set_fifo, play_fifo, false},
    {"special", set_special, play_special, false},
    {"fail", set_fail, play_fail, false},
    {"many", set_file, play_many, false},
    {"pidns", set_fork, play_pidns, false},
    {"children", set_fork, play_children, false},
    {"errors", set_errors, play_errors, false},
    {"tree", set_tree, play_tree, false},
    {"dup-race", set_file, play_dup_race, true},
    {"copy-race", set_file, play_copy_race, true},
    {"table-race", set_file, play_table_race, true},
    {"nothing", NULL, play_nothing, true},
    {"exec-race", set_file, play_exec_race, true},
    {"exec-racer", NULL, play_exec_racer, true},
    {"held-exec", set_file, play_held_exec, true},
    {"table-reused", set_file, play_table_reused, true},
    {"busy", set_file, play_busy, true},
    {"waiting", set_file, play_waiting, true},
    {"endless", set_file, play_endless, true},
    {"restless", set_file, play_restless, true},
    {"passed", set_passed, play_passed, true},
    {"wide", set_wide, play_wide, true},
    {"unread", set_file, play_unread, true},
    {"answered", set_file, play_answered, true},
#ifdef __x86_64__
    {"traced", set_file, play_traced, true},
    {"x32", set_file, play_x32, true},
#endif
    {"no-unshare", NULL, play_no_unshare, true},
    {"received", set_file, play_received, true},
    {"get-fd", set_file, play_get_fd, true},
    {"left-alone", NULL, play_left_alone, true},
    {"flush", set_slow, play_flush, true},
    {"results", set_slow, play_results, true},
    {"ending", set_slow, play_ending, true},
    {"lingering", set_slow, play_lingering, true},
    {"restarted", set_fifo, play_restarted, true},
    {"interrupted", set_interrupted, play_interrupted, true},
    {"path-race", NULL, play_path_race, true},
    {"long-name", set_file, play_long_name, true},
    {"uring", set_file, play_uring, true},
    {"ring-result", set_slow, play_ring_result, true},
    {"pid-reuse", set_pid_reuse, play_pid_reuse, true},
    {"attach", set_attach, play_attach, true},
    {"after-exec", NULL, play_after_exec, true},
    {"main-thread", set_main_thread, NULL, true},
};

static const struct scene *find_scene(const char *name)
{
    for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
        if (strcmp(scenes[i].name, name) == 0)
            return &scenes[i];
    }
    fprintf(stderr, "fdwork: no such scene: %s\n", name);
    exit(2);
}

static void list_scenes(void)
{
    for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
        if (!scenes[i].alone)
            puts(scenes[i].name);
    }
}

static void wait_for_start(void)
{
    char line[16];

    puts("ready");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        die("standard input");
}

int main(int argc, char **argv)
{
    bool wait = argc > 1 && strcmp(argv[1], "-w") == 0;

    if (argc == 1) {
        list_scenes();
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--exec") == 0) {
        execv(argv[2], argv + 2);
        perror(argv[2]);
        return 126;
    }
    argv += wait;
    if (argc - wait < 4) {
        fputs("usage: fdwork [-w] SCENE DIRECTORY JOURNAL [ARG...] | --exec PROGRAM\n", stderr);
        return 2;
    }
    const struct scene *scene = find_scene(argv[1]);
    given.directory = realpath(argv[2], NULL);
    given.journal = argv[3];
    given.args = argv + 4;
    if (given.directory == NULL)
        die(argv[2]);
    umask(022);
    journal_open(given.journal, given.directory);
    if (scene->set != NULL)
        scene->set();
    if (wait)
        wait_for_start();
    scene->play();
    leave();
}
