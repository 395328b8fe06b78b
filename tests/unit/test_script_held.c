/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As of a kernel whose get_file_rcu() takes the place of the pointer, and whose fs_struct a
 * seqlock. */
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 18, 0)
#include "kernel/script.h"

#define NOW "us: 1300000005000000, ns: 5000000000"

static void held_is(struct task_struct *task, const char *path, unsigned int fd, unsigned int flags)
{
    lines_are(
        "{codigo: \"held\", proceso: \"%s\", pid: %d, ppid: %d, tid: %d, "
        "tabla: %u, fichero: \"%s\", descriptor: %u, " NOW ", flags: %u}\n",
        task->group_leader->comm, task->tgid, task->real_parent->tgid, task->tgid,
        fm_number(fm_find_table(task->files)), path, fd, flags);
}

static struct task_struct *target(pid_t pid)
{
    struct task_struct *task = world_process(pid, "target", NULL);

    fm_mark(task, 1);
    fm_initial = true;
    return task;
}

/* filemon's command H, again and again; how many times it said that there are more. */
static int hold_all(void)
{
    int more = 0;

    for (; fm_initial; more++)
        fm_scan_next();
    return more - 1;
}

static void what_a_watched_process_has_open_is_held(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/etc/hosts", O_RDWR | O_CLOEXEC));
    assert_int_equal(hold_all(), 0);
    held_is(task, "/etc/hosts", 5, O_RDWR | O_CLOEXEC);
    assert_true(fm_is_recorded(fm_find_table(task->files), 5));
}

/* O_CLOEXEC is the descriptor's, whatever the open said. */
static void close_on_exec_is_that_of_the_descriptor(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", O_CLOEXEC));
    world_set_bit(task->files->close_on_exec, 5, false);
    hold_all();
    held_is(task, "/x", 5, 0);
}

static void who_is_not_watched_holds_nothing(void **state)
{
    struct task_struct *kthread = target(200), *late = target(201), *filemon = target(202);
    struct task_struct *other = world_process(203, "other", NULL), *empty = target(204);
    struct file *file = world_file("/x", 0);

    (void)state;
    world_install(kthread->files, 5, file);
    world_install(late->files, 5, file);
    world_install(filemon->files, 5, file);
    world_install(other->files, 5, file);
    kthread->flags |= PF_KTHREAD;
    late->start_time = ktime_get_ns() + 1;
    fm_self[0] = 202;
    world_share(empty, NULL);
    hold_all();
    no_lines();
}

static void with_all_every_process_holds(void **state)
{
    struct task_struct *other = world_process(203, "other", NULL);

    (void)state;
    fm_initial = fm_all = true;
    world_install(other->files, 5, world_file("/x", 0));
    hold_all();
    held_is(other, "/x", 5, 0);
}

static void what_is_not_wanted_or_has_no_path_is_not_held(void **state)
{
    static char deep[FM_LINE];
    struct task_struct *task = target(200);

    (void)state;
    fm_prefix_add("/etc", 4, true);
    fm_prefix_add("pipe:[5]", 8, true);
    world_install(task->files, 3, world_file("/usr/x", 0));
    world_install(task->files, 4, world_file("pipe:[5]", 0));
    world_install(task->files, 5, world_file("/etc/x", 0));
    hold_all();
    held_is(task, "/etc/x", 5, 0);
    memset(deep, 'x', sizeof(deep) - 1);
    world_install(task->files, 6, world_file(deep, 0));
    fm_initial = true;
    fm_scan_nr = 0;
    hold_all();
    assert_int_equal(atomic_read(&fm_lost), 1);
    no_lines();
}

/* Threads that share the table of their process's first one add nothing to it. */
static void each_table_is_held_once(void **state)
{
    struct task_struct *task = target(200), *shares = world_thread(201, task);
    struct task_struct *own = world_thread(202, task);
    const char *line;

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    world_share(own, world_files());
    world_install(own->files, 6, world_file("/y", 0));
    assert_ptr_equal(shares->files, task->files);
    hold_all();
    line = lines();
    assert_non_null(strstr(line, "tid: 200"));
    assert_non_null(strstr(line, "fichero: \"/x\""));
    assert_non_null(strstr(line, "fichero: \"/y\""));
    assert_null(strstr(strstr(line, "/y"), "/x"));
}

static void what_was_opened_or_closed_meanwhile_is_not_held(void **state)
{
    struct task_struct *task = target(200), *writer = current;

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    world_install(task->files, 6, world_file("/y", 0));
    world_install(task->files, 7, world_file("/z", 0));
    current = task;
    script_record(5);
    fm_forget(6, &(struct fm_record){}); /* its close is under way */
    fm_block_mine(7);                    /* received, or being replaced */
    current = writer;
    hold_all();
    no_lines();
}

/* It is the file of the descriptor no more, or the thread has left the table. */
static void a_file_is_held_only_where_it_still_is(void **state)
{
    struct task_struct *task = target(200);
    struct file *file = world_file("/x", 0), *other = world_file("/y", 0);
    struct fm_table *table = fm_find_or_add_table(task->files);

    (void)state;
    world_install(task->files, 5, file);
    assert_true(fm_may_report_held(table, 5, file));
    assert_false(fm_may_report_held(table, 5, other));
    assert_false(fm_may_report_held(table, WORLD_DESCRIPTORS, file));
    assert_true(fm_has_user(table, task));
    task->flags |= PF_EXITING;
    assert_false(fm_has_user(table, task));
    task->flags &= ~PF_EXITING;
    task->files = world_files();
    assert_false(fm_has_user(table, task));
}

static void a_descriptor_without_a_file_is_not_held(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_set_bit(task->files->open_fds, 5, true); /* reserved for an open */
    fm_scan_descriptor(task, WORLD_DESCRIPTORS + 1);
    hold_all();
    no_lines();
}

/* Its name as the other process sees it. */
static void a_path_is_below_the_holders_root(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    task->own_fs.root = world_path("/srv/box");
    world_install(task->files, 5, world_file("/srv/box/etc/x", 0));
    hold_all();
    held_is(task, "/etc/x", 5, 0);
    world_install(task->files, 6, world_file("/srv/boxes/x", 0));
    fm_initial = true;
    fm_scan_nr = 0;
    hold_all();
    held_is(task, "/srv/boxes/x", 6, 0);
    task->fs = NULL;
    world_install(task->files, 7, world_file("/srv/box/y", 0));
    fm_initial = true;
    fm_scan_nr = 0;
    hold_all();
    held_is(task, "/srv/box/y", 7, 0);
}

static void a_command_holds_nothing_of_filemons(void **state)
{
    struct task_struct *filemon = world_process(200, "filemon", NULL), *command = target(201);

    (void)state;
    fm_self[0] = 200;
    command->real_parent = filemon;
    world_install(command->files, 4, world_file("/pipe", O_CLOEXEC));
    world_install(command->files, 5, world_file("/log", 0));
    hold_all();
    held_is(command, "/log", 5, 0);
}

static void many_are_held_in_steps(void **state)
{
    int i, fd, held = 0;

    (void)state;
    for (i = 0; i < 6; i++) {
        struct task_struct *task = target(200 + i);

        for (fd = 0; fd < 400; fd++)
            world_install(task->files, (unsigned int)fd, world_file("/x", 0));
        if (i % 2 == 0)
            world_share(world_thread(300 + i, task), world_files());
        world_n_files -= 400; /* only their references are looked at */
    }
    assert_int_equal(hold_all(), 1);
    for (const char *at = lines(); *at; at = strchr(at, '\n') + 1)
        held += strncmp(at, "{codigo: \"held\"", 15) == 0;
    assert_int_equal(held, 6 * 400);
}

static void a_ring_that_is_half_full_is_waited_for(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    fm_ring_in = FM_RING / 2;
    fm_scan_next();
    assert_true(fm_initial);
    fm_ring_out = FM_RING / 2;
    lines_are(SAYS("sigue"));
    fm_scan_next();
    assert_false(fm_initial);
    held_is(task, "/x", 5, 0);
}

/* A copy of what the scan has not come to yet. */
static void a_copy_of_what_is_not_yet_held_is_held_itself(void **state)
{
    struct file *file = world_file("/x", 0);

    (void)state;
    fm_initial = true;
    world_install(current->files, 5, file);
    fm_replacing(6);
    world_install(current->files, 6, file);
    fm_copied(5, 6, true);
    held_is(current, "/x", 6, 0);
    world_install(current->files, 7, file);
    fm_copied(5, 7, false);
    held_is(current, "/x", 7, 0);
    hold_all();
    held_is(current, "/x", 5, 0);
}

static void a_copy_that_fails_leaves_what_may_be_held(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    fm_replacing(6);
    fm_not_replaced(6);
    hold_all();
    held_is(current, "/x", 6, 0);
}

static void scan_ends(void)
{
    assert_int_equal(hold_all(), 0);
}

/* Its source was held, and the scan ended, after it was looked for. */
static void a_copy_that_the_end_of_the_scan_overtakes_is_held(void **state)
{
    struct file *file = world_file("/x", 0);

    (void)state;
    fm_initial = true;
    world_install(current->files, 5, file);
    world_call(__NR_dup, 5, 0, 0, 0);
    fm_installing(6, file);
    world_install(current->files, 6, file);
    kernel_meanwhile = scan_ends;
    fm_copied(5, 6, false);
    assert_false(fm_initial);
    assert_true(fm_is_recorded(fm_my_table(), 5));
    assert_true(fm_is_recorded(fm_my_table(), 6));
    assert_non_null(strstr(lines(), "descriptor: 6"));
}

/* The scan passed over it while it might have been replaced. */
static void what_was_not_replaced_after_all_is_held(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    fm_replacing(6);
    assert_int_equal(hold_all(), 0);
    no_lines();
    fm_not_replaced(6);
    held_is(current, "/x", 6, 0);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* It was blocked for another reason: it came over a socket. */
static void what_was_received_and_not_replaced_is_not_held(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    world_call(__NR_recvmsg, 0, 0, 0, 0);
    fm_installing(6, current->files->files[6]);
    fm_replacing(6);
    fm_not_replaced(6);
    hold_all();
    no_lines();
}

static void what_may_be_replaced_without_a_slot_is_lost(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    for (u32 try = 0; try < FM_FLIGHT_TRIES; try++)
        fm_flight_at(try)->task = (struct task_struct *)-1;
    fm_replacing(6);
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* exit_files() found no table to end, and then the scan comes. */
static void a_thread_that_exits_is_left_no_table(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    task->flags |= PF_EXITING;
    hold_all();
    no_lines();
    assert_null(fm_find_table(task->files));
}

/* The other threads are passed over as long as the first one has the same table. */
static void what_a_process_holds_does_not_end_with_its_first_thread(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_thread(201, task);
    world_install(task->files, 5, world_file("/x", 0));
    task->flags |= PF_EXITING;
    hold_all();
    held_is(task, "/x", 5, 0);
}

/* Numbers of threads begin anew after the highest. */
static void a_thread_with_a_lower_number_than_its_first_one_is_not_passed_over(void **state)
{
    struct task_struct *task = target(200), *thread = world_thread(199, task);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    fm_scan_began = ktime_get_ns();
    assert_true(fm_is_scanned(thread)); /* the first one may have left before it is its turn */
    hold_all();
    held_is(task, "/x", 5, 0);
}

static void a_copy_onto_what_is_recorded_needs_no_block(void **state)
{
    (void)state;
    fm_initial = true;
    script_record(6);
    fm_replacing(6);
    assert_null(fm_find_slot(fm_key(fm_my_table(), 6) | FM_BLOCKED));
    assert_true(fm_is_recorded(fm_my_table(), 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(what_a_watched_process_has_open_is_held),
        script_test(close_on_exec_is_that_of_the_descriptor),
        script_test(who_is_not_watched_holds_nothing),
        script_test(with_all_every_process_holds),
        script_test(what_is_not_wanted_or_has_no_path_is_not_held),
        script_test(each_table_is_held_once),
        script_test(what_was_opened_or_closed_meanwhile_is_not_held),
        script_test(a_file_is_held_only_where_it_still_is),
        script_test(a_descriptor_without_a_file_is_not_held),
        script_test(a_path_is_below_the_holders_root),
        script_test(a_command_holds_nothing_of_filemons),
        script_test(many_are_held_in_steps),
        script_test(a_ring_that_is_half_full_is_waited_for),
        script_test(a_copy_of_what_is_not_yet_held_is_held_itself),
        script_test(a_copy_that_fails_leaves_what_may_be_held),
        script_test(a_copy_that_the_end_of_the_scan_overtakes_is_held),
        script_test(what_was_not_replaced_after_all_is_held),
        script_test(what_was_received_and_not_replaced_is_not_held),
        script_test(what_may_be_replaced_without_a_slot_is_lost),
        script_test(a_thread_that_exits_is_left_no_table),
        script_test(what_a_process_holds_does_not_end_with_its_first_thread),
        script_test(a_thread_with_a_lower_number_than_its_first_one_is_not_passed_over),
        script_test(a_copy_onto_what_is_recorded_needs_no_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
