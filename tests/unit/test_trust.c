/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/trust.h"

#include "modules.h"

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

/* Only root can change the owner of a file. */
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

/* Symbolic links in the path are followed if no other user can change them. */
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

/* Nothing is created in a directory that others can write to. */
static void directories_are_created_if_trusted(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trusted),
        TEST(owned),
        TEST(linked_directories),
        TEST(directories_are_created_if_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
