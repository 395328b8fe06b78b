/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

/* ---- File descriptor tables ------------------------------------------------------------------ */

static void a_table_gets_its_number_with_its_first_record(void **state)
{
    struct fm_table *table;

    (void)state;
    assert_null(fm_my_table());
    table = fm_add_my_table();
    assert_non_null(table);
    assert_ptr_equal(fm_add_my_table(), table);
    assert_ptr_equal(fm_my_table(), table);
    assert_ptr_equal(&fm_tables[fm_number(table) - 1], table);
    current = world_process(200, "other", NULL);
    assert_null(fm_my_table());
    assert_ptr_not_equal(fm_add_my_table(), table);
}

static void a_thread_without_a_table_has_no_number(void **state)
{
    (void)state;
    world_share(current, NULL);
    assert_null(fm_my_table());
    assert_null(fm_add_my_table());
    assert_int_equal(atomic_read(&fm_lost), 0);
}

/* The next address that belongs to this row.  Nothing dereferences it. */
static struct files_struct *of_row(const struct fm_table *row, uintptr_t *at)
{
    do
        *at += 64;
    while (fm_table_row((const struct files_struct *)*at) != row);
    return (struct files_struct *)*at;
}

static void a_full_row_counts_a_lost_event(void **state)
{
    uintptr_t at = 4096;
    struct fm_table *row = fm_table_row((const struct files_struct *)at);
    struct files_struct *first = NULL;
    int i;

    (void)state;
    for (i = 0; i < FM_TABLE_ROW; i++) {
        struct files_struct *files = of_row(row, &at);

        assert_ptr_equal(fm_find_or_add_table(files), &row[i]);
        assert_ptr_equal(fm_find_table(files), &row[i]);
        first = first ? first : files;
    }
    assert_int_equal(atomic_read(&fm_lost), 0);
    assert_null(fm_find_or_add_table(of_row(row, &at)));
    assert_int_equal(atomic_read(&fm_lost), 1);
    assert_ptr_equal(fm_find_or_add_table(first), &row[0]);
}

/* Another thread has removed a record, and not counted that yet, when the table ends. */
static void a_reused_number_counts_a_slot_that_is_being_cleared(void **state)
{
    struct fm_table *table = fm_add_my_table();
    struct files_struct *files = table->files;

    (void)state;
    atomic_set(&table->records, 1);
    table->highest = 7;
    table->files = NULL;
    assert_ptr_equal(fm_add_my_table(), table);
    assert_ptr_equal(table->files, files);
    assert_int_equal(atomic_read(&table->records), 1);
    assert_int_equal(table->highest, 0);
}

static void a_table_is_used_while_a_thread_can_make_system_calls(void **state)
{
    struct task_struct *leaves = current, *thread = world_thread(101, current);

    (void)state;
    assert_true(fm_is_used(leaves->files));
    leaves->flags |= PF_EXITING;
    assert_true(fm_is_used(leaves->files));
    thread->flags |= PF_EXITING;
    assert_false(fm_is_used(leaves->files));
    assert_false(fm_is_used_anywhere(leaves->files));
}

static void a_table_that_only_current_holds_is_unused(void **state)
{
    (void)state;
    assert_false(fm_is_used(current->files));
}

/* CLONE_FILES without CLONE_THREAD. */
static void a_table_can_be_used_by_another_process(void **state)
{
    struct task_struct *other = world_process(200, "other", NULL);

    (void)state;
    world_share(other, current->files);
    current->flags |= PF_EXITING;
    assert_true(fm_is_used(current->files));
    assert_true(fm_is_used_anywhere(current->files));
    other->flags |= PF_EXITING;
    assert_false(fm_is_used(current->files));
}

/* Two threads of this process hold both references that are counted. */
static void other_processes_are_not_searched_if_this_one_has_every_reference(void **state)
{
    struct task_struct *thread = world_thread(101, current);
    struct task_struct *other = world_process(200, "other", NULL);

    (void)state;
    current->flags |= PF_EXITING;
    thread->flags |= PF_EXITING;
    other->files = current->files; /* not counted, but a search would find it */
    assert_false(fm_is_used(current->files));
}

/* In put_files_struct() after unshare(2): current has another table already, but the count of the
 * old one still includes current. */
static void current_counts_as_a_holder_of_the_table_that_it_left(void **state)
{
    struct files_struct *left = current->files;
    struct task_struct *thread = world_thread(101, current);
    struct task_struct *other = world_process(200, "other", NULL);

    (void)state;
    current->files = world_files();
    thread->flags |= PF_EXITING;
    other->files = left; /* not counted, but a search would find it */
    assert_false(fm_is_used(left));
}

/* ---- Tables that end ------------------------------------------------------------------------- */

static u32 record(unsigned int fd)
{
    u32 table = script_record(fd);

    assert_true(table != 0);
    return table;
}

static void the_last_thread_ends_the_table(void **state)
{
    struct task_struct *first = current, *last = world_thread(101, current);
    u32 table = record(5);

    (void)state;
    first->flags |= PF_EXITING;
    fm_exited();
    no_lines();
    assert_non_null(fm_find_table(first->files));
    current = last;
    last->flags |= PF_EXITING;
    fm_exited();
    lines_are(
        "{codigo: \"exit\", proceso: \"cat\", pid: 100, ppid: 100, tid: 101, tabla: %u, "
        "us: 1300000005000000, ns: 5000000000}\n",
        table);
    assert_null(fm_find_table(first->files));
    assert_null(fm_find_slot((u64)table << 32 | 5));
}

static void the_end_of_a_table_without_records_has_no_line(void **state)
{
    (void)state;
    record(5);
    assert_true(fm_forget(5, &(struct fm_record){}) != 0);
    fm_exited();
    no_lines();
    assert_null(fm_find_table(current->files));
}

static void the_end_of_a_table_removes_its_records_and_no_others(void **state)
{
    struct task_struct *ends = current, *stays = world_process(200, "other", NULL);
    u32 table = record(0), other;
    unsigned int fd, i;

    (void)state;
    for (fd = 1; fd < 300; fd++)
        record(fd);
    record(FM_ROWS + 17); /* beyond the descriptors that are looked up one by one */
    record(INT32_MAX - 1);
    raw_spin_lock(&fm_tables_lock);
    fm_block(fm_my_table(), 400);
    raw_spin_unlock(&fm_tables_lock);
    current = stays;
    other = record(7);
    current = ends;
    fm_exited();
    assert_int_equal(atomic_read(&fm_tables[table - 1].records), 0);
    for (i = 0; i < FM_ROWS * FM_ROW; i++)
        if (fm_slots[i / FM_ROW][i % FM_ROW].key != 0)
            assert_int_equal(fm_slots[i / FM_ROW][i % FM_ROW].key, (u64)other << 32 | 7);
    assert_int_equal(atomic_read(&fm_tables[other - 1].records), 1);
}

static void the_end_of_an_unknown_table_has_no_line(void **state)
{
    (void)state;
    world_share(current, NULL);
    fm_exited();
    no_lines();
    fm_leave_table((struct files_struct *)4096, true);
    fm_table_is_new((struct files_struct *)4096);
    no_lines();
}

/* The kernel reused the address, and the end of the older table was missed. */
static void a_new_table_at_a_known_address_ends_the_old_one(void **state)
{
    u32 table = record(5);

    (void)state;
    fm_table_is_new(current->files);
    lines_are(
        "{codigo: \"exit\", proceso: \"cat\", pid: 100, ppid: 100, tid: 100, tabla: %u, "
        "us: 1300000005000000, ns: 5000000000}\n",
        table);
    assert_null(fm_my_table());
}

static void a_process_loses_its_mark_with_its_last_thread(void **state)
{
    struct task_struct *first = current, *last = world_thread(101, current);

    (void)state;
    fm_end = true;
    atomic_dec(&first->signal->live);
    fm_exited();
    assert_true(fm_mark_of(first) != 0);
    no_lines();
    current = last;
    atomic_dec(&first->signal->live);
    fm_exited();
    assert_int_equal(fm_mark_of(first), 0);
    lines_are(STATUS_LINE("fin"));
    fm_exited(); /* another thread that saw live == 0 */
    no_lines();
}

static void a_close_range_can_leave_the_table(void **state)
{
    struct files_struct *left = current->files;
    u32 table = record(5);

    (void)state;
    fm_may_leave_table();
    assert_int_equal(atomic_read(&fm_n_flights), 1);
    current->files = world_files();
    fm_may_have_left_table();
    lines_are(
        "{codigo: \"exit\", proceso: \"cat\", pid: 100, ppid: 100, tid: 100, tabla: %u, "
        "us: 1300000005000000, ns: 5000000000}\n",
        table);
    assert_null(fm_find_table(left));
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

static void a_close_range_that_leaves_no_table_ends_none(void **state)
{
    (void)state;
    fm_may_leave_table(); /* the table has no number */
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    fm_may_have_left_table();
    record(5);
    fm_may_leave_table();
    fm_may_have_left_table(); /* current has the same table */
    assert_non_null(fm_my_table());
    fm_begin_flight(); /* as of another call */
    fm_may_have_left_table();
    no_lines();
}

/* ---- Calls in flight ------------------------------------------------------------------------- */

static void only_its_own_thread_finds_a_call(void **state)
{
    struct task_struct *first = current, *other = world_thread(101, current);
    struct fm_flight ended, *flight = fm_begin_flight();

    (void)state;
    flight->result = 7;
    assert_ptr_equal(&fm_my_flight()->flight, flight);
    current = other;
    assert_null(fm_my_flight());
    assert_false(fm_end_flight(&ended));
    fm_begin_flight()->result = 8;
    current = first;
    kernel_now += 1000;
    assert_true(fm_end_flight(&ended));
    assert_int_equal(ended.result, 7);
    assert_int_equal(ended.time.ns, 5000000000);
    assert_false(fm_end_flight(&ended));
    assert_int_equal(atomic_read(&fm_n_flights), 1);
    kernel_now -= 1000;
}

/* The exit of the first call was missed. */
static void a_thread_has_one_call_in_flight(void **state)
{
    struct fm_flight ended, *flight = fm_begin_flight();

    (void)state;
    flight->result = 7;
    flight = fm_begin_flight();
    assert_non_null(flight);
    assert_int_equal(atomic_read(&fm_n_flights), 1);
    assert_true(fm_end_flight(&ended));
    assert_int_equal(ended.result, 0);
}

static void a_call_without_a_free_slot_is_not_kept(void **state)
{
    struct task_struct *first = current;
    u32 try;

    (void)state;
    for (try = 0; try < FM_FLIGHT_TRIES; try++)
        fm_flight_at(try)->task = (struct task_struct *)-1;
    assert_null(fm_begin_flight());
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    fm_flight_at(FM_FLIGHT_TRIES - 1)->task = NULL;
    assert_ptr_equal(fm_begin_flight(), &fm_flight_at(FM_FLIGHT_TRIES - 1)->flight);
    assert_ptr_equal(fm_flight_at(FM_FLIGHT_TRIES - 1)->task, first);
    fm_drop_flight();
    assert_null(fm_my_flight());
}

static void a_call_in_flight_ends_with_its_thread(void **state)
{
    (void)state;
    fm_begin_flight();
    fm_exited();
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(a_table_gets_its_number_with_its_first_record),
        script_test(a_thread_without_a_table_has_no_number),
        script_test(a_full_row_counts_a_lost_event),
        script_test(a_reused_number_counts_a_slot_that_is_being_cleared),
        script_test(a_table_is_used_while_a_thread_can_make_system_calls),
        script_test(a_table_that_only_current_holds_is_unused),
        script_test(a_table_can_be_used_by_another_process),
        script_test(other_processes_are_not_searched_if_this_one_has_every_reference),
        script_test(current_counts_as_a_holder_of_the_table_that_it_left),
        script_test(the_last_thread_ends_the_table),
        script_test(the_end_of_a_table_without_records_has_no_line),
        script_test(the_end_of_a_table_removes_its_records_and_no_others),
        script_test(the_end_of_an_unknown_table_has_no_line),
        script_test(a_new_table_at_a_known_address_ends_the_old_one),
        script_test(a_process_loses_its_mark_with_its_last_thread),
        script_test(a_close_range_can_leave_the_table),
        script_test(a_close_range_that_leaves_no_table_ends_none),
        script_test(only_its_own_thread_finds_a_call),
        script_test(a_thread_has_one_call_in_flight),
        script_test(a_call_without_a_free_slot_is_not_kept),
        script_test(a_call_in_flight_ends_with_its_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
