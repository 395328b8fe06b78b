/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/links.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "diag.h"
#include "engine/bpf/messages.h"
#include "engine/bpf/perf.h"
#include "engine/bpf/probes.h"
#include "engine/bpf/record.h"
#include "filemon.skel.h"

/* What is attached.  A tracepoint with a perf event has two programs, which do the same. */
struct hook {
    struct bpf_program *program;
    const char *event; /* for perf_attach(); NULL: there is none */
    struct bpf_program *on_event;
};

static void find_hooks(const struct filemon_bpf *skeleton, struct hook hooks[static LINKS])
{
    const __typeof__(skeleton->progs) *p = &skeleton->progs;

    memset(hooks, 0, LINKS * sizeof(*hooks));
    hooks[LINK_FORK] = (struct hook){p->on_fork, "sched/sched_process_fork", p->on_fork_perf};
    hooks[LINK_EXEC] = (struct hook){p->on_exec, "sched/sched_process_exec", p->on_exec_perf};
    hooks[LINK_RENAME] = (struct hook){p->on_rename, "task/task_rename", p->on_rename_perf};
    hooks[LINK_EXIT] = (struct hook){p->on_exit, "sched/sched_process_exit", p->on_exit_perf};
    hooks[LINK_ENTER] = (struct hook){p->on_enter, "raw_syscalls/sys_enter", p->on_enter_perf};
    hooks[LINK_LEAVE] = (struct hook){p->on_leave, "raw_syscalls/sys_exit", p->on_leave_perf};
    hooks[LINK_RING].program = p->on_ring_complete;
    hooks[LINK_RING_ASYNC].program = p->on_ring_async;
    hooks[LINK_RING_SUBMIT].program = p->on_ring_submit;
    hooks[LINK_SIGNAL].program = p->on_signal;
    hooks[LINK_TASKS].program = p->scan_tasks;
    hooks[LINK_USERS].program = p->find_users;
    hooks[LINK_HELD].program = p->find_held;
#ifdef __x86_64__
    hooks[LINK_ENTRIES].program = p->on_function;
    hooks[LINK_TABLE_CALLS].program = p->on_table_call;
    hooks[LINK_RETURNS].program = p->on_return;
    hooks[LINK_RING_RETURNS].program = p->on_return;
    hooks[LINK_TRANSFERS].program = p->on_function;
    hooks[LINK_TRANSFER_RETURNS].program = p->on_return;
    hooks[LINK_READ].program = p->on_read;
    hooks[LINK_WRITE].program = p->on_write;
    hooks[LINK_RECEIVE].program = p->on_receive;
    hooks[LINK_RECEIVED].program = p->on_received;
#endif
}

#ifdef __x86_64__

/* The functions of the kernel that hooks.bpf.h is about, and its programs. */
struct path_hook {
    const char *function;
    struct bpf_program *program;
};

#define PATH_HOOKS (LINK_HOOK_LAST - LINK_HOOK + 1)

static void find_path_hooks(const struct filemon_bpf *skeleton,
                            struct path_hook hooks[static PATH_HOOKS])
{
    const __typeof__(skeleton->progs) *p = &skeleton->progs;
    const struct path_hook all[PATH_HOOKS] = {
        {"security_path_unlink", p->on_path_of_name},
        {"security_path_rmdir", p->on_path_of_name},
        {"security_path_mkdir", p->on_path_of_name},
        {"security_path_mknod", p->on_path_of_name},
        {"security_path_symlink", p->on_path_of_name},
        {"security_path_link", p->on_path_of_link},
        {"security_path_rename", p->on_path_of_rename},
        {"security_path_truncate", p->on_path},
        {"security_path_chmod", p->on_path},
        {"security_path_chown", p->on_path},
        {"vfs_utimes", p->on_path},
    };

    memcpy(hooks, all, sizeof(all));
}

bool links_resolve(const struct program *program)
{
    return program->config->sets & (TRACE(NAMES) | TRACE(ATTRIBUTES)) && probes_are_there() &&
           !program->config->other_way;
}

static int select_path_hooks(const struct program *program)
{
    struct path_hook hooks[PATH_HOOKS];
    int result = 0;

    find_path_hooks(program->skeleton, hooks);
    for (size_t i = 0; i < PATH_HOOKS && result == 0; i++)
        result = bpf_program__set_autoload(hooks[i].program, links_resolve(program));
    return result;
}

/* Without one of them its calls have the names that they were given. */
static void attach_path_hooks(struct program *program)
{
    struct path_hook hooks[PATH_HOOKS];

    if (program->config->sets & (TRACE(NAMES) | TRACE(ATTRIBUTES)))
        diag(DIAG_VERBOSE, ENGINE_PATHS,
             links_resolve(program) ? ENGINE_PATHS_RESOLVED : ENGINE_PATHS_GIVEN);
    if (!links_resolve(program))
        return;
    find_path_hooks(program->skeleton, hooks);
    for (size_t i = 0; i < PATH_HOOKS; i++) {
        struct bpf_link *link = bpf_program__attach_kprobe(hooks[i].program, false,
                                                           hooks[i].function);

        program->links[LINK_HOOK + i] = link;
        if (!link)
            diag(DIAG_VERBOSE, "%s is not probed: its calls have the names that they were given",
                 hooks[i].function);
    }
    messages_discard();
}

#else

bool links_resolve(const struct program *program)
{
    (void)program;
    return false;
}

static int select_path_hooks(const struct program *program)
{
    (void)program;
    return 0;
}

static void attach_path_hooks(struct program *program)
{
    (void)program;
}

#endif

static bool is_needed(const struct program *program, enum link link)
{
    switch (link) {
    case LINK_SIGNAL:
        return program->config->failed;
    case LINK_HELD:
        return program->config->initial;
    case LINK_ENTER:
    case LINK_LEAVE:
        return !program->probes;
    case LINK_ENTRIES:
    case LINK_TABLE_CALLS:
    case LINK_RETURNS:
    case LINK_RING_RETURNS:
    case LINK_TRANSFERS:
    case LINK_TRANSFER_RETURNS:
        return program->probes;
    case LINK_READ:
    case LINK_WRITE:
        return program->probes && program->config->facts & FACT(BYTES);
    case LINK_RECEIVE:
    case LINK_RECEIVED:
        return probes_are_there();
    default:
        return true;
    }
}

/* For can_preempt(). */
static int select_preemption(const struct program *program)
{
#ifdef __x86_64__
    return bpf_program__set_autoload(program->skeleton->progs.read_preemption,
                                     is_needed(program, LINK_READ));
#else
    (void)program;
    return 0;
#endif
}

int links_select(const struct program *program)
{
    struct hook hooks[LINKS];
    int result = 0;

    find_hooks(program->skeleton, hooks);
    for (enum link link = 0; link < LINKS && result == 0; link++) {
        bool needed = is_needed(program, link), on_event = program->perf && hooks[link].event;

        if (hooks[link].program)
            result = bpf_program__set_autoload(hooks[link].program, needed && !on_event);
        if (result == 0 && hooks[link].on_event)
            result = bpf_program__set_autoload(hooks[link].on_event, needed && on_event);
    }
    if (result == 0)
        result = select_preemption(program);
    return result == 0 ? select_path_hooks(program) : result;
}

int links_iterate(struct program *program, enum link link)
{
    int fd = bpf_iter_create(bpf_link__fd(program->links[link]));
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

int links_attach_one(struct program *program, enum link link)
{
    struct hook hooks[LINKS];
    const struct hook *hook = &hooks[link];

    find_hooks(program->skeleton, hooks);
    if (!is_needed(program, link))
        return 0;
    program->links[link] = program->perf && hook->event ? perf_attach(hook->on_event, hook->event)
                                                        : bpf_program__attach(hook->program);
    return program->links[link] ? 0 : -errno;
}

/* If the kernel was built without io_uring, there is nothing to attach to. */
static void attach_ring(struct program *program)
{
    struct bpf_program *submit = program->skeleton->progs.on_ring_submit;
    int result = links_attach_one(program, LINK_RING);

    if (result == 0)
        result = links_attach_one(program, LINK_RING_ASYNC);
    if (result == 0 && links_attach_one(program, LINK_RING_SUBMIT) < 0) {
        /* Before Linux 6.4 the tracepoint had another name. */
        program->links[LINK_RING_SUBMIT] = bpf_program__attach_raw_tracepoint(
            submit, "io_uring_submit_sqe");
        result = program->links[LINK_RING_SUBMIT] ? 0 : -errno;
    }
    if (result < 0)
        program_note(program, "opens and closes by io_uring have no record",
                     "io_uring is not seen: %s", strerror(-result));
}

/* ---- Probes --------------------------------------------------------------------------------- */

#ifdef __x86_64__

/* The probed functions see only opens, copies and closes that succeed, and what is read and
 * written: other calls and the results of closes need the tracepoints. */
bool links_may_probe(const struct program *program)
{
    const struct engine_config *config = program->config;

    return probes_are_there() && program->way != WAY_PLAIN && !config->failed &&
           !(config->sets & TRACE_CALLS) && !(config->facts & FACT(RESULT)) &&
           (program->returns || !(config->facts & FACT(BYTES))) && !config->other_way;
}

static int attach_functions(struct program *program, enum link link, enum probes which)
{
    struct hook hooks[LINKS];

    find_hooks(program->skeleton, hooks);
    program->links[link] = probes_attach(hooks[link].program, which);
    return program->links[link] ? 0 : -errno;
}

/* Probes a function at its entry and its return: links[0] and links[1].  False: this kernel has no
 * such function. */
static bool attach_receiving_of(const struct program *program, const char *function,
                                struct bpf_link *links[static 2])
{
    const __typeof__(program->skeleton->progs) *programs = &program->skeleton->progs;

    links[1] = bpf_program__attach_kprobe(programs->on_received, true, function);
    if (links[1])
        links[0] = bpf_program__attach_kprobe(programs->on_receive, false, function);
    return links[0] != NULL;
}

static void attach_receiving(struct program *program)
{
    struct bpf_link **links = &program->links[LINK_RECEIVE];
    bool outer, inner;

    if (!is_needed(program, LINK_RECEIVE))
        return;
    outer = attach_receiving_of(program, "receive_fd", &links[0]);
    inner = attach_receiving_of(program, "__receive_fd", &links[2]);
    attach_receiving_of(program, "scm_recv_one_fd", &links[4]);
    program->skeleton->bss->receiving_is_seen = outer || inner;
    probes_receive();
    messages_discard();
}

/* What each probe must have seen of probes_make_calls(), which makes some calls twice. */
static const struct expectation {
    enum { SEEN_FILES, SEEN_ENTRIES, SEEN_RETURNS, SEEN_TRANSFERS } in;
    __u32 call; /* enum call, enum transfer */
    __u32 times;
    const char *function;
} expectations[] = {
    {SEEN_FILES, CALL_OPENAT, 1, "fd_install"},
    {SEEN_FILES, CALL_DUP, 1, "fd_install"},
    {SEEN_FILES, CALL_FCNTL, 1, "fd_install"},
    {SEEN_FILES, CALL_DUP2, 2, "do_dup2"},
    {SEEN_ENTRIES, CALL_DUP, 1, "the entry of dup"},
    {SEEN_ENTRIES, CALL_FCNTL, 1, "f_dupfd"},
    {SEEN_ENTRIES, CALL_DUP2, 2, "the entry of dup2 or dup3"},
    {SEEN_ENTRIES, CALL_CLOSE, 2, "the entry of close"},
    {SEEN_ENTRIES, CALL_CLOSE_RANGE, 1, "the entry of close_range"},
    {SEEN_ENTRIES, CALL_UNSHARE, 1, "the entry of unshare"},
    {SEEN_ENTRIES, CALL_EXEC, 1, "the entry of execve"},
    {SEEN_RETURNS, CALL_CLOSE_RANGE, 1, "the return of close_range"},
    {SEEN_RETURNS, CALL_UNSHARE, 1, "the return of unshare"},
    {SEEN_RETURNS, CALL_EXEC, 1, "the return of execve"},
    {SEEN_TRANSFERS, TRANSFER_READ, 1, "the return of vfs_read"},
    {SEEN_TRANSFERS, TRANSFER_WRITE, 1, "the return of vfs_write"},
};

static __u32 count_hits(const struct filemon_bpf__bss *data, const struct expectation *expectation)
{
    switch (expectation->in) {
    case SEEN_FILES:
        return data->hits_of_files[expectation->call];
    case SEEN_ENTRIES:
        return data->hits_of_entries[expectation->call];
    case SEEN_RETURNS:
        return data->hits_of_returns[expectation->call];
    default:
        return data->hits_of_transfers[expectation->call];
    }
}

/* Whether the probe of this expectation is attached. */
static bool is_expected(const struct program *program, const struct expectation *expectation)
{
    return expectation->in != SEEN_TRANSFERS || program->config->facts & FACT(BYTES);
}

/* A function that exists may have been inlined into its callers: then its probe never fires. */
static int test_probes(struct program *program)
{
    const size_t n = sizeof(expectations) / sizeof(expectations[0]);

    program->skeleton->bss->testing = true;
    probes_make_calls();
    program->skeleton->bss->testing = false;
    for (size_t i = 0; i < n; i++)
        if (is_expected(program, &expectations[i]) &&
            count_hits(program->skeleton->bss, &expectations[i]) < expectations[i].times) {
            snprintf(program->trouble, sizeof(program->trouble),
                     "%s was not seen in a call that passes it", expectations[i].function);
            return -ENOENT;
        }
    return 0;
}

/*
 * Whether the kernel can preempt programs at the returns of functions, and then skips them in the
 * other threads of this CPU: uname(2) and preempt_dynamic_mode (kernel/sched/core.c) say how it
 * preempts itself.
 */
static bool can_preempt(const struct program *program)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;
    struct utsname kernel;

    uname(&kernel);
    if (!strstr(kernel.version, "PREEMPT"))
        return false;
    data->preemption_address = probes_preemption();
    if (!strstr(kernel.version, "PREEMPT_DYNAMIC") || !data->preemption_address)
        return true;
    program_run(program->skeleton->progs.read_preemption);
    return !data->preemption_is_voluntary;
}

/* For -b. */
static int attach_transfers(struct program *program)
{
    int result;

    if (can_preempt(program)) {
        snprintf(program->trouble, sizeof(program->trouble),
                 "this kernel can preempt those that count what is read and written");
        return -EOPNOTSUPP;
    }
    result = links_attach_one(program, LINK_READ);
    if (result == 0)
        result = links_attach_one(program, LINK_WRITE);
    if (result == 0)
        result = attach_functions(program, LINK_TRANSFERS, PROBES_TRANSFERS);
    if (result == 0)
        result = attach_functions(program, LINK_TRANSFER_RETURNS, PROBES_TRANSFER_RETURNS);
    return result;
}

static int attach_probes(struct program *program)
{
    int result = attach_functions(program, LINK_RETURNS,
                                  program->config->initial ? PROBES_RETURNS_HELD : PROBES_RETURNS);

    if (result == 0 && attach_functions(program, LINK_RING_RETURNS, PROBES_RING) < 0)
        program_note(program, "an open that io_uring completes at once has its record later",
                     "the return of io_uring_enter(2) is not seen: %s", strerror(errno));
    if (result == 0)
        result = attach_functions(program, LINK_TABLE_CALLS, PROBES_TABLE_CALLS);
    if (result == 0)
        result = attach_functions(program, LINK_ENTRIES, PROBES_ENTRIES);
    if (result == 0 && program->config->facts & FACT(BYTES))
        result = attach_transfers(program);
    return result == 0 ? test_probes(program) : result;
}

#else

bool links_may_probe(const struct program *program)
{
    (void)program;
    return false;
}

static int attach_probes(struct program *program)
{
    (void)program;
    return -EOPNOTSUPP;
}

static void attach_receiving(struct program *program)
{
    (void)program;
}

#endif

/* Programs that follow processes are attached before those that follow files.  First of all the
 * iterator has to find filemon itself. */
int links_attach(struct program *program)
{
    static const enum link order[] = {LINK_EXIT,   LINK_FORK,  LINK_EXEC,
                                      LINK_RENAME, LINK_ENTER, LINK_LEAVE};
    int result = links_attach_one(program, LINK_TASKS);

    if (result == 0)
        result = links_attach_one(program, LINK_USERS);
    if (result == 0)
        result = links_iterate(program, LINK_TASKS);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && result == 0; i++)
        result = links_attach_one(program, order[i]);
    if (result == 0)
        result = links_attach_one(program, LINK_SIGNAL);
    if (result == 0 && program->probes)
        result = attach_probes(program);
    if (result == 0)
        attach_path_hooks(program);
    if (result == 0)
        attach_ring(program);
    if (result == 0)
        attach_receiving(program);
    return result;
}

static void report_start(const struct program *program)
{
    const char *places = program->probes ? "functions of the kernel" : "tracepoints";
    bool sockets = program->skeleton->bss->own_received > 0;

    if (!program->notes) {
        diag(DIAG_VERBOSE, "system calls are seen at %s", places);
        diag(DIAG_VERBOSE, "descriptors that are received over sockets are %s",
             sockets ? "seen" : "not seen");
        return;
    }
    fprintf(program->notes, "  ok       programs that this kernel accepts\n");
    fprintf(program->notes, "  ok       system calls are seen at %s\n", places);
    if (!sockets)
        program_note(program, "of received descriptors only those of pidfd_getfd(2) have a record",
                     "descriptors that are received over sockets are not seen: no probe sees them");
}

static void note_no_probes(const struct program *program, int error)
{
    program_note(program, WITHOUT_PROBES, "probes of functions do not work: %s",
                 program->trouble[0] ? program->trouble : strerror(-error));
}

/* After an attachment has failed: gives up perf events, or else probes.  False: neither is in use.
 * Of the programs on perf events, links_attach() attaches that of LINK_EXIT first. */
static bool do_without(struct program *program, int error)
{
    if (program->perf && program->links[LINK_TASKS] && !program->links[LINK_EXIT]) {
        program_note(program, WITHOUT_PERF, "perf events on tracepoints are not possible: %s",
                     strerror(-error));
        program->perf = false;
        return true;
    }
    if (program->probes) {
        note_no_probes(program, error);
        program->probes = false;
        return true;
    }
    return false;
}

int links_start(struct program *program)
{
    int result = program_load(program);

    if (result < 0)
        return result;
    result = links_attach(program);
    if (result < 0 && do_without(program, result)) {
        messages_discard();
        program_unload(program);
        return links_start(program);
    }
    if (result < 0)
        return messages_fail(result, "attaching the eBPF program");
    report_start(program);
    return 0;
}

bool links_are_attached(const struct program *program)
{
    return program->links[LINK_EXIT] != NULL;
}

/* No call waits for running programs, but the kernel does so when it replaces the inner map of a
 * map. */
int links_wait(void)
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

/*
 * How many returns a link of kretprobe.multi has missed, since more threads were in its functions
 * than the kernel keeps room for.  The kernel fills as much of the structure as it knows: `missed`
 * is there since Linux 6.7.
 */
static uint64_t missed_returns(const struct bpf_link *link)
{
    struct { /* struct bpf_link_info (linux/bpf.h) of such a link */
        __u32 type, id, program;
        __u64 addresses;
        __u32 n, flags;
        __u64 missed;
    } info = {0};
    __u32 size = sizeof(info);

    if (!link || bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) < 0)
        return 0;
    return info.type == BPF_LINK_TYPE_KPROBE_MULTI ? info.missed : 0;
}

uint64_t links_missed(const struct program *program)
{
    uint64_t sum = program->missed;

    for (int i = 0; i < LINKS; i++)
        sum += missed_returns(program->links[i]);
    return sum;
}

void links_detach(struct program *program)
{
    program->missed = links_missed(program);
    for (int i = 0; i < LINKS; i++) {
        bpf_link__destroy(program->links[i]);
        program->links[i] = NULL;
    }
}
