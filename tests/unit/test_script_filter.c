/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#include "event/pathfilter.h"
#include "random.h"

static bool wanted(const char *path)
{
    u32 len = (u32)strlen(path);
    char *copy = malloc(len + 1); /* no NUL: sanitizers see a read beyond the path */
    bool wants;

    memcpy(copy, path, len);
    wants = fm_wanted(copy, len);
    free(copy);
    return wants;
}

static void add(const char *path, bool want)
{
    fm_prefix_add(path, (u32)strlen(path), want);
}

static void without_prefixes_every_path_is_wanted(void **state)
{
    (void)state;
    assert_true(wanted("/"));
    assert_true(wanted("/etc/hosts"));
    assert_true(wanted("pipe:[5]"));
    assert_true(wanted(""));
}

static void prefixes_end_at_a_component(void **state)
{
    (void)state;
    add("/etc", true);
    add("/usr/lib/", true);
    assert_true(wanted("/etc"));
    assert_true(wanted("/etc/"));
    assert_true(wanted("/etc/hosts"));
    assert_true(wanted("/usr/lib/x/y"));
    assert_false(wanted("/etcetera"));
    assert_false(wanted("/et"));
    assert_false(wanted("/"));
    assert_false(wanted("/usr"));
    assert_false(wanted("/usr/libx"));
    assert_false(wanted("/var/etc"));
    assert_false(wanted("pipe:[5]"));
    assert_false(wanted(""));
}

static void the_root_is_the_prefix_of_every_path(void **state)
{
    (void)state;
    add("/", true);
    assert_true(wanted("/"));
    assert_true(wanted("/etc/hosts"));
    assert_false(wanted("socket:[7]"));
}

static void the_longest_prefix_decides(void **state)
{
    (void)state;
    add("/a/b/c", true);
    add("/a/b", false);
    add("/a", true);
    assert_true(wanted("/a/x"));
    assert_false(wanted("/a/b"));
    assert_false(wanted("/a/b/x"));
    assert_true(wanted("/a/b/c/d"));
    assert_true(wanted("/a/bc"));
}

static void with_only_exclusions_every_other_path_is_wanted(void **state)
{
    (void)state;
    add("/proc", false);
    assert_true(wanted("/etc/hosts"));
    assert_true(wanted("pipe:[5]"));
    assert_false(wanted("/proc/1"));
}

static void an_exclusion_equal_to_a_path_wins(void **state)
{
    (void)state;
    add("/a", false);
    add("/a", true);
    add("/b", true);
    add("/b", false);
    assert_false(wanted("/a/x"));
    assert_false(wanted("/b/x"));
    assert_false(wanted("/c"));
}

static void a_deleted_file_matches_by_the_name_it_had(void **state)
{
    (void)state;
    add("/etc/hosts", true);
    add("/run", true);
    add("/run/x", false);
    assert_true(wanted("/etc/hosts (deleted)"));
    assert_true(wanted("/run/y (deleted)"));
    assert_false(wanted("/run/x (deleted)"));
    assert_false(wanted("/etc/hostsx (deleted)"));
    assert_false(wanted(" (deleted)"));
    assert_false(wanted("/etc/hosts (deleted"));
}

/* With 40,000 prefixes, each list has several: their paths must be compared, too. */
static void prefixes_in_the_same_list_are_distinguished(void **state)
{
    char path[32];
    int i;

    (void)state;
    for (i = 0; i < 40000; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        add(path, i % 2 == 0);
    }
    for (i = 0; i < 40000; i++) {
        snprintf(path, sizeof(path), "/%d/x", i);
        assert_int_equal(wanted(path), i % 2 == 0);
    }
}

/* Only filemon filters then. */
static void without_memory_every_path_is_wanted(void **state)
{
    (void)state;
    add("/etc", true);
    assert_false(wanted("/usr"));
    kernel_memory = 0;
    add("/usr", true);
    assert_true(wanted("/var"));
    kernel_memory = -1;
    add("/var", true);
    assert_true(wanted("/home"));
}

static void random_path(char *path, unsigned int components)
{
    static const char *const names[] = {"/a", "/b", "/ab", "/a b", "/ba", "/a (deleted)"};

    path[0] = '\0';
    while (components-- > 0)
        strcat(path, names[random_below(ARRAY_SIZE(names))]);
}

/* filemon filters again what the script passes, so both filters must agree. */
static void the_filter_decides_as_that_of_filemon(void **state)
{
    char path[96]; /* up to 5 names of 12 bytes, and " (deleted)" */
    int i, round;

    (void)state;
    random_start("the_filter_decides_as_that_of_filemon");
    for (round = 0; round < 300; round++) {
        struct pathfilter *filemons = pathfilter_new();

        for (i = 0; i < 6; i++) {
            bool want = random_below(2);

            random_path(path, 1 + random_below(3));
            add(path, want);
            assert_int_equal(pathfilter_add(filemons, path,
                                            want ? PATHFILTER_INCLUDE : PATHFILTER_EXCLUDE,
                                            PATHFILTER_RESOLVED),
                             0);
        }
        for (i = 0; i < 200; i++) {
            random_path(path, 1 + random_below(5));
            if (random_below(4) == 0)
                strcat(path, FM_DELETED);
            if (wanted(path) != pathfilter_match(filemons, path, strlen(path)))
                fail_msg("%s", path);
        }
        pathfilter_free(filemons);
        fm_prefixes_free();
        fm_default = true;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(without_prefixes_every_path_is_wanted),
        script_test(prefixes_end_at_a_component),
        script_test(the_root_is_the_prefix_of_every_path),
        script_test(the_longest_prefix_decides),
        script_test(with_only_exclusions_every_other_path_is_wanted),
        script_test(an_exclusion_equal_to_a_path_wins),
        script_test(a_deleted_file_matches_by_the_name_it_had),
        script_test(prefixes_in_the_same_list_are_distinguished),
        script_test(the_filter_decides_as_that_of_filemon),
        script_test(without_memory_every_path_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
