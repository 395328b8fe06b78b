/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "caught.h"
#include "listed.h"
#include "output/output.h"

/* The output is a FIFO, which the test reads. */
struct fixture {
    char fifo[32];
    int reader;
    void *caught;
    struct pathfilter *filter;
    struct options options;
    struct pipeline pipeline;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    signal(SIGPIPE, SIG_IGN);
    strcpy(fixture->fifo, "/tmp/filemon-pipeline-XXXXXX");
    close(mkstemp(fixture->fifo));
    unlink(fixture->fifo);
    if (mkfifo(fixture->fifo, 0600) != 0 || caught_begin(&fixture->caught) != 0)
        return -1;
    fixture->reader = open(fixture->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    fixture->options.output = fixture->fifo;
    fixture->options.fields = *listed(FORMAT_JSON, NULL);
    fixture->options.sets = TRACE(OPEN);
    fixture->filter = pathfilter_new();
    return pathfilter_add(fixture->filter, "/etc", PATHFILTER_INCLUDE, PATHFILTER_RESOLVED);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->reader >= 0)
        close(fixture->reader);
    caught_end(&fixture->caught);
    unlink(fixture->fifo);
    pathfilter_free(fixture->filter);
    free(fixture);
    return 0;
}

static struct pipeline *open_pipeline(struct fixture *fixture)
{
    assert_int_equal(pipeline_open(&fixture->pipeline, &fixture->options, fixture->filter), 0);
    return &fixture->pipeline;
}

static void leave_reader(struct fixture *fixture)
{
    close(fixture->reader);
    fixture->reader = -1;
}

static void take(struct pipeline *pipeline, const char *path, int fd)
{
    struct event event = {.code = EVENT_OPEN,
                          .comm = "comm",
                          .pid = 7,
                          .table = 7,
                          .path = path,
                          .path_len = strlen(path),
                          .fd = fd};

    pipeline_take(pipeline, &event);
}

static void take_mark(struct pipeline *pipeline)
{
    struct event mark = {.code = EVENT_MARK};

    pipeline_take(pipeline, &mark);
}

/* Returns what the reader has received since the last call. */
static const char *written(struct fixture *fixture)
{
    static char text[65536];
    ssize_t size;

    pipeline_write(&fixture->pipeline);
    size = read(fixture->reader, text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void test_ledger_filter_output(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline = open_pipeline(fixture);
    struct event exited = {.code = EVENT_EXIT, .comm = "comm", .pid = 7, .table = 7};
    const char *text;

    take(pipeline, "/etc/hosts", 3);
    take(pipeline, "/usr/share/dict", 4);
    assert_false(pipeline_is_drained(pipeline));
    assert_int_equal(pipeline_pollfd(pipeline).events, POLLOUT);
    text = written(fixture);
    assert_non_null(strstr(text, "\"codigo\":\"open\""));
    assert_non_null(strstr(text, "/etc/hosts"));
    assert_null(strstr(text, "/usr"));
    assert_true(pipeline_is_drained(pipeline));
    assert_int_equal(pipeline_pollfd(pipeline).events, 0);
    pipeline_take(pipeline, &exited);
    text = written(fixture);
    assert_non_null(strstr(text, "\"motivo\":\"exit\""));
    assert_null(strstr(text, "/usr"));
    assert_int_equal(pipeline_close(pipeline, false), 0);
    assert_string_equal(caught_line(&fixture->caught), "");
}

/* What engines add as numbers is written with its name. */
static void test_names_of_facts(void **state)
{
    struct fixture *fixture = *state;
    struct event_facts facts = {.known = FACT(USER)};
    struct event event = {
        .code = EVENT_FAIL, .comm = "comm", .path = "/etc/x", .path_len = 6, .facts = &facts};
    struct pipeline *pipeline;

    fixture->options.sets |= TRACE(FAIL);
    fixture->options.fields = *listed(FORMAT_JSON, "uid,usuario");
    pipeline = open_pipeline(fixture);
    pipeline_take(pipeline, &event);
    facts.user = 4294967294;
    pipeline_take(pipeline, &event);
    assert_string_equal(written(fixture),
                        "{\"uid\":0,\"usuario\":\"root\"}\n{\"uid\":4294967294}\n");
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

static void test_totals_by_executable(void **state)
{
    struct fixture *fixture = *state;
    struct event_facts facts = {.known = FACT(EXECUTABLE), .executable = 5};
    struct event event = {.code = EVENT_EXECUTABLE, .path = "/bin/cat", .path_len = 8};
    struct pipeline *pipeline;

    fixture->options.summary = SUMMARY_ALONE;
    fixture->options.fields = *listed(FORMAT_JSON, "ejecutable");
    pipeline = open_pipeline(fixture);
    event.facts = &facts;
    pipeline_take(pipeline, &event);
    event = (struct event){.code = EVENT_FAIL, .comm = "comm", .path = "/etc/x", .path_len = 6};
    event.facts = &facts;
    pipeline_take(pipeline, &event);
    pipeline_finish(pipeline);
    assert_non_null(strstr(written(fixture), "\"ejecutables\":[{\"ejecutable\":\"/bin/cat\","));
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

/* Programs of the totals are executables only if that is asked for. */
static void test_arguments(void **state)
{
    struct fixture *fixture = *state;
    struct event_facts facts = {.known = FACT(EXECUTABLE), .executable = 5};
    struct event event = {
        .code = EVENT_EXECUTABLE, .path = "/bin/cat", .path_len = 8, .facts = &facts};
    struct pipeline *pipeline;

    fixture->options.sets |= TRACE(FAIL);
    fixture->options.summary = SUMMARY_AFTER;
    fixture->options.fields = *listed(FORMAT_JSON, "argumentos");
    pipeline = open_pipeline(fixture);
    pipeline_take(pipeline, &event);
    event = (struct event){
        .code = EVENT_ARGUMENTS, .path = "cat \x1b", .path_len = 5, .facts = &facts};
    pipeline_take(pipeline, &event);
    event = (struct event){
        .code = EVENT_FAIL, .comm = "comm", .path = "/etc/x", .path_len = 6, .facts = &facts};
    pipeline_take(pipeline, &event);
    assert_string_equal(written(fixture), "{\"argumentos\":\"cat \\u001b\"}\n");
    pipeline_finish(pipeline);
    assert_non_null(strstr(written(fixture), "\"procesos\":[{\"proceso\":\"comm\","));
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

/* The close waits for its result, and the next record of its process for the close. */
static void test_results_of_closes(void **state)
{
    struct fixture *fixture = *state;
    struct event_facts facts = {.known = 0};
    struct event event = {.code = EVENT_OPEN,
                          .pid = 1,
                          .tid = 1,
                          .table = 7,
                          .fd = 3,
                          .comm = "comm",
                          .path = "/etc/x",
                          .path_len = 6,
                          .mode = EVENT_NO_MODE,
                          .facts = &facts};
    struct pipeline *pipeline;

    fixture->options.fields = *listed(FORMAT_JSON, "codigo,retorno");
    pipeline = open_pipeline(fixture);
    pipeline_take(pipeline, &event);
    facts.known = FACT(RESULT);
    event.code = EVENT_CLOSE;
    event.reason = REASON_CLOSE;
    pipeline_take(pipeline, &event);
    facts.known = 0;
    event.code = EVENT_OPEN;
    event.tid = 2;
    pipeline_take(pipeline, &event);
    assert_string_equal(written(fixture), "{\"codigo\":\"open\"}\n");
    event = (struct event){.code = EVENT_RESULT, .pid = 1, .tid = 1, .table = 7, .fd = -EIO};
    pipeline_take(pipeline, &event);
    assert_string_equal(written(fixture),
                        "{\"codigo\":\"close\",\"retorno\":\"EIO\"}\n"
                        "{\"codigo\":\"open\"}\n");
    facts.known = FACT(RESULT);
    event = (struct event){
        .code = EVENT_CLOSE, .pid = 1, .tid = 1, .table = 7, .fd = 3, .comm = "", .facts = &facts};
    pipeline_take(pipeline, &event);
    assert_string_equal(written(fixture), "");
    assert_int_equal(pipeline_flush(pipeline), 0); /* its result is not waited for */
    assert_string_equal(written(fixture), "{\"codigo\":\"close\"}\n");
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

static void count_bytes(struct pipeline *pipeline, int fd, uint64_t read)
{
    struct event_facts facts = {.known = FACT(BYTES), .bytes = {.read = read, .reads = 1}};
    struct event event = {.code = EVENT_BYTES, .table = 7, .fd = fd, .facts = &facts};

    pipeline_take(pipeline, &event);
}

static void test_bytes_of_closes(void **state)
{
    struct fixture *fixture = *state;
    struct event exited = {.code = EVENT_EXIT, .comm = "comm", .pid = 7, .table = 7};
    struct pipeline *pipeline;

    fixture->options.bytes = true;
    fixture->options.summary = SUMMARY_AFTER;
    fixture->options.fields = *listed(FORMAT_JSON, "codigo,leidos,lecturas,mapeado");
    pipeline = open_pipeline(fixture);
    take(pipeline, "/etc/hosts", 3);
    take(pipeline, "/etc/passwd", 4);
    count_bytes(pipeline, 3, 4096);
    pipeline_take(pipeline, &exited);
    pipeline_finish(pipeline);
    const char *text = written(fixture);
    const char *records =
        "{\"codigo\":\"open\"}\n"
        "{\"codigo\":\"open\"}\n"
        "{\"codigo\":\"close\",\"leidos\":4096,\"lecturas\":1,\"mapeado\":false}\n"
        "{\"codigo\":\"close\",\"leidos\":0,\"lecturas\":0,\"mapeado\":false}\n";
    assert_memory_equal(text, records, strlen(records));
    assert_non_null(
        strstr(text, ",\"leidos\":4096,\"escritos\":0,\"lecturas\":1,\"escrituras\":0,"));
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

/* Totals that silently lack some would be wrong. */
static void test_records_without_bytes_are_reported(void **state)
{
    struct fixture *fixture = *state;
    struct event_facts facts = {.known = FACT(BYTES)};
    struct event record = {
        .code = EVENT_CLOSE, .comm = "c", .path = "/etc/x", .path_len = 6, .facts = &facts};
    struct pipeline *pipeline;

    fixture->options.bytes = true;
    pipeline = open_pipeline(fixture);
    pipeline_take_record(pipeline, &record);
    assert_string_equal(caught_line(&fixture->caught), "");
    record.facts = NULL;
    pipeline_take_record(pipeline, &record);
    pipeline_take_record(pipeline, &record);
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a close was written without -b: it has no bytes, and counts none "
                        "in the totals\n");
    assert_string_equal(caught_line(&fixture->caught), "");
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

/* The kernel's side has cut the path, so nobody knows whether a PATH matches it. */
static void test_cut_path_is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline = open_pipeline(fixture);
    struct event cut = {.code = EVENT_OPEN, .table = 7, .path = "", .fd = 3, .path_cut = true};

    pipeline_take(pipeline, &cut);
    assert_non_null(strstr(written(fixture), "\"perdidos\":1"));
    assert_int_equal(pipeline_close(pipeline, false), 0);
    assert_string_equal(caught_line(&fixture->caught), "filemon: 1 event was lost\n");
}

/* As they were read: nothing is paired, the close of a file that was never opened is shown. */
static void test_records_pass_the_ledger_by(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline = open_pipeline(fixture);
    struct event record = {.code = EVENT_CLOSE,
                           .comm = "c",
                           .path = "/etc/x",
                           .path_len = 6,
                           .fd = 3,
                           .duration_ns = 5};
    const char *text;

    pipeline_take_record(pipeline, &record);
    record.path = "/usr/x";
    pipeline_take_record(pipeline, &record);
    record.path_cut = true;
    pipeline_take_record(pipeline, &record);
    text = written(fixture);
    assert_non_null(strstr(text, "\"fichero\":\"/etc/x\""));
    assert_non_null(strstr(text, "\"duracion_ns\":5"));
    assert_non_null(strstr(text, "\"perdidos\":1"));
    assert_null(strstr(text, "/usr/x"));
    assert_int_equal(pipeline_close(pipeline, false), 0);
    assert_string_equal(caught_line(&fixture->caught), "filemon: 1 event was lost\n");
}

static void test_summary_at_mark_and_at_end(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline;

    fixture->options.summary = SUMMARY_ALONE;
    pipeline = open_pipeline(fixture);
    take(pipeline, "/etc/hosts", 3);
    take_mark(pipeline); /* nobody asked for this mark */
    assert_string_equal(written(fixture), "");
    pipeline->awaits_mark = true;
    take_mark(pipeline);
    assert_non_null(strstr(written(fixture), "/etc/hosts"));
    pipeline->awaits_mark = true;
    pipeline_finish(pipeline);
    assert_int_equal(output_pending_lines(pipeline->output), 2);
    assert_int_equal(pipeline_close(pipeline, false), 0);
}

static void test_reader_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline = open_pipeline(fixture);

    take(pipeline, "/etc/hosts", 3);
    leave_reader(fixture);
    pipeline_write(pipeline);
    assert_int_equal(pipeline_error(pipeline), -EPIPE);
    assert_true(pipeline_is_drained(pipeline));
    assert_int_equal(pipeline_pollfd(pipeline).fd, -1);
    take(pipeline, "/etc/passwd", 4);
    assert_int_equal(pipeline_flush(pipeline), 0);
    assert_int_equal(pipeline_close(pipeline, false), 0);
    assert_string_equal(caught_line(&fixture->caught), "");
}

static void test_output_fails(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline;

    fixture->options.output = "/dev/full";
    pipeline = open_pipeline(fixture);
    take(pipeline, "/etc/hosts", 3);
    pipeline_write(pipeline);
    assert_int_equal(pipeline_error(pipeline), -ENOSPC);
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: /dev/full: No space left on device; 1 line was not written, and "
                        "the watch ends\n");
    assert_int_equal(pipeline_close(pipeline, false), -ENOSPC);
    assert_string_equal(caught_line(&fixture->caught), "");
}

static void fill(struct pipeline *pipeline)
{
    for (int fd = 0; !pipeline_is_full(pipeline); fd++)
        take(pipeline, "/etc/hosts", fd);
}

static void test_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    struct pipeline *pipeline = open_pipeline(fixture);

    fill(pipeline);
    assert_int_not_equal(pipeline_flush(pipeline), 0);
    assert_int_equal(pipeline_close(pipeline, true), 0);
    assert_string_equal(caught_line(&fixture->caught), "");

    fill(open_pipeline(fixture));
    assert_int_equal(pipeline_close(pipeline, false), -ETIMEDOUT);
    assert_non_null(strstr(caught_line(&fixture->caught), "Connection timed out"));
}

static void test_refused_output(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.output = "/no/directory/file";
    assert_int_equal(pipeline_open(&fixture->pipeline, &fixture->options, fixture->filter),
                     -ENOENT);
    assert_non_null(strstr(caught_line(&fixture->caught), "-o wants a FILE that can be written"));
    assert_int_equal(pipeline_close(&fixture->pipeline, false), 0);
}

static void test_zeros(void **state)
{
    struct pipeline pipeline = {0};

    (void)state;
    assert_false(pipeline_is_full(&pipeline));
    assert_true(pipeline_is_drained(&pipeline));
    assert_int_equal(pipeline_pollfd(&pipeline).fd, -1);
    assert_false(pipeline_has_file(&pipeline));
    pipeline_hangup(&pipeline);
    pipeline_write(&pipeline);
    pipeline_reopen(&pipeline);
    pipeline_finish(&pipeline);
    assert_int_equal(pipeline_error(&pipeline), 0);
    assert_int_equal(pipeline_flush(&pipeline), 0);
    assert_int_equal(pipeline_close(&pipeline, false), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ledger_filter_output),
        TEST(test_names_of_facts),
        TEST(test_totals_by_executable),
        TEST(test_arguments),
        TEST(test_bytes_of_closes),
        TEST(test_results_of_closes),
        TEST(test_records_without_bytes_are_reported),
        TEST(test_cut_path_is_lost),
        TEST(test_records_pass_the_ledger_by),
        TEST(test_summary_at_mark_and_at_end),
        TEST(test_reader_leaves),
        TEST(test_output_fails),
        TEST(test_slow_reader),
        TEST(test_refused_output),
        cmocka_unit_test(test_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
