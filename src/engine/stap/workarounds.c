/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/workarounds.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/stap/stap.h"
#include "engine/stap/system.h"
#include "text.h"

#define STUB_MAX 65536 /* bytes; a complete symbol map has megabytes */

/* Closes the file.  0, or -EIO if something could not be written. */
static int finish(FILE *file)
{
    int failed = ferror(file);

    return fclose(file) != 0 || failed ? -EIO : 0;
}

/* Whether a line of the file has the word; no, if the file cannot be read. */
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

/* ---- 1. A symbol map ------------------------------------------------------------------------ */

/* What copy_symbols() found. */
struct symbols {
    size_t count, at_zero;
    bool has_uprobe_unregister;
};

/* A line of kallsyms is "ADDRESS TYPE NAME".  Symbols of modules, which have "[MODULE]" after NAME,
 * are left out: a map has those of the kernel itself. */
static void copy_symbol(const char *line, FILE *out, struct symbols *symbols)
{
    const char *name = strrchr(line, ' ');

    if (!name || strchr(line, '['))
        return;
    symbols->count++;
    symbols->at_zero += strtoull(line, NULL, 16) == 0;
    symbols->has_uprobe_unregister |= !strcmp(name, " uprobe_unregister\n");
    fputs(line, out);
}

/* kptr_restrict shows every address as 0; a few symbols are there in any kernel (per-CPU data). */
static bool are_hidden(const struct symbols *symbols)
{
    return symbols->at_zero > symbols->count / 2;
}

static int copy_symbols(FILE *in, FILE *out, struct symbols *symbols)
{
    char *line = NULL;
    size_t size = 0;

    *symbols = (struct symbols){0};
    while (getline(&line, &size, in) > 0)
        copy_symbol(line, out, symbols);
    free(line);
    if (ferror(in))
        return -EIO;
    if (symbols->count == 0)
        return -ENODATA;
    return are_hidden(symbols) ? -EPERM : 0;
}

static int write_map(struct workarounds *workarounds, FILE *in)
{
    FILE *out = fopen(workarounds->map, "wxe");
    struct symbols symbols;
    int result, written;

    if (!out)
        return -errno;
    result = copy_symbols(in, out, &symbols);
    written = finish(out);
    workarounds->lacks_uprobe_unregister = !symbols.has_uprobe_unregister;
    return result < 0 ? result : written;
}

static int link_entry(const struct workarounds *workarounds, const char *headers, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "System.map") ||
        !strcmp(name, "Makefile"))
        return 0;
    if (text_compose(from, sizeof(from), "%s/%s", headers, name) < 0 ||
        text_compose(to, sizeof(to), "%s/%s", workarounds->tree, name) < 0)
        return -ENAMETOOLONG;
    return symlink(from, to) < 0 ? -errno : 0;
}

/* Since Linux 6.13, make writes a module into its working directory unless that is the build tree
 * itself, or this variable says where. */
static int write_makefile(const struct workarounds *workarounds, const char *headers)
{
    char path[PATH_MAX];
    FILE *file;
    int result = text_compose(path, sizeof(path), "%s/Makefile", workarounds->tree);

    if (result < 0)
        return result;
    file = fopen(path, "wxe");
    if (!file)
        return -errno;
    fprintf(file, "KBUILD_EXTMOD_OUTPUT = $(M)\ninclude %s/Makefile\n", headers);
    return finish(file);
}

/* Makes the directory of links to all entries of the build tree, and to the symbol map. */
static int link_tree(const struct workarounds *workarounds, const char *headers)
{
    char map[PATH_MAX];
    struct dirent *entry;
    DIR *dir;
    int result = text_compose(map, sizeof(map), "%s/System.map", workarounds->tree);

    if (result < 0)
        return result;
    dir = opendir(headers);
    if (!dir)
        return -errno;
    if (mkdir(workarounds->tree, 0755) < 0)
        result = -errno;
    while (result == 0 && (entry = readdir(dir)))
        result = link_entry(workarounds, headers, entry->d_name);
    closedir(dir);
    if (result == 0 && symlink("../System.map", map) < 0)
        result = -errno;
    return result == 0 ? write_makefile(workarounds, headers) : result;
}

/* Makes a directory with nothing but the map, which has this name. */
static int make_boot(struct workarounds *workarounds, const char *directory, const char *name)
{
    char map[PATH_MAX];
    int result = text_compose(workarounds->mounted, sizeof(workarounds->mounted), "%s/boot",
                              directory);

    if (result == 0)
        result = text_compose(map, sizeof(map), "%s/%s", workarounds->mounted, name);
    if (result < 0)
        return result;
    return mkdir(workarounds->mounted, 0755) < 0 || link(workarounds->map, map) < 0 ? -errno : 0;
}

/* Chooses what to mount over which file or directory.  Only root can mount: for others stap 5 fails
 * as it does without the workaround. */
static int prepare_mount(struct workarounds *workarounds, const char *directory,
                         const char *release)
{
    char *name;
    struct stat st;

    if (geteuid() != 0)
        return 0;
    snprintf(workarounds->over, sizeof(workarounds->over), SYSTEM_BOOT_MAP_FORMAT, release);
    if (stat(workarounds->over, &st) == 0) {
        if (st.st_size >= STUB_MAX)
            workarounds->over[0] = '\0';
        return text_compose(workarounds->mounted, sizeof(workarounds->mounted), "%s",
                            workarounds->map);
    }
    name = strrchr(workarounds->over, '/');
    *name++ = '\0';
    if (access(workarounds->over, X_OK) == 0)
        return make_boot(workarounds, directory, name);
    workarounds->over[0] = '\0';
    return 0;
}

/* ---- 2. task_work_cancel() ------------------------------------------------------------------ */

/* stap 5 has the code in another file than stap 4. */
static bool runtime_knows_cancel_func(void)
{
    return file_mentions(SYSTEM_STAP_RUNTIME "/stp_task_work.c", "task_work_cancel_func") ||
           file_mentions(SYSTEM_STAP_RUNTIME "/linux/task_work_compatibility.h",
                         "task_work_cancel_func");
}

/* Debian splits the headers: "build" has those of the configuration, "source" the common ones. */
static bool kernel_has_cancel_func(const char *release)
{
    static const char *const trees[] = {"build", "source"};
    char path[PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), SYSTEM_LIB_MODULES "/%s/include/linux/task_work.h", release,
                 trees[i]);
        if (file_mentions(path, "task_work_cancel_func"))
            return true;
    }
    return false;
}

/* A header that replaces task_work_cancel() by a function of the old type. */
static int write_cancel(const char *path)
{
    FILE *file = fopen(path, "wxe");

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

static int replace_cancel(struct workarounds *workarounds, const char *directory,
                          const char *release)
{
    const char *option = "KCFLAGS=-include ";
    int result;

    if (runtime_knows_cancel_func() || !kernel_has_cancel_func(release))
        return 0;
    result = text_compose(workarounds->kcflags, sizeof(workarounds->kcflags),
                          "%s%s/task_work_cancel.h", option, directory);
    return result < 0 ? result : write_cancel(workarounds->kcflags + strlen(option));
}

/* ---- What has no workaround ------------------------------------------------------------------ */

const char *workarounds_missing_symbol(const char *headers)
{
    static const char runtime[] = SYSTEM_STAP_RUNTIME "/linux/kprobes.c";
    char exported[PATH_MAX];

    /* A line of this file is "0x5a921311\tmodule_mutex\tvmlinux\tEXPORT_SYMBOL_GPL\t". */
    if (text_compose(exported, sizeof(exported), "%s/Module.symvers", headers) < 0 ||
        access(exported, R_OK) < 0 || file_mentions(exported, "\tmodule_mutex\t"))
        return NULL;
    return file_mentions(runtime, "&module_mutex") &&
                   !file_mentions(runtime, "STAPCONF_MODULE_MUTEX")
               ? "module_mutex"
               : NULL;
}

/* ---- Preparing ------------------------------------------------------------------------------ */

static int prepare_map(struct workarounds *workarounds, const struct engine_config *config)
{
    const char *kallsyms = config->stap->kallsyms ? config->stap->kallsyms : SYSTEM_KALLSYMS;
    FILE *in = fopen(kallsyms, "re");
    int result = in ? write_map(workarounds, in) : -errno;

    if (in)
        fclose(in);
    if (result < 0)
        engine_failed(config, "no symbol map of %s: %s", kallsyms,
                      result == -EPERM
                          ? "it hides addresses; root sees them after sysctl kernel.kptr_restrict=1"
                          : strerror(-result));
    return result;
}

static int prepare_tree(struct workarounds *workarounds, const struct engine_config *config,
                        const char *directory, const char *headers)
{
    int result = text_compose(workarounds->tree, sizeof(workarounds->tree), "%s/tree", directory);

    if (result == 0)
        result = text_compose(workarounds->map, sizeof(workarounds->map), "%s/System.map",
                              directory);
    if (result == 0)
        result = link_tree(workarounds, headers);
    if (result < 0)
        engine_failed(config, "cannot build with %s below %s: %s", headers, directory,
                      strerror(-result));
    return result;
}

int workarounds_prepare(struct workarounds *workarounds, const struct engine_config *config,
                        const char *directory, const char *headers, const char *release)
{
    int result;

    memset(workarounds, 0, sizeof(*workarounds));
    result = prepare_tree(workarounds, config, directory, headers);
    if (result == 0)
        result = prepare_map(workarounds, config);
    if (result < 0)
        return result;
    result = prepare_mount(workarounds, directory, release);
    if (result == 0)
        result = replace_cancel(workarounds, directory, release);
    if (result < 0)
        engine_failed(config, "cannot write below %s: %s", directory, strerror(-result));
    return result;
}

size_t workarounds_arguments(const struct workarounds *workarounds,
                             const char *arguments[static WORKAROUNDS_ARGUMENTS])
{
    size_t n = 0;

    arguments[n++] = "-r";
    arguments[n++] = workarounds->tree;
    if (workarounds->kcflags[0]) {
        arguments[n++] = "-D";
        arguments[n++] = "STAPCONF_TASK_WORK_CANCEL_EXPORTED";
        arguments[n++] = "-B";
        arguments[n++] = workarounds->kcflags;
    }
    if (workarounds->lacks_uprobe_unregister) {
        arguments[n++] = "-D";
        arguments[n++] = "STAPCONF_UPROBE_UNREGISTER_EXPORTED";
    }
    return n;
}

void workarounds_mount_map(const struct workarounds *workarounds, struct spawn *spawn)
{
    if (!workarounds->over[0])
        return;
    spawn->mount_file = workarounds->mounted;
    spawn->mount_over = workarounds->over;
}
