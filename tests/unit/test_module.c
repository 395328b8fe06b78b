/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules.h"

#include <time.h>

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

/* ---- Names ---------------------------------------------------------------------------------- */

static void names(void **state)
{
    const struct place *place = *state;
    struct module module = identified("/m", "6.1.0-1-amd64");
    struct utsname uts;

    assert_string_equal(module.release, "6.1.0-1-amd64");
    assert_string_equal(module.version, "4.8/0.188");
    assert_string_equal(module.top, "/m");
    assert_string_equal(module.build, ""); /* there are no headers of that kernel */
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

/* A name depends only on the script, the flags and stap's version. */
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
    /* The part before the last '_' depends on the script only. */
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

static void unusable_names(void **state)
{
    static const char *const kernels[] = {"../x", "6.1/x", ".", "..", ".x"};
    static char too_long[PATH_MAX + 1];
    struct stap_options options = {.module_dir = "/m"};
    struct engine_config config = {.stap = &options};
    struct module module;
    void *caught;

    (void)state;
    caught_begin(&caught);
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        options.kernel = kernels[i];
        assert_int_equal(module_identify(&module, &config), -EINVAL);
        assert_non_null(strstr(caught_line(&caught), "no place for the probe module of kernel"));
    }
    memset(too_long, 'x', sizeof(too_long) - 1);
    options.kernel = too_long;
    assert_int_equal(module_identify(&module, &config), -ENAMETOOLONG);
    options = (struct stap_options){.module_dir = too_long};
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
    setenv("XDG_CACHE_HOME", "relative", 1); /* the specification says to ignore it */
    assert_string_equal(identified(NULL, "k").top,
                        geteuid() == 0 ? "/var/cache/filemon" : "/home/h/.cache/filemon");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_string_equal(identified(NULL, "k").top, "/var/cache/filemon");
    if (home)
        setenv("HOME", home, 1);
    free(home);
}

/* ---- Finding a module ----------------------------------------------------------------------- */

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

static void bad_modules_are_refused(void **state)
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

/* ---- Failures are remembered ---------------------------------------------------------------- */

/* ctime comes from the kernel's coarse clock: waits until that has advanced. */
static void wait_for_another_time(void)
{
    struct timespec before, now;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
}

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

    /* A failure does not apply to another stap or another kernel. */
    make_stap("stap (version 5.1/0.191)");
    other = identified("m", "k");
    assert_false(module_has_failed(&other, why));

    module_forget_failure(&module);
    assert_false(module_has_failed(&module, why));
    module_remember_failure(&module, "for this");
    wait_for_another_time();
    make_module(module.path, "k"); /* as if copied from another machine after the failure */
    assert_false(module_has_failed(&module, why));
    module_remember_failure(&module, "staprun could not load it");
    assert_true(module_has_failed(&module, why));
    chmod("m", 0777);
    assert_false(module_has_failed(&module, why));
}

/* ---- The kernels that stap knows ------------------------------------------------------------ */

static void releases_ahead(void **state)
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

/* Without stap, a module that any version of stap built of this script is found. */
static void modules_of_any_version(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(what_a_name_depends_on),
        TEST(versions),
        TEST(unusable_names),
        TEST(default_directories),
        TEST(found),
        TEST(bad_modules_are_refused),
        TEST(failures),
        TEST(releases_ahead),
        TEST(tested_kernels),
        TEST(modules_of_any_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
