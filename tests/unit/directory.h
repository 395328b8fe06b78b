/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of its own for each test, which runs in it, and random names and links below it. */
#ifndef FILEMON_TEST_DIRECTORY_H
#define FILEMON_TEST_DIRECTORY_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "random.h"

static int enter_directory(void **state)
{
    char template[] = "/tmp/filemon-paths-XXXXXX";

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

/* Up to three components: a, b, c, and ".." at most once and behind another, which does not lead
 * out of the directory. */
static void random_name(char name[static 16])
{
    unsigned int components = 1 + random_below(3);

    *name = '\0';
    for (unsigned int i = 0; i < components; i++) {
        unsigned int which = random_below(i > 0 && strstr(name, "..") == NULL ? 13 : 12);

        strcat(name, i > 0 ? "/" : "");
        strcat(name, which == 12 ? ".." : (char[]){(char)('a' + which % 3), '\0'});
    }
}

/* Makes a directory or a link, relative or absolute, or removes one; whether it can or not. Nothing
 * outside of the directory. */
static void random_change(const char *directory)
{
    char name[16], target[16], absolute[PATH_MAX];

    random_name(name);
    random_name(target);
    snprintf(absolute, sizeof(absolute), "%s/%s", directory, target);
    if (strstr(name, "..") != NULL)
        return;
    switch (random_below(5)) {
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
    default:
        (void)!remove(name);
        break;
    }
}

#endif
