/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The name of the probe module that this kernel needs, the cache that it is kept in, and what runs
 * remember there.  build.h makes it.
 *
 * A module depends on the kernel, stap's version, the script and stap's flags, and on nothing else:
 * what to watch is told to it when it runs.  So its path is
 *
 *     MODULE_DIR/RELEASE/BUILD/filemon_SCRIPT_VERSION.ko
 *
 * where BUILD is a hash of the kernel's "uname -v", SCRIPT a hash of script and flags, and VERSION
 * a hash of stap's version.  Where no stap is installed, since the module was prepared on another
 * machine, any VERSION is accepted.
 *
 * BUILD matters: a kernel that was rebuilt under its old release has other addresses, and stap
 * compiles addresses into the module.  Neither the module's vermagic nor stap's own check detects
 * that (since Linux 6.1 "uname -v" is no longer in the generated/compile.h that stap looks at).
 */
#ifndef FILEMON_MODULE_H
#define FILEMON_MODULE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/utsname.h>

#include "engine/engine.h"
#include "engine/stap/trust.h"

struct module {
    char release[sizeof(((struct utsname *)0)->release)];
    char build[sizeof(((struct utsname *)0)->version)]; /* "uname -v"; empty: unknown */
    char version[64];             /* stap's, as it prints it ("4.8/0.188"); empty: no stap */
    char tested[32];              /* the newest kernel that stap was tested with ("6.1.0-rc3");
                                   * empty: unknown */
    char name[64];                /* without ".ko" */
    char top[PATH_MAX];           /* MODULE_DIR */
    char dir[PATH_MAX];           /* MODULE_DIR/RELEASE/BUILD */
    char path[PATH_MAX];          /* of the module, there or not */
    char fault[TRUST_FAULT_SIZE]; /* why module_find() returned -EPERM or -ENOEXEC */
};

/* The prefix of each module's name, once it is loaded, too. */
#define MODULE_PREFIX "filemon_"

/* The flags that stap builds every module with, ended by NULL.  They are part of its name. */
extern const char *const module_flags[];

/*
 * Fills in all of *module but `fault`, without looking whether the module exists.  Runs
 * "stap --version" where the answer is not in the cache.  0; -errno with a message given.
 */
int module_identify(struct module *module, const struct engine_config *config);

/*
 * Is the module in the cache, and fit to be loaded?  0; -ENOENT; -EPERM: another user could have
 * put it there or could change it (see trust.h); -ENOEXEC: it is damaged, or is for another kernel.
 * With the last two, module->fault is a sentence.  Without stap, changes name and path to those of
 * the module that it found.
 */
int module_find(struct module *module);

/* By how many kernel releases (7.0 follows 6.19) the module's kernel is newer than the newest one
 * that stap was tested with.  0: by none, or unknown. */
int module_releases_ahead(const struct module *module);

/* The kernel's build tree, "/lib/modules/RELEASE/build". */
void module_headers(char path[static PATH_MAX], const char *release);

/* Reads "uname -v" of the kernel that the headers of a release belong to.  False: the headers do
 * not say it. */
bool module_headers_build(char *build, size_t size, const char *release);

/*
 * What runs remember in the cache for later ones.  In a MODULE_DIR that another user could change
 * nothing is remembered, and nothing that it says is believed.
 */

/* stap's version: "stap --version" takes longer than a run needs to start. */
void module_remember_version(const struct module *module);

/* How many seconds the last build in MODULE_DIR took, of whatever module; -1: unknown. */
int module_last_seconds(const struct module *module);
void module_remember_seconds(const struct module *module, int seconds);

/*
 * That this module (so with this kernel, stap and script) could not be built or loaded, and why.  A
 * module that was put there later makes the failure forgotten.
 */
#define MODULE_FAILURE_SIZE 128

bool module_has_failed(const struct module *module, char why[static MODULE_FAILURE_SIZE]);
void module_remember_failure(const struct module *module, const char *why);
void module_forget_failure(const struct module *module);

#endif
