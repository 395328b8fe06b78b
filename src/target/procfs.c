/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "array.h"
#include "compat.h"
#include "text.h"

/* PF_KTHREAD of the kernel's linux/sched.h, unchanged since 2.6.27. */
#define KERNEL_THREAD 0x00200000

/* The path PID/NAME, relative to the root of procfs. */
struct entry {
    char path[40];
};

static struct entry entry_of(pid_t pid, const char *name)
{
    struct entry entry;

    snprintf(entry.path, sizeof entry.path, "%d/%s", pid, name);
    return entry;
}

/* The -errno of a call that just failed; a file that is gone means that the process is gone. */
static int failure(void)
{
    return errno == ENOENT ? -ESRCH : -errno;
}

bool procfs_is_shortage(int status)
{
    return status == -ENOMEM || status == -EMFILE || status == -ENFILE;
}

int procfs_open(struct procfs *procfs, const char *root)
{
    struct statfs system;

    procfs->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (procfs->fd < 0)
        return -errno;
    procfs->real = fstatfs(procfs->fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
    return 0;
}

void procfs_close(struct procfs *procfs)
{
    close(procfs->fd);
    procfs->fd = -1;
}

bool procfs_is_own(const struct procfs *procfs)
{
    char number[16];
    ssize_t len = readlinkat(procfs->fd, "self", number, sizeof number);
    int64_t pid;

    return len > 0 && text_number(number, (size_t)len, 1, INT_MAX, &pid) == 0 && pid == getpid();
}

/* 0: not the entry of a process. */
static pid_t pid_of(const struct dirent *entry)
{
    int64_t pid;

    if (text_number(entry->d_name, strlen(entry->d_name), 1, INT_MAX, &pid) != 0)
        return 0;
    return (pid_t)pid;
}

/* The pids of processes, or the tids of threads. */
struct ids {
    pid_t *ids;
    size_t n, room;
};

static int ids_add(struct ids *ids, pid_t id)
{
    if (ids->n == ids->room) {
        size_t room = ids->room == 0 ? 256 : 2 * ids->room;
        pid_t *larger = reallocarray(ids->ids, room, sizeof(*larger));

        if (larger == NULL)
            return -ENOMEM;
        ids->ids = larger;
        ids->room = room;
    }
    ids->ids[ids->n++] = id;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

/* In ascending order. */
static int ids_read(struct ids *ids, DIR *directory)
{
    const struct dirent *entry;
    int status;

    do {
        errno = 0;
        entry = readdir(directory);
        if (entry == NULL)
            status = -errno;
        else
            status = pid_of(entry) != 0 ? ids_add(ids, pid_of(entry)) : 0;
    } while (entry != NULL && status == 0);
    if (ids->n > 0)
        qsort(ids->ids, ids->n, sizeof(*ids->ids), compare_ids);
    return status;
}

/* The caller frees ids->ids, after a failure too. */
static int ids_of(const struct procfs *procfs, const char *path, struct ids *ids)
{
    int fd = openat(procfs->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int status = directory == NULL ? -errno : 0;

    *ids = (struct ids){0};
    if (directory != NULL) {
        status = ids_read(ids, directory);
        closedir(directory);
    } else if (fd >= 0) {
        close(fd);
    }
    return status;
}

int procfs_each(const struct procfs *procfs, int (*each)(void *ctx, pid_t pid), void *ctx)
{
    struct ids pids;
    int status = ids_of(procfs, ".", &pids);

    for (size_t i = 0; status == 0 && i < pids.n; i++)
        status = each(ctx, pids.ids[i]);
    free(pids.ids);
    return status;
}

/* Makes room for at least one byte after size, and a NUL.  The room is a power of two, so that it
 * becomes exactly PROCFS_FILE_MAX. */
static int make_room(char **data, size_t size, size_t *room)
{
    if (size < *room)
        return 0;
    *room = *room == 0 ? 4096 : 2 * *room;
    char *larger = realloc(*data, *room + 1);
    if (larger == NULL)
        return -ENOMEM;
    *data = larger;
    return 0;
}

/* A NUL follows the bytes.  The caller frees *data, after a failure too. */
static int read_descriptor(int fd, char **data, size_t *size)
{
    size_t room = 0;
    ssize_t more = 1;

    *data = NULL;
    *size = 0;
    while (more > 0 && *size < PROCFS_FILE_MAX) {
        if (make_room(data, *size, &room) != 0)
            return -ENOMEM;
        more = TEMP_FAILURE_RETRY(read(fd, *data + *size, room - *size));
        if (more < 0)
            return failure();
        *size += (size_t)more;
    }
    (*data)[*size] = '\0';
    return 0;
}

/* A NUL follows the bytes.  The caller frees *data after success only. */
static int read_entry(const struct procfs *procfs, pid_t pid, const char *name, char **data,
                      size_t *size)
{
    int fd = openat(procfs->fd, entry_of(pid, name).path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return failure();
    int status = read_descriptor(fd, data, size);
    close(fd);
    if (status != 0)
        free(*data);
    return status;
}

/* Fields as proc(5) counts them; those after STATE are numbers. */
enum stat_field { STATE = 3, PPID = 4, FLAGS = 9, STARTTIME = 22, STAT_FIELDS };

static int parse_numbers(const char *text, int64_t numbers[static STAT_FIELDS])
{
    for (int i = PPID; i < STAT_FIELDS; i++) {
        text += strspn(text, " ");
        size_t len = strcspn(text, " \n");
        if (text_number(text, len, INT64_MIN, INT64_MAX, &numbers[i]) != 0)
            return -EBADMSG;
        text += len;
    }
    if (numbers[PPID] < 0 || numbers[PPID] > INT_MAX || numbers[STARTTIME] < 0)
        return -EBADMSG;
    return 0;
}

static int parse_stat(const char *text, size_t size, struct procfs_stat *stat)
{
    int64_t numbers[STAT_FIELDS];
    const char *open = memchr(text, '(', size), *close = memrchr(text, ')', size);

    /* A comm may hold both parentheses, but what follows it cannot. */
    if (open == NULL || close == NULL || close < open || close[1] != ' ' || close[2] == '\0')
        return -EBADMSG;
    if (parse_numbers(close + strlen(") S"), numbers) != 0)
        return -EBADMSG;
    *stat = (struct procfs_stat){
        .state = close[2],
        .ppid = (pid_t)numbers[PPID],
        .kernel_thread = (numbers[FLAGS] & KERNEL_THREAD) != 0,
        .start = (uint64_t)numbers[STARTTIME],
    };
    size_t len = (size_t)(close - open - 1);
    memcpy(stat->comm, open + 1, len < sizeof stat->comm ? len : sizeof stat->comm - 1);
    return 0;
}

static int read_stat(const struct procfs *procfs, pid_t pid, const char *name,
                     struct procfs_stat *stat)
{
    char *text;
    size_t size;
    int status = read_entry(procfs, pid, name, &text, &size);

    if (status != 0)
        return status;
    status = parse_stat(text, size, stat);
    free(text);
    return status;
}

static bool has_ended(const struct procfs_stat *stat)
{
    return stat->state == 'Z' || stat->state == 'X';
}

/* The main thread of stat has exited: replaces state and thread by those of a thread that is alive.
 */
static void find_live_thread(const struct procfs *procfs, pid_t pid, struct procfs_stat *stat)
{
    struct ids tids;
    int status = ids_of(procfs, entry_of(pid, "task").path, &tids);

    for (size_t i = 0; status == 0 && has_ended(stat) && i < tids.n; i++) {
        struct procfs_stat thread;
        char name[24];

        snprintf(name, sizeof name, "task/%d/stat", tids.ids[i]);
        if (read_stat(procfs, pid, name, &thread) == 0 && !has_ended(&thread)) {
            stat->state = thread.state;
            stat->thread = tids.ids[i];
        }
    }
    free(tids.ids);
}

int procfs_stat(const struct procfs *procfs, pid_t pid, struct procfs_stat *stat)
{
    int status = read_stat(procfs, pid, "stat", stat);

    if (status != 0)
        return status;
    stat->thread = pid;
    if (has_ended(stat))
        find_live_thread(procfs, pid, stat);
    return 0;
}

/* glibc before 2.36 has no pidfd_open().  Half of the permitted descriptors are left for other
 * uses: hundreds of processes can be pinned. */
static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < sysconf(_SC_OPEN_MAX) / 2)
        return fd;
    close(fd);
    return -1;
}

static bool is_process_of(const struct procfs *procfs, const struct procfs_pin *pin)
{
    struct procfs_stat stat;

    return procfs_stat(procfs, pin->pid, &stat) == 0 && stat.start == pin->start;
}

/* The pid may have been reused before the pidfd was opened, which then is that of another process.
 */
struct procfs_pin procfs_pin(const struct procfs *procfs, pid_t pid, const struct procfs_stat *stat)
{
    struct procfs_pin pin = {pid, procfs->real ? open_pidfd(pid) : -1, stat->start};

    if (pin.fd >= 0 && !is_process_of(procfs, &pin))
        procfs_unpin(&pin);
    return pin;
}

void procfs_unpin(struct procfs_pin *pin)
{
    if (pin->fd >= 0)
        close(pin->fd);
    pin->fd = -1;
}

bool procfs_has_exited(const struct procfs *procfs, const struct procfs_pin *pin)
{
    struct pollfd exited = {.fd = pin->fd, .events = POLLIN};
    struct procfs_stat stat;
    int status;

    if (pin->fd >= 0)
        return TEMP_FAILURE_RETRY(poll(&exited, 1, 0)) > 0;
    status = procfs_stat(procfs, pin->pid, &stat);
    return status == -ESRCH || (status == 0 && (has_ended(&stat) || stat.start != pin->start));
}

pid_t procfs_leader(const struct procfs *procfs, pid_t tid)
{
    static const char key[] = "\nTgid:\t";
    int64_t leader = tid;
    char *text;
    size_t size;

    if (read_entry(procfs, tid, "status", &text, &size) != 0)
        return tid;
    /* The comm, two lines before, cannot forge the key: its newlines are escaped. */
    const char *line = strstr(text, key), *number = line ? line + strlen(key) : "";
    if (text_number(number, strcspn(number, "\n"), 1, INT_MAX, &leader) != 0)
        leader = tid;
    free(text);
    return (pid_t)leader;
}

int procfs_exe(const struct procfs *procfs, pid_t pid, char **path)
{
    static const char deleted[] = " (deleted)";
    char target[PATH_MAX + 1];
    ssize_t len = readlinkat(procfs->fd, entry_of(pid, "exe").path, target, sizeof target);

    if (len < 0)
        return failure();
    if ((size_t)len == sizeof target)
        return -ENAMETOOLONG;
    target[len] = '\0';
    ssize_t kept = len - (ssize_t)strlen(deleted);
    if (kept > 0 && strcmp(target + kept, deleted) == 0)
        target[kept] = '\0';
    *path = strdup(target);
    return *path == NULL ? -ENOMEM : 0;
}

/* A process can overwrite its arguments, so the last one may have no NUL of its own. */
static size_t count_arguments(const char *data, size_t size)
{
    size_t n = 0;

    for (const char *end = data + size; data < end; n++)
        data += strlen(data) + 1;
    return n;
}

int procfs_cmdline(const struct procfs *procfs, pid_t pid, char ***args)
{
    char *data;
    size_t size;
    int status = read_entry(procfs, pid, "cmdline", &data, &size);

    if (status != 0)
        return status;
    size_t n = count_arguments(data, size);
    *args = malloc((n + 1) * sizeof **args + size + 1);
    if (*args != NULL) {
        char *copy = memcpy(*args + n + 1, data, size + 1);
        for (size_t i = 0; i < n; i++, copy += strlen(copy) + 1)
            (*args)[i] = copy;
        (*args)[n] = NULL;
    }
    free(data);
    return *args == NULL ? -ENOMEM : 0;
}

/* line: ID:CONTROLLERS:PATH (cgroups(7)).  The PATH if the hierarchy is systemd's, else NULL. */
static const char *systemd_path(const char *line)
{
    static const char *const hierarchies[] = {"::", ":name=systemd:"};
    const char *controllers = line + strcspn(line, ":");

    for (size_t i = 0; i < LENGTH(hierarchies); i++)
        if (strncmp(controllers, hierarchies[i], strlen(hierarchies[i])) == 0)
            return controllers + strlen(hierarchies[i]);
    return NULL;
}

static bool has_suffix(const char *text, size_t len, const char *suffix)
{
    size_t tail = strlen(suffix);

    return len > tail && memcmp(text + len - tail, suffix, tail) == 0;
}

/* The last component that is a unit, and its length; NULL: none. */
static const char *innermost_unit(const char *path, size_t *size)
{
    const char *unit = NULL;

    while (*path != '\0') {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (has_suffix(path, len, ".service") || has_suffix(path, len, ".scope")) {
            unit = path;
            *size = len;
        }
        path += len;
    }
    return unit;
}

int procfs_unit(const struct procfs *procfs, pid_t pid, char **unit)
{
    char *text, *line, *rest;
    size_t size, len;
    int status = read_entry(procfs, pid, "cgroup", &text, &size);

    if (status != 0)
        return status;
    status = -ENOENT;
    rest = text;
    while (status == -ENOENT && (line = strsep(&rest, "\n")) != NULL) {
        const char *path = systemd_path(line);
        const char *found = path == NULL ? NULL : innermost_unit(path, &len);
        if (found != NULL) {
            *unit = strndup(found, len);
            status = *unit == NULL ? -ENOMEM : 0;
        }
    }
    free(text);
    return status;
}
