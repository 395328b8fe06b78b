/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "directory.h"
#include "output/replace.h"

static const char *content(const char *path)
{
    static char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    return size >= 0 ? text : NULL;
}

static size_t files(void)
{
    DIR *directory = opendir(".");
    size_t n = 0;

    while (readdir(directory) != NULL)
        n++;
    closedir(directory);
    return n - 2;
}

static void replaces(const char *file, const char *text)
{
    char *path;

    assert_int_equal(replace_open(file, &path), 0);
    assert_int_equal(replace_file(path, text, strlen(text)), 0);
    free(path);
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void a_new_file_has_the_mode_of_the_umask(void **state)
{
    char *path;

    (void)state;
    umask(027);
    assert_int_equal(replace_open("new", &path), 0);
    assert_null(content("new"));
    assert_int_equal(files(), 0);
    assert_int_equal(replace_file(path, "one\n", 4), 0);
    assert_string_equal(content("new"), "one\n");
    assert_int_equal(mode_of("new"), 0640);
    assert_int_equal(files(), 1);
    free(path);
}

static void a_reader_keeps_the_old_content(void **state)
{
    char text[8] = "";
    int reader;

    (void)state;
    replaces("file", "old");
    reader = open("file", O_RDONLY | O_CLOEXEC);
    replaces("file", "new");
    assert_int_equal(read(reader, text, sizeof(text) - 1), 3);
    assert_string_equal(text, "old");
    assert_string_equal(content("file"), "new");
    close(reader);
}

static void mode_and_owner_are_kept(void **state)
{
    struct stat status;
    bool root = geteuid() == 0;

    (void)state;
    umask(022);
    replaces("file", "old");
    assert_int_equal(chmod("file", 0604), 0);
    if (root)
        assert_int_equal(chown("file", 1, 2), 0);
    replaces("file", "new");
    assert_int_equal(stat("file", &status), 0);
    assert_int_equal(status.st_mode & 07777, 0604);
    assert_int_equal(status.st_uid, root ? 1 : geteuid());
    assert_int_equal(status.st_gid, root ? 2 : getegid());
}

static bool is_link(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    replaces("sub/file", "old");
    assert_int_equal(symlink("sub/file", "link"), 0);
    replaces("link", "new");
    assert_string_equal(content("sub/file"), "new");
    assert_true(is_link("link"));
}

/* As open(2) would make it. */
static void the_target_of_a_dangling_link_is_made(void **state)
{
    char absolute[PATH_MAX];

    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(mkdir("other", 0700), 0);
    assert_non_null(getcwd(absolute, sizeof(absolute) - 16));
    strcat(absolute, "/other/file");
    assert_int_equal(symlink("sub/second", "first"), 0);
    assert_int_equal(symlink("../sub/third", "sub/second"), 0);
    assert_int_equal(symlink(absolute, "sub/third"), 0);
    replaces("first", "new");
    assert_string_equal(content(absolute), "new");
    assert_true(is_link("first") && is_link("sub/second") && is_link("sub/third"));
    replaces("first", "newer");
    assert_string_equal(content(absolute), "newer");
    assert_true(is_link("first") && is_link("sub/second") && is_link("sub/third"));
}

static void what_cannot_be_replaced_is_refused(void **state)
{
    char *path;

    (void)state;
    assert_int_equal(symlink("none/file", "dangling"), 0);
    assert_int_equal(replace_open("dangling", &path), -ENOENT);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(replace_open("loop", &path), -ELOOP);
    assert_int_equal(unlink("dangling") + unlink("loop"), 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(replace_open("sub", &path), -EEXIST);
    assert_int_equal(replace_open("none/file", &path), -ENOENT);
    assert_int_equal(replace_open("/dev/full", &path), -EEXIST);
    assert_int_equal(files(), 1);
}

/* The file has its old content then, and nothing lies beside it. */
static void a_failed_write_changes_nothing(void **state)
{
    struct rlimit old, limit;

    (void)state;
    replaces("file", "old");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){.rlim_cur = 4, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(replace_file("file", "too long", 8), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_string_equal(content("file"), "old");
    assert_int_equal(files(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_directory(a_new_file_has_the_mode_of_the_umask),
        test_in_directory(a_reader_keeps_the_old_content),
        test_in_directory(mode_and_owner_are_kept),
        test_in_directory(a_link_stays_a_link),
        test_in_directory(the_target_of_a_dangling_link_is_made),
        test_in_directory(what_cannot_be_replaced_is_refused),
        test_in_directory(a_failed_write_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
