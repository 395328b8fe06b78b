/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker threads open, copy, close and exit.  Meanwhile one thread scans for initially open
 * descriptors, one adds targets and prefixes, and one reads the lines.  A model of filemon's ledger
 * then checks that the lines are consistent.  ThreadSanitizer, where the compiler has it, checks
 * that the script's C orders its accesses.
 */
#include "kernel/script.h"

#include "random.h"

#define GROUPS 3
#define MEMBERS 2 /* threads of a process */
#define ROUNDS 4  /* lives of a process */
#define STEPS 100 /* system calls of a thread in each */
#define SESSIONS 2
#define FDS 24

/* CPU 0 is that of the reader, and the workers have the CPUs from 1 on. */
enum { SCANNER = nr_cpu_ids - 2, CONTROLLER };

/* A process whose threads work, and all exit at about the same time; then it starts again. */
struct group {
    struct task_struct *tasks[MEMBERS];
    struct files_struct *files;
    bool busy[FDS]; /* one thread at a time uses a descriptor */
    pthread_barrier_t barrier;
    u64 seed;
};

static struct group groups[GROUPS];
static struct file *file;

/* Held for reading where the kernel would hold rcu_read_lock(); start_again() holds it for writing,
 * as a grace period. */
static pthread_rwlock_t rcu;
static int running; /* threads that work */

/* cmocka's assertions are for the main thread. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- What the threads do --------------------------------------------------------------------- */

static __thread u64 own_random;

static unsigned int pick(unsigned int below)
{
    own_random = own_random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned int)(own_random >> 33) % below;
}

static bool claim(struct group *group, unsigned int fd)
{
    return !__atomic_exchange_n(&group->busy[fd], true, __ATOMIC_ACQUIRE);
}

static void release(struct group *group, unsigned int fd)
{
    __atomic_store_n(&group->busy[fd], false, __ATOMIC_RELEASE);
}

static bool is_open(const struct group *group, unsigned int fd)
{
    return __atomic_load_n(&group->files->files[fd], __ATOMIC_ACQUIRE) != NULL;
}

static void open_or_close(struct group *group, unsigned int fd)
{
    if (is_open(group, fd)) {
        fm_closing(fd);
        world_install(group->files, fd, NULL);
    } else {
        world_call(__NR_openat, (unsigned long)AT_FDCWD, (unsigned long)"x", O_RDWR, 0);
        fm_installing(fd, file);
        world_install(group->files, fd, file);
    }
}

static void copy(struct group *group, unsigned int from, unsigned int to, bool replaces)
{
    if (!is_open(group, from) || is_open(group, to) != replaces)
        return;
    if (replaces)
        fm_replacing(to);
    world_call(__NR_dup3, from, to, 0, 0);
    fm_installing(to, file); /* as fd_install() and do_dup2() do for the probes */
    world_install(group->files, to, file);
    fm_copied(from, to, replaces);
}

static void step(struct group *group)
{
    unsigned int fd = pick(FDS), other = pick(FDS);

    if (!claim(group, fd))
        return;
    if (pick(3) > 0)
        open_or_close(group, fd);
    else if (fd != other && claim(group, other)) {
        copy(group, fd, other, pick(2));
        release(group, other);
    }
    release(group, fd);
}

static void exits(void)
{
    __atomic_fetch_or(&current->flags, PF_EXITING, __ATOMIC_RELEASE);
    atomic_dec(&current->signal->live);
    pthread_rwlock_rdlock(&rcu);
    fm_exited();
    pthread_rwlock_unlock(&rcu);
    task_lock(current);
    atomic_dec(&current->files->count);
    WRITE_ONCE(current->files, NULL);
    task_unlock(current);
}

/* A new process with the address of the same table, and with some inherited descriptors. */
static void start_again(struct group *group)
{
    unsigned int fd;

    pthread_rwlock_wrlock(&rcu);
    for (fd = 0; fd < FDS; fd++)
        world_install(group->files, fd, fd < 4 ? file : NULL);
    for (int i = 0; i < MEMBERS; i++) {
        group->tasks[i]->flags = 0;
        group->tasks[i]->start_time = ktime_get_ns() + 1; /* after the scan began */
        world_share(group->tasks[i], group->files);
    }
    atomic_set(&group->tasks[0]->own_signal.live, MEMBERS);
    pthread_rwlock_unlock(&rcu);
    fm_mark(group->tasks[0], FM_EVERY);
    fm_table_is_new(group->files);
}

static void begin(struct task_struct *task, int cpu)
{
    current = task;
    kernel_cpu = cpu;
    must(fm_buffers_make());
}

static void *works(void *arg)
{
    struct task_struct *task = arg;
    struct group *group = &groups[(task->tgid - 200) / 10];

    begin(task, task->pid % 10 * GROUPS + task->pid % 100 / 10 + 1);
    own_random = group->seed + (u64)task->pid;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STEPS; i++) {
            pthread_rwlock_rdlock(&rcu);
            must(fm_watched());
            step(group);
            pthread_rwlock_unlock(&rcu);
        }
        exits();
        if (pthread_barrier_wait(&group->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            must(fm_find_table(group->files) == NULL);
            if (round + 1 < ROUNDS)
                start_again(group);
        }
        pthread_barrier_wait(&group->barrier);
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    fm_buffers_free();
    return NULL;
}

static bool work_goes_on(void)
{
    return __atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0;
}

/* ---- The other threads ----------------------------------------------------------------------- */

/* filemon's command H. */
static void *scans(void *arg)
{
    begin(arg, SCANNER);
    while (READ_ONCE(fm_initial)) {
        pthread_rwlock_rdlock(&rcu);
        fm_scan_next();
        pthread_rwlock_unlock(&rcu);
    }
    fm_buffers_free();
    return NULL;
}

static void *controls(void *arg)
{
    char text[32];

    begin(arg, CONTROLLER);
    for (int i = 0; i == 0 || work_goes_on(); i++) {
        snprintf(text, sizeof(text), "/other/%d", i % 100);
        fm_prefix_add(text, (u32)strlen(text), i % 2);
        if (i < 100)
            fm_name_add(text, (u32)strlen(text));
        pthread_rwlock_rdlock(&rcu);
        fm_watch(200 + 10 * (i % GROUPS));
        fm_mark_descendants();
        fm_is_name("x", 1);
        pthread_rwlock_unlock(&rcu);
        sched_yield();
    }
    fm_buffers_free();
    return NULL;
}

static void *reads(void *arg)
{
    begin(arg, 0);
    while (work_goes_on()) {
        fm_pump();
        sched_yield();
    }
    fm_buffers_free();
    return NULL;
}

/* ---- The model of filemon's ledger ----------------------------------------------------------- */

static bool ledger[ARRAY_SIZE(fm_tables) + 1][FDS];

static u32 number_in(const char *line, const char *end, const char *key)
{
    const char *at = strstr(line, key);

    return at != NULL && at < end ? (u32)strtoul(at + strlen(key), NULL, 10) : UINT32_MAX;
}

static void ledger_takes(const char *line, const char *end)
{
    u32 table = number_in(line, end, "tabla: "), fd = number_in(line, end, ", descriptor: ");
    const char *code = strstr(line, "codigo: \"") + strlen("codigo: \"");
    bool *open;

    if (strncmp(code, "sigue", 5) == 0)
        return;
    assert_true(table > 0 && table <= ARRAY_SIZE(fm_tables));
    if (strncmp(code, "exit", 4) == 0) {
        memset(ledger[table], 0, sizeof(ledger[table]));
        return;
    }
    assert_true(fd < FDS);
    open = &ledger[table][fd];
    if (strncmp(code, "close", 5) == 0) {
        assert_true(*open);
        *open = false;
    } else if (strncmp(code, "dup", 3) == 0) {
        assert_false(*open);
        *open = ledger[table][number_in(line, end, "origen: ")];
    } else {
        assert_true(strncmp(code, "open", 4) == 0 || strncmp(code, "held", 4) == 0);
        assert_false(*open);
        *open = true;
    }
}

static void ledger_takes_all(void)
{
    for (const char *at = runtime_flushed, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        assert_non_null(end);
        ledger_takes(at, end);
    }
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void start(pthread_t *thread, void *(*what)(void *), void *arg)
{
    assert_int_equal(pthread_create(thread, NULL, what, arg), 0);
}

static void make_groups(void)
{
    for (int i = 0; i < GROUPS; i++) {
        struct group *group = &groups[i];

        memset(group, 0, sizeof(*group));
        pthread_barrier_init(&group->barrier, NULL, MEMBERS);
        group->seed = random_below(UINT32_MAX);
        group->tasks[0] = world_process(200 + 10 * i, "work", NULL);
        group->files = group->tasks[0]->files;
        for (int j = 1; j < MEMBERS; j++)
            group->tasks[j] = world_thread(200 + 10 * i + j, group->tasks[0]);
        for (unsigned int fd = 0; fd < FDS / 2; fd++)
            world_install(group->files, fd, file);
        fm_mark(group->tasks[0], FM_EVERY);
    }
}

static void run_session(void)
{
    pthread_t workers[GROUPS * MEMBERS], others[3];
    struct task_struct *filemon = world_process(900, "filemon", NULL);

    running = GROUPS * MEMBERS;
    for (int i = 0; i < GROUPS * MEMBERS; i++)
        start(&workers[i], works, groups[i / MEMBERS].tasks[i % MEMBERS]);
    start(&others[0], scans, filemon);
    start(&others[1], controls, filemon);
    start(&others[2], reads, filemon);
    for (int i = 0; i < GROUPS * MEMBERS; i++)
        pthread_join(workers[i], NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
}

static void no_record_is_left(void)
{
    size_t left = 0, i;

    for (i = 0; i < ARRAY_SIZE(fm_tables); i++)
        left += fm_tables[i].files != NULL;
    for (i = 0; i < FM_ROWS * FM_ROW; i++)
        left += fm_slots[i / FM_ROW][i % FM_ROW].key != 0;
    assert_int_equal(left, 0);
}

static void lines_report_what_the_threads_did(void **state)
{
    pthread_rwlockattr_t attr;

    (void)state;
    random_start("lines_report_what_the_threads_did");
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&rcu, &attr);
    for (int session = 0; session < SESSIONS; session++) {
        script_set_up(state);
        fm_unmark(100);
        current->signal->live.counter = 0;
        runtime_start(1 << 20, 32);
        fm_channel = &runtime_channel;
        kernel_online.bits = ~0ul;
        fm_read_cpus.bits = 1;
        file = world_file("/x", 0);
        fm_initial = true;
        fm_prefix_add("/x", 2, true);
        make_groups();
        run_session();
        fm_pump_out();
        assert_int_equal(fm_ring_in, fm_ring_out);
        assert_int_equal(atomic_read(&fm_lost), 0);
        assert_int_equal(atomic_read(&fm_live), 0);
        assert_int_equal(atomic_read(&fm_n_flights), 0);
        memset(ledger, 0, sizeof(ledger));
        ledger_takes_all();
        no_record_is_left();
        script_tear_down(state);
    }
}

/* ---- The start of a watch -------------------------------------------------------------------- */

#define STARTS 20

static pthread_barrier_t ready;

/* A watched program that executes, and checks every setting as soon as the watch has started. */
static void *waits_for_start(void *arg)
{
    struct task_struct *task = arg;
    bool watched;

    begin(task, task->pid % 10 + 1);
    pthread_barrier_wait(&ready);
    do {
        fm_executed();
        watched = fm_watched();
        sched_yield();
    } while (!watched);
    must(READ_ONCE(fm_filter) && !READ_ONCE(fm_default));
    must(fm_owner != NULL && fm_self[0] == 900 &&
         fm_clock_ahead == kernel_timens.tv_sec * 1000000000);
    while (!fm_wanted("/x", 2))
        sched_yield();
    open_or_close(&groups[0], (unsigned int)task->pid % 10);
    fm_buffers_free();
    return NULL;
}

static void command(const char *letter, const char *argument)
{
    char text[32];

    snprintf(text, sizeof(text), "+%s", argument);
    fm_control(text);
    fm_control(letter);
}

/* filemon, which starts to watch marked processes or all processes. */
static void *begins(void *arg)
{
    begin(arg, CONTROLLER);
    pthread_barrier_wait(&ready);
    command("D", "3");
    command("N", "another");
    command("I", "/other");
    fm_control("T");
    if (groups[0].tasks[0]->pid % 2 == 0)
        fm_control("A");
    fm_control("G");
    command("I", "/x"); /* a PATH can be added after the start */
    fm_buffers_free();
    return NULL;
}

/* A thread that sees that the watch has started also sees everything that was set before. */
static void a_thread_that_sees_the_start_sees_every_setting(void **state)
{
    enum { WAITING = 3 };
    pthread_t threads[WAITING + 1];

    for (int i = 0; i < STARTS; i++) {
        script_set_up(state);
        fm_on = false;
        kernel_timens.tv_sec = 60;
        file = world_file("/x", 0);
        memset(groups, 0, sizeof(groups));
        groups[0].files = world_files();
        pthread_barrier_init(&ready, NULL, WAITING + 1);
        for (int j = 0; j < WAITING; j++) {
            struct task_struct *task = world_process(200 + i % 2 + 2 * j, "work", NULL);

            groups[0].tasks[j % MEMBERS] = task;
            world_share(task, groups[0].files);
            if (i % 2 == 1)
                fm_mark(task, 1);
            start(&threads[j], waits_for_start, task);
        }
        start(&threads[WAITING], begins, world_process(900, "filemon", NULL));
        for (int j = 0; j <= WAITING; j++)
            pthread_join(threads[j], NULL);
        assert_int_equal(atomic_read(&fm_lost), 0);
        pthread_barrier_destroy(&ready);
        script_tear_down(state);
    }
}

/* ---- Crowded rows ---------------------------------------------------------------------------- */

#define CROWD 4
#define TIMES 1000

/* Addresses of tasks whose first slots are the same or neighbours.  Nothing dereferences them. */
static struct task_struct *crowded_task(uintptr_t *at)
{
    const struct fm_flight_slot *slot;

    do {
        *at += 64;
        current = (struct task_struct *)*at;
        slot = fm_flight_at(0);
    } while (slot < &fm_flights[100] || slot > &fm_flights[101]);
    return current;
}

static void *flies(void *arg)
{
    struct fm_flight ended;

    current = arg;
    for (int i = 0; i < TIMES; i++) {
        struct fm_flight *flight = fm_begin_flight();

        must(flight != NULL && flight->result == 0);
        flight->result = i;
        flight->files = arg;
        must(fm_end_flight(&ended));
        must(ended.result == i && ended.files == arg);
    }
    return NULL;
}

static void calls_in_neighbouring_slots_are_kept_apart(void **state)
{
    pthread_t threads[CROWD];
    struct task_struct *own = current;
    uintptr_t at = 4096;

    (void)state;
    for (int i = 0; i < CROWD; i++)
        start(&threads[i], flies, crowded_task(&at));
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    current = own;
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* Together the threads have a few descriptors more than the row has slots, so that records are
 * dropped. */
static struct crowd {
    unsigned int fds[3];
    int missing; /* records that the thread did not find again */
} crowds[CROWD];
static struct fm_table *crowded_table;

static void *records(void *arg)
{
    struct crowd *crowd = arg;
    struct fm_record record;

    for (unsigned int i = 0; i < TIMES; i++) {
        unsigned int fd = crowd->fds[i % ARRAY_SIZE(crowd->fds)];

        if (i >= ARRAY_SIZE(crowd->fds))
            crowd->missing += !fm_take_record(crowded_table, fd, &record);
        fm_put(crowded_table, fm_key(crowded_table, fd), &fm_no_record);
    }
    return NULL;
}

static void choose_descriptors(void)
{
    unsigned int fd = 0;

    for (size_t i = 0; i < CROWD * ARRAY_SIZE(crowds[0].fds); fd++)
        if (fm_row(fm_key(crowded_table, fd)) == fm_slots[7]) {
            crowds[i % CROWD].fds[i / CROWD] = fd;
            i++;
        }
}

static void each_record_of_a_crowded_row_is_kept_or_counted(void **state)
{
    pthread_t threads[CROWD];
    struct fm_record record;
    int missing = 0;

    (void)state;
    memset(crowds, 0, sizeof(crowds));
    crowded_table = fm_add_my_table();
    choose_descriptors();
    for (int i = 0; i < CROWD; i++)
        start(&threads[i], records, &crowds[i]);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CROWD; i++) {
        missing += crowds[i].missing;
        for (size_t j = 0; j < ARRAY_SIZE(crowds[i].fds); j++)
            missing += !fm_take_record(crowded_table, crowds[i].fds[j], &record);
    }
    assert_true(missing >= 4);
    assert_int_equal(atomic_read(&fm_lost), missing);
    assert_int_equal(atomic_read(&crowded_table->records), 0);
    crowded_table->files = NULL;
    no_record_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_report_what_the_threads_did),
        cmocka_unit_test(a_thread_that_sees_the_start_sees_every_setting),
        script_test(calls_in_neighbouring_slots_are_kept_apart),
        script_test(each_record_of_a_crowded_row_is_kept_or_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
