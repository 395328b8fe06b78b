/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/held.h"

#include <errno.h>
#include <limits.h>

#include "proctree.h"

/* A descriptor that leads there; its flags in octal. */
static void add_descriptor(const struct proctree *tree, pid_t pid, int fd, const char *target,
                           const char *flags)
{
    char path[128], name[24], text[64];
    int size = snprintf(text, sizeof text, "pos:\t0\nflags:\t%s\nmnt_id:\t29\n", flags);

    snprintf(path, sizeof path, "%s/%d/fd", tree->root, pid);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%d/fd/%d", tree->root, pid, fd);
    assert_int_equal(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/%d/fdinfo", tree->root, pid);
    mkdir(path, 0755);
    snprintf(name, sizeof name, "fdinfo/%d", fd);
    proctree_write(tree, pid, name, text, (size_t)size);
}

static void add_process(const struct proctree *tree, pid_t pid, pid_t ppid, const char *root)
{
    char path[128];

    proctree_add(tree, (struct made){.pid = pid, .ppid = ppid, .comm = "holder"});
    snprintf(path, sizeof path, "%s/%d/root", tree->root, pid);
    assert_int_equal(symlink(root, path), 0);
}

static char given[4096];

static void note(void *ctx, const struct event *event)
{
    size_t len = strlen(given);

    (void)ctx;
    assert_int_equal(event->code, EVENT_HELD);
    assert_int_equal(event->mode, EVENT_NO_MODE);
    assert_int_equal(event->tid, event->pid);
    assert_string_equal(event->comm, "holder");
    assert_int_equal(event->path_len, strlen(event->path));
    snprintf(given + len, sizeof given - len, "%d/%d %d %s %o\n", event->pid, event->ppid,
             event->fd, event->path, (unsigned int)event->flags);
}

static void assert_given(struct held_files *held, const char *expected)
{
    given[0] = '\0';
    held_give(held, note, NULL);
    assert_string_equal(given, expected);
}

#define SELF 9

static struct held_files *read_all(const struct proctree *tree, pid_t target, int depth)
{
    const struct held_scope scope = {.pids = &target, .n_pids = 1, .depth = depth, .self = SELF};
    struct held_files *held;

    assert_int_equal(held_read(&held, &tree->procfs, &scope), 0);
    return held;
}

static void test_files_and_nothing_else(void **state)
{
    struct proctree *tree = *state;

    add_process(tree, 10, 1, "/");
    add_descriptor(tree, 10, 12, "/etc/hosts", "02100002");
    add_descriptor(tree, 10, 3, "/tmp/gone (deleted)", "0100000");
    add_descriptor(tree, 10, 4, "pipe:[5]", "01");
    add_descriptor(tree, 10, 5, "socket:[6]", "02");
    add_process(tree, 11, 1, "/");
    add_descriptor(tree, 11, 3, "/not/mine", "0");
    struct held_files *held = read_all(tree, 10, -1);
    assert_given(held, "10/1 3 /tmp/gone (deleted) 100000\n10/1 12 /etc/hosts 2100002\n");
    held_free(held);
}

static void test_descendants(void **state)
{
    struct proctree *tree = *state;

    for (pid_t pid = 10; pid < 14; pid++) {
        add_process(tree, pid, pid - 1, "/");
        add_descriptor(tree, pid, 3, "/f", "0");
    }
    struct held_files *held = read_all(tree, 11, -1);
    assert_given(held, "11/10 3 /f 0\n12/11 3 /f 0\n13/12 3 /f 0\n");
    held_free(held);
    held = read_all(tree, 11, 1);
    assert_given(held, "11/10 3 /f 0\n12/11 3 /f 0\n");
    held_free(held);
    held = read_all(tree, 11, 0);
    assert_given(held, "11/10 3 /f 0\n");
    held_free(held);
}

static void test_everything_but_itself(void **state)
{
    const struct held_scope scope = {.depth = -1, .all = true, .self = 11};
    struct proctree *tree = *state;
    struct held_files *held;

    for (pid_t pid = 10; pid < 14; pid++) {
        add_process(tree, pid, pid == 13 ? 11 : 1, "/");
        add_descriptor(tree, pid, 3, "/f", "0");
    }
    assert_int_equal(held_read(&held, &tree->procfs, &scope), 0);
    assert_given(held, "10/1 3 /f 0\n12/1 3 /f 0\n");
    held_free(held);
}

/* "-p $$": filemon and what it started descend from the target. */
static void test_filemon_is_no_descendant(void **state)
{
    struct proctree *tree = *state;

    add_process(tree, 8, 1, "/");
    add_process(tree, SELF, 8, "/");
    add_process(tree, 10, SELF, "/");
    add_process(tree, 11, 8, "/");
    for (pid_t pid = 8; pid < 12; pid++)
        add_descriptor(tree, pid, 3, "/f", "0");
    struct held_files *held = read_all(tree, 8, -1);
    assert_given(held, "8/1 3 /f 0\n11/8 3 /f 0\n");
    held_free(held);
}

static void test_as_its_root_sees_it(void **state)
{
    struct proctree *tree = *state;

    add_process(tree, 10, 1, "/jail");
    add_descriptor(tree, 10, 3, "/jail/etc/hosts", "0");
    add_descriptor(tree, 10, 4, "/jail", "0");
    add_descriptor(tree, 10, 5, "/jailhouse", "0");
    struct held_files *held = read_all(tree, 10, -1);
    assert_given(held, "10/1 3 /etc/hosts 0\n10/1 4 / 0\n10/1 5 /jailhouse 0\n");
    held_free(held);
}

static struct held_files *read_three(const struct proctree *tree)
{
    for (pid_t pid = 10; pid < 13; pid++) {
        add_process(tree, pid, pid - 1, "/");
        for (int fd = 3; fd < 8; fd++)
            add_descriptor(tree, pid, fd, "/f", "0");
    }
    return read_all(tree, 10, -1);
}

/* Shows it an event; what it gives then is in given. */
static void meet(struct held_files *held, struct event event)
{
    given[0] = '\0';
    held_meet(held, &event, note, NULL);
}

static void test_what_happened_before_the_reading(void **state)
{
    const struct fd_range ranges[] = {{0, 3}, {6, 4000000000u}};
    struct held_files *held = read_three(*state);

    meet(held, (struct event){.code = EVENT_EXIT, .pid = 10});
    meet(held, (struct event){.code = EVENT_CLOSE, .pid = 11, .fd = 4});
    meet(held, (struct event){.code = EVENT_OPEN, .pid = 11, .fd = 7});
    meet(held, (struct event){.code = EVENT_DUP, .pid = 11, .fd = 5, .origin = 3});
    meet(held, (struct event){.code = EVENT_FAIL, .pid = 11, .fd = -2});
    meet(held,
         (struct event){.code = EVENT_EXEC, .pid = 12, .ranges = ranges, .n_ranges = 2, .fd = -1});
    meet(held, (struct event){.code = EVENT_EXIT, .pid = 9});
    assert_string_equal(given, "");
    assert_given(held, "11/10 3 /f 0\n11/10 6 /f 0\n12/11 4 /f 0\n12/11 5 /f 0\n");
    assert_given(held, "");
    held_free(held);
}

static void test_what_happens_after_the_reading(void **state)
{
    struct held_files *held = read_three(*state);

    meet(held, (struct event){.code = EVENT_CLOSE, .pid = 10, .fd = 7});
    meet(held, (struct event){.code = EVENT_CLOSE, .pid = 10, .fd = 5, .mono_ns = UINT64_MAX});
    assert_string_equal(given, "10/9 3 /f 0\n10/9 4 /f 0\n10/9 5 /f 0\n10/9 6 /f 0\n");
    meet(held, (struct event){.code = EVENT_EXIT, .pid = 10, .mono_ns = UINT64_MAX});
    assert_string_equal(given, "");
    meet(held, (struct event){.code = EVENT_OPEN, .pid = 11, .fd = 4, .mono_ns = UINT64_MAX});
    assert_string_equal(given, "11/10 3 /f 0\n11/10 5 /f 0\n11/10 6 /f 0\n11/10 7 /f 0\n");
    meet(held, (struct event){.code = EVENT_EXIT, .pid = 12, .mono_ns = UINT64_MAX});
    assert_string_equal(given,
                        "12/11 3 /f 0\n12/11 4 /f 0\n12/11 5 /f 0\n12/11 6 /f 0\n12/11 7 /f 0\n");
    assert_given(held, "");
    held_free(held);
}

static void test_vanished(void **state)
{
    struct proctree *tree = *state;

    add_process(tree, 10, 1, "/");
    add_descriptor(tree, 10, 3, "/f", "0");
    add_descriptor(tree, 10, 5, "/f", "0");
    proctree_remove(tree, "10/fdinfo/5");
    add_process(tree, 11, 10, "/");
    struct held_files *held = read_all(tree, 10, -1);
    assert_given(held, "10/1 3 /f 0\n");
    held_free(held);
}

/* What filemon has open itself is no news of the command, which will not have it. */
static void test_a_command_that_is_not_executed_yet(void **state)
{
    const struct proctree *tree = *state;

    add_process(tree, 10, SELF, "/");
    add_descriptor(tree, 10, 0, "/dev/null", "0100000");
    add_descriptor(tree, 10, 4, "/proc", "02300000");
    struct held_files *held = read_all(tree, 10, 0);
    assert_given(held, "10/9 0 /dev/null 100000\n");
    held_free(held);
}

/* Another user's process: root could read everything. */
static void test_unreadable(void **state)
{
    const struct proctree *tree = *state;
    const struct held_scope scope = {.depth = -1, .all = true, .self = SELF};
    struct held_files *held;
    const char *comm;
    char path[128];
    pid_t pid;

    for (pid = 10; pid < 13; pid++) {
        add_process(tree, pid, 1, "/");
        add_descriptor(tree, pid, 3, "/f", "0");
    }
    for (pid = 11; pid < 13; pid++) {
        snprintf(path, sizeof path, "%s/%d/fd", tree->root, pid);
        assert_int_equal(chmod(path, 0), 0);
    }
    assert_int_equal(chmod(tree->root, 0755), 0);
    bool root = geteuid() == 0;
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    int status = held_read(&held, &tree->procfs, &scope);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(status, 0);
    assert_int_equal(held_unreadable(held, &pid, &comm), 2);
    assert_int_equal(pid, 11);
    assert_string_equal(comm, "holder");
    assert_given(held, "10/1 3 /f 0\n");
    held_free(held);
    for (pid = 11; pid < 13; pid++) {
        snprintf(path, sizeof path, "%s/%d/fd", tree->root, pid);
        assert_int_equal(chmod(path, 0755), 0);
    }
}

/* A file whose path /proc cannot show: below more directories than PATH_MAX has room for. */
static int open_deep(const char *top)
{
    char name[NAME_MAX + 1];
    int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    memset(name, 'd', NAME_MAX);
    name[NAME_MAX] = '\0';
    for (int i = 0; i <= PATH_MAX / NAME_MAX; i++) {
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = below;
    }
    int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    assert_true(file >= 0);
    return file;
}

static int cut_fd;

static void note_cut(void *ctx, const struct event *event)
{
    (void)ctx;
    if (event->fd != cut_fd) {
        assert_false(event->path_cut);
        return;
    }
    assert_true(event->path_cut);
    assert_string_equal(event->path, "...");
    cut_fd = -1;
}

static void test_path_that_is_too_long(void **state)
{
    const pid_t self = getpid();
    const struct held_scope scope = {.pids = &self, .n_pids = 1, .depth = 0, .self = SELF};
    struct held_files *held;
    struct procfs procfs;
    char command[128];
    const struct proctree *tree = *state;
    int fd = open_deep(tree->root);

    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_int_equal(held_read(&held, &procfs, &scope), 0);
    cut_fd = fd;
    held_give(held, note_cut, NULL);
    assert_int_equal(cut_fd, -1);
    held_free(held);
    procfs_close(&procfs);
    close(fd);
    snprintf(command, sizeof command, "rm -rf %s/d*", tree->root);
    assert_int_equal(system(command), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, proctree_setup, proctree_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_and_nothing_else),
        TEST(test_descendants),
        TEST(test_everything_but_itself),
        TEST(test_filemon_is_no_descendant),
        TEST(test_as_its_root_sees_it),
        TEST(test_what_happened_before_the_reading),
        TEST(test_what_happens_after_the_reading),
        TEST(test_vanished),
        TEST(test_a_command_that_is_not_executed_yet),
        TEST(test_unreadable),
        TEST(test_path_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
