/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workarounds for distributions whose stap cannot build a module for their kernel.  Expect to edit
 * this module when a distribution has a new release.  A workaround depends on what is found in the
 * kernel's and stap's files, never on version numbers, and changes no file of the system.
 *
 * 1. A symbol map, always.  Without debuginfo stap finds the kernel's functions only in a
 *    System.map, and the one in /boot is a stub of one line on Debian, or, with Linux 7.2, missing.
 *    Without one stap 5 fails, and stap 4.8 probes tracepoints instead, for which each build takes
 *    a minute.  So a map is made from /proc/kallsyms.  stap 4.8 looks for System.map in the build
 *    tree first: -r gives it a directory of links to all entries of the build tree, and to the map.
 *    stap 5.1 looks in /boot first, and stap 5.6 only there: the map is mounted over the stub, or,
 *    where there is no stub, a directory with the map over /boot, in a mount namespace that only
 *    stap is in.
 *
 * 2. task_work_cancel(), where the kernel has task_work_cancel_func() and stap's runtime does not
 *    know it.  Linux 6.11 changed the type of task_work_cancel(), and so did the stable kernels
 *    6.1.103 and 6.6.44.  stap before 5.2 compiles a call of the old type into every module, which
 *    fails.  User-space probes alone would execute the call, and filemon's script has none: a
 *    header that is included everywhere replaces the function by one of the old type.
 *
 * 3. uprobe_unregister(), where the kernel has none, whatever the stap: Linux 6.12 removed it.
 *    When a module is loaded, the runtime of stap before 5.2 looks up its address, and fails:
 *    "Can't resolve uprobe_unregister".  That too is for user-space probes alone.
 *
 * For 2 and 3, -D STAPCONF_..._EXPORTED claims that the kernel exports the function, which keeps
 * the runtime from looking up its address when the module is loaded.
 */
#ifndef FILEMON_WORKAROUNDS_H
#define FILEMON_WORKAROUNDS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "spawn.h"

struct workarounds {
    char tree[PATH_MAX];    /* 1: the directory of links to the build tree, */
    char map[PATH_MAX];     /*    the symbol map, */
    char mounted[PATH_MAX]; /*    what to mount: the map, or a directory with it, */
    char over[PATH_MAX];    /*    and what over: the stub, or /boot; empty: nothing is mounted */
    char kcflags[PATH_MAX]; /* 2: "KCFLAGS=-include FILE", for make; empty: not needed */
    bool lacks_uprobe_unregister; /* 3: the kernel does */
};

/*
 * Finds out which workarounds the kernel of this release (as uname -r says it) needs, and writes
 * their files into the directory, which exists, is empty, and is removed by the caller, also after
 * an error.  headers: the absolute path of the kernel's build tree.  The symbols come from
 * config->stap->kallsyms, or else from the running kernel.  0, or -errno, which engine_failed() has
 * reported: -EPERM if addresses are hidden, -ENODATA if there is no symbol.
 */
int workarounds_prepare(struct workarounds *workarounds, const struct engine_config *config,
                        const char *directory, const char *headers, const char *release);

/* The most arguments that workarounds_arguments() writes. */
#define WORKAROUNDS_ARGUMENTS 8

/* Writes stap's arguments for the workarounds, without a NULL at the end; returns their number.
 * The strings are valid as long as *workarounds. */
size_t workarounds_arguments(const struct workarounds *workarounds,
                             const char *arguments[static WORKAROUNDS_ARGUMENTS]);

/* As root, and if /boot has no complete map: sets mount_file and mount_over of *spawn, with which
 * the caller will run stap.  The strings are valid as long as *workarounds. */
void workarounds_mount_map(const struct workarounds *workarounds, struct spawn *spawn);

/*
 * The symbol that this stap's runtime uses and that the kernel of this build tree does not export,
 * so that no module can be built; NULL: none.  The Linux 5.10 of Debian 11 does not export
 * module_mutex, nor what the runtime of its stap 4.4 calls with it held; later runtimes ask whether
 * it is exported.  There is no workaround.
 */
const char *workarounds_missing_symbol(const char *headers);

#endif
