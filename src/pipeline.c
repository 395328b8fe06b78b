/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "diag.h"
#include "event/facts.h"
#include "event/ledger.h"
#include "event/results.h"
#include "output/output.h"
#include "output/summary.h"

static const char *output_name(const struct pipeline *pipeline)
{
    return pipeline->options->output ? pipeline->options->output : "standard output";
}

static bool takes_lines(const struct pipeline *pipeline)
{
    return pipeline->output && !pipeline->error;
}

/* A closed pipe is how readers say that they have enough. */
static void output_failed(struct pipeline *pipeline, int error)
{
    size_t lines = output_pending_lines(pipeline->output);

    pipeline->error = error;
    if (error != -EPIPE)
        diag(DIAG_ERROR, "%s: %s; %zu line%s not written, and the watch ends",
             output_name(pipeline), strerror(-error), lines, lines == 1 ? " was" : "s were");
}

/* ---- Event → ledger → filter → summary and output ------------------------------------------- */

/* Failures are counted for a summary even if they are not to be shown. */
static bool is_shown(const struct options *options, const struct event *record)
{
    return options->summary != SUMMARY_ALONE &&
           (options->sets & TRACE(FAIL) || record->code != EVENT_FAIL);
}

static int write_record(struct pipeline *pipeline, const struct event *record)
{
    struct event hosted;

    if (pipeline->options->host == NULL || record->host != NULL)
        return output_event(pipeline->output, record);
    hosted = *record;
    hosted.host = pipeline->options->host;
    hosted.line_lacks_host = true;
    return output_event(pipeline->output, &hosted);
}

static void write_line(void *ctx, const struct event *record)
{
    struct pipeline *pipeline = ctx;
    int result = takes_lines(pipeline) ? write_record(pipeline, record) : 0;

    if (result < 0)
        output_failed(pipeline, result);
}

static void deliver(struct pipeline *pipeline, const struct event *record)
{
    if (pipeline->facts && record->facts)
        facts_complete(pipeline->facts, record->facts);
    if (record->code == EVENT_LOST)
        pipeline->lost += record->lost;
    if (pipeline->summary)
        summary_take(pipeline->summary, record);
    if (!takes_lines(pipeline) || !is_shown(pipeline->options, record))
        return;
    if (pipeline->results)
        results_take(pipeline->results, record);
    else
        write_line(pipeline, record);
}

/* A path that cannot be compared is neither shown nor dropped without being counted. */
static void deliver_lost(struct pipeline *pipeline, const struct event *record)
{
    struct event lost = {
        .code = EVENT_LOST, .lost = 1, .date_us = record->date_us, .host = record->host};

    deliver(pipeline, &lost);
}

static void filter_record(void *ctx, const struct event *record)
{
    struct pipeline *pipeline = ctx;
    int result = recordfilter_match(&pipeline->filter, record);

    if (result > 0)
        deliver(pipeline, record);
    else if (result < 0)
        deliver_lost(pipeline, record);
}

static void print_summary(struct pipeline *pipeline, int64_t date_us)
{
    const struct options *options = pipeline->options;
    struct summary_view view;
    int result;

    if (!takes_lines(pipeline) || !pipeline->summary)
        return;
    view = (struct summary_view){options->format, options->sort, options->top, options->host};
    result = summary_print(pipeline->summary, pipeline->output, &view, date_us);
    if (result < 0)
        output_failed(pipeline, result);
}

void pipeline_print_summary(struct pipeline *pipeline)
{
    print_summary(pipeline,
                  pipeline->read_us > 0 ? pipeline->read_us : clock_ns(CLOCK_REALTIME) / 1000);
}

static void pass_mark(struct pipeline *pipeline)
{
    if (pipeline->awaits_mark)
        pipeline_print_summary(pipeline);
    pipeline->awaits_mark = false;
}

static void take_executable(struct pipeline *pipeline, const struct event *event)
{
    if (pipeline->facts && event->code == EVENT_EXECUTABLE)
        facts_take_executable(pipeline->facts, event);
    else if (pipeline->facts)
        facts_take_arguments(pipeline->facts, event);
}

void pipeline_take(void *ctx, const struct event *event)
{
    struct pipeline *pipeline = ctx;

    if (pipeline->results)
        results_note(pipeline->results, event);
    if (event->code == EVENT_RESULT)
        return;
    if (event->code == EVENT_MARK)
        pass_mark(pipeline);
    else if (event->code == EVENT_EXECUTABLE || event->code == EVENT_ARGUMENTS)
        take_executable(pipeline, event);
    else if (event->path_cut && recordfilter_compares_path(&pipeline->filter, event->code))
        deliver_lost(pipeline, event);
    else if (ledger_take(pipeline->ledger, event) < 0)
        pipeline->lost++;
}

/* A close that was written without -b counts nothing in totals of bytes. */
static void check_bytes(struct pipeline *pipeline, const struct event *record)
{
    bool are_known = record->facts != NULL && (record->facts->known & FACT(BYTES)) != 0;

    if (!pipeline->options->bytes || record->code != EVENT_CLOSE || are_known ||
        pipeline->said_no_bytes)
        return;
    pipeline->said_no_bytes = true;
    diag(DIAG_WARNING,
         "a close was written without -b: it has no bytes, and counts none in the totals");
}

/* Intervals without a record have no totals of their own: they would be those of the last one. */
static void pass_date(struct pipeline *pipeline, int64_t date_us)
{
    int64_t every_us = pipeline->options->every_ms * 1000;

    if (every_us > 0 && pipeline->due_us == 0)
        pipeline->due_us = date_us + every_us;
    if (every_us > 0 && date_us >= pipeline->due_us) {
        print_summary(pipeline, pipeline->due_us);
        pipeline->due_us += ((date_us - pipeline->due_us) / every_us + 1) * every_us;
    }
    if (date_us > pipeline->read_us)
        pipeline->read_us = date_us;
}

void pipeline_take_record(void *ctx, const struct event *record)
{
    struct pipeline *pipeline = ctx;

    if (record->code == EVENT_MARK) {
        pass_mark(pipeline);
        return;
    }
    pass_date(pipeline, record->date_us);
    check_bytes(pipeline, record);
    if (record->path_cut && recordfilter_compares_path(&pipeline->filter, record->code))
        deliver_lost(pipeline, record);
    else
        filter_record(pipeline, record);
}

void pipeline_finish(struct pipeline *pipeline)
{
    if (pipeline->results)
        results_end(pipeline->results);
    pass_mark(pipeline);
    if (pipeline->summary)
        pipeline_print_summary(pipeline);
}

bool pipeline_has_summary(const struct pipeline *pipeline)
{
    return pipeline->summary != NULL;
}

/* ---- The output ----------------------------------------------------------------------------- */

int pipeline_error(const struct pipeline *pipeline)
{
    return pipeline->error;
}

bool pipeline_is_full(const struct pipeline *pipeline)
{
    return takes_lines(pipeline) && output_pending(pipeline->output) > OUTPUT_HIGH_WATER;
}

bool pipeline_is_drained(const struct pipeline *pipeline)
{
    return !takes_lines(pipeline) || output_pending(pipeline->output) == 0;
}

struct pollfd pipeline_pollfd(const struct pipeline *pipeline)
{
    return (struct pollfd){.fd = takes_lines(pipeline) ? output_fd(pipeline->output) : -1,
                           .events = pipeline_is_drained(pipeline) ? 0 : POLLOUT};
}

void pipeline_hangup(struct pipeline *pipeline)
{
    if (takes_lines(pipeline))
        output_failed(pipeline, output_hangup(pipeline->output));
}

void pipeline_write(struct pipeline *pipeline)
{
    int result = takes_lines(pipeline) ? output_write(pipeline->output) : 0;

    if (result < 0)
        output_failed(pipeline, result);
}

bool pipeline_has_file(const struct pipeline *pipeline)
{
    return pipeline->output && pipeline->options->output;
}

/* What output_open() or output_reopen() says of the file. */
static const char *reason(int result)
{
    return result == -EEXIST ? "the file begins with other columns" : strerror(-result);
}

void pipeline_reopen(struct pipeline *pipeline)
{
    int result = pipeline_has_file(pipeline) ? output_reopen(pipeline->output) : 0;

    if (result < 0)
        diag(DIAG_ERROR, "%s: %s; the old file stays in use", output_name(pipeline),
             reason(result));
}

/* ---- Opening and closing -------------------------------------------------------------------- */

static int open_replaced(struct pipeline *pipeline)
{
    const char *file = pipeline->options->output;
    int result = output_open_replaced(&pipeline->output, file);

    if (result == -EEXIST)
        diag(DIAG_ERROR, "%s: it is no regular file, which --every could replace", file);
    else if (result < 0)
        diag(DIAG_ERROR, "%s: %s; --every replaces FILE by one that it makes in the same directory",
             file, strerror(-result));
    return result;
}

/* Of the file, or with NULL of this descriptor.  From other kinds of files, such as terminals, what
 * is written is not read again. */
static bool holds_what_is_written(const char *file, int fd, struct stat *status)
{
    int result = file != NULL ? stat(file, status) : fstat(fd, status);

    return result == 0 && (S_ISREG(status->st_mode) || S_ISFIFO(status->st_mode));
}

/* What is written to the file that is read would be read again, without end. */
static int check_inputs(const struct options *options)
{
    struct stat output, input;

    if (!holds_what_is_written(options->output, STDOUT_FILENO, &output))
        return 0;
    for (char *const *file = options->files; file != NULL && *file != NULL; file++) {
        bool is_stdin = strcmp(*file, "-") == 0;

        if (!holds_what_is_written(is_stdin ? NULL : *file, STDIN_FILENO, &input) ||
            input.st_dev != output.st_dev || input.st_ino != output.st_ino)
            continue;
        diag(DIAG_ERROR, "%s: -r cannot read the file that is written; write to another one",
             is_stdin ? "standard input" : *file);
        return -EINVAL;
    }
    return 0;
}

static int open_output(struct pipeline *pipeline)
{
    const struct options *options = pipeline->options;
    int result = check_inputs(options);

    if (result < 0)
        return result;
    if (options->every_ms > 0 && options->output)
        return open_replaced(pipeline);
    result = output_open(&pipeline->output, options->output, options->format, &options->fields);
    if (result == -EEXIST)
        diag(DIAG_ERROR, "%s: %s; name another FILE, or give -F the columns of this one",
             options->output, reason(result));
    else if (result < 0 && options->output)
        diag(DIAG_ERROR, "%s: %s; -o wants a FILE that can be written, in a directory that exists",
             options->output, strerror(-result));
    else if (result < 0)
        diag(DIAG_ERROR, "standard output: %s; -o FILE writes elsewhere", strerror(-result));
    return result;
}

/* Totals count failures, too. */
static unsigned int counted_sets(const struct options *options)
{
    return options->sets | (options->summary != SUMMARY_NONE ? TRACE(FAIL) : 0);
}

/* Records of files have the names that the machine had which wrote them. */
static bool needs_facts(const struct options *options)
{
    bool replays = options->files != NULL && options->files[0] != NULL;

    return options->fields.facts != 0 && !replays;
}

static unsigned int summary_of(const struct options *options)
{
    return (options->fields.facts & FACT(EXECUTABLE) ? SUMMARY_BY_EXECUTABLE : 0) |
           (options->bytes ? SUMMARY_BYTES : 0);
}

int pipeline_open(struct pipeline *pipeline, const struct options *options,
                  const struct pathfilter *paths)
{
    bool summarizes = options->summary != SUMMARY_NONE, has_facts = needs_facts(options);
    bool has_results = has_facts && options->fields.facts & FACT(RESULT);
    int result = 0;

    *pipeline = (struct pipeline){.options = options,
                                  .filter = {.paths = paths,
                                             .by_inode = options->by_inode,
                                             .patterns = options->patterns,
                                             .sets = counted_sets(options),
                                             .only_failed = options->only_failed}};
    pipeline->ledger = ledger_new(filter_record, pipeline, options->fields.facts & FACT(BYTES));
    if (summarizes)
        pipeline->summary = summary_new(summary_of(options));
    if (has_facts)
        pipeline->facts = facts_new();
    if (has_results)
        pipeline->results = results_new(write_line, pipeline);
    if (!pipeline->ledger || (summarizes && !pipeline->summary) ||
        (has_facts && !pipeline->facts) || (has_results && !pipeline->results)) {
        diag(DIAG_ERROR, "cannot start: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    if (has_facts && options->fields.facts & FACT(GROUP))
        result = facts_find_groups(pipeline->facts);
    return result < 0 ? result : open_output(pipeline);
}

/* The output keeps its first error of writing, and pipeline_close() reports it. */
size_t pipeline_flush(struct pipeline *pipeline)
{
    if (!takes_lines(pipeline))
        return 0;
    if (pipeline->results)
        results_end(pipeline->results);
    output_write(pipeline->output);
    return output_pending_lines(pipeline->output);
}

static int close_output(struct pipeline *pipeline, bool discard)
{
    int result = output_close(pipeline->output, 0);

    if (pipeline->error) /* reported */
        result = pipeline->error;
    else if (discard && result == -ETIMEDOUT)
        result = 0;
    else if (result < 0 && result != -EPIPE)
        diag(DIAG_ERROR, "%s: %s", output_name(pipeline), strerror(-result));
    return result == -EPIPE ? 0 : result;
}

int pipeline_close(struct pipeline *pipeline, bool discard)
{
    int result = pipeline->output ? close_output(pipeline, discard) : 0;

    ledger_free(pipeline->ledger);
    results_free(pipeline->results);
    facts_free(pipeline->facts);
    summary_free(pipeline->summary);
    if (pipeline->lost > 0)
        diag(DIAG_WARNING, "%llu event%s lost", (unsigned long long)pipeline->lost,
             pipeline->lost == 1 ? " was" : "s were");
    *pipeline = (struct pipeline){0};
    return result;
}
