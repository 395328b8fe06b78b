/* SPDX-License-Identifier: GPL-2.0-or-later */
/* With the kernel's API of 6.18: get_file_rcu() takes the address of the pointer, and fs_struct has
 * a seqlock_t. */
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

/* Repeats filemon's command H until the scan is complete.  Returns how many times the answer was
 * that there are more. */
static int scan_all(void)
{
    int more = 0;

    for (; fm_initial; more++)
        fm_scan_next();
    return more - 1;
}

static void open_descriptors_of_a_watched_process_are_reported(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/etc/hosts", O_RDWR | O_CLOEXEC));
    assert_int_equal(scan_all(), 0);
    held_is(task, "/etc/hosts", 5, O_RDWR | O_CLOEXEC);
    assert_true(fm_is_recorded(fm_find_table(task->files), 5));
}

/* Of the thread that is scanned, which is locked, and of the file. */
static void held_descriptors_have_the_facts_that_are_asked_for(void **state)
{
    struct super_block super = {.s_dev = 8 << 20 | 1};
    struct inode inode = {.i_sb = &super, .i_ino = 733};
    struct mnt_namespace mounts = {.ns.inum = 4026531832};
    struct nsproxy namespaces = {.mnt_ns = &mounts};
    struct task_struct *thread = world_thread(201, target(200));
    struct file *file = world_file("/x", 0);

    (void)state;
    fm_facts = 1 << FM_USER | 1 << FM_MOUNTS | 1 << FM_FILE;
    world_share(thread, world_files()); /* a table of its own */
    thread->euid = (kuid_t){33};
    thread->nsproxy = &namespaces;
    file->f_inode = &inode;
    world_install(thread->files, 5, file);
    scan_all();
    assert_non_null(strstr(lines(),
                           ", uid: 33, mnt_ns: 4026531832, mayor: 8, menor: 1, inodo: 733, "
                           "fichero: \"/x\", descriptor: 5"));
}

/* O_CLOEXEC is a flag of the descriptor; the flags of the open do not count. */
static void close_on_exec_is_read_from_the_descriptor(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", O_CLOEXEC));
    world_set_bit(task->files->close_on_exec, 5, false);
    scan_all();
    held_is(task, "/x", 5, 0);
}

static void processes_that_are_not_watched_are_not_scanned(void **state)
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
    scan_all();
    no_lines();
}

/* When that thread executes a program, it gets the number of the first one. */
static void where_the_first_thread_has_exited_another_is_scanned_at_its_number(void **state)
{
    struct task_struct *first = target(200), *thread = world_thread(300, first);
    int left = FM_SCAN_STEP;

    (void)state;
    world_install(thread->files, 5, world_file("/x", 0));
    world_share(first, NULL);
    assert_true(fm_scan_thread(first, &left));
    held_is(thread, "/x", 5, 0);
    scan_all();
    no_lines();
}

static void with_all_every_process_is_scanned(void **state)
{
    struct task_struct *other = world_process(203, "other", NULL);

    (void)state;
    fm_initial = fm_all = true;
    world_install(other->files, 5, world_file("/x", 0));
    scan_all();
    held_is(other, "/x", 5, 0);
}

static void unwanted_paths_and_files_without_a_path_are_not_reported(void **state)
{
    static char deep[FM_LINE];
    struct task_struct *task = target(200);

    (void)state;
    fm_prefix_add("/etc", 4, true);
    fm_prefix_add("pipe:[5]", 8, true);
    world_install(task->files, 3, world_file("/usr/x", 0));
    world_install(task->files, 4, world_file("pipe:[5]", 0));
    world_install(task->files, 5, world_file("/etc/x", 0));
    scan_all();
    held_is(task, "/etc/x", 5, 0);
    memset(deep, 'x', sizeof(deep) - 1);
    world_install(task->files, 6, world_file(deep, 0));
    fm_initial = true;
    fm_scan_nr = 0;
    scan_all();
    assert_int_equal(atomic_read(&fm_lost), 1);
    no_lines();
}

/* A table is scanned once for each thread if its first thread has exited. */
static void what_the_scan_loses_counts_once(void **state)
{
    static char deep[FM_LINE];
    struct task_struct *task = target(200);

    (void)state;
    memset(deep, 'x', sizeof(deep) - 1);
    world_install(task->files, 6, world_file(deep, 0));
    scan_all();
    assert_int_equal(atomic_xchg(&fm_lost, 0), 1);
    fm_initial = true;
    fm_scan_nr = 0;
    scan_all();
    assert_int_equal(atomic_read(&fm_lost), 0);
}

/* Threads that share the table of the main thread are not scanned. */
static void held_descriptors_are_reported_if_they_are_asked_for(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    task->euid = (kuid_t){33};
    fm_writes = true;
    fm_user_add((kuid_t){33});
    world_install(current->files, 5, world_file("/x", O_RDWR));
    world_install(task->files, 5, world_file("/x", O_RDONLY));
    world_install(task->files, 6, world_file("/x", O_WRONLY));
    scan_all();
    held_is(task, "/x", 6, O_WRONLY);
}

static void each_table_is_reported_once(void **state)
{
    struct task_struct *task = target(200), *shares = world_thread(201, task);
    struct task_struct *own = world_thread(202, task);
    const char *line;

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    world_share(own, world_files());
    world_install(own->files, 6, world_file("/y", 0));
    assert_ptr_equal(shares->files, task->files);
    scan_all();
    line = lines();
    assert_non_null(strstr(line, "tid: 200"));
    assert_non_null(strstr(line, "fichero: \"/x\""));
    assert_non_null(strstr(line, "fichero: \"/y\""));
    assert_null(strstr(strstr(line, "/y"), "/x"));
}

static void descriptors_opened_or_closed_meanwhile_are_not_reported(void **state)
{
    struct task_struct *task = target(200), *writer = current;

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    world_install(task->files, 6, world_file("/y", 0));
    world_install(task->files, 7, world_file("/z", 0));
    current = task;
    script_record(5);
    fm_forget(6, &(struct fm_record){}); /* its close is in flight */
    fm_block_mine(7);                    /* received over a socket, or being replaced */
    current = writer;
    scan_all();
    no_lines();
}

/* Not if the descriptor has got another file, or if no thread uses the table any more. */
static void a_file_is_reported_only_if_the_descriptor_still_has_it(void **state)
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

static void a_descriptor_without_a_file_is_not_reported(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_set_bit(task->files->open_fds, 5, true); /* reserved by an open in flight */
    fm_scan_descriptor(task, WORLD_DESCRIPTORS + 1);
    scan_all();
    no_lines();
}

/* As the scanned process sees it. */
static void a_path_starts_at_the_root_of_its_process(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    task->own_fs.root = world_path("/srv/box");
    world_install(task->files, 5, world_file("/srv/box/etc/x", 0));
    scan_all();
    held_is(task, "/etc/x", 5, 0);
    world_install(task->files, 6, world_file("/srv/boxes/x", 0));
    fm_initial = true;
    fm_scan_nr = 0;
    scan_all();
    held_is(task, "/srv/boxes/x", 6, 0);
    task->fs = NULL;
    world_install(task->files, 7, world_file("/srv/box/y", 0));
    fm_initial = true;
    fm_scan_nr = 0;
    scan_all();
    held_is(task, "/srv/box/y", 7, 0);
}

static void descriptors_of_filemon_in_its_command_are_not_reported(void **state)
{
    struct task_struct *filemon = world_process(200, "filemon", NULL), *command = target(201);

    (void)state;
    fm_self[0] = 200;
    command->real_parent = filemon;
    world_install(command->files, 4, world_file("/pipe", O_CLOEXEC));
    world_install(command->files, 5, world_file("/log", 0));
    scan_all();
    held_is(command, "/log", 5, 0);
}

static void many_descriptors_are_scanned_in_steps(void **state)
{
    int i, fd, held = 0;

    (void)state;
    for (i = 0; i < 6; i++) {
        struct task_struct *task = target(200 + i);

        for (fd = 0; fd < 400; fd++)
            world_install(task->files, (unsigned int)fd, world_file("/x", 0));
        if (i % 2 == 0)
            world_share(world_thread(300 + i, task), world_files());
        world_n_files -= 400; /* no room for 2,400: these are not checked */
    }
    assert_int_equal(scan_all(), 1);
    for (const char *at = lines(); *at; at = strchr(at, '\n') + 1)
        held += strncmp(at, "{codigo: \"held\"", 15) == 0;
    assert_int_equal(held, 6 * 400);
}

static void the_scan_waits_while_the_ring_is_half_full(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    fm_ring_in = FM_RING / 2;
    fm_scan_next();
    assert_true(fm_initial);
    fm_ring_out = FM_RING / 2;
    lines_are(STATUS_LINE("sigue"));
    fm_scan_next();
    assert_false(fm_initial);
    held_is(task, "/x", 5, 0);
}

static void a_copy_of_a_descriptor_not_scanned_yet_is_held(void **state)
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
    scan_all();
    held_is(current, "/x", 5, 0);
}

static void a_failed_copy_leaves_the_descriptor_to_the_scan(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    fm_replacing(6);
    fm_not_replaced(6);
    scan_all();
    held_is(current, "/x", 6, 0);
}

static void scan_ends(void)
{
    assert_int_equal(scan_all(), 0);
}

/* fm_copied() finds no record of descriptor 5, and then the scan reports it and ends. */
static void a_copy_during_which_the_scan_ends_is_held(void **state)
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

/* The scan skipped it while dup2 was in flight. */
static void a_descriptor_that_dup2_failed_to_replace_is_held(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    fm_replacing(6);
    assert_int_equal(scan_all(), 0);
    no_lines();
    fm_not_replaced(6);
    held_is(current, "/x", 6, 0);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* It was blocked already, because it was received over a socket. */
static void a_received_descriptor_that_dup2_failed_to_replace_is_not_held(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    world_call(__NR_recvmsg, 0, 0, 0, 0);
    fm_installing(6, current->files->files[6]);
    fm_replacing(6);
    fm_not_replaced(6);
    scan_all();
    no_lines();
}

static void a_replacement_without_a_free_slot_is_lost(void **state)
{
    (void)state;
    fm_initial = true;
    world_install(current->files, 6, world_file("/x", 0));
    for (u32 try = 0; try < FM_FLIGHT_TRIES; try++)
        fm_flight_at(try)->task = (struct task_struct *)-1;
    fm_replacing(6);
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* The probe of exit_files() has found no table to end, and then the scan finds the thread. */
static void an_exiting_thread_gets_no_table(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    task->flags |= PF_EXITING;
    scan_all();
    no_lines();
    assert_null(fm_find_table(task->files));
}

/* The scan reads the table of the main thread, as long as that has it, and skips the other threads.
 */
static void the_exit_of_the_main_thread_hides_no_descriptor(void **state)
{
    struct task_struct *task = target(200);

    (void)state;
    world_thread(201, task);
    world_install(task->files, 5, world_file("/x", 0));
    task->flags |= PF_EXITING;
    scan_all();
    held_is(task, "/x", 5, 0);
}

/* Thread ids start again at low numbers after the highest. */
static void a_thread_with_a_lower_id_than_its_leader_is_scanned(void **state)
{
    struct task_struct *task = target(200), *thread = world_thread(199, task);

    (void)state;
    world_install(task->files, 5, world_file("/x", 0));
    fm_scan_began = ktime_get_ns();
    assert_true(fm_is_scanned(thread)); /* the leader can leave the table meanwhile */
    scan_all();
    held_is(task, "/x", 5, 0);
}

static void replacing_a_recorded_descriptor_blocks_nothing(void **state)
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
        script_test(open_descriptors_of_a_watched_process_are_reported),
        script_test(held_descriptors_have_the_facts_that_are_asked_for),
        script_test(close_on_exec_is_read_from_the_descriptor),
        script_test(processes_that_are_not_watched_are_not_scanned),
        script_test(where_the_first_thread_has_exited_another_is_scanned_at_its_number),
        script_test(with_all_every_process_is_scanned),
        script_test(what_the_scan_loses_counts_once),
        script_test(unwanted_paths_and_files_without_a_path_are_not_reported),
        script_test(held_descriptors_are_reported_if_they_are_asked_for),
        script_test(each_table_is_reported_once),
        script_test(descriptors_opened_or_closed_meanwhile_are_not_reported),
        script_test(a_file_is_reported_only_if_the_descriptor_still_has_it),
        script_test(a_descriptor_without_a_file_is_not_reported),
        script_test(a_path_starts_at_the_root_of_its_process),
        script_test(descriptors_of_filemon_in_its_command_are_not_reported),
        script_test(many_descriptors_are_scanned_in_steps),
        script_test(the_scan_waits_while_the_ring_is_half_full),
        script_test(a_copy_of_a_descriptor_not_scanned_yet_is_held),
        script_test(a_failed_copy_leaves_the_descriptor_to_the_scan),
        script_test(a_copy_during_which_the_scan_ends_is_held),
        script_test(a_descriptor_that_dup2_failed_to_replace_is_held),
        script_test(a_received_descriptor_that_dup2_failed_to_replace_is_not_held),
        script_test(a_replacement_without_a_free_slot_is_lost),
        script_test(an_exiting_thread_gets_no_table),
        script_test(the_exit_of_the_main_thread_hides_no_descriptor),
        script_test(a_thread_with_a_lower_id_than_its_leader_is_scanned),
        script_test(replacing_a_recorded_descriptor_blocks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
