/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#define CAT "proceso: \"cat\", pid: 100, ppid: 100, tid: 100"
#define PATH_LINE(tid, number, path)                                                               \
    "{codigo: \"programa\", tid: " #tid ", programa: " #number ", fichero: \"" path "\"}\n"

/* A line of current, about nothing. */
static void report(void)
{
    struct fm_line line;

    fm_event(&line);
    fm_start(&line, "x");
    fm_finish(&line);
}

static void executes(struct task_struct *task, const char *path)
{
    task->mm->exe_file = world_file(path, 0);
}

static int set_up(void **state)
{
    int result = script_set_up(state);

    fm_facts = 1 << FM_EXECUTABLE;
    executes(current, "/bin/cat");
    return result;
}

static void the_path_is_sent_once_before_the_first_line(void **state)
{
    (void)state;
    report();
    lines_are(PATH_LINE(100, 1, "/bin/cat") "{codigo: \"x\", " CAT ", programa: 1}\n");
    report();
    lines_are("{codigo: \"x\", " CAT ", programa: 1}\n");
}

static void threads_share_it_and_children_do_not(void **state)
{
    struct task_struct *first = current;

    (void)state;
    report();
    lines();
    current = world_thread(101, first);
    current->mm = first->mm;
    report();
    assert_null(strstr(lines(), "fichero"));
    current = world_process(102, "cat", first);
    executes(current, "/bin/cat");
    report();
    assert_non_null(strstr(lines(), "tid: 102, programa: 2, fichero"));
}

static void another_program_has_another_number(void **state)
{
    (void)state;
    report();
    lines();
    current->self_exec_id++;
    report();
    assert_non_null(strstr(lines(), "programa: 2, fichero: \"/bin/cat\""));
    executes(current, "/bin/dd"); /* by prctl(2) */
    report();
    assert_non_null(strstr(lines(), "programa: 3, fichero: \"/bin/dd\""));
    current->start_time++; /* another process with the same id */
    report();
    assert_non_null(strstr(lines(), "programa: 4, fichero: \"/bin/dd\""));
}

/* What exec closes was opened by the old program. */
static void in_exec_it_is_the_old_one(void **state)
{
    struct fm_line line;

    (void)state;
    report();
    lines();
    executes(current, "/bin/dd");
    script_record(5);
    world_install(current->files, 5, world_file("/x", O_CLOEXEC));
    fm_close_many(0, ~0u, true, "exec");
    assert_non_null(strstr(lines(), "programa: 1, "));
    report();
    assert_non_null(strstr(lines(), "programa: 2, fichero: \"/bin/dd\""));
    current->start_time++;
    fm_event(&line);
    line.executing = true;
    fm_start(&line, "x");
    fm_finish(&line);
    assert_null(strstr(lines(), "programa"));
}

/* At its exit a process has no memory any more. */
static void at_its_exit_a_process_still_has_its_number(void **state)
{
    (void)state;
    report();
    lines();
    current->mm = NULL;
    report();
    lines_are("{codigo: \"x\", " CAT ", programa: 1}\n");
    current->start_time++;
    report();
    lines_are("{codigo: \"x\", " CAT "}\n");
}

/* Of a process that has nothing open, nothing will be reported. */
static void what_is_left_open_after_exec_belongs_to_the_new_program(void **state)
{
    (void)state;
    fm_note_executable();
    assert_string_equal(lines(), "");
    script_record(5);
    lines();
    current->self_exec_id++;
    executes(current, "/bin/dd");
    fm_note_executable();
    lines_are(PATH_LINE(100, 1, "/bin/dd"));
    current->mm = NULL;
    report();
    lines_are("{codigo: \"x\", " CAT ", programa: 1}\n");
}

static void a_path_without_room_is_sent_later(void **state)
{
    static char path[FM_MESSAGE];

    (void)state;
    memset(path, 'x', sizeof(path) - 2);
    executes(current, path);
    report();
    lines_are("{codigo: \"x\", " CAT "}\n");
    executes(current, "/bin/cat");
    fm_ring_in = fm_ring_out + FM_RING - 20;
    report();
    fm_ring_in = fm_ring_out;
    atomic_set(&fm_lost, 0);
    report();
    assert_non_null(strstr(lines(), "programa: 1, fichero: \"/bin/cat\""));
}

static void a_long_path_is_sent_in_parts(void **state)
{
    static char path[FM_PATH];

    (void)state;
    memset(path, '\n', sizeof(path) - 1);
    executes(current, path);
    report();
    assert_non_null(strstr(lines(), "{codigo: \"programa\", tid: 100, programa: 1, fichero: "));
}

/* More processes than rows: an overwritten one is sent again. */
static void processes_that_have_no_row_any_more_are_sent_again(void **state)
{
    pid_t tgid;
    int i;

    (void)state;
    report();
    lines();
    for (tgid = 101; tgid < 101 + 2 * FM_EXECUTABLES; tgid++) {
        current->tgid = tgid;
        report();
        if (tgid % 1000 == 0)
            lines();
    }
    lines();
    for (i = 0; i < FM_EXECUTABLE_TRIES; i++)
        assert_true(fm_executable_row(100)->number > 1);
    current->tgid = 100;
    report();
    assert_non_null(strstr(lines(), "fichero: \"/bin/cat\""));
}

/* ---- Arguments --------------------------------------------------------------------------------
 */

#define NOW "us: 1300000005000000, ns: 5000000000"
#define ARGUMENTS_LINE(number, text)                                                               \
    "{codigo: \"argumentos\", pid: 100, tid: 100, programa: " #number ", fichero: \"" text         \
    "\", " NOW "}\n"
#define HAS_ARGUMENTS(number, text)                                                                \
    lines_are(PATH_LINE(100, number, "/bin/cat") ARGUMENTS_LINE(                                   \
        number, text) "{codigo: \"x\", " CAT ", programa: " #number "}\n")

/* Another program, with these arguments. */
static void executes_with(const char *bytes, size_t size)
{
    fm_facts = 1 << FM_ARGUMENTS;
    current->self_exec_id++;
    current->mm->arg_start = (unsigned long)bytes;
    current->mm->arg_end = (unsigned long)bytes + size;
}
#define EXECUTES_WITH(bytes) executes_with(bytes, sizeof(bytes) - 1)

static void the_arguments_follow_the_path(void **state)
{
    (void)state;
    EXECUTES_WITH("cat\0a  b\0\0\"\n\xff\0");
    report();
    HAS_ARGUMENTS(1, "cat a  b  \\\"\\u000a\xff");
    report();
    lines_are("{codigo: \"x\", " CAT ", programa: 1}\n");
    EXECUTES_WITH("master: running\0\0\0");
    report();
    HAS_ARGUMENTS(2, "master: running");
    EXECUTES_WITH("");
    report();
    HAS_ARGUMENTS(3, "");
    current->mm->arg_start++; /* prctl(2) sets one after the other */
    current->self_exec_id++;
    report();
    HAS_ARGUMENTS(4, "");
}

/* Not those of the task that is current, nor what is not in memory. */
static void arguments_that_cannot_be_read_are_left_to_filemon(void **state)
{
    struct mm_struct other = *current->mm;
    struct task_struct *task = world_process(102, "cat", current);

    (void)state;
    executes_with((char *)WORLD_NO_PAGE - 100, 50);
    report();
    lines_are(PATH_LINE(100, 1, "/bin/cat") "{codigo: \"argumentos\", pid: 100, tid: 100, "
                                            "programa: 1, " NOW "}\n"
                                            "{codigo: \"x\", " CAT ", programa: 1}\n");
    EXECUTES_WITH("cat\0");
    task->mm = &other;
    fm_executable_of(task, false);
    lines_are(PATH_LINE(102, 2, "/bin/cat") "{codigo: \"argumentos\", pid: 102, tid: 102, "
                                            "programa: 2, " NOW "}\n");
}

static void long_arguments_are_cut(void **state)
{
    static char bytes[FM_ARGUMENTS_BYTES + 8];
    const char *line;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes + FM_ARGUMENTS_BYTES - 2, "yz!", 3);
    executes_with(bytes, sizeof(bytes));
    report();
    line = strstr(lines(), "{codigo: \"argumentos\"");
    assert_non_null(line);
    assert_non_null(strstr(line, "xxxyz\", "));
    assert_int_equal(strspn(strchr(line, 'x'), "x"), FM_ARGUMENTS_BYTES - 2);
}

/* A control byte takes six bytes of a line. */
static void long_arguments_are_sent_in_parts(void **state)
{
    static char bytes[FM_ARGUMENTS_BYTES];
    const char *all, *at;
    int n = 0;

    (void)state;
    memset(bytes, '\n', sizeof(bytes));
    executes_with(bytes, sizeof(bytes));
    report();
    all = lines();
    for (at = all; (at = strstr(at, "\\u000a")); at++)
        n++;
    assert_int_equal(n, FM_ARGUMENTS_BYTES);
    assert_non_null(strstr(all, "{codigo: \"parte\", tid: 100, parte: 1, fichero: \"\\u000a"));
}

static void arguments_without_room_are_sent_later(void **state)
{
    (void)state;
    EXECUTES_WITH("cat\0");
    fm_ring_in = fm_ring_out + FM_RING - 100; /* the path has room */
    report();
    assert_true(atomic_read(&fm_lost) > 0);
    fm_ring_in = fm_ring_out;
    atomic_set(&fm_lost, 0);
    report();
    HAS_ARGUMENTS(1, "cat");
}

/* ---- Programs (-t exec) -----------------------------------------------------------------------
 */

static void an_execution_has_the_path_of_the_executable(void **state)
{
    (void)state;
    fm_facts = 0;
    fm_report_program();
    no_lines();
    fm_programs = true;
    fm_report_program();
    lines_are("{codigo: \"exec\", " CAT ", fichero: \"/bin/cat\", " NOW "}\n");
    fm_prefix_add("/srv", 4, true);
    fm_report_program();
    no_lines();
    fm_prefix_add("/bin", 4, true);
    fm_user_add((kuid_t){33});
    fm_report_program();
    no_lines();
}

#ifdef __x86_64__ /* whose numbers of calls the tests have */
static void a_failed_execution_has_the_name_given(void **state)
{
    static const char name[] = "none";

    (void)state;
    fm_facts = 0;
    fm_programs = true;
    world_call(__NR_execve, (unsigned long)name, 0, 0, 0);
    fm_report_failed_program(-ENOENT);
    no_lines();
    fm_failed_calls = true;
    fm_report_failed_program(-ERESTARTNOINTR);
    no_lines();
    fm_report_failed_program(-ENOENT);
    lines_are("{codigo: \"llamada\", " CAT ", fichero: \"/home/u/none\", descriptor: -2, " NOW
              ", llamada: \"execve\"}\n");
    world_call(__NR_execveat, (unsigned long)AT_FDCWD, (unsigned long)name, 0, 0);
    fm_report_failed_program(-ENOENT);
    lines_are("{codigo: \"llamada\", " CAT ", fichero: \"/home/u/none\", descriptor: -2, " NOW
              ", llamada: \"execveat\"}\n");
    world_call(__NR_execve, 1, 0, 0, 0); /* not in memory */
    fm_report_failed_program(-EACCES);
    lines_are("{codigo: \"llamada\", " CAT ", fichero: \"\", descriptor: -13, " NOW
              ", cortado: 1, llamada: \"execve\"}\n");
}
#endif

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_execution_has_the_path_of_the_executable),
#ifdef __x86_64__
        test(a_failed_execution_has_the_name_given),
#endif
        test(the_path_is_sent_once_before_the_first_line),
        test(threads_share_it_and_children_do_not),
        test(another_program_has_another_number),
        test(in_exec_it_is_the_old_one),
        test(at_its_exit_a_process_still_has_its_number),
        test(what_is_left_open_after_exec_belongs_to_the_new_program),
        test(a_path_without_room_is_sent_later),
        test(a_long_path_is_sent_in_parts),
        test(processes_that_have_no_row_any_more_are_sent_again),
        test(the_arguments_follow_the_path),
        test(arguments_that_cannot_be_read_are_left_to_filemon),
        test(long_arguments_are_cut),
        test(long_arguments_are_sent_in_parts),
        test(arguments_without_room_are_sent_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
