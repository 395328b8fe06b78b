/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of 2011, which the script prints when it runs without filemon. */
#define FM_BY_HAND 1
#include "kernel/script.h"

#define CAT "proceso: \"cat\", pid: 100, ppid: 100, tid: 100"
#define NOW "date: 1300000005000"
#define OPEN(path, fd)                                                                             \
    "{codigo: \"open\", " CAT ", fichero: \"" path "\", descriptor: " fd ", " NOW "}\n"
#define CLOSE(path, fd, ms)                                                                        \
    "{codigo: \"close\", " CAT ", fichero: \"" path "\", descriptor: " fd ", date: " ms "}\n"

static void opens(unsigned int fd, const char *path)
{
    struct file *file = world_file(path, 0);

    world_call(__NR_openat, (unsigned long)AT_FDCWD, (unsigned long)path, O_RDWR, 0);
    fm_installing(fd, file);
    world_install(current->files, fd, file);
}

static void ms_pass(int ms)
{
    kernel_now += ms * NSEC_PER_MSEC;
}

static int start(void **state)
{
    kernel_now = 5000000000;
    return script_set_up(state);
}

static void an_open_and_its_close_name_the_file(void **state)
{
    (void)state;
    opens(5, "/etc/hosts");
    ms_pass(27);
    fm_closing(5);
    lines_are(OPEN("/etc/hosts", "5") CLOSE("/etc/hosts", "5", "27"));
    fm_closing(5);
    no_lines();
}

/* The close of the older file was missed. */
static void an_open_of_a_recorded_descriptor_is_an_error(void **state)
{
    (void)state;
    opens(5, "/etc/hosts");
    lines();
    opens(5, "/etc/passwd");
    lines_are("{codigo: \"error\", " CAT
              ", fichero: \"/etc/hosts\", descriptor: 5, date: 1300000005000}\n" OPEN("/etc/passwd",
                                                                                      "5"));
    fm_prefix_add("/usr", 4, true);
    opens(5, "/var/x");
    lines_are("{codigo: \"error\", " CAT
              ", fichero: \"/etc/passwd\", descriptor: 5, date: 1300000005000}\n");
    fm_closing(5);
    no_lines();
}

static void each_descriptor_that_one_call_closes_has_a_line(void **state)
{
    (void)state;
    opens(3, "/x");
    opens(4, "/y");
    opens(5, "/z");
    lines();
    ms_pass(2);
    fm_closing_range(4, ~0u, 0);
    lines_are(CLOSE("/y", "4", "2") CLOSE("/z", "5", "2"));
    assert_true(fm_is_recorded(fm_my_table(), 3));
}

static void the_end_of_a_process_closes_what_is_still_open(void **state)
{
    (void)state;
    opens(3, "/x");
    opens(4, "/y");
    lines();
    script_record(FM_ROWS + 5);
    ms_pass(2);
    fm_exited();
    lines_are(CLOSE("/x", "3", "2") CLOSE("/y", "4", "2") CLOSE("", "32773", "5002"));
}

static void a_copy_names_its_file(void **state)
{
    struct file *file;

    (void)state;
    opens(3, "/x");
    file = current->files->files[3];
    opens(8, "/y");
    lines();
    fm_replacing(8);
    world_install(current->files, 8, file);
    ms_pass(2);
    fm_copied(3, 8, true);
    lines_are(CLOSE("/y", "8", "0") "{codigo: \"dup\", " CAT
                                    ", fichero: \"/x\", descriptor: 8, date: 1300000005002}\n");
    ms_pass(3);
    fm_closing(8);
    lines_are(CLOSE("/x", "8", "3"));
    fm_copied(7, 9, false);
    no_lines();
}

/* Another thread has closed it already. */
static void a_copy_that_is_closed_already_is_not_reported(void **state)
{
    (void)state;
    opens(3, "/x");
    lines();
    fm_copied(3, 9, false);
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 9));
}

/* By dup: the close of the older file was missed. */
static void a_copy_onto_a_recorded_descriptor_is_an_error(void **state)
{
    (void)state;
    opens(3, "/x");
    opens(8, "/y");
    lines();
    fm_copied(3, 8, false);
    lines_are("{codigo: \"error\", " CAT
              ", fichero: \"/y\", descriptor: 8, date: 1300000005000}\n"
              "{codigo: \"dup\", " CAT ", fichero: \"/y\", descriptor: 8, date: 1300000005000}\n");
}

static void a_record_without_memory_has_no_path(void **state)
{
    (void)state;
    kernel_memory = 0;
    opens(5, "/etc/hosts");
    fm_closing(5);
    lines_are(OPEN("/etc/hosts", "5") CLOSE("", "5", "0"));
}

/* A full row drops it. */
static void a_dropped_record_is_freed(void **state)
{
    struct fm_table *table = fm_add_my_table();
    const struct fm_slot *row = fm_row(fm_key(table, 0));
    unsigned int fd, n = 0;
    int before;

    (void)state;
    for (fd = 0; n < FM_ROW; fd++)
        if (fm_row(fm_key(table, fd)) == row) {
            struct fm_line line = {.path = "/x", .path_len = 2};
            struct fm_record record = fm_record_of(&line, fm_now());

            fm_remember(table, fd, &record);
            n++;
        }
    before = kernel_allocated;
    while (fm_row(fm_key(table, fd)) != row)
        fd++;
    script_record(fd);
    assert_int_equal(kernel_allocated, before - 1);
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* The record of a copy: another thread has closed the copy meanwhile, and opened a file that got
 * the same descriptor. */
static void a_record_that_comes_too_late_is_freed(void **state)
{
    struct fm_line line = {.path = "/late", .path_len = 5};
    struct fm_record late;

    (void)state;
    opens(5, "/x");
    lines();
    late = fm_record_of(&line, fm_now());
    fm_remember(fm_my_table(), 5, &late);
    fm_closing(5);
    lines_are(CLOSE("/x", "5", "0"));
}

#define by_hand_test(test) cmocka_unit_test_setup_teardown(test, start, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        by_hand_test(an_open_and_its_close_name_the_file),
        by_hand_test(an_open_of_a_recorded_descriptor_is_an_error),
        by_hand_test(each_descriptor_that_one_call_closes_has_a_line),
        by_hand_test(the_end_of_a_process_closes_what_is_still_open),
        by_hand_test(a_copy_names_its_file),
        by_hand_test(a_copy_that_is_closed_already_is_not_reported),
        by_hand_test(a_copy_onto_a_recorded_descriptor_is_an_error),
        by_hand_test(a_record_without_memory_has_no_path),
        by_hand_test(a_dropped_record_is_freed),
        by_hand_test(a_record_that_comes_too_late_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
