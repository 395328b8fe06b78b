/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stap needs beyond its own package to build a module for a distribution's kernel.  This is
 * the part that changes with each release of a distribution; each workaround is chosen by what this
 * kernel has and this stap lacks, never by version numbers, and nothing of the system's is written.
 *
 * 1. A symbol map.  Without debuginfo stap resolves system calls to functions only if it finds a
 *    System.map; Debian's in /boot is a stub of one line.  Without it stap 4.8 probes tracepoints
 *    instead, which takes it a minute, and stap 5 stops.  The map is made from /proc/kallsyms and
 *    put into a shadow of the kernel's build tree, which stap 4.8 searches first.  stap 5 reads
 *    /boot first, and stops at the stub: so it sees the map there, in a mount namespace of its own.
 *
 * 2. task_work_cancel().  Linux 6.11 changed its type, and the stable kernels from 6.1.103 and
 *    6.6.44 on did, too.  stap before 5.2 compiles a call of the old one into every module: pass 4
 *    fails.  Only user-space probes, of which the script has none, reach that call.
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
    char boot[PATH_MAX];    /*    and the stub to be covered with it; empty: none is there */
    char include[PATH_MAX]; /* 2: "KCFLAGS=-include FILE"; empty: not needed */
    bool no_unregister;     /* 3 */
};

/*
 * Finds out which workarounds the kernel of that release needs, and writes their files into the
 * existing directory, which the caller removes.  headers: the kernel's build tree.  The symbols are
 * those of config->stap->kallsyms, or the running kernel's.  0; -errno with a message given by
 * engine_failed(); -EPERM and -ENODATA: the symbols have no addresses, or there are none.
 */
int workarounds_prepare(struct workarounds *workarounds, const struct engine_config *config,
                        const char *directory, const char *headers, const char *release);

/* The most arguments that workarounds_arguments() writes. */
#define WORKAROUNDS_ARGUMENTS 8

/* Writes stap's arguments for them, which are borrowed from *workarounds; returns how many. */
size_t workarounds_arguments(const struct workarounds *workarounds,
                             const char *arguments[static WORKAROUNDS_ARGUMENTS]);

/* Has the stap that is to be spawned see the symbol map in /boot, where it needs to.  The paths are
 * borrowed from *workarounds. */
void workarounds_cover_boot(const struct workarounds *workarounds, struct spawn *spawn);

#endif
