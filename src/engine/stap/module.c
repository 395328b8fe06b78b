/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag.h"
#include "engine/stap/script.h"
#include "engine/stap/system.h"
#include "text.h"

/*
 * The flags that every module is built with.  No overload check: it would end the watch of a busy
 * machine.  KRETACTIVE: calls that can be waiting at once in one probed function (opens of a FIFO).
 * MAXSKIPPED: a probe that had to be skipped is counted and told, it does not end the watch.
 * INTERRUPTIBLE stays as it is: 0 would have stap count, as a skipped probe, each tick of the
 * script's timers that finds stap's own timer at work, though such a tick loses nothing.
 */
static const char *const flags[] = {
    "-g", "-v",
    "-w", "--disable-cache",
    "-D", "STP_NO_OVERLOAD",
    "-D", "KRETACTIVE=1024",
    "-D", "MAXSKIPPED=1000000000",
};
#define KILL_MS 1000 /* a process that was killed is gone by then */

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

/* ---- Names ------------------------------------------------------------------------------------
 */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    while (n--)
        hash = (hash ^ *at++) * 0x100000001b3ULL; /* FNV-1a */
    return hash;
}

static uint64_t hash_script(void)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, script_text, strlen(script_text));

    for (size_t i = 0; i < N_FLAGS; i++)
        hash = hash_bytes(hash, flags[i], strlen(flags[i]) + 1);
    return hash;
}

static int compose(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int compose(char *to, size_t size, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to, size, format, args);
    va_end(args);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static void ask_version(char *version, size_t size)
{
    char *argv[] = {"stap", "--version", NULL}, text[512] = "", said[64];
    struct spawned stap;
    int fds[2];
    size_t len = 0;
    ssize_t n = -1;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    struct spawn spawn = {.argv = argv, .in = -1, .out = fds[1], .err = fds[1]};
    int started = spawn_start(&spawn, &stap);

    close(fds[1]);
    while (started == 0 && (n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    if (started == 0)
        waitpid(stap.pid, NULL, 0);
    if (sscanf(text, "%*[^(](version %63[^,)]", said) == 1)
        compose(version, size, "%s", said);
}

/*
 * stap takes longer to say its version than we have to start, so what it said is kept beside the
 * modules: a symbolic link, named after the program's size and time, to the version.
 */
static int version_link(char link[static PATH_MAX], const struct module *module)
{
    char path[PATH_MAX];
    struct stat st;

    if (spawn_find("stap", path) < 0 || stat(path, &st) < 0)
        return -ENOENT;
    return compose(link, PATH_MAX, "%s/stap.%llx.%llx.%lx", module->top,
                   (unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
                   st.st_mtim.tv_nsec);
}

static void remember_version(const struct module *module)
{
    char link[PATH_MAX];

    if (version_link(link, module) == 0 && symlink(module->version, link) < 0 && errno != EEXIST)
        diag(DIAG_VERBOSE, "%s: %s", link, strerror(errno));
}

static void find_version(struct module *module)
{
    char link[PATH_MAX];

    if (version_link(link, module) < 0)
        return;
    if (readlink(link, module->version, sizeof(module->version) - 1) > 0)
        return;
    ask_version(module->version, sizeof(module->version));
}

/* Kept in the same way. */
static int seconds_link(char link[static PATH_MAX], const struct module *module)
{
    return compose(link, PATH_MAX, "%s/seconds", module->top);
}

int module_last_seconds(const struct module *module)
{
    char link[PATH_MAX], text[16];
    int64_t seconds;
    ssize_t size;

    if (seconds_link(link, module) < 0)
        return -1;
    size = readlink(link, text, sizeof(text));
    if (size < 0 || text_number(text, (size_t)size, 0, INT_MAX, &seconds) < 0)
        return -1;
    return (int)seconds;
}

void module_remember_seconds(const struct module *module, int seconds)
{
    char link[PATH_MAX], text[16];

    snprintf(text, sizeof(text), "%d", seconds);
    if (seconds_link(link, module) < 0 || (unlink(link) < 0 && errno != ENOENT) ||
        symlink(text, link) < 0)
        diag(DIAG_VERBOSE, "%s: %s", link, strerror(errno));
}

static int find_top(char *dir, size_t size, const char *given)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char absolute[PATH_MAX];

    if (given && given[0] != '/')
        return getcwd(absolute, sizeof(absolute)) ? compose(dir, size, "%s/%s", absolute, given)
                                                  : -errno;
    if (given)
        return compose(dir, size, "%s", given);
    if (geteuid() == 0 || !home)
        return compose(dir, size, "%s", SYSTEM_CACHE);
    if (cache && cache[0] == '/')
        return compose(dir, size, "%s/filemon", cache);
    return compose(dir, size, "%s/.cache/filemon", home);
}

static int name_module(struct module *module)
{
    uint64_t version;

    find_version(module);
    version = hash_bytes(0xcbf29ce484222325ULL, module->version, strlen(module->version));
    compose(module->name, sizeof(module->name), MODULE_PREFIX "%012llx_%08x",
            (unsigned long long)(hash_script() >> 16), (unsigned int)version);
    return compose(module->path, sizeof(module->path), "%s/%s.ko", module->dir, module->name);
}

int module_identify(struct module *module, const struct engine_config *config)
{
    struct utsname uts;
    int result;

    memset(module, 0, sizeof(*module));
    uname(&uts);
    result = compose(module->release, sizeof(module->release), "%s",
                     config->kernel ? config->kernel : uts.release);
    if (result == 0 && (strchr(module->release, '/') || module->release[0] == '.'))
        result = -EINVAL;
    if (result == 0)
        result = find_top(module->top, sizeof(module->top), config->module_dir);
    if (result == 0)
        result = compose(module->dir, sizeof(module->dir), "%s/%s", module->top, module->release);
    if (result == 0)
        result = name_module(module);
    if (result < 0)
        diag(DIAG_ERROR, "no place for the probe module of kernel %s: %s",
             config->kernel ? config->kernel : uts.release, strerror(-result));
    return result;
}

static bool is_version_of(const char *file, const struct module *module)
{
    size_t script = (size_t)(strrchr(module->name, '_') - module->name) + 1, len = strlen(file);

    return len > script + 3 && !strncmp(file, module->name, script) &&
           !strcmp(file + len - 3, ".ko");
}

/* Without stap: a module of this script, whichever stap it was built by. */
static void find_any_version(struct module *module)
{
    DIR *dir = opendir(module->dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (is_version_of(entry->d_name, module))
            compose(module->path, sizeof(module->path), "%s/%s", module->dir, entry->d_name);
    if (dir)
        closedir(dir);
}

/* Can nobody but root and us change what is there?  Where the sticky bit is set, what is ours in a
 * directory of all is. */
static bool is_safe(const char *path, mode_t type)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type &&
           (st.st_uid == 0 || st.st_uid == geteuid()) &&
           (!(st.st_mode & (S_IWGRP | S_IWOTH)) || (type == S_IFDIR && st.st_mode & S_ISVTX));
}

int module_find(struct module *module)
{
    if (!module->version[0])
        find_any_version(module);
    if (access(module->path, F_OK) < 0)
        return -ENOENT;
    return is_safe(module->top, S_IFDIR) && is_safe(module->dir, S_IFDIR) &&
                   is_safe(module->path, S_IFREG)
               ? 0
               : -EPERM;
}

void module_headers(char path[static PATH_MAX], const char *release)
{
    snprintf(path, PATH_MAX, SYSTEM_LIB_MODULES "/build", release);
}

/* ---- What a build is made of ------------------------------------------------------------------
 */

static int make_directories(const char *path)
{
    char part[PATH_MAX];

    for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
        if (compose(part, sizeof(part), "%.*s", (int)(slash - path), path) < 0)
            return -ENAMETOOLONG;
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static FILE *create(const struct module_build *build, const char *name)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/%s", build->work.path, name);
    return fopen(path, "wxe");
}

static int finish(FILE *file)
{
    int failed = ferror(file);

    return fclose(file) != 0 || failed ? -EIO : 0;
}

static int write_script(const struct module_build *build)
{
    FILE *file = create(build, "monitorFicheros.stp");

    if (!file)
        return -errno;
    fputs(script_text, file);
    return finish(file);
}

/* A kernel built with Debian's stable updates has task_work_cancel() of another type than stap 4.8
 * compiles against.  Only user-space probes call it, and the script has none. */
static int write_mend(const struct module_build *build)
{
    FILE *file = create(build, "mend.h");

    if (!file)
        return -errno;
    fputs(
        "#ifndef __ASSEMBLY__\n"
        "#include <linux/task_work.h>\n"
        "static inline struct callback_head *\n"
        "filemon_never_called(struct task_struct *task, task_work_func_t func)\n"
        "{\n"
        "    (void)task;\n"
        "    (void)func;\n"
        "    return NULL;\n"
        "}\n"
        "#define task_work_cancel filemon_never_called\n"
        "#endif\n",
        file);
    return finish(file);
}

/*
 * The symbol map that stap looks for and Debian does not ship: kallsyms without the modules' lines.
 * -EPERM where its addresses are hidden (kptr_restrict), -ENODATA where it has none.
 */
static int write_map(const struct module_build *build, const char *kallsyms, bool *has_unregister)
{
    FILE *in = fopen(kallsyms, "re"), *out;
    char *line = NULL;
    size_t size = 0, n = 0, hidden = 0;

    if (!in)
        return -errno;
    out = create(build, "System.map");
    if (!out) {
        fclose(in);
        return -errno;
    }
    *has_unregister = false;
    while (getline(&line, &size, in) > 0) {
        const char *name = strrchr(line, ' ');

        if (!name || strchr(line, '['))
            continue;
        n++;
        hidden += strtoull(line, NULL, 16) == 0;
        *has_unregister |= !strcmp(name, " uprobe_unregister\n");
        fputs(line, out);
    }
    free(line);
    fclose(in);
    if (finish(out) < 0)
        return -EIO;
    if (n == 0)
        return -ENODATA;
    return hidden > n / 2 ? -EPERM : 0;
}

/* A build tree of links to the kernel's own, with the symbol map in it: nothing of the system's is
 * written. */
static int link_tree(const struct module_build *build, const char *headers)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    DIR *dir = opendir(headers);
    struct dirent *entry;
    int result = 0;

    if (!dir)
        return -errno;
    snprintf(to, sizeof(to), "%s/tree", build->work.path);
    if (mkdir(to, 0755) < 0)
        result = -errno;
    while (result == 0 && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            !strcmp(entry->d_name, "System.map"))
            continue;
        snprintf(from, sizeof(from), "%s/%s", headers, entry->d_name);
        snprintf(to, sizeof(to), "%s/tree/%s", build->work.path, entry->d_name);
        if (symlink(from, to) < 0)
            result = -errno;
    }
    closedir(dir);
    snprintf(to, sizeof(to), "%s/tree/System.map", build->work.path);
    if (result == 0 && symlink("../System.map", to) < 0)
        result = -errno;
    return result;
}

static bool file_mentions(const char *path, const char *word)
{
    FILE *file = fopen(path, "re");
    char line[1024];
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, word) != NULL;
    if (file)
        fclose(file);
    return found;
}

static bool needs_task_work_mend(const char *release)
{
    const char *trees[] = {"build", "source"};
    char path[PATH_MAX];

    if (file_mentions(SYSTEM_STAP_RUNTIME "/stp_task_work.c", "task_work_cancel_func") ||
        file_mentions(SYSTEM_STAP_RUNTIME "/linux/task_work_compatibility.h",
                      "task_work_cancel_func"))
        return false;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), SYSTEM_LIB_MODULES "/%s/include/linux/task_work.h", release,
                 trees[i]);
        if (file_mentions(path, "task_work_cancel_func"))
            return true;
    }
    return false;
}

/* ---- Running stap -----------------------------------------------------------------------------
 */

static int spawn_stap(struct module_build *build, bool mend_cancel, bool mend_unregister, int err)
{
    char script[PATH_MAX + 64], tree[PATH_MAX + 64], include[PATH_MAX + 64], map[PATH_MAX + 64];
    char home[PATH_MAX + 64], tmp[PATH_MAX + 64], boot[PATH_MAX];
    char *env[] = {home, tmp, "LC_ALL=C", NULL};
    const char *argv[N_FLAGS + 16];
    struct stat st;
    size_t n = 0;

    snprintf(script, sizeof(script), "%s/monitorFicheros.stp", build->work.path);
    snprintf(tree, sizeof(tree), "%s/tree", build->work.path);
    snprintf(include, sizeof(include), "KCFLAGS=-include %s/mend.h", build->work.path);
    snprintf(map, sizeof(map), "%s/System.map", build->work.path);
    snprintf(boot, sizeof(boot), SYSTEM_BOOT_MAP, build->module->release);
    snprintf(home, sizeof(home), "SYSTEMTAP_DIR=%s/home", build->work.path);
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", build->work.path);

    argv[n++] = "stap";
    argv[n++] = "-p4";
    for (size_t i = 0; i < N_FLAGS; i++)
        argv[n++] = flags[i];
    argv[n++] = "-m";
    argv[n++] = build->module->name;
    argv[n++] = "-r";
    argv[n++] = tree;
    if (mend_cancel) {
        argv[n++] = "-D";
        argv[n++] = "STAPCONF_TASK_WORK_CANCEL_EXPORTED";
        argv[n++] = "-B";
        argv[n++] = include;
    }
    if (mend_unregister) {
        argv[n++] = "-D";
        argv[n++] = "STAPCONF_UPROBE_UNREGISTER_EXPORTED";
    }
    argv[n++] = script;
    argv[n] = NULL;

    struct spawn spawn = {
        .argv = (char *const *)(void *)argv,
        .env = env,
        .dir = build->work.path,
        .in = -1,
        .out = err,
        .err = err,
        .group = true,
    };
    /* stap 5 stops at the stub in /boot before it comes to the build tree. */
    if (geteuid() == 0 && stat(boot, &st) == 0 && st.st_size < 1 << 16) {
        spawn.lay = map;
        spawn.over = boot;
    }
    return spawn_start(&spawn, &build->stap);
}

static int prepare_work(struct module_build *build, const struct module *module,
                        const struct engine_config *config, bool *has_unregister)
{
    const char *kallsyms = config->kallsyms ? config->kallsyms : SYSTEM_KALLSYMS;
    char headers[PATH_MAX];
    int result = make_directories(module->dir);

    if (result < 0) {
        diag(DIAG_ERROR, "cannot keep modules in %s: %s; give another --module-dir", module->dir,
             strerror(-result));
        return result;
    }
    remember_version(module);
    module_headers(headers, module->release);
    result = work_make(&build->work);
    if (result < 0) {
        diag(DIAG_ERROR, "cannot build below /tmp: %s", strerror(-result));
        return result;
    }
    result = link_tree(build, headers);
    if (result < 0) {
        diag(DIAG_ERROR, "no headers of kernel %s (%s: %s): apt-get install linux-headers-%s",
             module->release, headers, strerror(-result), module->release);
        return result;
    }
    result = write_map(build, kallsyms, has_unregister);
    if (result < 0) {
        diag(DIAG_ERROR, "no symbols in %s: %s", kallsyms,
             result == -EPERM ? "addresses are hidden: sysctl kernel.kptr_restrict=1"
                              : strerror(-result));
        return result;
    }
    result = write_script(build);
    if (result == 0)
        result = write_mend(build);
    if (result < 0)
        diag(DIAG_ERROR, "cannot write below %s: %s", build->work.path, strerror(-result));
    return result;
}

int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config)
{
    bool has_unregister = true;
    int fds[2] = {-1, -1}, result;

    memset(build, 0, sizeof(*build));
    build->module = module;
    build->output = build->log_fd = -1;
    build->pass = 1;
    if (!module->version[0]) {
        diag(DIAG_ERROR,
             "no module for kernel %s below %s, and no stap to build one: "
             "apt-get install systemtap",
             module->release, module->dir);
        return -ENOENT;
    }
    result = prepare_work(build, module, config, &has_unregister);
    if (result < 0)
        return result;
    compose(build->log, sizeof(build->log), "%s/%s.log", module->dir, module->name);
    build->log_fd = open(build->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (build->log_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
        result = -errno;
    if (result == 0)
        result = spawn_stap(build, needs_task_work_mend(module->release), !has_unregister, fds[1]);
    if (fds[1] >= 0)
        close(fds[1]);
    build->output = fds[0];
    if (result == 0)
        result = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (result < 0)
        diag(DIAG_ERROR, "cannot start stap: %s", strerror(-result));
    return result;
}

static void take_log_line(struct module_build *build)
{
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);

    build->line[build->line_len] = '\0';
    build->line_len = 0;
    diag(DIAG_VERBOSE, "stap: %s", build->line);
    /* "Pass 2: analyzed script: ..." is said at the pass's end. */
    if (sscanf(build->line, "Pass %d: %*[^f]", &build->pass) == 1 && build->pass < 4)
        build->pass++;
    if (build->line[0])
        snprintf(build->tail[build->n_tail++ % slots], sizeof(build->tail[0]), "%.*s",
                 (int)sizeof(build->tail[0]) - 1, build->line);
}

static void take_log(struct module_build *build, const char *text, size_t n)
{
    if (write(build->log_fd, text, n) != (ssize_t)n)
        diag(DIAG_VERBOSE, "%s: %s", build->log, strerror(errno));
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            take_log_line(build);
        else if (build->line_len < sizeof(build->line) - 1)
            build->line[build->line_len++] = text[i];
    }
}

static int build_failed(struct module_build *build, int status)
{
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);
    unsigned int first = build->n_tail > slots ? build->n_tail - slots : 0;

    for (unsigned int i = first; i < build->n_tail; i++)
        diag(DIAG_ERROR, "stap: %s", build->tail[i % slots]);
    if (WIFSIGNALED(status))
        diag(DIAG_ERROR, "stap was killed by signal %d while it built the module",
             WTERMSIG(status));
    else
        diag(DIAG_ERROR,
             "stap could not build the module for kernel %s in its pass %d; all it "
             "said is in %s",
             build->module->release, build->pass, build->log);
    return -EPROTO;
}

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

/* Whole or not at all: a copy is made beside its place, and renamed. */
static int install(struct module_build *build)
{
    char built[PATH_MAX + 80], beside[PATH_MAX + 32];
    int from, to, result;

    snprintf(built, sizeof(built), "%s/%s.ko", build->work.path, build->module->name);
    snprintf(beside, sizeof(beside), "%s.%d", build->module->path, getpid());
    from = open(built, O_RDONLY | O_CLOEXEC);
    to = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    result = from < 0 || to < 0 ? -errno : copy(from, to);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    if (result == 0 && rename(beside, build->module->path) < 0)
        result = -errno;
    if (result == 0) {
        unlink(build->log);
        return 0;
    }
    if (to >= 0)
        unlink(beside);
    diag(DIAG_ERROR, "cannot put the module at %s: %s", build->module->path, strerror(-result));
    return result;
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
    return install(build);
}

/* stap and its compilers, which could still write to the directory: their end is that of the pipe.
 */
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
    work_remove(&build->work);
    memset(build, 0, sizeof(*build));
    build->output = build->log_fd = -1;
}
