/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory that a module is built in.  It is locked as long as its filemon lives, so that one
 * that a killed run left is known by nobody's having it locked. */
#ifndef FILEMON_WORK_H
#define FILEMON_WORK_H

struct work {
    char path[64]; /* empty: none was made */
    int lock;      /* the directory's descriptor */
};

/* Makes it, and removes those that killed runs left.  0, or -errno and no directory. */
int work_make(struct work *work);

/* Removes it and all that is in it, if it was made. */
void work_remove(struct work *work);

#endif
