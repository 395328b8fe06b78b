/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eBPF engine: loads the programs into the kernel, configures them, and reads their ring
 * buffer. The kernel wakes the reader when the ring is filled up to a mark; below the mark, records
 * wait for a timer.  A wake-up for every event would be the largest cost for a watched process.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "diag.h"
#include "engine/bpf/check.h"
#include "engine/bpf/decode.h"
#include "engine/bpf/perf.h"
#include "engine/bpf/probes.h"
#include "engine/bpf/rules.h"
#include "engine/engine.h"
#include "filemon-direct.skel.h"
#include "filemon.skel.h"

/* The period of the timer: with filemon's own work a record waits less than 100 ms. */
#define TIMER_MS 50

/* Records of one dispatch(): after them the poll loop can serve signals. */
#define BATCH 16384

/* The reader is woken when 1/WAKE_PART of the ring is full. */
#define WAKE_PART 8

/* A smaller difference is not a step of the wall clock. */
#define CLOCK_STEP_NS 10000000

enum {
    FORK,
    EXEC,
    RENAME,
    EXIT,
    SIGNAL,
    ENTER,
    LEAVE,
    RING,
    RING_ASYNC,
    RING_SUBMIT,
    SEEK,
    USERS,
    HELD,
    ENTRIES,
    TABLE_CALLS,
    RETURNS,
    RING_RETURNS,
    LINKS,
};

/* How the programs are built and attached; tried in this order. */
enum way {
    THROUGH_PERF, /* on kernels that can preempt a program on the tracepoint itself: perf.h */
    DIRECT,       /* with bpf_rdonly_cast() */
    PLAIN,
    WAYS,
};

struct engine {
    struct engine_config config;
    struct engine_sink sink;
    struct rules *rules;
    struct filemon_bpf *program;
    struct bpf_link *links[LINKS];
    struct ring_buffer *ring;
    int wakeups;    /* epoll, edge-triggered: records below the mark wake nobody */
    int clock;      /* a timer that the kernel cancels when the wall clock is set */
    bool clock_set; /* it was set; the records in the ring are older */
    bool asked;     /* dispatch() has been called, and has returned ENGINE_WATCHING */
    bool end_when_idle;
    bool marked; /* an EVENT_MARK is due after the records that the ring has now */
    bool more;   /* the ring had more than a batch */
    int batch;   /* records left in this batch */
    enum way way;
    bool probes; /* functions of the kernel are probed: probes.bpf.h */
    uint64_t lost;
    uint64_t missed;   /* program runs that the kernel has skipped; part of lost */
    int64_t missed_ns; /* when missed was updated */
    struct decoder decoder;
};

/* ---- libbpf's messages ---------------------------------------------------------------------- */

/* The last messages, printed if loading fails: the verifier's verdict is at the end. */
static char messages[1024];

static void keep_message(const char *text)
{
    size_t len = strlen(text), kept = strlen(messages);

    if (len >= sizeof(messages)) {
        text += len - sizeof(messages) + 1;
        len = sizeof(messages) - 1;
    }
    if (kept + len >= sizeof(messages)) {
        size_t gone = kept + len - sizeof(messages) + 1;

        memmove(messages, messages + gone, kept - gone + 1);
        kept -= gone;
    }
    memcpy(messages + kept, text, len + 1);
}

__attribute__((format(printf, 2, 0))) static int print_message(enum libbpf_print_level level,
                                                               const char *format, va_list args)
{
    char *text;

    if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    if (level == LIBBPF_WARN)
        keep_message(text);
    text[strcspn(text, "\n")] = '\0';
    diag(DIAG_VERBOSE, "%s", text);
    free(text);
    return 0;
}

/* Prints each line of libbpf's messages as a message of its own. */
static int fail(int error, const char *what)
{
    char *rest = messages;

    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] != '\0')
            diag(DIAG_ERROR, "%s", line);
    messages[0] = '\0';
    diag(DIAG_ERROR, "%s: %s", what, strerror(-error));
    return error;
}

/* ---- Starting ------------------------------------------------------------------------------- */

/* Whether the kernel has x32's system calls (CONFIG_X86_X32_ABI, syscall.x32).  A child tries one:
 * a seccomp filter for this architecture only, as a service has, kills the process that does so. */
static bool kernel_takes_x32(void)
{
#ifdef __x86_64__
    pid_t child = fork();
    int status;

    if (child == 0) {
        prctl(PR_SET_DUMPABLE, 0); /* no core of it */
        _exit(syscall(__X32_SYSCALL_BIT + SYS_getpid) <= 0);
    }
    return child > 0 && TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) == child && status == 0;
#else
    return false;
#endif
}

static void set_parameters(struct engine *engine, const struct rules_size *size)
{
    struct filemon_bpf__rodata *data = engine->program->rodata;
    const struct engine_config *config = &engine->config;

    data->watch_all = config->all;
    data->report_failed = config->failed;
    data->x32_calls = kernel_takes_x32();
    data->report_held = config->initial;
    data->filtering = size->any;
    engine->program->bss->wanted_below_root = size->below_root;
    data->longest_component = (__u32)size->longest;
    data->naming = size->names > 0;
    data->longest_name = (__u32)size->longest_name;
    data->generations = config->depth == DEPTH_ALL ? EVERY_GENERATION : (__u32)config->depth;
    data->wake_at = bpf_map__max_entries(engine->program->maps.events) / WAKE_PART;
}

static int size_map(struct bpf_map *map, size_t entries, size_t key_size)
{
    int result = bpf_map__set_max_entries(map, entries > 0 ? (__u32)entries : 1);

    return result == 0 ? bpf_map__set_key_size(map, (__u32)key_size) : result;
}

/* The programs of each link. */
struct hook {
    const char *event; /* for perf_attach() */
    struct bpf_program *programs[WAYS];
};

static void find_hooks(const struct filemon_bpf *program, struct hook hooks[static LINKS])
{
    const __typeof__(program->progs) *p = &program->progs;

    memset(hooks, 0, LINKS * sizeof(*hooks));
    hooks[FORK] = (struct hook){"sched/sched_process_fork",
                                {p->on_fork_perf, p->on_fork, p->on_fork}};
    hooks[EXEC] = (struct hook){"sched/sched_process_exec",
                                {p->on_exec_perf, p->on_exec, p->on_exec}};
    hooks[RENAME] = (struct hook){"task/task_rename",
                                  {p->on_rename_perf, p->on_rename, p->on_rename}};
    hooks[EXIT] = (struct hook){"sched/sched_process_exit",
                                {p->on_exit_perf, p->on_exit, p->on_exit}};
    hooks[ENTER] = (struct hook){"raw_syscalls/sys_enter",
                                 {p->on_enter_perf, p->on_enter, p->on_enter}};
    hooks[LEAVE] = (struct hook){"raw_syscalls/sys_exit",
                                 {p->on_leave_perf, p->on_leave, p->on_leave}};
    hooks[RING] = (struct hook){NULL,
                                {p->on_ring_complete, p->on_ring_complete, p->on_ring_complete}};
    hooks[RING_ASYNC] = (struct hook){NULL, {p->on_ring_async, p->on_ring_async, p->on_ring_async}};
    hooks[RING_SUBMIT] = (struct hook){NULL,
                                       {p->on_ring_submit, p->on_ring_submit, p->on_ring_submit}};
    hooks[SIGNAL] = (struct hook){NULL, {p->on_signal, p->on_signal, p->on_signal}};
    hooks[SEEK] = (struct hook){NULL, {p->seek, p->seek, p->seek}};
    hooks[USERS] = (struct hook){NULL, {p->find_users, p->find_users, p->find_users}};
    hooks[HELD] = (struct hook){NULL, {p->find_held, p->find_held, p->find_held}};
#ifdef __x86_64__
    hooks[ENTRIES] = (struct hook){NULL, {p->on_function, p->on_function, p->on_function}};
    hooks[TABLE_CALLS] = (struct hook){NULL,
                                       {p->on_table_call, p->on_table_call, p->on_table_call}};
    hooks[RETURNS] = (struct hook){NULL, {p->on_return, p->on_return, p->on_return}};
    hooks[RING_RETURNS] = hooks[RETURNS];
#endif
}

static bool is_needed(const struct engine *engine, int link)
{
    switch (link) {
    case SIGNAL:
        return engine->config.failed;
    case HELD:
        return engine->config.initial;
    case ENTER:
    case LEAVE:
        return !engine->probes;
    case ENTRIES:
    case TABLE_CALLS:
    case RETURNS:
    case RING_RETURNS:
        return engine->probes;
    default:
        return true;
    }
}

static int choose_programs(const struct engine *engine)
{
    struct hook hooks[LINKS];
    int result = 0;

    find_hooks(engine->program, hooks);
    for (int link = 0; link < LINKS && result == 0; link++)
        for (enum way way = 0; way < WAYS && result == 0; way++)
            if (hooks[link].programs[way])
                result = bpf_program__set_autoload(hooks[link].programs[way], false);
    for (int link = 0; link < LINKS && result == 0; link++)
        if (hooks[link].programs[engine->way])
            result = bpf_program__set_autoload(hooks[link].programs[engine->way],
                                               is_needed(engine, link));
    return result;
}

/* How many initially open descriptors can be reported. */
#define CLAIMS 65536

/* The kernel's PID_MAX_LIMIT (linux/threads.h). */
#define PIDS (4 << 20)

/* Both objects are built from the same source, so the skeleton of one fits the other. */
static struct filemon_bpf *open_program(enum way way)
{
    struct filemon_bpf *program = calloc(1, sizeof(*program));
    struct bpf_object_skeleton *skeleton;
    int result = program ? filemon_bpf__create_skeleton(program) : -ENOMEM;

    if (result == 0 && way != PLAIN) {
        skeleton = program->skeleton;
        skeleton->data = (void *)filemon_direct_bpf__elf_bytes(&skeleton->data_sz);
    }
    if (result == 0)
        result = bpf_object__open_skeleton(program->skeleton, NULL);
    if (result == 0)
        return program;
    filemon_bpf__destroy(program);
    errno = -result;
    return NULL;
}

static int load_programs(struct engine *engine, const struct rules_size *size)
{
    struct filemon_bpf *program = engine->program = open_program(engine->way);
    int result;

    if (!program)
        return -errno;
    set_parameters(engine, size);
    result = size_map(program->maps.rules, size->nodes,
                      offsetof(struct rule_key, name) + size->longest + 1);
    if (result == 0) /* with the NUL, so that no name matches the beginning of another */
        result = size_map(program->maps.names, size->names, size->longest_name + 1);
    if (result == 0)
        result = bpf_map__set_max_entries(program->maps.is_watched_pid, PIDS / 64);
    if (result == 0)
        result = bpf_map__set_max_entries(program->maps.thread_states, PIDS / 64);
    if (result == 0)
        result = bpf_map__set_max_entries(program->maps.claims,
                                          engine->config.initial ? CLAIMS : 1);
    if (result == 0)
        result = choose_programs(engine);
    if (result == 0)
        result = filemon_bpf__load(program);
    return result;
}

/* Linux 7.0 and later can preempt programs on tracepoints; bpf_rdonly_cast() exists since 6.2. */
static enum way best_way(void)
{
    unsigned int major = 0, minor = 0;
    struct utsname kernel;

    uname(&kernel);
    sscanf(kernel.release, "%u.%u", &major, &minor);
    return major >= 7 ? THROUGH_PERF : major == 6 && minor >= 2 ? DIRECT : PLAIN;
}

/* libbpf returns ESRCH whenever it cannot read the kernel's type information. */
static int fail_load(int error)
{
    struct btf *types = btf__parse_raw("/sys/kernel/btf/vmlinux");
    int unread = (int)libbpf_get_error(types);

    btf__free(types);
    return fail(error == -ESRCH && unread != 0 ? unread : error, "loading the eBPF program");
}

/* After the kernel has refused the programs: the next way gives the same records.  False: no way is
 * left. */
static bool take_next_way(struct engine *engine)
{
    bool is_left = engine->probes || engine->way + 1 < WAYS;

    if (is_left && !engine->probes)
        engine->way++;
    engine->probes = false;
    return is_left;
}

static int load(struct engine *engine)
{
    struct rules_size size;
    int result = rules_measure(&engine->config, &size, &engine->rules);

    if (result < 0)
        return fail(result, "the PATHs for the eBPF program");
    result = load_programs(engine, &size);
    while (result < 0 && take_next_way(engine)) {
        diag(DIAG_VERBOSE, "the better eBPF programs were refused: %s", strerror(-result));
        messages[0] = '\0';
        filemon_bpf__destroy(engine->program);
        result = load_programs(engine, &size);
    }
    if (result == 0)
        result = rules_fill(engine->rules, bpf_map__fd(engine->program->maps.rules));
    if (result == 0)
        result = names_fill(engine->config.names, bpf_map__fd(engine->program->maps.names));
    malloc_trim(0); /* libbpf had the whole type information of the kernel in memory */
    return result < 0 ? fail_load(result) : 0;
}

/* Runs the iterator of this link, SEEK or USERS, for every task. */
static int iterate(struct engine *engine, int link)
{
    int fd = bpf_iter_create(bpf_link__fd(engine->links[link]));
    char nothing[64];
    ssize_t n;

    if (fd < 0)
        return -errno;
    do
        n = read(fd, nothing, sizeof(nothing));
    while (n > 0 || (n < 0 && errno == EINTR));
    close(fd);
    return n < 0 ? -errno : 0;
}

static int attach_link(struct engine *engine, int link)
{
    struct hook hooks[LINKS];
    const struct hook *hook = &hooks[link];

    find_hooks(engine->program, hooks);
    if (!is_needed(engine, link))
        return 0;
    engine->links[link] = engine->way == THROUGH_PERF && hook->event
                              ? perf_attach(hook->programs[engine->way], hook->event)
                              : bpf_program__attach(hook->programs[engine->way]);
    return engine->links[link] ? 0 : -errno;
}

/*
 * Raises filemon's own priority, if permitted: otherwise two busy processes on two CPUs leave it
 * too little time, and events are lost.
 */
static void raise_priority(void)
{
    setpriority(PRIO_PROCESS, 0, -20);
}

/* If the kernel was built without io_uring, there is nothing to attach to. */
static void attach_ring(struct engine *engine)
{
    struct bpf_program *submit = engine->program->progs.on_ring_submit;
    int result = attach_link(engine, RING);

    if (result == 0)
        result = attach_link(engine, RING_ASYNC);
    if (result == 0 && attach_link(engine, RING_SUBMIT) < 0) {
        /* Its name before 6.4. */
        engine->links[RING_SUBMIT] = bpf_program__attach_raw_tracepoint(submit,
                                                                        "io_uring_submit_sqe");
        result = engine->links[RING_SUBMIT] ? 0 : -errno;
    }
    if (result < 0)
        diag(DIAG_VERBOSE, "io_uring is not seen: %s", strerror(-result));
}

/* ---- Probes --------------------------------------------------------------------------------- */

#ifdef __x86_64__

/* No probed function sees failed opens, of which a seccomp filter's answer is one. */
static bool may_probe(const struct engine *engine)
{
    return probes_are_there() && engine->way != PLAIN && !engine->config.failed &&
           !engine->config.other_way;
}

static int attach_functions(struct engine *engine, int link, enum probes which)
{
    struct hook hooks[LINKS];

    find_hooks(engine->program, hooks);
    engine->links[link] = probes_attach(hooks[link].programs[engine->way], which);
    return engine->links[link] ? 0 : -errno;
}

/* Whether each probe has seen its call of probes_make_calls(). */
static bool are_hit(const struct filemon_bpf__bss *data)
{
    return data->hits_of_files[CALL_OPENAT] > 0 && data->hits_of_files[CALL_DUP] > 0 &&
           data->hits_of_files[CALL_FCNTL] > 0 && data->hits_of_files[CALL_DUP2] > 1 &&
           data->hits_of_entries[CALL_DUP] > 0 && data->hits_of_entries[CALL_FCNTL] > 0 &&
           data->hits_of_entries[CALL_DUP2] > 1 && data->hits_of_entries[CALL_CLOSE] > 1 &&
           data->hits_of_entries[CALL_CLOSE_RANGE] > 0 && data->hits_of_entries[CALL_UNSHARE] > 0 &&
           data->hits_of_entries[CALL_EXEC] > 0 && data->hits_of_returns[CALL_CLOSE_RANGE] > 0 &&
           data->hits_of_returns[CALL_UNSHARE] > 0 && data->hits_of_returns[CALL_EXEC] > 0;
}

/* A function that exists may have been inlined into its callers: then its probe never fires. */
static int test_probes(struct engine *engine)
{
    engine->program->bss->testing = true;
    probes_make_calls();
    engine->program->bss->testing = false;
    return are_hit(engine->program->bss) ? 0 : -ENOENT;
}

static int attach_probes(struct engine *engine)
{
    int result = attach_functions(engine, RETURNS,
                                  engine->config.initial ? PROBES_RETURNS_HELD : PROBES_RETURNS);

    if (result == 0 && attach_functions(engine, RING_RETURNS, PROBES_RING) < 0)
        diag(DIAG_VERBOSE, "io_uring_enter(2) is not seen: %s", strerror(errno));
    if (result == 0)
        result = attach_functions(engine, TABLE_CALLS, PROBES_TABLE_CALLS);
    if (result == 0)
        result = attach_functions(engine, ENTRIES, PROBES_ENTRIES);
    return result == 0 ? test_probes(engine) : result;
}

#else

static bool may_probe(const struct engine *engine)
{
    (void)engine;
    return false;
}

static int attach_probes(struct engine *engine)
{
    (void)engine;
    return -EOPNOTSUPP;
}

#endif

/* Programs that follow processes are attached before those that follow files.  First of all the
 * iterator has to find filemon itself. */
static int attach(struct engine *engine)
{
    static const int order[] = {EXIT, FORK, EXEC, RENAME, ENTER, LEAVE};
    int result = attach_link(engine, SEEK);

    if (result == 0)
        result = attach_link(engine, USERS);
    if (result == 0)
        result = iterate(engine, SEEK);
    engine->decoder.clock_offset_ns = engine->program->bss->own_clock_offset;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && result == 0; i++)
        result = attach_link(engine, order[i]);
    if (result == 0)
        result = attach_link(engine, SIGNAL);
    if (result == 0 && engine->probes)
        result = attach_probes(engine);
    if (result == 0)
        attach_ring(engine);
    return result;
}

static bool is_attached(const struct engine *engine)
{
    return engine->links[EXIT] != NULL;
}

/*
 * Waits until every program that is running now on any CPU has returned.  There is no call for
 * that, but the kernel waits in this way when the inner map of a map is replaced.  0, -errno.
 */
static int wait_running_programs(void)
{
    int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, sizeof(__u32), sizeof(__u32), 1, NULL);
    struct bpf_map_create_opts options = {.sz = sizeof(options), .inner_map_fd = (__u32)inner};
    int outer = inner < 0 ? inner
                          : bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, NULL, sizeof(__u32),
                                           sizeof(__u32), 1, &options);
    __u32 zero = 0;
    int result = outer < 0 ? outer : bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);

    if (inner >= 0)
        close(inner);
    if (outer >= 0)
        close(outer);
    return result;
}

static void detach(struct engine *engine)
{
    for (int i = 0; i < LINKS; i++) {
        bpf_link__destroy(engine->links[i]);
        engine->links[i] = NULL;
    }
}

static int take_sample(void *ctx, void *data, size_t size);
static int watch_clock(void);

static int open_ring(struct engine *engine)
{
    int map = bpf_map__fd(engine->program->maps.events);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    engine->ring = ring_buffer__new(map, take_sample, engine, NULL);
    if (!engine->ring)
        return fail(-errno, "the ring buffer");
    engine->wakeups = epoll_create1(EPOLL_CLOEXEC);
    if (engine->wakeups < 0 || epoll_ctl(engine->wakeups, EPOLL_CTL_ADD, map, &event) < 0)
        return fail(-errno, "epoll");
    return 0;
}

static void unload(struct engine *engine)
{
    detach(engine);
    filemon_bpf__destroy(engine->program);
    rules_free(engine->rules);
    engine->program = NULL;
    engine->rules = NULL;
}

static void bpf_close(struct engine *engine)
{
    unload(engine);
    if (engine->wakeups >= 0)
        close(engine->wakeups);
    if (engine->clock >= 0)
        close(engine->clock);
    ring_buffer__free(engine->ring);
    free(engine);
}

/* If probes do not work, for whatever reason, uses tracepoints, which give the same records. */
static int start(struct engine *engine)
{
    int result = load(engine);

    if (result < 0)
        return result;
    result = attach(engine);
    if (result < 0 && engine->probes) {
        diag(DIAG_VERBOSE, "probes of functions do not work: %s", strerror(-result));
        messages[0] = '\0';
        unload(engine);
        engine->probes = false;
        return start(engine);
    }
    if (result < 0)
        return fail(result, "attaching the eBPF program");
    diag(DIAG_VERBOSE, "system calls are seen at %s",
         engine->probes ? "functions of the kernel" : "tracepoints");
    return 0;
}

static int bpf_open(struct engine **opened, const struct engine_config *config,
                    const struct engine_sink *sink)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int result;

    if (!engine)
        return fail(-ENOMEM, "the eBPF engine");
    engine->config = *config;
    engine->sink = *sink;
    engine->wakeups = -1;
    engine->clock = watch_clock();
    engine->way = best_way();
    libbpf_set_print(print_message);
    engine->probes = may_probe(engine);
    result = start(engine);
    if (result == 0)
        result = open_ring(engine);
    if (result < 0) {
        bpf_close(engine);
        return result;
    }
    raise_priority();
    *opened = engine;
    return 0;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* A descriptor that becomes readable when the wall clock is set; -1: not available. */
static int watch_clock(void)
{
    const struct itimerspec never = {.it_value.tv_sec = INT32_MAX};
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd >= 0)
        timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
    return fd;
}

static bool was_clock_set(const struct engine *engine)
{
    uint64_t expirations;

    return read(engine->clock, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;
}

/* Without that descriptor, detects a step of the wall clock by comparison, unless it is small. */
static void follow_clock(struct engine *engine)
{
    int64_t *epoch_ns = &engine->decoder.epoch_ns;

    if (*epoch_ns == 0 ||
        (engine->clock < 0 && llabs(clock_epoch_ns() - *epoch_ns) > CLOCK_STEP_NS))
        *epoch_ns = clock_epoch_ns();
}

/* Called by libbpf: a negative result is an error that ends the reading. */
static int take_sample(void *ctx, void *data, size_t size)
{
    struct engine *engine = ctx;
    struct event event;
    int result = decode_record(&engine->decoder, data, size, &event);

    if (result < 0)
        return result;
    engine->sink.event(engine->sink.ctx, &event);
    return --engine->batch > 0 ? 0 : -EAGAIN;
}

/* Reads at most a batch of records.  0, -errno. */
static int read_ring(struct engine *engine)
{
    int result;

    if (was_clock_set(engine))
        engine->clock_set = true;
    if (!engine->clock_set)
        follow_clock(engine);
    engine->batch = BATCH;
    result = ring_buffer__consume(engine->ring);
    engine->more = result == -EAGAIN;
    if (engine->clock_set && !engine->more) {
        engine->clock_set = false;
        engine->decoder.epoch_ns = clock_epoch_ns();
    }
    return result < 0 && !engine->more ? result : 0;
}

static void forget_kin(struct engine *engine)
{
    int map = bpf_map__fd(engine->program->maps.kin);
    __u32 tgid;

    while (bpf_map_get_next_key(map, NULL, &tgid) == 0)
        bpf_map_delete_elem(map, &tgid);
}

/* Repeats the scan until it finds no new descendant: a task behind the iterator can have forked. */
static int seek_descendants(struct engine *engine)
{
    struct filemon_bpf__bss *data = engine->program->bss;
    int result = 0;

    data->seeking = true;
    do {
        data->seek_news = false;
        result = iterate(engine, SEEK);
    } while (result == 0 && data->seek_news);
    data->seeking = false;
    forget_kin(engine);
    return result;
}

/* Runs the program once, on this CPU. */
static void run_program(const struct bpf_program *program)
{
    struct bpf_test_run_opts options = {.sz = sizeof(options)};

    bpf_prog_test_run_opts(bpf_program__fd(program), &options);
}

static void forget_process(struct engine *engine, __u32 tgid)
{
    engine->program->bss->ended_unseen = tgid;
    run_program(engine->program->progs.forget_process);
}

static bool has_ended_unseen(const struct engine *engine, __u32 tgid)
{
    struct process process;

    return bpf_map_lookup_elem(bpf_map__fd(engine->program->maps.watched), &tgid, &process) == 0 &&
           process.census != engine->program->bss->census;
}

/* Forgets watched processes whose exit was not seen. */
static void take_census(struct engine *engine)
{
    struct filemon_bpf__bss *data = engine->program->bss;
    int map = bpf_map__fd(engine->program->maps.watched);
    __u32 tgid, next;
    bool more = bpf_map_get_next_key(map, NULL, &tgid) == 0;
    int result = 0;

    data->census++;
    data->taking_census = true;
    result = iterate(engine, SEEK);
    data->taking_census = false;
    for (; more && result == 0; tgid = next) {
        more = bpf_map_get_next_key(map, &tgid, &next) == 0; /* before this one is deleted */
        if (has_ended_unseen(engine, tgid))
            forget_process(engine, tgid);
    }
}

/* Lists the file descriptor tables that are keys of the map; returns their number. */
static size_t list_tables(const struct bpf_map *map, __u64 *tables)
{
    __u64 *last = NULL;
    size_t n = 0;

    while (n < bpf_map__max_entries(map) &&
           bpf_map_get_next_key(bpf_map__fd(map), last, &tables[n]) == 0)
        last = &tables[n++];
    return n;
}

static void run_for_each(struct engine *engine, const struct bpf_program *program,
                         const __u64 *tables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        engine->program->bss->doubted = tables[i];
        run_program(program);
    }
}

/* Reports the end of tables that no task uses any more: see tables.bpf.h. */
static void end_unused(struct engine *engine, const struct bpf_map *map)
{
    __u64 *tables = calloc(bpf_map__max_entries(map), sizeof(*tables));
    size_t n = tables ? list_tables(map, tables) : 0;

    run_for_each(engine, engine->program->progs.begin_settling, tables, n);
    if (n > 0 && iterate(engine, USERS) == 0)
        run_for_each(engine, engine->program->progs.settle_doubt, tables, n);
    free(tables);
}

static void settle_doubts(struct engine *engine)
{
    struct filemon_bpf__bss *data = engine->program->bss;

    if (!data->is_in_doubt)
        return;
    data->is_in_doubt = false;
    end_unused(engine, engine->program->maps.doubts);
}

/*
 * A skipped program run may have been that of a fork or an exit: without this, a descendant would
 * not be watched, or the run would wait forever for a process that has exited.
 */
static void recover(struct engine *engine)
{
    seek_descendants(engine);
    take_census(engine);
    end_unused(engine, engine->program->maps.tables);
}

/* The number of program runs that the kernel has skipped, of all programs. */
static uint64_t count_missed(const struct engine *engine)
{
    struct bpf_program *program;
    uint64_t sum = 0;

    bpf_object__for_each_program(program, engine->program->obj)
    {
        struct bpf_prog_info info = {0};
        __u32 size = sizeof(info);
        int fd = bpf_program__fd(program);

        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

/* How often they are counted: that takes a bpf(2) call for each program. */
#define COUNT_MISSED_NS 1000000000

static void update_missed(struct engine *engine)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    uint64_t missed;

    if (is_attached(engine) && engine->asked && now - engine->missed_ns < COUNT_MISSED_NS)
        return;
    engine->missed_ns = now;
    missed = count_missed(engine);
    if (missed > engine->missed && is_attached(engine))
        recover(engine);
    engine->missed = missed;
}

/* Delivers an EVENT_LOST if the number has increased. */
static void report_lost(struct engine *engine)
{
    uint64_t sum;

    update_missed(engine);
    sum = engine->program->bss->n_lost + engine->missed;
    if (sum > engine->lost) {
        struct event event = {
            .code = EVENT_LOST,
            .lost = sum - engine->lost,
            .date_us = clock_ns(CLOCK_REALTIME) / 1000,
        };

        engine->sink.event(engine->sink.ctx, &event);
    }
    engine->lost = sum;
}

static int bpf_fds(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS])
{
    fds[0] = (struct pollfd){.fd = engine->wakeups, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = engine->clock, .events = POLLIN};
    return 2;
}

static int bpf_timeout(struct engine *engine)
{
    return engine->more || !engine->asked || !is_attached(engine) ? 0 : TIMER_MS;
}

static void give_mark(struct engine *engine)
{
    struct event event = {.code = EVENT_MARK};

    if (engine->marked)
        engine->sink.event(engine->sink.ctx, &event);
    engine->marked = false;
}

/* After stop() no program adds records, so an empty ring is the end. */
static int bpf_dispatch(struct engine *engine)
{
    struct filemon_bpf__bss *data = engine->program->bss;
    bool idle = engine->end_when_idle && data->n_watched <= 0;
    struct epoll_event event;
    int result;

    epoll_wait(engine->wakeups, &event, 1, 0);
    settle_doubts(engine);
    result = read_ring(engine);
    if (result < 0)
        return fail(result, "the ring buffer");
    report_lost(engine);
    engine->asked = true;
    if (engine->more)
        return ENGINE_WATCHING;
    give_mark(engine);
    data->reader_asleep = 1;
    if (!is_attached(engine))
        return ENGINE_DONE;
    return idle && !data->is_in_doubt ? ENGINE_IDLE : ENGINE_WATCHING;
}

/* ---- Targets -------------------------------------------------------------------------------- */

static int bpf_watch(struct engine *engine, pid_t pid)
{
    struct filemon_bpf__bss *data = engine->program->bss;
    int result;

    data->sought = (__u32)pid;
    data->sought_seen = false;
    result = seek_descendants(engine);
    data->sought = 0;
    if (result == 0 && !data->sought_seen)
        result = -ESRCH;
    return result;
}

static int bpf_add_prefix(struct engine *engine, const char *path, enum pathfilter_verdict verdict)
{
    int result = rules_add(engine->rules, bpf_map__fd(engine->program->maps.rules), path, verdict);

    engine->program->bss->wanted_below_root = pathfilter_match(engine->config.filter, "/", 1) ||
                                              rules_want_root(engine->rules);
    return result;
}

static int bpf_mark(struct engine *engine)
{
    engine->marked = true;
    return 0;
}

/* The buffer of one read(2) of the iterator: the ring has room for the records of so many entries.
 */
#define HELD_TURN 512

static int scan_held(struct engine *engine)
{
    int fd = bpf_iter_create(bpf_link__fd(engine->links[HELD]));
    char found[HELD_TURN];
    ssize_t n = fd < 0 ? -errno : 1;
    int result = 0;

    while (n > 0 && result == 0) {
        n = TEMP_FAILURE_RETRY(read(fd, found, sizeof(found)));
        result = n < 0 ? -errno : read_ring(engine);
    }
    if (fd >= 0)
        close(fd);
    return n < 0 && result == 0 ? (int)n : result;
}

/* Scans are repeated while exiting threads have not yet left their file descriptor tables. */
#define HELD_SCANS 20

static int scan_all_held(struct engine *engine)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    struct filemon_bpf__bss *data = engine->program->bss;
    int result = 0, scans = 0;

    do {
        if (scans > 0)
            nanosleep(&pause, NULL);
        data->scan_again = false;
        result = scan_held(engine);
    } while (result == 0 && data->scan_again && ++scans < HELD_SCANS);
    return result;
}

/* The scan starts when all programs know of it: they do not report what the scan reports. */
static int bpf_report_held(struct engine *engine)
{
    int result = attach_link(engine, HELD);

    engine->program->bss->scanning = true;
    if (result == 0)
        result = wait_running_programs();
    if (result == 0)
        result = scan_all_held(engine);
    engine->program->bss->scanning = false;
    return result;
}

static int bpf_end_when_idle(struct engine *engine)
{
    engine->end_when_idle = true;
    return 0;
}

/* A thread that was exiting when the programs stopped leaves its table soon: waits for that. */
#define LAST_SCANS 10

static void settle_last_doubts(struct engine *engine)
{
    static const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < LAST_SCANS && engine->program->bss->is_in_doubt; i++) {
        settle_doubts(engine);
        if (engine->program->bss->is_in_doubt)
            nanosleep(&pause, NULL);
    }
}

/* Programs that are still running may add records or count losses: waits for them before the last
 * reading. */
static void bpf_stop(struct engine *engine)
{
    int result;

    if (!is_attached(engine))
        return;
    engine->program->bss->stopping = true;
    result = wait_running_programs();
    if (result < 0)
        diag(DIAG_WARNING, "the last records may be missing: %s", strerror(-result));
    settle_last_doubts(engine);
    detach(engine);
}

const struct engine_ops engine_bpf = {
    .name = "bpf",
    .way = "tracepoint", /* without probes of functions, in case these cause trouble */
    .check = bpf_check,
    .open = bpf_open,
    .fds = bpf_fds,
    .timeout = bpf_timeout,
    .dispatch = bpf_dispatch,
    .watch = bpf_watch,
    .add_prefix = bpf_add_prefix,
    .report_held = bpf_report_held,
    .mark = bpf_mark,
    .end_when_idle = bpf_end_when_idle,
    .stop = bpf_stop,
    .close = bpf_close,
};
