/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/targets.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "caught.h"
#include "proctree.h"

/* A made-up /proc, the messages, and an engine that notes which processes it is told to watch. */
struct fixture {
    void *tree, *caught;
    struct targets targets;
};

static char *no_words[] = {NULL};
static char watched[256];
static int watch_result, held_result;

static int note_watch(struct engine *engine, pid_t pid)
{
    size_t len = strlen(watched);

    (void)engine;
    snprintf(watched + len, sizeof watched - len, " %d", pid);
    return watch_result;
}

static int note_held(struct engine *engine)
{
    (void)engine;
    strcat(watched, " held");
    return held_result;
}

static int note_end_when_idle(struct engine *engine)
{
    (void)engine;
    strcat(watched, " idle");
    return 0;
}

static const struct engine_ops noting = {.name = "noting",
                                         .watch = note_watch,
                                         .report_held = note_held,
                                         .end_when_idle = note_end_when_idle};

static void link_self(const struct proctree *tree, pid_t pid)
{
    char path[128], number[16];

    snprintf(path, sizeof path, "%s/self", tree->root);
    snprintf(number, sizeof number, "%d", pid);
    assert_int_equal(symlink(number, path), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    watched[0] = '\0';
    watch_result = held_result = 0;
    if (proctree_setup(&fixture->tree) != 0 || caught_begin(&fixture->caught) != 0)
        return -1;
    link_self(fixture->tree, getpid());
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    targets_close(&fixture->targets);
    caught_end(&fixture->caught);
    proctree_teardown(&fixture->tree);
    free(fixture);
    return 0;
}

static struct options options;

/* pids ends with 0. */
static int find(struct fixture *fixture, pid_t *pids, char **names)
{
    const struct proctree *tree = fixture->tree;

    options = (struct options){.pids = pids,
                               .names = names,
                               .groups = no_words,
                               .paths = no_words,
                               .excludes = no_words,
                               .depth = DEPTH_ALL};
    while (pids[options.n_pids] != 0)
        options.n_pids++;
    return targets_open(&fixture->targets, &options, tree->root);
}

#define FIND(fixture, names, ...) find(fixture, (pid_t[]){__VA_ARGS__, 0}, names)

static void assert_said(struct fixture *fixture, const char *part)
{
    const char *line = caught_line(&fixture->caught);

    if (strstr(line, part) == NULL)
        fail_msg("'%s' is not in: %s", part, line);
}

static void assert_said_nothing(struct fixture *fixture)
{
    assert_string_equal(caught_line(&fixture->caught), "");
}

static void assert_watches(struct fixture *fixture, pid_t command, const char *expected)
{
    assert_int_equal(targets_watch(&fixture->targets, &noting, NULL, command), 0);
    assert_string_equal(watched, expected);
}

static void test_each_is_watched_once(void **state)
{
    char *names[] = {"daemon", "other", NULL};
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 30, .comm = "daemon"});
    proctree_add(fixture->tree, (struct made){.pid = 20, .comm = "daemon"});
    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "other"});
    assert_int_equal(FIND(fixture, names, 20, 10), 0);
    assert_watches(fixture, 40, " 10 20 30 40");
}

static void test_missing_and_existing(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "daemon"});
    assert_int_equal(FIND(fixture, no_words, 9, 10, 11), 0);
    assert_said(fixture, "there is no process 9:");
    assert_said(fixture, "there is no process 11:");
    assert_said_nothing(fixture);
    assert_watches(fixture, 0, " 10 idle");
}

static void test_none_exists(void **state)
{
    char *names[] = {"daemon", NULL};
    struct fixture *fixture = *state;

    assert_int_equal(FIND(fixture, no_words, 9), -ESRCH);
    targets_close(&fixture->targets);
    assert_int_equal(FIND(fixture, names, 9), 0); /* the name may still start */
}

static void test_zombies_kernel_threads_and_filemon_itself(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "dead", .state = 'Z'});
    proctree_add(fixture->tree,
                 (struct made){.pid = 11, .comm = "kworker/0:1-ev", .flags = 0x4208060});
    proctree_add(fixture->tree, (struct made){.pid = getpid(), .comm = "filemon"});
    assert_int_equal(FIND(fixture, no_words, 10, 11, getpid()), -ESRCH);
    assert_said(fixture, "process 10 cannot be watched: it has exited");
    assert_said(fixture, "process 11 cannot be watched: it is a kernel thread");
    assert_said(fixture, "it is filemon itself");
}

static void test_main_thread_exited(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "main", .state = 'Z'});
    proctree_add_thread(fixture->tree, 10, (struct made){.pid = 10, .comm = "main", .state = 'Z'});
    proctree_add_thread(fixture->tree, 10, (struct made){.pid = 12, .comm = "worker"});
    assert_int_equal(FIND(fixture, no_words, 10), 0);
    assert_said_nothing(fixture);
    assert_watches(fixture, 0, " 10 idle");
}

/* A process exits while the engine starts. */
static void test_exited_before_the_watch(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "a"});
    proctree_add(fixture->tree, (struct made){.pid = 11, .comm = "b"});
    proctree_add(fixture->tree, (struct made){.pid = 12, .comm = "c"});
    assert_int_equal(FIND(fixture, no_words, 10, 11, 12), 0);
    proctree_remove(fixture->tree, "10");
    /* Its pid was reused by another process. */
    proctree_add(fixture->tree, (struct made){.pid = 11, .comm = "b", .start = 2000});
    assert_watches(fixture, 0, " 12 idle");
    assert_said(fixture, "process 10 has exited");
    assert_said(fixture, "process 11 has exited");
    assert_said_nothing(fixture);
}

static void test_not_found_by_the_engine(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "a"});
    assert_int_equal(FIND(fixture, no_words, 10), 0);
    watch_result = -ESRCH;
    assert_int_equal(targets_watch(&fixture->targets, &noting, NULL, 0), -ESRCH);
    assert_said(fixture, "process 10 cannot be watched: /proc shows it, but it is not in");
}

static void test_initially_open(void **state)
{
    struct fixture *fixture = *state;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "a"});
    assert_int_equal(FIND(fixture, no_words, 10), 0);
    options.initial = true;
    assert_watches(fixture, 0, " 10 held idle");
    held_result = -EPERM;
    assert_int_equal(targets_watch(&fixture->targets, &noting, NULL, 0), -EPERM);
    assert_said(fixture, "-i: the files that are initially open cannot be reported: Operation not");
}

static void test_proc_of_another_namespace(void **state)
{
    char *names[] = {"daemon", NULL};
    struct fixture *fixture = *state;
    const struct proctree *tree = fixture->tree;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "daemon"});
    proctree_remove(fixture->tree, "self");
    link_self(fixture->tree, getpid() + 1);
    assert_int_equal(FIND(fixture, no_words, 10), -EXDEV);
    assert_said(fixture, "shows the processes of another pid namespace");
    targets_close(&fixture->targets);
    assert_int_equal(find(fixture, (pid_t[]){0}, names), -EXDEV);
    assert_said(fixture, "shows the processes of another pid namespace");
    targets_close(&fixture->targets);
    options = (struct options){.names = no_words, .groups = no_words, .all = true};
    assert_int_equal(targets_open(&fixture->targets, &options, tree->root), 0);
    targets_close(&fixture->targets);
    options.initial = true; /* the engine finds the initially open files */
    assert_int_equal(targets_open(&fixture->targets, &options, tree->root), 0);
}

static void test_no_proc(void **state)
{
    struct fixture *fixture = *state;
    char *names[] = {"daemon", NULL};

    options = (struct options){.names = no_words, .groups = no_words, .all = true, .initial = true};
    assert_int_equal(targets_open(&fixture->targets, &options, "/no/proc"), 0);
    targets_close(&fixture->targets);
    options.names = names;
    assert_int_equal(targets_open(&fixture->targets, &options, "/no/proc"), -ENOENT);
    assert_said(fixture, "/no/proc: No such file or directory; -p and -n need it");
}

/* A shortage of descriptors is not "no such process". */
static void test_out_of_descriptors(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit old, few;

    proctree_add(fixture->tree, (struct made){.pid = 10, .comm = "a"});
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)dup(0);
    close((int)few.rlim_cur++); /* one descriptor: /proc can be opened, but no file in it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int result = FIND(fixture, no_words, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(result, -ESRCH);
    assert_said(fixture,
                "process 10 cannot be watched: reading /proc/10/stat: Too many open files");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_is_watched_once),
        TEST(test_missing_and_existing),
        TEST(test_none_exists),
        TEST(test_zombies_kernel_threads_and_filemon_itself),
        TEST(test_main_thread_exited),
        TEST(test_exited_before_the_watch),
        TEST(test_not_found_by_the_engine),
        TEST(test_initially_open),
        TEST(test_proc_of_another_namespace),
        TEST(test_no_proc),
        TEST(test_out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
