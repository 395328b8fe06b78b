/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of engines, and "auto", an engine that delegates to the first of them that reaches
 * ENGINE_WATCHING.  Before that state no process is watched, no command released and no event
 * delivered: so if one engine fails to start, the next can replace it in the same run.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"

const struct engine_ops *const engine_list[] = {&engine_stap, &engine_bpf, NULL};

#ifdef FILEMON_NO_BPF
/* Stays in the list, so that -e and --check can report why it cannot run. */
static int check_not_built(const struct engine_config *config, FILE *out, struct finding *problem)
{
    struct finding finding = {.what = "a filemon that was built with this engine",
                              .fix = "this one was built with BPF=0"};

    (void)config;
    return findings_report(&finding, 1, out, problem);
}

const struct engine_ops engine_bpf = {.name = "bpf",
                                      .way = "tracepoint",
                                      .sets = TRACE(OPEN) | TRACE(FAIL) | TRACE(HELD),
                                      .check = check_not_built};
#endif

#define LIST_MAX 8

struct engine {
    const struct engine_ops *ops; /* of the open engine, which does the work; NULL: none is open */
    struct engine *chosen;        /* that engine */
    const struct engine_ops *left[LIST_MAX + 1]; /* still to be tried; ends with NULL */
    struct engine_config config;
    struct engine_sink sink;
    bool watching, stopping;
    char why[ENGINE_WHY_SIZE];
};

void engine_failed(const struct engine_config *config, const char *format, ...)
{
    char why[ENGINE_WHY_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    diag(config->why ? DIAG_VERBOSE : DIAG_ERROR, "%s", why);
    if (config->why)
        memcpy(config->why, why, sizeof(why));
}

/* ---- Choosing ------------------------------------------------------------------------------- */

/* The engines that auto_open() tries; set by engine_choose(). */
static const struct engine_ops *candidates[LIST_MAX + 1];

static bool delivers(const struct engine_ops *ops, unsigned int sets)
{
    return !(sets & ~ops->sets);
}

const struct engine_ops *engine_for(const struct engine_ops *const *list, unsigned int sets)
{
    while (*list && !delivers(*list, sets))
        list++;
    return *list;
}

static void refuse(const struct engine_ops *ops, const struct finding *problem)
{
    diag(DIAG_ERROR, "engine %s cannot run here: %s: %s", ops->name, problem->what, problem->fix);
}

static const struct engine_ops *choose_named(const struct engine_ops *wanted,
                                             const struct engine_config *config)
{
    struct finding problem = {0};

    if (wanted->check(config, NULL, &problem) != -ENOSYS)
        return wanted;
    refuse(wanted, &problem);
    return NULL;
}

/* Fills in candidates: engines that can run, then those that perhaps can.  Returns their number. */
static size_t rank(const struct engine_ops *const *list, const int *results)
{
    static const int order[] = {0, -EAGAIN};
    size_t n = 0;

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; list[i]; i++)
            if (results[i] == order[pass])
                candidates[n++] = list[i];
    candidates[n] = NULL;
    return n;
}

static void report_choice(const struct engine_ops *first, const struct finding *problem)
{
    if (problem->doubt)
        diag(DIAG_INFO, "engine %s, since %s is unlikely to run: %s: %s", candidates[0]->name,
             first->name, problem->what, problem->fix);
    else
        diag(DIAG_INFO, "engine %s, since %s needs %s", candidates[0]->name, first->name,
             problem->what);
}

static int check_one(const struct engine_ops *ops, const struct engine_config *config,
                     struct finding *problem)
{
    if (ops->lacks & config->facts)
        *problem = (struct finding){.what = "probes that count bytes", .fix = "it has none"};
    else if (!delivers(ops, config->sets))
        *problem = (struct finding){.what = "probes of what -t asks for", .fix = "it has none"};
    else
        return ops->check(config, NULL, problem);
    return -ENOSYS;
}

static const struct engine_ops *choose_auto(const struct engine_ops *const *list,
                                            const struct engine_config *config)
{
    struct finding problems[LIST_MAX] = {0};
    int results[LIST_MAX];

    for (size_t i = 0; i < LIST_MAX && list[i]; i++)
        results[i] = check_one(list[i], config, &problems[i]);
    if (rank(list, results) == 0) {
        for (size_t i = 0; list[i]; i++)
            refuse(list[i], &problems[i]);
        diag(DIAG_ERROR, "no engine can run here; 'filemon --check' lists what each needs");
        return NULL;
    }
    if (candidates[0] != list[0])
        report_choice(list[0], &problems[0]);
    return &engine_auto;
}

const struct engine_ops *engine_choose(const struct engine_ops *const *list,
                                       const struct engine_ops *wanted,
                                       const struct engine_config *config)
{
    return wanted == &engine_auto ? choose_auto(list, config) : choose_named(wanted, config);
}

const struct engine_ops *engine_with(unsigned int facts)
{
    const struct engine_ops *const *ops = engine_list;

    while (*ops && (*ops)->lacks & facts)
        ops++;
    return *ops;
}

bool engine_lacks(const struct engine_ops *ops, unsigned int facts)
{
    return ops == &engine_auto ? engine_with(facts) == NULL : (ops->lacks & facts) != 0;
}

static bool is_engine(const struct engine_ops *ops, const char *name, bool *other_way)
{
    size_t len = strlen(ops->name);

    if (strncmp(name, ops->name, len) != 0)
        return false;
    *other_way = name[len] == ':' && ops->way && !strcmp(name + len + 1, ops->way);
    return *other_way || name[len] == '\0';
}

const struct engine_ops *engine_find(const char *name, bool *other_way)
{
    if (is_engine(&engine_auto, name, other_way))
        return &engine_auto;
    for (const struct engine_ops *const *ops = engine_list; *ops; ops++)
        if (is_engine(*ops, name, other_way))
            return *ops;
    return NULL;
}

/* ---- auto ----------------------------------------------------------------------------------- */

static int open_next(struct engine *engine)
{
    const struct engine_ops *ops = engine->left[0];
    int result;

    memmove(engine->left, engine->left + 1, sizeof(engine->left) - sizeof(engine->left[0]));
    engine->config.why = engine->left[0] ? engine->why : NULL;
    engine->why[0] = '\0';
    result = ops->open(&engine->chosen, &engine->config, &engine->sink);
    engine->ops = result < 0 ? NULL : ops;
    return result;
}

/* Opens the next engine after a failure, until one opens or none is left. */
static int open_after_failure(struct engine *engine, const char *failed, int error)
{
    while (error < 0 && engine->left[0]) {
        diag(DIAG_WARNING, "engine %s, since %s failed%s%s", engine->left[0]->name, failed,
             engine->why[0] ? ": " : "", engine->why);
        failed = engine->left[0]->name;
        error = open_next(engine);
    }
    return error;
}

static void auto_close(struct engine *engine)
{
    if (engine->ops)
        engine->ops->close(engine->chosen);
    free(engine);
}

static int auto_open(struct engine **opened, const struct engine_config *config,
                     const struct engine_sink *sink)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    const char *first = candidates[0]->name;
    int result;

    if (!engine) {
        diag(DIAG_ERROR, "no memory");
        return -ENOMEM;
    }
    engine->config = *config;
    engine->sink = *sink;
    memcpy(engine->left, candidates, sizeof(candidates));
    result = open_after_failure(engine, first, open_next(engine));
    if (result < 0) {
        auto_close(engine);
        return result;
    }
    *opened = engine;
    return 0;
}

static int fall_back(struct engine *engine, int error)
{
    const char *failed = engine->ops->name;

    engine->ops->close(engine->chosen);
    engine->ops = NULL;
    return open_after_failure(engine, failed, error);
}

static int auto_dispatch(struct engine *engine)
{
    int result = engine->ops ? engine->ops->dispatch(engine->chosen) : -ECHILD;

    engine->watching |= result == ENGINE_WATCHING || result == ENGINE_IDLE;
    if (result >= 0 || engine->watching || engine->stopping || !engine->left[0])
        return result;
    result = fall_back(engine, result);
    return result < 0 ? result : ENGINE_STARTING;
}

static int auto_fds(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS])
{
    return engine->ops->fds(engine->chosen, fds);
}

static int auto_timeout(struct engine *engine)
{
    return engine->ops->timeout(engine->chosen);
}

static int auto_watch(struct engine *engine, pid_t pid)
{
    return engine->ops->watch(engine->chosen, pid);
}

static int auto_add_prefix(struct engine *engine, const char *path, enum pathfilter_verdict verdict)
{
    return engine->ops->add_prefix(engine->chosen, path, verdict);
}

static int auto_report_held(struct engine *engine)
{
    return engine->ops->report_held(engine->chosen);
}

static int auto_mark(struct engine *engine)
{
    return engine->ops->mark(engine->chosen);
}

static int auto_end_when_idle(struct engine *engine)
{
    return engine->ops->end_when_idle(engine->chosen);
}

static void auto_stop(struct engine *engine)
{
    engine->stopping = true;
    engine->ops->stop(engine->chosen);
}

const struct engine_ops engine_auto = {
    .name = "auto",
    .open = auto_open,
    .fds = auto_fds,
    .timeout = auto_timeout,
    .dispatch = auto_dispatch,
    .watch = auto_watch,
    .add_prefix = auto_add_prefix,
    .report_held = auto_report_held,
    .mark = auto_mark,
    .end_when_idle = auto_end_when_idle,
    .stop = auto_stop,
    .close = auto_close,
};

const char *engine_name(const struct engine_ops *ops, const struct engine *engine)
{
    return ops == &engine_auto ? engine->ops->name : ops->name;
}
