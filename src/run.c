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
#include "compat.h"
#include "diag.h"
#include "event/paths.h"
#include "pipeline.h"
#include "ready.h"
#include "target/targets.h"

enum state { STARTING, WATCHING, STOPPING, DRAINING, WAITING, DONE, N_STATES };

enum occurrence {
    ENGINE_WATCHES,
    ENGINE_IDLES,   /* no target is left */
    ENGINE_ENDED,   /* it delivers nothing more */
    GROUPS_REMOVED, /* all of -g */
    TIME_OVER,      /* --duration */
    SUMMARY_ASKED,
    SIGNALLED, /* to end, and there is no command to pass the signal to */
    SIGNALLED_AGAIN,
    COMMAND_EXITED,
    OUTPUT_ENDED, /* its reader has gone, or it failed */
    OUTPUT_DRAINED,
    FAILED,
    N_OCCURRENCES
};

struct run {
    const struct options *options;
    const struct engine_ops *ops;
    struct engine_config config;
    struct engine *engine; /* NULL once it is closed */
    struct pathfilter *filter;
    struct paths *paths;
    struct pipeline pipeline;
    struct targets targets;
    struct command command;
    struct ready ready;
    enum state state;
    int signals;       /* a signalfd(2) */
    int status;        /* of the exit */
    int interrupted;   /* by this signal; 0: not */
    bool output_ended; /* OUTPUT_ENDED has occurred */
    bool command_left; /* it goes on, and is not waited for */
    bool abandoned;    /* after a second signal: nothing is waited for */
    bool discarded;    /* lines that waited to be written then */
    int64_t end_ms;    /* of CLOCK_MONOTONIC; -1: none */
    int64_t totals_ms; /* when the next totals of --every are due; -1: never */
};

/* ---- Transitions: what happens in which state, and which state follows ---------------------- */

static enum state stop(struct run *run)
{
    run->ops->stop(run->engine);
    return STOPPING;
}

static enum state begin(struct run *run)
{
    if (targets_watch(&run->targets, run->ops, run->engine, run->command.child.pid) < 0) {
        run->status = STATUS_FAILED;
        return stop(run);
    }
    if (!run->ops->delivers_records)
        diag(DIAG_INFO, "watching with %s", engine_name(run->ops, run->engine));
    ready_report(&run->ready);
    if (run->options->duration_ms >= 0)
        run->end_ms = clock_ms() + run->options->duration_ms;
    if (run->options->every_ms > 0 && !run->ops->delivers_records)
        run->totals_ms = clock_ms() + run->options->every_ms;
    return command_release(&run->command) < 0 ? stop(run) : WATCHING;
}

/* With a command, its exit is still to come, and with it the status. */
static enum state stop_unless_command(struct run *run)
{
    return command_exists(&run->command) ? WATCHING : stop(run);
}

/* The processes of -p and -n are still watched. */
static enum state stop_unless_others(struct run *run)
{
    if (run->options->names[0])
        return WATCHING;
    if (run->targets.n_pins > 0)
        return run->ops->end_when_idle(run->engine) == 0 ? WATCHING : stop(run);
    return stop(run);
}

/* What the command has started may go on, and is watched unless a signal was to end it all. */
static enum state stop_if_interrupted(struct run *run)
{
    return run->interrupted ? stop(run) : WATCHING;
}

/* A reader that leaves early, as head(1) does, does not keep the command from its work. */
static enum state stop_and_release(struct run *run)
{
    command_release(&run->command);
    return stop(run);
}

static enum state stop_without_command(struct run *run)
{
    run->command_left = true;
    return stop(run);
}

static void close_engine(struct run *run)
{
    run->ops->close(run->engine);
    run->engine = NULL;
    pipeline_finish(&run->pipeline);
}

static enum state drain(struct run *run)
{
    close_engine(run);
    return DRAINING;
}

static enum state finish(struct run *run)
{
    (void)run;
    return DONE;
}

/* The command's status is filemon's, though the command is watched no more. */
static enum state finish_with_command(struct run *run)
{
    if (!command_runs(&run->command) || run->command_left)
        return DONE;
    if (run->status != STATUS_OK)
        diag(DIAG_WARNING, "%s goes on without being watched", run->command.program);
    return WAITING;
}

static enum state abandon(struct run *run)
{
    run->abandoned = true;
    return DONE;
}

/* In the same turn of the loop as abandon(). */
static enum state close_abandoned(struct run *run)
{
    close_engine(run);
    return DONE;
}

static enum state print_summary(struct run *run)
{
    if (pipeline_has_summary(&run->pipeline))
        pipeline_print_summary(&run->pipeline);
    else
        diag(DIAG_INFO, "SIGUSR1 shows totals, which are kept with -c or -C");
    return run->state;
}

/* The totals include what has happened by now and the kernel has not delivered yet. */
static enum state print_summary_at_mark(struct run *run)
{
    if (!pipeline_has_summary(&run->pipeline))
        return print_summary(run);
    if (!run->pipeline.awaits_mark && run->ops->mark(run->engine) == 0)
        run->pipeline.awaits_mark = true;
    return WATCHING;
}

typedef enum state transition(struct run *run);

/* NULL: nothing happens. */
static transition *const transitions[N_STATES][N_OCCURRENCES] = {
    [STARTING] =
        {
            [ENGINE_WATCHES] = begin,
            [ENGINE_ENDED] = drain,
            [SUMMARY_ASKED] = print_summary,
            [SIGNALLED] = stop,
            [SIGNALLED_AGAIN] = abandon,
            [COMMAND_EXITED] = stop,
            [OUTPUT_ENDED] = stop_and_release,
            [FAILED] = stop,
        },
    [WATCHING] =
        {
            [ENGINE_IDLES] = stop_unless_command,
            [ENGINE_ENDED] = drain,
            [GROUPS_REMOVED] = stop_unless_others,
            [TIME_OVER] = stop_without_command,
            [SUMMARY_ASKED] = print_summary_at_mark,
            [SIGNALLED] = stop,
            [SIGNALLED_AGAIN] = abandon,
            [COMMAND_EXITED] = stop_if_interrupted,
            [OUTPUT_ENDED] = stop,
            [FAILED] = stop,
        },
    [STOPPING] =
        {
            [ENGINE_ENDED] = drain,
            [SUMMARY_ASKED] = print_summary,
            [SIGNALLED_AGAIN] = abandon,
        },
    [DRAINING] =
        {
            [SUMMARY_ASKED] = print_summary,
            [SIGNALLED_AGAIN] = abandon,
            [OUTPUT_DRAINED] = finish_with_command,
        },
    [WAITING] =
        {
            [TIME_OVER] = finish,
            [SUMMARY_ASKED] = print_summary,
            [SIGNALLED_AGAIN] = abandon,
            [COMMAND_EXITED] = finish,
        },
    [DONE] = {[ENGINE_ENDED] = close_abandoned},
};

static void handle(struct run *run, enum occurrence occurrence)
{
    transition *next_state = transitions[run->state][occurrence];

    if (next_state)
        run->state = next_state(run);
}

/* ---- The loop ------------------------------------------------------------------------------- */

/* A second one ends filemon; but what is typed at the terminal is for a command that reads it, as a
 * shell or a debugger does. */
static void handle_interrupt(struct run *run, const struct signalfd_siginfo *info)
{
    bool reached = command_signal(&run->command, info), again = run->interrupted;

    run->interrupted = (int)info->ssi_signo;
    if (again && !(reached && info->ssi_code == SI_KERNEL))
        handle(run, SIGNALLED_AGAIN);
    else if (!command_runs(&run->command))
        handle(run, SIGNALLED);
}

static void handle_signal(struct run *run, const struct signalfd_siginfo *info)
{
    switch (info->ssi_signo) {
    case SIGCHLD:
        if (command_reap(&run->command))
            handle(run, COMMAND_EXITED);
        return;
    case SIGUSR1:
        handle(run, SUMMARY_ASKED);
        return;
    case SIGHUP:
        if (pipeline_has_file(&run->pipeline)) {
            pipeline_reopen(&run->pipeline);
            return;
        }
    }
    handle_interrupt(run, info);
}

static void read_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof(info)) == sizeof(info))
        handle_signal(run, &info);
}

static void dispatch_engine(struct run *run)
{
    int result = run->ops->dispatch(run->engine);

    if (result < 0)
        run->status = STATUS_FAILED;
    if (result < 0 || result == ENGINE_DONE)
        handle(run, ENGINE_ENDED);
    else if (result == ENGINE_WATCHING)
        handle(run, ENGINE_WATCHES);
    else if (result == ENGINE_IDLE)
        handle(run, ENGINE_IDLES);
}

/* A PATH leads to something now. */
static int add_prefix(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    struct run *run = ctx;

    return run->engine ? run->ops->add_prefix(run->engine, path, verdict) : 0;
}

static void check_output(struct run *run)
{
    int error = pipeline_error(&run->pipeline);

    if (!error || run->output_ended)
        return;
    run->output_ended = true;
    if (error != -EPIPE)
        run->status = STATUS_FAILED;
    handle(run, OUTPUT_ENDED);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* ms, for poll(). */
static int time_left(const struct run *run, bool reads_engine)
{
    int64_t left = reads_engine ? run->ops->timeout(run->engine) : -1;

    if (run->end_ms >= 0 && transitions[run->state][TIME_OVER])
        left = sooner(left, run->end_ms > clock_ms() ? run->end_ms - clock_ms() : 0);
    if (run->totals_ms >= 0 && run->state == WATCHING)
        left = sooner(left, run->totals_ms > clock_ms() ? run->totals_ms - clock_ms() : 0);
    return left > 60000 ? 60000 : (int)left;
}

/* After a delay of several intervals, the next totals are due at the end of the current one. */
static void check_totals(struct run *run)
{
    int64_t late = run->totals_ms >= 0 && run->state == WATCHING ? clock_ms() - run->totals_ms : -1;

    if (late < 0)
        return;
    run->totals_ms += (late / run->options->every_ms + 1) * run->options->every_ms;
    handle(run, SUMMARY_ASKED);
}

/* What is polled beside the engine. */
#define OWN_FDS 4

/* While the output's reader is slow the engine is not read, and counts what it loses. */
static void step(struct run *run)
{
    struct pollfd fds[OWN_FDS + ENGINE_MAX_FDS] = {
        {.fd = run->signals, .events = POLLIN},
        pipeline_pollfd(&run->pipeline),
        {.fd = run->paths ? paths_fd(run->paths) : -1, .events = POLLIN},
        {.fd = run->state == WATCHING ? run->targets.removals : -1, .events = POLLIN},
    };
    bool reads_engine = run->engine && !pipeline_is_full(&run->pipeline);
    int n = OWN_FDS + (reads_engine ? run->ops->fds(run->engine, fds + OWN_FDS) : 0);

    if (poll(fds, (nfds_t)n, time_left(run, reads_engine)) < 0 && errno != EINTR) {
        diag(DIAG_ERROR, "poll: %s", strerror(errno));
        run->status = STATUS_FAILED;
        handle(run, FAILED);
        return;
    }
    if (fds[0].revents)
        read_signals(run);
    if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        pipeline_hangup(&run->pipeline);
    check_output(run);
    if (fds[2].revents)
        paths_dispatch(run->paths, add_prefix, run);
    if (fds[3].revents && targets_groups_removed(&run->targets))
        handle(run, GROUPS_REMOVED);
    if (run->end_ms >= 0 && clock_ms() >= run->end_ms)
        handle(run, TIME_OVER);
    check_totals(run);
    if (reads_engine)
        dispatch_engine(run);
    pipeline_write(&run->pipeline);
    check_output(run);
}

static void loop(struct run *run)
{
    while (run->state != DONE) {
        step(run);
        if (pipeline_is_drained(&run->pipeline))
            handle(run, OUTPUT_DRAINED);
    }
}

/* ---- A run ---------------------------------------------------------------------------------- */

struct engine_config run_config(const struct options *options, const struct pathfilter *filter)
{
    return (struct engine_config){
        .filter = filter,
        .names = options->names,
        .all = options->all,
        .writes = options->writes,
        .users = options->users,
        .n_users = options->n_users,
        .depth = options->depth,
        .sets = options->sets,
        .failed = options->sets & TRACE(FAIL) || options->summary != SUMMARY_NONE,
        .initial = options->initial,
        .facts = options->fields.facts,
        .other_way = options->other_way,
        .files = options->files,
        .keeps_keys = options->fields.as_read,
        .stap = &options->stap,
    };
}

/* As nohup(1) and shells leave it for those who must not be ended by it. */
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

static int open_engine(struct run *run)
{
    struct engine_sink sink = {.event = run->ops->delivers_records ? pipeline_take_record
                                                                   : pipeline_take,
                               .ctx = &run->pipeline};

    run->config = run_config(run->options, run->filter);
    run->config.groups = run->targets.group_ids;
    run->config.n_groups = run->targets.n_groups;
    run->config.inodes = paths_inodes(run->paths, &run->config.n_inodes);
    return run->ops->open(&run->engine, &run->config, &sink);
}

/* The files of records can be of another machine, or of another day. */
static int open_paths(struct run *run)
{
    const struct options *options = run->options;

    if (run->ops->delivers_records)
        return paths_add_texts(run->filter, options->paths, options->excludes);
    return paths_open(&run->paths, run->filter, options->paths, options->excludes,
                      options->by_inode);
}

/* What is refused leaves no FILE behind: the output comes after the targets, and after the files of
 * -r. */
static int open_parts(struct run *run)
{
    const struct options *options = run->options;

    ready_open(&run->ready, options->ready_fd);
    run->filter = pathfilter_new();
    run->signals = open_signals(options->output != NULL, options->command != NULL);
    if (!run->filter || run->signals < 0) {
        diag(DIAG_ERROR, "cannot start: %s", strerror(errno));
        return -EIO;
    }
    if (open_paths(run) < 0 || targets_open(&run->targets, options, "/proc") < 0 ||
        (run->ops->delivers_records && open_engine(run) < 0) ||
        pipeline_open(&run->pipeline, options, run->filter) < 0 ||
        command_start(&run->command, options->command) < 0)
        return -EINVAL;
    return run->engine ? 0 : open_engine(run);
}

/* Where the command goes on and no line is known to be lost, the status says which signal left it.
 */
static void report_abandoned(struct run *run, size_t lines, bool engine_was_open)
{
    if (lines > 0)
        diag(DIAG_WARNING, "ended by a second signal: %zu line%s thrown away%s", lines,
             lines == 1 ? " was" : "s were",
             engine_was_open ? ", and what the engine had not delivered is missing" : "");
    else if (engine_was_open)
        diag(DIAG_WARNING,
             "ended by a second signal: what the engine had not delivered is missing");
    run->discarded = lines > 0;
    if (lines > 0 || (engine_was_open && !command_runs(&run->command)))
        run->status = STATUS_FAILED;
}

static void close_parts(struct run *run)
{
    bool engine_was_open = run->engine != NULL;
    size_t lines;

    ready_close(&run->ready);
    command_cancel(&run->command);
    command_close(&run->command);
    if (run->engine)
        close_engine(run);
    lines = pipeline_flush(&run->pipeline);
    if (run->abandoned && run->options->action == ACTION_RUN)
        report_abandoned(run, lines, engine_was_open);
    if (pipeline_close(&run->pipeline, run->abandoned) < 0)
        run->status = STATUS_FAILED;
    targets_close(&run->targets);
    paths_close(run->paths);
    pathfilter_free(run->filter);
    if (run->signals >= 0)
        close(run->signals);
}

/* A failure of filemon does not hide one of the command. */
static int status_with_command(const struct run *run)
{
    if (run->discarded)
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

static struct run run_init(const struct options *options, const struct engine_ops *ops)
{
    return (struct run){.options = options,
                        .ops = ops,
                        .signals = -1,
                        .targets = TARGETS_NONE,
                        .command = COMMAND_NONE,
                        .ready = READY_NONE,
                        .end_ms = -1,
                        .totals_ms = -1};
}

int run_watch(const struct options *options, const struct engine_ops *ops)
{
    struct run run = run_init(options, ops);

    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    if (open_parts(&run) < 0)
        run.status = STATUS_FAILED;
    else
        loop(&run);
    close_parts(&run);
    return options->command ? status_with_command(&run) : run.status;
}

int run_prepare(const struct options *options, const struct engine_ops *ops)
{
    struct run run = run_init(options, ops);

    run.signals = open_signals(false, false);
    if (open_engine(&run) < 0)
        run.status = STATUS_FAILED;
    else
        loop(&run);
    close_parts(&run);
    return run.interrupted ? STATUS_FAILED : run.status;
}
