/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workarounds for distributions whose stap cannot build a module for their kernel.  This file
 * changes with each release of a distribution.  Each workaround is chosen by what this kernel has
 * and this stap does not know, never by version numbers, and changes no file of the system.
 *
 * 1. A symbol map.  Without debuginfo stap resolves system calls to functions only if it finds a
 *    System.map; Debian's in /boot is a stub of one line.  Without a map stap 4.8 probes
 *    tracepoints instead, which takes a minute, and stap 5 fails.  The map is made from
 *    /proc/kallsyms, in a shadow of the kernel's build tree, which stap 4.8 searches first.  stap 5
 *    reads /boot first and fails at the stub: so the map is mounted over the stub, in a mount
 *    namespace that only stap is in.
 *
 * 2. task_work_cancel().  Linux 6.11 changed its type, and so did the stable kernels 6.1.103 and
 *    6.6.44.  stap before 5.2 compiles a call of the old type into every module: pass 4 fails.  The
 *    call is only for user-space probes, which the script does not have.
 *
 * 3. uprobe_unregister().  Linux 6.12 removed it.  stap before 5.2 looks it up when a module is
 *    loaded: "Can't resolve uprobe_unregister".
 */
#ifndef FILEMON_WORKAROUNDS_H
#define FILEMON_WORKAROUNDS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "spawn.h"

struct workarounds {
    char tree[PATH_MAX];    /* 1: the shadow of the build tree, */
    char map[PATH_MAX];     /*    the symbol map, */
    char boot[PATH_MAX];    /*    and the stub to mount it over; empty: no stub */
    char include[PATH_MAX]; /* 2: "KCFLAGS=-include FILE"; empty: not needed */
    bool no_unregister;     /* 3: needed */
};

/*
 * Finds out which workarounds the kernel of this release needs, and writes their files into the
 * existing directory, which the caller removes.  headers: the kernel's build tree.  The symbols
 * come from config->stap->kallsyms, or else from the running kernel.  0, or -errno after
 * engine_failed(): -EPERM if addresses are hidden, -ENODATA if there is no symbol.
 */
int workarounds_prepare(struct workarounds *workarounds, const struct engine_config *config,
                        const char *directory, const char *headers, const char *release);

/* The most arguments that workarounds_arguments() writes. */
#define WORKAROUNDS_ARGUMENTS 8

/* Writes stap's arguments for the workarounds; returns their number.  The strings are valid as long
 * as *workarounds. */
size_t workarounds_arguments(const struct workarounds *workarounds,
                             const char *arguments[static WORKAROUNDS_ARGUMENTS]);

/* Sets mount_file and mount_over of *spawn, if there is a stub.  The strings are valid as long as
 * *workarounds. */
void workarounds_cover_boot(const struct workarounds *workarounds, struct spawn *spawn);

#endif
