/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fixture that runs each test in a new directory, and random changes to names below it. */
#ifndef FILEMON_TEST_DIRECTORY_H
#define FILEMON_TEST_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "random.h"

static int enter_directory(void **state)
{
    const char *parent = getenv("TMPDIR");
    char template[PATH_MAX];

    snprintf(template, sizeof(template), "%s/filemon-paths-XXXXXX", parent ? parent : "/tmp");
    if (mkdtemp(template) == NULL || chdir(template) != 0)
        return -1;
    *state = realpath(template, NULL);
    return *state == NULL;
}

static int leave_directory(void **state)
{
    char command[PATH_MAX + 16];
    int status;

    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    status = chdir("/") != 0 || system(command) != 0;
    free(*state);
    return status;
}

#define test_in_directory(function)                                                                \
    cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)

/* A path of up to three components: a, b, c, and at most one "..", which is not the first. */
static inline void random_name(char name[static 16])
{
    unsigned int components = 1 + random_below(3);

    *name = '\0';
    for (unsigned int i = 0; i < components; i++) {
        unsigned int which = random_below(i > 0 && strstr(name, "..") == NULL ? 13 : 12);

        strcat(name, i > 0 ? "/" : "");
        strcat(name, which == 12 ? ".." : (char[]){(char)('a' + which % 3), '\0'});
    }
}

/* Whether the path is in the directory: a link or ".." can lead out of it, where a test must not
 * change anything. */
static inline bool lies_in(const char *directory, const char *path)
{
    char parent[2 * PATH_MAX], real[PATH_MAX];
    size_t len = strlen(directory);

    snprintf(parent, sizeof(parent), "%s", path);
    strcpy(strchr(path, '/') != NULL ? strrchr(parent, '/') + 1 : parent, ".");
    return realpath(parent, real) != NULL && strncmp(real, directory, len) == 0 &&
           (real[len] == '/' || real[len] == '\0');
}

/* Tries one random change: creates a directory or a link, renames or removes one. */
static inline void random_change(const char *directory)
{
    char name[16], target[16], absolute[PATH_MAX];

    random_name(name);
    random_name(target);
    snprintf(absolute, sizeof(absolute), "%s/%s", directory, target);
    if (strstr(name, "..") != NULL || !lies_in(directory, name))
        return;
    switch (random_below(6)) {
    case 0:
    case 1:
        (void)!mkdir(name, 0700);
        break;
    case 2:
        (void)!symlink(target, name);
        break;
    case 3:
        (void)!symlink(absolute, name);
        break;
    case 4:
        if (strstr(target, "..") == NULL && lies_in(directory, target))
            (void)!rename(name, target);
        break;
    default:
        (void)!remove(name);
        break;
    }
}

#endif
