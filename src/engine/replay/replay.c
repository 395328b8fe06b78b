/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/replay/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "diag.h"
#include "engine/replay/choice.h"
#include "engine/replay/record.h"
#include "engine/replay/source.h"

enum stream_state { STREAM_GOES_ON, STREAM_WAITS, STREAM_HAS_RECORD, STREAM_ENDED };

/* A file, and its next record. */
struct stream {
    struct source source;
    struct record record;
    enum stream_state state;
    uint64_t bad_first, bad_last; /* lines of the latest run of lines without a record; 0: none */
};

struct engine {
    struct engine_config config;
    struct engine_sink sink;
    struct choice choice;
    struct stream *streams; /* in the order of the files */
    size_t n;
    struct stream **awaited; /* those whose next record was not read yet */
    size_t n_awaited;
    struct stream **ready; /* those that have a record, as a binary heap: the earliest first */
    size_t n_ready;
    bool watching, stopped, waits, marks;
    bool failed;       /* a line was no record, or a file could not be read to its end */
    bool said_unknown; /* that a key is left out */
    bool said_no_user; /* that -u cannot choose a record */
};

/* ---- One file ------------------------------------------------------------------------------- */

static void report_bad(struct stream *stream, const char *why)
{
    uint64_t line = stream->source.line;
    bool follows = stream->bad_last != 0 && stream->bad_last + 1 == line;

    stream->bad_last = line;
    if (follows)
        return;
    stream->bad_first = line;
    diag(DIAG_WARNING, "%s:%llu: no record: %s; the line is skipped", stream->source.name,
         (unsigned long long)line, why);
}

/* A file of another kind has two messages, not one for each of its lines. */
static void end_bad(struct stream *stream)
{
    const char *name = stream->source.name;
    unsigned long long next = stream->bad_first + 1, last = stream->bad_last;

    if (last == next)
        diag(DIAG_WARNING, "%s:%llu: no record either; the line is skipped", name, last);
    else if (last > next)
        diag(DIAG_WARNING, "%s:%llu-%llu: no records either; these %llu lines are skipped", name,
             next, last, last - next + 1);
    stream->bad_first = stream->bad_last = 0;
}

static enum stream_state read_record(struct engine *engine, struct stream *stream, const char *line,
                                     size_t len)
{
    struct record *record = &stream->record;
    int result = record_read(record, line, len);

    if (result == -EBADMSG) {
        report_bad(stream, record->why);
        engine->failed = true;
        return STREAM_GOES_ON;
    }
    end_bad(stream);
    if (result == RECORD_TOTALS)
        return STREAM_GOES_ON;
    if (record->unknown != NULL && !engine->config.keeps_keys && !engine->said_unknown) {
        engine->said_unknown = true;
        diag(DIAG_WARNING, "%s:%llu: unknown keys are left out, such as '%s'", stream->source.name,
             (unsigned long long)stream->source.line, record->unknown);
    }
    return STREAM_HAS_RECORD;
}

static enum stream_state end_stream(struct engine *engine, struct stream *stream, int error)
{
    end_bad(stream);
    if (error < 0) {
        diag(DIAG_ERROR, "%s: %s; what follows line %llu is missing", stream->source.name,
             strerror(-error), (unsigned long long)stream->source.line);
        engine->failed = true;
    }
    source_close(&stream->source);
    return STREAM_ENDED;
}

/* Reads one line, or a part of it. */
static enum stream_state advance(struct engine *engine, struct stream *stream)
{
    /* Both are set with SOURCE_LINE, 0; but gcc takes -errno for it, too, and warns. */
    const char *line = NULL;
    size_t len = 0;
    int result = source_next(&stream->source, &line, &len);

    switch (result) {
    case SOURCE_LINE:
        return read_record(engine, stream, line, len);
    case SOURCE_LONG:
        report_bad(stream, "it is too long");
        engine->failed = true;
        return STREAM_GOES_ON;
    case SOURCE_READ:
        return STREAM_GOES_ON;
    case SOURCE_WAITS:
        return STREAM_WAITS;
    default:
        return end_stream(engine, stream, result == SOURCE_ENDED ? 0 : result);
    }
}

/* ---- All files ------------------------------------------------------------------------------ */

static void report_no_user(struct engine *engine, const struct source *source)
{
    engine->failed = true;
    if (engine->said_no_user)
        return;
    engine->said_no_user = true;
    diag(DIAG_WARNING,
         "%s:%llu: the record has no uid, so -u leaves it out; -F +uid writes records that have it",
         source->name, (unsigned long long)source->line);
}

static void deliver(struct engine *engine, const struct stream *stream)
{
    const struct event *record = &stream->record.event;
    struct event lost = {
        .code = EVENT_LOST, .lost = 1, .date_us = record->date_us, .host = record->host};
    int result = choice_takes(&engine->choice, record);

    if (result == -ENODATA)
        report_no_user(engine, &stream->source);
    else if (result != 0)
        engine->sink.event(engine->sink.ctx, result > 0 ? record : &lost);
}

/* Of two records with the same date, that of the file named first. */
static bool is_before(const struct stream *stream, const struct stream *other)
{
    int64_t date_us = stream->record.event.date_us, other_us = other->record.event.date_us;

    return date_us != other_us ? date_us < other_us : stream < other;
}

static void add_ready(struct engine *engine, struct stream *stream)
{
    struct stream **ready = engine->ready;
    size_t at = engine->n_ready++;

    for (; at > 0 && is_before(stream, ready[(at - 1) / 2]); at = (at - 1) / 2)
        ready[at] = ready[(at - 1) / 2];
    ready[at] = stream;
}

static struct stream *take_earliest(struct engine *engine)
{
    struct stream **ready = engine->ready, *first = ready[0], *last = ready[--engine->n_ready];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < engine->n_ready) {
        child += child + 1 < engine->n_ready && is_before(ready[child + 1], ready[child]);
        if (!is_before(ready[child], last))
            break;
        ready[at] = ready[child];
        at = child;
    }
    ready[at] = last;
    return first;
}

/* Returns STREAM_HAS_RECORD if no file is awaited any more; else what keeps one of them. */
static enum stream_state advance_awaited(struct engine *engine)
{
    enum stream_state state = STREAM_HAS_RECORD;
    size_t n = engine->n_awaited;

    engine->n_awaited = 0;
    for (size_t i = 0; i < n; i++) {
        struct stream *stream = engine->awaited[i];

        stream->state = advance(engine, stream);
        if (stream->state == STREAM_HAS_RECORD)
            add_ready(engine, stream);
        else if (stream->state != STREAM_ENDED)
            engine->awaited[engine->n_awaited++] = stream;
        if (stream->state < state)
            state = stream->state;
    }
    return state;
}

static void deliver_earliest(struct engine *engine)
{
    struct stream *stream = take_earliest(engine);

    deliver(engine, stream);
    stream->state = STREAM_GOES_ON;
    engine->awaited[engine->n_awaited++] = stream;
}

/* So many lines, or parts of lines, are read of a file before signals and the output have their
 * turn. */
#define STEPS_AT_ONCE 256

/* Returns false when every file has ended. */
static bool replay(struct engine *engine)
{
    engine->waits = false;
    for (int i = 0; i < STEPS_AT_ONCE && !engine->waits; i++) {
        enum stream_state state = advance_awaited(engine);

        engine->waits = state == STREAM_WAITS;
        if (state == STREAM_HAS_RECORD && engine->n_ready == 0)
            return false;
        if (state == STREAM_HAS_RECORD)
            deliver_earliest(engine);
    }
    return true;
}

static int replay_dispatch(struct engine *engine)
{
    struct event mark = {.code = EVENT_MARK};

    if (engine->marks)
        engine->sink.event(engine->sink.ctx, &mark);
    engine->marks = false;
    if (!engine->stopped && (!engine->watching || replay(engine))) {
        engine->watching = true;
        return ENGINE_WATCHING;
    }
    for (size_t i = 0; i < engine->n; i++)
        end_bad(&engine->streams[i]);
    return engine->failed ? -EBADMSG : ENGINE_DONE;
}

/* ---- An engine ------------------------------------------------------------------------------ */

/* Every file that is read then is needed before the next record can be delivered. */
static int replay_fds(struct engine *engine, struct pollfd fds[static ENGINE_MAX_FDS])
{
    int n = 0;

    for (size_t i = 0; i < engine->n_awaited && n < ENGINE_MAX_FDS; i++)
        if (engine->awaited[i]->state == STREAM_WAITS)
            fds[n++] = (struct pollfd){.fd = engine->awaited[i]->source.fd, .events = POLLIN};
    return n;
}

static int replay_timeout(struct engine *engine)
{
    return engine->waits && !engine->stopped && !engine->marks ? -1 : 0;
}

static void replay_close(struct engine *engine)
{
    for (size_t i = 0; i < engine->n; i++) {
        source_close(&engine->streams[i].source);
        record_release(&engine->streams[i].record);
    }
    choice_release(&engine->choice);
    free(engine->streams);
    free(engine->awaited);
    free(engine->ready);
    free(engine);
}

/* All files are open at once.  No program that would inherit the limit is started. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void refuse_file(const struct engine *engine, const char *file, int error)
{
    struct rlimit limit = {0};

    if (error == -EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
        engine_failed(&engine->config,
                      "%s: %s; -r has all its FILEs open at once, and the limit (ulimit -Hn) is "
                      "%llu: merge some into one FILE first",
                      file, strerror(-error), (unsigned long long)limit.rlim_cur);
    else
        engine_failed(&engine->config, "%s: %s; -r wants a FILE that filemon wrote", file,
                      strerror(-error));
}

static int open_streams(struct engine *engine)
{
    for (char *const *file = engine->config.files; *file != NULL; file++) {
        struct stream *stream = &engine->streams[engine->n++];
        int error = source_open(&stream->source, *file);

        if (error < 0) {
            refuse_file(engine, stream->source.name, error);
            return error;
        }
        engine->awaited[engine->n_awaited++] = stream;
    }
    return 0;
}

static int allocate_streams(struct engine *engine)
{
    size_t n = 1; /* calloc(3) may return NULL for 0 */

    while (engine->config.files[n - 1] != NULL)
        n++;
    engine->streams = calloc(n, sizeof(*engine->streams));
    engine->awaited = calloc(n, sizeof(*engine->awaited));
    engine->ready = calloc(n, sizeof(*engine->ready));
    return engine->streams != NULL && engine->awaited != NULL && engine->ready != NULL ? 0
                                                                                       : -ENOMEM;
}

static int replay_open(struct engine **opened, const struct engine_config *config,
                       const struct engine_sink *sink)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int error = -ENOMEM;

    if (engine != NULL) {
        engine->config = *config;
        engine->sink = *sink;
        engine->choice = CHOICE_OF(&engine->config);
        error = allocate_streams(engine);
    }
    raise_limit();
    if (error == 0)
        error = open_streams(engine);
    else
        engine_failed(config, "-r: %s", strerror(ENOMEM));
    if (error == 0)
        *opened = engine;
    else if (engine != NULL)
        replay_close(engine);
    return error;
}

static int replay_watch(struct engine *engine, pid_t pid)
{
    (void)engine;
    (void)pid;
    return -ENOTSUP;
}

static int replay_add_prefix(struct engine *engine, const char *path,
                             enum pathfilter_verdict verdict)
{
    (void)engine;
    (void)path;
    (void)verdict;
    return 0;
}

static int replay_report_held(struct engine *engine)
{
    (void)engine;
    return -ENOTSUP;
}

static int replay_mark(struct engine *engine)
{
    engine->marks = true;
    return 0;
}

/* It ends with its files in any case. */
static int replay_end_when_idle(struct engine *engine)
{
    (void)engine;
    return 0;
}

static void replay_stop(struct engine *engine)
{
    engine->stopped = true;
}

const struct engine_ops engine_replay = {
    .name = "replay",
    .sets = TRACE_ALL,
    .delivers_records = true,
    .open = replay_open,
    .fds = replay_fds,
    .timeout = replay_timeout,
    .dispatch = replay_dispatch,
    .watch = replay_watch,
    .add_prefix = replay_add_prefix,
    .report_held = replay_report_held,
    .mark = replay_mark,
    .end_when_idle = replay_end_when_idle,
    .stop = replay_stop,
    .close = replay_close,
};
