/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag.h"
#include "engine/stap/modinfo.h"
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

/* "Systemtap translator/driver (version 4.8/0.188, Debian version 4.8-2)", and lines later "tested
 * kernel versions: 2.6.32 ... 6.1.0-rc3". */
static void read_version(struct module *module, const char *text)
{
    const char *range = strstr(text, "tested kernel versions: ");

    if (sscanf(text, "%*[^(](version %63[^,)]", module->version) != 1)
        module->version[0] = '\0';
    if (!range || sscanf(range, "tested kernel versions: %*s ... %31s", module->tested) != 1)
        module->tested[0] = '\0';
}

static void ask_version(struct module *module)
{
    char *argv[] = {"stap", "--version", NULL}, text[2048] = "";
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
    read_version(module, text);
}

#define LINK_SIZE 64 /* of names and texts of the symbolic links in MODULE_DIR */

/*
 * stap takes longer to say its version than we have to start, so what it said is kept beside the
 * modules: a symbolic link, named after the program's size and time, to "VERSION TESTED".
 */
static int version_link(char link[static LINK_SIZE])
{
    char path[PATH_MAX];
    struct stat st;

    if (spawn_find("stap", path) < 0 || stat(path, &st) < 0)
        return -ENOENT;
    return text_compose(link, LINK_SIZE, "stap.%llx.%llx.%lx", (unsigned long long)st.st_size,
                        (unsigned long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* Anew, whatever is there. */
static void put_link(int directory, const char *link, const char *text)
{
    if ((unlinkat(directory, link, 0) < 0 && errno != ENOENT) ||
        symlinkat(text, directory, link) < 0)
        diag(DIAG_VERBOSE, "%s: %s", link, strerror(errno));
}

/* MODULE_DIR itself may be one that all may write to, as /tmp; then nothing is remembered in it. */
static void remember_version(const struct module *module)
{
    char link[LINK_SIZE], text[sizeof(module->version) + sizeof(module->tested) + 1];
    char fault[TRUST_FAULT_SIZE];
    int top = trust_open_directory(module->top, false, fault);

    if (top < 0)
        return;
    snprintf(text, sizeof(text), "%s %s", module->version,
             module->tested[0] ? module->tested : "-");
    if (version_link(link) == 0)
        put_link(top, link, text);
    close(top);
}

static bool recall_version(struct module *module)
{
    char link[LINK_SIZE], text[sizeof(module->version) + sizeof(module->tested) + 1];
    int top = trust_open_directory(module->top, false, module->fault);
    bool found;

    if (top < 0)
        return false;
    found = version_link(link) == 0 && trust_read_link(top, link, text, sizeof(text)) == 0 &&
            sscanf(text, "%63s %31s", module->version, module->tested) == 2;
    close(top);
    if (!found || !strcmp(module->tested, "-"))
        module->tested[0] = '\0';
    return found;
}

static void find_version(struct module *module)
{
    char path[PATH_MAX];

    if (spawn_find("stap", path) == 0 && !recall_version(module))
        ask_version(module);
}

/* Kept in the same way. */
#define SECONDS_LINK "seconds"

int module_last_seconds(const struct module *module)
{
    char text[16], fault[TRUST_FAULT_SIZE];
    int top = trust_open_directory(module->top, false, fault), result;
    int64_t seconds;

    if (top < 0)
        return -1;
    result = trust_read_link(top, SECONDS_LINK, text, sizeof(text));
    close(top);
    if (result < 0 || text_number(text, strlen(text), 0, INT_MAX, &seconds) < 0)
        return -1;
    return (int)seconds;
}

void module_remember_seconds(const struct module *module, int seconds)
{
    char text[16], fault[TRUST_FAULT_SIZE];
    int top = trust_open_directory(module->top, false, fault);

    if (top < 0)
        return;
    snprintf(text, sizeof(text), "%d", seconds);
    put_link(top, SECONDS_LINK, text);
    close(top);
}

/* How many releases came before that one, from 3.0 on; 0: older, or not a version. */
static int release_ordinal(const char *version)
{
    static const int last_minor[] = {[3] = 19, [4] = 20};
    unsigned int major, minor;
    int ordinal = 0;

    if (sscanf(version, "%u.%u", &major, &minor) != 2 || major < 3 || major > 1000 || minor > 1000)
        return 0;
    for (unsigned int i = 3; i < major; i++)
        ordinal += (i <= 4 ? last_minor[i] : 19) + 1;
    return ordinal + (int)minor;
}

int module_releases_ahead(const struct module *module)
{
    int tested = release_ordinal(module->tested), kernel = release_ordinal(module->release);

    return tested == 0 || kernel < tested ? 0 : kernel - tested;
}

/* A relative one is made absolute, for stap and staprun. */
static int absolute_path(char *path, size_t size, const char *given)
{
    char here[PATH_MAX];

    if (given[0] == '/')
        return text_compose(path, size, "%s", given);
    return getcwd(here, sizeof(here)) ? text_compose(path, size, "%s/%s", here, given) : -errno;
}

static int find_top(char *dir, size_t size, const char *given)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (given)
        return absolute_path(dir, size, given);
    if (geteuid() == 0 || !home)
        return absolute_path(dir, size, SYSTEM_CACHE);
    if (cache && cache[0] == '/')
        return text_compose(dir, size, "%s/filemon", cache);
    return text_compose(dir, size, "%s/.cache/filemon", home);
}

static bool read_utsversion(char *build, size_t size, const char *release, const char *header)
{
    char path[PATH_MAX], line[256];
    FILE *file;
    bool found = false;

    snprintf(path, sizeof(path), SYSTEM_LIB_MODULES "/build/%s", release, header);
    file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        char *text = strchr(line, '"'), *end = text ? strrchr(line, '"') : NULL;

        if (strncmp(line, "#define UTS_VERSION", strlen("#define UTS_VERSION")) != 0 || text == end)
            continue;
        *end = '\0';
        found = text_compose(build, size, "%s", text + 1) == 0;
    }
    if (file)
        fclose(file);
    return found;
}

bool module_headers_build(char *build, size_t size, const char *release)
{
    return read_utsversion(build, size, release, HEADERS_UTSVERSION) ||
           read_utsversion(build, size, release, HEADERS_COMPILE);
}

/* A kernel that does not run here is known by its headers alone. */
static int find_kernel(struct module *module, const char *release)
{
    struct utsname uts;
    int result;

    uname(&uts);
    result = text_compose(module->release, sizeof(module->release), "%s",
                          release ? release : uts.release);
    if (result < 0)
        return result;
    if (strchr(module->release, '/') || module->release[0] == '.')
        return -EINVAL;
    if (!release)
        return text_compose(module->build, sizeof(module->build), "%s", uts.version);
    if (!module_headers_build(module->build, sizeof(module->build), release))
        module->build[0] = '\0';
    return 0;
}

static uint64_t hash_string(const char *text)
{
    return hash_bytes(0xcbf29ce484222325ULL, text, strlen(text));
}

static int name_directory(struct module *module)
{
    return text_compose(module->dir, sizeof(module->dir), "%s/%s/%012llx", module->top,
                        module->release, (unsigned long long)(hash_string(module->build) >> 16));
}

static int name_module(struct module *module)
{
    find_version(module);
    text_compose(module->name, sizeof(module->name), MODULE_PREFIX "%012llx_%08x",
                 (unsigned long long)(hash_script() >> 16),
                 (unsigned int)hash_string(module->version));
    return text_compose(module->path, sizeof(module->path), "%s/%s.ko", module->dir, module->name);
}

int module_identify(struct module *module, const struct engine_config *config)
{
    int result;

    memset(module, 0, sizeof(*module));
    result = find_kernel(module, config->kernel);
    if (result == 0)
        result = find_top(module->top, sizeof(module->top), config->module_dir);
    if (result == 0)
        result = name_directory(module);
    if (result == 0)
        result = name_module(module);
    if (result < 0)
        diag(DIAG_ERROR, "no place for the probe module of kernel %s: %s",
             config->kernel ? config->kernel : module->release, strerror(-result));
    return result;
}

static bool is_version_of(const char *file, const struct module *module)
{
    size_t script = (size_t)(strrchr(module->name, '_') - module->name) + 1, len = strlen(file);

    return len > script + 3 && len - 3 < sizeof(module->name) &&
           !strncmp(file, module->name, script) && !strcmp(file + len - 3, ".ko");
}

/* Without stap: a module of this script, whichever stap it was built by. */
static void find_any_version(struct module *module, int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (!is_version_of(entry->d_name, module))
            continue;
        text_compose(module->name, sizeof(module->name), "%.*s", (int)strlen(entry->d_name) - 3,
                     entry->d_name);
        text_compose(module->path, sizeof(module->path), "%s/%s", module->dir, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

static int check_found(struct module *module, int fd)
{
    char fault[MODINFO_FAULT_SIZE];
    int result = modinfo_check(fd, module->release, fault);

    if (result == -ENOEXEC)
        snprintf(module->fault, sizeof(module->fault), "%.200s %s", module->path, fault);
    return result;
}

int module_find(struct module *module)
{
    int directory = trust_open_directory(module->dir, false, module->fault), fd, result;

    if (directory < 0)
        return directory == -EPERM ? -EPERM : -ENOENT;
    if (!module->version[0])
        find_any_version(module, directory);
    fd = trust_open_file(directory, strrchr(module->path, '/') + 1, module->fault);
    result = fd < 0 ? fd : check_found(module, fd);
    if (fd >= 0)
        close(fd);
    close(directory);
    return result;
}

/* ---- Failures that are remembered -------------------------------------------------------------
 */

static void failure_link(char link[static LINK_SIZE], const struct module *module)
{
    text_compose(link, LINK_SIZE, "%s.failed", module->name);
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Another module since?  By its time of change: a copy may keep the time of modification. */
static bool is_replaced(const struct module *module, int directory, const char *link)
{
    struct stat st, since;

    return fstatat(directory, strrchr(module->path, '/') + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(directory, link, &since, AT_SYMLINK_NOFOLLOW) == 0 &&
           is_newer(&st.st_ctim, &since.st_ctim);
}

bool module_has_failed(const struct module *module, char why[static MODULE_FAILURE_SIZE])
{
    char link[LINK_SIZE], fault[TRUST_FAULT_SIZE];
    int directory = trust_open_directory(module->dir, false, fault);
    bool failed;

    if (directory < 0)
        return false;
    failure_link(link, module);
    failed = trust_read_link(directory, link, why, MODULE_FAILURE_SIZE) == 0 &&
             !is_replaced(module, directory, link);
    close(directory);
    return failed;
}

void module_remember_failure(const struct module *module, const char *why)
{
    char link[LINK_SIZE], fault[TRUST_FAULT_SIZE], text[MODULE_FAILURE_SIZE];
    int directory = trust_open_directory(module->dir, false, fault);

    if (directory < 0)
        return;
    failure_link(link, module);
    snprintf(text, sizeof(text), "%s", why);
    put_link(directory, link, text);
    close(directory);
}

void module_forget_failure(const struct module *module)
{
    char link[LINK_SIZE], fault[TRUST_FAULT_SIZE];
    int directory = trust_open_directory(module->dir, false, fault);

    if (directory < 0)
        return;
    failure_link(link, module);
    if (unlinkat(directory, link, 0) < 0 && errno != ENOENT)
        diag(DIAG_VERBOSE, "%s/%s: %s", module->dir, link, strerror(errno));
    close(directory);
}

void module_headers(char path[static PATH_MAX], const char *release)
{
    snprintf(path, PATH_MAX, SYSTEM_LIB_MODULES "/build", release);
}

/* ---- What a build is made of ------------------------------------------------------------------
 */

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

/* Where it cannot be written, a module still serves the run that built it. */
static bool may_go_unkept(const struct module_build *build, int error)
{
    return !build->config->prepare && (error == -EROFS || error == -EACCES || error == -EPERM ||
                                       error == -ENOSPC || error == -EDQUOT);
}

static void say_unkept(const struct module_build *build, int error)
{
    diag(DIAG_WARNING,
         "the module cannot be kept in %s (%s) and serves this run alone; give another "
         "--module-dir to keep it",
         build->module->dir, strerror(-error));
}

/* Held until module_build_end(), so that one process at a time builds. */
static int lock_directory(struct module_build *build)
{
    if (flock(build->directory, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

static int open_place(struct module_build *build)
{
    const struct module *module = build->module;
    char fault[TRUST_FAULT_SIZE] = "";
    int result = trust_open_directory(module->dir, true, fault);

    build->directory = result < 0 ? -1 : result;
    if (result >= 0) {
        remember_version(module);
        return lock_directory(build);
    }
    if (fault[0])
        engine_failed(build->config, "%s", fault);
    else if (may_go_unkept(build, result))
        return say_unkept(build, result), 0;
    else
        engine_failed(build->config, "cannot keep modules in %s: %s; give another --module-dir",
                      module->dir, strerror(-result));
    return result;
}

/* Where the headers do not say which kernel they are of, nothing could tell later whether the
 * module is of the one that runs. */
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
                  "the headers in %s do not say what 'uname -v' is of their kernel (no UTS_VERSION "
                  "in " HEADERS_UTSVERSION " or " HEADERS_COMPILE ")",
                  headers);
    return -EINVAL;
}

static int write_sources(struct module_build *build, const char *headers, bool *has_unregister)
{
    const char *kallsyms = build->config->kallsyms ? build->config->kallsyms : SYSTEM_KALLSYMS;
    int result = link_tree(build, headers);

    if (result < 0) {
        engine_failed(build->config, "cannot build with %s below %s: %s", headers, build->work.path,
                      strerror(-result));
        return result;
    }
    result = write_map(build, kallsyms, has_unregister);
    if (result < 0) {
        engine_failed(build->config, "no symbols in %s: %s", kallsyms,
                      result == -EPERM ? "addresses are hidden: sysctl kernel.kptr_restrict=1"
                                       : strerror(-result));
        return result;
    }
    result = write_script(build);
    if (result == 0)
        result = write_mend(build);
    if (result < 0)
        engine_failed(build->config, "cannot write below %s: %s", build->work.path,
                      strerror(-result));
    return result;
}

static int prepare_work(struct module_build *build, bool *has_unregister)
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
    return write_sources(build, headers, has_unregister);
}

void module_build_init(struct module_build *build)
{
    memset(build, 0, sizeof(*build));
    build->output = build->log_fd = build->directory = -1;
    build->pass = 1;
}

static int start_stap(struct module_build *build, bool has_unregister)
{
    int fds[2] = {-1, -1}, result = 0;

    snprintf(build->log, sizeof(build->log), "%s/log", build->work.path);
    build->log_fd = open(build->log, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (build->log_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
        result = -errno;
    if (result == 0)
        result = spawn_stap(build, needs_task_work_mend(build->module->release), !has_unregister,
                            fds[1]);
    if (fds[1] >= 0)
        close(fds[1]);
    build->output = fds[0];
    if (result == 0)
        result = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (result < 0)
        engine_failed(build->config, "cannot start stap: %s", strerror(-result));
    return result;
}

int module_build_start(struct module_build *build, const struct module *module,
                       const struct engine_config *config)
{
    bool has_unregister = true;
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
    result = open_place(build);
    if (result == 0)
        result = prepare_work(build, &has_unregister);
    return result == 0 ? start_stap(build, has_unregister) : result;
}

static void take_log_line(struct module_build *build)
{
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);

    build->line[build->line_len] = '\0';
    build->line_len = 0;
    diag(DIAG_VERBOSE, "stap: %s", build->line);
    build->disk_full |= strstr(build->line, "No space left on device") != NULL;
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

/* Whole or not at all: a copy is made beside its place under a name that nobody else has, and
 * renamed.  Nothing that is there already is opened. */
static int install(const struct module_build *build, int from, const char *name)
{
    char beside[LINK_SIZE + 16];
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

static void log_name(char name[static LINK_SIZE], const struct module_build *build)
{
    text_compose(name, LINK_SIZE, "%s.log", build->module->name);
}

#define LOG_TEXT_SIZE (PATH_MAX + 2 * LINK_SIZE)

/* "; all it said is in LOG", or nothing where it could not be kept. */
static void keep_log(struct module_build *build, char where[static LOG_TEXT_SIZE])
{
    char name[LINK_SIZE];

    log_name(name, build);
    where[0] = '\0';
    if (install(build, build->log_fd, name) == 0)
        snprintf(where, LOG_TEXT_SIZE, "; all it said is in %s/%s", build->module->dir, name);
}

static void show_tail(const struct module_build *build)
{
    unsigned int slots = sizeof(build->tail) / sizeof(build->tail[0]);
    unsigned int first = build->n_tail > slots ? build->n_tail - slots : 0;

    for (unsigned int i = first; i < build->n_tail; i++)
        diag(build->config->why ? DIAG_VERBOSE : DIAG_ERROR, "stap: %s", build->tail[i % slots]);
}

/* Only what would come again is remembered. */
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
    if (build->disk_full) {
        engine_failed(build->config,
                      "stap found the disk full while it built the module below /tmp%s", log);
        return -ENOSPC;
    }
    snprintf(why, sizeof(why), "stap could not build it in its pass %d", build->pass);
    module_remember_failure(build->module, why);
    engine_failed(build->config, "stap could not build the module for kernel %s in its pass %d%s",
                  build->module->release, build->pass, log);
    return -EPROTO;
}

static void remove_log(const struct module_build *build)
{
    char name[LINK_SIZE];

    log_name(name, build);
    if (build->directory >= 0)
        unlinkat(build->directory, name, 0);
}

/* What stap says it has built may be missing or cut (a full disk). */
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

/* The directory is written to by now, or it is found here that it cannot be. */
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
    if (build->directory >= 0) /* else it was said before */
        say_unkept(build, result);
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
    if (build->directory >= 0)
        close(build->directory);
    work_remove(&build->work);
    module_build_init(build);
}
