/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for stap and staprun.  Called by either name, it runs the commands in the file
 * $STANDIN/NAME, one on each line, and then exits with status 0.
 *
 *   say TEXT           writes a line to standard output
 *   warn TEXT          writes a line to standard error
 *   send FILE          writes the content of FILE to standard output
 *   bytes FILE         the same, one byte for each write(2)
 *   flood N FILE       the same as send, N times
 *   skip N             skips N line numbers, as if these lines were lost
 *   ready NAME         module NAME is loaded: creates its control file, and prints "listo"
 *   until TEXT         waits until the text written to the control file ends in TEXT
 *   watching           prints "mirando"
 *   mark FILE          creates FILE
 *   await FILE         waits until FILE exists
 *   wait               waits to be stopped like the script: either by the command 'S', after which
 *                      it prints "fin" and waits for a signal, or by a signal
 *   caught             waits for SIGINT or SIGTERM
 *   hang               waits forever; signals are only logged
 *   close              closes standard output and standard error
 *   thread FILE        starts a thread that writes its tid to FILE, and keeps running
 *   child              starts a process that keeps running and writes to its directory without end
 *   build [RELEASE]    writes the module that -m names, for that kernel (default: the running one)
 *   keep               copies the script and the System.map that stap was given to $STANDIN
 *   die N              kills itself by signal N
 *   exit N             exits with status N
 *
 * Each line of the script that is written ("{codigo: ...}") gets its number at both ends, as the
 * script does it.
 *
 * FILEs are in $STANDIN.  The stand-in also writes there "log", with a line for each call and
 * signal, and "argv", with the arguments of all calls, each followed by a NUL.  "stap --version"
 * prints the content of "version", if that exists, after the version; "staprun -d" runs the
 * commands in "unload", if that exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../helpers/tinymodule.h"

#define MAX_SECONDS 120 /* SIGALRM then kills a process that a failed test left */

static int log_fd;
static volatile sig_atomic_t signalled;
static char **arguments;
static char control[PATH_MAX];

static noreturn void fail(const char *what)
{
    dprintf(log_fd, "stand-in: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);

        if (written < 0 && errno != EINTR)
            fail("write");
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        }
    }
}

static void make_path(char path[static PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", getenv("STANDIN"), name);
}

/* The caller frees the result. */
static char *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t room = 0;

    if (!file)
        fail(path);
    *size = 0;
    do {
        if (*size == room) {
            char *more = realloc(bytes, room = 2 * room + 65536);

            if (!more)
                fail("memory");
            bytes = more;
        }
        *size += fread(bytes + *size, 1, room - *size, file);
    } while (!feof(file) && !ferror(file));
    fclose(file);
    return bytes;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void on_signal(int number)
{
    static const char sigint[] = "SIGINT\n", sigterm[] = "SIGTERM\n";
    int saved = errno;
    ssize_t written = number == SIGINT ? write(log_fd, sigint, sizeof(sigint) - 1)
                                       : write(log_fd, sigterm, sizeof(sigterm) - 1);

    signalled |= written > 0;
    errno = saved;
}

/* ---- Commands ------------------------------------------------------------------------------- */

static void write_line(int fd, const char *text)
{
    char line[PATH_MAX];

    write_all(fd, line, (size_t)snprintf(line, sizeof(line), "%s\n", text));
}

static unsigned int next_number;

static void skip(const char *lines)
{
    next_number += (unsigned int)strtoul(lines, NULL, 10);
}

/* Copies a line with its number, which takes NUMBERS_SIZE more bytes.  Lines "parte" have the
 * number of the line that they belong to. */
static size_t number_line(char *to, const char *line, size_t len)
{
    unsigned int number = next_number;
    int head;

    if (len < 2 || line[0] != '{' || line[len - 1] != '}' || strncmp(line, "{codigo", 7) != 0) {
        memcpy(to, line, len);
        return len;
    }
    next_number += strncmp(line, "{codigo: \"parte\"", 16) != 0;
    head = sprintf(to, "{n: %08u, ", number);
    memcpy(to + head, line + 1, len - 2);
    to += head + (int)len - 2;
    return (size_t)head + len - 2 + (size_t)sprintf(to, ", nn: %08u}", number);
}

#define NUMBERS_SIZE 32 /* of both numbers of a line */

/* The caller frees the result. */
static char *number_lines(const char *bytes, size_t size, size_t *numbered)
{
    size_t lines = 1;
    char *to;

    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    to = malloc(size + lines * NUMBERS_SIZE);
    if (!to)
        fail("memory");
    *numbered = 0;
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t len = end ? (size_t)(end - bytes) : size;

        *numbered += number_line(to + *numbered, bytes, len);
        if (end)
            to[(*numbered)++] = '\n';
        bytes += len + (end != NULL);
        size -= len + (end != NULL);
    }
    return to;
}

static void say(const char *text)
{
    char line[PATH_MAX + NUMBERS_SIZE];

    line[number_line(line, text, strlen(text))] = '\0';
    write_line(STDOUT_FILENO, line);
}

static void warn(const char *text)
{
    write_line(STDERR_FILENO, text);
}

static void flood(const char *text)
{
    char path[PATH_MAX], *bytes, *end;
    unsigned long times = strtoul(text, &end, 10);
    size_t size;

    make_path(path, end + 1);
    bytes = contents(path, &size);
    while (times--) {
        size_t n;
        char *numbered = number_lines(bytes, size, &n);

        write_all(STDOUT_FILENO, numbered, n);
        free(numbered);
    }
    free(bytes);
}

static void send_file(const char *name)
{
    char once[PATH_MAX];

    snprintf(once, sizeof(once), "1 %s", name);
    flood(once);
}

static void send_bytes(const char *name)
{
    char path[PATH_MAX], *bytes, *numbered;
    size_t size, n;

    make_path(path, name);
    bytes = contents(path, &size);
    numbered = number_lines(bytes, size, &n);
    for (size_t i = 0; i < n; i++)
        write_all(STDOUT_FILENO, numbered + i, 1);
    free(numbered);
    free(bytes);
}

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        fail(path);
    close(fd);
}

static void ready(const char *text)
{
    char name[64], dir[PATH_MAX - 16], line[PATH_MAX];

    if (sscanf(text, "%63s", name) != 1)
        fail(text);
    snprintf(dir, sizeof(dir), "root/proc/systemtap/%s", name);
    mkdir(dir, 0755);
    snprintf(control, sizeof(control), "%s/control", dir);
    make_file(control);
    snprintf(line, sizeof(line), "{codigo: \"listo\", modulo: \"%s\"}", name);
    say(line);
}

static bool ends_in(const char *path, const char *text)
{
    size_t size, len = strlen(text);
    char *bytes = contents(path, &size);
    bool ends = size >= len && memcmp(bytes + size - len, text, len) == 0;

    free(bytes);
    return ends;
}

static void until(const char *text)
{
    while (!ends_in(control, text))
        pause_briefly();
}

static void watching(const char *unused)
{
    (void)unused;
    say("{codigo: \"mirando\", modulo: \"filemon_test\"}");
}

static void mark(const char *name)
{
    char path[PATH_MAX];

    make_path(path, name);
    make_file(path);
}

static void await(const char *name)
{
    char path[PATH_MAX];

    make_path(path, name);
    while (access(path, F_OK) < 0)
        pause_briefly();
}

static void caught(const char *unused)
{
    (void)unused;
    while (!signalled)
        pause_briefly();
}

static void wait_stopped(const char *unused)
{
    (void)unused;
    while (!signalled && !(control[0] && ends_in(control, "S")))
        pause_briefly();
    if (!signalled)
        say("{codigo: \"fin\", modulo: \"filemon_test_1\"}");
    caught(NULL);
}

static void hang(const char *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static void close_output(const char *unused)
{
    (void)unused;
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
}

static void litter(void)
{
    char name[64];

    for (unsigned int i = 0;; i++) {
        snprintf(name, sizeof(name), "litter.%u", i % 100);
        unlink(name);
        close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
}

static void child(const char *unused)
{
    pid_t pid;

    (void)unused;
    pid = fork();
    if (pid == 0) {
        alarm(MAX_SECONDS);
        litter();
    }
    dprintf(log_fd, "child %d\n", pid);
}

static void *write_number(void *name)
{
    char path[PATH_MAX], beside[PATH_MAX];
    FILE *file;

    make_path(path, name);
    make_path(beside, "number");
    file = fopen(beside, "we");
    if (!file)
        fail(beside);
    fprintf(file, "%d\n", gettid());
    if (fclose(file) != 0 || rename(beside, path) < 0)
        fail(path);
    for (;;)
        pause();
}

static void thread(const char *name)
{
    pthread_t unused;

    errno = pthread_create(&unused, NULL, write_number, (void *)(uintptr_t)name);
    if (errno != 0)
        fail("thread");
}

/* The argument after the option, or, if option is NULL, the last argument. */
static const char *argument(const char *option)
{
    const char *last = NULL;

    for (char **word = arguments + 1; *word; word++) {
        last = *word;
        if (option && !strcmp(*word, option) && word[1])
            return word[1];
    }
    return last;
}

static void build(const char *text)
{
    struct tinymodule module;
    char path[PATH_MAX];
    struct utsname uts;
    int fd;

    uname(&uts);
    tinymodule_make(&module, *text ? text : uts.release);
    snprintf(path, sizeof(path), "%s.ko", argument("-m"));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(path);
    write_all(fd, (const char *)&module, sizeof(module));
    close(fd);
}

static void keep_one(const char *from, const char *name)
{
    char to[PATH_MAX], *bytes;
    size_t size;
    int fd;

    make_path(to, name);
    bytes = contents(from, &size);
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    write_all(fd, bytes, size);
    close(fd);
    free(bytes);
}

static void keep(const char *unused)
{
    char map[PATH_MAX];

    (void)unused;
    snprintf(map, sizeof(map), "%s/System.map", argument("-r"));
    keep_one(map, "System.map");
    keep_one(argument(NULL), "script.stp");
}

static int number_of(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static void die(const char *number)
{
    signal(number_of(number), SIG_DFL);
    raise(number_of(number));
}

static void leave(const char *status)
{
    _exit(number_of(status));
}

static const struct {
    const char *name;
    void (*run)(const char *text);
} commands[] = {
    {"skip", skip},         {"say", say},     {"warn", warn},          {"send", send_file},
    {"bytes", send_bytes},  {"flood", flood}, {"ready", ready},        {"until", until},
    {"watching", watching}, {"mark", mark},   {"await", await},        {"wait", wait_stopped},
    {"caught", caught},     {"hang", hang},   {"close", close_output}, {"thread", thread},
    {"child", child},       {"build", build}, {"keep", keep},          {"die", die},
    {"exit", leave},
};

static void run_command(char *line)
{
    size_t len = strcspn(line, " ");
    const char *text = line + len + (line[len] == ' ');

    line[len] = '\0';
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!strcmp(commands[i].name, line)) {
            commands[i].run(text);
            return;
        }
    }
    errno = EINVAL;
    fail(line);
}

static void run_file(const char *name)
{
    char path[PATH_MAX], *text, *line;
    size_t size;

    make_path(path, name);
    text = contents(path, &size);
    for (char *at = text; at < text + size; at = line + 1) {
        line = memchr(at, '\n', (size_t)(text + size - at));
        if (!line)
            break;
        *line = '\0';
        run_command(at);
    }
    free(text);
}

static void run_unload(void)
{
    char path[PATH_MAX];

    make_path(path, "unload");
    if (access(path, F_OK) == 0)
        run_file("unload");
}

/* ---- A call --------------------------------------------------------------------------------- */

static void log_call(const char *name)
{
    char path[PATH_MAX], text[65536];
    size_t len = (size_t)snprintf(text, sizeof(text), "%s", name);
    FILE *argv;

    make_path(path, "argv");
    argv = fopen(path, "ae");
    if (!argv)
        fail(path);
    for (char **word = arguments + 1; *word; word++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", *word);
        fwrite(*word, 1, strlen(*word) + 1, argv);
    }
    fclose(argv);
    dprintf(log_fd, "%s\n", text);
}

static void catch_signals(const char *name)
{
    struct sigaction action = {.sa_handler = on_signal};

    if (signal(SIGINT, SIG_DFL) == SIG_IGN || signal(SIGTERM, SIG_DFL) == SIG_IGN)
        dprintf(log_fd, "%s ignores signals\n", name);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    alarm(MAX_SECONDS);
}

static void say_version(void)
{
    char path[PATH_MAX];

    puts("Systemtap translator/driver (version 9.9/0.999, release 9.9-1)");
    make_path(path, "version");
    if (access(path, F_OK) < 0)
        return;
    fflush(stdout);
    send_file("version");
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    char path[PATH_MAX];

    arguments = argv;
    make_path(path, "log");
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    catch_signals(name);
    log_call(name);
    if (argc > 1 && !strcmp(argv[1], "--version"))
        say_version();
    else if (argc > 1 && !strcmp(argv[1], "-d"))
        run_unload();
    else
        run_file(name);
    return 0;
}
