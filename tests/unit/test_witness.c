/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "witness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Whether the command line of this process has a byte that is not NUL. */
static bool has_command_line(pid_t pid)
{
    char path[64], bytes[4096];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, bytes, sizeof bytes);
    close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] != '\0')
            return true;
    return false;
}

/* The witness renames itself before it answers. */
static void assert_hidden(void)
{
    struct witness witness;

    witness_start(&witness);
    assert_true(witness.pid > 0);
    assert_false(witness_has(&witness, &(struct signalfd_siginfo){.ssi_signo = 15}));
    assert_true(witness.pid > 0);
    assert_false(has_command_line(witness.pid));
    witness_stop(&witness);
}

static void test_its_command_line_is_hidden(void **state)
{
    (void)state;
    assert_true(has_command_line(getpid()));
    assert_hidden();
}

/* As "env -i" starts filemon. */
static void test_its_command_line_is_hidden_without_environment(void **state)
{
    static char *nothing[] = {NULL};
    char **kept = environ;

    (void)state;
    environ = nothing;
    assert_hidden();
    environ = kept;
}

/* Two signals to the group, the second between filemon's reading of the first and its question: the
 * witness has both in one. */
static void test_of_two_signals_the_witness_may_have_one(void **state)
{
    struct signalfd_siginfo info = {
        .ssi_signo = SIGINT, .ssi_code = SI_USER, .ssi_pid = (unsigned int)getpid()};
    struct witness witness;

    (void)state;
    witness_start(&witness);
    assert_true(witness.pid > 0);
    assert_false(witness_has(&witness, &info)); /* the answer tells that it has blocked signals */
    assert_int_equal(kill(witness.pid, SIGINT), 0);
    assert_true(witness_has(&witness, &info));
    assert_false(witness_has(&witness, &info));
    info.ssi_code = SI_KERNEL;
    assert_true(witness_has(&witness, &info));
    witness_stop(&witness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_command_line_is_hidden),
        cmocka_unit_test(test_its_command_line_is_hidden_without_environment),
        cmocka_unit_test(test_of_two_signals_the_witness_may_have_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
