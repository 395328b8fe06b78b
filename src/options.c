/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "diag.h"
#include "event/event.h"
#include "event/recordfilter.h"
#include "text.h"
#include "users.h"

#define DIGITS "0123456789"
#define BLANKS " \t\n"

/* The kernel's PID_MAX_LIMIT (linux/threads.h). */
#define PID_LIMIT 4194304
#define DEPTH_LIMIT 1000000
#define TOP_LIMIT 1000000
#define DURATION_LIMIT_S (10 * 366 * 24 * 3600)

/* Prints the message, and evaluates to the result of options_parse(). */
#define refuse(...) (diag(DIAG_ERROR, __VA_ARGS__), -EINVAL)

/* Codes of options without a letter. */
enum {
    CODE_CHECK = UCHAR_MAX + 1,
    CODE_PREPARE,
    CODE_KERNEL,
    CODE_KALLSYMS,
    CODE_MODULE_DIR,
    CODE_SORT,
    CODE_TOP,
    CODE_READY_FD,
    CODE_HOST,
    CODE_EVERY,
};

/* As row.argument: the names of all engines, which engine.c has. */
static const char engines[] = "ENGINE";

struct parser {
    struct options *options;
    size_t n_names, n_groups, n_files, n_paths, n_excludes, n_patterns, n_field_lists;
    bool pid_given; /* -p, wherever */
    bool format_given, sort_given, initial_given;
    unsigned int failed_given; /* how often */
    bool sets_given;           /* by a LIST of -t without + */
    unsigned int more_sets;    /* +SET, -x, -i */
};

/* An option, or a line of --help. */
struct row {
    int code;             /* its letter, or one of the above; 0: only a line of --help */
    const char *name;     /* NULL: none but the letter */
    const char *argument; /* NULL: it takes none.  a|b|c: these words, in the order of their enum.
                           * engines: see there */
    const char *help;     /* '\n' begins another line; NULL: not shown */
    int (*take)(struct parser *parser, const struct row *row, char *argument);
    size_t member; /* of struct options, for take() */
    int value;     /* for take(): what the member becomes, or the largest number that it may be */
};

/* The option's argument as --help shows it; NULL: none. */
static const char *argument_of(const struct row *row)
{
    static char names[64];
    char *at = names;

    if (row->argument != engines)
        return row->argument;
    at = stpcpy(at, engine_auto.name);
    for (const struct engine_ops *const *ops = engine_list; *ops != NULL; ops++) {
        at = stpcpy(stpcpy(at, "|"), (*ops)->name);
        if ((*ops)->way != NULL)
            at = stpcpy(stpcpy(stpcpy(stpcpy(at, "|"), (*ops)->name), ":"), (*ops)->way);
    }
    return names;
}

/* How a message names an option. */
struct label {
    char text[24];
};

static struct label label_of(const struct row *row)
{
    struct label label;

    if (row->code <= UCHAR_MAX)
        snprintf(label.text, sizeof label.text, "-%c", row->code);
    else
        snprintf(label.text, sizeof label.text, "--%s", row->name);
    return label;
}

static int refuse_pid(const char *given)
{
    bool any = given[0] != '\0';

    return refuse(
        "-p wants a process id, %s%s%s: if $(pidof PROGRAM) printed nothing, PROGRAM is "
        "not running; -n PROGRAM also watches what starts later",
        any ? "not '" : "and there is none", given, any ? "'" : "");
}

/* Makes room for more pids; one in addition, since realloc(3) to size 0 may return NULL. */
static int reserve_pids(struct options *options, size_t more)
{
    pid_t *pids = reallocarray(options->pids, options->n_pids + more + 1, sizeof *pids);

    if (pids == NULL)
        return -ENOMEM;
    options->pids = pids;
    return 0;
}

/* Call reserve_pids() first. */
static int add_pid(struct options *options, const char *digits, size_t len)
{
    int64_t pid;

    if (text_number(digits, len, 1, PID_LIMIT, &pid) != 0)
        return refuse("%.*s is no process id: they go from 1 to %d", (int)len, digits, PID_LIMIT);
    options->pids[options->n_pids++] = (pid_t)pid;
    return 0;
}

/* Skips a separator: returns the next number or the end of the list; NULL: malformed. */
static const char *next_number(const char *text)
{
    const char *at = text + strspn(text, BLANKS);
    bool comma = *at == ',';

    if (comma)
        at += 1 + strspn(at + 1, BLANKS);
    return isdigit((unsigned char)*at) || (*at == '\0' && !comma) ? at : NULL;
}

static int take_pids(struct parser *parser, const struct row *row, char *list)
{
    struct options *options = parser->options;
    const char *at = list + strspn(list, BLANKS);

    (void)row;
    parser->pid_given = true;

    if (!isdigit((unsigned char)*at))
        return refuse_pid(at);
    int status = reserve_pids(options, strlen(at) / 2 + 1);
    while (status == 0 && *at != '\0') {
        size_t len = strspn(at, DIGITS);
        const char *next = next_number(at + len);
        if (next == NULL)
            return refuse("-p: '%s' is no list of process ids, like 1,2,3", list);
        status = add_pid(options, at, len);
        at = next;
    }
    return status;
}

static int take_name(struct parser *parser, const struct row *row, char *name)
{
    const char *slash = strrchr(name, '/');

    (void)row;
    if (slash != NULL && slash[1] == '\0')
        return refuse("-n %s: a NAME is that of a program, not a path", name);
    if (slash != NULL)
        return refuse("-n %s: a NAME is no path: give its last component, '%s'", name, slash + 1);
    if (strlen(name) > NAME_MAX)
        return refuse("-n: no program has a NAME of more than %d bytes", NAME_MAX);
    parser->options->names[parser->n_names++] = name;
    return 0;
}

static int take_group(struct parser *parser, const struct row *row, char *group)
{
    (void)row;
    if (parser->n_groups == ENGINE_GROUPS_MAX)
        return refuse("-g: more than %d control groups; name one above them", ENGINE_GROUPS_MAX);
    parser->options->groups[parser->n_groups++] = group;
    return 0;
}

static int take_file(struct parser *parser, const struct row *row, char *file)
{
    (void)row;
#ifdef FILEMON_NO_REPLAY
    return refuse("-r %s: this filemon was built with REPLAY=0, without jansson", file);
#endif
    parser->options->files[parser->n_files++] = file;
    return 0;
}

static void *member_of(const struct parser *parser, const struct row *row)
{
    return (char *)parser->options + row->member;
}

static int set_true(struct parser *parser, const struct row *row, char *argument)
{
    (void)argument;
    *(bool *)member_of(parser, row) = true;
    return 0;
}

/* The member is an int or an enum. */
static int set_value(struct parser *parser, const struct row *row, char *argument)
{
    (void)argument;
    *(int *)member_of(parser, row) = row->value;
    return 0;
}

static int set_text(struct parser *parser, const struct row *row, char *argument)
{
    *(const char **)member_of(parser, row) = argument;
    return 0;
}

static int take_number(struct parser *parser, const struct row *row, char *argument)
{
    int64_t number;

    if (text_number(argument, strlen(argument), 0, row->value, &number) != 0)
        return refuse("%s wants a number from 0 to %d, not '%s'", label_of(row).text, row->value,
                      argument);
    *(int *)member_of(parser, row) = (int)number;
    return 0;
}

static int take_exclude(struct parser *parser, const struct row *row, char *path)
{
    (void)row;
    parser->options->excludes[parser->n_excludes++] = path;
    return 0;
}

static int take_pattern(struct parser *parser, const struct row *row, char *pattern)
{
    const char *fault = recordfilter_fault(pattern);

    (void)row;
    if (fault != NULL)
        return refuse("-m %s: %s", pattern, fault);
    parser->options->patterns[parser->n_patterns++] = pattern;
    return 0;
}

static int refuse_user(const char *given, int error)
{
    const char *nearest = error == -ENOENT ? users_nearest(given) : NULL;

    if (error != -ENOENT)
        return refuse("-u %s: the users of this machine cannot be read: %s", given,
                      strerror(-error));
    return refuse("-u %s: there is no such user%s%s%s", given,
                  nearest != NULL ? "; did you mean " : "; getent passwd lists them",
                  nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

static bool has_user(const struct options *options, uid_t user)
{
    for (size_t i = 0; i < options->n_users; i++)
        if (options->users[i] == user)
            return true;
    return false;
}

static int take_user(struct parser *parser, const struct row *row, char *given)
{
    struct options *options = parser->options;
    uid_t user;
    int status = users_find(given, &user);

    (void)row;
    if (status != 0)
        return refuse_user(given, status);
    if (has_user(options, user))
        return 0;
    if (options->n_users == ENGINE_USERS_MAX)
        return refuse("-u: more than %d users; leave -u out and filter the output instead",
                      ENGINE_USERS_MAX);
    options->users[options->n_users++] = user;
    return 0;
}

/* Once -t +fail; twice, of what is reported only that. */
static int take_failed(struct parser *parser, const struct row *row, char *argument)
{
    (void)row, (void)argument;
    parser->more_sets |= TRACE(FAIL);
    parser->options->only_failed = ++parser->failed_given > 1;
    return 0;
}

/* -t +held */
static int take_initial(struct parser *parser, const struct row *row, char *argument)
{
    (void)row, (void)argument;
    parser->more_sets |= TRACE(HELD);
    parser->initial_given = true;
    return 0;
}

/* "; did you mean names?", or where the sets are listed. */
static const char *hint_at_set(const char *given, size_t len)
{
    static char hint[64];
    char word[TEXT_ERRORS_LEN + 1] = "";

    if (len < sizeof(word))
        memcpy(word, given, len);
    for (enum trace_set set = 0; word[0] != '\0' && set < TRACE_SETS; set++) {
        const char *name = trace_name(set);

        if (text_errors(word, name) > text_errors_allowed(word) &&
            (len < 2 || strncmp(word, name, len) != 0))
            continue;
        snprintf(hint, sizeof(hint), "; did you mean %s?", name);
        return hint;
    }
    return "; the sets are open, fail, held, exec, names, attributes and all";
}

/* One SET of the list, which begins at list. */
static int take_set(const char *list, const char *word, size_t len, unsigned int *sets)
{
    enum trace_set set = trace_find(word, len);

    if (len == 0)
        return refuse("-t %s: a SET is empty; a LIST is SET[,SET...] or +SET[,SET...]", list);
    if (word[0] == '+')
        return refuse("-t %s: a LIST begins with + to add to the default; any other has no +",
                      list);
    if (len == strlen("all") && memcmp(word, "all", len) == 0)
        *sets |= TRACE_ALL;
    else if (set == TRACE_SETS)
        return refuse("-t %s: there is no set '%.*s'%s", list, (int)len, word,
                      hint_at_set(word, len));
    else
        *sets |= 1u << set;
    return 0;
}

/* A list without + replaces the lists so far, and the default. */
static int take_sets(struct parser *parser, const struct row *row, char *list)
{
    bool adds = list[0] == '+';
    unsigned int sets = 0;
    const char *word = list;
    size_t len;

    (void)row;
    do {
        int status;

        word += adds && *word == '+';
        len = strcspn(word, ",");
        status = take_set(list, word, len, &sets);
        if (status != 0)
            return status;
        word += len + 1;
    } while (word[-1] != '\0');
    if (adds)
        parser->more_sets |= sets;
    else
        parser->options->sets = sets;
    parser->sets_given |= !adds;
    return 0;
}

/* Parses seconds with a fraction; digits after the third are ignored. */
static int parse_duration(const char *text, int64_t *ms)
{
    size_t whole = strspn(text, DIGITS);
    const char *fraction = text + whole + (text[whole] == '.');
    size_t places = strspn(fraction, DIGITS);
    char three[] = "000";
    int64_t seconds = 0, thousandths = 0;

    if (fraction[places] != '\0')
        return -EINVAL;
    if (whole > 0 && text_number(text, whole, 0, DURATION_LIMIT_S, &seconds) != 0)
        return -ERANGE;
    memcpy(three, fraction, places < 3 ? places : 3);
    text_number(three, 3, 0, 999, &thousandths);
    *ms = seconds * 1000 + thousandths;
    return *ms > 0 ? 0 : -ERANGE;
}

static int take_duration(struct parser *parser, const struct row *row, char *argument)
{
    if (parse_duration(argument, member_of(parser, row)) != 0)
        return refuse("%s wants seconds from 0.001 to %d, not '%s'", label_of(row).text,
                      DURATION_LIMIT_S, argument);
    return 0;
}

/* The standard descriptors have another use: a newline among the records is no record. */
static int take_ready_fd(struct parser *parser, const struct row *row, char *argument)
{
    int64_t fd;
    int mode;

    (void)row;
    if (text_number(argument, strlen(argument), STDERR_FILENO + 1, INT_MAX, &fd) != 0)
        return refuse("--ready-fd wants the number of a descriptor from %d on, not '%s'",
                      STDERR_FILENO + 1, argument);
    mode = fcntl((int)fd, F_GETFL);
    if (mode < 0)
        return refuse("--ready-fd %s: this descriptor is not open; a shell opens it with %s>FILE",
                      argument, argument);
    if ((mode & O_ACCMODE) == O_RDONLY || (mode & O_PATH) != 0)
        return refuse("--ready-fd %s: this descriptor is not open for writing", argument);
    parser->options->ready_fd = (int)fd;
    return 0;
}

/* The index of the word in a|b|c; -1: not found. */
static int find_choice(const char *words, const char *given)
{
    size_t len = strlen(given);

    for (int i = 0;; i++) {
        size_t end = strcspn(words, "|");

        if (end == len && memcmp(words, given, len) == 0)
            return i;
        if (words[end] == '\0')
            return -1;
        words += end + 1;
    }
}

static int refuse_choice(const struct row *row, const char *argument)
{
    return refuse("%s wants one of %s, not '%s'", label_of(row).text, argument_of(row), argument);
}

static int take_choice(struct parser *parser, const struct row *row, char *argument)
{
    int choice = find_choice(row->argument, argument);

    if (choice < 0)
        return refuse_choice(row, argument);
    *(int *)member_of(parser, row) = choice;
    return 0;
}

static int take_format(struct parser *parser, const struct row *row, char *argument)
{
    parser->format_given = true;
    return take_choice(parser, row, argument);
}

static int take_fields(struct parser *parser, const struct row *row, char *list)
{
    (void)row;
    parser->options->field_lists[parser->n_field_lists++] = list;
    return 0;
}

static int take_host(struct parser *parser, const struct row *row, char *name)
{
    if (!event_is_host(name))
        return refuse("--host %s: a NAME has at most %d letters, digits, or characters of .:_-",
                      name, HOST_NAME_MAX);
    return set_text(parser, row, name);
}

static int take_sort(struct parser *parser, const struct row *row, char *argument)
{
    parser->sort_given = true;
    return take_choice(parser, row, argument);
}

static int take_engine(struct parser *parser, const struct row *row, char *name)
{
    struct options *options = parser->options;

    options->engine = engine_find(name, &options->other_way);
    return options->engine != NULL ? 0 : refuse_choice(row, name);
}

static int take_action(struct parser *parser, const struct row *row, char *argument)
{
    struct options *options = parser->options;
    enum options_action action = (enum options_action)row->value;

    if (options->action != ACTION_RUN && options->action != action)
        return refuse("--check and --prepare: one at a time");
    options->stap.prepare = action == ACTION_PREPARE;
    return set_value(parser, row, argument);
}

/* The release becomes part of file names. */
static int take_release(struct parser *parser, const struct row *row, char *release)
{
    if (strchr(release, '/') != NULL || release[0] == '.')
        return refuse("--kernel wants a release as uname -r says it, not '%s'", release);
    return set_text(parser, row, release);
}

/* The one list of options, for getopt_long(3), messages and --help. */
#define MEMBER(name) .member = offsetof(struct options, name)
static const struct row rows[] = {
    {.help = "Targets"},
    {'p', "pid", "PID[,PID...]", "this process; operands made of digits are more",
     .take = take_pids},
    {'n', "name", "NAME", "every process of that program, now and later", .take = take_name},
    {'g', "cgroup", "CGROUP",
     "every process of that control group, and below it:\na path, a unit or a container",
     .take = take_group},
    {'a', "all", NULL, "every process; needs a PATH, -m or -u", .take = set_true, MEMBER(all)},
    {.argument = "-- COMMAND [ARG...]", .help = "run it, watched from its first instruction"},
    {'r', "read", "FILE",
     "records that filemon wrote, - for standard input;\noperands without a slash at the beginning "
     "are more",
     .take = take_file},
    {'D', "depth", "N", "levels of descendants to follow, 0 for none;\ndefault: every one",
     .take = take_number, MEMBER(depth), .value = DEPTH_LIMIT},
    {.help = "What to report"},
    {.argument = "PATH", .help = "files at or below it; default: every file"},
    {'X', "exclude", "PATH", "not below this one; the longest match decides", .take = take_exclude},
    {'I', "inode", NULL,
     "PATHs mean these files and directories themselves,\nwhatever name leads to them",
     .take = set_true, MEMBER(by_inode)},
    {'m', "match", "GLOB", "files whose whole path matches, like '*.conf'", .take = take_pattern},
    {'w', "writes", NULL, "opens for writing alone", .take = set_true, MEMBER(writes)},
    {'u', "user", "USER", "what threads of this user open, a name or number", .take = take_user},
    {'t', "trace", "SET[,SET...]",
     "the records of these sets, see below;\n+SET,... adds to the default, open",
     .take = take_sets},
    {'x', "failed", NULL, "calls that failed, too (-t +fail); -xx: only those",
     .take = take_failed},
    {'b', "bytes", NULL, "what was read and written through a descriptor,\nin its close",
     .take = set_true, MEMBER(bytes)},
    {'i', "initial", NULL, "files held open when the watch begins, too\n(-t +held)",
     .take = take_initial},
    {'d', "duration", "SECONDS", "stop by itself; fractions allowed", .take = take_duration,
     MEMBER(duration_ms)},
    {.help = "Output"},
    {'f', "format", "json|text|csv", "text is for people; default: json", .take = take_format,
     MEMBER(format)},
    {'F', "fields", "LIST",
     "these keys of records in this order, see below;\n+KEY,... adds to the usual ones",
     .take = take_fields},
    {CODE_HOST, "host", "NAME", "the key maquina in records and totals: where from",
     .take = take_host, MEMBER(host)},
    {'c', "summary", NULL,
     "totals at the end instead of records, by default\nas text; SIGUSR1 shows them so far",
     .take = set_value, MEMBER(summary), .value = SUMMARY_ALONE},
    {'C', NULL, NULL, "totals after the records", .take = set_value, MEMBER(summary),
     .value = SUMMARY_AFTER},
    {CODE_SORT, "sort", "opens|time|failed|bytes|name",
     "what comes first in totals;\ndefault: opens", .take = take_sort, MEMBER(sort)},
    {CODE_TOP, "top", "N", "rows of totals, 0 for all; default: 20,\nand all with -f json",
     .take = take_number, MEMBER(top), .value = TOP_LIMIT},
    {CODE_EVERY, "every", "SECONDS",
     "with -c: totals so far, again and again;\n-o FILE has the last", .take = take_duration,
     MEMBER(every_ms)},
    {'o', "output", "FILE", "append to FILE; SIGHUP reopens it", .take = set_text, MEMBER(output)},
    {.help = "Engine"},
    {'e', "engine", engines, "default: auto,\nstap where it can run, else bpf",
     .take = take_engine},
    {CODE_CHECK, "check", NULL, "which engines can run here; how to fix the others",
     .take = take_action, MEMBER(action), .value = ACTION_CHECK},
    {CODE_PREPARE, "prepare", NULL, "build the probe module now, for later starts",
     .take = take_action, MEMBER(action), .value = ACTION_PREPARE},
    {CODE_KERNEL, "kernel", "RELEASE", "with --prepare: for that kernel", .take = take_release,
     MEMBER(stap.kernel)},
    {CODE_KALLSYMS, "kallsyms", "FILE", "with --kernel: a copy of its /proc/kallsyms",
     .take = set_text, MEMBER(stap.kallsyms)},
    {CODE_MODULE_DIR, "module-dir", "DIR", "where modules are built and looked for",
     .take = set_text, MEMBER(stap.module_dir)},
    {.help = "Other"},
    {CODE_READY_FD, "ready-fd", "N", "write a newline to descriptor N when watching",
     .take = take_ready_fd},
    {'q', "quiet", NULL, "errors and warnings alone", .take = set_value, MEMBER(verbosity),
     .value = -1},
    {'v', "verbose", NULL, "more on what is done, stap's own passes too", .take = set_value,
     MEMBER(verbosity), .value = 1},
    {'h', "help", NULL, "this help", .take = set_value, MEMBER(action), .value = ACTION_HELP},
    {'V', "version", NULL, "the version", .take = set_value, MEMBER(action),
     .value = ACTION_VERSION},
};

/* NULL: no option has that code. */
static const struct row *find_row(int code)
{
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (code != 0 && rows[i].code == code)
            return &rows[i];
    return NULL;
}

/* The arguments of getopt_long(3). */
struct grammar {
    char letters[2 + 2 * LENGTH(rows) + 1];
    struct option names[LENGTH(rows) + 1];
};

/* *grammar must be zero: its zeros end both lists. */
static void grammar_fill(struct grammar *grammar)
{
    struct option *option = grammar->names;
    /* '-': returns operands in order, so that "--" is not moved.  ':': prints no messages. */
    char *letter = stpcpy(grammar->letters, "-:");

    for (const struct row *row = rows; row < rows + LENGTH(rows); row++) {
        if (row->name != NULL)
            *option++ = (struct option){row->name, row->argument != NULL, NULL, row->code};
        if (row->code == 0 || row->code > UCHAR_MAX)
            continue;
        *letter++ = (char)row->code;
        if (row->argument != NULL)
            *letter++ = ':';
    }
}

static int refuse_missing(const struct row *row)
{
    if (row->code == 'p')
        return refuse_pid("");
    return refuse("%s wants an argument: %s", label_of(row).text, argument_of(row));
}

static int refuse_empty(const struct row *row)
{
    if (row->code == 'p')
        return refuse_pid("");
    return refuse("%s: its %s is empty: a variable or command substitution gave nothing",
                  label_of(row).text, argument_of(row));
}

static int take_option(struct parser *parser, const struct row *row, char *argument)
{
    if (argument != NULL && argument[0] == '\0')
        return refuse_empty(row);
    return row->take(parser, row, argument);
}

static int add_path(struct parser *parser, char *path)
{
    if (path[0] == '\0')
        return refuse("an empty PATH: a variable or command substitution gave nothing");
    parser->options->paths[parser->n_paths++] = path;
    return 0;
}

/* The long option for which word is a likely typing error; NULL: none. */
static const char *nearest_option(const char *word)
{
    char name[TEXT_ERRORS_LEN + 1];
    size_t len = strcspn(word, "="), least;
    const char *nearest = NULL;

    if (len > TEXT_ERRORS_LEN)
        return NULL;
    memcpy(name, word, len);
    name[len] = '\0';
    least = text_errors_allowed(name) + 1;
    for (const struct row *row = rows; row < rows + LENGTH(rows); row++) {
        size_t errors = row->name != NULL ? text_errors(name, row->name) : least;

        if (errors < least) {
            least = errors;
            nearest = row->name;
        }
    }
    return nearest;
}

/* code: of an unknown letter, or of a long option that got an argument and takes none; else 0. */
static int refuse_unknown(const struct parser *parser, int code, const char *word)
{
    const char *hint = parser->n_paths > 0 ? ", or -- before a COMMAND and its options" : "";
    const struct row *row = find_row(code);

    if (row != NULL)
        return refuse("%s: --%s takes no argument", word, row->name);
    if (code != 0)
        return refuse("unknown option -%c; try 'filemon --help'%s", code, hint);
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (rows[i].name != NULL && strncmp(rows[i].name, word + 2, strcspn(word + 2, "=")) == 0)
            return refuse("%s could be more than one option; try 'filemon --help'", word);
    const char *nearest = nearest_option(word + 2);

    if (nearest != NULL)
        return refuse("unknown option %s; did you mean --%s?", word, nearest);
    return refuse("unknown option %s; try 'filemon --help'%s", word, hint);
}

/* code: the result of getopt_long(3); word: the argument that it parsed. */
static int take_word(struct parser *parser, int code, const char *word)
{
    switch (code) {
    case 1:
        return add_path(parser, optarg);
    case ':':
        return refuse_missing(find_row(optopt));
    case '?':
        return refuse_unknown(parser, optopt, word);
    default:
        return take_option(parser, find_row(code), optarg);
    }
}

static bool is_immediate(const struct options *options)
{
    return options->action == ACTION_HELP || options->action == ACTION_VERSION;
}

static int parse_words(struct parser *parser, int argc, char **argv)
{
    struct grammar grammar = {0};
    int code, taken = 1; /* how many words were parsed */

    grammar_fill(&grammar);
    optind = 0; /* restarts getopt_long(3) */
    while ((code = getopt_long(argc, argv, grammar.letters, grammar.names, NULL)) != -1) {
        taken = optind;
        int status = take_word(parser, code, argv[optind - 1]);
        if (status != 0 || is_immediate(parser->options))
            return status;
    }
    if (optind <= taken)
        return 0; /* no "--", except perhaps as the argument of an option */
    if (optind == argc)
        return refuse("no COMMAND after --");
    if (argv[optind][0] == '\0')
        return refuse("an empty COMMAND: a variable or command substitution gave nothing");
    parser->options->command = argv + optind;
    return 0;
}

/* With -p, before or after them, operands that consist of digits are pids. */
static int take_pids_from_paths(struct parser *parser)
{
    struct options *options = parser->options;
    size_t kept = 0;
    int status = reserve_pids(options, parser->n_paths);

    for (size_t i = 0; status == 0 && i < parser->n_paths; i++) {
        char *path = options->paths[i];
        size_t len = strspn(path, DIGITS);
        if (path[len] != '\0')
            options->paths[kept++] = path;
        else if (parser->pid_given)
            status = add_pid(options, path, len);
        else
            status = refuse("%s: a process is named by -p; a path made of digits is written ./%s",
                            path, path);
    }
    options->paths[kept] = NULL;
    parser->n_paths = kept;
    return status;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

size_t options_sort_pids(pid_t *pids, size_t n)
{
    size_t kept = 0;

    if (n > 0) /* else pids may be NULL, which qsort(3) does not allow */
        qsort(pids, n, sizeof *pids, compare_pids);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || pids[i] != pids[kept - 1])
            pids[kept++] = pids[i];
    return kept;
}

static int check_targets(const struct parser *parser)
{
    const struct options *options = parser->options;
    bool named = options->n_pids > 0 || parser->n_names > 0 || parser->n_groups > 0;

    if (options->command != NULL && (named || options->all))
        return refuse("-- COMMAND is a target of its own: it does not go with -p, -n, -g or -a");
    if (options->all && named)
        return refuse("-a is every process: it does not go with -p, -n or -g");
    if (options->all && parser->n_paths == 0 && parser->n_patterns == 0 && options->n_users == 0)
        return refuse("-a needs a PATH, -m GLOB or -u USER: which file or user do you ask about?");
    if (options->command == NULL && !named && !options->all && parser->n_paths > 0)
        return refuse(
            "nothing to watch: '%s' is a PATH; if it is a program write -n %s, if a command -- %s, "
            "and -a %s asks about every process",
            options->paths[0], options->paths[0], options->paths[0], options->paths[0]);
    if (options->command == NULL && !named && !options->all)
        return refuse(
            "nothing to watch: give a process (-p PID), a program (-n NAME), a control group "
            "(-g CGROUP), a command (-- COMMAND), -a with a PATH, or records (-r FILE); try "
            "'filemon --help'");
    return 0;
}

/* With -r, before or after them, operands that do not begin with a slash are files of records: what
 * they hold has absolute paths, to which no working directory belongs. */
static void take_files_from_paths(struct parser *parser)
{
    struct options *options = parser->options;
    size_t kept = 0;

    for (size_t i = 0; i < parser->n_paths; i++) {
        char *path = options->paths[i];
        if (path[0] == '/')
            options->paths[kept++] = path;
        else
            options->files[parser->n_files++] = path;
    }
    options->paths[kept] = NULL;
    parser->n_paths = kept;
}

/* What watches processes; NULL: nothing. */
static const char *watching_option(const struct parser *parser)
{
    const struct options *options = parser->options;
    const struct {
        bool given;
        const char *name;
    } given[] = {
        {parser->pid_given, "-p"},
        {parser->n_names > 0, "-n"},
        {parser->n_groups > 0, "-g"},
        {options->all, "-a"},
        {options->command != NULL, "-- COMMAND"},
        {options->depth != DEPTH_ALL, "-D"},
        {parser->initial_given, "-i"},
        {options->duration_ms >= 0, "-d"},
        {options->by_inode, "-I"},
        {options->engine != &engine_auto, "-e"},
        {options->action == ACTION_CHECK, "--check"},
        {options->action == ACTION_PREPARE, "--prepare"},
        {options->stap.module_dir != NULL, "--module-dir"},
    };

    for (size_t i = 0; i < LENGTH(given); i++)
        if (given[i].given)
            return given[i].name;
    return NULL;
}

static bool is_in_directory_of(const char *path, const char *file)
{
    size_t len = (size_t)(strrchr(path, '/') - path) + 1;

    return path[len] != '\0' && strncmp(path, file, len) == 0 && strchr(file + len, '/') == NULL;
}

/* A pattern after -r, as /var/log/filemon/day?.json, becomes one FILE and several PATHs. */
static void warn_mistaken(const struct options *options)
{
    for (char **path = options->paths; *path != NULL; path++)
        for (char **file = options->files; *file != NULL; file++)
            if (is_in_directory_of(*path, *file)) {
                diag(DIAG_WARNING,
                     "%s is taken for a PATH, as %s is a FILE; a FILE that begins with a slash "
                     "needs "
                     "its own -r",
                     *path, *file);
                return;
            }
}

static int check_replay(const struct parser *parser)
{
    const char *watching = watching_option(parser);

    if (watching != NULL)
        return refuse("-r reads records, and watches no process: %s does not go with it", watching);
    for (char **path = parser->options->excludes; *path != NULL; path++)
        if ((*path)[0] != '/')
            return refuse("-X %s: with -r it must be absolute, as the paths of records are", *path);
    warn_mistaken(parser->options);
    return 0;
}

static int check_inodes(const struct parser *parser)
{
    if (parser->options->by_inode && parser->n_paths == 0 && parser->n_excludes == 0)
        return refuse("-I says what PATHs mean: it goes with a PATH or -X PATH");
    return 0;
}

static int check_no_targets(const struct parser *parser)
{
    const struct options *options = parser->options;

    if (options->n_pids > 0 || parser->n_names > 0 || parser->n_groups > 0 || parser->n_paths > 0 ||
        options->all || options->command != NULL)
        return refuse("%s watches nothing: it goes with no target and no PATH",
                      options->action == ACTION_CHECK ? "--check" : "--prepare");
    return 0;
}

/* This key alone says something to totals: by which name they are grouped. */
static bool lists_only_the_executable(const struct options *options)
{
    for (char *const *list = options->field_lists; *list != NULL; list++)
        if (strcmp(*list + (**list == '+'), "ejecutable") != 0)
            return false;
    return true;
}

static int check(const struct parser *parser)
{
    const struct options *options = parser->options;

    if (options->summary != SUMMARY_NONE && options->format == FORMAT_CSV)
        return refuse("-c and -C give text or json: -f csv does not go with them");
    if (options->summary == SUMMARY_ALONE && !lists_only_the_executable(options))
        return refuse(
            "-F chooses the keys of records, and -c prints none; -C prints both, and "
            "-c -F ejecutable has totals by executable");
    if ((parser->sort_given || options->top != SUMMARY_TOP_DEFAULT) &&
        options->summary == SUMMARY_NONE)
        return refuse("--sort and --top are about totals: they go with -c or -C");
    if (options->sort == SORT_BYTES && !options->bytes)
        return refuse("--sort bytes is about what -b counts: it goes with -b");
    if (options->every_ms > 0 && options->summary != SUMMARY_ALONE)
        return refuse("--every is about totals alone: it goes with -c");
    if ((options->stap.kernel == NULL) != (options->stap.kallsyms == NULL))
        return refuse(
            "--kernel and --kallsyms go together: a module for another kernel needs both");
    if (options->stap.kernel != NULL && options->action != ACTION_PREPARE)
        return refuse("--kernel and --kallsyms go with --prepare alone");
    if (options->only_failed && parser->initial_given)
        return refuse("-xx reports only calls that failed: -i does not go with it");
    if (options->only_failed && options->bytes)
        return refuse("-xx reports only calls that failed: -b does not go with it");
    if (parser->n_files > 0)
        return check_replay(parser);
    if (options->action != ACTION_RUN)
        return check_no_targets(parser);
    return check_inodes(parser) != 0 ? -EINVAL : check_targets(parser);
}

/* What -t, -x and -i say together.  -r has all records by default. */
static void choose_sets(struct parser *parser)
{
    struct options *options = parser->options;

    if (!parser->sets_given)
        options->sets = parser->n_files > 0 ? TRACE_ALL : TRACE(OPEN);
    options->sets |= parser->more_sets;
    options->initial = options->sets & TRACE(HELD) && parser->n_files == 0;
}

/* "names, attributes": the sets that the engine does not deliver. */
static const char *join_missing(unsigned int missing)
{
    static char names[64];
    char *at = names;

    for (enum trace_set set = 0; set < TRACE_SETS; set++)
        if (missing & 1u << set)
            at = stpcpy(stpcpy(at, at == names ? "" : ","), trace_name(set));
    return names;
}

static int check_sets(const struct parser *parser)
{
    const struct options *options = parser->options;
    const struct engine_ops *wanted = options->engine,
                            *other = engine_for(engine_list, options->sets);
    unsigned int missing = wanted != &engine_auto ? options->sets & ~wanted->sets : 0;

    if (parser->n_files > 0)
        return 0;
    if (missing != 0 && other != NULL)
        return refuse("-t %s: the engine %s does not report it; -e %s does", join_missing(missing),
                      wanted->name, other->name);
    if (other == NULL)
        return refuse("-t %s: no engine of this filemon reports it; -r FILE reads such records",
                      join_missing(options->sets & TRACE_CALLS));
    return 0;
}

void options_init(struct options *options)
{
    *options = (struct options){
        .depth = DEPTH_ALL,
        .engine = &engine_auto,
        .sets = TRACE(OPEN),
        .duration_ms = -1,
        .ready_fd = -1,
        .top = SUMMARY_TOP_DEFAULT,
    };
}

void options_release(struct options *options)
{
    free(options->pids);
    free(options->names);
    free(options->groups);
    free(options->files);
    free(options->paths);
    free(options->excludes);
    free(options->patterns);
    free(options->users);
    free(options->field_lists);
    options_init(options);
}

/* most: the number of arguments, which no list can exceed. */
static int make_lists(struct options *options, size_t most)
{
    options->names = calloc(most + 1, sizeof *options->names);
    options->groups = calloc(most + 1, sizeof *options->groups);
    options->files = calloc(most + 1, sizeof *options->files);
    options->paths = calloc(most + 1, sizeof *options->paths);
    options->excludes = calloc(most + 1, sizeof *options->excludes);
    options->patterns = calloc(most + 1, sizeof *options->patterns);
    options->users = calloc(most + 1, sizeof *options->users);
    options->field_lists = calloc(most + 1, sizeof *options->field_lists);
    if (options->names == NULL || options->groups == NULL || options->files == NULL ||
        options->paths == NULL || options->excludes == NULL || options->patterns == NULL ||
        options->users == NULL || options->field_lists == NULL)
        return -ENOMEM;
    return 0;
}

/* Records that are read are written as they are; and with -F, if they have bytes, with these. */
static unsigned int fields_with(const struct parser *parser)
{
    const struct options *options = parser->options;
    bool keeps = parser->n_files > 0 && options->format == FORMAT_JSON;

    return (options->host != NULL ? FIELDS_HOST : 0) |
           (options->bytes || keeps ? FIELDS_BYTES : 0) | (keeps ? FIELDS_AS_READ : 0);
}

static int refuse_to_count(const struct engine_ops *engine)
{
    const struct engine_ops *other = engine_with(FACT(BYTES));

    return other == NULL ? refuse("-b: no engine of this filemon counts bytes")
                         : refuse("-b: engine %s does not count bytes; -e %s does", engine->name,
                                  other->name);
}

/* After fields_choose(). */
static int check_bytes(struct options *options)
{
    bool watches = options->action == ACTION_RUN && options->files[0] == NULL;

    if (options->bytes && (options->fields.facts & FACT(BYTES)) == 0 &&
        options->summary == SUMMARY_NONE)
        return refuse("-b adds keys that this -F leaves out: name leidos or escritos in its LIST");
    if (options->bytes)
        options->fields.facts |= FACT(BYTES);
    if (watches && (options->fields.facts & FACT(BYTES)) != 0 &&
        engine_lacks(options->engine, FACT(BYTES)))
        return refuse_to_count(options->engine);
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    struct parser parser = {.options = options};
    int status = make_lists(options, (size_t)argc);

    if (status == 0)
        status = parse_words(&parser, argc, argv);
    if (status != 0 || is_immediate(options))
        return status;
    if (parser.n_files > 0)
        take_files_from_paths(&parser);
    choose_sets(&parser);
    status = take_pids_from_paths(&parser);
    if (status != 0)
        return status;
    options->n_pids = options_sort_pids(options->pids, options->n_pids);
    if (options->summary == SUMMARY_ALONE && !parser.format_given)
        options->format = FORMAT_TEXT;
    status = check(&parser);
    if (status == 0)
        status = check_sets(&parser);
    if (status == 0)
        status = fields_choose(&options->fields, options->format, fields_with(&parser),
                               options->field_lists);
    fields_expect(&options->fields, trace_codes(options->sets));
    return status == 0 ? check_bytes(options) : status;
}

/* The second column of --help begins here. */
#define HELP_COLUMN 30
#define KEY_COLUMN 16

/* Prints the first column; returns its width. */
static int print_left(FILE *out, const struct row *row)
{
    const char *argument = row->argument != NULL ? argument_of(row) : "";
    const char *space = row->argument != NULL ? " " : "";

    if (row->code == 0)
        return fprintf(out, "  %s", argument);
    if (row->code > UCHAR_MAX)
        return fprintf(out, "      --%s%s%s", row->name, space, argument);
    if (row->name == NULL)
        return fprintf(out, "  -%c%s%s", row->code, space, argument);
    return fprintf(out, "  -%c, --%s%s%s", row->code, row->name, space, argument);
}

/* Prints the lines of the second column, after a first one of this width. */
static void print_right(FILE *out, const char *help, int width, int column)
{
    for (const char *line = help; *line != '\0'; width = 0) {
        size_t len = strcspn(line, "\n");
        int gap = width + 2 > column ? 2 : column - width;
        fprintf(out, "%*s%.*s\n", gap, "", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static void print_row(FILE *out, const struct row *row)
{
    print_right(out, row->help, print_left(out, row), HELP_COLUMN);
}

static void print_field(FILE *out, const struct field *field)
{
    print_right(out, field->help, fprintf(out, "  %s", field->key), KEY_COLUMN);
}

void options_help(FILE *out)
{
    fputs(
        "Usage: filemon [OPTION...] -p PID[,PID...] [PID...] [PATH...]\n"
        "       filemon [OPTION...] -n NAME [PATH...]\n"
        "       filemon [OPTION...] -g CGROUP [PATH...]\n"
        "       filemon [OPTION...] -a PATH...\n"
        "       filemon [OPTION...] [PATH...] -- COMMAND [ARG...]\n"
        "       filemon [OPTION...] -r FILE... [PATH...]\n"
        "Say which files processes open and close, and for how long.\n",
        out);
    for (const struct row *row = rows; row < rows + LENGTH(rows); row++) {
        if (row->code == 0 && row->argument == NULL)
            fprintf(out, "\n%s:\n", row->help);
        else if (row->help != NULL)
            print_row(out, row);
    }
    fputs("\nSets:\n", out);
    for (enum trace_set set = 0; set < TRACE_SETS; set++)
        fprintf(out, "  %-13s %s\n", trace_name(set), trace_help(set));
    fputs("  all           all of these\n", out);
    fputs("\nRecords:\n", out);
    for (const struct field *field = field_table; field < field_table + field_count; field++)
        print_field(out, field);
    fputs(
        "\nExamples:\n"
        "  filemon -p $(pidof master) /etc /usr/lib\n"
        "  filemon -n postfix /etc\n"
        "  filemon -a /etc/passwd\n"
        "  filemon /etc -- getent hosts localhost\n"
        "\nExit status: 0 ended as asked, 1 failed, 2 usage, 3 no engine can run here;\n"
        "with -- COMMAND, that of the command, 125 where filemon fails.\n",
        out);
}

void options_version(FILE *out)
{
    fputs("filemon " FILEMON_VERSION "\n", out);
}
