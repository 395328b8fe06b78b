/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag.h"
#include "engine/stap/modinfo.h"
#include "engine/stap/script.h"
#include "engine/stap/stap.h"
#include "engine/stap/system.h"
#include "spawn.h"
#include "text.h"

/*
 * STP_NO_OVERLOAD: the overload check would end the watch of a busy machine.  KRETACTIVE: how many
 * calls can be in flight in a probed function, such as opens of a FIFO that wait for its other end.
 * MAXSKIPPED: a skipped probe counts as lost and must not end the watch.  INTERRUPTIBLE is left at
 * its default, 1: with 0, stap counts a tick of the script's timers as a skipped probe if it
 * interrupts stap's own timer, although nothing is lost.
 */
const char *const module_flags[] = {
    "-g", "-v",
    "-w", "--disable-cache",
    "-D", "STP_NO_OVERLOAD",
    "-D", "KRETACTIVE=1024",
    "-D", "MAXSKIPPED=1000000000",
    NULL,
};

/* ---- Links in the cache -----------------------------------------------------------------------
 *
 * A stored fact is the text of a symbolic link: it is replaced and read as a whole.
 */

#define LINK_SIZE 64 /* of a link's name */

/* Creates or replaces the link.  Text: not empty. */
static void put_link(int directory, const char *link, const char *text)
{
    char made[24];

    snprintf(made, sizeof(made), ".new.%d", (int)getpid());
    unlinkat(directory, made, 0); /* of a run that was killed here and had our pid */
    if (symlinkat(text, directory, made) == 0 && renameat(directory, made, directory, link) == 0)
        return;
    diag(DIAG_VERBOSE, "%s: %s", link, strerror(errno));
    unlinkat(directory, made, 0);
}

/* ---- stap's version ------------------------------------------------------------------------- */

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

static void run_version(struct module *module)
{
    char *argv[] = {"stap", "--version", NULL}, text[2048] = "";
    struct spawned stap = {0};
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

/* The link's name contains size and time of the file stap: what was stored for another one is not
 * used. */
static int version_link(char link[static LINK_SIZE])
{
    char path[PATH_MAX];
    struct stat st;

    if (spawn_find("stap", path) < 0 || stat(path, &st) < 0)
        return -ENOENT;
    return text_compose(link, LINK_SIZE, "stap.%llx.%llx.%lx", (unsigned long long)st.st_size,
                        (unsigned long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

void module_remember_version(const struct module *module)
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
        run_version(module);
}

/* ---- The kernel ----------------------------------------------------------------------------- */

void module_headers(char path[static PATH_MAX], const char *release)
{
    snprintf(path, PATH_MAX, SYSTEM_LIB_MODULES "/build", release);
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

/* "uname -v" of a kernel that is not running comes from its headers. */
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

/* The number of releases from 3.0 to this one; 0: older, or not a version. */
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

/* ---- The module's name ---------------------------------------------------------------------- */

static uint64_t hash_string(const char *text)
{
    return text_hash(TEXT_HASH_START, text, strlen(text));
}

static uint64_t hash_script(void)
{
    uint64_t hash = hash_string(script_text);

    for (const char *const *flag = module_flags; *flag; flag++)
        hash = text_hash(hash, *flag, strlen(*flag) + 1);
    return hash;
}

/* stap and staprun run in another working directory. */
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
    result = find_kernel(module, config->stap->kernel);
    if (result == 0)
        result = find_top(module->top, sizeof(module->top), config->stap->module_dir);
    if (result == 0)
        result = name_directory(module);
    if (result == 0)
        result = name_module(module);
    if (result < 0)
        diag(DIAG_ERROR, "no place for the probe module of kernel %s: %s",
             config->stap->kernel ? config->stap->kernel : module->release, strerror(-result));
    return result;
}

/* ---- Finding the module --------------------------------------------------------------------- */

static bool is_version_of(const char *file, const struct module *module)
{
    size_t script = (size_t)(strrchr(module->name, '_') - module->name) + 1, len = strlen(file);

    return len > script + 3 && len - 3 < sizeof(module->name) &&
           !strncmp(file, module->name, script) && !strcmp(file + len - 3, ".ko");
}

/* Without stap: takes a module of this script that any version of stap built. */
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
    else if (fd >= 0)
        close(fd);
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

/* ---- Facts for later runs ------------------------------------------------------------------- */

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

static void failure_link(char link[static LINK_SIZE], const struct module *module)
{
    text_compose(link, LINK_SIZE, "%s.failed", module->name);
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Whether the module is newer than the failure: by ctime, since a copy can keep its mtime. */
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
