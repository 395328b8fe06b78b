/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options → engine → run → exit status: the only place that exits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diag.h"
#include "engine/engine.h"
#include "options.h"
#include "run.h"
#include "spawn.h"

/* The status, unless standard output did not take all that was printed. */
static int printed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    diag(DIAG_ERROR, "standard output: %s", strerror(errno));
    return STATUS_FAILED;
}

/* 0, -EAGAIN, -ENOSYS: see engine_ops.check. */
static int check_engine(const struct engine_ops *ops, const struct engine_config *config)
{
    int result;

    printf("%s\n", ops->name);
    result = ops->check(config, stdout, NULL);
    if (result == -EAGAIN)
        printf("  %s is unlikely to run here; --engine %s tries it\n", ops->name, ops->name);
    else
        printf("  %s can %srun here\n", ops->name, result == 0 ? "" : "not ");
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
    return printed(status);
}

static int watch(const struct options *options)
{
    struct engine_config config = run_config(options, NULL);
    const struct engine_ops *ops = engine_choose(engine_list, options->engine, &config);

    if (ops)
        return run_watch(options, ops);
    return options->command ? STATUS_FAILED_WITH_COMMAND : STATUS_NO_ENGINE;
}

static int run(const struct options *options)
{
    switch (options->action) {
    case ACTION_HELP:
        options_help(stdout);
        return printed(STATUS_OK);
    case ACTION_VERSION:
        options_version(stdout);
        return printed(STATUS_OK);
    case ACTION_CHECK:
        return check(options);
    case ACTION_PREPARE:
        return run_prepare(options, &engine_stap);
    case ACTION_RUN:
        break;
    }
    return watch(options);
}

/* Started with one of the three closed, the next file opened would take its place.  What is open
 * for reading alone still refuses output. */
static void keep_standard_descriptors_free(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

/* What a usage error ends with: where the words could not be parsed, "--" announces a COMMAND. */
static int usage_status(char *const *argv)
{
    for (; *argv; argv++)
        if (!strcmp(*argv, "--"))
            return STATUS_FAILED_WITH_COMMAND;
    return STATUS_USAGE;
}

/* What a failure ends with whose usage_status() is this. */
static int failure_status(int usage)
{
    return usage == STATUS_USAGE ? STATUS_FAILED : usage;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = usage_status(argv); /* before getopt(3) moves words */
    int result;

    keep_standard_descriptors_free();
    spawn_keep_signals();
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
