/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptor tables: their numbers, and which threads use them. */
#ifndef FILEMON_STAP_TABLES_H
#define FILEMON_STAP_TABLES_H

#include "state.h"

/*
 * A file descriptor table is a files_struct, shared by any number of threads.  It gets a number
 * with its first record, and keeps the number until its last user exits.  Keys and lines hold the
 * number, not the address.  A hash of the address chooses a row of eight.
 */
#define FM_TABLE_ROWS 8192
#define FM_TABLE_ROW 8
static struct fm_table {
    struct files_struct *files; /* NULL: free */
    atomic_t records;           /* slots with its number */
    u32 highest;                /* the highest descriptor that ever had a record */
} fm_tables[FM_TABLE_ROWS * FM_TABLE_ROW];
static DEFINE_RAW_SPINLOCK(fm_tables_lock); /* held to write .files */

static inline struct fm_table *fm_table_row(const struct files_struct *files)
{
    return fm_tables + ((uintptr_t)files * 0x9e3779b97f4a7c15ULL >> 51) * FM_TABLE_ROW;
}

/* NULL: the table has no number. */
static struct fm_table *fm_find_table(const struct files_struct *files)
{
    struct fm_table *row = fm_table_row(files);
    int i;

    for (i = 0; i < FM_TABLE_ROW; i++)
        /* Pairs with the release in fm_find_or_add_table(). */
        if (smp_load_acquire(&row[i].files) == files)
            return &row[i];
    return NULL;
}

static inline struct fm_table *fm_my_table(void)
{
    return current->files ? fm_find_table(current->files) : NULL;
}

/* Call with fm_tables_lock held.  NULL: the row is full, which counts as a lost event. */
static struct fm_table *fm_find_or_add_table(struct files_struct *files)
{
    struct fm_table *table = fm_find_table(files), *row = fm_table_row(files);
    int i;

    for (i = 0; !table && i < FM_TABLE_ROW; i++)
        if (!row[i].files)
            table = &row[i];
    if (!table) {
        atomic_inc(&fm_lost);
    } else if (!table->files) {
        /* .records goes on: fm_clear_slot() may not yet have counted a slot of the table before. */
        table->highest = 0;
        /* Pairs with fm_find_table().  Otherwise a thread that finds the table could raise .highest
         * before it is set to 0, and fm_forget_table() would stop too early. */
        smp_store_release(&table->files, files);
    }
    return table;
}

static struct fm_table *fm_add_my_table(void)
{
    struct fm_table *table = fm_my_table();

    if (likely(table) || !current->files)
        return table;
    raw_spin_lock(&fm_tables_lock);
    table = fm_find_or_add_table(current->files);
    raw_spin_unlock(&fm_tables_lock);
    return table;
}

static inline u32 fm_number(const struct fm_table *table)
{
    return table - fm_tables + 1;
}

/* Whether the thread can still make system calls with this table.  An exiting thread cannot, though
 * it keeps the table until exit_files(). */
static bool fm_may_use(struct task_struct *thread, const struct files_struct *files)
{
    /* Pairs with the locks that copy_process() releases and wake_up_new_task() takes: a caller that
     * sees PF_EXITING also sees, later in the list, each thread that this one created before.
     * Otherwise it could end a table that such a thread uses. */
    return READ_ONCE(thread->files) == files && !(smp_load_acquire(&thread->flags) & PF_EXITING);
}

static bool fm_is_used_anywhere(const struct files_struct *files)
{
    struct task_struct *process, *thread;

    for_each_process_thread(process, thread)
        if (fm_may_use(thread, files))
            return true;
    return false;
}

/*
 * Whether a system call of another thread can still change this table, which current is leaving.
 * files->count does not show this: two threads that leave at the same time both find it above 1.
 * Other processes are searched only if threads of this process do not hold all the counted
 * references.
 */
static bool fm_is_used(struct files_struct *files)
{
    int holders = atomic_read(&files->count), here = current->files != files;
    struct task_struct *thread;

    if (holders == 1)
        return false;
    for_each_thread(current, thread) {
        if (fm_may_use(thread, files))
            return true;
        here += READ_ONCE(thread->files) == files;
    }
    return here < holders && fm_is_used_anywhere(files);
}

#endif
