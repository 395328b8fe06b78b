/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SystemTap engine: finds or builds the module, and runs staprun to load it.  When the script
 * reports that it is loaded ("listo"), the engine sends it the configuration through a control file
 * in /proc.  Then the script reports that it is watching ("mirando"), and its events follow.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "clock.h"
#include "compat.h"
#include "diag.h"
#include "engine/stap/build.h"
#include "engine/stap/check.h"
#include "engine/stap/module.h"
#include "engine/stap/stap.h"
#include "engine/stap/system.h"
#include "engine/stap/wire.h"
#include "text.h"

#define READ_SIZE 65536
#define READS_A_DISPATCH 16 /* then the poll loop serves its other descriptors */
#define CONTROL_BYTES 500   /* of an argument in one write: below stap's MAXSTRINGLEN */

/* How long stap may stay silent after one stop signal before it gets the next. */
#ifndef STOP_MS
#define STOP_MS 5000
#endif

#define NO_DEADLINE INT64_MAX

#define RETRY_MS 200 /* while another process builds the module */

enum phase { WAITING, BUILDING, RUNNING, OVER };

static const int stop_signals[] = {SIGINT, SIGTERM, SIGKILL};
enum { STOP_SIGNALS = LENGTH(stop_signals) };

struct engine {
    const struct engine_config *config;
    struct engine_sink sink;
    enum phase phase;
    struct module module;
    struct module_build build;
    char path[PATH_MAX]; /* of the module to be loaded */
    int64_t started;     /* ms */
    struct wire *wire;
    pid_t pid;           /* of staprun, which executes stapio; 0: none */
    int out, err;        /* its standard output and error; -1: EOF */
    int control;         /* the script's control file */
    char loaded[64];     /* the module's name in the kernel */
    const char *missing; /* a PATH of -I that could not be opened; NULL: none */
    bool watching, idle, stopping;
    int error;             /* -errno of a callback */
    int64_t deadline;      /* ms: when the next stop signal is due; NO_DEADLINE: not asked to end */
    int signals;           /* how many of stop_signals were sent */
    struct text_line line; /* of its standard error */
    char complaint[256];   /* first error of staprun before the script watches */
    bool is_misfit;        /* one of these errors: the module is not for this kernel */
    bool rebuilt;          /* the module was built by this run */
};

/* ---- Modules that a killed run left --------------------------------------------------------- */

/* Whether the pipe gets EOF in time: the process that has the other end open has exited. */
static bool wait_eof(int fd, int timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return TEMP_FAILURE_RETRY(poll(&pollfd, 1, timeout_ms)) > 0;
}

/* If even SIGKILL does not end staprun, it is not waited for. */
static void wait_unloaded(const char *name, pid_t staprun, int end)
{
    bool ended = wait_eof(end, STOP_MS);

    if (!ended) {
        diag(DIAG_WARNING, "'staprun -d %s' does not end: killed; 'rmmod %s' removes the module",
             name, name);
        kill(-staprun, SIGKILL);
        ended = wait_eof(end, STOP_MS);
    }
    waitpid(staprun, NULL, ended ? 0 : WNOHANG);
}

static void unload(const char *name)
{
    char *argv[] = {"staprun", "-d", (char *)name, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), end[2];
    struct spawn spawn = {.argv = argv, .in = null, .err = null, .group = true};
    struct spawned staprun;

    if (pipe2(end, O_CLOEXEC) < 0) {
        diag(DIAG_ERROR, "cannot remove the module %s: %s", name, strerror(errno));
        close(null);
        return;
    }
    spawn.out = end[1];
    int result = spawn_start(&spawn, &staprun);
    close(end[1]);
    if (result == 0)
        wait_unloaded(name, staprun.pid, end[0]);
    close(end[0]);
    close(null);
}

/* staprun -R appends its pid to the name of the module, and stapio has the same pid. */
static bool has_owner(const char *name)
{
    const char *digits = strrchr(name, '_') + 1;
    char path[64], comm[16] = "";
    int64_t pid;
    FILE *file;

    if (text_number(digits, strlen(digits), 1, INT32_MAX, &pid) < 0)
        return true;
    snprintf(path, sizeof(path), SYSTEM_COMM, (long long)pid);
    file = fopen(path, "re");
    if (file && !fgets(comm, sizeof(comm), file))
        comm[0] = '\0';
    if (file)
        fclose(file);
    return !strncmp(comm, "stap", 4);
}

static void unload_stale(void)
{
    FILE *modules = fopen(SYSTEM_MODULES, "re");
    char *line = NULL;
    size_t size = 0;

    while (modules && getline(&line, &size, modules) > 0) {
        line[strcspn(line, " ")] = '\0';
        if (strncmp(line, MODULE_PREFIX, strlen(MODULE_PREFIX)) != 0 || has_owner(line))
            continue;
        diag(DIAG_INFO, "removing the module %s, which a killed run left", line);
        unload(line);
    }
    free(line);
    if (modules)
        fclose(modules);
}

/* ---- Commands to the script ----------------------------------------------------------------- */

/* Writes the argument in pieces, each after a '+', then the letter of the command. */
static int send_command(struct engine *engine, char letter, const char *argument)
{
    char text[1 + CONTROL_BYTES];
    size_t left = argument ? strlen(argument) : 0;

    while (left > 0) {
        size_t n = left < CONTROL_BYTES ? left : CONTROL_BYTES;

        text[0] = '+';
        memcpy(text + 1, argument, n);
        if (write(engine->control, text, n + 1) != (ssize_t)(n + 1))
            return errno ? -errno : -EIO;
        argument += n;
        left -= n;
    }
    return write(engine->control, &letter, 1) == 1 ? 0 : -errno;
}

static int send_prefix(void *ctx, const char *path, enum pathfilter_verdict verdict)
{
    return send_command(ctx, verdict == PATHFILTER_INCLUDE ? 'I' : 'E', path);
}

static int send_number(struct engine *engine, char letter, unsigned long number)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%lu", number);
    return send_command(engine, letter, digits);
}

/* Sends an open descriptor of the file or directory: so the script reads the inode's identity from
 * where it will look for it, which is not always what stat(2) returns. */
static int send_inode(struct engine *engine, const struct inode_path *inode)
{
    int fd = open(inode->path, O_PATH | O_CLOEXEC), result;

    if (fd < 0) {
        engine->missing = inode->path;
        return -errno;
    }
    result = send_number(engine, inode->verdict == PATHFILTER_INCLUDE ? 'O' : 'X',
                         (unsigned long)fd);
    close(fd);
    return result;
}

static int send_config(struct engine *engine)
{
    const struct engine_config *config = engine->config;
    int result = 0;

    if (config->depth != DEPTH_ALL)
        result = send_number(engine, 'D', (unsigned long)config->depth);
    for (size_t i = 0; result == 0 && i < config->n_users; i++)
        result = send_number(engine, 'U', config->users[i]);
    for (size_t i = 0; result == 0 && i < config->n_groups; i++)
        result = send_number(engine, 'C', config->groups[i]);
    for (char *const *name = config->names; result == 0 && name && *name; name++)
        result = send_command(engine, 'N', *name);
    if (result == 0 && config->filter)
        result = pathfilter_each(config->filter, send_prefix, engine);
    for (size_t i = 0; result == 0 && i < config->n_inodes; i++)
        result = send_inode(engine, &config->inodes[i]);
    if (result == 0 && (config->all || config->n_groups > 0))
        result = send_command(engine, 'A', NULL);
    if (result == 0 && (config->facts & ~FACT(BYTES)) != 0)
        result = send_number(engine, 'K', config->facts & ~FACT(BYTES));
    if (result == 0 && config->writes)
        result = send_command(engine, 'W', NULL);
    if (result == 0 && config->sets & TRACE_CALLS)
        result = send_number(engine, 'Y',
                             (config->sets & TRACE(EXEC) ? 1 : 0) | (config->failed ? 2 : 0));
    if (result == 0 && !(config->sets & (TRACE(OPEN) | TRACE(HELD))))
        result = send_command(engine, 'Q', NULL);
    if (result == 0 && config->initial)
        result = send_command(engine, 'T', NULL);
    return result < 0 ? result : send_command(engine, 'G', NULL);
}

/* ---- Lines of the script and of staprun ----------------------------------------------------- */

static bool is_module_name(const char *name)
{
    return !strncmp(name, MODULE_PREFIX, strlen(MODULE_PREFIX)) &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
           strlen(name) < sizeof(((struct engine *)0)->loaded);
}

static void on_loaded(void *ctx, const char *module)
{
    struct engine *engine = ctx;
    char path[128];

    if (engine->loaded[0])
        return;
    if (!is_module_name(module)) {
        engine_failed(engine->config, "'%s' is not the name of a module of filemon: remove %s",
                      module, engine->path);
        engine->error = -EPROTO;
        return;
    }
    snprintf(engine->loaded, sizeof(engine->loaded), "%s", module);
    snprintf(path, sizeof(path), SYSTEM_CONTROL, module);
    engine->control = open(path, O_WRONLY | O_CLOEXEC);
    if (engine->control < 0)
        engine->error = -errno;
    else
        engine->error = send_config(engine);
    if (engine->error < 0)
        engine_failed(engine->config, "%s: %s", engine->missing ? engine->missing : path,
                      strerror(-engine->error));
    module_build_end(&engine->build); /* the module is loaded: its temporary file can be removed */
}

static void on_watching(void *ctx)
{
    struct engine *engine = ctx;

    if (engine->config->sets & (TRACE(NAMES) | TRACE(ATTRIBUTES)) && diag_shows(DIAG_VERBOSE))
        diag(DIAG_VERBOSE, ENGINE_PATHS,
             stap_resolves_paths() ? ENGINE_PATHS_RESOLVED : ENGINE_PATHS_GIVEN);
    engine->watching = true;
    module_forget_failure(&engine->module);
}

/* The script cannot compare the inodes of -I. */
static void on_refused(void *ctx)
{
    struct engine *engine = ctx;

    engine->error = -EOPNOTSUPP;
    engine_failed(engine->config,
                  "-I is not possible: the kernel was built with CONFIG_RANDSTRUCT, or has no "
                  "memory for the PATHs");
}

/* The script stopped its report of open files because its ring was full.  Everything in the ring
 * was read before this line: the script can continue. */
static void on_more(void *ctx)
{
    struct engine *engine = ctx;

    if (!engine->stopping)
        engine->error = send_command(engine, 'H', NULL);
}

static void on_idle(void *ctx)
{
    struct engine *engine = ctx;

    engine->idle = true;
}

static void report_lost(struct engine *engine, uint64_t lost)
{
    struct event event = {
        .code = EVENT_LOST, .lost = lost, .date_us = clock_ns(CLOCK_REALTIME) / 1000};

    if (lost > 0)
        engine->sink.event(engine->sink.ctx, &event);
}

static void on_lost(void *ctx, uint64_t lines)
{
    report_lost(ctx, lines);
}

/* The number in stapio's last line about skipped probes; 0: another line.  "There were 3 transport
 * failures" counts lost lines, which are reported already: their numbers are missing. */
static uint64_t parse_lost(const char *line)
{
    const char *skipped = strstr(line, "skipped probes: ");
    unsigned long long n = 0;

    return skipped && sscanf(skipped, "skipped probes: %llu", &n) == 1 ? n : 0;
}

/* Whether the module itself is at fault, as opposed to permissions or memory.  The words are those
 * of staprun, and of the checks that stap compiles into a module. */
static bool is_misfit_line(const char *line)
{
    static const char *const faults[] = {"Invalid module format", "Exec format error",
                                         "release mismatch", "version mismatch", "Unknown symbol"};

    for (size_t i = 0; i < LENGTH(faults); i++)
        if (strstr(line, faults[i]))
            return true;
    return false;
}

/* Keeps the first error of staprun, and whether any is about the module, for load_failed(). */
static void note_complaint(struct engine *engine)
{
    if (!strstr(engine->line.text, "ERROR"))
        return;
    engine->is_misfit |= is_misfit_line(engine->line.text);
    if (!engine->complaint[0])
        snprintf(engine->complaint, sizeof(engine->complaint), "%.*s",
                 (int)sizeof(engine->complaint) - 1, engine->line.text);
}

static void take_error_line(struct engine *engine)
{
    const char *line = engine->line.text;

    report_lost(engine, parse_lost(line));
    if (!engine->watching)
        note_complaint(engine);
    if (line[0])
        diag(engine->watching && strstr(line, "ERROR") ? DIAG_ERROR : DIAG_VERBOSE, "staprun: %s",
             line);
}

static void take_errors(struct engine *engine, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_line_add(&engine->line, text[i]))
            take_error_line(engine);
}

/* ---- Running staprun ------------------------------------------------------------------------ */

static int explain_start(const struct engine *engine, int error)
{
    if (error == -ENOENT)
        engine_failed(engine->config, "no staprun: apt-get install systemtap-runtime");
    else if (error == -EACCES)
        engine_failed(engine->config,
                      "staprun may not be run: be root, or join the groups "
                      "stapusr and stapdev");
    else
        engine_failed(engine->config, "cannot start staprun: %s", strerror(-error));
    return error;
}

static int start_run(struct engine *engine)
{
    char *argv[11] = {"staprun", "-R", "-T", "20", engine->path};
    char *env[] = {"LC_ALL=C", NULL};
    int out[2] = {-1, -1}, err[2] = {-1, -1}, result = 0;
    struct spawned staprun;
    size_t n = 5;

    if (engine->config->failed)
        argv[n++] = "returns=1";
    if (engine->config->facts & FACT(BYTES))
        argv[n++] = "bytes=1";
    if (engine->config->facts & FACT(RESULT))
        argv[n++] = "results=1";
    if (engine->config->sets & TRACE(NAMES))
        argv[n++] = "names=1";
    if (engine->config->sets & TRACE(ATTRIBUTES))
        argv[n++] = "attributes=1";
    unload_stale();
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ||
        fcntl(out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) < 0)
        result = -errno;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct spawn spawn = {
        .argv = argv, .env = env, .in = null, .out = out[1], .err = err[1], .group = true};

    fcntl(out[0], F_SETPIPE_SZ, 1 << 20); /* the most for users: stapio blocks less often */
    if (result == 0)
        result = spawn_start(&spawn, &staprun);
    if (result == 0)
        engine->pid = staprun.pid;
    close(null);
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    engine->out = out[0];
    engine->err = err[0];
    engine->phase = RUNNING;
    return result < 0 ? explain_start(engine, result) : 0;
}

static void send_signal(struct engine *engine)
{
    int number;

    if (engine->pid <= 0 || engine->signals == STOP_SIGNALS)
        return;
    number = stop_signals[engine->signals++];
    if (number == SIGKILL)
        diag(DIAG_WARNING, "stap did not end when asked to: killed");
    kill(engine->pid, number);
    engine->deadline = clock_ms() + STOP_MS;
}

static void escalate_if_due(struct engine *engine)
{
    if (clock_ms() >= engine->deadline)
        send_signal(engine);
}

/* Whether staprun has exited; WNOWAIT, so that its process group id cannot be reused yet.  If even
 * SIGKILL does not end it, as with a module that hangs the kernel, it counts as exited. */
static bool has_exited(const struct engine *engine)
{
    siginfo_t info = {0};

    if (engine->signals == STOP_SIGNALS && clock_ms() >= engine->deadline)
        return true;
    return waitid(P_PID, (id_t)engine->pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 ||
           info.si_pid != 0;
}

/* Returns the exit status.  Kills the rest of the process group, and unloads the module if staprun
 * was killed and could not do that itself. */
static int reap(struct engine *engine)
{
    int status = 0;

    kill(-engine->pid, SIGKILL);
    waitpid(engine->pid, &status, WNOHANG);
    engine->pid = 0;
    if (engine->loaded[0] && WIFSIGNALED(status))
        unload(engine->loaded);
    return status;
}

static int start_build(struct engine *engine);

static void close_run(struct engine *engine)
{
    int *fds[] = {&engine->out, &engine->err, &engine->control};

    for (size_t i = 0; i < LENGTH(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* The module in the cache may be damaged, or for a kernel of another configuration. */
static int rebuild(struct engine *engine)
{
    diag(DIAG_WARNING, "%s does not load (%s): building it again", engine->module.path,
         engine->complaint);
    engine->complaint[0] = '\0';
    engine->is_misfit = false;
    close_run(engine);
    return start_build(engine);
}

/* Whether the error depends on the moment or on the user, and not on the module. */
static bool may_be_temporary(const char *complaint)
{
    static const int errors[] = {ENOMEM, EPERM, EACCES, EEXIST, EBUSY, EINTR};

    for (size_t i = 0; i < LENGTH(errors); i++)
        if (strstr(complaint, strerror(errors[i])))
            return true;
    return !complaint[0];
}

static int load_failed(struct engine *engine, int status)
{
    const char *colon = engine->complaint[0] ? ": " : "";

    if (engine->is_misfit && !engine->rebuilt)
        return rebuild(engine);
    if (WIFSIGNALED(status))
        engine_failed(engine->config, "stap was killed by signal %d%s%s", WTERMSIG(status), colon,
                      engine->complaint);
    else if (!engine->loaded[0])
        engine_failed(engine->config, "staprun could not load %s (status %d)%s%s", engine->path,
                      WEXITSTATUS(status), colon, engine->complaint);
    else
        engine_failed(engine->config, "stap ended by itself, with status %d%s%s",
                      WEXITSTATUS(status), colon, engine->complaint);
    if (WIFEXITED(status) && !may_be_temporary(engine->complaint))
        module_remember_failure(&engine->module, "staprun could not load it");
    return -ECHILD;
}

static int finish_run(struct engine *engine)
{
    int status = reap(engine);

    engine->phase = OVER;
    if (engine->line.len > 0)
        take_errors(engine, "\n", 1);
    if (engine->stopping)
        return ENGINE_DONE;
    if (!engine->watching)
        return load_failed(engine, status);
    if (WIFSIGNALED(status))
        diag(DIAG_ERROR, "stap was killed by signal %d", WTERMSIG(status));
    else
        diag(DIAG_ERROR, "stap ended by itself, with status %d", WEXITSTATUS(status));
    return -ECHILD;
}

/* Reads what is available; closes *fd at EOF.  Returns true if there may be more. */
static bool read_from(struct engine *engine, int *fd,
                      void (*take)(struct engine *engine, const char *bytes, size_t n))
{
    char bytes[READ_SIZE];
    ssize_t n = 1;

    for (int i = 0; *fd >= 0 && n > 0 && i < READS_A_DISPATCH; i++) {
        n = read(*fd, bytes, sizeof(bytes));
        if (n > 0)
            take(engine, bytes, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
    return *fd >= 0 && n > 0;
}

static void take_lines(struct engine *engine, const char *bytes, size_t n)
{
    wire_take(engine->wire, bytes, n);
    if (engine->deadline != NO_DEADLINE) /* stap still responds: filemon is slow */
        engine->deadline = clock_ms() + STOP_MS;
}

/* EOF on both pipes: staprun is about to exit. */
static bool has_closed_output(const struct engine *engine)
{
    return engine->out < 0 && engine->err < 0;
}

/* Checks for the exit before it reads the pipes: once staprun has exited, everything that it wrote
 * can be read.  EOF may never come, if another process has the pipe open. */
static int dispatch_run(struct engine *engine)
{
    bool exited = has_exited(engine);
    bool more = read_from(engine, &engine->out, take_lines);

    more |= read_from(engine, &engine->err, take_errors);
    if (exited && !more)
        return finish_run(engine);
    if (engine->error < 0)
        return engine->error;
    if (engine->signals == 0 && (has_closed_output(engine) || (engine->stopping && engine->idle)))
        send_signal(engine);
    escalate_if_due(engine);
    if (engine->idle)
        return ENGINE_IDLE;
    return engine->watching ? ENGINE_WATCHING : ENGINE_STARTING;
}

/* ---- Building the module -------------------------------------------------------------------- */

#define LAST_TIME_SIZE 48

/* " (last time it took 21 s)"; "" if unknown. */
static const char *last_time(const struct engine *engine, char text[static LAST_TIME_SIZE])
{
    int seconds = module_last_seconds(&engine->module);

    text[0] = '\0';
    if (seconds >= 0)
        snprintf(text, LAST_TIME_SIZE, " (last time it took %d s)", seconds);
    return text;
}

static int elapsed_seconds(const struct engine *engine)
{
    return (int)((clock_ms() - engine->started) / 1000);
}

static void show_progress(const struct engine *engine)
{
    char last[LAST_TIME_SIZE];

    diag_progress("building the probe module for kernel %s: pass %d of 4, %d s%s",
                  engine->module.release, engine->build.pass, elapsed_seconds(engine),
                  last_time(engine, last));
}

static int finish_build(struct engine *engine)
{
    bool is_kept = !strcmp(engine->build.path, engine->module.path);

    diag_progress(NULL);
    diag(DIAG_INFO, "the module is built (%.1f s)%s%s",
         (double)(clock_ms() - engine->started) / 1000, is_kept ? " and kept: " : "",
         is_kept ? engine->module.path : "");
    module_remember_seconds(&engine->module, elapsed_seconds(engine));
    memcpy(engine->path, engine->build.path, sizeof(engine->path));
    engine->rebuilt = true;
    if (is_kept)
        module_build_end(&engine->build);
    if (!engine->config->stap->prepare)
        return start_run(engine);
    engine->phase = OVER;
    return 0;
}

static int dispatch_build(struct engine *engine)
{
    int result = module_build_read(&engine->build);

    if (result > 0) {
        show_progress(engine);
        return ENGINE_STARTING;
    }
    if (result == 0)
        result = finish_build(engine);
    else
        diag_progress(NULL);
    if (result < 0)
        return result;
    return engine->phase == OVER ? ENGINE_DONE : ENGINE_STARTING;
}

/* Another process builds this module: waits for it, to use its module. */
static int wait_for_builder(struct engine *engine)
{
    if (engine->phase != WAITING)
        diag(DIAG_INFO, "another process is building the module for kernel %s: waiting for it",
             engine->module.release);
    module_build_end(&engine->build);
    engine->phase = WAITING;
    return 0;
}

static void announce_build(const struct engine *engine)
{
    const struct module *module = &engine->module;
    char last[LAST_TIME_SIZE];

    if (module_releases_ahead(module) > 0)
        diag(DIAG_WARNING, "stap %s was tested with kernels up to %s, and this one is %s",
             module->version, module->tested, module->release);
    diag(DIAG_INFO, "first run on kernel %s: building the probe module with stap %s, once%s",
         module->release, module->version, last_time(engine, last));
    show_progress(engine);
}

static int start_build(struct engine *engine)
{
    int result = module_build_start(&engine->build, &engine->module, engine->config);

    if (result == -EBUSY)
        return wait_for_builder(engine);
    engine->phase = BUILDING;
    if (result == 0)
        announce_build(engine);
    return result;
}

/* ---- The engine ----------------------------------------------------------------------------- */

static void stap_close(struct engine *engine);

static int use_module(struct engine *engine)
{
    memcpy(engine->path, engine->module.path, sizeof(engine->path));
    if (!engine->config->stap->prepare)
        return start_run(engine);
    diag(DIAG_INFO, "the module exists already: %s", engine->module.path);
    engine->phase = OVER;
    return 0;
}

/* With --prepare a module that has failed before counts as missing, so that it is built again. */
static int find_unless_retried(struct engine *engine)
{
    char why[MODULE_FAILURE_SIZE];
    bool is_retried = engine->config->stap->prepare && module_has_failed(&engine->module, why);

    if (!is_retried)
        return module_find(&engine->module);
    diag(DIAG_INFO, "%s: %s before: building it again", engine->module.path, why);
    module_forget_failure(&engine->module);
    return -ENOENT;
}

static int find_or_build(struct engine *engine)
{
    int result = find_unless_retried(engine);

    if (result == 0)
        return use_module(engine);
    if (result == -ENOEXEC)
        diag(DIAG_WARNING, "%s: building it again", engine->module.fault);
    if (result == -ENOENT || result == -ENOEXEC)
        return start_build(engine);
    engine_failed(engine->config, "%s",
                  result == -EPERM ? engine->module.fault : strerror(-result));
    return result;
}

static int dispatch_waiting(struct engine *engine)
{
    char why[MODULE_FAILURE_SIZE];
    int result;

    if (engine->config->why && module_has_failed(&engine->module, why)) {
        engine_failed(engine->config, "another process tried before: %s", why);
        return -EPROTO;
    }
    result = find_or_build(engine);
    if (result < 0)
        return result;
    return engine->phase == OVER ? ENGINE_DONE : ENGINE_STARTING;
}

static int identify_and_start(struct engine *engine)
{
    int result = module_identify(&engine->module, engine->config);

    engine->phase = OVER;
    return result < 0 ? result : find_or_build(engine);
}

static int stap_open(struct engine **opened, const struct engine_config *config,
                     const struct engine_sink *sink)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int result = -ENOMEM;

    if (engine) {
        engine->config = config;
        engine->sink = *sink;
        engine->out = engine->err = engine->control = -1;
        module_build_init(&engine->build);
        engine->started = clock_ms();
        engine->deadline = NO_DEADLINE;
        engine->wire = wire_new(&(struct wire_sink){
            .event = sink->event,
            .loaded = on_loaded,
            .watching = on_watching,
            .refused = on_refused,
            .more = on_more,
            .idle = on_idle,
            .lost = on_lost,
            .event_ctx = sink->ctx,
            .ctx = engine,
        });
    }
    if (engine && engine->wire)
        result = identify_and_start(engine);
    else
        engine_failed(config, "no memory");
    if (result < 0) {
        if (engine)
            stap_close(engine);
        return result;
    }
    *opened = engine;
    return 0;
}

static int stap_fds(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS])
{
    int all[] = {engine->build.output, engine->out, engine->err}, n = 0;

    for (size_t i = 0; i < LENGTH(all); i++)
        if (all[i] >= 0)
            fds[n++] = (struct pollfd){.fd = all[i], .events = POLLIN};
    return n;
}

static int stap_timeout(struct engine *engine)
{
    int64_t left;

    if (engine->phase == OVER)
        return 0;
    if (engine->phase == WAITING)
        return RETRY_MS;
    if (engine->phase == BUILDING)
        return 1000;
    if (has_closed_output(engine))
        return 10;
    if (engine->deadline == NO_DEADLINE)
        return -1;
    left = engine->deadline - clock_ms();
    return left < 0 ? 0 : (int)left;
}

static int stap_dispatch(struct engine *engine)
{
    switch (engine->phase) {
    case WAITING:
        return dispatch_waiting(engine);
    case BUILDING:
        return dispatch_build(engine);
    case RUNNING:
        return dispatch_run(engine);
    case OVER:
        break;
    }
    return ENGINE_DONE;
}

static int stap_watch(struct engine *engine, pid_t pid)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", pid);
    return send_command(engine, 'P', number);
}

/* Before the script is loaded nothing is sent: send_config() sends the whole filter later. */
static int stap_add_prefix(struct engine *engine, const char *path, enum pathfilter_verdict verdict)
{
    return engine->control >= 0 ? send_prefix(engine, path, verdict) : 0;
}

/*
 * A close in flight when its process became watched is not seen, and could remove its descriptor
 * after the scan has reported that as held.  membarrier(2) waits for an RCU grace period: after it
 * such calls have removed their descriptors.
 */
static void wait_for_calls_in_flight(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static int stap_report_held(struct engine *engine)
{
    wait_for_calls_in_flight();
    return send_command(engine, 'H', NULL);
}

static int stap_mark(struct engine *engine)
{
    return send_command(engine, 'M', NULL);
}

static int stap_end_when_idle(struct engine *engine)
{
    return send_command(engine, 'F', NULL);
}

static void stap_stop(struct engine *engine)
{
    if (engine->stopping)
        return;
    engine->stopping = true;
    if (engine->phase == BUILDING || engine->phase == WAITING) {
        diag_progress(NULL);
        engine->phase = OVER;
    }
    engine->deadline = clock_ms() + STOP_MS;
    if (!engine->watching || engine->idle || send_command(engine, 'S', NULL) < 0)
        send_signal(engine);
}

static void discard(struct engine *engine, const char *bytes, size_t n)
{
    (void)engine;
    (void)bytes;
    (void)n;
}

/* Ends staprun in the middle of a run.  Reads and discards its output, since it cannot react to a
 * signal while it blocks on a full pipe.  If it was asked to stop before, it gets SIGKILL. */
static void end_run(struct engine *engine)
{
    if (engine->stopping)
        engine->signals = STOP_SIGNALS - 1;
    send_signal(engine);
    while (!has_exited(engine)) {
        struct pollfd fds[ENGINE_MAX_FDS];

        poll(fds, (nfds_t)stap_fds(engine, fds), 10);
        read_from(engine, &engine->out, discard);
        read_from(engine, &engine->err, discard);
        escalate_if_due(engine);
    }
    reap(engine);
}

static void stap_close(struct engine *engine)
{
    module_build_end(&engine->build);
    if (engine->control >= 0)
        close(engine->control);
    engine->control = -1;
    if (engine->pid > 0)
        end_run(engine);
    close_run(engine);
    wire_free(engine->wire);
    free(engine);
}

/* stap/changes.h knows the numbers of calls of these architectures. */
#if defined(__x86_64__) || defined(__aarch64__)
#define SETS TRACE_ALL
#else
#define SETS (TRACE_ALL & ~(TRACE(NAMES) | TRACE(ATTRIBUTES)))
#endif

const struct engine_ops engine_stap = {
    .name = "stap",
    .sets = SETS,
    .check = stap_check,
    .open = stap_open,
    .fds = stap_fds,
    .timeout = stap_timeout,
    .dispatch = stap_dispatch,
    .watch = stap_watch,
    .add_prefix = stap_add_prefix,
    .report_held = stap_report_held,
    .mark = stap_mark,
    .end_when_idle = stap_end_when_idle,
    .stop = stap_stop,
    .close = stap_close,
};
