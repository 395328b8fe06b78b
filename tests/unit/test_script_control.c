/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#include "event/fact.h"

/* Sends the argument in pieces of 3 bytes, and then the command. */
static void command(const char *letter, const char *argument)
{
    char piece[5];

    for (; *argument; argument += strnlen(argument, 3)) {
        snprintf(piece, sizeof(piece), "+%.3s", argument);
        fm_control(piece);
    }
    fm_control(letter);
}

static void paths_are_included_or_excluded(void **state)
{
    (void)state;
    command("I", "/etc");
    command("E", "/etc/ssl");
    assert_true(fm_wanted("/etc/hosts", 10));
    assert_false(fm_wanted("/etc/ssl/x", 10));
    assert_false(fm_wanted("/usr", 4));
}

static void names_are_matched_at_exec(void **state)
{
    (void)state;
    command("N", "nginx");
    assert_true(fm_is_name("nginx", 5));
}

static void the_depth_sets_the_mark_of_targets(void **state)
{
    static const char *const refused[] = {
        "", "-1", "254", "255", "x", "1x", "99999999999999999999"};
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(refused); i++) {
        command("D", refused[i]);
        assert_int_equal(fm_depth, FM_EVERY);
    }
    command("D", "0");
    assert_int_equal(fm_depth, 1);
    command("D", "253");
    assert_int_equal(fm_depth, 254);
}

static void switches_are_set(void **state)
{
    (void)state;
    command("A", "");
    assert_true(fm_all);
    assert_false(fm_initial);
    command("T", "");
    assert_true(fm_initial);
    assert_false(fm_writes);
    command("W", "");
    assert_true(fm_writes);
    assert_false(fm_no_opens);
    command("Q", "");
    assert_true(fm_no_opens);
}

/* filemon sends its own set of facts. */
static void facts_are_set(void **state)
{
    (void)state;
    assert_int_equal(FM_USER, FACT_USER);
    assert_int_equal(FM_MOUNTS, FACT_MOUNTS);
    assert_int_equal(FM_GROUP, FACT_GROUP);
    assert_int_equal(FM_FILE, FACT_FILE);
    assert_int_equal(FM_EXECUTABLE, FACT_EXECUTABLE);
    assert_int_equal(FM_ARGUMENTS, FACT_ARGUMENTS);
    assert_int_equal(FM_ARGUMENTS_BYTES, ARGUMENTS_BYTES);
    assert_int_equal(FM_GIVEN, FACT_GIVEN);
    command("K", "1");
    assert_int_equal(fm_facts, FACT(USER));
    command("K", "x");
    assert_int_equal(fm_facts, FACT(USER));
}

/* The number is one of the writer's namespace. */
static void users_are_added_up_to_a_limit(void **state)
{
    size_t i;

    (void)state;
    current->user_ns.ahead = 1000;
    command("U", "33");
    assert_int_equal(fm_n_users, 1);
    assert_int_equal(fm_users[0].val, 1033);
    command("U", "4294967294");
    assert_int_equal(fm_users[1].val, (uid_t)4294967294 + 1000);
    command("U", "x");
    assert_int_equal(fm_n_users, 2);
    for (i = 0; i < FM_USERS; i++)
        command("U", "1");
    assert_int_equal(fm_n_users, FM_USERS);
}

static void groups_are_added_up_to_a_limit(void **state)
{
    size_t i;

    (void)state;
    command("C", "18446744073709551615");
    assert_int_equal(fm_n_groups, 1);
    assert_true(fm_groups[0] == ~0ULL);
    command("C", "-1");
    assert_int_equal(fm_n_groups, 1);
    for (i = 0; i < FM_GROUPS; i++)
        command("C", "1");
    assert_int_equal(fm_n_groups, FM_GROUPS);
}

static void go_stores_the_writer_and_its_namespaces(void **state)
{
    struct pid_namespace inner = {.ahead = 50};
    struct task_struct *filemon = world_process(300, "filemon", NULL);

    (void)state;
    fm_on = false;
    current = world_thread(301, filemon);
    current->pid_ns = &inner;
    kernel_timens = (struct timespec64){.tv_sec = 3, .tv_nsec = 7};
    command("G", "");
    assert_true(fm_on);
    assert_int_equal(fm_self[0], 300);
    assert_ptr_equal(fm_owner, &filemon->thread_pid);
    assert_int_equal(fm_owner->references, 1);
    assert_ptr_equal(fm_ns, &inner);
    assert_int_equal(fm_clock_ahead, 3000000007);
    lines_are(STATUS_LINE("mirando"));
}

static void a_process_is_watched_with_its_descendants(void **state)
{
    struct task_struct *target = world_process(200, "target", NULL);
    struct task_struct *child = world_process(201, "child", target);

    (void)state;
    command("P", "199");
    command("P", "x");
    command("P", "");
    assert_int_equal(fm_mark_of(target), 0);
    command("P", "200");
    assert_int_equal(fm_mark_of(target), FM_EVERY);
    assert_int_equal(fm_mark_of(child), FM_EVERY);
}

static void initially_open_descriptors_are_reported_in_steps(void **state)
{
    (void)state;
    command("T", "");
    fm_ring_in = FM_RING / 2;
    world_install(current->files, 5, world_file("/x", 0));
    command("H", "");
    fm_ring_out = FM_RING / 2;
    lines_are(STATUS_LINE("sigue"));
    command("H", "");
    assert_non_null(strstr(lines(), "codigo: \"held\""));
    assert_false(fm_initial);
}

static void a_mark_is_answered(void **state)
{
    (void)state;
    command("M", "");
    lines_are(STATUS_LINE("marca"));
}

static void fin_is_sent_when_no_process_is_left(void **state)
{
    (void)state;
    command("F", "");
    no_lines();
    fm_unmark(100);
    command("F", "");
    lines_are(STATUS_LINE("fin"));
}

static void a_stop_reports_losses_and_then_fin(void **state)
{
    (void)state;
    atomic_set(&fm_lost, 3);
    command("S", "");
    lines_are("{codigo: \"lost\", perdidos: 3, us: 1300000005000000, ns: 5000000000}\n" STATUS_LINE(
        "fin"));
    assert_false(fm_watched());
}

static void an_unknown_command_only_ends_the_argument(void **state)
{
    (void)state;
    command("?", "abc");
    command("", "abc");
    assert_int_equal(fm_argument_len, 0);
    command("N", "x");
    assert_true(fm_is_name("x", 1));
    no_lines();
}

/* Bytes after the letter of a command are ignored. */
static void an_argument_comes_before_its_command(void **state)
{
    (void)state;
    command("Nginx", "apache");
    assert_true(fm_is_name("apache", 6));
    assert_false(fm_is_name("ginx", 4));
}

static void an_argument_is_cut_to_the_longest_path(void **state)
{
    static char piece[512];
    int i;

    (void)state;
    memset(piece, 'x', sizeof(piece) - 1);
    piece[0] = '+';
    for (i = 0; i < 10; i++)
        fm_control(piece);
    assert_int_equal(fm_argument_len, FM_PATH - 1);
    fm_control("I");
    assert_int_equal(fm_argument_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(paths_are_included_or_excluded),
        script_test(names_are_matched_at_exec),
        script_test(the_depth_sets_the_mark_of_targets),
        script_test(switches_are_set),
        script_test(facts_are_set),
        script_test(users_are_added_up_to_a_limit),
        script_test(groups_are_added_up_to_a_limit),
        script_test(go_stores_the_writer_and_its_namespaces),
        script_test(a_process_is_watched_with_its_descendants),
        script_test(initially_open_descriptors_are_reported_in_steps),
        script_test(a_mark_is_answered),
        script_test(fin_is_sent_when_no_process_is_left),
        script_test(a_stop_reports_losses_and_then_fin),
        script_test(an_unknown_command_only_ends_the_argument),
        script_test(an_argument_comes_before_its_command),
        script_test(an_argument_is_cut_to_the_longest_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
