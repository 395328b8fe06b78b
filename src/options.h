/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line, parsed into a struct. */
#ifndef FILEMON_OPTIONS_H
#define FILEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/engine.h"
#include "engine/stap/stap.h"
#include "event/trace.h"
#include "output/fields.h"
#include "output/output.h"
#include "output/summary.h"

#define FILEMON_VERSION "0.1.0"

enum options_action { ACTION_RUN, ACTION_CHECK, ACTION_PREPARE, ACTION_HELP, ACTION_VERSION };

enum summary_choice { SUMMARY_NONE, SUMMARY_ALONE, SUMMARY_AFTER };

/* Lists end with NULL, and are not NULL after options_parse().  Strings point into argv. */
struct options {
    enum options_action action;
    pid_t *pids; /* -p and operands of digits: in rising order, each once */
    size_t n_pids;
    char **names;    /* -n */
    char **groups;   /* -g, as given */
    char **files;    /* -r, and then operands that do not begin with a slash */
    char **paths;    /* PATH, as given */
    char **excludes; /* -X, as given */
    char **patterns; /* -m */
    uid_t *users;    /* -u: in the order given, each once */
    size_t n_users;
    bool by_inode; /* -I */
    bool writes;   /* -w */
    bool bytes;    /* -b */
    bool all;
    char **command;                  /* the part of argv after "--"; NULL: none */
    int depth;                       /* DEPTH_ALL or 0 and more */
    const struct engine_ops *engine; /* engine_auto by default */
    bool other_way;                  /* of this engine: engine_ops.way */
    enum output_format format;       /* with SUMMARY_ALONE text by default, else json */
    const char *host;                /* --host; NULL: none */
    char **field_lists;              /* -F, as given */
    struct fields fields;
    enum summary_choice summary;
    enum summary_sort sort;   /* of totals */
    int top;                  /* summary_view.top */
    const char *output;       /* NULL: standard output */
    unsigned int sets;        /* -t, -x and -i, see event/trace.h; with -r all by default */
    bool only_failed;         /* -xx: of these sets the FAIL records */
    bool initial;             /* the engine is asked for HELD records: never with -r */
    int64_t duration_ms;      /* -1: no end */
    int64_t every_ms;         /* --every; 0: not given */
    int ready_fd;             /* --ready-fd: open for writing; -1: none */
    struct stap_options stap; /* kernel and kallsyms: with ACTION_PREPARE, both or neither */
    int verbosity;            /* -1 quiet, 0, 1 verbose */
};

/* The defaults. */
void options_init(struct options *options);
void options_release(struct options *options);

/*
 * Parses argv, whose order may change.  Call options_init() first, options_release() in any case.
 * 0; -EINVAL after a message that says what is wrong and what to do; -ENOMEM.  Does not exit.
 * Parsing stops at --help and --version, and the options before them are not checked.
 */
int options_parse(struct options *options, int argc, char **argv);

/* Sorts them, and removes repeated ones; returns how many are left. */
size_t options_sort_pids(pid_t *pids, size_t n);

/* --help and --version. */
void options_help(FILE *out);
void options_version(FILE *out);

#endif
