/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "diag.h"
#include "event/ledger.h"
#include "event/paths.h"
#include "output/summary.h"
#include "target/targets.h"

enum state { STARTING, WATCHING, STOPPING, DRAINING, WAITING, DONE, N_STATES };

/* What the loop reacts to. */
enum happening {
    ENGINE_WATCHES,
    ENGINE_IDLES,
    ENGINE_ENDED,
    TIME_OVER,      /* --duration */
    SIGNALLED,      /* to end, where that is not for the command to do */
    SIGNALLED_MORE, /* a second time */
    COMMAND_ENDED,
    OUTPUT_OVER, /* its reader has gone, or it failed */
    FAILED,
    ALL_WRITTEN,
    N_HAPPENINGS
};

struct run {
    const struct options *options;
    const struct engine_ops *ops;
    struct engine_config config;
    struct engine *engine; /* NULL once it is closed */
    struct pathfilter *filter;
    struct paths *paths;
    struct ledger *ledger;
    struct output *output;
    struct summary *summary; /* NULL: none is wanted */
    struct targets targets;
    struct command command;
    enum state state;
    int signals;        /* the descriptor */
    int status;         /* of the exit */
    int interrupted;    /* by this signal; 0: not */
    bool summary_asked; /* and a mark, at which it is printed */
    bool output_over;   /* it takes no more: what waits is not waited for */
    bool command_left;  /* it goes on, and is not waited for */
    bool abandoned;     /* after a second signal: nothing is waited for */
    bool thrown_away;   /* what waited to be written then */
    int64_t end_ms;     /* -1: none */
    uint64_t lost;
};

static void happen(struct run *run, enum happening happening);

static void fail(struct run *run, int error, const char *what)
{
    diag(DIAG_ERROR, "%s: %s", what, strerror(-error));
    run->status = STATUS_FAILED;
    happen(run, FAILED);
}

/* ---- Event → ledger → filter → output ---------------------------------------------------------
 */

static const char *output_name(const struct run *run)
{
    return run->options->output ? run->options->output : "standard output";
}

/* A closed pipe is how readers say that they have enough. */
static void output_failed(struct run *run, int error)
{
    size_t lines = output_pending_lines(run->output);

    if (run->output_over)
        return;
    run->output_over = true;
    if (error != -EPIPE) {
        diag(DIAG_ERROR, "%s: %s; %zu line%s not written, and the watch ends", output_name(run),
             strerror(-error), lines, lines == 1 ? " was" : "s were");
        run->status = STATUS_FAILED;
    }
    happen(run, OUTPUT_OVER);
}

/* Failures are counted for a summary even if they are not to be shown. */
static bool is_shown(const struct options *options, const struct event *record)
{
    return options->summary != SUMMARY_ALONE && (options->failed || record->code != EVENT_FAIL);
}

/* 1, 0, or -ENAMETOOLONG: it is too long to be compared. */
static int is_wanted(const struct run *run, const struct event *record)
{
    if (record->code != EVENT_FAIL)
        return pathfilter_match(run->filter, record->path, record->path_len);
    return pathfilter_match_name(run->filter, record->path, record->path_len);
}

static void give_record(struct run *run, const struct event *record)
{
    int result;

    if (record->code == EVENT_LOST)
        run->lost += record->lost;
    if (run->summary)
        summary_take(run->summary, record);
    if (run->output_over || !is_shown(run->options, record))
        return;
    result = output_event(run->output, record);
    if (result < 0)
        output_failed(run, result);
}

/* In place of a record whose path cannot be compared: it is neither shown nor dropped without being
 * counted. */
static void give_lost(struct run *run, const struct event *record)
{
    struct event lost = {.code = EVENT_LOST, .lost = 1, .date_us = record->date_us};

    give_record(run, &lost);
}

static void take_record(void *ctx, const struct event *record)
{
    struct run *run = ctx;
    int result = record->code == EVENT_LOST ? 1 : is_wanted(run, record);

    if (result > 0)
        give_record(run, record);
    else if (result < 0)
        give_lost(run, record);
}

static void print_summary(struct run *run)
{
    int result;

    if (!run->summary) {
        diag(DIAG_INFO, "SIGUSR1 shows totals, which are kept with -c or -C");
        return;
    }
    if (run->output_over)
        return;
    result = summary_print(run->summary, run->output, run->options->format);
    if (result < 0)
        output_failed(run, result);
}

static void enter(struct run *run, const struct event *event)
{
    if (event->path_cut && !pathfilter_all(run->filter))
        give_lost(run, event);
    else if (ledger_take(run->ledger, event) < 0)
        run->lost++;
}

static void take_event(void *ctx, const struct event *event)
{
    struct run *run = ctx;

    if (event->code != EVENT_MARK) {
        enter(run, event);
    } else if (run->summary_asked) {
        run->summary_asked = false;
        print_summary(run);
    }
}

/* The totals shall have all that has happened by now, and not only what has come from the kernel.
 */
static void ask_summary(struct run *run)
{
    if (!run->summary || run->state != WATCHING)
        print_summary(run);
    else if (!run->summary_asked && run->ops->mark(run->engine) == 0)
        run->summary_asked = true;
}

/* ---- What happens in which state --------------------------------------------------------------
 */

static void stop(struct run *run)
{
    run->state = STOPPING;
    run->ops->stop(run->engine);
}

static void begin(struct run *run)
{
    const struct options *options = run->options;

    run->state = WATCHING;
    if (targets_watch(&run->targets, run->ops, run->engine, run->command.child.pid) < 0) {
        run->status = STATUS_FAILED;
        stop(run);
        return;
    }
    diag(DIAG_INFO, "watching with %s", engine_name(run->ops, run->engine));
    if (options->duration_ms >= 0)
        run->end_ms = clock_ms() + options->duration_ms;
    if (command_release(&run->command) < 0)
        stop(run);
}

/* The command's status is still to come. */
static void stop_unless_command(struct run *run)
{
    if (!command_exists(&run->command))
        stop(run);
}

/* What it has started may go on, and is watched unless a signal was to end it all. */
static void stop_if_interrupted(struct run *run)
{
    if (run->interrupted)
        stop(run);
}

/* The reader that left early, as head(1) does, is no reason not to do the command's work. */
static void go_on_unwatched(struct run *run)
{
    command_release(&run->command);
    stop(run);
}

static void stop_without_command(struct run *run)
{
    run->command_left = true;
    stop(run);
}

static void close_engine(struct run *run)
{
    struct event mark = {.code = EVENT_MARK};

    take_event(run, &mark); /* if it never came */
    run->ops->close(run->engine);
    run->engine = NULL;
    if (run->summary)
        print_summary(run);
}

static void drain(struct run *run)
{
    run->state = DRAINING;
    close_engine(run);
}

static void finish(struct run *run)
{
    run->state = DONE;
}

/* The status is the command's, though it may be watched no more. */
static void finish_with_command(struct run *run)
{
    run->state = DONE;
    if (!command_runs(&run->command) || run->command_left)
        return;
    run->state = WAITING;
    if (run->status != STATUS_OK)
        diag(DIAG_WARNING, "%s goes on without being watched", run->command.program);
}

static void abandon(struct run *run)
{
    run->abandoned = true;
    run->state = DONE;
}

/* NULL: nothing. */
static void (*const actions[N_STATES][N_HAPPENINGS])(struct run *run) = {
    [STARTING] =
        {
            [ENGINE_WATCHES] = begin,
            [ENGINE_ENDED] = drain,
            [SIGNALLED] = stop,
            [SIGNALLED_MORE] = abandon,
            [COMMAND_ENDED] = stop,
            [OUTPUT_OVER] = go_on_unwatched,
            [FAILED] = stop,
        },
    [WATCHING] =
        {
            [ENGINE_IDLES] = stop_unless_command,
            [ENGINE_ENDED] = drain,
            [TIME_OVER] = stop_without_command,
            [SIGNALLED] = stop,
            [SIGNALLED_MORE] = abandon,
            [COMMAND_ENDED] = stop_if_interrupted,
            [OUTPUT_OVER] = stop,
            [FAILED] = stop,
        },
    [STOPPING] = {[ENGINE_ENDED] = drain, [SIGNALLED_MORE] = abandon},
    [DRAINING] = {[SIGNALLED_MORE] = abandon, [ALL_WRITTEN] = finish_with_command},
    [WAITING] =
        {
            [TIME_OVER] = finish,
            [SIGNALLED_MORE] = abandon,
            [COMMAND_ENDED] = finish,
        },
    [DONE] = {[ENGINE_ENDED] = close_engine},
};

static void happen(struct run *run, enum happening happening)
{
    void (*action)(struct run *) = actions[run->state][happening];

    if (action)
        action(run);
}

/* ---- The loop ---------------------------------------------------------------------------------
 */

/* A second one ends filemon; but what is typed at the terminal is for a command that reads it, as a
 * shell or a debugger does. */
static void interrupted(struct run *run, const struct signalfd_siginfo *info)
{
    bool reached = command_signal(&run->command, info), again = run->interrupted;

    run->interrupted = (int)info->ssi_signo;
    if (again && !(reached && info->ssi_code == SI_KERNEL))
        happen(run, SIGNALLED_MORE);
    else if (!command_runs(&run->command))
        happen(run, SIGNALLED);
}

static void hung_up(struct run *run, const struct signalfd_siginfo *info)
{
    int result;

    if (!run->options->output) {
        interrupted(run, info);
        return;
    }
    result = output_reopen(run->output);
    if (result < 0)
        diag(DIAG_ERROR, "%s: %s; the old file stays in use", run->options->output,
             strerror(-result));
}

static void take_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD && command_reap(&run->command))
            happen(run, COMMAND_ENDED);
        else if (info.ssi_signo == SIGCHLD)
            continue;
        else if (info.ssi_signo == SIGHUP)
            hung_up(run, &info);
        else if (info.ssi_signo == SIGUSR1)
            ask_summary(run);
        else
            interrupted(run, &info);
    }
}

static void step_engine(struct run *run)
{
    int result = run->ops->dispatch(run->engine);

    if (result < 0)
        run->status = STATUS_FAILED;
    if (result < 0 || result == ENGINE_DONE)
        happen(run, ENGINE_ENDED);
    else if (result == ENGINE_WATCHING)
        happen(run, ENGINE_WATCHES);
    else if (result == ENGINE_IDLE)
        happen(run, ENGINE_IDLES);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int time_left(const struct run *run, bool engine_waits)
{
    int64_t left = -1;

    if (run->engine && !engine_waits)
        left = run->ops->timeout(run->engine);
    if (run->end_ms >= 0 && (run->state == WATCHING || run->state == WAITING))
        left = sooner(left, run->end_ms > clock_ms() ? run->end_ms - clock_ms() : 0);
    return left > 60000 ? 60000 : (int)left;
}

/* A PATH leads to something now. */
static int add_prefix(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    struct run *run = ctx;

    return run->engine ? run->ops->add_prefix(run->engine, path, verdict) : 0;
}

/* A reader that is slow stops us reading the engine, which then counts what it loses. */
static void step(struct run *run)
{
    struct pollfd fds[3 + ENGINE_MAX_FDS] = {
        {.fd = run->signals, .events = POLLIN},
        {.fd = run->output_over ? -1 : output_fd(run->output),
         .events = output_pending(run->output) ? POLLOUT : 0},
        {.fd = paths_fd(run->paths), .events = POLLIN},
    };
    bool engine_waits = !run->output_over && output_pending(run->output) > OUTPUT_HIGH_WATER;
    int n = 3;

    if (run->engine && !engine_waits)
        n += run->ops->fds(run->engine, fds + 3);
    if (poll(fds, (nfds_t)n, time_left(run, engine_waits)) < 0 && errno != EINTR) {
        fail(run, -errno, "poll");
        return;
    }
    if (fds[0].revents)
        take_signals(run);
    if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        output_failed(run, output_hangup(run->output));
    if (fds[2].revents)
        paths_dispatch(run->paths, add_prefix, run);
    if (run->end_ms >= 0 && clock_ms() >= run->end_ms)
        happen(run, TIME_OVER);
    if (run->engine && !engine_waits)
        step_engine(run);
    if (!run->output_over && output_pending(run->output)) {
        int result = output_write(run->output);

        if (result < 0)
            output_failed(run, result);
    }
}

static void loop(struct run *run)
{
    while (run->state != DONE) {
        step(run);
        if (run->output_over || output_pending(run->output) == 0)
            happen(run, ALL_WRITTEN);
    }
}

/* ---- A run ------------------------------------------------------------------------------------
 */

struct engine_config run_config(const struct options *options, const struct pathfilter *filter)
{
    return (struct engine_config){
        .filter = filter,
        .names = options->names,
        .all = options->all,
        .depth = options->depth,
        .failed = options->failed || options->summary != SUMMARY_NONE,
        .initial = options->initial,
        .other_way = options->other_way,
        .stap = &options->stap,
    };
}

/* As nohup(1) and shells leave it for those who shall not be ended by it. */
static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* SIGPIPE is blocked and never read: writing gives EPIPE, and no program that is started inherits
 * another disposition. */
static int open_signals(bool reopens, bool has_command)
{
    sigset_t blocked, set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    if (!is_ignored(SIGINT))
        sigaddset(&set, SIGINT);
    if (has_command && !is_ignored(SIGQUIT))
        sigaddset(&set, SIGQUIT);
    if (reopens || !is_ignored(SIGHUP))
        sigaddset(&set, SIGHUP);
    blocked = set;
    sigaddset(&blocked, SIGPIPE);
    if (sigprocmask(SIG_BLOCK, &blocked, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void refuse_output(const struct options *options, int error)
{
    if (options->output)
        diag(DIAG_ERROR, "%s: %s; -o wants a FILE that can be written, in a directory that exists",
             options->output, strerror(-error));
    else
        diag(DIAG_ERROR, "standard output: %s; -o FILE writes elsewhere", strerror(-error));
}

static int open_parts(struct run *run)
{
    const struct options *options = run->options;
    struct engine_sink sink = {.event = take_event, .ctx = run};
    int result;

    run->filter = pathfilter_new();
    run->ledger = ledger_new(take_record, run);
    if (options->summary != SUMMARY_NONE)
        run->summary = summary_new();
    run->signals = open_signals(options->output != NULL, options->command != NULL);
    if (!run->filter || !run->ledger || (options->summary != SUMMARY_NONE && !run->summary) ||
        run->signals < 0) {
        diag(DIAG_ERROR, "cannot start: %s", strerror(errno));
        return -EIO;
    }
    if (paths_open(&run->paths, run->filter, options->paths, options->excludes) < 0 ||
        targets_open(&run->targets, options, "/proc") < 0)
        return -EINVAL;
    result = output_open(&run->output, options->output, options->format);
    if (result < 0) {
        refuse_output(options, result);
        return result;
    }
    result = command_start(&run->command, options->command);
    if (result < 0)
        return result;
    run->config = run_config(options, run->filter);
    return run->ops->open(&run->engine, &run->config, &sink);
}

/* Where the command goes on and no line is known to be lost, the status says which signal left it.
 */
static void say_thrown_away(struct run *run, size_t lines, bool engine_was_open)
{
    if (lines > 0)
        diag(DIAG_WARNING, "ended by a second signal: %zu line%s thrown away%s", lines,
             lines == 1 ? " was" : "s were",
             engine_was_open ? ", and what the engine had not delivered is missing" : "");
    else if (engine_was_open)
        diag(DIAG_WARNING,
             "ended by a second signal: what the engine had not delivered is missing");
    run->thrown_away = lines > 0;
    if (lines > 0 || (engine_was_open && !command_runs(&run->command)))
        run->status = STATUS_FAILED;
}

/* What can be written without waiting is. */
static void close_output(struct run *run, bool engine_was_open)
{
    int result = run->output_over ? 0 : output_write(run->output);
    size_t lines = run->output_over ? 0 : output_pending_lines(run->output);
    int closed = output_close(run->output, 0);

    if (run->abandoned)
        say_thrown_away(run, lines, engine_was_open);
    if (result == 0 && !run->output_over && !(run->abandoned && closed == -ETIMEDOUT))
        result = closed;
    if (result < 0 && result != -EPIPE) {
        diag(DIAG_ERROR, "%s: %s", output_name(run), strerror(-result));
        run->status = STATUS_FAILED;
    }
}

static void close_parts(struct run *run)
{
    bool engine_was_open = run->engine != NULL;

    command_cancel(&run->command);
    command_close(&run->command);
    if (run->engine)
        close_engine(run);
    if (run->output)
        close_output(run, engine_was_open);
    targets_close(&run->targets);
    ledger_free(run->ledger);
    summary_free(run->summary);
    paths_close(run->paths);
    pathfilter_free(run->filter);
    if (run->signals >= 0)
        close(run->signals);
}

/* A failure of filemon does not hide one of the command. */
static int status_with_command(const struct run *run)
{
    if (run->thrown_away)
        return STATUS_FAILED_WITH_COMMAND;
    if (run->command.status > 0)
        return run->command.status;
    if (run->status != STATUS_OK)
        return STATUS_FAILED_WITH_COMMAND;
    if (run->command.status < 0 && run->interrupted) /* it has not done its work */
        return STATUS_SIGNALLED + run->interrupted;
    return STATUS_OK;
}

/* Large arrays of their own, which grow by mremap(2).  glibc takes larger and larger ones from the
 * heap once one was freed, where each size that they had leaves a hole. */
#define MAPPED_BYTES (128 * 1024)

int run_watch(const struct options *options, const struct engine_ops *ops)
{
    struct run run = {.options = options,
                      .ops = ops,
                      .signals = -1,
                      .targets = {.procfs = {.fd = -1}},
                      .command = COMMAND_NONE,
                      .end_ms = -1};

    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    if (open_parts(&run) < 0)
        run.status = STATUS_FAILED;
    else
        loop(&run);
    close_parts(&run);
    if (run.lost > 0)
        diag(DIAG_WARNING, "%llu event%s lost", (unsigned long long)run.lost,
             run.lost == 1 ? " was" : "s were");
    return options->command ? status_with_command(&run) : run.status;
}

static void no_event(void *ctx, const struct event *event)
{
    (void)ctx;
    (void)event;
}

static bool prepare_interrupted(int signals)
{
    struct signalfd_siginfo info;
    bool interrupted = false;

    while (read(signals, &info, sizeof(info)) == sizeof(info))
        interrupted |= info.ssi_signo != SIGCHLD && info.ssi_signo != SIGUSR1;
    return interrupted;
}

int run_prepare(const struct options *options, const struct engine_ops *ops)
{
    struct engine_config config = run_config(options, NULL);
    struct engine_sink sink = {.event = no_event};
    struct engine *engine;
    bool interrupted = false;
    int signals = open_signals(false, false);
    int result = ops->open(&engine, &config, &sink);

    if (result < 0)
        return STATUS_FAILED;
    while ((result = ops->dispatch(engine)) >= 0 && result != ENGINE_DONE) {
        struct pollfd fds[1 + ENGINE_MAX_FDS] = {{.fd = signals, .events = POLLIN}};
        int n = ops->fds(engine, fds + 1);

        poll(fds, (nfds_t)n + 1, ops->timeout(engine));
        if (!prepare_interrupted(signals))
            continue;
        interrupted = true;
        ops->stop(engine);
    }
    ops->close(engine);
    close(signals);
    return result < 0 || interrupted ? STATUS_FAILED : STATUS_OK;
}
