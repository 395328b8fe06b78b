/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "listed.h"
#include "output/json.h"
#include "output/output.h"

static char directory[] = "/tmp/filemon-output-XXXXXX";

/* SIGALRM fails a test in which a write blocks. */
#define HANG_SECONDS 60

static int enter_directory(void **state)
{
    (void)state;
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    alarm(HANG_SECONDS);
    return mkdtemp(directory) == NULL || chdir(directory) != 0;
}

static int leave_directory(void **state)
{
    char command[sizeof(directory) + 10];

    (void)state;
    alarm(0);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return chdir("/") != 0 || system(command) != 0;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* A record whose descriptor is this number. */
static struct event event_of(int number)
{
    return (struct event){.code = EVENT_ERROR,
                          .comm = "comm",
                          .pid = 1,
                          .path = "/etc/hosts",
                          .path_len = 10,
                          .fd = number};
}

static void add(struct output *output, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct event event = event_of(i);

        assert_int_equal(output_event(output, &event), 0);
    }
}

static size_t record(int number, char buf[static 2048])
{
    struct event event = event_of(number);

    assert_true(json_bound(&event) <= 2048);
    return json_record(buf, &event, listed(FORMAT_JSON, NULL));
}

/* The lines of the records from, ..., to - 1; the caller frees them. */
static char *records(int from, int to, size_t *size)
{
    char *all, line[2048];
    FILE *stream = open_memstream(&all, size);

    for (int i = from; i < to; i++) {
        size_t len = record(i, line);

        fwrite(line, 1, len, stream);
    }
    fclose(stream);
    return all;
}

static void assert_file(const char *name, int from, int to)
{
    size_t size;
    char *expected = records(from, to, &size), *actual = malloc(size + 1);
    int fd = open(name, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, actual, size + 1), size);
    assert_memory_equal(actual, expected, size);
    close(fd);
    free(expected);
    free(actual);
}

static struct output *open_output(const char *file)
{
    struct output *output;

    assert_int_equal(output_open(&output, file, FORMAT_JSON, listed(FORMAT_JSON, NULL)), 0);
    assert_true(fcntl(output_fd(output), F_GETFD) & FD_CLOEXEC);
    return output;
}

/* Opens an output while fd is standard output; closes fd. */
static struct output *open_stdout_on(int fd)
{
    int saved = dup(STDOUT_FILENO);
    struct output *output;

    assert_true(saved >= 0 && fd >= 0);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    output = open_output(NULL);
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    close(saved);
    close(fd);
    return output;
}

static void files_are_created_and_appended_to(void **state)
{
    struct output *output;
    struct stat status;

    (void)state;
    umask(0026);
    output = open_output("log");
    add(output, 0, 3);
    assert_true(output_pending(output) > 0);
    assert_int_equal(output_write(output), 0);
    assert_int_equal(output_pending(output), 0);
    assert_file("log", 0, 3);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(stat("log", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);

    output = open_output("log");
    add(output, 3, 5);
    assert_int_equal(output_close(output, 0), 0);
    assert_file("log", 0, 5);
}

static void a_file_takes_everything_at_once(void **state)
{
    struct output *output = open_output("log");

    (void)state;
    add(output, 0, 50000);
    assert_true(output_pending(output) > OUTPUT_HIGH_WATER);
    assert_int_equal(output_write(output), 0);
    assert_int_equal(output_pending(output), 0);
    assert_file("log", 0, 50000);
    assert_int_equal(output_close(output, 0), 0);
}

static void errors_of_opening_are_returned(void **state)
{
    struct output *output;

    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(output_open(&output, "fifo", FORMAT_JSON, listed(FORMAT_JSON, NULL)), -ENXIO);
    assert_int_equal(output_open(&output, "missing/log", FORMAT_JSON, listed(FORMAT_JSON, NULL)),
                     -ENOENT);
    assert_int_equal(output_open(&output, ".", FORMAT_JSON, listed(FORMAT_JSON, NULL)), -EISDIR);
}

/* The content of the file, NUL-terminated. */
static const char *contents(const char *name)
{
    static char text[65536];
    int fd = open(name, O_RDONLY);
    ssize_t size = read(fd, text, sizeof(text) - 1);

    assert_true(size >= 0);
    text[size] = '\0';
    close(fd);
    return text;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

static void add_csv(int from, int to)
{
    struct output *output;

    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, NULL)), 0);
    add(output, from, to);
    assert_int_equal(output_close(output, 0), 0);
}

static void a_file_has_one_header(void **state)
{
    (void)state;
    add_csv(0, 2);
    add_csv(2, 3);
    assert_memory_equal(contents("log"), "codigo,", 7);
    assert_int_equal(count(contents("log"), "codigo,"), 1);
    assert_int_equal(count(contents("log"), "\r\n"), 4);
}

static void a_file_without_records_has_a_header(void **state)
{
    (void)state;
    add_csv(0, 0);
    assert_int_equal(count(contents("log"), "codigo,"), 1);
}

static void a_file_with_other_columns_is_refused(void **state)
{
    struct output *output;

    (void)state;
    add_csv(0, 2);
    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, "codigo,fichero")),
                     -EEXIST);
    assert_int_equal(output_open(&output, "log", FORMAT_JSON, listed(FORMAT_JSON, NULL)), 0);
    assert_int_equal(output_close(output, 0), 0);
    write_file("log", "codigo");
    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, NULL)), -EEXIST);
}

static void the_old_file_stays_if_the_new_one_has_other_columns(void **state)
{
    struct output *output;

    (void)state;
    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, NULL)), 0);
    assert_int_equal(rename("log", "log.1"), 0);
    write_file("log", "name,size\n");
    assert_int_equal(output_reopen(output), -EEXIST);
    add(output, 0, 1);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(count(contents("log"), "\n"), 1);
    assert_int_equal(count(contents("log.1"), "\r\n"), 2);
}

static void a_reopened_file_has_a_header_if_it_is_new(void **state)
{
    struct output *output;

    (void)state;
    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, NULL)), 0);
    add(output, 0, 1);
    assert_int_equal(output_reopen(output), 0);
    add(output, 1, 2);
    assert_int_equal(output_write(output), 0);
    assert_int_equal(count(contents("log"), "codigo,"), 1);
    assert_int_equal(rename("log", "log.1"), 0);
    assert_int_equal(output_reopen(output), 0);
    add(output, 2, 3);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(count(contents("log"), "codigo,"), 1);
    assert_int_equal(count(contents("log"), "\r\n"), 2);
}

static void text_in_a_file_has_no_colour(void **state)
{
    struct output *output;

    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_int_equal(output_open(&output, "log", FORMAT_TEXT, listed(FORMAT_TEXT, NULL)), 0);
    add(output, 7, 9);
    assert_int_equal(output_bytes(output, "one\ntwo\n", 8), 0);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(count(contents("log"), "\n"), 4);
    assert_int_equal(count(contents("log"), "error     7          /etc/hosts (its"), 1);
    assert_int_equal(count(contents("log"), "\x1b"), 0);
    assert_string_equal(strstr(contents("log"), "one"), "one\ntwo\n");
}

/* A change of the terminal's width applies to the next record. */
static void text_on_a_terminal_has_colour(void **state)
{
    struct winsize size = {.ws_col = 200};
    struct output *output;
    char text[1024];
    int master, terminal;
    size_t n = 0;
    ssize_t got;

    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, &size), 0);
    assert_int_equal(
        output_open(&output, ttyname(terminal), FORMAT_TEXT, listed(FORMAT_TEXT, NULL)), 0);
    add(output, 1, 2);
    size.ws_col = 70;
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    add(output, 2, 3);
    assert_int_equal(output_close(output, 0), 0);
    close(terminal);
    /* What was written arrives later, and in pieces: EIO tells the end. */
    while ((got = read(master, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    assert_int_equal(got, -1);
    assert_int_equal(errno, EIO);
    text[n] = '\0';
    assert_int_equal(count(text, "\x1b[35merror\x1b[m"), 2);
    assert_int_equal(count(text, "(its close was missed)"), 1);
    assert_int_equal(count(text, "…"), 1);
    close(master);
}

static void closed_standard_output_is_an_error(void **state)
{
    int saved = dup(STDOUT_FILENO), result;
    struct output *output;

    (void)state;
    close(STDOUT_FILENO);
    result = output_open(&output, NULL, FORMAT_JSON, listed(FORMAT_JSON, NULL));
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(result, -EBADF);
}

static void errors_of_writing_are_permanent(void **state)
{
    struct output *output = open_output("/dev/full");

    (void)state;
    assert_int_equal(output_write(output), 0);
    add(output, 0, 1);
    assert_int_equal(output_write(output), -ENOSPC);
    assert_int_equal(output_write(output), -ENOSPC);
    assert_int_equal(output_close(output, 1000), -ENOSPC);

    output = open_output("/dev/full");
    add(output, 0, 1);
    assert_int_equal(output_close(output, 1000), -ENOSPC);
}

static void closed_pipe_is_epipe(void **state)
{
    struct output *output;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    output = open_stdout_on(ends[1]);
    add(output, 0, 1);
    close(ends[0]);
    assert_int_equal(output_write(output), -EPIPE);
    assert_int_equal(output_close(output, 1000), -EPIPE);

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    output = open_stdout_on(ends[1]);
    add(output, 0, 1);
    assert_int_equal(output_write(output), -EPIPE);
    assert_int_equal(output_close(output, 1000), -EPIPE);
}

static void closed_socket_is_epipe(void **state)
{
    struct output *output;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    output = open_stdout_on(ends[1]);
    close(ends[0]);
    assert_int_equal(output_hangup(output), -EPIPE);
    add(output, 0, 1);
    assert_int_equal(output_write(output), -EPIPE);
    assert_int_equal(output_close(output, 1000), -EPIPE);

    /* The reader closes the socket with unread data. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    output = open_stdout_on(ends[1]);
    add(output, 0, 1);
    close(ends[0]);
    assert_int_equal(output_write(output), -EPIPE);
    assert_int_equal(output_close(output, 1000), -EPIPE);
}

/* Limits the size of files. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Limits the file so that the first half of the fourth of five records fits. */
static void write_too_much(struct output *output, size_t before)
{
    size_t size, more;

    free(records(0, 3, &size));
    free(records(3, 4, &more));
    add(output, 0, 5);
    limit_files(before + size + more / 2);
    assert_int_equal(output_write(output), -EFBIG);
    limit_files(RLIM_INFINITY);
    assert_int_equal(output_pending_lines(output), 2);
    assert_int_equal(output_close(output, 1000), -EFBIG);
}

static void a_partial_line_is_removed(void **state)
{
    struct output *output;
    size_t size;

    (void)state;
    write_too_much(open_output("file"), 0);
    assert_file("file", 0, 3);
    output = open_output("file");
    add(output, 3, 4);
    assert_int_equal(output_close(output, 1000), 0);
    assert_file("file", 0, 4);
    free(records(0, 4, &size));
    write_too_much(open_output("file"), size);
}

/* In CSV a path can contain newlines, and quotes, which are doubled. */
static void a_partial_record_of_several_lines_is_removed(void **state)
{
    struct event event = event_of(0);
    struct output *output;

    (void)state;
    event.path = "/a\nb\"\nc";
    event.path_len = strlen(event.path);
    add_csv(0, 1);
    assert_int_equal(output_open(&output, "log", FORMAT_CSV, listed(FORMAT_CSV, NULL)), 0);
    assert_int_equal(output_event(output, &event), 0);
    assert_int_equal(output_event(output, &event), 0);
    limit_files(strlen(contents("log")) + 3 * output_pending(output) / 4);
    assert_int_equal(output_write(output), -EFBIG);
    limit_files(RLIM_INFINITY);
    assert_int_equal(output_close(output, 0), -EFBIG);
    assert_int_equal(count(contents("log"), "\r\n"), 3);
    assert_int_equal(count(contents("log"), "\n"), 5);
}

/* Standard output without O_APPEND: another writer continues at the new end of the file. */
static void a_partial_line_is_removed_from_standard_output(void **state)
{
    int fd = open("file", O_WRONLY | O_CREAT, 0666), shared = dup(fd);
    char line[2048];
    size_t size = record(3, line);

    (void)state;
    write_too_much(open_stdout_on(fd), 0);
    assert_int_equal(write(shared, line, size), size);
    close(shared);
    assert_file("file", 0, 4);
}

static void make_torn(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    assert_int_equal(write(fd, "{\"torn", 6), 6);
    close(fd);
}

/* Checks that a newline and n records follow the torn line. */
static void assert_after_torn(const char *name, int n)
{
    size_t size, len;
    char *rest = records(0, n, &size), all[4096] = "{\"torn\n", actual[4096];
    int fd = open(name, O_RDONLY);

    memcpy(all + 7, rest, size);
    len = n > 0 ? size + 7 : 6;
    assert_int_equal(read(fd, actual, sizeof(actual)), len);
    assert_memory_equal(actual, all, len);
    close(fd);
    free(rest);
}

static void a_torn_line_is_ended_first(void **state)
{
    struct output *output;

    (void)state;
    make_torn("file");
    assert_int_equal(output_close(open_output("file"), 1000), 0);
    assert_after_torn("file", 0);
    output = open_output("file");
    add(output, 0, 2);
    assert_int_equal(output_close(output, 1000), 0);
    assert_after_torn("file", 2);

    make_torn("appended");
    output = open_stdout_on(open("appended", O_WRONLY | O_APPEND));
    add(output, 0, 2);
    assert_int_equal(output_close(output, 1000), 0);
    assert_after_torn("appended", 2);

    make_torn("opened-anew");
    output = open_output("x");
    assert_int_equal(rename("opened-anew", "x"), 0);
    assert_int_equal(output_reopen(output), 0);
    add(output, 0, 2);
    assert_int_equal(output_close(output, 1000), 0);
    assert_after_torn("x", 2);
}

/* Reads what is available, at most size bytes. */
static size_t read_now(int fd, char *to, size_t size)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    ssize_t got = poll(&pollfd, 1, 0) == 1 ? read(fd, to, size) : 0;

    assert_true(got >= 0);
    return (size_t)got;
}

/*
 * Writes far more records than the descriptor takes at once, to a reader that reads a little at a
 * time: no write blocks, and every byte arrives in order.
 */
static void pass_through(int reader, struct output *output, size_t take)
{
    size_t size, got = 0;
    char *expected = records(0, 30000, &size), *actual = malloc(size + take);
    int added = 0;

    while (got < size) {
        size_t now;

        if (added < 30000 && output_pending(output) < OUTPUT_HIGH_WATER) {
            add(output, added, added + 1000);
            added += 1000;
        }
        assert_int_equal(output_write(output), 0);
        now = read_now(reader, actual + got, take);
        assert_true(now > 0);
        got += now;
    }
    assert_int_equal(got, size);
    assert_memory_equal(actual, expected, size);
    assert_int_equal(output_pending(output), 0);
    assert_int_equal(output_close(output, 0), 0);
    close(reader);
    free(expected);
    free(actual);
}

static void a_slow_pipe_blocks_nothing(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pass_through(ends[0], open_stdout_on(ends[1]), 5000);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    pass_through(ends[0], open_stdout_on(ends[1]), 70000);
}

static void a_slow_socket_blocks_nothing(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pass_through(ends[0], open_stdout_on(ends[1]), 5000);
}

static void a_slow_fifo_blocks_nothing(void **state)
{
    int reader;

    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    reader = open("fifo", O_RDONLY | O_NONBLOCK);
    pass_through(reader, open_output("fifo"), 5000);
}

static int open_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*master >= 0);
    assert_int_equal(grantpt(*master), 0);
    assert_int_equal(unlockpt(*master), 0);
    return open(ptsname(*master), O_RDWR | O_NOCTTY);
}

static void a_stopped_terminal_blocks_nothing(void **state)
{
    struct output *output;
    int master, terminal = open_terminal(&master);

    (void)state;
    output = open_stdout_on(terminal);
    add(output, 0, 10000);
    assert_int_equal(output_write(output), 0);
    assert_true(output_pending(output) > 0);
    assert_int_equal(output_close(output, 1), -ETIMEDOUT);
    close(master);
}

/* Other processes share the open file description: it must not become non-blocking. */
static void standard_output_stays_blocking(void **state)
{
    struct output *output;
    int ends[2], shared;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    shared = dup(ends[1]);
    output = open_stdout_on(ends[1]);
    assert_int_equal(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    add(output, 0, 1);
    assert_int_equal(output_reopen(output), 0);
    assert_true(output_pending(output) > 0);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(fcntl(shared, F_GETFD), 0);
    close(shared);
    close(ends[0]);
}

/* A pipe in packet mode (O_DIRECT) shows the boundaries of writes: each is the end of a line. */
static void writes_to_a_pipe_end_with_a_line(void **state)
{
    char packet[PIPE_BUF + 1];
    struct output *output;
    size_t got, packets = 0;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    output = open_stdout_on(ends[1]);
    add(output, 0, 200);
    while (output_pending(output) > 0) {
        assert_int_equal(output_write(output), 0);
        while ((got = read_now(ends[0], packet, sizeof(packet))) > 0) {
            assert_in_range(got, 1, PIPE_BUF);
            assert_int_equal(packet[got - 1], '\n');
            packets++;
        }
    }
    assert_in_range(packets, 3, 20);
    assert_int_equal(output_close(output, 0), 0);
    close(ends[0]);
}

static void a_line_longer_than_pipe_buf_is_complete(void **state)
{
    char path[4096], *expected, *actual;
    struct event event = event_of(1);
    struct output *output;
    size_t size;
    int ends[2];

    (void)state;
    memset(path, '\1', 4095);
    path[4095] = '\0';
    event.path = path;
    event.path_len = 4095;
    expected = malloc(json_bound(&event));
    size = json_record(expected, &event, listed(FORMAT_JSON, NULL));
    actual = malloc(size + 1);
    assert_int_equal(pipe(ends), 0);
    output = open_stdout_on(ends[1]);
    assert_int_equal(output_event(output, &event), 0);
    assert_int_equal(output_close(output, 0), 0);
    assert_int_equal(read(ends[0], actual, size + 1), size);
    assert_memory_equal(actual, expected, size);
    close(ends[0]);
    free(expected);
    free(actual);
}

static void reopening_opens_the_new_file(void **state)
{
    struct output *output = open_output("log");

    (void)state;
    add(output, 0, 10);
    assert_int_equal(output_write(output), 0);
    add(output, 10, 20);
    assert_int_equal(rename("log", "log.1"), 0);
    assert_int_equal(output_reopen(output), 0);
    assert_true(fcntl(output_fd(output), F_GETFD) & FD_CLOEXEC);
    add(output, 20, 30);
    assert_int_equal(output_close(output, 0), 0);
    assert_file("log.1", 0, 20);
    assert_file("log", 20, 30);
}

static void a_failed_reopening_keeps_the_old_file(void **state)
{
    struct output *output = open_output("log");

    (void)state;
    add(output, 0, 10);
    assert_int_equal(rename("log", "log.1"), 0);
    assert_int_equal(mkdir("log", 0700), 0);
    assert_int_equal(output_reopen(output), -EISDIR);
    add(output, 10, 20);
    assert_int_equal(output_close(output, 0), 0);
    assert_file("log.1", 0, 20);
}

/* Pending lines go to the old reader only. */
static void a_reopening_waits_for_the_old_reader(void **state)
{
    struct output *output;
    int reader, fds_before, fds_after;

    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    reader = open("fifo", O_RDONLY | O_NONBLOCK);
    output = open_output("fifo");
    add(output, 0, 10000);
    assert_int_equal(rename("fifo", "old"), 0);
    fds_before = dup(0);
    close(fds_before);
    assert_int_equal(output_reopen(output), -ETIMEDOUT);
    fds_after = dup(0);
    close(fds_after);
    assert_int_equal(fds_before, fds_after);
    assert_true(output_pending(output) > 0);
    assert_int_equal(output_close(output, 0), -ETIMEDOUT);
    close(reader);
}

static void closing_has_a_timeout(void **state)
{
    struct output *output;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    output = open_stdout_on(ends[1]);
    add(output, 0, 10000);
    assert_int_equal(output_close(output, 10), -ETIMEDOUT);
    close(ends[0]);
}

static void ignore(int signal)
{
    (void)signal;
}

static timer_t start_ticking(void)
{
    struct sigaction action = {.sa_handler = ignore};
    struct sigevent tick = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 200000}, {0, 200000}};
    timer_t timer;

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &tick, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
    return timer;
}

/* Forks a reader, which reads to EOF and exits with 0 if it read exactly this many bytes. */
static pid_t start_reader(int fd, int writer, size_t expected)
{
    char buf[1000];
    size_t size = 0;
    ssize_t got;
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    close(writer);
    while ((got = read(fd, buf, sizeof(buf))) > 0)
        size += (size_t)got;
    _exit(got < 0 || size != expected);
}

/* output_close() waits for the reader although signals interrupt it. */
static void interrupted_calls_are_restarted(void **state)
{
    struct output *output;
    timer_t timer;
    int ends[2], status;
    pid_t reader;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    output = open_stdout_on(ends[1]);
    add(output, 0, 20000);
    reader = start_reader(ends[0], output_fd(output), output_pending(output));
    close(ends[0]);
    timer = start_ticking();
    status = output_close(output, HANG_SECONDS * 1000);
    timer_delete(timer);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
}

#define test_of(function)                                                                          \
    cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_of(files_are_created_and_appended_to),
        test_of(a_file_takes_everything_at_once),
        test_of(errors_of_opening_are_returned),
        test_of(a_file_has_one_header),
        test_of(a_file_without_records_has_a_header),
        test_of(a_file_with_other_columns_is_refused),
        test_of(the_old_file_stays_if_the_new_one_has_other_columns),
        test_of(a_reopened_file_has_a_header_if_it_is_new),
        test_of(text_in_a_file_has_no_colour),
        test_of(text_on_a_terminal_has_colour),
        test_of(closed_standard_output_is_an_error),
        test_of(errors_of_writing_are_permanent),
        test_of(closed_pipe_is_epipe),
        test_of(closed_socket_is_epipe),
        test_of(a_partial_line_is_removed),
        test_of(a_partial_line_is_removed_from_standard_output),
        test_of(a_partial_record_of_several_lines_is_removed),
        test_of(a_torn_line_is_ended_first),
        test_of(a_slow_pipe_blocks_nothing),
        test_of(a_slow_socket_blocks_nothing),
        test_of(a_slow_fifo_blocks_nothing),
        test_of(a_stopped_terminal_blocks_nothing),
        test_of(standard_output_stays_blocking),
        test_of(writes_to_a_pipe_end_with_a_line),
        test_of(a_line_longer_than_pipe_buf_is_complete),
        test_of(reopening_opens_the_new_file),
        test_of(a_failed_reopening_keeps_the_old_file),
        test_of(a_reopening_waits_for_the_old_reader),
        test_of(closing_has_a_timeout),
        test_of(interrupted_calls_are_restarted),
    };

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
