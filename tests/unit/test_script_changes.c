/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#define WHO "proceso: \"cat\", pid: 100, ppid: 100, tid: 100"
#define NOW "us: 1300000005000000, ns: 5000000000"

#ifndef __x86_64__
int main(void)
{
    puts("ok - script_changes # SKIP it is about calls by their numbers on x86-64");
}
#else

enum { RENAME = 82, LINK = 86, UNLINK = 87, SYMLINK = 88, CHMOD = 90 };
enum { FCHMOD = 91, UNLINKAT = 263, RENAMEAT = 264, SYMLINKAT = 266, UTIMENSAT = 280 };

static unsigned long user(const void *address)
{
    return (unsigned long)address;
}

/* ---- Which call it is -------------------------------------------------------------------------
 */

static const char *traced_name(struct pt_regs regs)
{
    const struct fm_traced *traced;

    current->regs = regs;
    traced = fm_traced_call();
    return traced != NULL ? traced->name : "";
}

static void calls_are_recognised_by_their_number(void **state)
{
    (void)state;
    assert_string_equal(traced_name((struct pt_regs){.nr = RENAME}), "rename");
    assert_string_equal(traced_name((struct pt_regs){.nr = __NR_execve}), "execve");
    assert_string_equal(traced_name((struct pt_regs){.nr = __NR_openat}), "");
    /* That of calls which do not exist, and of a call that a tracer has replaced by none. */
    assert_string_equal(traced_name((struct pt_regs){.nr = -1}), "");
    assert_string_equal(traced_name((struct pt_regs){.nr = -1, .ia32 = true}), "");
}

static void calls_of_32_bit_programs_have_other_numbers(void **state)
{
    (void)state;
    assert_string_equal(traced_name((struct pt_regs){.nr = 38, .ia32 = true}), "rename");
    assert_string_equal(traced_name((struct pt_regs){.nr = 212, .ia32 = true}), "chown32");
    assert_string_equal(traced_name((struct pt_regs){.nr = 212}), "");
    assert_string_equal(traced_name((struct pt_regs){.nr = __X32_SYSCALL_BIT | RENAME}), "rename");
    assert_string_equal(traced_name((struct pt_regs){.nr = __X32_SYSCALL_BIT | 520}), "execve");
    assert_string_equal(traced_name((struct pt_regs){.nr = __X32_SYSCALL_BIT | 545}), "execveat");
}

static void a_worker_of_io_uring_makes_no_call(void **state)
{
    (void)state;
    current->flags |= PF_IO_WORKER;
    assert_string_equal(traced_name((struct pt_regs){.nr = RENAME}), "");
}

static void resolve(const char *path, const char *destination)
{
    struct file *from = world_file(path, 0),
                *to = destination != NULL ? world_file(destination, 0) : NULL;

    fm_resolve(NULL, &from->dentry, to != NULL ? &to->dentry : NULL);
}

/* ---- Paths as they are given ------------------------------------------------------------------
 */

static void a_path_is_made_absolute(void **state)
{
    (void)state;
    world_call(UNLINK, user("a/../b"), 0, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/home/u/a/../b\", descriptor: 0, " NOW
              ", modo: 0, llamada: \"unlink\"}\n");
}

static void the_argument_after_the_name_is_reported(void **state)
{
    (void)state;
    world_install(current->files, 7, world_file("/srv", 0));
    world_call(UNLINKAT, 7, user("d"), AT_REMOVEDIR, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/srv/d\", descriptor: 0, " NOW
              ", modo: 512, llamada: \"unlinkat\"}\n");
    world_call(CHMOD, user("/f"), 0604, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/f\", descriptor: 0, " NOW
              ", modo: 388, llamada: \"chmod\"}\n");
}

static void a_descriptor_stands_for_its_path(void **state)
{
    (void)state;
    world_install(current->files, 7, world_file("/srv/f", 0));
    world_call(FCHMOD, 7, 0640, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/srv/f\", descriptor: 0, " NOW
              ", modo: 416, llamada: \"fchmod\"}\n");
    world_call(UTIMENSAT, 7, 0, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/srv/f\", descriptor: 0, " NOW
              ", modo: 0, llamada: \"utimensat\"}\n");
}

#define DESTINATION(path) "{codigo: \"destino\", tid: 100, parte: 1, fichero: \"" path "\"}\n"

static void the_other_path_comes_first_in_a_line_of_its_own(void **state)
{
    (void)state;
    world_install(current->files, 7, world_file("/srv", 0));
    world_call(RENAMEAT, (u32)AT_FDCWD, user("a"), 7, user("b\n"));
    fm_change_returned(0);
    lines_are(DESTINATION("/srv/b\\u000a") "{codigo: \"llamada\", " WHO
                                           ", fichero: \"/home/u/a\", descriptor: 0, " NOW
                                           ", llamada: \"renameat\", destinos: 1}\n");
}

static void the_text_of_a_symbolic_link_stands_for_itself(void **state)
{
    (void)state;
    world_call(SYMLINK, user("../x"), user("s"), 0, 0);
    fm_change_returned(0);
    lines_are(DESTINATION("../x") "{codigo: \"llamada\", " WHO
                                  ", fichero: \"/home/u/s\", descriptor: 0, " NOW
                                  ", llamada: \"symlink\", destinos: 1}\n");
    fm_failed_calls = true;
    world_call(SYMLINKAT, user(""), (u32)AT_FDCWD, user("s"), 0);
    fm_change_returned(-ENOENT);
    lines_are(DESTINATION("") "{codigo: \"llamada\", " WHO
                              ", fichero: \"/home/u/s\", descriptor: -2, " NOW
                              ", llamada: \"symlinkat\", destinos: 1}\n");
}

static void failures_are_reported_only_if_asked_for(void **state)
{
    (void)state;
    world_call(UNLINK, user("none"), 0, 0, 0);
    fm_change_returned(-ENOENT);
    no_lines();
    fm_failed_calls = true;
    fm_change_returned(-ERESTARTSYS);
    no_lines();
    fm_change_returned(-ENOENT);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/home/u/none\", descriptor: -2, " NOW
              ", llamada: \"unlink\"}\n");
}

static void other_users_and_other_calls_are_not_reported(void **state)
{
    (void)state;
    world_call(__NR_openat, (u32)AT_FDCWD, user("f"), 0, 0);
    fm_change_returned(0);
    no_lines();
    fm_user_add((kuid_t){33});
    world_call(UNLINK, user("f"), 0, 0, 0);
    resolve("/real/f", NULL);
    assert_int_equal(kernel_allocated, 1); /* the line's buffer */
    fm_change_returned(0);
    no_lines();
}

/* After EFAULT, the kernel could not read the name either. */
static void a_name_that_cannot_be_read_is_not_compared(void **state)
{
    (void)state;
    fm_failed_calls = true;
    world_call(RENAME, user("a"), 1, 0, 0);
    fm_change_returned(-EACCES);
    lines_are(DESTINATION("") "{codigo: \"llamada\", " WHO
                              ", fichero: \"/home/u/a\", descriptor: -13, " NOW
                              ", cortado: 1, llamada: \"rename\", destinos: 1}\n");
    world_call(UNLINK, 1, 0, 0, 0);
    fm_change_returned(-EFAULT);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"\", descriptor: -14, " NOW
              ", llamada: \"unlink\"}\n");
}

static void two_long_paths_are_sent_in_parts(void **state)
{
    char name[FM_PATH], text[FM_PATH];
    const char *at;
    size_t destination = 0, path = 0;

    (void)state;
    memset(name, '\n', sizeof(name) - 1);
    memset(text, '\t', sizeof(text) - 1);
    name[sizeof(name) - 1] = text[sizeof(text) - 1] = '\0';
    name[0] = '/';
    world_call(SYMLINK, user(text), user(name), 0, 0);
    fm_change_returned(0);
    for (at = lines(); *at != '\0'; at++) {
        destination += strncmp(at, "\\u0009", 6) == 0;
        path += strncmp(at, "\\u000a", 6) == 0;
    }
    assert_int_equal(destination, FM_PATH - 1);
    assert_int_equal(path, FM_PATH - 2);
    assert_int_equal(atomic_read(&fm_lost), 0);
}

/* ---- Paths that the kernel has resolved -------------------------------------------------------
 */

static void a_resolved_path_is_reported(void **state)
{
    (void)state;
    world_call(RENAME, user("link/a"), user("link/b"), 0, 0);
    resolve("/real/a", "/real/b");
    assert_int_equal(kernel_allocated, 3); /* with the line's buffer */
    fm_change_returned(0);
    assert_int_equal(kernel_allocated, 1);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    lines_are(DESTINATION("/real/b") "{codigo: \"llamada\", " WHO
                                     ", fichero: \"/real/a\", descriptor: 0, " NOW
                                     ", llamada: \"rename\", destinos: 1}\n");
    /* The next call does not come by. */
    world_call(UNLINK, user("link/a"), 0, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/home/u/link/a\", descriptor: 0, " NOW
              ", modo: 0, llamada: \"unlink\"}\n");
}

static void what_failed_has_the_given_path(void **state)
{
    (void)state;
    fm_failed_calls = true;
    world_call(UNLINK, user("link/a"), 0, 0, 0);
    resolve("/real/a", NULL);
    fm_change_returned(-EPERM);
    assert_int_equal(kernel_allocated, 1);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/home/u/link/a\", descriptor: -1, " NOW
              ", llamada: \"unlink\"}\n");
}

static void a_name_that_is_not_there_yet_is_not_deleted(void **state)
{
    struct file *file = world_file("/real/s", 0);

    (void)state;
    file->dentry.unlinked = true;
    world_call(SYMLINK, user("x"), user("link/s"), 0, 0);
    fm_resolve(NULL, &file->dentry, NULL);
    fm_change_returned(0);
    assert_non_null(strstr(lines(), "fichero: \"/real/s\", descriptor"));
    /* A name can end so. */
    world_call(UNLINK, user("x"), 0, 0, 0);
    resolve("/real/s (deleted)", NULL);
    fm_change_returned(0);
    assert_non_null(strstr(lines(), "fichero: \"/real/s (deleted)\", descriptor"));
}

/* An open creates a file, or the exit of a call was missed. */
static void only_the_call_that_came_by_has_the_path(void **state)
{
    (void)state;
    world_call(__NR_openat, (u32)AT_FDCWD, user("f"), O_CREAT, 0);
    resolve("/real/f", NULL);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    world_call(UNLINK, user("link/a"), 0, 0, 0);
    resolve("/real/a", NULL);
    world_call(CHMOD, user("/f"), 0, 0, 0);
    fm_change_returned(0);
    assert_non_null(strstr(lines(), "fichero: \"/f\""));
    assert_int_equal(kernel_allocated, 1);
}

static void a_missed_exit_leaves_no_memory(void **state)
{
    (void)state;
    world_call(UNLINK, user("a"), 0, 0, 0);
    resolve("/real/a", NULL);
    resolve("/real/b", NULL);
    assert_int_equal(kernel_allocated, 2);
    fm_exited();
    assert_int_equal(kernel_allocated, 1);
    current = world_process(200, "cat", NULL);
    world_call(RENAME, user("a"), user("b"), 0, 0);
    resolve("/real/a", "/real/b");
    assert_int_equal(kernel_allocated, 3); /* until the script ends */
}

static void without_memory_the_path_is_the_given_one(void **state)
{
    (void)state;
    world_call(RENAME, user("/link/a"), user("/link/b"), 0, 0);
    kernel_memory = 1;
    resolve("/real/a", "/real/b");
    kernel_memory = -1;
    assert_int_equal(kernel_allocated, 1);
    fm_change_returned(0);
    assert_non_null(strstr(lines(), "fichero: \"/link/a\""));
}

/* As many threads as there is room for are in calls that have come by. */
static void without_room_the_path_is_the_given_one(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < FM_FLIGHTS; i++)
        fm_flights[i].task = (void *)&fm_flights[i];
    world_call(UNLINK, user("/link/a"), 0, 0, 0);
    resolve("/real/a", NULL);
    assert_int_equal(kernel_allocated, 1);
    fm_change_returned(0);
    assert_non_null(strstr(lines(), "fichero: \"/link/a\""));
}

/* ---- With inodes (-I) -------------------------------------------------------------------------
 */

static struct super_block file_system = {.s_dev = 5};
static struct inode wanted_inode = {.i_ino = 1, .i_sb = &file_system},
                    other_inode = {.i_ino = 2, .i_sb = &file_system};
static struct dentry root = {.name = "/", .d_parent = &root, .d_sb = &file_system};

/* A name in the root of a mount; inode NULL: it is not there yet. */
static struct dentry entry(const char *name, struct inode *inode)
{
    return (struct dentry){.name = name, .d_parent = &root, .d_sb = &file_system, .d_inode = inode};
}

static void rename_between(struct dentry from, struct dentry to)
{
    struct fm_mount mount = {.mnt = {.mnt_root = &root}};

    mount.parent = &mount;
    mount.point = &root;
    world_call(RENAME, user("/a"), user("/b"), 0, 0);
    fm_resolve(&mount.mnt, &from, &to);
    fm_change_returned(0);
}

static void one_of_both_inodes_is_enough(void **state)
{
    (void)state;
    fm_by_inode = true;
    fm_default = false;
    fm_inode_insert(&wanted_inode, true);
    rename_between(entry("/a", &other_inode), entry("/b", NULL));
    no_lines();
    rename_between(entry("/a", &wanted_inode), entry("/b", NULL));
    assert_non_null(strstr(lines(), "destinos: 1, buscado: 1}"));
    rename_between(entry("/a", &other_inode), entry("/b", &wanted_inode));
    assert_non_null(strstr(lines(), "destinos: 1, buscado: 1}"));
}

/* The directory above both names is not in the dentry cache. */
static void what_no_inode_decides_is_lost(void **state)
{
    struct dentry detached = {.name = "/", .d_parent = &detached, .d_sb = &file_system};
    struct dentry from = entry("/a", &other_inode), to = entry("/b", NULL);

    (void)state;
    fm_by_inode = true;
    fm_default = false;
    from.d_parent = to.d_parent = &detached;
    rename_between(from, to);
    no_lines();
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* A path that was given is compared as text, by filemon. */
static void a_given_path_is_not_decided_by_inodes(void **state)
{
    (void)state;
    fm_by_inode = true;
    world_call(UNLINK, user("/a"), 0, 0, 0);
    fm_change_returned(0);
    lines_are("{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: 0, " NOW
              ", modo: 0, llamada: \"unlink\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(calls_are_recognised_by_their_number),
        script_test(calls_of_32_bit_programs_have_other_numbers),
        script_test(a_worker_of_io_uring_makes_no_call),
        script_test(a_path_is_made_absolute),
        script_test(the_argument_after_the_name_is_reported),
        script_test(a_descriptor_stands_for_its_path),
        script_test(the_other_path_comes_first_in_a_line_of_its_own),
        script_test(the_text_of_a_symbolic_link_stands_for_itself),
        script_test(failures_are_reported_only_if_asked_for),
        script_test(other_users_and_other_calls_are_not_reported),
        script_test(a_name_that_cannot_be_read_is_not_compared),
        script_test(two_long_paths_are_sent_in_parts),
        script_test(a_resolved_path_is_reported),
        script_test(what_failed_has_the_given_path),
        script_test(a_name_that_is_not_there_yet_is_not_deleted),
        script_test(only_the_call_that_came_by_has_the_path),
        script_test(a_missed_exit_leaves_no_memory),
        script_test(without_memory_the_path_is_the_given_one),
        script_test(without_room_the_path_is_the_given_one),
        script_test(one_of_both_inodes_is_enough),
        script_test(what_no_inode_decides_is_lost),
        script_test(a_given_path_is_not_decided_by_inodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
