/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"
#include "diag.h"
#include "engine/bpf/links.h"
#include "engine/bpf/messages.h"
#include "engine/bpf/record.h"
#include "event/fact.h"
#include "filemon-direct.skel.h"
#include "filemon-latest.skel.h"
#include "filemon.skel.h"

/* The reader is woken when 1/WAKE_PART of the ring is full. */
#define WAKE_PART 8

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

/* The numbers of native and of 32-bit processes. */
#if defined(__x86_64__)
#define ROW(name, record, x86_64, ia32, arm64, arm, shape) {x86_64, ia32},
#else /* arm64: this engine is built for no other */
#define ROW(name, record, x86_64, ia32, arm64, arm, shape) {arm64, arm},
#endif

/* Adds a call to the table that the programs find it by. */
static void follow_call(struct filemon_bpf__rodata *data, enum traced_call call)
{
    static const struct {
        int native, compat;
    } numbers[] = {TRACED_CALLS(ROW)};

    if (numbers[call].native != NO_CALL)
        data->calls[numbers[call].native] |= (__u16)(CALL_TRACED + call);
    if (numbers[call].compat != NO_CALL)
        data->calls[numbers[call].compat] |= (__u16)((CALL_TRACED + call) << 8);
}

static __u16 without_open(__u16 call)
{
    return call >= CALL_OPEN && call <= CALL_OPEN_BY_HANDLE_AT ? CALL_NONE : call;
}

/* Opens that nobody asks for are not even looked at. */
static void ignore_opens(struct filemon_bpf__rodata *data)
{
    for (size_t i = 0; i < sizeof(data->calls) / sizeof(data->calls[0]); i++)
        data->calls[i] = (__u16)(without_open(data->calls[i] >> 8) << 8 |
                                 without_open(data->calls[i] & 0xff));
}

/* Executions are followed in any case. */
static void follow_calls(struct filemon_bpf__rodata *data, const struct engine_config *config)
{
    unsigned int sets = config->sets;

    data->report_opens = sets & (TRACE(OPEN) | TRACE(HELD));
    if (!data->report_opens && !trace_has_failed_opens(sets))
        ignore_opens(data);
    data->tracing = sets & TRACE_CALLS;
    data->report_programs = sets & TRACE(EXEC);
    for (enum traced_call call = 0; call < TRACED_COUNT; call++)
        if (trace_call_set(call) != TRACE_EXEC && sets & 1u << trace_call_set(call))
            follow_call(data, call);
}

static void set_parameters(struct program *program, const struct rules_size *size)
{
    struct filemon_bpf__rodata *data = program->skeleton->rodata;
    const struct engine_config *config = program->config;

    data->watch_all = config->all || config->n_groups > 0;
    data->only_writes = config->writes;
    data->only_users = config->n_users > 0;
    data->only_groups = config->n_groups > 0;
    data->report_failed = config->failed;
    data->facts_asked = config->facts & ~FACT(BYTES);
    data->counting_bytes = config->facts & FACT(BYTES);
    follow_calls(data, config);
    data->resolving = links_resolve(program);
    data->x32_calls = kernel_takes_x32();
    data->report_held = config->initial;
    data->filtering = size->any;
    data->by_inode = config->n_inodes > 0;
    program->skeleton->bss->wanted_below_root = size->below_root;
    data->longest_component = (__u32)size->longest;
    data->naming = size->names > 0;
    data->longest_name = (__u32)size->longest_name;
    data->generations = config->depth == DEPTH_ALL ? EVERY_GENERATION : (__u32)config->depth;
    data->wake_at = bpf_map__max_entries(program->skeleton->maps.events) / WAKE_PART;
}

/* So many threads can be in a call at once whose path is resolved. */
#define RESOLVED_PATHS 512

/* What is not asked for takes no memory. */
static int size_changes(const struct program *program)
{
    const __typeof__(program->skeleton->maps) *maps = &program->skeleton->maps;
    int result = 0;

    if (!(program->config->sets & TRACE_CALLS))
        result = bpf_map__set_value_size(maps->changes, 8);
    if (result == 0 && !links_resolve(program))
        result = bpf_map__set_value_size(maps->resolved_paths, 8);
    if (result == 0 && !links_resolve(program))
        return bpf_map__set_value_size(maps->resolved_room, 8);
    return result == 0 ? bpf_map__set_max_entries(maps->resolved_paths, RESOLVED_PATHS) : result;
}

static int size_map(struct bpf_map *map, size_t entries, size_t key_size)
{
    int result = bpf_map__set_max_entries(map, entries > 0 ? (__u32)entries : 1);

    return result == 0 ? bpf_map__set_key_size(map, (__u32)key_size) : result;
}

/* How many initially open descriptors can be reported. */
#define CLAIMS 65536

/* The kernel's PID_MAX_LIMIT (linux/threads.h). */
#define PIDS (4 << 20)

/* The objects are built from the same source, so the skeleton of one fits the others. */
static struct filemon_bpf *open_skeleton(enum way way)
{
    static const void *(*const elf_bytes[WAYS])(size_t *) = {
        [WAY_LATEST] = filemon_latest_bpf__elf_bytes,
        [WAY_DIRECT] = filemon_direct_bpf__elf_bytes,
    };
    struct filemon_bpf *skeleton = calloc(1, sizeof(*skeleton));
    struct bpf_object_skeleton *object;
    int result = skeleton ? filemon_bpf__create_skeleton(skeleton) : -ENOMEM;

    if (result == 0 && elf_bytes[way]) {
        object = skeleton->skeleton;
        object->data = (void *)elf_bytes[way](&object->data_sz);
    }
    if (result == 0)
        result = bpf_object__open_skeleton(skeleton->skeleton, NULL);
    if (result == 0)
        return skeleton;
    filemon_bpf__destroy(skeleton);
    errno = -result;
    return NULL;
}

static int size_inodes(const struct program *program)
{
    size_t n = program->config->n_inodes;
    int result = bpf_program__set_autoload(program->skeleton->progs.add_inode, n > 0);

    if (result < 0 || n == 0)
        return result;
    return bpf_map__set_max_entries(program->skeleton->maps.inodes, (__u32)n);
}

/* If executables are not asked for, neither their map nor their scratch, the last one, takes
 * memory. */
static int size_executables(const struct program *program, const struct filemon_bpf *skeleton)
{
    bool asked = program->config->facts & FACTS_OF_PROGRAM;
    struct bpf_map *scratches = skeleton->maps.scratches;
    int result = bpf_map__set_max_entries(skeleton->maps.executables, asked ? EXECUTABLES : 1);

    if (result == 0 && !asked)
        result = bpf_map__set_max_entries(scratches, bpf_map__max_entries(scratches) - 1);
    return result;
}

/* How many descriptors can have counts at once, how many threads that share file descriptor tables
 * can be in calls that are counted, and how many requests of io_uring can be in flight. */
#define COUNTED 65536
#define TRANSFERRING 32768
#define SUBMITTED 16384

static int size_bytes(const struct program *program, const struct filemon_bpf *skeleton)
{
    bool asked = program->config->facts & FACT(BYTES);
    int result = bpf_map__set_max_entries(skeleton->maps.counted, asked ? COUNTED : 1);

    if (result == 0 && !asked)
        result = bpf_map__set_max_entries(skeleton->maps.counted_slots, 1);
    if (result == 0)
        result = bpf_map__set_max_entries(skeleton->maps.noted_serials, asked ? TRANSFERRING : 1);
    if (result == 0)
        result = bpf_map__set_max_entries(skeleton->maps.submitted_transfers,
                                          asked ? SUBMITTED : 1);
    return result;
}

static int load_programs(struct program *program, const struct rules_size *size)
{
    struct filemon_bpf *skeleton = program->skeleton = open_skeleton(program->way);
    int result;

    if (!skeleton)
        return -errno;
    set_parameters(program, size);
    result = size_map(skeleton->maps.rules, size->nodes,
                      offsetof(struct rule_key, name) + size->longest + 1);
    if (result == 0)
        result = size_inodes(program);
    if (result == 0) /* with the NUL, so that no name matches the beginning of another */
        result = size_map(skeleton->maps.names, size->names, size->longest_name + 1);
    if (result == 0)
        result = size_map(skeleton->maps.users, program->config->n_users, sizeof(uid_t));
    if (result == 0)
        result = size_map(skeleton->maps.groups, program->config->n_groups, sizeof(uint64_t));
    if (result == 0)
        result = bpf_map__set_max_entries(skeleton->maps.is_watched_pid, PIDS / 64);
    if (result == 0)
        result = bpf_map__set_max_entries(skeleton->maps.thread_states, PIDS / 64);
    if (result == 0)
        result = bpf_map__set_max_entries(skeleton->maps.claims,
                                          program->config->initial ? CLAIMS : 1);
    if (result == 0)
        result = size_executables(program, skeleton);
    if (result == 0)
        result = size_changes(program);
    if (result == 0)
        result = size_bytes(program, skeleton);
    if (result == 0)
        result = links_select(program);
    if (result == 0)
        result = filemon_bpf__load(skeleton);
    return result;
}

/* Adds the n keys, each of `size` bytes, to a map whose values say nothing. */
static int fill_set(const struct bpf_map *map, const void *keys, size_t n, size_t size)
{
    __u8 yes = 1;

    for (size_t i = 0; i < n; i++)
        if (bpf_map_update_elem(bpf_map__fd(map), (const char *)keys + i * size, &yes, BPF_ANY))
            return -errno;
    return 0;
}

/* -u and -g. */
static int fill_sets(const struct program *program)
{
    const struct engine_config *config = program->config;
    int result = fill_set(program->skeleton->maps.users, config->users, config->n_users,
                          sizeof(config->users[0]));

    return result < 0 ? result
                      : fill_set(program->skeleton->maps.groups, config->groups, config->n_groups,
                                 sizeof(config->groups[0]));
}

void program_run(const struct bpf_program *program)
{
    struct bpf_test_run_opts options = {.sz = sizeof(options)};

    bpf_prog_test_run_opts(bpf_program__fd(program), &options);
}

static int add_inode(struct program *program, const struct inode_path *inode)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;
    int fd = open(inode->path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return messages_fail(-errno, inode->path);
    data->inode_fd = (__u32)fd;
    data->inode_verdict = inode->verdict == PATHFILTER_EXCLUDE ? RULE_EXCLUDE : RULE_INCLUDE;
    data->inode_added = false;
    program_run(program->skeleton->progs.add_inode);
    close(fd);
    return data->inode_added ? 0 : messages_fail(-EIO, inode->path);
}

static int add_inodes(struct program *program)
{
    const struct engine_config *config = program->config;
    int result = 0;

    for (size_t i = 0; result == 0 && i < config->n_inodes; i++)
        result = add_inode(program, &config->inodes[i]);
    return result;
}

/*
 * Linux 7.0 and later can preempt programs on the tracepoints themselves; and they always can
 * preempt those at the returns of functions (links.c).  Before 6.9 the kernel can hang when these
 * are detached.
 */
void program_choose(struct program *program)
{
    unsigned int major = 0, minor = 0;
    struct utsname kernel;

    uname(&kernel);
    sscanf(kernel.release, "%u.%u", &major, &minor);
    program->way = major >= 7 ? WAY_LATEST : major == 6 && minor >= 2 ? WAY_DIRECT : WAY_PLAIN;
    program->perf = major >= 7;
    program->returns = major == 6 && minor >= 9;
}

/* libbpf returns ESRCH whenever it cannot read the kernel's type information. */
static int fail_load(int error)
{
    struct btf *types = btf__parse_raw("/sys/kernel/btf/vmlinux");
    int unread = (int)libbpf_get_error(types);

    btf__free(types);
    return messages_fail(error == -ESRCH && unread != 0 ? unread : error,
                         "loading the eBPF program");
}

void program_note(const struct program *program, const char *effect, const char *format, ...)
{
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (program->notes)
        fprintf(program->notes, "  without  %s\n           %s\n", what, effect);
    else
        diag(DIAG_VERBOSE, "%s: %s", what, effect);
}

static void note_refused(const struct program *program, int error)
{
    static const char *const effects[WAYS] = {
        [WAY_LATEST] = WITHOUT_PERF,
        [WAY_DIRECT] = "the programs used instead cost watched processes more",
    };
    const char *name = messages_refused();

    program_note(program, program->probes ? WITHOUT_PROBES : effects[program->way],
                 "the better eBPF programs were refused%s%s: %s", name[0] ? ", the first was " : "",
                 name, strerror(-error));
}

/* After the kernel has refused the programs: the next way gives the same records.  False: no way is
 * left. */
static bool take_next_way(struct program *program, int error)
{
    if (!program->probes && program->way + 1 == WAYS)
        return false;
    note_refused(program, error);
    if (!program->probes) {
        program->way++;
        program->perf = false; /* in WAY_PLAIN, on_fork_perf() finds no child */
    }
    program->probes = false;
    return true;
}

int program_load(struct program *program)
{
    struct rules_size size;
    int result = rules_measure(program->config, &size, &program->rules);

    if (result < 0)
        return messages_fail(result, "the PATHs for the eBPF program");
    result = load_programs(program, &size);
    while (result < 0 && take_next_way(program, result)) {
        messages_discard();
        filemon_bpf__destroy(program->skeleton);
        result = load_programs(program, &size);
    }
    if (result == 0)
        result = rules_fill(program->rules, bpf_map__fd(program->skeleton->maps.rules));
    if (result == 0)
        result = names_fill(program->config->names, bpf_map__fd(program->skeleton->maps.names));
    if (result == 0)
        result = fill_sets(program);
    malloc_trim(0); /* libbpf had the whole type information of the kernel in memory */
    return result < 0 ? fail_load(result) : add_inodes(program);
}

void program_unload(struct program *program)
{
    links_detach(program);
    filemon_bpf__destroy(program->skeleton);
    rules_free(program->rules);
    program->skeleton = NULL;
    program->rules = NULL;
}
