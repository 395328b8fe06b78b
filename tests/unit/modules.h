/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fixture for tests that need modules: each runs in a new directory, and "bin/stap" there is the
 * only stap in PATH. */
#ifndef FILEMON_TESTS_MODULES_H
#define FILEMON_TESTS_MODULES_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helpers/tinymodule.h"
#include "caught.h"

#include "engine/stap/module.h"
#include "engine/stap/stap.h"

struct place {
    char dir[64];
    char *path_before;
};

static inline void make_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(name, mode), 0);
}

static inline void make_module(const char *name, const char *release)
{
    struct tinymodule module;
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    tinymodule_make(&module, release);
    assert_int_equal(fwrite(&module, sizeof(module), 1, file), 1);
    fclose(file);
    assert_int_equal(chmod(name, 0644), 0);
}

/* Makes a stap that prints this version and counts its calls. */
static inline void make_stap(const char *says)
{
    char text[1024];

    unlink("bin/stap");
    snprintf(text, sizeof(text), "#!/bin/sh\necho >> calls\ncat << 'END'\n%s\nEND\n", says);
    make_file("bin/stap", text, 0755);
}

static inline int modules_begin(void **state)
{
    static struct place place;
    char path[16384];

    place = (struct place){.dir = "/tmp/filemon-test-module.XXXXXX",
                           .path_before = strdup(getenv("PATH"))};
    if (!mkdtemp(place.dir) || chdir(place.dir) != 0 || mkdir("bin", 0755) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/bin:%s", place.dir, place.path_before);
    setenv("PATH", path, 1);
    make_stap("Systemtap translator/driver (version 4.8/0.188, Debian version 4.8-2)\nCopyright");
    *state = &place;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int modules_end(void **state)
{
    struct place *place = *state;

    setenv("PATH", place->path_before, 1);
    free(place->path_before);
    return chdir("/") | nftw(place->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct module identified(const char *module_dir, const char *kernel)
{
    struct stap_options options = {.module_dir = module_dir, .kernel = kernel};
    struct engine_config config = {.stap = &options};
    struct module module;

    assert_int_equal(module_identify(&module, &config), 0);
    return module;
}

static inline struct module made(void)
{
    struct module module = identified("m", "k");

    mkdir("m", 0755);
    mkdir("m/k", 0755);
    mkdir(module.dir, 0755);
    return module;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, modules_begin, modules_end)

#endif
