/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up /proc in a temporary directory. */
#ifndef FILEMON_TESTS_PROCTREE_H
#define FILEMON_TESTS_PROCTREE_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/procfs.h"

struct proctree {
    char root[64];
    struct procfs procfs;
};

static inline int proctree_setup(void **state)
{
    struct proctree *tree = calloc(1, sizeof *tree);

    strcpy(tree->root, "/tmp/filemon-proc.XXXXXX");
    *state = tree;
    return mkdtemp(tree->root) == NULL || procfs_open(&tree->procfs, tree->root) != 0;
}

static inline int proctree_unlink(const char *path, const struct stat *st, int type,
                                  struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

/* Removes a file or directory of the tree; "": the whole tree. */
static inline void proctree_remove(const struct proctree *tree, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    assert_int_equal(nftw(path, proctree_unlink, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline int proctree_teardown(void **state)
{
    struct proctree *tree = *state;

    procfs_close(&tree->procfs);
    proctree_remove(tree, "");
    free(tree);
    return 0;
}

static inline void proctree_write(const struct proctree *tree, pid_t pid, const char *name,
                                  const void *data, size_t size)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%d", tree->root, pid);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%d/%s", tree->root, pid, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(close(fd), 0);
}

static inline void proctree_link_exe(const struct proctree *tree, pid_t pid, const char *target)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%d/exe", tree->root, pid);
    assert_int_equal(symlink(target, path), 0);
}

/* A process of the tree; a member that is 0 or NULL gets the value of an ordinary process. */
struct made {
    pid_t pid, ppid;
    const char *comm;
    char state;
    unsigned int flags;
    int start;           /* 0: 1000 + pid */
    const char *exe;     /* NULL: no such link */
    const char *cmdline; /* its arguments, each followed by '|' for the NUL */
    const char *cgroup;
};

/* Writes the text of a stat file; returns its size. */
static inline int proctree_print_stat(char text[static 512], const struct made *made)
{
    return snprintf(text, 512,
                    "%d (%s) %c %d 10 10 0 -1 %u 5 0 0 0 1 2 3 4 20 0 1 0 %d 8 9 "
                    "18446744073709551615 0 0\n",
                    made->pid, made->comm, made->state != '\0' ? made->state : 'S', made->ppid,
                    made->flags != 0 ? made->flags : 0x400000u,
                    made->start != 0 ? made->start : 1000 + made->pid);
}

static inline void proctree_write_stat(const struct proctree *tree, const struct made *made)
{
    char text[512];
    int size = proctree_print_stat(text, made);

    proctree_write(tree, made->pid, "stat", text, (size_t)size);
}

/* Makes /proc/PID/task/TID. */
static inline void proctree_add_thread(const struct proctree *tree, pid_t pid, struct made made)
{
    char path[128], name[32], text[512];
    int size = proctree_print_stat(text, &made);

    snprintf(path, sizeof path, "%s/%d/task", tree->root, pid);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%d/task/%d", tree->root, pid, made.pid);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(name, sizeof name, "task/%d/stat", made.pid);
    proctree_write(tree, pid, name, text, (size_t)size);
}

static inline void proctree_write_cmdline(const struct proctree *tree, const struct made *made)
{
    size_t size = made->cmdline != NULL ? strlen(made->cmdline) : 0;
    char text[512];

    for (size_t i = 0; i < size; i++)
        text[i] = made->cmdline[i];
    for (size_t i = 0; i < size; i++)
        if (text[i] == '|')
            text[i] = '\0';
    proctree_write(tree, made->pid, "cmdline", text, size);
}

static inline void proctree_add(const struct proctree *tree, struct made made)
{
    const char *cgroup = made.cgroup != NULL ? made.cgroup : "0::/\n";

    proctree_write_stat(tree, &made);
    proctree_write_cmdline(tree, &made);
    proctree_write(tree, made.pid, "cgroup", cgroup, strlen(cgroup));
    if (made.exe != NULL)
        proctree_link_exe(tree, made.pid, made.exe);
}

#endif
