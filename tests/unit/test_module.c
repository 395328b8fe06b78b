/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/module.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helpers/tinymodule.h"
#include "caught.h"

#include "engine/stap/modinfo.h"
#include "engine/stap/script.h"

/* A directory of its own, with "bin/stap", the only program in PATH. */
struct place {
    char dir[64];
    char *path_before;
};

static void make_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(name, mode), 0);
}

static void make_module(const char *name, const char *release)
{
    struct tinymodule module;
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    tinymodule_make(&module, release);
    assert_int_equal(fwrite(&module, sizeof(module), 1, file), 1);
    fclose(file);
    assert_int_equal(chmod(name, 0644), 0);
}

/* It says this when it is asked for its version, and counts how often it is. */
static void make_stap(const char *says)
{
    char text[1024];

    unlink("bin/stap");
    snprintf(text, sizeof(text), "#!/bin/sh\necho >> calls\ncat << 'END'\n%s\nEND\n", says);
    make_file("bin/stap", text, 0755);
}

static int begin(void **state)
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int end(void **state)
{
    struct place *place = *state;

    setenv("PATH", place->path_before, 1);
    free(place->path_before);
    return chdir("/") | nftw(place->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct module identified(const char *module_dir, const char *kernel)
{
    struct engine_config config = {.module_dir = module_dir, .kernel = kernel};
    struct module module;

    assert_int_equal(module_identify(&module, &config), 0);
    return module;
}

static void assert_path(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void assert_path(const char *path, const char *format, ...)
{
    char expected[2 * PATH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(expected, sizeof(expected), format, args);
    va_end(args);
    assert_string_equal(path, expected);
}

/* ---- Names ------------------------------------------------------------------------------------
 */

static void names(void **state)
{
    const struct place *place = *state;
    struct module module = identified("/m", "6.1.0-1-amd64");
    struct utsname uts;

    assert_string_equal(module.release, "6.1.0-1-amd64");
    assert_string_equal(module.version, "4.8/0.188");
    assert_string_equal(module.top, "/m");
    assert_string_equal(module.build, ""); /* its headers are not here */
    assert_memory_equal(module.dir, "/m/6.1.0-1-amd64/", strlen("/m/6.1.0-1-amd64/"));
    assert_int_equal(strlen(module.dir), strlen("/m/6.1.0-1-amd64/") + 12);
    assert_int_equal(strlen(module.name), strlen("filemon_") + 12 + 1 + 8);
    assert_int_equal(strspn(module.name + strlen("filemon_"), "0123456789abcdef_"), 12 + 1 + 8);
    assert_int_equal(module.name[strlen("filemon_") + 12], '_');
    assert_path(module.path, "%s/%s.ko", module.dir, module.name);

    uname(&uts);
    module = identified("x/y", NULL);
    assert_path(module.top, "%s/x/y", place->dir);
    assert_string_equal(module.build, uts.version);
    assert_non_null(strstr(module.dir, uts.release));
}

/* The script, the flags and stap's version, and nothing else. */
static void what_a_name_depends_on(void **state)
{
    struct module module = identified("/m", "6.1.0-1-amd64"),
                  other = identified("/elsewhere", "6.12.0-2-amd64");

    (void)state;
    assert_string_equal(module.name, other.name);
    make_stap("Systemtap translator/driver (version 5.1/0.191, Debian version 5.1-5)");
    other = identified("/m", "6.1.0-1-amd64");
    assert_string_equal(other.version, "5.1/0.191");
    assert_int_not_equal(strcmp(module.name, other.name), 0);
    /* What stands before the last '_' is of the script alone. */
    assert_memory_equal(module.name, other.name, strlen("filemon_") + 12 + 1);
}

static void versions(void **state)
{
    static const struct {
        const char *says, *version;
    } cases[] = {{"", ""},
                 {"stap", ""},
                 {"(4.8)", ""},
                 {"stap (version )", ""},
                 {"stap (version 5.6)", "5.6"},
                 {"stap (version 5.6/0.192, commit release-5.6)", "5.6/0.192"},
                 {"stap (version "
                  "1234567890123456789012345678901234567890123456789012345678901234567890)",
                  "123456789012345678901234567890123456789012345678901234567890123"}};
    char long_text[900];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_stap(cases[i].says);
        assert_string_equal(identified("/m", NULL).version, cases[i].version);
    }
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    make_stap(long_text);
    assert_string_equal(identified("/m", NULL).version, "");
    chmod("bin/stap", 0644);
    setenv("PATH", "bin", 1);
    assert_string_equal(identified("/m", NULL).version, "");
}

static void no_names(void **state)
{
    static const char *const kernels[] = {"../x", "6.1/x", ".", "..", ".x"};
    static char too_long[PATH_MAX + 1];
    struct engine_config config = {.module_dir = "/m"};
    struct module module;
    void *caught;

    (void)state;
    caught_begin(&caught);
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        config.kernel = kernels[i];
        assert_int_equal(module_identify(&module, &config), -EINVAL);
        assert_non_null(strstr(caught_line(&caught), "no place for the probe module of kernel"));
    }
    memset(too_long, 'x', sizeof(too_long) - 1);
    config.kernel = too_long;
    assert_int_equal(module_identify(&module, &config), -ENAMETOOLONG);
    config = (struct engine_config){.module_dir = too_long};
    for (size_t len = PATH_MAX; len > PATH_MAX - 32; len--) {
        too_long[len] = '\0';
        assert_int_equal(module_identify(&module, &config), -ENAMETOOLONG);
    }
    too_long[0] = '/';
    assert_int_equal(module_identify(&module, &config), -ENAMETOOLONG);
    caught_end(&caught);
}

static void default_directories(void **state)
{
    const char *before = getenv("HOME");
    char *home = before ? strdup(before) : NULL;

    (void)state;
    setenv("HOME", "/home/h", 1);
    unsetenv("XDG_CACHE_HOME");
    assert_string_equal(identified(NULL, "k").top,
                        geteuid() == 0 ? "/var/cache/filemon" : "/home/h/.cache/filemon");
    setenv("XDG_CACHE_HOME", "/cache", 1);
    assert_string_equal(identified(NULL, "k").top,
                        geteuid() == 0 ? "/var/cache/filemon" : "/cache/filemon");
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, as its specification has it */
    assert_string_equal(identified(NULL, "k").top,
                        geteuid() == 0 ? "/var/cache/filemon" : "/home/h/.cache/filemon");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_string_equal(identified(NULL, "k").top, "/var/cache/filemon");
    if (home)
        setenv("HOME", home, 1);
    free(home);
}

/* ---- stap's version is remembered -------------------------------------------------------------
 */

static long calls(void)
{
    struct stat st;

    return stat("calls", &st) == 0 ? (long)st.st_size : 0;
}

static void version_is_remembered(void **state)
{
    struct engine_config config = {.module_dir = "m", .kernel = "no-such-kernel"};
    struct module module;
    struct module_build build;
    void *caught;

    (void)state;
    assert_int_equal(module_identify(&module, &config), 0);
    assert_int_equal(module_identify(&module, &config), 0);
    assert_int_equal(calls(), 2); /* no directory is made by asking */
    assert_int_not_equal(access("m", F_OK), 0);

    /* It fails where the headers are wanted. */
    caught_begin(&caught);
    assert_int_equal(module_build_start(&build, &module, &config), -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "linux-headers-no-such-kernel"));
    caught_end(&caught);
    module_build_end(&build);
    assert_int_equal(module_identify(&module, &config), 0);
    assert_string_equal(module.version, "4.8/0.188");
    assert_int_equal(calls(), 2);

    make_stap("stap (version 5.1/0.191)");
    assert_int_equal(module_identify(&module, &config), 0);
    assert_string_equal(module.version, "5.1/0.191");
    assert_int_equal(calls(), 3);
}

/* ---- Which one is found, and trusted ----------------------------------------------------------
 */

static struct module made(void)
{
    struct module module = identified("m", "k");

    mkdir("m", 0755);
    mkdir("m/k", 0755);
    mkdir(module.dir, 0755);
    return module;
}

static void found(void **state)
{
    struct module module = made();

    (void)state;
    assert_int_equal(module_find(&module), -ENOENT);
    make_module(module.path, "k");
    assert_int_equal(module_find(&module), 0);
    unlink(module.path);
    mkdir(module.path, 0755);
    assert_int_equal(module_find(&module), -EPERM);
    rmdir(module.path);
    make_module("elsewhere.ko", "k");
    assert_int_equal(symlink("../../../elsewhere.ko", module.path), 0);
    assert_int_equal(module_find(&module), -EPERM);
}

static void trusted(void **state)
{
    static const struct {
        mode_t top, release, dir, file;
        int result;
    } cases[] = {
        {0755, 0755, 0755, 0644, 0},       {0700, 0700, 0700, 0600, 0},
        {0755, 0755, 0755, 0664, -EPERM},  {0755, 0755, 0755, 0646, -EPERM},
        {0755, 0755, 0755, 01666, -EPERM}, {0755, 0755, 0775, 0644, -EPERM},
        {0755, 0755, 0757, 0644, -EPERM},  {0755, 0775, 0755, 0644, -EPERM},
        {0755, 0757, 0755, 0644, -EPERM},  {0775, 0755, 0755, 0644, -EPERM},
        {0757, 0755, 0755, 0644, -EPERM},  {01777, 0755, 0755, 0644, 0},
        {01777, 01777, 0755, 0644, 0},     {01777, 01777, 01777, 0644, -EPERM},
    };
    struct module module = made();

    (void)state;
    make_module(module.path, "k");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        chmod("m", cases[i].top);
        chmod("m/k", cases[i].release);
        chmod(module.dir, cases[i].dir);
        chmod(module.path, cases[i].file);
        assert_int_equal(module_find(&module), cases[i].result);
        if (cases[i].result == -EPERM)
            assert_non_null(strstr(module.fault, "--module-dir"));
    }
}

/* Only root can give files away. */
static void owned(void **state)
{
    struct module module = made();
    const char *const parts[] = {"m", "m/k", module.dir, module.path};

    (void)state;
    make_module(module.path, "k");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (geteuid() == 0)
            assert_int_equal(chown(parts[i], 12345, 0), 0);
        assert_int_equal(module_find(&module), geteuid() == 0 ? -EPERM : 0);
        if (geteuid() == 0)
            assert_int_equal(chown(parts[i], 0, 0), 0);
    }
}

/* Links on the way are followed where nobody else can turn them. */
static void linked_directories(void **state)
{
    struct module module = made();
    char fault[TRUST_FAULT_SIZE];

    (void)state;
    make_module(module.path, "k");
    assert_int_equal(symlink("m", "link"), 0);
    module = identified("link", "k");
    assert_int_equal(module_find(&module), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(trust_open_directory("loop", false, fault), -ELOOP);
    chmod("m", 0777);
    assert_int_equal(module_find(&module), -EPERM);
    if (geteuid() != 0)
        return;
    chmod("m", 0755);
    assert_int_equal(lchown("link", 12345, 0), 0);
    assert_int_equal(module_find(&module), -EPERM);
    assert_non_null(strstr(module.fault, "belongs to another user (uid 12345)"));
}

/* Nothing is made in a directory of others'. */
static void directories_are_made_where_they_are_trusted(void **state)
{
    char fault[TRUST_FAULT_SIZE];
    int fd;

    (void)state;
    mkdir("open", 0777);
    chmod("open", 0777);
    assert_int_equal(trust_open_directory("open/a/b", true, fault), -EPERM);
    assert_int_not_equal(access("open/a", F_OK), 0);
    mkdir("ours", 0755);
    fd = trust_open_directory("ours/a/b", true, fault);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(access("ours/a/b", F_OK), 0);
    make_file("file", "", 0644);
    assert_int_equal(trust_open_directory("file/a", true, fault), -ENOTDIR);
    assert_int_equal(trust_open_directory("nothing/a", false, fault), -ENOENT);
}

/* ---- What a module's file says ----------------------------------------------------------------
 */

static int checked(const struct tinymodule *module, size_t size, char *fault)
{
    unsigned char *bytes = malloc(size + 1); /* its end is the sanitizer's to guard */
    int result;

    assert_non_null(bytes);
    memcpy(bytes, module, size);
    result = modinfo_check_bytes(bytes, size, "6.1.0-1-amd64", fault);
    free(bytes);
    return result;
}

static void whole_modules(void **state)
{
    char fault[MODINFO_FAULT_SIZE];
    struct tinymodule module;

    (void)state;
    tinymodule_make(&module, "6.1.0-1-amd64");
    assert_int_equal(checked(&module, sizeof(module), fault), 0);
    for (size_t size = 0; size < sizeof(module); size++)
        assert_int_equal(checked(&module, size, fault), -ENOEXEC);
    assert_int_equal(checked(&module, 0, fault), -ENOEXEC);
    assert_string_equal(fault, "is empty");
    assert_int_equal(checked(&module, 20, fault), -ENOEXEC);
    assert_string_equal(fault, "is no kernel module");
    assert_int_equal(checked(&module, sizeof(module) - 1, fault), -ENOEXEC);
    assert_string_equal(fault, "is truncated");
}

static void modules_of_other_kernels(void **state)
{
    static const char *const releases[] = {"6.1.0-1-amd6", "6.1.0-1-amd64x", "6.1.0-2-amd64", ""};
    char fault[MODINFO_FAULT_SIZE];
    struct tinymodule module;

    (void)state;
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        tinymodule_make(&module, releases[i]);
        assert_int_equal(checked(&module, sizeof(module), fault), -ENOEXEC);
        assert_memory_equal(fault, "is for kernel ", strlen("is for kernel "));
        assert_string_equal(fault + strlen("is for kernel "), releases[i]);
    }
    tinymodule_make(&module, "6.1.0-1-amd64");
    memset(module.info, 'x', sizeof(module.info)); /* no key, and no NUL either */
    assert_int_equal(checked(&module, sizeof(module), fault), -ENOEXEC);
}

/* Whatever a byte of it is, nothing outside of the file is read. */
static void damaged_modules(void **state)
{
    char fault[MODINFO_FAULT_SIZE];
    struct tinymodule module = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(module); i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            tinymodule_make(&module, "6.1.0-1-amd64");
            ((unsigned char *)&module)[i] ^= (unsigned char)(1U << bit);
            (void)checked(&module, sizeof(module), fault);
        }
    }
}

static void bad_modules_are_found_out(void **state)
{
    struct module module = made();

    (void)state;
    make_file(module.path, "", 0644);
    assert_int_equal(module_find(&module), -ENOEXEC);
    assert_non_null(strstr(module.fault, ".ko is empty"));
    make_file(module.path, "garbage", 0644);
    assert_int_equal(module_find(&module), -ENOEXEC);
    make_module(module.path, "other");
    assert_int_equal(module_find(&module), -ENOEXEC);
    assert_non_null(strstr(module.fault, ".ko is for kernel other"));
    make_module(module.path, "k");
    assert_int_equal(module_find(&module), 0);
}

/* ---- Failures are remembered ------------------------------------------------------------------
 */

static void failures(void **state)
{
    struct module module = made(), other;
    char why[MODULE_FAILURE_SIZE];

    (void)state;
    assert_false(module_has_failed(&module, why));
    module_remember_failure(&module, "for this");
    assert_true(module_has_failed(&module, why));
    assert_string_equal(why, "for this");
    module_remember_failure(&module, "for that");
    assert_true(module_has_failed(&module, why));
    assert_string_equal(why, "for that");

    /* Another stap may do better, and another kernel is another directory. */
    make_stap("stap (version 5.1/0.191)");
    other = identified("m", "k");
    assert_false(module_has_failed(&other, why));

    module_forget_failure(&module);
    assert_false(module_has_failed(&module, why));
    module_remember_failure(&module, "for this");
    make_module(module.path, "k"); /* from elsewhere, later */
    assert_false(module_has_failed(&module, why));
    module_remember_failure(&module, "staprun could not load it");
    assert_true(module_has_failed(&module, why));
    chmod("m", 0777);
    assert_false(module_has_failed(&module, why));
}

/* ---- The kernels that stap knows --------------------------------------------------------------
 */

static void kernels_ahead(void **state)
{
    static const struct {
        const char *tested, *release;
        int ahead;
    } cases[] = {
        {"6.1.0-rc3", "6.1.0-56-amd64", 0},
        {"6.1-rc1", "6.2.0", 1},
        {"6.1", "6.3.1-generic", 2},
        {"6.18", "7.0.0", 2},
        {"6.19", "7.0.0", 1},
        {"4.20", "5.0.0", 1},
        {"3.19", "4.1", 2},
        {"5.19", "6.0", 1},
        {"6.1", "5.10.0", 0},
        {"", "6.1", 0},
        {"2.6.32", "6.1", 0},
        {"x", "6.1", 0},
        {"6.1", "x", 0},
        {"99999999999.1", "6.1", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct module module = {0};

        snprintf(module.tested, sizeof(module.tested), "%s", cases[i].tested);
        snprintf(module.release, sizeof(module.release), "%s", cases[i].release);
        assert_int_equal(module_releases_ahead(&module), cases[i].ahead);
    }
}

static void tested_kernels(void **state)
{
    static const struct {
        const char *says, *tested;
    } cases[] = {
        {"stap (version 4.8)\ntested kernel versions: 2.6.32 ... 6.1.0-rc3\nenabled", "6.1.0-rc3"},
        {"stap (version 5.4)\ntested kernel versions: 3.10 ... 6.18-rc\n", "6.18-rc"},
        {"stap (version 4.8)\ntested kernel versions:\n", ""},
        {"stap (version 4.8)\ntested kernel versions: 6.1\n", ""},
        {"stap (version 4.8)", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_stap(cases[i].says);
        assert_string_equal(identified("/m", NULL).tested, cases[i].tested);
    }
}

/* Without stap, one that any version of it built; but of this script. */
static void of_any_version(void **state)
{
    struct module module = made(), other = module;
    char path[PATH_MAX + 64];

    (void)state;
    setenv("PATH", "/nothing", 1);
    module = identified("m", "k");
    assert_string_equal(module.version, "");
    assert_int_equal(module_find(&module), -ENOENT);

    snprintf(path, sizeof(path), "%s/filemon_0123456789ab_01234567.ko", module.dir);
    make_module(path, "k"); /* another script's */
    snprintf(path, sizeof(path), "%s.log", other.path);
    make_file(path, "", 0644);
    snprintf(path, sizeof(path), "%.*s.ko", (int)(strrchr(other.path, '_') - other.path),
             other.path);
    make_file(path, "", 0644);
    assert_int_equal(module_find(&module), -ENOENT);

    make_module(other.path, "k");
    assert_int_equal(module_find(&module), 0);
    assert_string_equal(module.path, other.path);
    assert_string_equal(module.name, other.name);
    chmod(other.path, 0666);
    assert_int_equal(module_find(&module), -EPERM);
}

/* ---- The script -------------------------------------------------------------------------------
 */

static void script_is_the_one(void **state)
{
    (void)state;
    assert_memory_equal(script_text, "#!/usr/bin/stap -g\n", strlen("#!/usr/bin/stap -g\n"));
    assert_non_null(strstr(script_text, "probe kprobe.function(\"exit_files\")"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(what_a_name_depends_on),
        TEST(versions),
        TEST(no_names),
        TEST(default_directories),
        TEST(version_is_remembered),
        TEST(found),
        TEST(trusted),
        TEST(owned),
        TEST(linked_directories),
        TEST(directories_are_made_where_they_are_trusted),
        TEST(whole_modules),
        TEST(modules_of_other_kernels),
        TEST(damaged_modules),
        TEST(bad_modules_are_found_out),
        TEST(failures),
        TEST(kernels_ahead),
        TEST(tested_kernels),
        TEST(of_any_version),
        TEST(script_is_the_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
