/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/build.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "diag.h"
#include "engine/stap/modinfo.h"
#include "engine/stap/script.h"
#include "engine/stap/stap.h"
#include "engine/stap/system.h"
#include "text.h"

#define SCRIPT_NAME "monitorFicheros.stp"
#define NAME_SIZE 96 /* of a file name in the cache */
#define KILL_MS 1000 /* how long processes may take to exit after SIGKILL */

/* ---- The cache ------------------------------------------------------------------------------ */

/* Whether, after this error of writing to the cache, the module can be used without being kept. */
static bool may_go_unkept(const struct module_build *build, int error)
{
    return !build->config->stap->prepare &&
           (error == -EROFS || error == -EACCES || error == -EPERM || error == -ENOSPC ||
            error == -EDQUOT);
}

static void warn_unkept(const struct module_build *build, int error)
{
    diag(DIAG_WARNING,
         "the module cannot be kept in %s (%s) and is used for this run only; give another "
         "--module-dir to keep it",
         build->module->dir, strerror(-error));
}

/* Only one process builds at a time: the lock is held until module_build_end(). */
static int lock_cache(struct module_build *build)
{
    if (flock(build->directory, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

static int open_cache(struct module_build *build)
{
    const struct module *module = build->module;
    char fault[TRUST_FAULT_SIZE] = "";
    int result = trust_open_directory(module->dir, true, fault);

    build->directory = result < 0 ? -1 : result;
    if (result >= 0) {
        module_remember_version(module);
        return lock_cache(build);
    }
    if (fault[0])
        engine_failed(build->config, "%s", fault);
    else if (may_go_unkept(build, result))
        return warn_unkept(build, result), 0;
    else
        engine_failed(build->config, "cannot keep modules in %s: %s; give another --module-dir",
                      module->dir, strerror(-result));
    return result;
}

/* ---- stap's input --------------------------------------------------------------------------- */

static int write_script(const struct module_build *build)
{
    char path[PATH_MAX];
    FILE *file;
    int failed;

    snprintf(path, sizeof(path), "%s/" SCRIPT_NAME, build->work.path);
    file = fopen(path, "wxe");
    if (!file)
        return -errno;
    failed = fputs(script_text, file) < 0;
    return fclose(file) != 0 || failed ? -EIO : 0;
}

/* The headers must contain "uname -v" of their kernel: the module's directory is named after it. */
static int check_headers(const struct module_build *build, const char *headers)
{
    const char *release = build->module->release;

    if (access(headers, R_OK | X_OK) < 0) {
        engine_failed(build->config,
                      "no headers of kernel %s (%s: %s): apt-get install linux-headers-%s", release,
                      headers, strerror(errno), release);
        return -ENOENT;
    }
    if (build->module->build[0])
        return 0;
    engine_failed(build->config,
                  "the headers in %s do not contain 'uname -v' of their kernel (no UTS_VERSION "
                  "in " HEADERS_UTSVERSION " or " HEADERS_COMPILE ")",
                  headers);
    return -EINVAL;
}

static int write_input(struct module_build *build, const char *headers)
{
    int result = workarounds_prepare(&build->workarounds, build->config, build->work.path, headers,
                                     build->module->release);

    if (result < 0)
        return result;
    result = write_script(build);
    if (result < 0)
        engine_failed(build->config, "cannot write below %s: %s", build->work.path,
                      strerror(-result));
    return result;
}

static int prepare_work(struct module_build *build)
{
    char headers[PATH_MAX];
    int result;

    module_headers(headers, build->module->release);
    result = check_headers(build, headers);
    if (result < 0)
        return result;
    result = work_make(&build->work);
    if (result < 0) {
        engine_failed(build->config, "cannot build below /tmp: %s", strerror(-result));
        return result;
    }
    return write_input(build, headers);
}

/* ---- Running stap --------------------------------------------------------------------------- */

#define ARGUMENTS_MAX 32

static void add_all(const char **argv, size_t *n, const char *const *arguments)
{
    while (*arguments)
        argv[(*n)++] = *arguments++;
}

/* stap -p4 FLAG... -m MODULE WORKAROUND... SCRIPT_NAME, in the directory of the script. */
static void compose_command(const struct module_build *build, const char *argv[ARGUMENTS_MAX])
{
    size_t n = 0;

    add_all(argv, &n, (const char *const[]){"stap", "-p4", NULL});
    add_all(argv, &n, module_flags);
    add_all(argv, &n, (const char *const[]){"-m", build->module->name, NULL});
    n += workarounds_arguments(&build->workarounds, argv + n);
    argv[n++] = SCRIPT_NAME;
    argv[n] = NULL;
}

/* The environment keeps stap's own cache and temporary files in the temporary directory. */
static int spawn_stap(struct module_build *build, int output)
{
    char home[PATH_MAX], tmp[PATH_MAX];
    const char *argv[ARGUMENTS_MAX];
    char *env[] = {home, tmp, "LC_ALL=C", NULL};
    struct spawn spawn = {
        .argv = (char *const *)(void *)argv,
        .env = env,
        .dir = build->work.path,
        .in = -1,
        .out = output,
        .err = output,
        .group = true,
    };

    snprintf(home, sizeof(home), "SYSTEMTAP_DIR=%s/home", build->work.path);
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", build->work.path);
    compose_command(build, argv);
    workarounds_mount_map(&build->workarounds, &spawn);
    return spawn_start(&spawn, &build->stap);
}

static int start_stap(struct module_build *build)
{
    int fds[2] = {-1, -1}, result = 0;

    snprintf(build->log, sizeof(build->log), "%s/log", build->work.path);
    build->log_fd = open(build->log, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (build->log_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
        result = -errno;
    if (result == 0)
        result = spawn_stap(build, fds[1]);
    if (fds[1] >= 0)
        close(fds[1]);
    build->output = fds[0];
    if (result == 0)
        result = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (result < 0)
        engine_failed(build->config, "cannot start stap: %s", strerror(-result));
    return result;
}

/* ---- stap's output -------------------------------------------------------------------------- */

/* The words are those of stap, gcc(1) and the linker.  "Killed signal terminated program cc1": the
 * kernel has killed the compiler, because memory ran out. */
static const char *find_shortage(const char *line)
{
    static const struct {
        const char *words, *of;
    } shortages[] = {
        {"No space left on device", "space on the disk"},
        {"Disk quota exceeded", "space on the disk"},
        {"Cannot allocate memory", "memory"},
        {"out of memory", "memory"},
        {"memory exhausted", "memory"},
        {"std::bad_alloc", "memory"},
        {"Killed signal", "memory"},
    };

    for (size_t i = 0; i < LENGTH(shortages); i++)
        if (strstr(line, shortages[i].words))
            return shortages[i].of;
    return NULL;
}

static void take_log_line(struct module_build *build)
{
    const char *line = build->line.text;
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);

    diag(DIAG_VERBOSE, "stap: %s", line);
    if (!build->shortage)
        build->shortage = find_shortage(line);
    /* stap prints "Pass 2: analyzed script: ..." at the end of pass 2. */
    if (sscanf(line, "Pass %d: %*[^f]", &build->pass) == 1 && build->pass < 4)
        build->pass++;
    if (line[0])
        snprintf(build->tail[build->n_tail++ % slots], sizeof(build->tail[0]), "%.*s",
                 (int)sizeof(build->tail[0]) - 1, line);
}

static void take_log(struct module_build *build, const char *text, size_t n)
{
    if (write(build->log_fd, text, n) != (ssize_t)n)
        diag(DIAG_VERBOSE, "%s: %s", build->log, strerror(errno));
    for (size_t i = 0; i < n; i++)
        if (text_line_add(&build->line, text[i]))
            take_log_line(build);
}

/* ---- Keeping the module --------------------------------------------------------------------- */

static int copy(int from, int to)
{
    char bytes[65536];
    ssize_t n;

    while ((n = read(from, bytes, sizeof(bytes))) > 0) {
        ssize_t written = write(to, bytes, (size_t)n);

        if (written != n)
            return written < 0 ? -errno : -ENOSPC;
    }
    return n < 0 || fsync(to) < 0 ? -errno : 0;
}

/* Copies a file to the cache atomically: under a temporary name, which is then renamed.  Opens no
 * existing file. */
static int install(const struct module_build *build, int from, const char *name)
{
    char beside[NAME_SIZE + 16];
    int to, result;

    if (build->directory < 0)
        return -EROFS;
    snprintf(beside, sizeof(beside), "%s.%d", name, getpid());
    unlinkat(build->directory, beside, 0);
    to = openat(build->directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0644);
    if (to < 0)
        return -errno;
    result = lseek(from, 0, SEEK_SET) < 0 ? -errno : copy(from, to);
    if (close(to) < 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(build->directory, beside, build->directory, name) < 0)
        result = -errno;
    if (result == 0)
        fsync(build->directory);
    else
        unlinkat(build->directory, beside, 0);
    return result;
}

static void log_name(char name[static NAME_SIZE], const struct module_build *build)
{
    text_compose(name, NAME_SIZE, "%s.log", build->module->name);
}

#define LOG_TEXT_SIZE (PATH_MAX + 2 * NAME_SIZE)

/* Writes "; its whole output is in LOG" to where, or "" if the log cannot be kept. */
static void keep_log(struct module_build *build, char where[static LOG_TEXT_SIZE])
{
    char name[NAME_SIZE];

    log_name(name, build);
    where[0] = '\0';
    if (install(build, build->log_fd, name) == 0)
        snprintf(where, LOG_TEXT_SIZE, "; its whole output is in %s/%s", build->module->dir, name);
}

static void show_tail(const struct module_build *build)
{
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);
    unsigned int first = build->n_tail > slots ? build->n_tail - slots : 0;

    for (unsigned int i = first; i < build->n_tail; i++)
        diag(build->config->why ? DIAG_VERBOSE : DIAG_ERROR, "stap: %s", build->tail[i % slots]);
}

/* A failure is remembered only if the next build would fail in the same way. */
static int build_failed(struct module_build *build, int status)
{
    char log[LOG_TEXT_SIZE], why[MODULE_FAILURE_SIZE];

    keep_log(build, log);
    show_tail(build);
    if (WIFSIGNALED(status)) {
        engine_failed(build->config, "stap was killed by signal %d while it built the module%s",
                      WTERMSIG(status), log);
        return -EPROTO;
    }
    if (build->shortage) {
        engine_failed(build->config,
                      "stap ran out of %s while it built the module below /tmp, in its pass %d%s",
                      build->shortage, build->pass, log);
        return -EPROTO;
    }
    snprintf(why, sizeof(why), "stap could not build it in its pass %d", build->pass);
    module_remember_failure(build->module, why);
    engine_failed(build->config, "stap could not build the module for kernel %s in its pass %d%s",
                  build->module->release, build->pass, log);
    return -EPROTO;
}

static void remove_log(const struct module_build *build)
{
    char name[NAME_SIZE];

    log_name(name, build);
    if (build->directory >= 0)
        unlinkat(build->directory, name, 0);
}

/* On a full disk stap may exit with 0 and leave a truncated module. */
static int check_built(const struct module_build *build, int fd)
{
    char fault[MODINFO_FAULT_SIZE];
    int result = modinfo_check(fd, build->module->release, fault);

    if (result == -ENOEXEC)
        engine_failed(build->config, "the module that stap has built %s", fault);
    else if (result < 0)
        engine_failed(build->config, "%s: %s", build->path, strerror(-result));
    return result;
}

/* This is the first write to the cache, so it can be the first to fail if that is read-only or
 * full. */
static int keep_module(struct module_build *build, int from)
{
    const struct module *module = build->module;
    int result = install(build, from, strrchr(module->path, '/') + 1);

    if (result == 0) {
        remove_log(build);
        module_forget_failure(module);
        return text_compose(build->path, sizeof(build->path), "%s", module->path);
    }
    if (!may_go_unkept(build, result)) {
        engine_failed(build->config, "cannot put the module at %s: %s", module->path,
                      strerror(-result));
        return result;
    }
    if (build->directory >= 0) /* otherwise open_cache() has warned */
        warn_unkept(build, result);
    return 0;
}

static int take_module(struct module_build *build)
{
    int from, result;

    text_compose(build->path, sizeof(build->path), "%s/%s.ko", build->work.path,
                 build->module->name);
    from = open(build->path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        result = -errno;
        engine_failed(build->config, "stap has built no module (%s: %s)", build->path,
                      strerror(-result));
        return result;
    }
    result = check_built(build, from);
    if (result == 0)
        result = keep_module(build, from);
    close(from);
    return result;
}

/* ---- A build -------------------------------------------------------------------------------- */

void module_build_init(struct module_build *build)
{
    memset(build, 0, sizeof(*build));
    build->output = build->log_fd = build->directory = -1;
    build->pass = 1;
}

int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config)
{
    int result;

    module_build_init(build);
    build->module = module;
    build->config = config;
    if (!module->version[0]) {
        engine_failed(config,
                      "no module for kernel %s (%s) below %s, and no stap to build one: "
                      "apt-get install systemtap",
                      module->release, module->build, module->dir);
        return -ENOENT;
    }
    result = open_cache(build);
    if (result == 0)
        result = prepare_work(build);
    return result == 0 ? start_stap(build) : result;
}

int module_build_read(struct module_build *build)
{
    char text[4096];
    ssize_t n;
    int status;

    while ((n = read(build->output, text, sizeof(text))) > 0)
        take_log(build, text, (size_t)n);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    if (waitpid(build->stap.pid, &status, 0) < 0)
        return -errno;
    build->stap.pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return build_failed(build, status);
    return take_module(build);
}

/* Kills stap and its compilers, and waits for EOF of their pipe: until then one of them may still
 * write to the directory that is about to be removed. */
static void kill_stap(const struct module_build *build)
{
    struct pollfd pollfd = {.fd = build->output, .events = POLLIN};
    char bytes[4096];

    kill(-build->stap.pid, SIGKILL);
    waitpid(build->stap.pid, NULL, 0);
    while (poll(&pollfd, 1, KILL_MS) > 0 && read(build->output, bytes, sizeof(bytes)) > 0)
        ;
}

void module_build_end(struct module_build *build)
{
    if (build->stap.pid > 0)
        kill_stap(build);
    if (build->output >= 0)
        close(build->output);
    if (build->log_fd >= 0)
        close(build->log_fd);
    if (build->directory >= 0)
        close(build->directory);
    work_remove(&build->work);
    module_build_init(build);
}
