/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the options, chooses an engine, runs, and exits: the only place that exits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diag.h"
#include "engine/engine.h"
#include "engine/replay/replay.h"
#include "options.h"
#include "run.h"
#include "spawn.h"

/* Returns status, or STATUS_FAILED if standard output could not be written. */
static int flush_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    diag(DIAG_ERROR, "standard output: %s", strerror(errno));
    return STATUS_FAILED;
}

/* Prints the findings and the conclusion.  Returns as engine_ops.check does. */
static int check_engine(const struct engine_ops *ops, const struct engine_config *config)
{
    int result;

    printf("%s\n", ops->name);
    result = ops->check(config, stdout, NULL);
    if (result == -EAGAIN)
        printf("  %s is unlikely to run here; --engine %s tries it\n", ops->name, ops->name);
    else
        printf("  %s %s run here\n", ops->name, result == 0 ? "can" : "cannot");
    return result;
}

static bool is_wanted(const struct options *options, const struct engine_ops *ops)
{
    return options->engine == &engine_auto || options->engine == ops;
}

static int check(const struct options *options)
{
    struct engine_config config = run_config(options, NULL);
    int status = STATUS_NO_ENGINE;

    for (const struct engine_ops *const *ops = engine_list; *ops; ops++)
        if (is_wanted(options, *ops) && check_engine(*ops, &config) == 0)
            status = STATUS_OK;
    return flush_output(status);
}

static int watch(const struct options *options)
{
    struct engine_config config = run_config(options, NULL);
    const struct engine_ops *ops;

#ifndef FILEMON_NO_REPLAY
    if (options->files[0])
        return run_watch(options, &engine_replay);
#endif
    ops = engine_choose(engine_list, options->engine, &config);
    if (ops)
        return run_watch(options, ops);
    return options->command ? STATUS_FAILED_WITH_COMMAND : STATUS_NO_ENGINE;
}

static int run(const struct options *options)
{
    switch (options->action) {
    case ACTION_HELP:
        options_help(stdout);
        return flush_output(STATUS_OK);
    case ACTION_VERSION:
        options_version(stdout);
        return flush_output(STATUS_OK);
    case ACTION_CHECK:
        return check(options);
    case ACTION_PREPARE:
        return run_prepare(options, &engine_stap);
    case ACTION_RUN:
        break;
    }
    return watch(options);
}

/* If filemon is started with a standard descriptor closed, the next open(2) would get its number,
 * and messages would go to that file.  /dev/null for reading only keeps the write errors. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

/* The status of a usage error.  The arguments could not be parsed, so "--" means a COMMAND. */
static int usage_status(char *const *argv)
{
    for (; *argv; argv++)
        if (!strcmp(*argv, "--"))
            return STATUS_FAILED_WITH_COMMAND;
    return STATUS_USAGE;
}

/* The status of another failure with the same arguments. */
static int failure_status(int usage)
{
    return usage == STATUS_USAGE ? STATUS_FAILED : usage;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = usage_status(argv); /* before getopt(3) reorders argv */
    int result;

    fill_standard_descriptors();
    spawn_save_signals();
    options_init(&options);
    result = options_parse(&options, argc, argv);
    if (result == 0) {
        diag_set_verbosity(options.verbosity);
        status = run(&options);
    } else if (result == -ENOMEM) {
        diag(DIAG_ERROR, "the command line: %s", strerror(ENOMEM));
        status = failure_status(status);
    }
    options_release(&options);
    return status;
}
