/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

/* ---- Marks ----------------------------------------------------------------------------------- */

static void only_marked_processes_are_watched(void **state)
{
    struct task_struct *watched = current, *other = world_process(200, "other", NULL);

    (void)state;
    assert_true(fm_watched());
    assert_int_equal(atomic_read(&fm_live), 1);
    current = world_thread(101, watched);
    assert_true(fm_watched());
    current = other;
    assert_false(fm_watched());
    fm_mark(other, 1);
    assert_true(fm_watched());
    assert_int_equal(atomic_read(&fm_live), 2);
    assert_true(fm_unmark(200));
    assert_false(fm_unmark(200));
    assert_false(fm_watched());
    assert_int_equal(atomic_read(&fm_live), 1);
}

static void no_process_is_watched_before_the_start(void **state)
{
    (void)state;
    fm_on = false;
    assert_false(fm_watched());
    fm_all = true;
    assert_false(fm_watched());
    fm_on = true;
    assert_true(fm_watched());
}

static void all_excludes_kernel_threads_and_filemon_itself(void **state)
{
    (void)state;
    fm_all = true;
    fm_self[0] = 300;
    fm_self[1] = 301;
    current = world_process(200, "other", NULL);
    assert_true(fm_watched());
    current->flags = PF_KTHREAD;
    assert_false(fm_watched());
    current = world_process(300, "filemon", NULL);
    assert_false(fm_watched());
    current = world_process(301, "stapio", NULL);
    assert_false(fm_watched());
}

static void a_mark_is_raised_and_never_lowered(void **state)
{
    struct task_struct *other = world_process(200, "other", NULL);

    (void)state;
    fm_mark(other, 2);
    fm_mark(other, 1);
    assert_int_equal(fm_mark_of(other), 2);
    fm_mark(other, FM_EVERY);
    assert_int_equal(fm_mark_of(other), FM_EVERY);
    assert_int_equal(atomic_read(&fm_live), 2);
}

static void filemon_itself_gets_no_mark(void **state)
{
    struct task_struct *filemon = world_process(200, "filemon", current);
    struct task_struct *stapio = world_process(201, "stapio", filemon);

    (void)state;
    fm_self[0] = 200;
    fm_self[1] = 201;
    fm_mark_descendants();
    assert_int_equal(fm_mark_of(filemon), 0);
    assert_int_equal(fm_mark_of(stapio), 0);
}

/* The probe of exit_files() in its last thread may have looked for the mark already. */
static void a_process_that_exited_meanwhile_keeps_no_mark(void **state)
{
    struct task_struct *other = world_process(200, "other", NULL);

    (void)state;
    atomic_set(&other->signal->live, 0);
    fm_mark(other, FM_EVERY);
    assert_int_equal(fm_mark_of(other), 0);
    assert_int_equal(atomic_read(&fm_live), 1);
}

static void the_mark_of_a_child_has_one_generation_less(void **state)
{
    (void)state;
    assert_int_equal(fm_child_mark(FM_EVERY), FM_EVERY);
    assert_int_equal(fm_child_mark(FM_EVERY - 1), FM_EVERY - 2);
    assert_int_equal(fm_child_mark(2), 1);
    assert_int_equal(fm_child_mark(1), 0);
    assert_int_equal(fm_child_mark(0), 0);
}

/* Process 90 precedes its parent, 110, in the list. */
static void descendants_are_marked_down_to_the_depth(void **state)
{
    struct task_struct *child = world_process(110, "child", current);
    struct task_struct *grandchild = world_process(90, "grandchild", child);
    struct task_struct *great = world_process(120, "great-grandchild", grandchild);
    struct task_struct *kthread = world_process(130, "kworker", current);
    struct task_struct *other = world_process(140, "other", NULL);

    (void)state;
    kthread->flags = PF_KTHREAD;
    fm_unmark(100);
    fm_mark(current, 3);
    fm_mark_descendants();
    assert_int_equal(fm_mark_of(child), 2);
    assert_int_equal(fm_mark_of(grandchild), 1);
    assert_int_equal(fm_mark_of(great), 0);
    assert_int_equal(fm_mark_of(kthread), 0);
    assert_int_equal(fm_mark_of(other), 0);
    assert_int_equal(atomic_read(&fm_live), 3);
}

static void a_pid_is_of_the_writers_namespace(void **state)
{
    struct pid_namespace inner = {.ahead = 50};
    struct task_struct *target = world_process(200, "target", NULL);
    struct task_struct *kthread = world_process(201, "kworker", NULL);

    (void)state;
    kthread->flags = PF_KTHREAD;
    current->pid_ns = &inner;
    fm_depth = 2;
    assert_false(fm_watch(200));
    assert_false(fm_watch(151));
    assert_int_equal(fm_mark_of(kthread), 0);
    assert_true(fm_watch(150));
    assert_int_equal(fm_mark_of(target), 2);
}

static void ids_in_lines_are_of_filemons_namespace(void **state)
{
    struct pid_namespace inner = {.ahead = 150};
    struct task_struct *process = world_process(200, "process", NULL);
    struct task_struct *thread = world_thread(201, process);

    (void)state;
    assert_int_equal(fm_tgid_nr(thread), 200);
    assert_int_equal(fm_pid_nr(thread), 201);
    fm_ns = &inner;
    assert_int_equal(fm_tgid_nr(thread), 50);
    assert_int_equal(fm_pid_nr(thread), 51);
    assert_int_equal(fm_tgid_nr(current), 0);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void name(const char *name)
{
    fm_name_add(name, (u32)strlen(name));
}

static void names_are_whole_words(void **state)
{
    (void)state;
    name("nginx");
    name("sh");
    assert_true(fm_is_name("nginx", 5));
    assert_true(fm_is_name("sh", 2));
    assert_false(fm_is_name("nginx", 4));
    assert_false(fm_is_name("nginy", 5));
    assert_false(fm_is_name("", 0));
}

static void any_component_of_a_path_may_be_the_name(void **state)
{
    (void)state;
    name("postfix");
    assert_true(fm_any_component_is_name("/usr/lib/postfix/sbin/master"));
    assert_true(fm_any_component_is_name("/postfix"));
    assert_true(fm_any_component_is_name("//postfix//"));
    assert_false(fm_any_component_is_name("/usr/lib/postfixes/xpostfix"));
    assert_false(fm_any_component_is_name("/"));
    assert_false(fm_any_component_is_name(""));
}

static void a_name_without_memory_is_lost(void **state)
{
    (void)state;
    kernel_memory = 0;
    name("nginx");
    assert_int_equal(atomic_read(&fm_lost), 1);
    assert_false(fm_is_name("nginx", 5));
}

/* ---- Programs that start --------------------------------------------------------------------- */

static struct task_struct *starts(const char *comm, const char *exe, const char *execfn)
{
    struct task_struct *task = world_process(200, comm, NULL);

    task->mm->exe_file = world_file(exe, 0);
    task->mm->saved_auxv[0] = AT_PAGESZ;
    task->mm->saved_auxv[1] = 4096;
    task->mm->saved_auxv[2] = AT_EXECFN;
    task->mm->saved_auxv[3] = (unsigned long)execfn;
    current = task;
    fm_executed();
    return task;
}

static void a_program_is_marked_by_its_comm(void **state)
{
    (void)state;
    name("nginx");
    fm_depth = 3;
    assert_int_equal(fm_mark_of(starts("nginx", "/bin/busybox", "/bin/x")), 3);
}

static void a_program_is_marked_by_its_executable(void **state)
{
    (void)state;
    name("postfix");
    assert_int_equal(fm_mark_of(starts("qmgr", "/usr/lib/postfix/sbin/qmgr", "/bin/x")), FM_EVERY);
}

/* A comm of 15 bytes can be cut, and the executable of a script is its interpreter. */
static void a_script_with_a_long_name_is_marked_by_the_name_given_to_exec(void **state)
{
    (void)state;
    name("unattended-upgrade");
    assert_int_equal(
        fm_mark_of(starts("unattended-upgr", "/usr/bin/python3.11", "/usr/bin/unattended-upgrade")),
        FM_EVERY);
}

static void the_name_given_to_exec_need_not_have_a_directory(void **state)
{
    (void)state;
    name("unattended-upgrade");
    assert_int_equal(
        fm_mark_of(starts("unattended-upgr", "/usr/bin/python3.11", "unattended-upgrade")),
        FM_EVERY);
}

static void a_short_comm_is_the_whole_name(void **state)
{
    (void)state;
    name("other");
    assert_int_equal(fm_mark_of(starts("cat", "/bin/cat", "/bin/other")), 0);
}

static void an_unreadable_name_given_to_exec_marks_nothing(void **state)
{
    static char far[FM_PATH + 32];
    struct task_struct *task;

    (void)state;
    name("unattended-upgrade");
    task = starts("unattended-upgr", "/usr/bin/python3.11", NULL); /* not in memory */
    assert_int_equal(fm_mark_of(task), 0);
    memset(far, '/', FM_PATH);
    strcpy(far + FM_PATH, "unattended-upgrade");
    task->mm->saved_auxv[3] = (unsigned long)far;
    fm_executed();
    assert_int_equal(fm_mark_of(task), 0);
    task->mm->saved_auxv[2] = AT_NULL;
    task->mm->saved_auxv[3] = (unsigned long)"unattended-upgrade";
    fm_executed();
    assert_int_equal(fm_mark_of(task), 0);
    memset(task->mm->saved_auxv, 1, sizeof(task->mm->saved_auxv));
    fm_executed();
    assert_int_equal(fm_mark_of(task), 0);
}

static void a_program_is_examined_only_if_it_could_be_marked(void **state)
{
    (void)state;
    fm_buffer = (kfree(fm_buffer), NULL); /* using it would crash */
    assert_int_equal(fm_mark_of(starts("cat", "/usr/sbin/nginx", "nginx")), 0);
    name("nginx");
    current->mm = NULL; /* as in a kernel thread */
    fm_executed();
    current->mm = &current->own_mm;
    fm_mark(current, FM_EVERY);
    fm_executed();
}

static void a_program_without_an_executable_file_is_not_marked(void **state)
{
    struct task_struct *task = world_process(200, "cat", NULL);

    (void)state;
    name("nginx");
    current = task;
    fm_executed();
    assert_int_equal(fm_mark_of(task), 0);
}

static void by_hand_running_programs_are_marked(void **state)
{
    struct task_struct *by_comm = world_process(200, "nginx", NULL);
    struct task_struct *by_exe = world_process(201, "worker", NULL);
    struct task_struct *other = world_process(202, "other", NULL);
    struct task_struct *kthread = world_process(203, "nginx", NULL);
    struct task_struct *ended = world_process(204, "nginx", NULL);
    struct task_struct *stapio = world_process(205, "nginx", NULL);

    (void)state;
    fm_mark_running();
    assert_int_equal(fm_mark_of(by_comm), 0);
    name("nginx");
    by_exe->mm->exe_file = world_file("/opt/nginx/worker", 0);
    kthread->flags = PF_KTHREAD;
    ended->mm = NULL;
    fm_self[1] = 205;
    fm_mark_running();
    assert_int_equal(fm_mark_of(by_comm), FM_EVERY);
    assert_int_equal(fm_mark_of(by_exe), FM_EVERY);
    assert_int_equal(fm_mark_of(other), 0);
    assert_int_equal(fm_mark_of(kthread), 0);
    assert_int_equal(fm_mark_of(ended), 0);
    assert_int_equal(fm_mark_of(stapio), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(only_marked_processes_are_watched),
        script_test(no_process_is_watched_before_the_start),
        script_test(all_excludes_kernel_threads_and_filemon_itself),
        script_test(a_mark_is_raised_and_never_lowered),
        script_test(filemon_itself_gets_no_mark),
        script_test(a_process_that_exited_meanwhile_keeps_no_mark),
        script_test(the_mark_of_a_child_has_one_generation_less),
        script_test(descendants_are_marked_down_to_the_depth),
        script_test(a_pid_is_of_the_writers_namespace),
        script_test(ids_in_lines_are_of_filemons_namespace),
        script_test(names_are_whole_words),
        script_test(any_component_of_a_path_may_be_the_name),
        script_test(a_name_without_memory_is_lost),
        script_test(a_program_is_marked_by_its_comm),
        script_test(a_program_is_marked_by_its_executable),
        script_test(a_script_with_a_long_name_is_marked_by_the_name_given_to_exec),
        script_test(the_name_given_to_exec_need_not_have_a_directory),
        script_test(a_short_comm_is_the_whole_name),
        script_test(an_unreadable_name_given_to_exec_marks_nothing),
        script_test(a_program_is_examined_only_if_it_could_be_marked),
        script_test(a_program_without_an_executable_file_is_not_marked),
        script_test(by_hand_running_programs_are_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
