/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "flags.h"

enum { BUFFER = 32 << 20 };

struct held {
    char *path;                       /* NULL: the descriptor is not open */
    uint64_t open_after, open_before; /* ns: bounds of the time of the open */
    pid_t pid, ppid;                  /* of the process that opened it */
};

static struct {
    const char *file, *directory;
    FILE *stream;
    char *buffer;
    pthread_mutex_t lock;
    pid_t pid, ppid; /* 0: those of getpid() and getppid() */
    bool no_comm;
    struct held held[MAX_HELD];
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The table of this thread; NULL: it uses that of the process. */
static _Thread_local struct held *own_table;

/* The clocks before the system call whose line is written next. */
static _Thread_local uint64_t began_us, began_ns;

void die(const char *what)
{
    perror(what);
    exit(1);
}

void begin(void)
{
    began_us = clock_ns(CLOCK_REALTIME) / 1000;
    began_ns = clock_ns(CLOCK_MONOTONIC);
}

void journal_open(const char *file, const char *directory)
{
    journal.file = file;
    journal.directory = directory;
    journal_reopen();
}

void journal_reopen(void)
{
    if (journal.stream != NULL)
        fclose(journal.stream);
    int fd = open(journal.file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    /* A high number: the workload uses the lower ones. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, MAX_HELD - 24);
    if (high < 0)
        die(journal.file);
    close(fd);
    journal.stream = fdopen(high, "a");
    if (journal.buffer == NULL)
        journal.buffer = malloc(BUFFER);
    if (journal.stream == NULL || journal.buffer == NULL)
        die(journal.file);
    setvbuf(journal.stream, journal.buffer, _IOFBF, BUFFER);
}

void journal_flush(void)
{
    if (fflush(journal.stream) != 0)
        die(journal.file);
}

void journal_pids(pid_t pid, pid_t ppid)
{
    journal.pid = pid;
    journal.ppid = ppid;
}

void journal_no_comm(void)
{
    journal.no_comm = true;
}

const char *below(const char *relative)
{
    static _Thread_local char ring[16][8192];
    static _Thread_local unsigned int next;
    char *path = ring[next++ % 16];

    snprintf(path, sizeof(ring[0]), "%s%s%s", *relative == '/' ? "" : journal.directory,
             *relative == '/' || *relative == '\0' ? "" : "/", relative);
    return path;
}

static struct held *table(void)
{
    return own_table != NULL ? own_table : journal.held;
}

static pid_t process(void)
{
    return journal.pid != 0 ? journal.pid : getpid();
}

static pid_t parent(void)
{
    return journal.pid != 0 ? journal.ppid : getppid();
}

static void put_string(const char *string)
{
    putc('"', journal.stream);
    for (; *string != '\0'; string++) {
        if ((unsigned char)*string < 0x20 || *string == '"' || *string == '\\')
            fprintf(journal.stream, "\\u%04x", (unsigned int)*string);
        else
            putc(*string, journal.stream);
    }
    putc('"', journal.stream);
}

static void put_path(const char *path)
{
    bool plain = true;

    for (const char *byte = path; *byte != '\0'; byte++)
        plain = plain && *byte >= ' ' && *byte <= '~';
    fprintf(journal.stream, ",\"fichero%s\":", plain ? "" : "_hex");
    if (plain) {
        put_string(path);
        return;
    }
    putc('"', journal.stream);
    for (; *path != '\0'; path++)
        fprintf(journal.stream, "%02x", (unsigned int)(unsigned char)*path);
    putc('"', journal.stream);
}

static void put_comm(void)
{
    char comm[16];

    prctl(PR_GET_NAME, comm);
    if (journal.no_comm)
        return;
    fputs(",\"proceso\":", journal.stream);
    put_string(comm);
}

/* Begins a line and takes the lock, which end_line() releases. */
static void begin_line_of(pid_t pid, pid_t ppid, const char *code, const char *path, int fd)
{
    pthread_mutex_lock(&journal.lock);
    fprintf(journal.stream, "{\"codigo\":\"%s\"", code);
    put_comm();
    fprintf(journal.stream, ",\"pid\":%d,\"ppid\":%d", pid, ppid);
    put_path(path);
    fprintf(journal.stream, ",\"descriptor\":%d,\"after_us\":%llu", fd,
            (unsigned long long)began_us);
}

static void begin_line(const char *code, const char *path, int fd)
{
    begin_line_of(process(), parent(), code, path, fd);
}

static void end_line(void)
{
    fputs("}\n", journal.stream);
    pthread_mutex_unlock(&journal.lock);
}

static void put_tid(void)
{
    if (journal.pid == 0)
        fprintf(journal.stream, ",\"tid\":%d", gettid());
}

static void put_before(void)
{
    fprintf(journal.stream, ",\"before_us\":%llu",
            (unsigned long long)clock_ns(CLOCK_REALTIME) / 1000 + 1);
}

static void put_mode(uint64_t flags, mode_t mode)
{
    if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
        fprintf(journal.stream, ",\"modo\":\"0%03o\"", (unsigned int)mode);
}

static void hold_since(int fd, const char *path, uint64_t after)
{
    if (fd < 0 || fd >= MAX_HELD)
        die("descriptor out of range");
    table()[fd] = (struct held){strdup(path), after, clock_ns(CLOCK_MONOTONIC), process(),
                                parent()};
}

void hold(int fd, const char *path)
{
    hold_since(fd, path, 0);
}

/* Removes a descriptor from the table.  Call it before the descriptor is closed: after that,
 * another thread may get its number. */
static struct held release(int fd)
{
    struct held held = {0};

    if (fd >= 0 && fd < MAX_HELD) {
        held = table()[fd];
        table()[fd] = (struct held){0};
    }
    return held;
}

int opened(long result, const char *path, uint64_t flags, mode_t mode)
{
    int error = errno;

    if (result >= 0)
        hold_since((int)result, path, began_ns);
    begin_line(result < 0 ? "fail" : "open", path, result < 0 ? -error : (int)result);
    put_tid();
    put_before();
    fputs(",\"flags\":\"", journal.stream);
    put_flags(journal.stream, flags);
    putc('"', journal.stream);
    put_mode(flags, mode);
    if (result < 0)
        fprintf(journal.stream, ",\"errno\":\"%s\"", strerrorname_np(error));
    end_line();
    errno = error;
    return (int)result;
}

void received(int fd, const char *path, uint64_t flags)
{
    hold_since(fd, path, began_ns);
    begin_line("open", path, fd);
    put_tid();
    put_before();
    fputs(",\"flags\":\"", journal.stream);
    put_flags(journal.stream, flags);
    fputs("\",\"motivo\":\"received\"", journal.stream);
    end_line();
}

int open_as(int dirfd, const char *name, const char *path, uint64_t flags, mode_t mode)
{
    begin();
    return opened(syscall(SYS_openat, dirfd, name, flags, mode), path != NULL ? below(path) : NULL,
                  flags, mode);
}

int open_path(const char *path)
{
    int fd = open_as(AT_FDCWD, below(path), path, O_RDONLY, 0);

    if (fd < 0)
        die(path);
    return fd;
}

const char *held_path(int fd)
{
    return table()[fd].path;
}

static const _Atomic uint64_t *close_began;

void closes_began_by(const _Atomic uint64_t *ns)
{
    close_began = ns;
}

/* Writes the line of a close.  over: it has happened; otherwise it will happen at the exit or exec,
 * and its time has no upper bound. */
static void state_close(int fd, struct held held, const char *reason, bool over)
{
    uint64_t now = close_began != NULL ? *close_began : clock_ns(CLOCK_MONOTONIC);
    bool mine = held.pid == process();

    begin_line_of(held.pid, mine ? parent() : held.ppid, "close", held.path, fd);
    if (over) {
        put_tid();
        put_before();
        fprintf(journal.stream, ",\"max_ns\":%llu", (unsigned long long)(now - held.open_after));
    }
    if (held.open_before < began_ns)
        fprintf(journal.stream, ",\"min_ns\":%llu",
                (unsigned long long)(began_ns - held.open_before));
    fprintf(journal.stream, ",\"motivo\":\"%s\"", reason);
    end_line();
    free(held.path);
}

void shut(int fd)
{
    struct held held = release(fd);

    begin();
    if (syscall(SYS_close, fd) != 0)
        die("close");
    if (held.path != NULL)
        state_close(fd, held, "close", true);
}

void closed(int fd)
{
    struct held held = release(fd);

    if (held.path != NULL)
        state_close(fd, held, "close", true);
}

void shut_range(unsigned int first, unsigned int last, unsigned int flags)
{
    journal_flush();
    begin();
    if (syscall(SYS_close_range, first, last, flags) != 0)
        die("close_range");
    if (last >= MAX_HELD - 24 && !(flags & CLOSE_RANGE_CLOEXEC))
        journal_reopen();
    if (flags & CLOSE_RANGE_CLOEXEC)
        return;
    for (unsigned int fd = first; fd <= last && fd < MAX_HELD; fd++) {
        if (held_path((int)fd) != NULL)
            state_close((int)fd, release((int)fd), "close_range", true);
    }
}

/* filemon reports no copy of a descriptor whose open it does not know. */
int copied(int origin, int fd)
{
    if (fd < 0 || held_path(origin) == NULL)
        return fd;
    hold_since(fd, held_path(origin), began_ns);
    begin_line("dup", held_path(fd), fd);
    put_tid();
    put_before();
    fprintf(journal.stream, ",\"origen\":%d", origin);
    end_line();
    return fd;
}

int copy(int origin, int fd, int flags)
{
    int result;

    begin();
    if (fd < 0)
        return copied(origin, (int)syscall(SYS_dup, origin));
    if (flags != 0)
        result = (int)syscall(SYS_dup3, origin, fd, flags);
    else
        result = dup2(origin, fd);
    if (result < 0 || origin == fd)
        return result;
    if (held_path(fd) != NULL)
        state_close(fd, release(fd), "dup2", true);
    return copied(origin, fd);
}

int copy_above(int origin, int command, int least)
{
    begin();
    return copied(origin, fcntl(origin, command, least));
}

static pid_t forked(pid_t pid)
{
    if (pid < 0)
        die("fork");
    for (int fd = 0; pid == 0 && fd < MAX_HELD; fd++)
        free(release(fd).path);
    return pid;
}

pid_t fork_child(void)
{
    journal_flush();
    return forked(fork());
}

pid_t fork_child_as(pid_t pid)
{
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};

    journal_flush();
    return forked((pid_t)syscall(SYS_clone3, &args, sizeof(args)));
}

void own_descriptors(void)
{
    own_table = calloc(MAX_HELD, sizeof(*own_table));
    if (own_table == NULL)
        die("calloc");
}

void descriptors_of_process(void)
{
    free(own_table);
    own_table = NULL;
}

void join_child(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("a child failed");
}

static void state_all(const char *reason, bool (*goes)(int fd))
{
    begin();
    for (int fd = 0; fd < MAX_HELD; fd++) {
        if (held_path(fd) != NULL && goes(fd))
            state_close(fd, release(fd), reason, false);
    }
    journal_flush();
}

static bool any(int fd)
{
    return fd >= 0;
}

static bool close_on_exec(int fd)
{
    return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

void state_exit(void)
{
    state_all("exit", any);
}

void state_exec(void)
{
    state_all("exec", close_on_exec);
}

void state_exit_of_process(void)
{
    struct held *own = own_table;

    own_table = NULL;
    state_exit();
    own_table = own;
}

void leave(void)
{
    state_exit();
    _exit(0);
}
