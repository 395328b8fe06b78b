/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module: its name, the cache that keeps it, and what runs remember there for later runs.
 * build.h builds it.
 *
 * A module depends on the kernel, stap's version, the script and stap's flags.  It does not depend
 * on the targets, which it gets at run time.  So its path is
 *
 *     MODULE_DIR/RELEASE/BUILD/filemon_SCRIPT_VERSION.ko
 *
 * where BUILD is a hash of the kernel's "uname -v", SCRIPT a hash of script and flags, and VERSION
 * a hash of stap's version.  If no stap is installed, any VERSION is accepted: the module comes
 * from another machine.
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
    char path[PATH_MAX];          /* of the module, which may not exist */
    char fault[TRUST_FAULT_SIZE]; /* why module_find() returned -EPERM or -ENOEXEC */
};

/* The prefix of a module's name, in the cache and in the kernel. */
#define MODULE_PREFIX "filemon_"

/* stap's flags for every module; ends with NULL.  SCRIPT in the name covers them. */
extern const char *const module_flags[];

/*
 * Fills in all of *module but fault; does not check whether the module exists.  Runs
 * "stap --version" unless the cache has the answer.  0, or -errno after a message.
 */
int module_identify(struct module *module, const struct engine_config *config);

/*
 * Checks that the module is in the cache and can be loaded.  0; -ENOENT; -EPERM: another user could
 * have changed it (see trust.h); -ENOEXEC: it is damaged, or for another kernel.  After the last
 * two module->fault is a sentence.  Without stap, name and path become those of the module found.
 */
int module_find(struct module *module);

/* How many releases (7.0 follows 6.19) the kernel is newer than the newest one that stap was tested
 * with; 0 also if that is unknown. */
int module_releases_ahead(const struct module *module);

/* The kernel's build tree, "/lib/modules/RELEASE/build". */
void module_headers(char path[static PATH_MAX], const char *release);

/* Reads "uname -v" of the kernel that the headers of a release belong to.  False: not found. */
bool module_headers_build(char *build, size_t size, const char *release);

/*
 * What runs remember in MODULE_DIR for later runs.  If another user could change MODULE_DIR,
 * nothing is written there and nothing read.
 */

/* stap's version: "stap --version" takes longer than the rest of a start. */
void module_remember_version(const struct module *module);

/* How many seconds the last build of any module took; -1: unknown. */
int module_last_seconds(const struct module *module);

/* Stores how many seconds a build took. */
void module_remember_seconds(const struct module *module, int seconds);

/*
 * That this module (for this kernel, stap and script) could not be built or loaded, and why.  A
 * newer file at the module's path invalidates the failure.
 */
#define MODULE_FAILURE_SIZE 128

/* Whether a failure is stored; why is then its text, NUL-terminated. */
bool module_has_failed(const struct module *module, char why[static MODULE_FAILURE_SIZE]);

/* Stores the failure, and the first MODULE_FAILURE_SIZE - 1 bytes of why. */
void module_remember_failure(const struct module *module, const char *why);

/* Removes the stored failure, if there is one. */
void module_forget_failure(const struct module *module);

#endif
