/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/procfs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "proctree.h"

static void test_no_such_root(void **state)
{
    (void)state;
    struct procfs procfs;

    assert_int_equal(procfs_open(&procfs, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(procfs_open(&procfs, "/etc/passwd"), -ENOTDIR);
}

/* -- procfs_each ------------------------------------------------------- */

struct visit {
    const struct proctree *tree;
    pid_t seen[8];
    size_t n;
    pid_t stop_at, remove_at;
};

static int note(void *ctx, pid_t pid)
{
    struct visit *visit = ctx;

    assert_true(visit->n < sizeof visit->seen / sizeof visit->seen[0]);
    visit->seen[visit->n++] = pid;
    if (pid == visit->remove_at)
        proctree_remove(visit->tree, "20");
    return pid == visit->stop_at ? 77 : 0;
}

static void make_directory(const struct proctree *tree, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void test_each_process_by_rising_pid(void **state)
{
    const struct proctree *tree = *state;
    static const char *const names[] = {"100", "9", "20",      "self",        "1x", "sys",
                                        "-3",  "0", "4194304", "99999999999", "+5", " 6"};
    static const pid_t expected[] = {9, 20, 100, 4194304};
    struct visit visit = {.tree = tree};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        make_directory(tree, names[i]);
    for (int again = 0; again < 2; again++) {
        visit.n = 0;
        assert_int_equal(procfs_each(&tree->procfs, note, &visit), 0);
        assert_int_equal(visit.n, 4);
        assert_memory_equal(visit.seen, expected, sizeof expected);
    }
}

static void test_each_stops_at_a_result(void **state)
{
    const struct proctree *tree = *state;
    struct visit visit = {.tree = tree, .stop_at = 20};

    make_directory(tree, "10");
    make_directory(tree, "20");
    make_directory(tree, "30");
    assert_int_equal(procfs_each(&tree->procfs, note, &visit), 77);
    assert_int_equal(visit.n, 2);
}

/* -- procfs_stat ------------------------------------------------------- */

static void test_stat(void **state)
{
    const struct proctree *tree = *state;
    struct procfs_stat stat;

    proctree_add(tree, (struct made){.pid = 10, .ppid = 4, .comm = "smtpd"});
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), 0);
    assert_string_equal(stat.comm, "smtpd");
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 4);
    assert_false(stat.kernel_thread);
    assert_int_equal(stat.start, 1010);
}

static void test_stat_of_zombies_and_kernel_threads(void **state)
{
    const struct proctree *tree = *state;
    struct procfs_stat stat;

    proctree_add(tree, (struct made){.pid = 10, .comm = "gone", .state = 'Z'});
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), 0);
    assert_int_equal(stat.state, 'Z');
    proctree_add(tree, (struct made){.pid = 11, .comm = "kworker/0:1-ev", .flags = 0x4208060});
    assert_int_equal(procfs_stat(&tree->procfs, 11, &stat), 0);
    assert_true(stat.kernel_thread);
}

static void test_stat_with_hostile_comms(void **state)
{
    const struct proctree *tree = *state;
    static const char *const comms[] = {"a) b", ") S 1 2 3", "(",     ")",        "((",       "))",
                                        "",     " ",         "a\nb ", "\xff\x80", "1) Z 1 (x"};
    struct procfs_stat stat;

    for (size_t i = 0; i < sizeof comms / sizeof comms[0]; i++) {
        proctree_add(tree, (struct made){.pid = 10, .ppid = 7, .comm = comms[i]});
        assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), 0);
        assert_string_equal(stat.comm, comms[i]);
        assert_int_equal(stat.state, 'S');
        assert_int_equal(stat.ppid, 7);
        assert_int_equal(stat.start, 1010);
    }
}

static void test_a_long_comm_is_cut(void **state)
{
    const struct proctree *tree = *state;
    char comm[201] = "", expected[64] = "";
    struct procfs_stat stat;

    memset(comm, 'k', sizeof comm - 1);
    memset(expected, 'k', sizeof expected - 1);
    proctree_add(tree, (struct made){.pid = 10, .comm = comm});
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), 0);
    assert_string_equal(stat.comm, expected);
}

static void test_malformed_stat(void **state)
{
    const struct proctree *tree = *state;
    static const char *const texts[] = {
        "",
        "\n",
        "(",
        ")",
        ")(",
        "10 (a)",
        "10 (a) ",
        "10 (a) S",
        "10 (a)S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 (a S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 a) S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        ") S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5 (",
        "10 )a( S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 (a) S -1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 (a) S 9999999999 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 (a) S 1 1 1 0 -1 x 0 0 0 0 1 2 3 4 20 0 1 0 5",
        "10 (a) S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 -5",
        "10 (a) S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0",
        "10 (a) SS 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5",
    };
    struct procfs_stat stat;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        proctree_write(tree, 10, "stat", texts[i], strlen(texts[i]));
        assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), -EBADMSG);
    }
}

static void test_stat_with_a_nul_in_it(void **state)
{
    const struct proctree *tree = *state;
    static const char text[] = "10 (a\0b) S 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5\n";
    static const char torn[] = "10 (a) S 1 1 1 0 -1 0 0\0 0 0 0 1 2 3 4 20 0 1 0 5\n";
    struct procfs_stat stat;

    proctree_write(tree, 10, "stat", text, sizeof text - 1);
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), 0);
    assert_string_equal(stat.comm, "a");
    proctree_write(tree, 10, "stat", torn, sizeof torn - 1);
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), -EBADMSG);
}

/* -- procfs_exe -------------------------------------------------------- */

static void assert_exe(const struct proctree *tree, const char *target, const char *expected)
{
    char *path;

    proctree_add(tree, (struct made){.pid = 10, .comm = "x", .exe = target});
    assert_int_equal(procfs_exe(&tree->procfs, 10, &path), 0);
    assert_string_equal(path, expected);
    free(path);
    proctree_remove(tree, "10");
}

static void test_leader_of_a_thread(void **state)
{
    const struct proctree *tree = *state;
    static const struct {
        const char *text;
        pid_t leader;
    } cases[] = {
        {"Name:\ta\\nTgid:\t7\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t10\nNgid:\t0\n", 10},
        {"Name:\tworker\nTgid:\t7\nNgid:\t0\nPid:\t10\n", 7},
        {"Name:\tworker\nTgid:\t", 10},
        {"Name:\tworker\n", 10},
        {"", 10},
    };

    assert_int_equal(procfs_leader(&tree->procfs, 10), 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        proctree_write(tree, 10, "status", cases[i].text, strlen(cases[i].text));
        assert_int_equal(procfs_leader(&tree->procfs, 10), cases[i].leader);
    }
}

static void test_exe(void **state)
{
    const struct proctree *tree = *state;

    assert_exe(tree, "/usr/sbin/nginx", "/usr/sbin/nginx");
    assert_exe(tree, "/usr/sbin/nginx (deleted)", "/usr/sbin/nginx");
    assert_exe(tree, "/a (deleted) (deleted)", "/a (deleted)");
    assert_exe(tree, "/a (deleted)/b", "/a (deleted)/b");
    assert_exe(tree, "/a(deleted)", "/a(deleted)");
    assert_exe(tree, " (deleted)", " (deleted)");
    assert_exe(tree, "/with\nnewline\xff", "/with\nnewline\xff");
}

static void test_the_longest_exe(void **state)
{
    const struct proctree *tree = *state;
    char target[4096] = "/";

    memset(target + 1, 'x', sizeof target - 2);
    assert_exe(tree, target, target);
}

static void test_no_exe(void **state)
{
    const struct proctree *tree = *state;
    char *path;

    proctree_add(tree, (struct made){.pid = 10, .comm = "kthreadd"});
    assert_int_equal(procfs_exe(&tree->procfs, 10, &path), -ESRCH);
}

/* -- procfs_cmdline ---------------------------------------------------- */

static void assert_cmdline(const struct proctree *tree, const char *data, size_t size,
                           const char *const *expected)
{
    char **args;
    size_t n = 0;

    proctree_write(tree, 10, "cmdline", data, size);
    assert_int_equal(procfs_cmdline(&tree->procfs, 10, &args), 0);
    for (; expected[n] != NULL; n++) {
        assert_non_null(args[n]);
        assert_string_equal(args[n], expected[n]);
    }
    assert_null(args[n]);
    free(args);
}

#define ASSERT_CMDLINE(tree, data, ...)                                                            \
    assert_cmdline(tree, data, sizeof data - 1, (const char *const[]){__VA_ARGS__})

static void test_cmdline(void **state)
{
    const struct proctree *tree = *state;

    ASSERT_CMDLINE(tree, "ls\0-l\0", "ls", "-l", NULL);
    ASSERT_CMDLINE(tree, "sh\0\0\0x\0", "sh", "", "", "x", NULL);
    ASSERT_CMDLINE(tree, "\0", "", NULL);
    ASSERT_CMDLINE(tree, "", NULL);
    ASSERT_CMDLINE(tree, "nginx: master process", "nginx: master process", NULL);
    ASSERT_CMDLINE(tree, "a\0b", "a", "b", NULL);
}

/* Sizes around every doubling of the buffer. */
static void test_cmdlines_of_many_sizes(void **state)
{
    const struct proctree *tree = *state;
    static char data[2 * 1024 * 1024 + 2];

    memset(data, 'x', sizeof data);
    for (size_t size = 4096; size <= 2 * 1024 * 1024; size *= 2) {
        for (size_t around = size - 2; around <= size + 1; around++) {
            data[around - 1] = '\0';
            assert_cmdline(tree, data, around, (const char *const[]){data, NULL});
            data[around - 1] = 'x';
        }
    }
}

static void test_too_long_cmdline_is_cut(void **state)
{
    const struct proctree *tree = *state;
    size_t size = PROCFS_FILE_MAX + 10;
    char *data = malloc(size), **args;

    memset(data, 'x', size);
    proctree_write(tree, 10, "cmdline", data, size);
    assert_int_equal(procfs_cmdline(&tree->procfs, 10, &args), 0);
    assert_int_equal(strlen(args[0]), PROCFS_FILE_MAX);
    assert_null(args[1]);
    free(args);
    free(data);
}

/* -- procfs_unit ------------------------------------------------------- */

static void assert_unit(const struct proctree *tree, const char *cgroup, const char *expected)
{
    char *unit = NULL;

    proctree_write(tree, 10, "cgroup", cgroup, strlen(cgroup));
    assert_int_equal(procfs_unit(&tree->procfs, 10, &unit), expected == NULL ? -ENOENT : 0);
    if (expected != NULL)
        assert_string_equal(unit, expected);
    free(unit);
}

static void test_unit_of_cgroup_v2(void **state)
{
    const struct proctree *tree = *state;

    assert_unit(tree, "0::/system.slice/nginx.service\n", "nginx.service");
    assert_unit(tree, "0::/system.slice/nginx.service", "nginx.service");
    assert_unit(tree, "0::/system.slice/system-postfix.slice/postfix@-.service\n",
                "postfix@-.service");
    assert_unit(tree, "0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope");
    assert_unit(tree, "0::/../../system.slice/a.service/\n", "a.service");
    assert_unit(tree, "0::/a:b.service\n", "a:b.service");
}

static void test_unit_of_cgroup_v1(void **state)
{
    const struct proctree *tree = *state;

    assert_unit(tree,
                "12:cpu,cpuacct:/wrong.service\n"
                "3:name=other:/wrong.service\n"
                "1:name=systemd:/system.slice/cron.service\n",
                "cron.service");
    assert_unit(tree, "1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service");
    assert_unit(tree, "1:name=systemd:/a.service\n0::/b.service\n", "a.service");
    assert_unit(tree, "1:name=systemd:/\n0::/system.slice/cron.service\n", "cron.service");
}

static void test_the_innermost_unit(void **state)
{
    const struct proctree *tree = *state;

    assert_unit(tree, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n",
                "foo.service");
    assert_unit(tree, "0::/user.slice/user@1000.service/init.scope\n", "init.scope");
    assert_unit(tree, "0::/system.slice/docker.service/payload/worker\n", "docker.service");
}

static void test_in_no_unit(void **state)
{
    const struct proctree *tree = *state;
    static const char *const texts[] = {
        "",
        "\n",
        ":",
        "::",
        "0::",
        "0::/\n",
        "0::/system.slice\n",
        "0::/x.services\n",
        "garbage",
        "0:",
        "1:name=systemd",
        "0::/.service\n",
        "4:cpu:/a.service\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_unit(tree, texts[i], NULL);
}

/* -- processes that vanish --------------------------------------------- */

static void assert_vanished(const struct procfs *procfs, pid_t pid)
{
    struct procfs_stat stat;
    char *text, **args;

    assert_int_equal(procfs_stat(procfs, pid, &stat), -ESRCH);
    assert_int_equal(procfs_exe(procfs, pid, &text), -ESRCH);
    assert_int_equal(procfs_cmdline(procfs, pid, &args), -ESRCH);
    assert_int_equal(procfs_unit(procfs, pid, &text), -ESRCH);
}

static void test_vanished(void **state)
{
    const struct proctree *tree = *state;

    assert_vanished(&tree->procfs, 10);
    make_directory(tree, "10"); /* empty, as of a process that is exiting */
    assert_vanished(&tree->procfs, 10);
}

static void test_one_vanishes_while_others_are_visited(void **state)
{
    const struct proctree *tree = *state;
    struct visit visit = {.tree = tree, .remove_at = 10};

    for (pid_t pid = 10; pid <= 30; pid += 10)
        proctree_add(tree, (struct made){.pid = pid, .comm = "x"});
    assert_int_equal(procfs_each(&tree->procfs, note, &visit), 0);
    assert_int_equal(visit.n, 3);
    assert_vanished(&tree->procfs, 20);
}

static void test_unreadable_entries(void **state)
{
    const struct proctree *tree = *state;
    struct procfs_stat stat;
    char *path;

    make_directory(tree, "10");
    make_directory(tree, "10/stat");
    make_directory(tree, "10/exe");
    assert_int_equal(procfs_stat(&tree->procfs, 10, &stat), -EISDIR);
    assert_int_equal(procfs_exe(&tree->procfs, 10, &path), -EINVAL);
}

/* -- bytes of any kind ------------------------------------------------- */

static int lowest_free_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

/* The same random bytes in every run; sanitizers detect overruns. */
static void test_garbage_is_survived(void **state)
{
    const struct proctree *tree = *state;
    static const char alphabet[] = "() \n:/0123456789-SZname=systemd.servicescope@\0\xff";
    int lowest = lowest_free_descriptor();
    uint32_t random = 2011;

    for (int round = 0; round < 2000; round++) {
        char text[97], *unit, **args;
        struct procfs_stat stat;
        size_t size = (random >> 8) % sizeof text;
        for (size_t i = 0; i < size; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = alphabet[(random >> 16) % sizeof alphabet];
        }
        proctree_write(tree, 10, "stat", text, size);
        proctree_write(tree, 10, "cgroup", text, size);
        proctree_write(tree, 10, "cmdline", text, size);
        procfs_stat(&tree->procfs, 10, &stat);
        if (procfs_unit(&tree->procfs, 10, &unit) == 0)
            free(unit);
        assert_int_equal(procfs_cmdline(&tree->procfs, 10, &args), 0);
        free(args);
    }
    assert_int_equal(lowest_free_descriptor(), lowest);
}

/* -- the real one ------------------------------------------------------ */

static void check_stat_of_self(const struct procfs *procfs)
{
    struct procfs_stat stat;
    char before[17] = "";

    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, "a) b\n(c");
    assert_int_equal(procfs_stat(procfs, getpid(), &stat), 0);
    prctl(PR_SET_NAME, before);
    assert_string_equal(stat.comm, "a) b\n(c");
    assert_int_equal(stat.ppid, getppid());
    assert_int_equal(stat.state, 'R');
    assert_false(stat.kernel_thread);
    assert_true(stat.start > 0);
}

/* qemu-user answers for the paths in /proc/self that it is given whole. */
static void read_own(const char *name, bool link, char text[static 4097])
{
    int proc = open("/proc", O_PATH | O_DIRECTORY), fd = link ? -1 : openat(proc, name, O_RDONLY);
    ssize_t n = link ? readlinkat(proc, name, text, 4096) : read(fd, text, 4096);

    assert_true(n > 0);
    text[n] = '\0';
    close(fd);
    close(proc);
}

static void check_exe_and_cmdline_of_self(const struct procfs *procfs)
{
    char *path, expected[4097], **args;

    read_own("self/exe", true, expected);
    assert_int_equal(procfs_exe(procfs, getpid(), &path), 0);
    assert_string_equal(path, expected);
    free(path);
    read_own("self/cmdline", false, expected);
    assert_int_equal(procfs_cmdline(procfs, getpid(), &args), 0);
    assert_string_equal(args[0], expected);
    free(args);
}

static int find_self(void *ctx, pid_t pid)
{
    (void)ctx;
    return pid == getpid();
}

static void test_the_real_proc(void **state)
{
    (void)state;
    struct procfs procfs;

    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_int_equal(procfs_each(&procfs, find_self, NULL), 1);
    check_stat_of_self(&procfs);
    check_exe_and_cmdline_of_self(&procfs);
    procfs_close(&procfs);
}

static void test_a_real_zombie(void **state)
{
    (void)state;
    struct procfs procfs;
    struct procfs_stat stat;
    siginfo_t info;
    char *path, **args;
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_int_equal(procfs_stat(&procfs, child, &stat), 0);
    assert_int_equal(stat.state, 'Z');
    assert_int_equal(procfs_exe(&procfs, child, &path), -ESRCH);
    assert_int_equal(procfs_cmdline(&procfs, child, &args), 0);
    assert_null(args[0]);
    free(args);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_vanished(&procfs, child);
    procfs_close(&procfs);
}

static void *live_on(void *ctx)
{
    int end = *(int *)ctx;

    while (write(end, "", 1) == 1)
        pause();
    return NULL;
}

/* The main thread exits before another thread. */
static void end_main_thread(int end)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, live_on, &end) == 0)
        pthread_exit(NULL);
    _exit(1);
}

static void wait_for_other_thread(const struct procfs *procfs, pid_t pid)
{
    struct procfs_stat stat;

    do
        assert_int_equal(procfs_stat(procfs, pid, &stat), 0);
    while (stat.thread == pid);
}

static void test_a_real_process_without_its_main_thread(void **state)
{
    struct procfs procfs;
    struct procfs_stat stat;
    int ends[2];
    char *exe, **args, byte;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        end_main_thread(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    wait_for_other_thread(&procfs, pid);
    assert_int_equal(procfs_stat(&procfs, pid, &stat), 0);
    assert_int_not_equal(stat.state, 'Z');
    assert_int_not_equal(stat.thread, pid);
    assert_int_equal(procfs_exe(&procfs, pid, &exe), -ESRCH);
    assert_int_equal(procfs_exe(&procfs, stat.thread, &exe), 0);
    assert_int_equal(procfs_cmdline(&procfs, stat.thread, &args), 0);
    assert_non_null(args[0]);
    free(exe);
    free(args);
    struct procfs_pin pin = procfs_pin(&procfs, pid, &stat);
    assert_false(procfs_has_exited(&procfs, &pin));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(procfs_has_exited(&procfs, &pin));
    procfs_unpin(&pin);
    procfs_close(&procfs);
}

static void test_pin_of_a_real_process(void **state)
{
    struct procfs procfs;
    struct procfs_stat stat;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_true(procfs_is_own(&procfs));
    assert_int_equal(procfs_stat(&procfs, pid, &stat), 0);
    struct procfs_pin pin = procfs_pin(&procfs, pid, &stat), by_start = pin;
    by_start.fd = -1; /* as before Linux 5.3 */
    assert_false(procfs_has_exited(&procfs, &pin));
    assert_false(procfs_has_exited(&procfs, &by_start));
    by_start.start--;
    assert_true(procfs_has_exited(&procfs, &by_start));
    by_start.start++;
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    assert_true(procfs_has_exited(&procfs, &pin));
    assert_true(procfs_has_exited(&procfs, &by_start));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(procfs_has_exited(&procfs, &pin));
    assert_true(procfs_has_exited(&procfs, &by_start));
    procfs_unpin(&pin);
    procfs_close(&procfs);
}

/* -p $(pidof PROGRAM) can name more processes than there may be descriptors. */
/* Between procfs_stat() and procfs_pin() the pid went to a process that began later. */
static void test_pin_after_the_pid_was_reused(void **state)
{
    struct procfs procfs;
    struct procfs_stat stat;

    (void)state;
    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_int_equal(procfs_stat(&procfs, getpid(), &stat), 0);
    stat.start--;
    struct procfs_pin pin = procfs_pin(&procfs, getpid(), &stat);
    assert_true(procfs_has_exited(&procfs, &pin));
    procfs_unpin(&pin);
    procfs_close(&procfs);
}

static void test_pins_leave_descriptors_free(void **state)
{
    struct procfs procfs = {.fd = -1}; /* gcc -O3 -flto */
    struct procfs_stat stat;
    struct procfs_pin pins[64];
    struct rlimit kept, few;
    bool all_run = true;
    int free_fd;

    (void)state;
    assert_int_equal(procfs_open(&procfs, "/proc"), 0);
    assert_int_equal(procfs_stat(&procfs, getpid(), &stat), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
    few = (struct rlimit){.rlim_cur = 64, .rlim_max = kept.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (size_t i = 0; i < 64; i++)
        pins[i] = procfs_pin(&procfs, getpid(), &stat);
    free_fd = dup(procfs.fd);
    for (size_t i = 0; i < 64; i++)
        all_run &= !procfs_has_exited(&procfs, &pins[i]);
    for (size_t i = 0; i < 64; i++)
        procfs_unpin(&pins[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
    assert_true(all_run);
    assert_true(free_fd >= 0 && free_fd <= 32);
    close(free_fd);
    procfs_close(&procfs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, proctree_setup, proctree_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_such_root),
        TEST(test_each_process_by_rising_pid),
        TEST(test_each_stops_at_a_result),
        TEST(test_leader_of_a_thread),
        TEST(test_stat),
        TEST(test_stat_of_zombies_and_kernel_threads),
        TEST(test_stat_with_hostile_comms),
        TEST(test_a_long_comm_is_cut),
        TEST(test_malformed_stat),
        TEST(test_stat_with_a_nul_in_it),
        TEST(test_exe),
        TEST(test_the_longest_exe),
        TEST(test_no_exe),
        TEST(test_cmdline),
        TEST(test_cmdlines_of_many_sizes),
        TEST(test_too_long_cmdline_is_cut),
        TEST(test_unit_of_cgroup_v2),
        TEST(test_unit_of_cgroup_v1),
        TEST(test_the_innermost_unit),
        TEST(test_in_no_unit),
        TEST(test_vanished),
        TEST(test_one_vanishes_while_others_are_visited),
        TEST(test_unreadable_entries),
        TEST(test_garbage_is_survived),
        cmocka_unit_test(test_the_real_proc),
        cmocka_unit_test(test_a_real_zombie),
        cmocka_unit_test(test_a_real_process_without_its_main_thread),
        cmocka_unit_test(test_pin_of_a_real_process),
        cmocka_unit_test(test_pin_after_the_pid_was_reused),
        cmocka_unit_test(test_pins_leave_descriptors_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
