/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/modinfo.h"

#include <errno.h>
#include <stdlib.h>

#include "../helpers/tinymodule.h"
#include "caught.h"

static int checked(const struct tinymodule *module, size_t size, char *fault)
{
    unsigned char *bytes = malloc(size + 1); /* a sanitizer detects reads past its end */
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

/* Whatever byte is damaged, nothing outside of the file is read. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_modules),
        cmocka_unit_test(modules_of_other_kernels),
        cmocka_unit_test(damaged_modules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
