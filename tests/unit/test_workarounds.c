/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/workarounds.h"

#include "modules.h"

static const struct stap_options options = {.kallsyms = "kallsyms"};
static const struct engine_config config = {.stap = &options};

/* Prepares the workarounds in ./work for the build tree ./headers. */
static int prepare(struct workarounds *workarounds, const char *symbols)
{
    assert_int_equal(system("rm -rf work && mkdir work"), 0);
    make_file("kallsyms", symbols, 0644);
    mkdir("headers", 0755);
    return workarounds_prepare(workarounds, &config, "work", "headers", "no-such-kernel");
}

static void assert_content(const char *path, const char *expected)
{
    char text[256] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text), file), strlen(expected));
    fclose(file);
    assert_string_equal(text, expected);
}

static bool has_argument(const struct workarounds *workarounds, const char *argument)
{
    const char *arguments[WORKAROUNDS_ARGUMENTS];
    size_t n = workarounds_arguments(workarounds, arguments);

    assert_true(n <= WORKAROUNDS_ARGUMENTS);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(arguments[i], argument))
            return true;
    return false;
}

static void symbols_of_modules_are_omitted(void **state)
{
    struct workarounds workarounds;

    (void)state;
    assert_int_equal(prepare(&workarounds,
                             "ffffffff81000000 T _text\n"
                             "ffffffffc0000000 t helper\t[module]\n"
                             "ffffffff81000010 T uprobe_unregister\n"),
                     0);
    assert_content("work/System.map",
                   "ffffffff81000000 T _text\n"
                   "ffffffff81000010 T uprobe_unregister\n");
}

static void symbols_without_addresses(void **state)
{
    struct workarounds workarounds;
    void *caught;

    (void)state;
    caught_begin(&caught);
    assert_int_equal(prepare(&workarounds, "0000000000000000 T a\n0000000000000000 T b\n"), -EPERM);
    assert_non_null(strstr(caught_line(&caught), "sysctl kernel.kptr_restrict=1"));
    assert_int_equal(prepare(&workarounds, "ffffffffc0000000 t helper\t[module]\n"), -ENODATA);
    assert_non_null(strstr(caught_line(&caught), "no symbol map of kallsyms: "));
    caught_end(&caught);
    /* Per-CPU variables are at small addresses, the first of them at 0. */
    assert_int_equal(prepare(&workarounds, "0000000000000000 A first\nffffffff81000000 T a\n"), 0);
}

/* The shadow has the files of the build tree, except for its symbol map. */
static void the_tree_is_shadowed(void **state)
{
    struct workarounds workarounds;

    (void)state;
    mkdir("headers", 0755);
    make_file("headers/System.map", "stub\n", 0644);
    assert_int_equal(symlink("nowhere", "headers/dangling"), 0);
    make_file("headers/Makefile", "all:\n", 0644);
    assert_int_equal(prepare(&workarounds, "ffffffff81000000 T _text\n"), 0);
    assert_content("work/tree/System.map", "ffffffff81000000 T _text\n");
    assert_content("headers/System.map", "stub\n");
    assert_true(has_argument(&workarounds, "-r"));
    assert_true(has_argument(&workarounds, "work/tree"));
    assert_content("work/tree/Makefile", "KBUILD_EXTMOD_OUTPUT = $(M)\ninclude headers/Makefile\n");
    assert_content("headers/Makefile", "all:\n");
    assert_int_equal(unlink("work/tree/dangling"), 0); /* a link */
}

static void kernels_without_uprobe_unregister(void **state)
{
    struct workarounds workarounds;

    (void)state;
    assert_int_equal(prepare(&workarounds, "ffffffff81000000 T uprobe_unregister_nosync\n"), 0);
    assert_true(has_argument(&workarounds, "STAPCONF_UPROBE_UNREGISTER_EXPORTED"));
    assert_false(has_argument(&workarounds, "-B"));
    assert_int_equal(prepare(&workarounds, "ffffffff81000000 T uprobe_unregister\n"), 0);
    assert_false(has_argument(&workarounds, "STAPCONF_UPROBE_UNREGISTER_EXPORTED"));
}

/* As root, where there is a /boot: otherwise nothing can be mounted. */
static void without_a_stub_boot_is_replaced(void **state)
{
    struct workarounds workarounds;
    struct spawn spawn = {.mount_file = NULL};

    (void)state;
    assert_int_equal(prepare(&workarounds, "ffffffff81000000 T _text\n"), 0);
    workarounds_mount_map(&workarounds, &spawn);
    if (geteuid() != 0 || access("/boot", X_OK) < 0) {
        assert_null(spawn.mount_over);
        return;
    }
    assert_string_equal(spawn.mount_over, "/boot");
    assert_string_equal(spawn.mount_file, "work/boot");
    assert_content("work/boot/System.map-no-such-kernel", "ffffffff81000000 T _text\n");
}

static void errors_of_files(void **state)
{
    struct workarounds workarounds;
    void *caught;

    (void)state;
    mkdir("work", 0755);
    caught_begin(&caught);
    assert_int_equal(workarounds_prepare(&workarounds, &config, "work", "nothing", "r"), -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "cannot build with nothing below work"));
    mkdir("headers", 0755);
    assert_int_equal(workarounds_prepare(&workarounds, &config, "work", "headers", "r"), -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "no symbol map of kallsyms"));
    assert_int_equal(workarounds_prepare(&workarounds, &config, "missing", "headers", "r"),
                     -ENOENT);
    assert_non_null(strstr(caught_line(&caught), "cannot build with headers below missing"));
    caught_end(&caught);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(symbols_of_modules_are_omitted),
        TEST(symbols_without_addresses),
        TEST(the_tree_is_shadowed),
        TEST(kernels_without_uprobe_unregister),
        TEST(without_a_stub_boot_is_replaced),
        TEST(errors_of_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
