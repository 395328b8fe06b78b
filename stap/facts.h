/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about a thread that -F asks for, in its lines. */
#ifndef FILEMON_STAP_FACTS_H
#define FILEMON_STAP_FACTS_H

#include "calls.h"
#include "executables.h"
#include "record.h"

static inline bool fm_is_program_asked(void)
{
    return fm_is_fact(FM_EXECUTABLE) || fm_is_fact(FM_ARGUMENTS);
}

static void fm_user(struct fm_line *line)
{
    fm_lit(line, ", uid: ");
    fm_num(line, __kuid_val(task_euid(line->locked)));
}

/* The beginning of struct mnt_namespace, which only the kernel's fs/mount.h has. */
struct fm_mounts {
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
    atomic_t count;
#endif
    struct ns_common ns;
};

/* An exiting thread has no namespaces. */
static void fm_mounts(struct fm_line *line)
{
    struct nsproxy *namespaces = line->locked->nsproxy;

    if (!namespaces)
        return;
    fm_lit(line, ", mnt_ns: ");
    fm_num(line, ((const struct fm_mounts *)namespaces->mnt_ns)->ns.inum);
}

/* See fm_is_in_groups(). */
static void fm_group(struct fm_line *line)
{
    fm_lit(line, ", cgroup: ");
    fm_num(line, cgroup_id(task_dfl_cgroup(line->locked)));
}

static void fm_file(struct fm_line *line)
{
    fm_lit(line, ", mayor: ");
    fm_num(line, MAJOR(line->inode->i_sb->s_dev));
    fm_lit(line, ", menor: ");
    fm_num(line, MINOR(line->inode->i_sb->s_dev));
    fm_lit(line, ", inodo: ");
    fm_num(line, line->inode->i_ino);
}

/* The name that the program gave the call, after the path has been written.  Left out if the line
 * has no room for it, or if another thread has unmapped it meanwhile. */
static void fm_given(struct fm_line *line, const struct fm_call *call)
{
    char *name = line->at + FM_ROOM, *end = line->start + FM_LINE;
    long room = min_t(long, FM_PATH, end - name), len;

    if (!fm_is_fact(FM_GIVEN) || !call->name || room <= 0)
        return;
    len = fm_user_string(name, call->name, room);
    if (len < 0 || len == room)
        return;
    line->path = memmove(end - len, name, len);
    line->path_len = len;
    if (fm_path_cost(line) - len + FM_ROOM > line->path - line->at)
        return;
    fm_lit(line, ", pedido: \"");
    for (; line->path_len; line->path_len--)
        line->at = fm_escape(line->at, *line->path++);
    *line->at++ = '"';
}

/* Before the text of the line begins: this can send a line of its own. */
static void fm_find_facts(struct fm_line *line)
{
    if (fm_is_program_asked())
        line->executable = fm_executable_of(line->locked, line->executing);
}

/* A program was executed.  If its process has no more lines until it exits, only this can find the
 * executable for what it leaves open. */
static void fm_note_executable(void)
{
    if (fm_is_program_asked() && fm_my_table())
        fm_executable_of(current, false);
}

static void fm_executable(struct fm_line *line)
{
    fm_lit(line, ", programa: ");
    fm_num(line, line->executable);
}

/* Numbers are those of the initial namespaces. */
static void fm_add_facts(struct fm_line *line)
{
    if (fm_is_fact(FM_USER))
        fm_user(line);
    if (fm_is_fact(FM_MOUNTS))
        fm_mounts(line);
    if (fm_is_fact(FM_GROUP))
        fm_group(line);
    if (fm_is_fact(FM_FILE) && line->inode)
        fm_file(line);
    if (line->executable)
        fm_executable(line);
}

#endif
