/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/names.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The most bytes of a comm that exec(2) leaves of a name (TASK_COMM_LEN less its NUL). */
#define COMM_MAX 15

/* One process, as the rules see it. */
struct candidate {
    struct procfs_stat stat;
    char **args; /* ended by NULL */
    char *exe;   /* NULL: none, or none that we may see */
    char *unit;  /* the same */
};

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* "" where there is none. */
static const char *program_of(char *const *args)
{
    if (args[0] == NULL)
        return "";
    return last_component(args[0][0] == '-' ? args[0] + 1 : args[0]);
}

/* in_arguments: the letters of the options that make the next argument the program. */
static const struct interpreter {
    const char *pattern, *in_arguments;
} interpreters[] = {
    {"sh", "c"},     {"bash", "c"},    {"dash", "c"},    {"zsh", "c"},    {"ksh", "c"},
    {"busybox", ""}, {"env", ""},      {"python*", "c"}, {"perl*", "eE"}, {"ruby*", "e"},
    {"node", "ep"},  {"nodejs", "ep"}, {"php*", "r"},    {"lua*", "e"},   {"tclsh*", ""},
    {"wish*", ""},   {"awk", ""},      {"gawk", "e"},    {"mawk", ""},    {"sed", "e"},
    {"guile*", "c"}, {"Rscript", "e"},
};

static const struct interpreter *find_interpreter(const char *program)
{
    for (size_t i = 0; i < LENGTH(interpreters); i++)
        if (fnmatch(interpreters[i].pattern, program, 0) == 0)
            return &interpreters[i];
    return NULL;
}

/* -c, and -lc; not --rc. */
static bool brings_program(const struct interpreter *interpreter, const char *option)
{
    size_t len = strlen(option);

    return option[1] != '-' && strchr(interpreter->in_arguments, option[len - 1]) != NULL;
}

/* The script that an interpreter runs; NULL: none. */
static const char *script_of(char *const *args)
{
    const struct interpreter *interpreter = find_interpreter(program_of(args));

    if (interpreter == NULL)
        return NULL;
    for (args++; *args != NULL && (*args)[0] == '-'; args++)
        if (brings_program(interpreter, *args))
            return NULL;
    return *args;
}

static bool exe_is(const struct candidate *candidate, const char *name)
{
    return candidate->exe != NULL && strcmp(last_component(candidate->exe), name) == 0;
}

static bool match_comm(const struct candidate *candidate, const char *name)
{
    if (strlen(name) <= COMM_MAX)
        return strcmp(candidate->stat.comm, name) == 0;
    return strncmp(candidate->stat.comm, name, COMM_MAX) == 0 &&
           (exe_is(candidate, name) || strcmp(program_of(candidate->args), name) == 0);
}

static bool match_argv(const struct candidate *candidate, const char *name)
{
    const char *script = script_of(candidate->args);

    return strcmp(program_of(candidate->args), name) == 0 ||
           (script != NULL && strcmp(last_component(script), name) == 0);
}

/* postfix@-.service is postfix. */
static bool match_unit(const struct candidate *candidate, const char *name)
{
    static const char suffix[] = ".service";

    if (candidate->unit == NULL)
        return false;
    size_t len = strcspn(candidate->unit, "@");
    const char *end = candidate->unit + len;
    if (len > strlen(suffix) && strcmp(end - strlen(suffix), suffix) == 0)
        len -= strlen(suffix);
    return strlen(name) == len && memcmp(candidate->unit, name, len) == 0;
}

static bool match_directory(const struct candidate *candidate, const char *name)
{
    const char *slash, *component = candidate->exe;

    if (component == NULL)
        return false;
    while ((slash = strchr(component, '/')) != NULL) {
        size_t len = (size_t)(slash - component);
        if (len == strlen(name) && memcmp(component, name, len) == 0)
            return true;
        component = slash + 1;
    }
    return false;
}

/* In the order in which they are tried. */
static const struct rule {
    const char *string;
    bool (*matches)(const struct candidate *candidate, const char *name);
} rules[] = {
    [NAME_NONE] = {"nothing", NULL},
    [NAME_COMM] = {"comm", match_comm},
    [NAME_EXE] = {"executable", exe_is},
    [NAME_ARGV] = {"argv[0]", match_argv},
    [NAME_UNIT] = {"systemd unit", match_unit},
    [NAME_DIRECTORY] = {"directory of the executable", match_directory},
};

const char *name_rule_string(enum name_rule rule)
{
    return rules[rule].string;
}

/* Whether a failure is ours, and not that of a process which went or may not be looked at. */
static bool is_ours(int status)
{
    return status == -ENOMEM || status == -EMFILE || status == -ENFILE;
}

/* 0; or an -errno that says why it is no candidate.  Release it in either case. */
static int candidate_read(struct candidate *candidate, const struct procfs *procfs, pid_t pid)
{
    *candidate = (struct candidate){0};
    int status = procfs_stat(procfs, pid, &candidate->stat);
    if (status != 0)
        return status;
    if (candidate->stat.kernel_thread || strchr("ZX", candidate->stat.state) != NULL)
        return -ESRCH;
    status = procfs_cmdline(procfs, pid, &candidate->args);
    if (status != 0)
        return status;
    status = procfs_exe(procfs, pid, &candidate->exe);
    if (is_ours(status))
        return status;
    status = procfs_unit(procfs, pid, &candidate->unit);
    return is_ours(status) ? status : 0;
}

static void candidate_release(struct candidate *candidate)
{
    free(candidate->exe);
    free(candidate->args);
    free(candidate->unit);
}

/* The first rule that matches, of those that no better one has made void. */
static enum name_rule first_rule(const struct candidate *candidate, const char *name,
                                 enum name_rule last)
{
    for (enum name_rule rule = NAME_COMM; rule <= last; rule++)
        if (rules[rule].matches(candidate, name))
            return rule;
    return NAME_NONE;
}

struct search {
    const struct procfs *procfs;
    const char *name;
    pid_t self;
    struct name_match *match;
};

/* rule is at least as good as that of the match so far. */
static int add(struct name_match *match, enum name_rule rule, pid_t pid)
{
    if (rule != match->rule)
        match->n_pids = 0;
    match->rule = rule;
    pid_t *pids = reallocarray(match->pids, match->n_pids + 1, sizeof *pids);
    if (pids == NULL)
        return -ENOMEM;
    match->pids = pids;
    pids[match->n_pids++] = pid;
    return 0;
}

static int consider(void *ctx, pid_t pid)
{
    const struct search *search = ctx;
    struct name_match *match = search->match;
    struct candidate candidate;

    if (pid == search->self)
        return 0;
    int status = candidate_read(&candidate, search->procfs, pid);
    if (status == 0) {
        enum name_rule last = match->rule == NAME_NONE ? NAME_DIRECTORY : match->rule;
        enum name_rule rule = first_rule(&candidate, search->name, last);
        if (rule != NAME_NONE)
            status = add(match, rule, pid);
    }
    candidate_release(&candidate);
    return is_ours(status) ? status : 0;
}

int name_resolve(const struct procfs *procfs, const char *name, pid_t self,
                 struct name_match *match)
{
    *match = (struct name_match){0};
    struct search search = {procfs, name, self, match};
    return procfs_each(procfs, consider, &search);
}

void name_match_release(struct name_match *match)
{
    free(match->pids);
    *match = (struct name_match){0};
}

/* ---- Names that are alike ---------------------------------------------------------------------
 */

struct likeness {
    const struct procfs *procfs;
    const char *name;
    pid_t self;
    size_t errors; /* fewer than this */
    char *nearest;
};

static int try_name(struct likeness *likeness, const char *other)
{
    size_t errors;
    char *copy;

    if (other[0] == '\0' || strlen(other) > TEXT_ERRORS_LEN)
        return 0;
    errors = text_errors(likeness->name, other);
    if (errors >= likeness->errors)
        return 0;
    copy = strdup(other);
    if (copy == NULL)
        return -ENOMEM;
    free(likeness->nearest);
    likeness->nearest = copy;
    likeness->errors = errors;
    return 0;
}

static int compare_with(void *ctx, pid_t pid)
{
    struct likeness *likeness = ctx;
    struct candidate candidate;

    if (pid == likeness->self)
        return 0;
    int status = candidate_read(&candidate, likeness->procfs, pid);
    if (status == 0)
        status = try_name(likeness, candidate.stat.comm);
    if (status == 0 && candidate.exe != NULL)
        status = try_name(likeness, last_component(candidate.exe));
    if (status == 0)
        status = try_name(likeness, program_of(candidate.args));
    candidate_release(&candidate);
    return is_ours(status) ? status : 0;
}

int name_nearest(const struct procfs *procfs, const char *name, pid_t self, char **nearest)
{
    struct likeness likeness = {procfs, name, self, text_errors_allowed(name) + 1, NULL};
    int status = procfs_each(procfs, compare_with, &likeness);

    if (status != 0) {
        free(likeness.nearest);
        return status;
    }
    *nearest = likeness.nearest;
    return likeness.nearest != NULL ? 0 : -ENOENT;
}
