/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building the probe module: stap runs in a temporary directory of its own (work.h), and the module
 * is then copied into the cache (module.h).
 *
 * Lifecycle: module_build_init(), module_build_start(); module_build_read() whenever `output` is
 * readable, until it no longer returns 1; module_build_end(), which may be called in any state.
 */
#ifndef FILEMON_BUILD_H
#define FILEMON_BUILD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "engine/stap/module.h"
#include "engine/stap/work.h"
#include "engine/stap/workarounds.h"
#include "spawn.h"
#include "text.h"

struct module_build {
    const struct module *module;
    const struct engine_config *config;
    struct work work;
    struct workarounds workarounds;
    int directory;       /* of the cache, locked; -1: the module cannot be kept */
    char path[PATH_MAX]; /* of the module, once it is built */
    char log[PATH_MAX];  /* stap's output; copied to the cache if the build fails */
    struct spawned stap;
    int output; /* a pipe of stap's standard output and error; -1: none */
    int log_fd;
    struct text_line line; /* of the output */
    int pass;              /* stap's current one, 1 to 4 */
    const char *shortage;  /* what the build ran out of, such as "memory"; NULL: nothing */
    char tail[8][256];     /* stap's last lines, for the message of a failure */
    unsigned int n_tail;
};

/* Makes *build empty, so that module_build_end() can be called. */
void module_build_init(struct module_build *build);

/*
 * Starts stap.  module and config are borrowed until module_build_end().  0; -EBUSY: another
 * process is building this module, try again; other -errno after engine_failed().
 */
int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config);

/*
 * Reads stap's output, without waiting.  1: stap is still running; 0: the module is built, and its
 * path is build->path, in the cache or, if it cannot be kept there, in the temporary directory;
 * -errno after engine_failed().
 */
int module_build_read(struct module_build *build);

/* Kills stap if it is still running, removes the temporary directory and closes what the build has
 * open. */
void module_build_end(struct module_build *build);

#endif
