/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe module: which one this kernel needs, where it is kept, and how stap is made to build
 * it. A module depends on the kernel release, stap's version, the script and the flags, and on
 * nothing else: what is watched is told to it when it runs.  So it is kept as
 *
 *     MODULE_DIR/RELEASE/filemon_SCRIPT_VERSION.ko
 *
 * SCRIPT being a hash of script and flags, VERSION one of stap's version.  Where no stap is
 * installed (the module was prepared elsewhere) any VERSION will do.
 */
#ifndef FILEMON_MODULE_H
#define FILEMON_MODULE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/utsname.h>

#include "engine/engine.h"
#include "engine/stap/work.h"
#include "spawn.h"

struct module {
    char release[sizeof(((struct utsname *)0)->release)];
    char version[64];   /* stap's, as it names it ("4.8/0.188"); empty: no stap */
    char name[64];      /* without ".ko" */
    char top[PATH_MAX]; /* MODULE_DIR */
    char dir[PATH_MAX]; /* MODULE_DIR/RELEASE */
    char path[PATH_MAX];
};

/* What stands before each module's name, also once it is loaded. */
#define MODULE_PREFIX "filemon_"

/* Fills it in, without looking whether it is there.  0, -errno with a message given. */
int module_identify(struct module *module, const struct engine_config *config);

/*
 * Is it there?  0; -ENOENT; -EPERM where others could have put it there or could change it, which
 * will be loaded into the kernel: the file, MODULE_DIR and MODULE_DIR/RELEASE must be root's or
 * ours alone.
 */
int module_find(struct module *module);

/* How many seconds the last build in MODULE_DIR took, whatever it was for, so that people know how
 * long to wait; -1: not known. */
int module_last_seconds(const struct module *module);
void module_remember_seconds(const struct module *module, int seconds);

/* A build that is going on; everything it makes lies in one directory of its own. */
struct module_build {
    const struct module *module;
    struct work work;
    char log[PATH_MAX]; /* all that stap says; kept where the build failed */
    struct spawned stap;
    int output; /* stap's standard output and error, to be read by module_build_read() */
    int log_fd;
    char line[512]; /* the last whole line, or the beginning of one */
    size_t line_len;
    int pass;          /* the one that stap is in, 1 to 4 */
    char tail[8][256]; /* its last lines, for the message when it fails */
    unsigned int n_tail;
};

/* Starts stap.  0, or -errno with a message given that says what is missing. */
int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config);

/* Reads what stap says, without waiting.  1: it goes on; 0: it has ended and the module is in its
 * place; -errno with a message given. */
int module_build_read(struct module_build *build);

/* Ends stap if it runs still, and removes what it left. */
void module_build_end(struct module_build *build);

/* The directory of the kernel's headers for a release, "/lib/modules/RELEASE/build". */
void module_headers(char path[static PATH_MAX], const char *release);

#endif
