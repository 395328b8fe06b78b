/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#define AT ", us: 1300000005000000, ns: 5000000000"
#define CAT "proceso: \"cat\", pid: 100, ppid: 100, tid: 100"

/* ---- The set --------------------------------------------------------------------------------- */

static void a_record_is_removed_once(void **state)
{
    struct fm_record record;
    u32 table = script_record(5);

    (void)state;
    assert_true(table != 0);
    assert_true(fm_is_recorded(fm_my_table(), 5));
    assert_false(fm_is_recorded(fm_my_table(), 6));
    assert_false(fm_is_recorded(NULL, 5));
    assert_int_equal(fm_forget(6, &record), 0);
    assert_int_equal(fm_forget(5, &record), table);
    assert_int_equal(fm_forget(5, &record), 0);
    assert_int_equal(atomic_read(&fm_tables[table - 1].records), 0);
}

static void a_descriptor_has_one_record(void **state)
{
    u32 table = script_record(5);

    (void)state;
    assert_int_equal(script_record(5), table);
    assert_int_equal(atomic_read(&fm_tables[table - 1].records), 1);
}

static void each_table_has_descriptors_of_its_own(void **state)
{
    struct task_struct *first = current;
    struct fm_record record;
    u32 table = script_record(5);

    (void)state;
    current = world_process(200, "other", NULL);
    assert_int_equal(fm_forget(5, &record), 0);
    assert_true(script_record(5) != table);
    current = world_thread(101, first);
    assert_int_equal(fm_forget(5, &record), table);
}

static void without_a_table_nothing_is_recorded(void **state)
{
    (void)state;
    world_share(current, NULL);
    assert_int_equal(script_record(5), 0);
    assert_int_equal(fm_forget(5, &(struct fm_record){}), 0);
}

static void a_table_knows_its_highest_descriptor(void **state)
{
    u32 highest = 5;

    (void)state;
    script_record(7);
    script_record(3);
    assert_int_equal(fm_my_table()->highest, 7);
    fm_raise(&highest, 5);
    fm_raise(&highest, 4);
    assert_int_equal(highest, 5);
    fm_raise(&highest, 6);
    assert_int_equal(highest, 6);
}

/* The lowest descriptor from fd on whose key is in this row. */
static unsigned int of_row(const struct fm_slot *row, unsigned int fd)
{
    while (fm_row(fm_key(fm_my_table(), fd)) != row)
        fd++;
    return fd;
}

static void a_full_row_drops_one_record_and_counts_it(void **state)
{
    struct fm_table *table = fm_add_my_table();
    const struct fm_slot *row = fm_row(fm_key(table, 0));
    unsigned int fds[FM_ROW + 1], fd = 0, known = 0, i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = fd = of_row(row, fd);
        script_record(fd++);
        assert_int_equal(atomic_read(&fm_lost), i == FM_ROW);
    }
    for (i = 0; i < ARRAY_SIZE(fds); i++)
        known += fm_is_recorded(table, fds[i]);
    assert_int_equal(known, FM_ROW);
    assert_true(fm_is_recorded(table, fds[FM_ROW]));
    assert_int_equal(atomic_read(&table->records), FM_ROW);
}

/* Slots whose record another thread reads or writes are skipped. */
static void a_slot_in_use_is_not_dropped(void **state)
{
    struct fm_table *table = fm_add_my_table();
    struct fm_slot *row = fm_row(fm_key(table, 0));
    int i;

    (void)state;
    for (i = 0; i < FM_ROW; i++)
        row[i].key = i == 5 ? fm_key(table, of_row(row, 1000)) : FM_TAKEN;
    kernel_cycles = 0;
    assert_ptr_equal(fm_take_slot(fm_key(table, 0)), &row[5]);
    assert_false(fm_clear_slot(&row[4], fm_key(table, 1), &(struct fm_record){}));
    assert_int_equal(row[4].key, FM_TAKEN);
}

static void the_highest_possible_descriptor_can_be_recorded(void **state)
{
    struct fm_record record;
    u32 table = script_record(INT32_MAX);

    (void)state;
    assert_int_equal(fm_my_table()->highest, INT32_MAX);
    assert_int_equal(fm_forget(INT32_MAX, &record), table);
}

/* ---- During the scan for initially open descriptors ------------------------------------------ */

static bool blocked(unsigned int fd)
{
    return fm_my_table() && fm_find_slot(fm_key(fm_my_table(), fd) | FM_BLOCKED);
}

static void a_descriptor_closed_during_the_scan_is_blocked_until_it_is_recorded(void **state)
{
    struct fm_record record;
    u32 table;

    (void)state;
    fm_initial = true;
    assert_int_equal(fm_forget(5, &record), 0);
    assert_true(blocked(5));
    assert_false(fm_is_recorded(fm_my_table(), 5));
    assert_int_equal(fm_forget(5, &record), 0);
    assert_int_equal(atomic_read(&fm_my_table()->records), 1);
    table = script_record(5);
    assert_false(blocked(5));
    assert_int_equal(fm_forget(5, &record), table);
    assert_true(blocked(5));
    fm_initial = false;
    assert_true(blocked(5));
}

static void blocking_releases_the_lock(void **state)
{
    (void)state;
    fm_initial = true;
    fm_forget(5, &(struct fm_record){});
    script_record(6);
    assert_true(raw_spin_trylock(&fm_tables_lock));
    raw_spin_unlock(&fm_tables_lock);
}

/* ---- Closes ---------------------------------------------------------------------------------- */

static u32 open_at(unsigned int fd, unsigned int flags)
{
    world_install(current->files, fd, world_file("/x", flags));
    return script_record(fd);
}

static void a_close_is_reported_once_at_its_entry(void **state)
{
    u32 table = open_at(5, 0);

    (void)state;
    fm_closing(5);
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: 5" AT "}\n", table);
    fm_closing(5);
    no_lines();
}

static int flush(struct file *file, void *id)
{
    (void)file;
    (void)id;
    return 0;
}

static void a_file_that_is_flushed_has_a_result(void **state)
{
    static const struct file_operations flushed = {.flush = flush};
    u32 table = open_at(5, 0);

    (void)state;
    current->files->fdt->fd[5]->f_op = &flushed;
    fm_closing(5); /* not asked for */
    fm_close_returned(-5);
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: 5" AT "}\n", table);
    fm_facts = 1 << FM_RESULT;
    script_record(5);
    fm_closing(5);
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: 5" AT ", motivo: \"espera\"}\n",
              table);
    fm_close_returned(-5);
    lines_are("{codigo: \"retorno\", " CAT ", descriptor: -5" AT "}\n");
    fm_close_returned(-5);
    no_lines();
    open_at(6, 0);
    fm_closing(6); /* of a file system that is not asked */
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: 6" AT "}\n", table);
    fm_close_returned(0);
    no_lines();
}

static void a_close_is_reported_only_of_open_recorded_descriptors(void **state)
{
    (void)state;
    script_record(5); /* its file is closed already: EBADF */
    fm_closing(5);
    world_install(current->files, 6, world_file("/x", 0));
    fm_closing(6);
    fm_closing(WORLD_DESCRIPTORS + 1);
    no_lines();
    assert_true(fm_is_recorded(fm_my_table(), 5));
    world_share(current, NULL);
    fm_closing(5);
    no_lines();
}

static void the_closes_of_a_range_are_one_line(void **state)
{
    u32 table = open_at(3, 0);

    (void)state;
    open_at(4, 0);
    open_at(6, 0);
    world_install(current->files, 7, world_file("/x", 0)); /* not recorded */
    open_at(8, 0);
    open_at(9, 0);
    open_at(10, 0);
    fm_closing_range(4, 9, 0);
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: -1" AT
              ", motivo: \"close_range\", cierra: \"4,6,8-9\"}\n",
              table);
    assert_true(fm_is_recorded(fm_my_table(), 3));
    assert_true(fm_is_recorded(fm_my_table(), 10));
}

static void a_range_that_closes_nothing_has_no_line(void **state)
{
    (void)state;
    open_at(3, 0);
    fm_closing_range(4, 3, 0);
    fm_closing_range(0, ~0u, CLOSE_RANGE_CLOEXEC);
    fm_closing_range(4, ~0u, 0);
    fm_unmark(100);
    fm_closing_range(0, ~0u, 0);
    fm_mark(current, 1);
    no_lines();
    current->files->table.max_fds = 0;
    fm_closing_range(0, ~0u, 0);
    world_share(current, NULL);
    fm_closing_range(0, ~0u, 0);
    no_lines();
}

static void exec_closes_only_close_on_exec_descriptors(void **state)
{
    u32 table = open_at(3, O_CLOEXEC);

    (void)state;
    open_at(4, 0);
    open_at(5, O_CLOEXEC);
    open_at(6, O_CLOEXEC);
    current->files->files[6] = NULL; /* reserved by an open in flight */
    fm_close_many(0, ~0u, true, "exec");
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: -1" AT
              ", motivo: \"exec\", cierra: \"3,5\"}\n",
              table);
    assert_true(fm_is_recorded(fm_my_table(), 4));
    assert_true(fm_is_recorded(fm_my_table(), 6));
}

static void descriptors_that_a_call_has_closed_are_reported_at_its_exit(void **state)
{
    u32 table = script_record(3);

    (void)state;
    script_record(4);
    fm_closed_many(4, ~0u, "close_range");
    lines_are("{codigo: \"close\", " CAT ", tabla: %u, descriptor: -1" AT
              ", motivo: \"close_range\", cierra: \"4\"}\n",
              table);
    current = world_process(200, "other", NULL);
    fm_closed_many(0, ~0u, "close_range");
    no_lines();
}

/* Every second descriptor, so that no range joins two of them. */
static void a_long_list_takes_several_lines(void **state)
{
    struct fm_list list = {.time = fm_now(), .reason = "exec"};
    unsigned int fd = 0, lines_seen = 0, next = 1;
    const char *at;

    (void)state;
    for (fd = 1; fd < 10000; fd += 2) {
        script_record(fd);
        fm_list_close(&list, fd);
    }
    fm_list_end(&list);
    for (at = lines(); *at; at = strchr(at, '\n') + 1, lines_seen++) {
        const char *number = strstr(at, "cierra: \"");

        assert_true(strchr(at, '\n') - at < FM_LINE);
        assert_non_null(number);
        for (number += 9; *number != '"'; next += 2) {
            char *end;

            assert_int_equal(strtoul(number, &end, 10), next);
            number = end + (*end == ',');
        }
    }
    assert_int_equal(next, 10001);
    assert_true(lines_seen >= 4);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

#define DUP                                                                                        \
    "{codigo: \"dup\", " CAT                                                                       \
    ", tabla: %u, descriptor: 8, "                                                                 \
    "us: 1300000005000000, ns: 5000000000, origen: 3}\n"
#define REPLACED "{codigo: \"close\", " CAT ", tabla: %u, descriptor: 8" AT ", motivo: \"dup2\"}\n"

static void a_copy_of_a_recorded_descriptor_is_reported(void **state)
{
    u32 table = open_at(3, 0);

    (void)state;
    fm_copied(3, 8, false);
    lines_are(DUP, table);
    assert_true(fm_is_recorded(fm_my_table(), 8));
    fm_copied(4, 9, false);
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 9));
}

static void the_close_by_dup2_has_the_time_of_its_entry(void **state)
{
    u32 table = open_at(3, 0);

    (void)state;
    open_at(8, 0);
    fm_clock_ahead = 2;
    fm_replacing(8);
    kernel_now += 1000000;
    fm_copied(3, 8, true);
    kernel_now -= 1000000;
    lines_are("{codigo: \"close\", " CAT
              ", tabla: %u, descriptor: 8, "
              "us: 1300000005000000, ns: 5000000002, motivo: \"dup2\"}\n"
              "{codigo: \"dup\", " CAT
              ", tabla: %u, descriptor: 8, "
              "us: 1300000005001000, ns: 5001000002, origen: 3}\n",
              table, table);
    assert_true(fm_is_recorded(fm_my_table(), 8));
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

static void a_copy_of_an_unrecorded_descriptor_closes_a_recorded_one(void **state)
{
    u32 table = open_at(8, 0);

    (void)state;
    fm_replacing(8);
    fm_copied(3, 8, true);
    lines_are(REPLACED, table);
    assert_false(fm_is_recorded(fm_my_table(), 8));
    open_at(8, 0);
    fm_copied(3, 8, false); /* the close was missed */
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 8));
}

/* Another thread that closes it has removed the record, and not sent its line yet. */
static void a_copy_closes_what_has_no_record_any_more(void **state)
{
    u32 table = open_at(3, 0);

    (void)state;
    fm_copied(3, 8, true);
    lines_are("{codigo: \"dup\", " CAT ", tabla: %u, descriptor: 8" AT
              ", origen: 3, motivo: \"dup2\"}\n",
              table);
    fm_copied(3, 8, true);
    lines_are(REPLACED DUP, table, table);
}

static void a_copy_onto_itself_changes_nothing(void **state)
{
    (void)state;
    open_at(3, 0);
    fm_replacing(3);
    fm_copied(3, 3, true);
    no_lines();
    assert_true(fm_is_recorded(fm_my_table(), 3));
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

static void a_failed_copy_leaves_the_record(void **state)
{
    (void)state;
    open_at(8, 0);
    fm_replacing(8);
    assert_int_equal(atomic_read(&fm_n_flights), 1);
    fm_not_replaced(8);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    assert_true(fm_is_recorded(fm_my_table(), 8));
    fm_replacing(9);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* ---- Times ----------------------------------------------------------------------------------- */

/* How many lines have both times; each pair must be of the same moment. */
static int consistent_lines(void)
{
    const char *at = lines();
    long long us, ns;
    int n = 0;

    for (; (at = strstr(at, ", us: ")) != NULL; at++, n++) {
        assert_int_equal(sscanf(at, ", us: %lld, ns: %lld", &us, &ns), 2);
        assert_int_equal(us, (KERNEL_BOOTED + ns) / 1000);
    }
    return n;
}

/* A hypervisor can stop the CPU between any two readings of the clock. */
static void a_stopped_cpu_does_not_separate_the_times_of_a_line(void **state)
{
    (void)state;
    kernel_stolen = 10000000;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, (unsigned long)"/x", O_RDWR, 0);
    fm_installing(3, world_file("/x", 0));
    fm_open_returned(-ENOENT);
    open_at(3, 0);
    open_at(5, 0);
    open_at(8, 0);
    fm_replacing(8);
    fm_copied(3, 8, true);
    fm_closing(3);
    fm_closing_range(4, 7, 0);
    fm_closed_many(8, 8, "close_range");
    fm_report_table_end(1);
    atomic_set(&fm_lost, 1);
    fm_report_lost();
    assert_int_equal(consistent_lines(), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(a_record_is_removed_once),
        script_test(a_descriptor_has_one_record),
        script_test(each_table_has_descriptors_of_its_own),
        script_test(without_a_table_nothing_is_recorded),
        script_test(a_table_knows_its_highest_descriptor),
        script_test(a_full_row_drops_one_record_and_counts_it),
        script_test(a_slot_in_use_is_not_dropped),
        script_test(the_highest_possible_descriptor_can_be_recorded),
        script_test(a_descriptor_closed_during_the_scan_is_blocked_until_it_is_recorded),
        script_test(blocking_releases_the_lock),
        script_test(a_close_is_reported_once_at_its_entry),
        script_test(a_file_that_is_flushed_has_a_result),
        script_test(a_close_is_reported_only_of_open_recorded_descriptors),
        script_test(the_closes_of_a_range_are_one_line),
        script_test(a_range_that_closes_nothing_has_no_line),
        script_test(exec_closes_only_close_on_exec_descriptors),
        script_test(descriptors_that_a_call_has_closed_are_reported_at_its_exit),
        script_test(a_long_list_takes_several_lines),
        script_test(a_copy_of_a_recorded_descriptor_is_reported),
        script_test(the_close_by_dup2_has_the_time_of_its_entry),
        script_test(a_copy_of_an_unrecorded_descriptor_closes_a_recorded_one),
        script_test(a_copy_closes_what_has_no_record_any_more),
        script_test(a_copy_onto_itself_changes_nothing),
        script_test(a_failed_copy_leaves_the_record),
        script_test(a_stopped_cpu_does_not_separate_the_times_of_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
