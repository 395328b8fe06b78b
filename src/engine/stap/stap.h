/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that only the stap engine has. */
#ifndef FILEMON_STAP_H
#define FILEMON_STAP_H

#include <stdbool.h>

/* All zeros are the defaults. */
struct stap_options {
    bool prepare;           /* only build the module, then ENGINE_DONE */
    const char *kernel;     /* with prepare: for this kernel release; NULL: the running one */
    const char *kallsyms;   /* with kernel: a copy of its /proc/kallsyms */
    const char *module_dir; /* where modules are kept; NULL: the system's cache, or the user's */
};

#endif
