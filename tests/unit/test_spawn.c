/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test runs in a new directory with "program", which may be executed, and "text", which may
 * not. */
static char dir[] = "/tmp/filemon-test-spawn.XXXXXX";

static void make_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(name, mode), 0);
}

static int begin(void **state)
{
    (void)state;
    for (int i = 1; i < 32; i++)
        signal(i, SIG_DFL); /* nohup(1) or a shell may have left it ignored */
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    make_file("program", "#!/bin/sh\necho \"$@\"\n", 0755);
    make_file("text", "#!/bin/sh\n", 0644);
    mkdir("sub", 0755);
    make_file("sub/program", "#!/bin/sh\necho of sub\n", 0755);
    mkdir("text-too", 0755);
    make_file("text-too/program", "", 0644);
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = {"program",          "text", "sub/program",
                                        "text-too/program", "sub",  "text-too"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove(names[i]);
    return rmdir(dir);
}

#define ARGV(...) ((char *[]){__VA_ARGS__, NULL})
#define SHELL(script) ARGV("sh", "-c", script)

/* Runs the program; returns its output, NUL-terminated, and sets *status. */
static const char *output_of(struct spawn *spawn, int *status)
{
    static char text[4096];
    struct spawned spawned;
    int fds[2];
    size_t len = 0;
    ssize_t n;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    spawn->in = -1;
    spawn->out = spawn->err = fds[1];
    assert_int_equal(spawn_start(spawn, &spawned), 0);
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    text[len] = '\0';
    assert_int_equal(waitpid(spawned.pid, status, 0), spawned.pid);
    return text;
}

static void assert_output(struct spawn spawn, const char *expected)
{
    int status;

    assert_string_equal(output_of(&spawn, &status), expected);
    assert_int_equal(status, 0);
}

static int count_descriptors(void)
{
    DIR *fds = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(fds))
        n++;
    closedir(fds);
    return n;
}

static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* ---- What a program inherits ---------------------------------------------------------------- */

static void arguments_and_status(void **state)
{
    struct spawn spawn = {.argv = SHELL("exit 7")};
    int status;

    (void)state;
    assert_output((struct spawn){.argv = ARGV("./program", "a b", "", "$(x)")}, "a b  $(x)\n");
    assert_string_equal(output_of(&spawn, &status), "");
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void standard_descriptors(void **state)
{
    int in[2], out[2], err[2];
    struct spawned spawned;
    char text[8] = "";

    (void)state;
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    struct spawn spawn = {.argv = SHELL("cat; echo err >&2; ls /proc/self/fd | grep -c ''"),
                          .in = in[0],
                          .out = out[1],
                          .err = err[1]};
    /* Mark inherited descriptors close-on-exec: ls would count them. */
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    assert_int_equal(spawn_start(&spawn, &spawned), 0);
    assert_int_equal(write(in[1], "in\n", 3), 3);
    close(in[1]);
    waitpid(spawned.pid, NULL, 0);
    assert_int_equal(read(err[0], text, sizeof(text)), 4);
    assert_memory_equal(text, "err\n", 4);
    assert_int_equal(read(out[0], text, sizeof(text)), 5);
    assert_memory_equal(text, "in\n4\n", 5); /* the three standard ones, and that of ls */
    close(in[0]);
    for (int i = 0; i < 2; i++) {
        close(out[i]);
        close(err[i]);
    }
}

static void environment(void **state)
{
    char *env[] = {"ADDED=1", "REPLACED=new", NULL};
    struct spawn spawn = {.argv = SHELL("echo $ADDED $REPLACED $REPLACED_NOT $KEPT; env | grep -c "
                                        "REPLACED="),
                          .env = env};

    (void)state;
    setenv("REPLACED", "old", 1);
    setenv("REPLACED_NOT", "same", 1);
    setenv("KEPT", "too", 1);
    assert_output(spawn, "1 new same too\n1\n");
    assert_string_equal(getenv("REPLACED"), "old");
}

static void directory(void **state)
{
    (void)state;
    assert_output((struct spawn){.argv = ARGV("./program"), .dir = "sub"}, "of sub\n");
}

/* The signals from 1 to 16 that are ignored.  make(1) leaves glibc's own, 32 and 33, ignored. */
#define SHOW_SIGNALS                                                                               \
    "sed -nE 's/^SigBlk:.(.*)/\\1/p; s/^SigIgn:.*(.{4})$/\\1/p' /proc/self/status | tr '\\n' ' '"

/* The signals from 1 to 28 that are ignored, by sed(1): perl(1) would reset SIGCHLD. */
#define KEPT_SIGNALS                                                                               \
    ARGV("sed", "-nE", "s/^SigBlk:.*(.{8})/\\1/p; s/^SigIgn:.*(.{7})$/\\1/p", "/proc/self/status")

/* Without spawn_save_signals() the program has no signal blocked, and ignores those that filemon
 * ignores, except the signals that end a process group. */
static void signals(void **state)
{
    sigset_t all, before;

    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    assert_output((struct spawn){.argv = SHELL(SHOW_SIGNALS)}, "0000000000000000 0000 ");
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    assert_output((struct spawn){.argv = SHELL(SHOW_SIGNALS)}, "0000000000000000 5003 ");
    assert_output((struct spawn){.argv = SHELL(SHOW_SIGNALS), .group = true},
                  "0000000000000000 1001 ");
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* spawn_save_signals() sets SIGCHLD to its default and ignores SIGXFSZ. */
static void saved_signals(void **state)
{
    struct sigaction action;
    sigset_t blocked, none;

    (void)state;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    signal(SIGCHLD, SIG_IGN);
    spawn_save_signals();
    sigaction(SIGCHLD, NULL, &action);
    assert_ptr_equal(action.sa_handler, SIG_DFL);
    sigaction(SIGXFSZ, NULL, &action);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
    sigaddset(&blocked, SIGTERM); /* filemon blocks it after it has saved the signals */
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    assert_output((struct spawn){.argv = KEPT_SIGNALS}, "00000800\n0010000\n");
    assert_output((struct spawn){.argv = KEPT_SIGNALS, .group = true}, "00000000\n0000000\n");
    signal(SIGCHLD, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    spawn_save_signals();
    assert_output((struct spawn){.argv = KEPT_SIGNALS}, "00000000\n1000000\n");
    signal(SIGXFSZ, SIG_DFL);
    spawn_save_signals();
}

static void group(void **state)
{
    char expected[64];

    (void)state;
    assert_output((struct spawn){.argv = SHELL("[ $(cut -d ' ' -f 5 /proc/$$/stat) = $$ ] && "
                                               "echo own"),
                                 .group = true},
                  "own\n");
    snprintf(expected, sizeof(expected), "%d\n", getpgrp());
    assert_output((struct spawn){.argv = SHELL("cut -d ' ' -f 5 /proc/$$/stat")}, expected);
}

/* ---- Programs that cannot be started -------------------------------------------------------- */

static void failures(void **state)
{
    static const struct {
        char *program;
        const char *dir;
        int error;
    } cases[] = {{"./nothing", NULL, -ENOENT}, {"nothing-of-that-name", NULL, -ENOENT},
                 {"./text", NULL, -EACCES},    {"./sub", NULL, -EACCES},
                 {"./text/x", NULL, -ENOTDIR}, {"true", "nothing", -ENOENT}};
    int before = count_descriptors();
    struct spawned spawned;

    (void)state;
    setenv("PATH", "/usr/bin:/bin", 1); /* a directory that cannot be searched would give EACCES */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spawn spawn = {
            .argv = ARGV(cases[i].program), .dir = cases[i].dir, .in = -1, .out = -1, .err = -1};

        assert_int_equal(spawn_start(&spawn, &spawned), cases[i].error);
        assert_no_child();
    }
    assert_int_equal(count_descriptors(), before);
}

/* ---- Programs that wait for their release --------------------------------------------------- */

static void held(void **state)
{
    struct spawn spawn = {
        .argv = SHELL("echo ran > sub/ran"), .in = -1, .out = -1, .err = -1, .hold = true};
    int before = count_descriptors(), status;
    struct spawned spawned;

    (void)state;
    assert_int_equal(spawn_start(&spawn, &spawned), 0);
    assert_int_equal(waitpid(spawned.pid, NULL, WNOHANG), 0);
    assert_int_not_equal(access("sub/ran", F_OK), 0);
    assert_int_equal(spawn_release(&spawned), 0);
    assert_int_equal(waitpid(spawned.pid, &status, 0), spawned.pid);
    assert_int_equal(status, 0);
    assert_int_equal(unlink("sub/ran"), 0);
    assert_int_equal(count_descriptors(), before);
}

static void held_and_not_released(void **state)
{
    struct spawn spawn = {
        .argv = SHELL("echo ran > sub/ran"), .in = -1, .out = -1, .err = -1, .hold = true};
    int before = count_descriptors();
    struct spawned first, second;

    (void)state;
    /* A second child must not keep the pipe of the first one open. */
    assert_int_equal(spawn_start(&spawn, &first), 0);
    assert_int_equal(spawn_start(&spawn, &second), 0);
    spawn_cancel(&second);
    spawn_cancel(&first);
    assert_no_child();
    assert_int_not_equal(access("sub/ran", F_OK), 0);
    assert_int_equal(count_descriptors(), before);
}

static void held_and_not_executable(void **state)
{
    struct spawn spawn = {.argv = ARGV("./text"), .in = -1, .out = -1, .err = -1, .hold = true};
    int before = count_descriptors();
    struct spawned spawned;

    (void)state;
    assert_int_equal(spawn_start(&spawn, &spawned), 0);
    assert_int_equal(spawn_release(&spawned), -EACCES);
    assert_no_child();
    assert_int_equal(count_descriptors(), before);
}

/* ---- Looking up a program ------------------------------------------------------------------- */

static void assert_found(const char *path, int result, const char *expected)
{
    char found[PATH_MAX];

    setenv("PATH", path, 1);
    assert_int_equal(spawn_find("program", found), result);
    if (result == 0)
        assert_string_equal(found, expected);
}

static void in_path(void **state)
{
    char *before = strdup(getenv("PATH")), path[2 * PATH_MAX];

    (void)state;
    assert_found("sub", 0, "sub/program");
    assert_found("/nothing:sub:.", 0, "sub/program");
    assert_found("text-too:sub", 0, "sub/program");
    assert_found("text-too:/nothing", -EACCES, NULL);
    assert_found("/nothing:text-too", -EACCES, NULL);
    assert_found("/nothing", -ENOENT, NULL);
    assert_found("", -ENOENT, NULL);
    memset(path, 'x', PATH_MAX);
    strcpy(path + PATH_MAX, ":sub");
    assert_found(path, 0, "sub/program");
    unsetenv("PATH");
    assert_int_equal(spawn_find("program", path), -ENOENT);
    setenv("PATH", before, 1);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_and_status),
        cmocka_unit_test(standard_descriptors),
        cmocka_unit_test(environment),
        cmocka_unit_test(directory),
        cmocka_unit_test(signals),
        cmocka_unit_test(saved_signals),
        cmocka_unit_test(group),
        cmocka_unit_test(failures),
        cmocka_unit_test(held),
        cmocka_unit_test(held_and_not_released),
        cmocka_unit_test(held_and_not_executable),
        cmocka_unit_test(in_path),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
