/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ready.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caught.h"

static int begin(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    unsetenv("NOTIFY_SOCKET");
    return caught_begin(state);
}

/* Listens as a service manager does: on a path, or for '@' on an abstract name. */
static int manager_listen(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(manager, (struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return manager;
}

/* The next datagram; "" if there is none. */
static const char *received(int manager)
{
    static char text[64];
    ssize_t size = recv(manager, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void test_a_newline_and_then_eof(void **state)
{
    struct ready ready;
    char text[8];
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    ready_open(&ready, fds[1]);
    assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(read(fds[0], text, sizeof(text)), -1);
    ready_report(&ready);
    assert_int_equal(read(fds[0], text, sizeof(text)), 1);
    assert_int_equal(text[0], '\n');
    assert_int_equal(read(fds[0], text, sizeof(text)), 0);
    ready_close(&ready);
    assert_string_equal(caught_line(state), "");
    close(fds[0]);
}

static void test_eof_alone_where_the_watch_never_begins(void **state)
{
    struct ready ready;
    char text[8];
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    ready_open(&ready, fds[1]);
    ready_close(&ready);
    assert_int_equal(read(fds[0], text, sizeof(text)), 0);
    assert_string_equal(caught_line(state), "");
    close(fds[0]);
}

static void test_a_reader_that_has_gone_is_no_failure(void **state)
{
    struct ready ready;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    ready_open(&ready, fds[1]);
    ready_report(&ready);
    assert_string_equal(caught_line(state), "");
}

static void test_a_failed_write_is_reported(void **state)
{
    struct ready ready;

    ready_open(&ready, open("/dev/full", O_WRONLY));
    ready_report(&ready);
    assert_non_null(strstr(caught_line(state), "No space left on device"));
}

/* Blocking, as a shell makes it. */
static void test_a_full_pipe_is_not_waited_for(void **state)
{
    char bytes[4096] = "";
    struct ready ready;
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    while (write(fds[1], bytes, sizeof(bytes)) > 0)
        continue;
    assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
    ready_open(&ready, fds[1]);
    alarm(20);
    ready_report(&ready);
    alarm(0);
    assert_non_null(strstr(caught_line(state), ": it takes no byte now; its reader is not told"));
    assert_int_equal(ready.fd, -1);
    close(fds[0]);
}

static void test_notifies(void **state, const char *name)
{
    int manager = manager_listen(name);
    struct ready ready;

    ready_open(&ready, -1);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_string_equal(received(manager), "");
    ready_report(&ready);
    assert_string_equal(received(manager), "READY=1");
    ready_report(&ready); /* once is enough */
    assert_string_equal(received(manager), "");
    assert_string_equal(caught_line(state), "");
    close(manager);
}

static void test_a_socket_with_a_path_is_notified(void **state)
{
    char dir[] = "/tmp/filemon-ready-XXXXXX", name[64];

    assert_non_null(mkdtemp(dir));
    snprintf(name, sizeof(name), "%s/notify", dir);
    test_notifies(state, name);
    unlink(name);
    rmdir(dir);
}

static void test_an_abstract_socket_is_notified(void **state)
{
    char name[64];

    snprintf(name, sizeof(name), "@filemon-ready-%d", getpid());
    test_notifies(state, name);
}

static void refuses(void **state, const char *name, const char *why)
{
    struct ready ready;

    setenv("NOTIFY_SOCKET", name, 1);
    ready_open(&ready, -1);
    ready_report(&ready);
    assert_non_null(strstr(caught_line(state), why));
    assert_string_equal(caught_line(state), "");
    assert_null(getenv("NOTIFY_SOCKET"));
}

static void test_a_socket_that_cannot_be_used_is_reported(void **state)
{
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    refuses(state, name, "File name too long");
    refuses(state, "vsock:2:1234", "vsock:2:1234: Address family not supported");
    refuses(state, "@", "Address family not supported");
    refuses(state, "/nonexistent/notify", "/nonexistent/notify: No such file or directory");
    name[sizeof(name) - 2] = '\0'; /* the longest that fits; nobody listens there */
    refuses(state, name, "xxx: No such file or directory");
    refuses(state, "@filemon-nobody-listens", "@filemon-nobody-listens: Connection refused");
}

#define ready_test(function) cmocka_unit_test_setup_teardown(function, begin, caught_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ready_test(test_a_newline_and_then_eof),
        ready_test(test_eof_alone_where_the_watch_never_begins),
        ready_test(test_a_reader_that_has_gone_is_no_failure),
        ready_test(test_a_failed_write_is_reported),
        ready_test(test_a_full_pipe_is_not_waited_for),
        ready_test(test_a_socket_with_a_path_is_notified),
        ready_test(test_an_abstract_socket_is_notified),
        ready_test(test_a_socket_that_cannot_be_used_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
