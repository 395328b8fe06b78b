/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/cgroups.h"

#include <errno.h>

#include "caught.h"
#include "directory.h"

/* A hierarchy of directories, which is all that cgroups_find() reads, and the messages. */
struct fixture {
    void *root, *caught;
};

#define ID_A "3f4e5d6c7b8a90112233445566778899aabbccddeeff00112233445566778899"
#define ID_B "3f4e5d6c00000000000000000000000000000000000000000000000000000000"

static const char *const directories[] = {
    "init.scope",
    "system.slice",
    "system.slice/nginx.service",
    "system.slice/ssh.service",
    "system.slice/system-postfix.slice",
    "system.slice/system-postfix.slice/postfix@-.service",
    "system.slice/docker-" ID_A ".scope",
    "system.slice/docker-" ID_A ".scope/payload",
    "docker",
    ("docker/" ID_B),
    "machine.slice",
    "machine.slice/machine-deb.scope",
    "machine.slice/machine-deb.scope/payload",
    "lxc.payload.web",
    "user.slice",
    "user.slice/app.slice",
    "user.slice/app.slice/app.slice",
    "user.slice/twice.scope",
    "user.slice/twice.service",
    "user.slice/one",
    "user.slice/one/same.scope",
    "user.slice/two",
    "user.slice/two/same.scope",
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (fixture == NULL || enter_directory(&fixture->root) != 0)
        return -1;
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (mkdir(directories[i], 0755) != 0)
            return -1;
    *state = fixture;
    return caught_begin(&fixture->caught);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int status = caught_end(&fixture->caught) | leave_directory(&fixture->root);

    free(fixture);
    return status;
}

static void finds(void **state, const char *given, const char *expected)
{
    struct fixture *fixture = *state;
    struct cgroup group;
    struct stat stat_of;
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s", (char *)fixture->root, expected);
    assert_int_equal(cgroups_find(fixture->root, given, &group), 0);
    assert_string_equal(group.path, path);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_true(group.id == stat_of.st_ino);
    assert_true(cgroup_exists(&group));
    free(group.path);
}

static void refuses(void **state, const char *given, const char *expected)
{
    struct fixture *fixture = *state;
    struct cgroup group;
    const char *line;

    assert_int_equal(cgroups_find(fixture->root, given, &group), -EINVAL);
    assert_null(group.path);
    line = caught_line(&fixture->caught);
    if (strstr(line, expected) == NULL)
        fail_msg("'%s' is not in: %s", expected, line);
}

static void a_path_is_below_the_root_or_begins_with_it(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];

    finds(state, "/system.slice/nginx.service", "/system.slice/nginx.service");
    snprintf(path, sizeof path, "%s/system.slice", (char *)fixture->root);
    finds(state, path, "/system.slice");
    finds(state, "/system.slice/", "/system.slice");
    finds(state, "//system.slice/./nginx.service//", "/system.slice/nginx.service");
    finds(state, "/", "");
    refuses(state, "/system.slice/apache.service",
            "there is no control group of this path below /");
    refuses(state, "/../../../proc", "there is no control group of this path");
}

static void a_file_is_no_group(void **state)
{
    fclose(fopen("file", "w"));
    refuses(state, "/file", "there is no control group of this path");
    refuses(state, "file", "there is no such control group");
}

static void a_name_is_that_of_a_directory_before_it_is_that_of_a_unit(void **state)
{
    finds(state, "nginx.service", "/system.slice/nginx.service");
    finds(state, "nginx", "/system.slice/nginx.service");
    finds(state, "init", "/init.scope");
    finds(state, "docker", "/docker");
    finds(state, "user", "/user.slice");
    finds(state, "twice", "/user.slice/twice.service");
    finds(state, "postfix", "/system.slice/system-postfix.slice/postfix@-.service");
    finds(state, "postfix@-", "/system.slice/system-postfix.slice/postfix@-.service");
}

static void a_container_is_named_or_has_an_id(void **state)
{
    finds(state, "web", "/lxc.payload.web");
    finds(state, "deb", "/machine.slice/machine-deb.scope");
    finds(state, "3f4e5d6c7", "/system.slice/docker-" ID_A ".scope");
    finds(state, ID_A, "/system.slice/docker-" ID_A ".scope");
    finds(state, "3f4e5d6c0", "/docker/" ID_B);
    refuses(state, "3f4e5d6", "there is no such control group");
    refuses(state, "4e5d6c7b", "there is no such control group");
    refuses(state, ID_A "0", "there is no such control group");
}

static void groups_that_share_a_prefix_are_listed(void **state)
{
    refuses(state, "3f4e5d6c",
            "2 control groups match, give the path of one: /docker/" ID_B
            " /system.slice/docker-" ID_A ".scope");
    refuses(state, "same", "/user.slice/");
}

static void a_group_below_another_that_matches_does_not_count(void **state)
{
    finds(state, "app", "/user.slice/app.slice");
}

static void an_absent_group_names_a_near_one(void **state)
{
    refuses(state, "ngnix", "did you mean nginx.service?");
    refuses(state, "postfiks", "systemd-cgls lists them");
    refuses(state, "3f4e5d6c7b8b", "did you mean docker-" ID_A ".scope?");
    refuses(state, "8f4e5d6c7b", "did you mean docker-" ID_A ".scope?");
}

static void a_removed_group_does_not_exist(void **state)
{
    struct fixture *fixture = *state;
    struct cgroup group;

    assert_int_equal(cgroups_find(fixture->root, "web", &group), 0);
    /*
     * Another group of the same name. It is made while the first exists: a file system, unlike
     * that of control groups, may give the inode number of a removed directory to the next one.
     */
    assert_int_equal(mkdir("another", 0755), 0);
    assert_int_equal(rmdir("lxc.payload.web"), 0);
    assert_false(cgroup_exists(&group));
    assert_int_equal(rename("another", "lxc.payload.web"), 0);
    assert_false(cgroup_exists(&group));
    free(group.path);
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_path_is_below_the_root_or_begins_with_it),
        test(a_file_is_no_group),
        test(a_name_is_that_of_a_directory_before_it_is_that_of_a_unit),
        test(a_container_is_named_or_has_an_id),
        test(groups_that_share_a_prefix_are_listed),
        test(a_group_below_another_that_matches_does_not_count),
        test(an_absent_group_names_a_near_one),
        test(a_removed_group_does_not_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
