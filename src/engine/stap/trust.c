/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

#define LINKS_MAX 40 /* the kernel's limit for one path */

/* A walk down a path, component by component. */
struct walk {
    int at;              /* the directory reached so far */
    char left[PATH_MAX]; /* the components after it */
    int links;           /* followed so far */
    bool create;
    char *fault;
};

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static bool is_writable_by_others(const struct stat *st)
{
    return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* The path of an open descriptor, without symbolic links. */
static void path_of(int fd, char path[static PATH_MAX])
{
    char link[32];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = '\0';
}

static int refuse(int fd, const struct stat *st, char *fault)
{
    char path[PATH_MAX];

    path_of(fd, path);
    if (!is_ours(st))
        snprintf(fault, TRUST_FAULT_SIZE,
                 "%.200s belongs to another user (uid %u): give another --module-dir", path,
                 st->st_uid);
    else if (S_ISDIR(st->st_mode))
        snprintf(fault, TRUST_FAULT_SIZE,
                 "others can write to %.200s (mode %04o): 'chmod go-w' it, or give another "
                 "--module-dir",
                 path, st->st_mode & 07777);
    else
        snprintf(fault, TRUST_FAULT_SIZE,
                 "%.200s could have been written by others: remove it, or give another "
                 "--module-dir",
                 path);
    return -EPERM;
}

/* A directory on the way: others may write to it if it has the sticky bit, see trust.h. */
static int check_ancestor(int fd, const struct stat *st, char *fault)
{
    bool is_safe = is_ours(st) && (!is_writable_by_others(st) || st->st_mode & S_ISVTX);

    return is_safe ? 0 : refuse(fd, st, fault);
}

static int check_end(int fd, char *fault)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    return is_ours(&st) && !is_writable_by_others(&st) ? 0 : refuse(fd, &st, fault);
}

/* Moves the next component from walk->left to name; false at the end of the path. */
static bool next_component(struct walk *walk, char name[static NAME_MAX + 1])
{
    size_t skip = strspn(walk->left, "/"), len = strcspn(walk->left + skip, "/");

    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(name, walk->left + skip, len);
    name[len] = '\0';
    memmove(walk->left, walk->left + skip + len, strlen(walk->left + skip + len) + 1);
    return true;
}

static int open_component(const struct walk *walk, const char *name)
{
    const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(walk->at, name, flags);

    if (fd >= 0 || errno != ENOENT || !walk->create)
        return fd < 0 ? -errno : fd;
    if (mkdirat(walk->at, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(walk->at, name, flags);
    return fd < 0 ? -errno : fd;
}

static void move_to(struct walk *walk, int fd)
{
    close(walk->at);
    walk->at = fd;
}

/* Puts the text of the link before walk->left. */
static int follow(struct walk *walk, int link)
{
    char target[PATH_MAX], left[PATH_MAX];
    ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
    int root;

    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    if (text_compose(left, sizeof(left), "%s/%s", target, walk->left) < 0)
        return -ENAMETOOLONG;
    memcpy(walk->left, left, sizeof(left));
    if (target[0] != '/')
        return 0;
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    move_to(walk, root);
    return 0;
}

static int enter(struct walk *walk, const char *name)
{
    int fd = open_component(walk, name), result = 0;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        result = -errno;
    else if (S_ISLNK(st.st_mode))
        result = is_ours(&st) ? follow(walk, fd) : refuse(fd, &st, walk->fault);
    else if (!S_ISDIR(st.st_mode))
        result = -ENOTDIR;
    else
        result = check_ancestor(fd, &st, walk->fault);
    if (result == 0 && S_ISDIR(st.st_mode))
        move_to(walk, fd);
    else
        close(fd);
    return result;
}

int trust_open_directory(const char *path, bool create, char fault[static TRUST_FAULT_SIZE])
{
    struct walk walk = {.create = create, .fault = fault};
    char name[NAME_MAX + 1];
    int fd = -1, result = 0;

    if (text_compose(walk.left, sizeof(walk.left), "%s", path) < 0)
        return -ENAMETOOLONG;
    walk.at = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (walk.at < 0)
        return -errno;
    while (result == 0 && next_component(&walk, name))
        result = enter(&walk, name);
    if (result == 0 && walk.left[strspn(walk.left, "/")] != '\0')
        result = -ENAMETOOLONG;
    if (result == 0)
        result = check_end(walk.at, fault);
    if (result == 0) {
        fd = openat(walk.at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = fd < 0 ? -errno : fd;
    }
    close(walk.at);
    return result;
}

static int refuse_type(const char *name, char *fault)
{
    snprintf(fault, TRUST_FAULT_SIZE, "%.200s is no regular file: remove it", name);
    return -EPERM;
}

int trust_open_file(int directory, const char *name, char fault[static TRUST_FAULT_SIZE])
{
    /* O_NONBLOCK: it may be a FIFO. */
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), result;
    struct stat st;

    if (fd < 0)
        return errno == ELOOP ? refuse_type(name, fault) : -errno;
    result = fstat(fd, &st) < 0 ? -errno : check_end(fd, fault);
    if (result == 0 && !S_ISREG(st.st_mode))
        result = refuse_type(name, fault);
    if (result < 0)
        close(fd);
    return result < 0 ? result : fd;
}

int trust_read_link(int directory, const char *name, char *text, size_t size)
{
    struct stat st;
    ssize_t n;

    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!is_ours(&st))
        return -EPERM;
    n = readlinkat(directory, name, text, size);
    if (n < 0)
        return -errno;
    if ((size_t)n >= size)
        return -ENAMETOOLONG;
    text[n] = '\0';
    return 0;
}
