/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compat.h"
#include "diag.h"
#include "text.h"

/* The directory is stap's TMPDIR, in which stap 5 accepts neither capital letters nor '+'.  So it
 * is /tmp, and not MODULE_DIR, where kernel releases can have both, nor $TMPDIR; and its name is
 * made of hexadecimal digits, not by mkdtemp(3), which uses capital letters. */
#define TOP "/tmp"
#define PREFIX "filemon."
#define DIGITS 16 /* random hexadecimal digits after the prefix */

#define MODE 0700
#define MODE_UNLOCKED 0500 /* before lock_new() */

/* ---- Removing ------------------------------------------------------------------------------- */

static void remove_tree(int at, const char *name);

/* Closes fd. */
static void remove_contents(int fd)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            remove_tree(dirfd(dir), entry->d_name);
    }
    if (dir)
        closedir(dir);
    else
        close(fd);
}

static void remove_tree(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        remove_contents(fd);
    unlinkat(at, name, AT_REMOVEDIR);
}

static bool has_work_name(const char *name)
{
    size_t prefix = strlen(PREFIX);

    return !strncmp(name, PREFIX, prefix) && strlen(name) == prefix + DIGITS &&
           strspn(name + prefix, TEXT_HEX_DIGITS) == DIGITS;
}

/* Any user can create something of that name in /tmp: no symbolic link may be followed, and no file
 * system entered that is mounted there. */
static int open_found(int top, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };

    return (int)syscall(SYS_openat2, top, name, &how, sizeof(how));
}

/* Locks the directory if no filemon has: it is stale if it is ours, with MODE, so that nobody else
 * could write to it. */
static bool lock_if_stale(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == MODE &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void remove_if_stale(int top, const char *name)
{
    int fd = open_found(top, name);

    if (fd < 0)
        return;
    if (!lock_if_stale(fd)) {
        close(fd);
        return;
    }
    diag(DIAG_VERBOSE, "removing %s/%s, which a killed run left", TOP, name);
    remove_contents(fd);
    unlinkat(top, name, AT_REMOVEDIR);
}

static void remove_stale(void)
{
    DIR *top = opendir(TOP);
    struct dirent *entry;

    while (top && (entry = readdir(top)))
        if (has_work_name(entry->d_name))
            remove_if_stale(dirfd(top), entry->d_name);
    if (top)
        closedir(top);
}

/* ---- Creating ------------------------------------------------------------------------------- */

/* Locks it before it gets MODE: another filemon's lock_if_stale() must not see it unlocked with
 * MODE. */
static int lock_new(struct work *work)
{
    work->lock = open(work->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (work->lock < 0 || flock(work->lock, LOCK_EX | LOCK_NB) < 0 || fchmod(work->lock, MODE) < 0)
        return -errno;
    return 0;
}

int work_make(struct work *work)
{
    unsigned long long random;
    int result;

    work->path[0] = '\0';
    work->lock = -1;
    remove_stale();
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return -errno;
    snprintf(work->path, sizeof(work->path), "%s/%s%0*llx", TOP, PREFIX, DIGITS, random);
    if (mkdir(work->path, MODE_UNLOCKED) < 0) {
        work->path[0] = '\0';
        return -errno;
    }
    result = lock_new(work);
    if (result < 0)
        work_remove(work);
    return result;
}

void work_remove(struct work *work)
{
    if (!work->path[0])
        return;
    remove_tree(AT_FDCWD, work->path);
    if (work->lock >= 0)
        close(work->lock);
    work->path[0] = '\0';
}
