/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/names.h"

#include <errno.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "proctree.h"

#define SELF 99

static int name_resolve(const struct procfs *procfs, const char *name, pid_t self,
                        struct name_match *match)
{
    struct programs *programs;
    int status = programs_read(&programs, procfs, self);

    *match = (struct name_match){0};
    if (status != 0)
        return status;
    status = programs_match(programs, name, match);
    programs_free(programs);
    return status;
}

/* The arguments after rule are the expected pids, followed by 0. */
static void assert_match(const struct proctree *tree, const char *name, enum name_rule rule,
                         const pid_t *pids)
{
    struct name_match match;
    size_t n = 0;

    assert_int_equal(name_resolve(&tree->procfs, name, SELF, &match), 0);
    assert_int_equal(match.rule, rule);
    for (; pids[n] != 0; n++) {
        assert_true(n < match.n_pids);
        assert_int_equal(match.pids[n], pids[n]);
    }
    assert_int_equal(match.n_pids, n);
    name_match_release(&match);
}

#define ASSERT_MATCH(tree, name, rule, ...)                                                        \
    assert_match(tree, name, rule, (const pid_t[]){__VA_ARGS__, 0})
#define ASSERT_NO_MATCH(tree, name) ASSERT_MATCH(tree, name, NAME_NONE, 0)

static void test_no_match(void **state)
{
    const struct proctree *tree = *state;

    ASSERT_NO_MATCH(tree, "nginx");
    proctree_add(tree, (struct made){.pid = 10, .comm = "nginx2", .exe = "/opt/nginx2/xnginx"});
    proctree_add(tree, (struct made){.pid = 11, .comm = "ngin", .exe = "/nginx.d/ngin"});
    ASSERT_NO_MATCH(tree, "nginx");
}

/* One process for each rule: when the process of a rule is removed, the next rule decides. */
static void test_the_order_of_the_rules(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 50, .comm = "foo", .exe = "/bin/x", .cmdline = "x|"});
    proctree_add(tree, (struct made){.pid = 40, .comm = "x", .exe = "/bin/foo", .cmdline = "x|"});
    proctree_add(tree, (struct made){.pid = 30, .comm = "x", .exe = "/bin/x", .cmdline = "foo|"});
    proctree_add(tree, (struct made){
                           .pid = 20,
                           .comm = "x",
                           .exe = "/bin/x",
                           .cmdline = "x|",
                           .cgroup = "0::/system.slice/foo.service\n",
                       });
    proctree_add(tree,
                 (struct made){.pid = 10, .comm = "x", .exe = "/opt/foo/bin/x", .cmdline = "x|"});

    static const pid_t by_rule[] = {50, 40, 30, 20, 10};
    for (int i = 0; i < 5; i++) {
        char pid[8];
        ASSERT_MATCH(tree, "foo", (enum name_rule)(NAME_COMM + i), by_rule[i]);
        snprintf(pid, sizeof pid, "%d", by_rule[i]);
        proctree_remove(tree, pid);
    }
    ASSERT_NO_MATCH(tree, "foo");
}

static void test_all_processes_of_the_best_rule_by_rising_pid(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 9, .comm = "x", .exe = "/bin/foo"});
    proctree_add(tree, (struct made){.pid = 10, .comm = "foo"});
    proctree_add(tree, (struct made){.pid = 100, .comm = "foo", .exe = "/foo/foo"});
    proctree_add(tree, (struct made){.pid = 101, .comm = "x", .exe = "/bin/foo"});
    proctree_add(tree, (struct made){.pid = 20, .comm = "foo", .cmdline = "foo|"});
    ASSERT_MATCH(tree, "foo", NAME_COMM, 10, 20, 100);
}

static void test_changed_comms(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "a) b"});
    proctree_add(tree, (struct made){.pid = 11, .comm = "two words\nand"});
    ASSERT_MATCH(tree, "a) b", NAME_COMM, 10);
    ASSERT_MATCH(tree, "two words\nand", NAME_COMM, 11);
}

static void test_names_longer_than_a_comm(void **state)
{
    const struct proctree *tree = *state;
    const char *name = "systemd-long-name-20"; /* its first 15 bytes are "systemd-long-na" */

    proctree_add(tree, (struct made){.pid = 10,
                                     .comm = "systemd-long-na",
                                     .exe = "/lib/systemd-long-name-2x",
                                     .cmdline = "systemd-long-name|"});
    ASSERT_NO_MATCH(tree, name);
    proctree_add(
        tree,
        (struct made){.pid = 11, .comm = "systemd-long-na", .exe = "/lib/systemd-long-name-20"});
    proctree_add(tree, (struct made){.pid = 12,
                                     .comm = "systemd-long-na",
                                     .cmdline = "/lib/systemd-long-name-20|"});
    proctree_add(
        tree,
        (struct made){.pid = 13, .comm = "systemd-long-n", .exe = "/lib/systemd-long-name-20"});
    proctree_add(
        tree,
        (struct made){.pid = 14, .comm = "systemd-long-nb", .exe = "/lib/systemd-long-name-20"});
    ASSERT_MATCH(tree, name, NAME_COMM, 11, 12);
    proctree_remove(tree, "11");
    proctree_remove(tree, "12");
    ASSERT_MATCH(tree, name, NAME_EXE, 13, 14);
    ASSERT_MATCH(tree, "systemd-long-na", NAME_COMM, 10); /* 15 bytes are a whole comm */
}

static void test_executables(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .exe = "/usr/sbin/nginx (deleted)"});
    proctree_add(tree, (struct made){.pid = 11, .comm = "x", .exe = "/usr/sbin/nginx"});
    proctree_add(tree, (struct made){.pid = 12, .comm = "nobody sees its exe"});
    ASSERT_MATCH(tree, "nginx", NAME_EXE, 10, 11);
}

/* An unreadable executable matches no rule, whatever the error of readlink(2) is. */
static void test_an_executable_that_cannot_be_read(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .cmdline = "/opt/tool|"});
    proctree_write(tree, 10, "exe", "", 0); /* EINVAL */
    ASSERT_MATCH(tree, "tool", NAME_ARGV, 10);
    ASSERT_NO_MATCH(tree, "opt");
}

static void test_argv0(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .cmdline = "-login|"});
    proctree_add(tree, (struct made){.pid = 11, .comm = "x", .cmdline = "-/usr/bin/login|"});
    proctree_add(tree, (struct made){.pid = 12, .comm = "x", .cmdline = "/usr/bin/login|-x|"});
    proctree_add(tree, (struct made){.pid = 13, .comm = "x", .cmdline = "cat|login|"});
    proctree_add(tree, (struct made){.pid = 14, .comm = "x", .cmdline = "--login|"});
    proctree_add(tree, (struct made){.pid = 15, .comm = "x", .cmdline = "login/|"});
    proctree_add(tree, (struct made){.pid = 16, .comm = "x", .cmdline = ""});
    proctree_add(tree, (struct made){.pid = 17, .comm = "x", .cmdline = "|login|"});
    ASSERT_MATCH(tree, "login", NAME_ARGV, 10, 11, 12);
}

static void assert_script(const struct proctree *tree, const char *cmdline, const char *script)
{
    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .exe = "/i", .cmdline = cmdline});
    ASSERT_MATCH(tree, script, NAME_ARGV, 10);
    proctree_remove(tree, "10");
}

static void assert_no_script(const struct proctree *tree, const char *cmdline)
{
    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .exe = "/i", .cmdline = cmdline});
    ASSERT_NO_MATCH(tree, "tool");
    proctree_remove(tree, "10");
}

static void test_scripts(void **state)
{
    const struct proctree *tree = *state;

    assert_script(tree, "/usr/bin/python3.11|/usr/local/bin/tool|", "tool");
    assert_script(tree, "python3|-u|-B|tool|other|", "tool");
    assert_script(tree, "python3|-m|http.server|", "http.server");
    assert_script(tree, "sh|-e|./tool|", "tool");
    assert_script(tree, "/bin/sh|--|tool|", "tool");
    assert_script(tree, "-bash|--norc|/x/tool|", "tool");
    assert_script(tree, "/usr/bin/perl|-w|/opt/d/tool|-v|", "tool");
    assert_script(tree, "busybox|tool|", "tool");
    assert_script(tree, "env|-i|/opt/tool|", "tool");
    assert_script(tree, "/usr/bin/env|-S|perl -w|/opt/tool|", "perl -w");
    assert_script(tree, "/usr/bin/nodejs|tool|", "tool");
    assert_script(tree, "Rscript|--vanilla|tool|", "tool");
    assert_script(tree, "awk|-f|/x/tool|file|", "tool");
    assert_script(tree, "sed|-nf|tool|", "tool");
    /* argv[0], the name of the interpreter, still matches. */
    assert_script(tree, "/usr/bin/python3.11|/usr/local/bin/tool|", "python3.11");
}

static void test_arguments_that_are_no_script(void **state)
{
    const struct proctree *tree = *state;

    assert_no_script(tree, "less|tool|");
    assert_no_script(tree, "python3|other|tool|");
    assert_no_script(tree, "sh|");
    assert_no_script(tree, "sh|-x|");
    assert_no_script(tree, "sed|s/old/tool|file|");
    assert_no_script(tree, "mawk|-v|/tool|");
    assert_no_script(tree, "awk|--f|/tool|");
    assert_no_script(tree, "bash|-c|tool|");
    assert_no_script(tree, "bash|-lc|exec /usr/bin/tool|");
    assert_no_script(tree, "perl|-ne|tool|");
    assert_no_script(tree, "shx|tool|");
    assert_no_script(tree, "/python3/x|tool|");
    assert_no_script(tree, "sh|/tool/|");
    assert_no_script(tree, "sh||tool|");
}

static void test_units(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10,
                                     .comm = "master",
                                     .cgroup = "0::/system.slice/postfix@-.service\n"});
    proctree_add(tree, (struct made){.pid = 11,
                                     .comm = "x",
                                     .cgroup = "1:name=systemd:/system.slice/postfix.service\n"});
    proctree_add(tree, (struct made){.pid = 12,
                                     .comm = "x",
                                     .cgroup = "0::/system.slice/postfix-extra.service\n"});
    proctree_add(
        tree,
        (struct made){.pid = 13, .comm = "x", .cgroup = "0::/postfix.service/session-1.scope\n"});
    ASSERT_MATCH(tree, "postfix", NAME_UNIT, 10, 11);
    ASSERT_MATCH(tree, "session-1.scope", NAME_UNIT, 13);
    ASSERT_NO_MATCH(tree, "postfix.service");
    ASSERT_NO_MATCH(tree, "post");
}

static void test_the_innermost_unit_alone(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10,
                                     .comm = "x",
                                     .cgroup = "0::/user@1000.service/app.slice/foo.service\n"});
    ASSERT_MATCH(tree, "foo", NAME_UNIT, 10);
    ASSERT_NO_MATCH(tree, "user");
}

static void test_directories_of_the_executable(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree,
                 (struct made){.pid = 10, .comm = "master", .exe = "/usr/lib/postfix/sbin/master"});
    proctree_add(tree,
                 (struct made){.pid = 11, .comm = "qmgr", .exe = "/usr/lib/postfix/sbin/qmgr"});
    proctree_add(tree, (struct made){.pid = 12, .comm = "x", .exe = "/usr/share/postfixes/x"});
    proctree_add(tree, (struct made){.pid = 13, .comm = "y", .exe = "/usr/lib/y"});
    ASSERT_MATCH(tree, "postfix", NAME_DIRECTORY, 10, 11);
    ASSERT_MATCH(tree, "lib", NAME_DIRECTORY, 10, 11, 13);
    ASSERT_MATCH(tree, "usr", NAME_DIRECTORY, 10, 11, 12, 13);
}

static void test_processes_that_never_match(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "foo", .flags = 0x208040});
    proctree_add(tree, (struct made){.pid = 11, .comm = "foo", .state = 'Z'});
    proctree_add(tree, (struct made){.pid = 12, .comm = "foo", .state = 'X'});
    proctree_add(tree, (struct made){.pid = SELF, .comm = "foo", .exe = "/foo/foo"});
    ASSERT_NO_MATCH(tree, "foo");
    proctree_add(tree, (struct made){.pid = 13, .comm = "foo", .state = 'T'});
    ASSERT_MATCH(tree, "foo", NAME_COMM, 13);
}

static void test_processes_that_vanish(void **state)
{
    const struct proctree *tree = *state;

    proctree_write(tree, 10, "cgroup", "", 0);
    proctree_remove(tree, "10/cgroup"); /* the entry is empty */
    proctree_add(tree, (struct made){.pid = 11, .comm = "foo"});
    proctree_remove(tree, "11/cmdline"); /* as if it exited after its stat was read */
    proctree_add(tree, (struct made){.pid = 12, .comm = "foo"});
    proctree_remove(tree, "12/cgroup"); /* as on a kernel without cgroups */
    proctree_write(tree, 13, "stat", "garbage", 7);
    ASSERT_MATCH(tree, "foo", NAME_COMM, 12);
}

/* A shortage of descriptors is an error, not "no such process". */
static void test_out_of_descriptors(void **state)
{
    const struct proctree *tree = *state;
    struct name_match match;
    struct rlimit old, few;

    proctree_add(tree, (struct made){.pid = 10, .comm = "foo"});
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)tree->procfs.fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int status = name_resolve(&tree->procfs, "foo", SELF, &match);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    name_match_release(&match);
    assert_int_equal(status, -EMFILE);
}

static void assert_nearest(const struct proctree *tree, const char *name, const char *expected)
{
    struct programs *programs;

    assert_int_equal(programs_read(&programs, &tree->procfs, SELF), 0);
    const char *nearest = programs_nearest(programs, name);
    if (expected == NULL)
        assert_null(nearest);
    else
        assert_string_equal(nearest, expected);
    programs_free(programs);
}

static void test_nearest_names(void **state)
{
    const struct proctree *tree = *state;
    char longest[NAME_MAX + 1];

    proctree_add(tree, (struct made){.pid = 10, .comm = "nginx", .exe = "/bin/x", .cmdline = "x|"});
    proctree_add(tree,
                 (struct made){.pid = 11, .comm = "x", .exe = "/sbin/postgres", .cmdline = "x|"});
    proctree_add(tree, (struct made){.pid = 12, .comm = "x", .cmdline = "/usr/bin/chromium|-a|"});
    proctree_add(tree, (struct made){.pid = SELF, .comm = "filemon", .exe = "/bin/filemon"});
    assert_nearest(tree, "ngnix", "nginx");
    assert_nearest(tree, "NGINX", "nginx");
    assert_nearest(tree, "nginxx", "nginx");
    assert_nearest(tree, "ngin", "nginx");
    assert_nearest(tree, "inx", NULL); /* a name of three bytes may differ in one, not two */
    assert_nearest(tree, "NGXIN", NULL);
    assert_nearest(tree, "postgresql", "postgres");
    assert_nearest(tree, "postgres-123", NULL); /* no name may differ in more than three */
    assert_nearest(tree, "cromiun", "chromium");
    assert_nearest(tree, "y", NULL);
    assert_nearest(tree, "", NULL);
    assert_nearest(tree, "filemn", NULL);
    memset(longest, 'n', NAME_MAX);
    longest[NAME_MAX] = '\0';
    assert_nearest(tree, longest, NULL);
}

static void test_nearest_name_of_several(void **state)
{
    const struct proctree *tree = *state;

    proctree_add(tree, (struct made){.pid = 10, .comm = "masters"});
    proctree_add(tree, (struct made){.pid = 11, .comm = "master"});
    proctree_add(tree, (struct made){.pid = 12, .comm = "muster"});
    assert_nearest(tree, "mastre", "master");
}

static void test_rule_strings(void **state)
{
    (void)state;
    assert_string_equal(name_rule_string(NAME_COMM), "comm");
    assert_string_equal(name_rule_string(NAME_EXE), "executable");
    assert_string_equal(name_rule_string(NAME_ARGV), "argv[0]");
    assert_string_equal(name_rule_string(NAME_UNIT), "systemd unit");
    assert_string_equal(name_rule_string(NAME_DIRECTORY), "directory of the executable");
}

static void test_the_real_proc(void **state)
{
    (void)state;
    struct procfs procfs;
    struct name_match match;
    char before[17] = "";

    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, "(a) \n) b");
    assert_int_equal(name_resolve(&procfs, "(a) \n) b", 0, &match), 0);
    assert_int_equal(match.rule, NAME_COMM);
    assert_int_equal(match.n_pids, 1);
    assert_int_equal(match.pids[0], getpid());
    name_match_release(&match);
    assert_int_equal(name_resolve(&procfs, "(a) \n) b", getpid(), &match), 0);
    prctl(PR_SET_NAME, before);
    assert_int_equal(match.rule, NAME_NONE);
    name_match_release(&match);
    procfs_close(&procfs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, proctree_setup, proctree_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_match),
        TEST(test_the_order_of_the_rules),
        TEST(test_all_processes_of_the_best_rule_by_rising_pid),
        TEST(test_changed_comms),
        TEST(test_names_longer_than_a_comm),
        TEST(test_executables),
        TEST(test_an_executable_that_cannot_be_read),
        TEST(test_argv0),
        TEST(test_scripts),
        TEST(test_arguments_that_are_no_script),
        TEST(test_units),
        TEST(test_the_innermost_unit_alone),
        TEST(test_directories_of_the_executable),
        TEST(test_processes_that_never_match),
        TEST(test_nearest_names),
        TEST(test_nearest_name_of_several),
        TEST(test_processes_that_vanish),
        TEST(test_out_of_descriptors),
        cmocka_unit_test(test_rule_strings),
        cmocka_unit_test(test_the_real_proc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
