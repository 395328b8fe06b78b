/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caught.h"
#include "engine/engine.h"

/* -- helpers ----------------------------------------------------------- */

static int parse(struct options *options, char *const *words)
{
    char *argv[128] = {"filemon"};
    int argc = 1;

    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = words[argc - 1];
    options_init(options);
    return options_parse(options, argc, argv);
}

#define WORDS(...) ((char *const[]){__VA_ARGS__, NULL})

/* Joins a list to one string, with '|' after each word; "" if the list is empty. */
static const char *joined(char *const *list)
{
    static char text[1024];

    text[0] = '\0';
    for (; list != NULL && *list != NULL; list++)
        strcat(strcat(text, *list), "|");
    return text;
}

static const char *joined_pids(const struct options *options)
{
    static char text[1024];
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < options->n_pids; i++)
        size += (size_t)sprintf(text + size, "%d|", options->pids[i]);
    return text;
}

/* Parses, and expects no message; the caller releases the options. */
static struct options accepted(void **state, char *const *words)
{
    struct options options;

    assert_int_equal(parse(&options, words), 0);
    assert_string_equal(caught_line(state), "");
    return options;
}

#define ACCEPTED(...) accepted(state, WORDS(__VA_ARGS__))

/* Expects that parsing fails with one message, which contains each part of expected; '|' separates
 * the parts. */
static void refused(void **state, const char *expected, char *const *words)
{
    struct options options;
    char wanted[256];

    assert_int_equal(parse(&options, words), -EINVAL);
    options_release(&options);
    const char *line = caught_line(state);
    for (char *rest = strcpy(wanted, expected), *word; (word = strsep(&rest, "|")) != NULL;)
        if (strstr(line, word) == NULL)
            fail_msg("'%s' is not in: %s", word, line);
    assert_string_equal(caught_line(state), "");
}

#define REFUSED(expected, ...) refused(state, expected, WORDS(__VA_ARGS__))

static void assert_targets(void **state, const char *pids, const char *paths, char *const *words)
{
    struct options options = accepted(state, words);

    assert_string_equal(joined_pids(&options), pids);
    assert_string_equal(joined(options.paths), paths);
    options_release(&options);
}

#define TARGETS(pids, paths, ...) assert_targets(state, pids, paths, WORDS(__VA_ARGS__))

/* -- the plain forms --------------------------------------------------- */

static void test_defaults(void **state)
{
    struct options options = ACCEPTED("-n", "nginx");

    assert_int_equal(options.action, ACTION_RUN);
    assert_int_equal(options.n_pids, 0);
    assert_string_equal(joined(options.names), "nginx|");
    assert_string_equal(joined(options.paths), "");
    assert_string_equal(joined(options.excludes), "");
    assert_false(options.all);
    assert_null(options.command);
    assert_int_equal(options.depth, DEPTH_ALL);
    assert_ptr_equal(options.engine, &engine_auto);
    assert_int_equal(options.format, FORMAT_JSON);
    assert_int_equal(options.summary, SUMMARY_NONE);
    assert_null(options.output);
    assert_int_equal(options.sets, TRACE(OPEN));
    assert_int_equal(options.duration_ms, -1);
    assert_int_equal(options.ready_fd, -1);
    assert_null(options.stap.kernel);
    assert_null(options.stap.kallsyms);
    assert_null(options.stap.module_dir);
    assert_int_equal(options.verbosity, 0);
    options_release(&options);
}

static void test_every_option(void **state)
{
    struct options options = ACCEPTED("-p7", "-n", "a", "--name=b", "-D", "0", "-e", "bpf", "-f",
                                      "json", "-o", "out", "-x", "-X", "/x", "--exclude", "y", "-d",
                                      "1.5", "--module-dir", "/m", "-v", "/etc", "lib");

    assert_string_equal(joined_pids(&options), "7|");
    assert_string_equal(joined(options.names), "a|b|");
    assert_string_equal(joined(options.paths), "/etc|lib|");
    assert_string_equal(joined(options.excludes), "/x|y|");
    assert_int_equal(options.depth, 0);
    assert_ptr_equal(options.engine, &engine_bpf);
    assert_string_equal(options.output, "out");
    assert_int_equal(options.sets, TRACE(OPEN) | TRACE(FAIL));
    assert_int_equal(options.duration_ms, 1500);
    assert_string_equal(options.stap.module_dir, "/m");
    assert_int_equal(options.verbosity, 1);
    options_release(&options);
}

static void test_files_of_records(void **state)
{
    struct options options = ACCEPTED("-r", "a", "/etc", "b", "-X", "/x", "-r/log/c", "12", "-r-");

    assert_string_equal(joined(options.files), "a|/log/c|-|b|12|");
    assert_string_equal(joined(options.paths), "/etc|");
    assert_int_equal(options.sets, TRACE_ALL);
    options_release(&options);
    options = ACCEPTED("b", "--read", "a", "-xx", "-w", "-c", "-m", "/x*", "-u", "0");
    assert_string_equal(joined(options.files), "a|b|");
    assert_true(options.only_failed);
    options_release(&options);
    options = ACCEPTED("-n", "x", "a");
    assert_string_equal(joined(options.files), "");
    options_release(&options);
}

/* Nothing would be below the second, and the output would be empty. */
static void test_a_file_that_is_taken_for_a_path(void **state)
{
    struct options options;

    assert_int_equal(parse(&options, WORDS("-r", "/log/a", "/log/b", "/log/c")), 0);
    assert_string_equal(caught_line(state),
                        "filemon: /log/b is taken for a PATH, as /log/a is a FILE; a FILE that "
                        "begins with a slash needs its own -r\n");
    assert_string_equal(caught_line(state), "");
    assert_string_equal(joined(options.paths), "/log/b|/log/c|");
    options_release(&options);
    options = ACCEPTED("-r", "/log/a", "/log/b/c", "/logs/b", "/lo", "/", "-r", "/log/d");
    options_release(&options);
    options = ACCEPTED("-r", "a", "b", "/b");
    options_release(&options);
    options = ACCEPTED("-r", "/a", "/");
    options_release(&options);
}

static void test_what_does_not_go_with_records(void **state)
{
    static char *const words[][3] = {
        {"-p", "1"}, {"-n", "x"}, {"-g", "x"},   {"-a"},      {"-D", "0"},   {"-i"},
        {"-d", "1"}, {"-I"},      {"-e", "bpf"}, {"--check"}, {"--prepare"}, {"--module-dir", "m"},
    };
    char expected[64];

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(expected, sizeof expected, "-r reads records|%s does not go with it", words[i][0]);
        REFUSED(expected, "-r", "f", words[i][0], words[i][1]);
    }
    REFUSED("-- COMMAND does not go with it", "-r", "f", "--", "ls");
    REFUSED("-X etc|absolute", "-r", "f", "-X", "etc");
    REFUSED("-r|FILE is empty", "-r", "");
}

static void test_totals_again_and_again(void **state)
{
    struct options options = ACCEPTED("-n", "x", "-c", "--every", "0.25");

    assert_int_equal(options.every_ms, 250);
    assert_int_equal(options.duration_ms, -1);
    options_release(&options);
    REFUSED("--every|-c", "-n", "x", "--every", "5");
    REFUSED("--every|-c", "-n", "x", "-C", "--every", "5");
    REFUSED("--every wants seconds|'0'", "-n", "x", "-c", "--every", "0");
    REFUSED("--every wants seconds|'5m'", "-n", "x", "-c", "--every", "5m");
}

static void test_every_process(void **state)
{
    struct options options = ACCEPTED("-a", "/etc/passwd");

    assert_true(options.all);
    assert_string_equal(joined(options.paths), "/etc/passwd|");
    options_release(&options);
    options = ACCEPTED("/etc/passwd", "--all");
    assert_true(options.all);
    options_release(&options);
}

static void test_engines(void **state)
{
    static const struct {
        char *name;
        const struct engine_ops *engine;
        bool other_way;
    } given[] = {{"auto", &engine_auto, false},
                 {"stap", &engine_stap, false},
                 {"bpf:tracepoint", &engine_bpf, true},
                 {"bpf", &engine_bpf, false}};

    for (int i = 0; i < 4; i++) {
        struct options options = ACCEPTED("-n", "x", "-e", "bpf:tracepoint", "-e", given[i].name);
        assert_ptr_equal(options.engine, given[i].engine);
        assert_int_equal(options.other_way, given[i].other_way);
        options_release(&options);
    }
    REFUSED("-e|'perf'|auto|stap|bpf|bpf:tracepoint", "-n", "x", "-e", "perf");
    REFUSED("-e|'sta'", "-n", "x", "-e", "sta");
    REFUSED("-e|'stapx'", "-n", "x", "-e", "stapx");
    REFUSED("-e|'bpf:'", "-n", "x", "-e", "bpf:");
    REFUSED("-e|'bpf:tracepoints'", "-n", "x", "-e", "bpf:tracepoints");
    REFUSED("-e|'stap:tracepoint'", "-n", "x", "-e", "stap:tracepoint");
    REFUSED("-e|'auto|stap'", "-n", "x", "-e", "auto|stap");
}

static void test_formats(void **state)
{
    static char *const names[] = {"json", "text", "csv"};

    for (int i = 0; i < 3; i++) {
        struct options options = ACCEPTED("-n", "x", "-f", names[i]);
        assert_int_equal(options.format, i);
        options_release(&options);
    }
    REFUSED("-f|'xml'|json|text|csv", "-n", "x", "-f", "xml");
}

static void assert_summary(void **state, int summary, int format, char *const *words)
{
    struct options options = accepted(state, words);

    assert_int_equal(options.summary, summary);
    assert_int_equal(options.format, format);
    options_release(&options);
}

#define SUMMARY(summary, format, ...) assert_summary(state, summary, format, WORDS(__VA_ARGS__))

static void test_summaries(void **state)
{
    SUMMARY(SUMMARY_ALONE, FORMAT_TEXT, "-c", "-n", "x");
    SUMMARY(SUMMARY_ALONE, FORMAT_TEXT, "--summary", "-f", "text", "-n", "x");
    SUMMARY(SUMMARY_ALONE, FORMAT_JSON, "-f", "json", "-n", "x", "-c");
    SUMMARY(SUMMARY_AFTER, FORMAT_JSON, "-C", "-n", "x");
    SUMMARY(SUMMARY_AFTER, FORMAT_TEXT, "-cC", "-n", "x", "-ftext");
    SUMMARY(SUMMARY_ALONE, FORMAT_TEXT, "-Cc", "-n", "x");
    REFUSED("-c|-C|text or json|-f csv", "-c", "-f", "csv", "-n", "x");
    REFUSED("-c|-C|text or json|-f csv", "-f", "csv", "-C", "-n", "x");
}

static void assert_fields(void **state, const char *first, size_t n, char *const *words)
{
    struct options options = accepted(state, words);

    assert_string_equal(options.fields.list[0]->key, first);
    assert_int_equal(options.fields.n, n);
    options_release(&options);
}

/* The format decides which fields are the usual ones, wherever it is given. */
static void test_fields(void **state)
{
    assert_fields(state, "codigo", 21, WORDS("-n", "x"));
    assert_fields(state, "codigo", 22, WORDS("-n", "x", "-F", "+fecha"));
    assert_fields(state, "date", 7, WORDS("-n", "x", "-f", "text"));
    assert_fields(state, "date", 8, WORDS("-n", "x", "-F+fecha", "-f", "text"));
    assert_fields(state, "pid", 2, WORDS("-n", "x", "--fields=pid", "-f", "text", "-F", "+tid"));
    assert_fields(state, "tid", 2, WORDS("-n", "x", "-F", "pid", "-F", "tid"));
    assert_fields(state, "pid", 2, WORDS("-n", "x", "-C", "-F", "pid"));
    REFUSED("-F|LIST is empty", "-n", "x", "-F", "");
    REFUSED("-F|LIST", "-n", "x", "-F");
    REFUSED("-F pidd|did you mean pid?|filemon --help", "-n", "x", "-F", "pidd");
    REFUSED("-F +pid|already", "-n", "x", "-F", "+pid", "-f", "text");
    REFUSED("-F|-c prints none|-C", "-n", "x", "-F", "pid", "-c");
    REFUSED("-F|-c prints none|-C", "-n", "x", "-F", "+ejecutable,pid", "-c");
    assert_fields(state, "ejecutable", 1, WORDS("-n", "x", "-F", "ejecutable", "-c"));
}

static void assert_view(void **state, int sort, int top, char *const *words)
{
    struct options options = accepted(state, words);

    assert_int_equal(options.sort, sort);
    assert_int_equal(options.top, top);
    options_release(&options);
}

#define VIEW(sort, top, ...) assert_view(state, sort, top, WORDS(__VA_ARGS__))

static void test_views_of_totals(void **state)
{
    VIEW(SORT_OPENS, SUMMARY_TOP_DEFAULT, "-c", "-n", "x");
    VIEW(SORT_OPENS, 0, "-c", "-n", "x", "--sort", "opens", "--top", "0");
    VIEW(SORT_TIME, 1000000, "--sort=time", "--top=1000000", "-C", "-n", "x");
    VIEW(SORT_FAILED, 7, "-c", "-n", "x", "--sort", "failed", "--top", "7");
    VIEW(SORT_NAME, SUMMARY_TOP_DEFAULT, "-c", "-n", "x", "--sort", "time", "--sort", "name");
    REFUSED("--sort|'size'", "-c", "-n", "x", "--sort", "size");
    REFUSED("--sort bytes|-b", "-c", "-n", "x", "--sort", "bytes");
    VIEW(SORT_BYTES, SUMMARY_TOP_DEFAULT, "-bc", "-r", "f", "--sort", "bytes");
    REFUSED("--sort|NAME", "-c", "-n", "x", "--sort", "NAME");
    REFUSED("--sort|empty", "-c", "-n", "x", "--sort", "");
    REFUSED("--top|0 to 1000000|'1000001'", "-c", "-n", "x", "--top", "1000001");
    REFUSED("--top|'-1'", "-c", "-n", "x", "--top", "-1");
    REFUSED("--top|'5k'", "-c", "-n", "x", "--top", "5k");
    REFUSED("--sort and --top|-c or -C", "-n", "x", "--sort", "opens");
    REFUSED("--sort and --top|-c or -C", "-n", "x", "--top", "0");
}

static void test_last_option_wins(void **state)
{
    struct options options = ACCEPTED("-qv", "-n", "x", "-o", "a", "-o", "b", "-D1", "-D", "2");

    assert_int_equal(options.verbosity, 1);
    assert_string_equal(options.output, "b");
    assert_int_equal(options.depth, 2);
    options_release(&options);
    options = ACCEPTED("--verbose", "--quiet", "-n", "x");
    assert_int_equal(options.verbosity, -1);
    options_release(&options);
}

static void test_abbreviated_long_options(void **state)
{
    struct options options = ACCEPTED("--na", "x", "--dep=3", "--fail");

    assert_string_equal(joined(options.names), "x|");
    assert_int_equal(options.depth, 3);
    assert_int_equal(options.sets, TRACE(OPEN) | TRACE(FAIL));
    options_release(&options);
}

/* The second -x, in whatever form. */
static void test_failed_alone(void **state)
{
    struct options options = ACCEPTED("-xx", "-n", "x");

    assert_true(options.only_failed);
    options_release(&options);
    options = ACCEPTED("--failed", "-n", "x", "-xx");
    assert_true(options.only_failed);
    options_release(&options);
    REFUSED("-xx reports only calls that failed|-i", "-xx", "-i", "-n", "x");
    REFUSED("-xx reports only calls that failed|-i", "-i", "-x", "-x", "-n", "x");
}

static void assert_sets(void **state, unsigned int sets, char *const *words)
{
    struct options options = accepted(state, words);

    assert_int_equal(options.sets, sets);
    options_release(&options);
}

#define SETS(sets, ...) assert_sets(state, sets, WORDS("-n", "x", __VA_ARGS__))
#define SETS_READ(sets, ...) assert_sets(state, sets, WORDS("-r", "x", __VA_ARGS__))

static void test_sets(void **state)
{
    SETS(TRACE(FAIL), "-t", "fail");
    SETS(TRACE(OPEN) | TRACE(FAIL) | TRACE(HELD), "-t", "+fail,held");
    SETS(TRACE(OPEN) | TRACE(FAIL) | TRACE(HELD), "--trace=+fail,+held");
    SETS(TRACE(OPEN) | TRACE(HELD), "-i");
    /* A list without + replaces those before it, but not what is added. */
    SETS(TRACE(HELD), "-t", "open", "-t", "held");
    SETS(TRACE(HELD) | TRACE(FAIL), "-x", "-t", "held");
    SETS(TRACE(HELD) | TRACE(FAIL), "-t", "+fail", "-t", "held");
}

/* Records that are read ask no engine for what is initially open. */
static void test_initially_open(void **state)
{
    struct options options = ACCEPTED("-n", "x", "-t", "held");

    assert_true(options.initial);
    options_release(&options);
    options = ACCEPTED("-r", "x", "-t", "held");
    assert_false(options.initial);
    options_release(&options);
}

static void test_sets_of_records(void **state)
{
    SETS_READ(TRACE_ALL, "-x");
    SETS_READ(TRACE(NAMES) | TRACE(EXEC), "-t", "names,exec");
    SETS_READ(TRACE_ALL, "-t", "all");
}

static void test_bad_sets(void **state)
{
    REFUSED("-t name|did you mean names", "-r", "x", "-t", "name");
    REFUSED("-t exce|did you mean exec", "-r", "x", "-t", "exce");
    REFUSED("-t writes|the sets are open, fail", "-r", "x", "-t", "writes");
    REFUSED("-t open,|a SET is empty", "-r", "x", "-t", "open,");
    REFUSED("-t +|a SET is empty", "-r", "x", "-t", "+");
    REFUSED("-t open,+fail|begins with +", "-r", "x", "-t", "open,+fail");
    REFUSED("-t|is empty", "-r", "x", "-t", "");
}

/* Keys of their own, which a LIST can replace, but not all of them. */
static void test_bytes(void **state)
{
    assert_fields(state, "codigo", 26, WORDS("-b", "-r", "f"));
    assert_fields(state, "codigo", 26, WORDS("-r", "f"));
    assert_fields(state, "codigo", 20, WORDS("-r", "f", "-f", "csv"));
    assert_fields(state, "codigo", 25, WORDS("-r", "f", "-f", "csv", "--bytes"));
    assert_fields(state, "pid", 3, WORDS("-r", "f", "-F", "pid,leidos", "-b"));
    assert_fields(state, "pid", 2, WORDS("-r", "f", "-F", "pid", "-b", "-C"));
    REFUSED("-b adds keys|-F", "-r", "f", "-F", "pid", "-b");
    REFUSED("-xx reports only calls that failed|-b", "-xx", "-b", "-n", "x");
    struct options options = ACCEPTED("-b", "-c", "-r", "f");
    assert_int_equal(options.fields.facts, FACT(BYTES));
    options_release(&options);
}

static void test_patterns(void **state)
{
    struct options options = ACCEPTED("-m", "*.conf", "-a", "--match=/etc/[a-z]*");

    assert_string_equal(joined(options.patterns), "*.conf|/etc/[a-z]*|");
    assert_string_equal(joined(options.paths), "");
    options_release(&options);
    REFUSED("-m /a[b: a bracket is not closed", "-m", "/a[b", "-n", "x");
    REFUSED("-m passwd: |which begins with /", "-m", "passwd", "-a");
    REFUSED("-m|GLOB is empty", "-m", "", "-a");
}

static void test_inodes(void **state)
{
    struct options options = ACCEPTED("-n", "x", "/etc");

    assert_false(options.by_inode);
    options_release(&options);
    options = ACCEPTED("-I", "-n", "x", "/etc");
    assert_true(options.by_inode);
    options_release(&options);
    options = ACCEPTED("--inode", "-n", "x", "-X", "/etc");
    assert_true(options.by_inode);
    options_release(&options);
    REFUSED("-I says what PATHs mean: it goes with a PATH or -X", "-I", "-n", "x");
    REFUSED("-I says what PATHs mean", "-I", "-a", "-m", "*.conf");
    REFUSED("--check|no target", "--check", "-I", "-n", "x");
}

static void test_users(void **state)
{
    struct options options = ACCEPTED("-u", "root", "-a", "--user=4294967294", "-u", "0", "-w");

    assert_int_equal(options.n_users, 2);
    assert_int_equal(options.users[0], 0);
    assert_int_equal(options.users[1], 4294967294);
    assert_true(options.writes);
    options_release(&options);
    REFUSED("-u roott: there is no such user; did you mean root?", "-u", "roott", "-a");
    REFUSED("-u no-such-user-at-all: there is no such user; getent passwd", "-u",
            "no-such-user-at-all", "-a");
    REFUSED("-u 4294967295: there is no such user", "-u", "4294967295", "-a");
    REFUSED("-u|USER is empty", "-u", "", "-a");
}

static void test_groups(void **state)
{
    struct options options = ACCEPTED("-g", "nginx", "-p", "1", "--cgroup=/system.slice", "-n",
                                      "x");

    assert_string_equal(joined(options.groups), "nginx|/system.slice|");
    options_release(&options);
    REFUSED("-g|CGROUP is empty", "-g", "");
    REFUSED("-a is every process|-g", "-a", "-g", "nginx", "/etc");
    REFUSED("-- COMMAND is a target of its own|-g", "-g", "nginx", "--", "ls");
}

static void test_too_many_users_or_groups(void **state)
{
    char users[ENGINE_USERS_MAX + 1][16];
    char *words[ENGINE_USERS_MAX + 3] = {"-a"};

    for (int i = 0; i <= ENGINE_USERS_MAX; i++) {
        snprintf(users[i], sizeof users[i], "-u%d", i);
        words[i + 1] = users[i];
    }
    refused(state, "-u: more than 64 users", words);
    for (int i = 0; i <= ENGINE_GROUPS_MAX; i++)
        words[i + 1][1] = 'g';
    refused(state, "-g: more than 64 control groups", words);
}

/* -- processes --------------------------------------------------------- */

static void test_pid_lists(void **state)
{
    TARGETS("1|", "", "-p", "1");
    TARGETS("1|2|3|", "", "-p", "1,2,3");
    TARGETS("1|2|3|4|", "", "-p", " 1 2\n3\t, 4\n");
    TARGETS("1|2|3|", "", "-p", "3", "-p2,1", "--pid=1");
    TARGETS("1|10|4194304|", "", "-p", "4194304,10,1");
    TARGETS("7|", "", "-p", "007,7");
}

static void test_digit_operands_are_pids(void **state)
{
    TARGETS("1|2|3|", "/etc|", "-p", "1", "2", "3", "/etc");
    TARGETS("1|2|3|", "/etc|", "3", "/etc", "2", "-p", "1");
    TARGETS("1|2|", "./3|4x|x4|", "./3", "4x", "-p", "2", "x4", "1");
    TARGETS("1|5|9|", "", "-p", "5,9,1,5", "9", "1", "1");
    REFUSED("12|-p|./12", "12", "/etc");
    REFUSED("12|-p|./12", "-n", "x", "12");
    REFUSED("12|-p|./12", "-a", "12");
    REFUSED("12|-p|./12", "12", "--", "ls");
}

static void test_pids_out_of_range(void **state)
{
    REFUSED("0|4194304", "-p", "0");
    REFUSED("4194305|4194304", "-p", "1,4194305");
    REFUSED("18446744073709551617|4194304", "-p", "18446744073709551617");
    REFUSED("99999999|4194304", "-p", "1", "99999999");
    REFUSED("0|4194304", "-p", "1", "0");
}

static void test_wrong_pid_lists(void **state)
{
    static char *const lists[] = {"1,,2", "1,",  "1, ", "1;2",  "1x",
                                  "1,x",  "1.5", "1-3", "1 -2", "1 /etc"};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "-p|'%s'|1,2,3", lists[i]);
        REFUSED(expected, "-p", lists[i]);
    }
}

/* "filemon -p $(pidof master) ..." if no master is running. */
static void test_empty_command_substitution(void **state)
{
    REFUSED("-p wants|'/etc'|pidof|not running|-n", "-p", "/etc");
    REFUSED("-p wants|none|pidof|not running|-n", "-p");
    REFUSED("-p wants|none|pidof|not running|-n", "-x", "-p");
    REFUSED("-p wants|none|pidof|not running|-n", "-p", "");
    REFUSED("-p wants|none|pidof|not running|-n", "-p", " \n");
    REFUSED("-p wants|none|pidof|not running|-n", "--pid=");
    REFUSED("-p wants|none|pidof|not running|-n", "--pid");
    REFUSED("-p wants|'-x'|pidof|-n", "-p", "-x", "/etc");
    REFUSED("-p wants|'--'|pidof|-n", "-p", "--", "ls");
    REFUSED("-p wants|'master'|-n", "-p", "master");
    REFUSED("-p wants|'-1'|-n", "-p", "-1");
}

static void test_very_many_pids(void **state)
{
    size_t n = 20000;
    char *list = malloc(n * 7 + 1), *at = list;

    for (size_t i = n; i > 0; i--)
        at += sprintf(at, "%zu,", i);
    at[-1] = '\0';
    struct options options = ACCEPTED("-p", list, "-p", list);
    assert_int_equal(options.n_pids, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(options.pids[i], i + 1);
    options_release(&options);
    free(list);
}

/* -- names, paths, commands -------------------------------------------- */

static void test_names(void **state)
{
    char longest[257];

    memset(longest, 'n', 256);
    longest[255] = '\0';
    struct options options = ACCEPTED("-n", longest, "-n", "-bash", "-n", "a b", "-n", "12");
    assert_string_equal(options.names[0], longest);
    assert_string_equal(joined(options.names + 1), "-bash|a b|12|");
    options_release(&options);

    longest[255] = 'n';
    longest[256] = '\0';
    REFUSED("-n|255", "-n", longest);
    REFUSED("-n|NAME", "-n", "");
    REFUSED("-n|NAME", "-n");
    REFUSED("-n /usr/sbin/nginx|last component|'nginx'", "-n", "/usr/sbin/nginx");
    REFUSED("-n a/|not a path", "-n", "a/");
}

static void test_paths(void **state)
{
    TARGETS("", "-|.|../x y|/|", "-n", "x", "-", ".", "../x y", "/");
    REFUSED("empty PATH", "-n", "x", "");
    REFUSED("-X|PATH", "-n", "x", "-X", "");
}

static void test_commands(void **state)
{
    struct options options = ACCEPTED("-x", "/etc", "--", "ls", "-l", "--", "-p", "12");

    assert_string_equal(joined(options.command), "ls|-l|--|-p|12|");
    assert_string_equal(joined(options.paths), "/etc|");
    assert_int_equal(options.sets, TRACE(OPEN) | TRACE(FAIL));
    options_release(&options);
    options = ACCEPTED("--", "true");
    assert_string_equal(joined(options.command), "true|");
    options_release(&options);
    REFUSED("no COMMAND", "--");
    REFUSED("empty COMMAND", "--", "", "x");
    REFUSED("no COMMAND", "/etc", "--");
}

static void test_double_dash_as_an_argument(void **state)
{
    struct options options = ACCEPTED("-n", "x", "-o", "--");

    assert_null(options.command);
    assert_string_equal(options.output, "--");
    options_release(&options);
    options = ACCEPTED("-o", "--", "--", "ls");
    assert_string_equal(joined(options.command), "ls|");
    options_release(&options);
    options = ACCEPTED("-n", "x", "-X", "--", "-x");
    assert_int_equal(options.sets, TRACE(OPEN) | TRACE(FAIL));
    options_release(&options);
}

static void test_conflicting_targets(void **state)
{
    REFUSED("nothing to watch|-p|-n|-a|-- COMMAND|--help", NULL);
    REFUSED("nothing to watch|'/etc'|-n /etc|-- /etc|-a /etc", "/etc");
    REFUSED("-a needs a PATH, -m GLOB or -u USER", "-a");
    REFUSED("-a is every process|-p", "-a", "-p", "1", "/etc");
    REFUSED("-a is every process|-n", "-n", "x", "-a", "/etc");
    REFUSED("-- COMMAND|-p", "-p", "1", "--", "ls");
    REFUSED("-- COMMAND|-n", "-n", "x", "--", "ls");
    REFUSED("-- COMMAND|-a", "-a", "/etc", "--", "ls");
    TARGETS("1|", "/etc|", "-p", "1", "-n", "x", "/etc");
}

/* -- numbers ----------------------------------------------------------- */

static void test_depths(void **state)
{
    static char *const wrong[] = {"-1", "x", "1x", "1.5", " 1", "1000001", "all", "0x1"};
    struct options options = ACCEPTED("-n", "x", "-D", "1000000");

    assert_int_equal(options.depth, 1000000);
    options_release(&options);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "-D|from 0|'%s'", wrong[i]);
        REFUSED(expected, "-n", "x", "-D", wrong[i]);
    }
    REFUSED("-D|N", "-n", "x", "-D");
    REFUSED("-D|N", "-n", "x", "-D", "");
}

static void test_durations(void **state)
{
    static const struct {
        char *text;
        int64_t ms;
    } right[] = {{"1", 1000},
                 {"0.5", 500},
                 {".25", 250},
                 {"2.", 2000},
                 {"0.001", 1},
                 {"1.0019", 1001},
                 {"10.05", 10050},
                 {"007.5", 7500},
                 {"0.00199999999999999999999999", 1},
                 {"316224000", 316224000000}};
    static char *const wrong[] = {"0",
                                  "0.0",
                                  "0.0009",
                                  "-1",
                                  "+1",
                                  "1s",
                                  "1e3",
                                  ".",
                                  "1.2.3",
                                  "0x1",
                                  "inf",
                                  "nan",
                                  "1,5",
                                  " 1",
                                  "1 ",
                                  "x",
                                  "1.x",
                                  "316224001",
                                  "99999999999999999999"};

    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct options options = ACCEPTED("-n", "x", "-d", right[i].text);
        assert_int_equal(options.duration_ms, right[i].ms);
        options_release(&options);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "-d|from 0.001 to 316224000|'%s'", wrong[i]);
        REFUSED(expected, "-n", "x", "-d", wrong[i]);
    }
}

/* -- options that need no target --------------------------------------- */

static void test_check_and_prepare(void **state)
{
    struct options options = ACCEPTED("--check", "-e", "stap", "--check");

    assert_int_equal(options.action, ACTION_CHECK);
    options_release(&options);
    options = ACCEPTED("--prepare", "--module-dir=/m");
    assert_int_equal(options.action, ACTION_PREPARE);
    options_release(&options);
    REFUSED("one at a time", "--check", "--prepare");
    REFUSED("--check|no target", "--check", "-p", "1");
    REFUSED("--check|no target", "--check", "-n", "x");
    REFUSED("--check|no target", "--check", "-a", "/etc");
    REFUSED("--check|no target", "--check", "-a");
    REFUSED("--check|no target", "--check", "/etc");
    REFUSED("--prepare|no target", "--prepare", "--", "ls");
}

static void test_prepare_for_another_kernel(void **state)
{
    struct options options = ACCEPTED("--kallsyms", "/k", "--prepare", "--kernel",
                                      "6.1.0-13-cloud-amd64");

    assert_string_equal(options.stap.kernel, "6.1.0-13-cloud-amd64");
    assert_string_equal(options.stap.kallsyms, "/k");
    options_release(&options);
    REFUSED("--kernel|together", "--prepare", "--kernel", "6.1.0");
    REFUSED("--kallsyms|together", "--prepare", "--kallsyms", "/k");
    REFUSED("--prepare", "-n", "x", "--kernel", "6.1.0", "--kallsyms", "/k");
    REFUSED("--prepare", "--check", "--kernel", "6.1.0", "--kallsyms", "/k");
    REFUSED("--kernel|'../x'", "--prepare", "--kallsyms", "/k", "--kernel", "../x");
    REFUSED("--kernel|'..'", "--prepare", "--kallsyms", "/k", "--kernel", "..");
    REFUSED("--kernel|'/x'", "--prepare", "--kallsyms", "/k", "--kernel", "/x");
}

static void test_help_and_version_act_at_once(void **state)
{
    static char *const words[][2] = {{"-h"},        {"--help"}, {"-V"},
                                     {"--version"}, {"-xh"},    {"-a", "-V"}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct options options = words[i][1] == NULL
                                     ? ACCEPTED(words[i][0], "-Z", "--nonsense", "12")
                                     : ACCEPTED(words[i][0], words[i][1], "-p");
        bool version = i == 2 || i == 3 || i == 5;
        assert_int_equal(options.action, version ? ACTION_VERSION : ACTION_HELP);
        options_release(&options);
    }
}

static void test_help_after_double_dash(void **state)
{
    struct options options = ACCEPTED("--", "ls", "--help");

    assert_int_equal(options.action, ACTION_RUN);
    options_release(&options);
}

/* -- errors ------------------------------------------------------------ */

static void test_unknown_options(void **state)
{
    REFUSED("unknown option -Z|--help", "-Z");
    REFUSED("unknown option -Z", "-xZq");
    REFUSED("unknown option -l|--help|COMMAND", "ls", "-l");
    REFUSED("unknown option --long|--help|COMMAND", "ls", "--long");
    REFUSED("unknown option --fromat=csv|did you mean --format", "--fromat=csv");
    REFUSED("unknown option --modul_dir|did you mean --module-dir", "--modul_dir", "x");
    REFUSED("unknown option --xyzzy|--help", "--xyzzy");
    REFUSED("unknown option -\\x1b", "-\x1b[2J");
    REFUSED("unknown option -\\xff", "-\xff");
    REFUSED("unknown option --nonsense=1|--help", "-n", "x", "--nonsense=1");
    REFUSED("unknown option --\\n", "--\n");
    REFUSED("--ver|more than one", "--ver");
    REFUSED("--k=1|more than one", "--k=1");
    REFUSED("--summary-also", "--summary-also");
}

static void test_missing_and_unexpected_arguments(void **state)
{
    REFUSED("-o|FILE", "-n", "x", "-o");
    REFUSED("-o|FILE", "-n", "x", "--output=");
    REFUSED("--module-dir|DIR", "-n", "x", "--module-dir");
    REFUSED("--kernel|RELEASE", "--prepare", "--kernel", "");
    REFUSED("-e|auto", "-n", "x", "-e", "");
    REFUSED("--all=x|no argument", "--all=x");
    REFUSED("--check=|no argument", "--check=");
}

static void test_no_program_name(void **state)
{
    char *argv[] = {NULL};
    struct options options;

    options_init(&options);
    assert_int_equal(options_parse(&options, 0, argv), -EINVAL);
    assert_non_null(strstr(caught_line(state), "nothing to watch"));
    options_release(&options);
}

/* -- texts ------------------------------------------------------------- */

static char *text_of(void (*print)(FILE *out))
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    print(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_help(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "-p PID[,PID...] [PID...] [PATH...]\n",
        "-n NAME [PATH...]\n",
        "-a PATH...\n",
        "-- COMMAND [ARG...]\n",
        "  -p, --pid PID",
        "  -n, --name NAME",
        "  -a, --all  ",
        "  -D, --depth N",
        "  -e, --engine auto|stap|bpf|bpf:tracepoint  ",
        "  -f, --format json|text|csv  ",
        "  -c, --summary  ",
        "  -C  ",
        "  -F, --fields LIST  ",
        "      --sort opens|time|failed|bytes|name  ",
        "      --top N  ",
        "  -o, --output FILE",
        "  -I, --inode  ",
        "  -m, --match GLOB",
        "  -g, --cgroup CGROUP",
        "  -w, --writes",
        "  -u, --user USER",
        "  -b, --bytes  ",
        "  -x, --failed",
        "  -X, --exclude PATH",
        "  -d, --duration SECONDS",
        "      --check",
        "      --prepare",
        "      --kernel RELEASE",
        "      --kallsyms FILE",
        "      --module-dir DIR",
        "  -q, --quiet",
        "  -v, --verbose",
        "  -h, --help",
        "  -V, --version",
        "  duracion_ns ",
    };
    char *text = text_of(options_help);

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_non_null(strstr(text, wanted[i]));
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        assert_true(strlen(line) <= 80);
        assert_true(line[0] == '\0' || line[strlen(line) - 1] != ' ');
    }
    free(text);
}

static void test_version(void **state)
{
    (void)state;
    char *text = text_of(options_version);

    assert_string_equal(text, "filemon " FILEMON_VERSION "\n");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, caught_begin, caught_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_sets),
        TEST(test_initially_open),
        TEST(test_sets_of_records),
        TEST(test_bad_sets),
        TEST(test_every_option),
        TEST(test_files_of_records),
        TEST(test_a_file_that_is_taken_for_a_path),
        TEST(test_what_does_not_go_with_records),
        TEST(test_totals_again_and_again),
        TEST(test_every_process),
        TEST(test_engines),
        TEST(test_formats),
        TEST(test_summaries),
        TEST(test_fields),
        TEST(test_bytes),
        TEST(test_views_of_totals),
        TEST(test_last_option_wins),
        TEST(test_abbreviated_long_options),
        TEST(test_failed_alone),
        TEST(test_patterns),
        TEST(test_inodes),
        TEST(test_users),
        TEST(test_groups),
        TEST(test_too_many_users_or_groups),
        TEST(test_pid_lists),
        TEST(test_digit_operands_are_pids),
        TEST(test_pids_out_of_range),
        TEST(test_wrong_pid_lists),
        TEST(test_empty_command_substitution),
        TEST(test_very_many_pids),
        TEST(test_names),
        TEST(test_paths),
        TEST(test_commands),
        TEST(test_double_dash_as_an_argument),
        TEST(test_conflicting_targets),
        TEST(test_depths),
        TEST(test_durations),
        TEST(test_check_and_prepare),
        TEST(test_prepare_for_another_kernel),
        TEST(test_help_and_version_act_at_once),
        TEST(test_help_after_double_dash),
        TEST(test_unknown_options),
        TEST(test_missing_and_unexpected_arguments),
        TEST(test_no_program_name),
        TEST(test_help),
        TEST(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
