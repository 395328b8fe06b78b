/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a descriptor to its file, and from a file to its path, as the process sees it. */
#ifndef FILEMON_STAP_WALK_H
#define FILEMON_STAP_WALK_H

#include "calls.h"
#include "filter.h"
#include "record.h"

/* Whether the descriptor is open.  Takes no reference, so the file must not be read. */
static bool fm_is_open(unsigned int fd)
{
    struct files_struct *files = current->files;
    struct fdtable *table;

    if (!files)
        return false;
    table = rcu_dereference_raw(files->fdt);
    return fd < table->max_fds && rcu_dereference_raw(table->fd[fd]);
}

/*
 * Takes a reference, which the caller drops with fput().  RCU would not be enough: another thread
 * may close fd meanwhile, a pipe's or a socket's dentry is freed without a grace period
 * (DCACHE_NORCU, fs/dcache.c), and struct file itself can become another file at any time
 * (SLAB_TYPESAFE_BY_RCU since 6.7, fs/file_table.c). fget_raw() is the kernel's own answer to that
 * in every version: it increments a count that is not 0, and then checks that fd still has the
 * file; it also takes O_PATH descriptors.  Neither fget_raw() nor fput() sleeps: if this is the
 * last reference, fput() leaves the rest to task work, or in an interrupt to a work queue
 * (fs/file_table.c).  A probe on a breakpoint counts as an interrupt.
 */
static struct file *fm_get_file(unsigned int fd)
{
    return current->files ? fget_raw(fd) : NULL;
}

/* Takes a reference, see fm_get_file(). */
static struct file *fm_get_file_of(struct files_struct *files, unsigned int fd)
{
    struct fdtable *fdt = rcu_dereference_raw(files->fdt);

    if (fd >= fdt->max_fds)
        return NULL;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
    return get_file_rcu(&fdt->fd[fd]);
#else
    struct file *file = rcu_dereference_raw(fdt->fd[fd]);

    return file && get_file_rcu(file) ? file : NULL;
#endif
}

static bool fm_is_still(struct files_struct *files, unsigned int fd, const struct file *file)
{
    struct fdtable *fdt = rcu_dereference_raw(files->fdt);

    return fd < fdt->max_fds && rcu_dereference_raw(fdt->fd[fd]) == file;
}

/*
 * The working or root directory.  Another thread (CLONE_FS) may change it meanwhile, so its dentry
 * and mount are read under the sequence count.  RCU protects them, as in getcwd(2) (fs/d_path.c): a
 * directory's dentry and a mount are freed after a grace period.
 */
static struct path fm_directory(struct fs_struct *fs, const struct path *which)
{
    struct path path;
    unsigned int begun;

    do {
        begun = fm_seq_begin(&fs->seq);
        path = *which;
    } while (fm_seq_retry(&fs->seq, begun));
    return path;
}

/* d_path() at the end of the line's buffer; paths longer than PATH_MAX have room, too. */
static bool fm_path_of(struct fm_line *line, const struct path *path)
{
    char *end = line->start + FM_LINE;
    char *name = d_path(path, line->start + 2 * FM_ROOM, FM_LINE - 2 * FM_ROOM);

    if (IS_ERR(name))
        return false;
    line->path = name;
    line->path_len = end - 1 - name;
    return true;
}

/*
 * Whether no mount of the process shows the file, which d_path() then names "/":
 * open_by_handle_at(2) can open a file outside of what a bind mount shows, and a directory can be
 * moved out of that.
 */
static bool fm_is_outside_mounts(const struct fm_line *line, const struct path *path)
{
    return line->path_len == 1 && path->dentry != path->mnt->mnt_root &&
           path->dentry != fm_directory(current->fs, &current->fs->root).dentry;
}

/* False: the path filter may include the file, but has no path to compare. */
static bool fm_comparable_path_of(struct fm_line *line, const struct path *path)
{
    return fm_path_of(line, path) && !(READ_ONCE(fm_filter) && fm_is_outside_mounts(line, path));
}

static enum fm_verdict fm_judge_path(const struct fm_line *line)
{
    return fm_wanted(line->path, line->path_len) ? FM_WANTED : FM_UNWANTED;
}

/* Puts the directory's path in front of the path at line->path. */
static bool fm_prepend(struct fm_line *line, const struct path *dir)
{
    u32 room = min_t(u32, FM_PATH, line->path - line->start - 2 * FM_ROOM);
    char *base = d_path(dir, line->path - room, room);

    if (IS_ERR(base))
        return false;
    if (line->path_len == 0) { /* no name: the directory itself */
        line->path_len = line->path - 1 - base;
        line->path = base;
        return true;
    }
    /* The NUL of the directory's path, just before the name, becomes the slash between them. */
    line->path[-1] = '/';
    if (base[0] == '/' && base + 1 == line->path - 1)
        base++;
    line->path_len += line->path - base;
    line->path = base;
    return true;
}

static bool fm_prepend_directory(struct fm_line *line, int dirfd)
{
    struct path pwd;
    struct file *dir;
    bool done;

    if (dirfd == AT_FDCWD) {
        if (!current->fs)
            return true;
        pwd = fm_directory(current->fs, &current->fs->pwd);
        return fm_prepend(line, &pwd);
    }
    dir = fm_get_file(dirfd);
    if (!dir)
        return true; /* EBADF: there is no directory to put in front */
    done = fm_prepend(line, &dir->f_path);
    fput(dir);
    return done;
}

/*
 * The name that the call was given; a relative name is put after the working directory or dirfd's
 * path.  False: the name is incomplete, or has no directory before it because both do not fit.
 */
static bool fm_path_given(struct fm_line *line, const struct fm_call *call)
{
    char *end = line->start + FM_LINE;
    long len = fm_user_string(end - FM_PATH, call->name, FM_PATH);
    bool in_root = call->resolve & RESOLVE_IN_ROOT;

    if (len < 0)
        return false;
    line->path_len = min_t(long, len, FM_PATH - 1);
    line->path = memmove(end - 1 - line->path_len, end - FM_PATH, line->path_len);
    while (in_root && line->path_len && line->path[0] == '/') {
        line->path++;
        line->path_len--;
    }
    if (!in_root && line->path_len && line->path[0] == '/')
        return len < FM_PATH;
    return fm_prepend_directory(line, call->dirfd) && len < FM_PATH;
}

/* d_path() starts at current's root.  If task has another root below that, removes its path. */
static void fm_strip_root(struct fm_line *line, struct task_struct *task)
{
    u32 room = line->path - line->start - 2 * FM_ROOM, len;
    struct path root;
    char *name;

    if (task == current || !task->fs)
        return;
    root = fm_directory(task->fs, &task->fs->root);
    name = d_path(&root, line->path - room, room);
    if (IS_ERR(name) || !name[1])
        return;
    len = strlen(name);
    if (line->path_len > len && !memcmp(line->path, name, len) && line->path[len] == '/') {
        line->path += len;
        line->path_len -= len;
    }
}

#endif
