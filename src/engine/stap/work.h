/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The temporary directory that a module is built in.  The filemon that made it holds a lock on it
 * (flock(2)) until work_remove(): a directory without a lock was left by a filemon that was killed.
 */
#ifndef FILEMON_WORK_H
#define FILEMON_WORK_H

struct work {
    char path[64]; /* empty: no directory */
    int lock;      /* the directory's descriptor */
};

/* Creates the directory, and removes directories that killed runs left.  0, or -errno and no
 * directory. */
int work_make(struct work *work);

/* Removes the directory with everything in it; does nothing if path is empty. */
void work_remove(struct work *work);

#endif
