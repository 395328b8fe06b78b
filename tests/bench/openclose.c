/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * openclose [-n] FILE ROUNDS PAIRS [COPIES]
 *
 * Opens and closes FILE as fast as it can, PAIRS times in each of ROUNDS, and prints two numbers:
 * nanoseconds per pair, of the best round and of the median one.  COPIES processes do so at once,
 * and the numbers are those of all their rounds.  -n: neither open nor close but another system
 * call that says nothing about files. First it prints its process id and waits until standard input
 * ends.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void open_close(const char *file, long pairs)
{
    while (pairs-- > 0) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY, 0);
        if (fd < 0 || syscall(SYS_close, fd) != 0) {
            perror(file);
            _exit(1);
        }
    }
}

static void other_call(long pairs)
{
    while (pairs-- > 0)
        syscall(SYS_getppid);
}

static void play(const char *file, long rounds, long pairs, double *ns)
{
    for (long round = 0; round < rounds; round++) {
        uint64_t start = now_ns();
        if (file != NULL)
            open_close(file, pairs);
        else
            other_call(pairs);
        ns[round] = (double)(now_ns() - start) / (double)pairs;
    }
}

static int by_value(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
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
    bool other = argc > 1 && strcmp(argv[1], "-n") == 0;

    argv += other, argc -= other;
    if (argc < 4) {
        fputs("usage: openclose [-n] FILE ROUNDS PAIRS [COPIES]\n", stderr);
        return 2;
    }
    const char *file = other ? NULL : argv[1];
    long rounds = strtol(argv[2], NULL, 10), pairs = strtol(argv[3], NULL, 10);
    long copies = argc > 4 ? strtol(argv[4], NULL, 10) : 1;
    size_t n = (size_t)(rounds * copies);
    double *ns = mmap(NULL, n * sizeof(*ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);

    if (rounds < 1 || pairs < 1 || copies < 1 || ns == MAP_FAILED)
        return 2;
    wait_for_end_of_input();
    for (long copy = 1; copy < copies; copy++) {
        if (fork() == 0) {
            play(file, rounds, pairs, ns + copy * rounds);
            _exit(0);
        }
    }
    play(file, rounds, pairs, ns);
    while (wait(NULL) > 0)
        ;
    qsort(ns, n, sizeof(*ns), by_value);
    printf("%.0f %.0f\n", ns[0], ns[n / 2]);
    return 0;
}
