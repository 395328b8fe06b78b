/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/build.h"

#include "modules.h"

#include "engine/stap/script.h"

static long calls(void)
{
    struct stat st;

    return stat("calls", &st) == 0 ? (long)st.st_size : 0;
}

static void version_is_remembered(void **state)
{
    struct stap_options options = {.module_dir = "m", .kernel = "no-such-kernel"};
    struct engine_config config = {.stap = &options};
    struct module module;
    struct module_build build;
    void *caught;

    (void)state;
    assert_int_equal(module_identify(&module, &config), 0);
    assert_int_equal(module_identify(&module, &config), 0);
    assert_int_equal(calls(), 2); /* module_identify() creates no directory to keep the version */
    assert_int_not_equal(access("m", F_OK), 0);

    /* The build fails for lack of headers, but only after it has written the version. */
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

static void script_is_embedded(void **state)
{
    (void)state;
    assert_memory_equal(script_text, "#!/usr/bin/stap -g\n", strlen("#!/usr/bin/stap -g\n"));
    assert_non_null(strstr(script_text, "probe kprobe.function(\"exit_files\")"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_is_remembered),
        TEST(script_is_embedded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
