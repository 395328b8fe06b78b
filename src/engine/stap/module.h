/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module: its name, the directory where it is kept, and the facts that one run of filemon
 * stores there for the next.  build.h builds the module.
 *
 * MODULE_DIR stands for the argument of --module-dir; without it, for the system's cache directory
 * if filemon runs as root, otherwise for $XDG_CACHE_HOME/filemon or ~/.cache/filemon.
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
 * BUILD matters: a kernel that was rebuilt with the same "uname -r" has other addresses, and stap
 * compiles addresses into the module.  The module's vermagic does not show that, nor does stap's
 * check, which reads "uname -v" in generated/compile.h, where it no longer is since Linux 6.1.
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
    char build[sizeof(((struct utsname *)0)->version)]; /* "uname -v"; empty: unknown, and
                                                         * one BUILD for all such kernels */
    char version[64];             /* stap's, as it prints it ("4.8/0.188"); empty: no stap, or
                                   * none that says its version */
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
 * Fills in *module, where fault has no meaning before module_find(); does not check whether the
 * module exists.  Runs "stap --version" unless module_remember_version() has stored the answer.  0,
 * or -errno after a message.
 */
int module_identify(struct module *module, const struct engine_config *config);

/*
 * Checks that the module is at its path and can be loaded.  0; -ENOENT: there is none; -EPERM:
 * another user could have changed it (see trust.h); -ENOEXEC: it is damaged, or for another kernel;
 * another -errno of open(2) or read(2).  With -EPERM and -ENOEXEC module->fault says why, as a
 * sentence.  Without stap, name and path become those of the module found.
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
 * Facts that one run stores for the next, in MODULE_DIR, and failures in MODULE_DIR/RELEASE/BUILD.
 * Nothing is stored in, or read from, a directory that is missing or that another user could
 * change.
 */

/* Stores stap's version: "stap --version" takes longer than the rest of a start. */
void module_remember_version(const struct module *module);

/* How many seconds the last build of any module took; -1: unknown. */
int module_last_seconds(const struct module *module);

/* Stores how many seconds a build took. */
void module_remember_seconds(const struct module *module, int seconds);

#define MODULE_FAILURE_SIZE 128

/* Whether it is stored that this module (of this kernel, stap and script) could not be built or
 * loaded: then why has the reason, NUL-terminated; else why has no meaning.  A failure no longer
 * counts once there is a newer file at the module's path. */
bool module_has_failed(const struct module *module, char why[static MODULE_FAILURE_SIZE]);

/* Stores the failure, and the first MODULE_FAILURE_SIZE - 1 bytes of why. */
void module_remember_failure(const struct module *module, const char *why);

/* Removes the stored failure, if there is one. */
void module_forget_failure(const struct module *module);

#endif
