/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* The name hides the file from programs that read all files of a directory, such as those that end
 * in ".prom". */
static int name_beside(const char *path, char beside[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int directory = slash != NULL ? (int)(slash - path) + 1 : 0;
    uint64_t number;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return -EIO;
    return text_compose(beside, PATH_MAX, "%.*s.filemon-%016" PRIx64, directory, path, number);
}

static int take_over(int fd, const char *path)
{
    struct stat old, new;

    if (stat(path, &old) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(old.st_mode))
        return -EEXIST;
    if (fstat(fd, &new) != 0)
        return -errno;
    if ((old.st_uid != new.st_uid || old.st_gid != new.st_gid) &&
        fchown(fd, old.st_uid, old.st_gid) != 0)
        return -errno;
    return fchmod(fd, old.st_mode & 07777) == 0 ? 0 : -errno;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written < 0 && errno != EINTR)
            return -errno;
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* Makes the file beside.  On failure it does not exist. */
static int write_beside(const char *path, char beside[static PATH_MAX], const char *bytes,
                        size_t size)
{
    int error = name_beside(path, beside), fd;

    if (error < 0)
        return error;
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    error = take_over(fd, path);
    if (error == 0)
        error = write_all(fd, bytes, size);
    if (close(fd) != 0 && error == 0)
        error = -errno;
    if (error < 0)
        unlink(beside);
    return error;
}

/* The target of the symbolic link replaces path: 1; 0: it is none; -errno. */
static int follow_link(char path[static PATH_MAX])
{
    char target[PATH_MAX], *slash = strrchr(path, '/');
    ssize_t len = readlink(path, target, sizeof(target));
    size_t directory = slash != NULL ? (size_t)(slash - path) + 1 : 0;

    if (len < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -errno;
    if (len > 0 && target[0] == '/')
        directory = 0;
    if (directory + (size_t)len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(path + directory, target, (size_t)len);
    path[directory + (size_t)len] = '\0';
    return 1;
}

/* As many as the kernel follows. */
#define LINKS_MAX 40

/* Unlike realpath(3), of a file that need not exist.  What the links in /proc/PID/fd to pipes read
 * is no path: those are no regular files. */
static int resolve(const char *file, char path[static PATH_MAX])
{
    struct stat status;
    int error = text_compose(path, PATH_MAX, "%s", file), links = 0;

    if (error < 0)
        return error;
    if (stat(file, &status) == 0 && !S_ISREG(status.st_mode))
        return -EEXIST;
    while ((error = follow_link(path)) > 0)
        if (++links > LINKS_MAX)
            return -ELOOP;
    return error;
}

int replace_open(const char *file, char **path)
{
    char resolved[PATH_MAX], beside[PATH_MAX];
    int error = resolve(file, resolved);

    if (error == 0)
        error = write_beside(resolved, beside, "", 0);
    if (error < 0)
        return error;
    unlink(beside);
    *path = strdup(resolved);
    return *path != NULL ? 0 : -ENOMEM;
}

int replace_file(const char *path, const char *bytes, size_t size)
{
    char beside[PATH_MAX];
    int error = write_beside(path, beside, bytes, size);

    if (error == 0 && rename(beside, path) != 0) {
        error = -errno;
        unlink(beside);
    }
    return error;
}
