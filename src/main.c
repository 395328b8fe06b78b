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

/* In the order in which "auto" tries them. */
static const struct engine_ops *const engines[] = {
    &engine_stap,
#ifndef FILEMON_NO_BPF
    &engine_bpf,
#endif
};
#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

static bool is_chosen(const struct engine_ops *ops, enum engine_choice choice)
{
    static const char *const names[] = {
        [CHOOSE_AUTO] = NULL, [CHOOSE_STAP] = "stap", [CHOOSE_BPF] = "bpf"};

    return choice == CHOOSE_AUTO || !strcmp(ops->name, names[choice]);
}

/* The status, unless standard output did not take all that was printed. */
static int printed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    diag(DIAG_ERROR, "standard output: %s", strerror(errno));
    return STATUS_FAILED;
}

static int check(const struct options *options)
{
    struct engine_config config = run_config(options, NULL);
    int status = STATUS_NO_ENGINE;

    for (size_t i = 0; i < N_ENGINES; i++) {
        int result;

        if (!is_chosen(engines[i], options->engine))
            continue;
        printf("%s\n", engines[i]->name);
        result = engines[i]->check(&config, stdout, NULL);
        printf("  %s can %srun here\n", engines[i]->name, result == 0 ? "" : "not ");
        if (result == 0)
            status = STATUS_OK;
    }
    return printed(status);
}

/* Why each of those that were tried cannot. */
static void refuse(const struct options *options, const struct finding lacks[N_ENGINES])
{
    for (size_t i = 0; i < N_ENGINES; i++)
        if (is_chosen(engines[i], options->engine))
            diag(DIAG_ERROR, "engine %s cannot run here: %s: %s", engines[i]->name, lacks[i].what,
                 lacks[i].mend);
    if (options->engine == CHOOSE_AUTO)
        diag(DIAG_ERROR, "no engine can run here; 'filemon --check' lists what each needs");
}

/* The first that can run here. */
static const struct engine_ops *choose(const struct options *options)
{
    struct engine_config config = run_config(options, NULL);
    struct finding lacks[N_ENGINES] = {0};

    for (size_t i = 0; i < N_ENGINES; i++) {
        if (!is_chosen(engines[i], options->engine))
            continue;
        if (engines[i]->check(&config, NULL, &lacks[i]) != 0)
            continue;
        if (options->engine == CHOOSE_AUTO && i > 0)
            diag(DIAG_INFO, "engine %s, since %s needs %s", engines[i]->name, engines[0]->name,
                 lacks[0].what);
        return engines[i];
    }
    refuse(options, lacks);
    return NULL;
}

static int run(const struct options *options)
{
    const struct engine_ops *ops;

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
    ops = choose(options);
    if (ops)
        return run_watch(options, ops);
    return options->command ? STATUS_FAILED_WITH_COMMAND : STATUS_NO_ENGINE;
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

int main(int argc, char **argv)
{
    struct options options;
    int status = usage_status(argv); /* before getopt(3) moves words */

    keep_standard_descriptors_free();
    spawn_keep_signals();
    options_init(&options);
    if (options_parse(&options, argc, argv) == 0) {
        diag_set_verbosity(options.verbosity);
        status = run(&options);
    }
    options_release(&options);
    return status;
}
