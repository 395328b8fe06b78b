/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers for tests.  The seed is printed; SEED=N in the environment repeats a run. */
#ifndef FILEMON_TEST_RANDOM_H
#define FILEMON_TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t random_state;

static inline void random_start(const char *test)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();

    fprintf(stderr, "%s: SEED=%ju\n", test, (uintmax_t)seed);
    random_state = seed * 2 + 1;
}

/* A number from 0 to below - 1. */
static inline unsigned int random_below(unsigned int below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned int)((random_state >> 32) % below);
}

#endif
