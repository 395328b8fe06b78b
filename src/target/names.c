/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/names.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "text.h"

/* exec(2) cuts the comm to this length (TASK_COMM_LEN without its NUL). */
#define COMM_MAX 15

/* What the rules need to know of a process.  It owns its strings; NULL: unknown, or not permitted.
 */
struct program {
    pid_t pid;
    char comm[sizeof(((struct procfs_stat *)0)->comm)];
    char *exe;
    char *unit;
    char *argv0;  /* last component */
    char *script; /* last component; NULL: no interpreter, or it runs no script */
};

struct programs {
    struct program *items; /* by rising pid */
    size_t count, room;
};

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* The last component of argv[0]; "": no arguments. */
static const char *program_of(char *const *args)
{
    if (args[0] == NULL)
        return "";
    return last_component(args[0][0] == '-' ? args[0] + 1 : args[0]);
}

/* Options that end in a letter of code_options take the program's text from the command line.  The
 * same holds without the option script_option, if that is not 0. */
static const struct interpreter {
    const char *pattern, *code_options;
    char script_option;
} interpreters[] = {
    {"sh", "c", 0},     {"bash", "c", 0},    {"dash", "c", 0},  {"zsh", "c", 0},
    {"ksh", "c", 0},    {"busybox", "", 0},  {"env", "", 0},    {"python*", "c", 0},
    {"perl*", "eE", 0}, {"ruby*", "e", 0},   {"node", "ep", 0}, {"nodejs", "ep", 0},
    {"php*", "r", 0},   {"lua*", "e", 0},    {"tclsh*", "", 0}, {"wish*", "", 0},
    {"awk", "", 'f'},   {"gawk", "e", 'f'},  {"mawk", "", 'f'}, {"sed", "e", 'f'},
    {"guile*", "c", 0}, {"Rscript", "e", 0},
};

static const struct interpreter *find_interpreter(const char *program)
{
    for (size_t i = 0; i < LENGTH(interpreters); i++)
        if (fnmatch(interpreters[i].pattern, program, 0) == 0)
            return &interpreters[i];
    return NULL;
}

/* The letter that says what the next argument is: 'c' in -c and -lc, but none ('\0') in --rc. */
static char last_letter(const char *option)
{
    return option[1] != '-' ? option[strlen(option) - 1] : '\0';
}

/* The script that an interpreter runs; NULL: none. */
static const char *script_of(char *const *args)
{
    const struct interpreter *interpreter = find_interpreter(program_of(args));
    bool has_script;

    if (interpreter == NULL)
        return NULL;
    has_script = interpreter->script_option == 0;
    for (args++; *args != NULL && (*args)[0] == '-'; args++) {
        char letter = last_letter(*args);

        if (letter != '\0' && strchr(interpreter->code_options, letter) != NULL)
            return NULL;
        has_script |= letter != '\0' && letter == interpreter->script_option;
    }
    return has_script ? *args : NULL;
}

static bool is_same(const char *text, const char *name)
{
    return text != NULL && strcmp(text, name) == 0;
}

static bool exe_is(const struct program *program, const char *name)
{
    return program->exe != NULL && strcmp(last_component(program->exe), name) == 0;
}

static bool match_comm(const struct program *program, const char *name)
{
    if (strlen(name) <= COMM_MAX)
        return strcmp(program->comm, name) == 0;
    return strncmp(program->comm, name, COMM_MAX) == 0 &&
           (exe_is(program, name) || is_same(program->argv0, name));
}

static bool match_argv(const struct program *program, const char *name)
{
    return is_same(program->argv0, name) || is_same(program->script, name);
}

/* postfix@-.service matches postfix. */
static bool match_unit(const struct program *program, const char *name)
{
    static const char suffix[] = ".service";

    if (program->unit == NULL)
        return false;
    size_t len = strcspn(program->unit, "@");
    const char *end = program->unit + len;
    if (len > strlen(suffix) && strcmp(end - strlen(suffix), suffix) == 0)
        len -= strlen(suffix);
    return strlen(name) == len && memcmp(program->unit, name, len) == 0;
}

static bool match_directory(const struct program *program, const char *name)
{
    const char *slash, *component = program->exe;

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

/* Tried in this order. */
static const struct rule {
    const char *string;
    bool (*matches)(const struct program *program, const char *name);
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

/* ---- Reading -------------------------------------------------------------------------------- */

static void program_release(struct program *program)
{
    free(program->exe);
    free(program->unit);
    free(program->argv0);
    free(program->script);
}

static int set_arguments(struct program *program, char *const *args)
{
    const char *script = script_of(args);

    program->argv0 = strdup(program_of(args));
    if (script != NULL)
        program->script = strdup(last_component(script));
    return program->argv0 == NULL || (script != NULL && program->script == NULL) ? -ENOMEM : 0;
}

/* 0, or -errno.  Call program_release() in either case. */
static int program_read(struct program *program, const struct procfs *procfs, pid_t pid)
{
    struct procfs_stat stat;
    char **args;
    int status = procfs_stat(procfs, pid, &stat);

    *program = (struct program){.pid = pid};
    if (status != 0)
        return status;
    if (stat.kernel_thread || strchr("ZX", stat.state) != NULL)
        return -ESRCH;
    memcpy(program->comm, stat.comm, sizeof program->comm);
    status = procfs_cmdline(procfs, stat.thread, &args);
    if (status != 0)
        return status;
    status = set_arguments(program, args);
    free(args);
    if (status == 0)
        status = procfs_exe(procfs, stat.thread, &program->exe);
    if (procfs_is_shortage(status))
        return status;
    status = procfs_unit(procfs, stat.thread, &program->unit);
    return procfs_is_shortage(status) ? status : 0;
}

static int reserve_one(struct programs *programs)
{
    size_t room = programs->room == 0 ? 64 : 2 * programs->room;

    if (programs->count < programs->room)
        return 0;
    struct program *items = reallocarray(programs->items, room, sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    programs->items = items;
    programs->room = room;
    return 0;
}

struct reading {
    struct programs *programs;
    const struct procfs *procfs;
    pid_t self;
};

static int add_program(void *ctx, pid_t pid)
{
    const struct reading *reading = ctx;
    struct programs *programs = reading->programs;
    int status = reserve_one(programs);

    if (pid == reading->self || status != 0)
        return status;
    struct program *program = &programs->items[programs->count];
    status = program_read(program, reading->procfs, pid);
    if (status == 0)
        programs->count++;
    else
        program_release(program);
    return procfs_is_shortage(status) ? status : 0;
}

int programs_read(struct programs **programs, const struct procfs *procfs, pid_t self)
{
    struct reading reading = {calloc(1, sizeof **programs), procfs, self};

    if (reading.programs == NULL)
        return -ENOMEM;
    int status = procfs_each(procfs, add_program, &reading);
    if (status != 0) {
        programs_free(reading.programs);
        return status;
    }
    *programs = reading.programs;
    return 0;
}

void programs_free(struct programs *programs)
{
    if (programs == NULL)
        return;
    for (size_t i = 0; i < programs->count; i++)
        program_release(&programs->items[i]);
    free(programs->items);
    free(programs);
}

/* ---- Looking up ----------------------------------------------------------------------------- */

static int add_match(struct name_match *match, pid_t pid)
{
    pid_t *pids = reallocarray(match->pids, match->n_pids + 1, sizeof *pids);

    if (pids == NULL)
        return -ENOMEM;
    match->pids = pids;
    pids[match->n_pids++] = pid;
    return 0;
}

static int match_by(const struct programs *programs, enum name_rule rule, const char *name,
                    struct name_match *match)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < programs->count; i++)
        if (rules[rule].matches(&programs->items[i], name))
            status = add_match(match, programs->items[i].pid);
    if (match->n_pids > 0)
        match->rule = rule;
    return status;
}

int programs_match(const struct programs *programs, const char *name, struct name_match *match)
{
    int status = 0;

    *match = (struct name_match){0};
    for (enum name_rule rule = NAME_COMM;
         status == 0 && match->n_pids == 0 && rule <= NAME_DIRECTORY; rule++)
        status = match_by(programs, rule, name, match);
    return status;
}

void name_match_release(struct name_match *match)
{
    free(match->pids);
    *match = (struct name_match){0};
}

struct nearest {
    const char *name, *candidate;
    size_t errors; /* a better candidate has fewer */
};

static void try_candidate(struct nearest *nearest, const char *candidate)
{
    size_t len = candidate != NULL ? strlen(candidate) : 0, name_len = strlen(nearest->name);
    size_t at_least = len < name_len ? name_len - len : len - name_len, errors;

    if (len == 0 || len > TEXT_ERRORS_LEN || at_least >= nearest->errors)
        return;
    errors = text_errors(nearest->name, candidate);
    if (errors >= nearest->errors)
        return;
    nearest->candidate = candidate;
    nearest->errors = errors;
}

const char *programs_nearest(const struct programs *programs, const char *name)
{
    struct nearest nearest = {name, NULL, text_errors_allowed(name) + 1};

    for (size_t i = 0; i < programs->count; i++) {
        const struct program *program = &programs->items[i];

        try_candidate(&nearest, program->comm);
        if (program->exe != NULL)
            try_candidate(&nearest, last_component(program->exe));
        try_candidate(&nearest, program->argv0);
    }
    return nearest.candidate;
}
