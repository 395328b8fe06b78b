/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * openclose [-n|-r] FILE PAIRS [COPIES]
 * openclose -k FILE COUNT [COPIES]
 *
 * Opens and closes FILE as fast as it can, PAIRS times in each of COPIES processes at once, and
 * prints two numbers, nanoseconds per pair: of processor time, which interrupts and other processes
 * hardly affect, and of elapsed time.  -n: makes another system call, which has nothing to do with
 * files, instead of open and close.  -r: opens FILE once, and reads its first 4 KiB instead.  -k:
 * opens FILE COUNT times without closing it, prints "open" in each process, and waits to be killed.
 *
 * Before this, it prints its process id and waits for EOF on standard input.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int open_file(const char *file)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY, 0);

    if (fd < 0) {
        perror(file);
        _exit(1);
    }
    return fd;
}

static void open_close(const char *file, long pairs)
{
    while (pairs-- > 0)
        syscall(SYS_close, open_file(file));
}

static void other_call(const char *file, long calls)
{
    (void)file;
    while (calls-- > 0)
        syscall(SYS_getppid);
}

static void read_file(const char *file, long reads)
{
    int fd = open_file(file);
    char page[4096];

    while (reads-- > 0)
        syscall(SYS_pread64, fd, page, sizeof(page), 0);
}

static void keep_open(const char *file, long count, long copies)
{
    for (pid_t child = 0; copies > 1 && child == 0; copies--)
        child = fork();               /* each copy forks the next one */
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the copies are killed with the first process */
    while (count-- > 0)
        open_file(file);
    puts("open");
    fflush(stdout);
    pause();
}

static double elapsed_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The processor time of this process and of its children that it has waited for. */
static double processor_ns(void)
{
    struct timespec own;
    struct rusage children;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)own.tv_sec * 1e9 + (double)own.tv_nsec +
           (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e9 +
           (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e3;
}

static void play(void (*work)(const char *, long), const char *file, long number, long copies)
{
    double processor = processor_ns(), elapsed = elapsed_ns();

    for (long copy = 1; copy < copies; copy++) {
        if (fork() == 0) {
            work(file, number);
            _exit(0);
        }
    }
    work(file, number);
    while (wait(NULL) > 0)
        ;
    printf("%.1f %.1f\n", (processor_ns() - processor) / (double)(number * copies),
           (elapsed_ns() - elapsed) / (double)number);
}

static void wait_for_end_of_input(void)
{
    char byte;

    printf("%d\n", getpid());
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

int main(int argc, char **argv)
{
    char option = argc > 1 && argv[1][0] == '-' ? argv[1][1] : '\0';

    argv += option != '\0', argc -= option != '\0';
    if (argc < 3) {
        fputs("usage: openclose [-n|-r|-k] FILE NUMBER [COPIES]\n", stderr);
        return 2;
    }
    long number = strtol(argv[2], NULL, 10), copies = argc > 3 ? strtol(argv[3], NULL, 10) : 1;

    wait_for_end_of_input();
    if (option == 'k')
        keep_open(argv[1], number, copies);
    else
        play(option == 'n'   ? other_call
             : option == 'r' ? read_file
                             : open_close,
             argv[1], number, copies);
    return 0;
}
