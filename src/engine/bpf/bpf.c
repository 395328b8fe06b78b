/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eBPF engine.  The kernel wakes the reader when the ring buffer is filled up to a mark; below
 * the mark, records wait for a timer.  A wake-up for every event would be the largest cost for a
 * watched process.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "diag.h"
#include "engine/bpf/check.h"
#include "engine/bpf/links.h"
#include "engine/bpf/messages.h"
#include "engine/bpf/program.h"
#include "engine/bpf/reader.h"
#include "engine/bpf/scan.h"
#include "engine/engine.h"
#include "filemon.skel.h"

/* The period of the timer: with filemon's own work a record waits less than 100 ms. */
#define TIMER_MS 50

struct engine {
    struct engine_config config;
    struct engine_sink sink;
    struct program program;
    struct reader reader;
    bool asked; /* dispatch() has been called, and has returned ENGINE_WATCHING */
    bool end_when_idle;
    bool marked; /* an EVENT_MARK is due after the records that the ring has now */
    uint64_t lost;
    uint64_t missed;   /* program runs that the kernel has skipped; part of lost */
    int64_t missed_ns; /* when missed was updated */
};

/* ---- Starting ------------------------------------------------------------------------------- */

/*
 * Raises filemon's own priority, if permitted: otherwise two busy processes on two CPUs leave it
 * too little time, and events are lost.
 */
static void raise_priority(void)
{
    setpriority(PRIO_PROCESS, 0, -20);
}

static void bpf_close(struct engine *engine)
{
    program_unload(&engine->program);
    reader_close(&engine->reader);
    free(engine);
}

static int open_reader(struct engine *engine)
{
    const struct filemon_bpf *skeleton = engine->program.skeleton;

    return reader_open(&engine->reader, bpf_map__fd(skeleton->maps.events),
                       skeleton->bss->own_clock_offset, &engine->sink);
}

static int bpf_open(struct engine **opened, const struct engine_config *config,
                    const struct engine_sink *sink)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int result;

    messages_keep();
    if (!engine)
        return messages_fail(-ENOMEM, "the eBPF engine");
    engine->config = *config;
    engine->sink = *sink;
    engine->reader.wakeups = engine->reader.clock = -1;
    engine->reader.decoder.has_facts = (config->facts & ~FACT(BYTES)) != 0;
    engine->program.config = &engine->config;
    program_choose(&engine->program);
    engine->program.probes = links_may_probe(&engine->program);
    result = links_start(&engine->program);
    if (result == 0)
        result = open_reader(engine);
    if (result < 0) {
        bpf_close(engine);
        return result;
    }
    raise_priority();
    *opened = engine;
    return 0;
}

/* ---- Losses --------------------------------------------------------------------------------- */

/* The number of program runs that the kernel has skipped or missed, of all programs. */
static uint64_t count_missed(const struct engine *engine)
{
    struct bpf_program *program;
    uint64_t sum = links_missed(&engine->program);

    bpf_object__for_each_program(program, engine->program.skeleton->obj)
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

    if (links_are_attached(&engine->program) && engine->asked &&
        now - engine->missed_ns < COUNT_MISSED_NS)
        return;
    engine->missed_ns = now;
    missed = count_missed(engine);
    if (missed > engine->missed && links_are_attached(&engine->program))
        scan_after_loss(&engine->program);
    engine->missed = missed;
}

/* Delivers an EVENT_LOST if the number has increased. */
static void report_lost(struct engine *engine)
{
    uint64_t sum;

    update_missed(engine);
    sum = engine->program.skeleton->bss->n_lost + engine->missed;
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

/* ---- Reading -------------------------------------------------------------------------------- */

static int bpf_fds(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS])
{
    fds[0] = (struct pollfd){.fd = engine->reader.wakeups, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = engine->reader.clock, .events = POLLIN};
    return 2;
}

static int bpf_timeout(struct engine *engine)
{
    return engine->reader.more || !engine->asked || !links_are_attached(&engine->program)
               ? 0
               : TIMER_MS;
}

static void deliver_mark(struct engine *engine)
{
    struct event event = {.code = EVENT_MARK};

    if (engine->marked)
        engine->sink.event(engine->sink.ctx, &event);
    engine->marked = false;
}

/* After stop() no program adds records, so an empty ring is the end. */
static int bpf_dispatch(struct engine *engine)
{
    struct filemon_bpf__bss *data = engine->program.skeleton->bss;
    bool idle = engine->end_when_idle && data->n_watched <= 0;
    int result;

    reader_rearm(&engine->reader);
    scan_doubts(&engine->program);
    result = reader_read(&engine->reader);
    if (result < 0)
        return messages_fail(result, "the ring buffer");
    report_lost(engine);
    engine->asked = true;
    if (engine->reader.more)
        return ENGINE_WATCHING;
    deliver_mark(engine);
    data->reader_asleep = 1;
    if (!links_are_attached(&engine->program))
        return ENGINE_DONE;
    return idle && !data->is_in_doubt ? ENGINE_IDLE : ENGINE_WATCHING;
}

/* ---- Targets -------------------------------------------------------------------------------- */

static int bpf_watch(struct engine *engine, pid_t pid)
{
    return scan_target(&engine->program, pid);
}

static int bpf_add_prefix(struct engine *engine, const char *path, enum pathfilter_verdict verdict)
{
    struct filemon_bpf *skeleton = engine->program.skeleton;
    struct rules *rules = engine->program.rules;
    int result = rules_add(rules, bpf_map__fd(skeleton->maps.rules), path, verdict);

    skeleton->bss->wanted_below_root = pathfilter_match(engine->config.filter, "/", 1) ||
                                       rules_want_root(rules);
    return result;
}

static int bpf_mark(struct engine *engine)
{
    engine->marked = true;
    return 0;
}

/* The scan starts when all programs know of it: they do not report what the scan reports. */
static int bpf_report_held(struct engine *engine)
{
    struct program *program = &engine->program;
    int result = links_attach_one(program, LINK_HELD);

    program->skeleton->bss->scanning = true;
    if (result == 0)
        result = links_wait();
    if (result == 0)
        result = scan_initially_open(program, &engine->reader);
    program->skeleton->bss->scanning = false;
    return result;
}

static int bpf_end_when_idle(struct engine *engine)
{
    engine->end_when_idle = true;
    return 0;
}

/* Programs that are still running may add records or count losses: waits for them before the last
 * reading. */
static void bpf_stop(struct engine *engine)
{
    struct program *program = &engine->program;
    int result;

    if (!links_are_attached(program))
        return;
    program->skeleton->bss->stopping = true;
    result = links_wait();
    if (result < 0)
        diag(DIAG_WARNING, "the last records may be missing: %s", strerror(-result));
    scan_last_doubts(program);
    links_detach(program);
}

const struct engine_ops engine_bpf = {
    .name = "bpf",
    .sets = TRACE_ALL,
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
