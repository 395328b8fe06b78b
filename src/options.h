/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line as a struct. */
#ifndef FILEMON_OPTIONS_H
#define FILEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "output/output.h"

enum engine_choice { CHOOSE_AUTO, CHOOSE_STAP, CHOOSE_BPF };

enum options_action { ACTION_RUN, ACTION_CHECK, ACTION_PREPARE, ACTION_HELP, ACTION_VERSION };

/* Lists end with a NULL; strings are argv's own, not copied, except where said. */
struct options {
    enum options_action action;
    pid_t *pids; /* -p and operands of digits, doubles taken out */
    size_t n_pids;
    char **names;    /* -n */
    char **paths;    /* PATH, as given */
    char **excludes; /* -X, as given */
    bool all;
    char **command; /* what follows "--"; NULL without */
    int depth;      /* DEPTH_ALL or 0 and more */
    enum engine_choice engine;
    enum output_format format;
    const char *output; /* NULL: standard output */
    bool failed;
    int64_t duration_ms; /* -1: no end */
    const char *kernel, *kallsyms, *module_dir;
    int verbosity; /* -1 quiet, 0, 1 verbose */
};

/* The defaults. */
void options_init(struct options *options);
void options_release(struct options *options);

/*
 * Parses argv (argv[0] the program).  0; -EINVAL with a message given that says what is wrong and
 * what to do; -ENOMEM.  Does not exit, prints nothing else.  Call options_init() first.
 */
int options_parse(struct options *options, int argc, char **argv);

/* --help and --version. */
void options_help(FILE *out);
void options_version(FILE *out);

#endif
