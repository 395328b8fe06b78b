/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe module: which one this kernel needs, where it is kept, and how stap is made to build
 * it. A module depends on the kernel, stap's version, the script and the flags, and on nothing
 * else: what is watched is told to it when it runs.  So it is kept as
 *
 *     MODULE_DIR/RELEASE/BUILD/filemon_SCRIPT_VERSION.ko
 *
 * BUILD being a hash of the kernel's "uname -v", SCRIPT one of script and flags, VERSION one of
 * stap's version.  Where no stap is installed (the module was prepared elsewhere) any VERSION will
 * do.
 *
 * BUILD matters: a kernel that was built again under its old release has other addresses, which
 * stap compiles into the module.  Neither the module's vermagic nor, since "uname -v" has left
 * generated/compile.h (Linux 6.1), the check that stap compiles in tells the two apart.
 */
#ifndef FILEMON_MODULE_H
#define FILEMON_MODULE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/utsname.h>

#include "engine/engine.h"
#include "engine/stap/trust.h"
#include "engine/stap/work.h"
#include "spawn.h"

struct module {
    char release[sizeof(((struct utsname *)0)->release)];
    char build[sizeof(((struct utsname *)0)->version)]; /* "uname -v"; empty: not known */
    char version[64]; /* stap's, as it names it ("4.8/0.188"); empty: no stap */
    char tested[32];  /* the last kernel that stap was tested with ("6.1.0-rc3"); empty: unknown */
    char name[64];    /* without ".ko" */
    char top[PATH_MAX]; /* MODULE_DIR */
    char dir[PATH_MAX]; /* MODULE_DIR/RELEASE/BUILD */
    char path[PATH_MAX];
    char fault[TRUST_FAULT_SIZE]; /* after a module_find() that gave -EPERM or -ENOEXEC: why */
};

/* What stands before each module's name, also once it is loaded. */
#define MODULE_PREFIX "filemon_"

/* Fills it in, without looking whether it is there.  0, -errno with a message given. */
int module_identify(struct module *module, const struct engine_config *config);

/*
 * Is it there, and good?  0; -ENOENT; -EPERM where others could have put it there or could change
 * it (see trust.h), since it will be loaded into the kernel; -ENOEXEC where it is no whole module
 * of this kernel.  module->fault is then a sentence.
 */
int module_find(struct module *module);

/* How many kernel releases (7.0 follows 6.19) the module's kernel is ahead of the last one that
 * stap says it was tested with.  0: it is not, or not known. */
int module_releases_ahead(const struct module *module);

/* How many seconds the last build in MODULE_DIR took, whatever it was for, so that people know how
 * long to wait; -1: not known. */
int module_last_seconds(const struct module *module);
void module_remember_seconds(const struct module *module, int seconds);

/*
 * A build or a load that failed is remembered beside the module, so with all that names it: kernel,
 * stap and script.  A module that was put there since makes it forgotten.
 */
#define MODULE_FAILURE_SIZE 128

bool module_has_failed(const struct module *module, char why[static MODULE_FAILURE_SIZE]);
void module_remember_failure(const struct module *module, const char *why);
void module_forget_failure(const struct module *module);

/* A build that is going on; everything it makes lies in one directory of its own. */
struct module_build {
    const struct module *module;
    const struct engine_config *config;
    struct work work;
    int directory;       /* where the module is to be kept, locked; -1: it cannot be */
    char path[PATH_MAX]; /* of the module, once it is built */
    char log[PATH_MAX];  /* all that stap says; kept beside the module where the build failed */
    struct spawned stap;
    int output; /* stap's standard output and error, to be read by module_build_read() */
    int log_fd;
    char line[512]; /* the last whole line, or the beginning of one */
    size_t line_len;
    int pass;          /* the one that stap is in, 1 to 4 */
    bool disk_full;    /* stap said so */
    char tail[8][256]; /* its last lines, for the message when it fails */
    unsigned int n_tail;
};

/* Before any other; module_build_end() may then be called. */
void module_build_init(struct module_build *build);

/*
 * Starts stap.  0; -EBUSY: another process is building this module, try again; other -errno: a
 * message was given that says what is missing (see engine_failed()).
 */
int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config);

/*
 * Reads what stap says, without waiting.  1: it goes on; 0: it has ended and the module is at
 * build->path: in its place, or, where it cannot be kept, in the directory that lasts until
 * module_build_end(); -errno with a message given.
 */
int module_build_read(struct module_build *build);

/* Ends stap if it runs still, and removes what it left. */
void module_build_end(struct module_build *build);

/* "uname -v" of the kernel that the headers of that release belong to; false where they do not say.
 */
bool module_headers_build(char *build, size_t size, const char *release);

/* The directory of the kernel's headers for a release, "/lib/modules/RELEASE/build". */
void module_headers(char path[static PATH_MAX], const char *release);

#endif
