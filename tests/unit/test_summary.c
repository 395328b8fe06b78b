/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "output/columns.h"
#include "output/summary.h"

static int make(void **state)
{
    *state = summary_new(0);
    return *state == NULL;
}

static int release(void **state)
{
    summary_free(*state);
    return 0;
}

static void take(void **state, enum event_code code, const char *comm, const char *path,
                 uint64_t duration_ns)
{
    struct event event = {.code = code,
                          .comm = comm,
                          .path = path,
                          .path_len = path != NULL ? strlen(path) : 0,
                          .fd = code == EVENT_FAIL ? -ENOENT : 3,
                          .duration_ns = duration_ns,
                          .lost = 7};

    summary_take(*state, &event);
}

static void take_pair(void **state, const char *comm, const char *path, uint64_t duration_ns)
{
    take(state, EVENT_OPEN, comm, path, 0);
    take(state, EVENT_CLOSE, comm, path, duration_ns);
}

/* The caller frees the result. */
static char *written_as(void **state, const struct summary_view *view, size_t columns)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(summary_write(*state, out, view, columns, 1310920975123456), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(strlen(text), size);
    return text;
}

static char *written(void **state, enum output_format format, size_t columns)
{
    struct summary_view view = {.format = format, .top = SUMMARY_TOP_DEFAULT};

    return written_as(state, &view, columns);
}

static json_t *object_of(void **state, const struct summary_view *view)
{
    char *text = written_as(state, view, COLUMNS_UNLIMITED);
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (object == NULL)
        fail_msg("%s: %s", error.text, text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    free(text);
    return object;
}

static json_t *object(void **state)
{
    struct summary_view view = {.format = FORMAT_JSON, .top = SUMMARY_TOP_DEFAULT};

    return object_of(state, &view);
}

static json_int_t number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* expected: opens, failures, open, closes, total, mean and max. */
static void assert_counts(const json_t *object, const json_int_t expected[7])
{
    static const char *const keys[] = {"aperturas", "fallos",   "abiertos", "cierres",
                                       "total_ns",  "media_ns", "max_ns"};

    for (size_t i = 0; i < 7; i++)
        assert_int_equal(number(object, keys[i]), expected[i]);
}

#define COUNTS(object, ...) assert_counts(object, (const json_int_t[7]){__VA_ARGS__})

static json_t *at(const json_t *object, const char *key, size_t index)
{
    return json_array_get(json_object_get(object, key), index);
}

static size_t length(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key));
}

static void empty_summary(void **state)
{
    json_t *summary = object(state);
    char *text = written(state, FORMAT_TEXT, COLUMNS_UNLIMITED);

    assert_string_equal(string(summary, "codigo"), "resumen");
    assert_int_equal(number(summary, "date"), 1310920975123);
    assert_int_equal(number(summary, "date_us"), 1310920975123456);
    COUNTS(summary, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(length(summary, "ficheros"), 0);
    assert_int_equal(length(summary, "procesos"), 0);
    assert_int_equal(length(summary, "histograma"), 0);
    assert_int_equal(number(summary, "perdidos"), 0);
    assert_string_equal(text,
                        "0 opens, 0 that failed, 0 still open\n"
                        "\n"
                        "  opens  failed  closes    open   total    mean     max  file\n"
                        "\n"
                        "  opens  failed  closes    open   total    mean     max  program\n");
    json_decref(summary);
    free(text);
}

static void files_and_programs_are_counted(void **state)
{
    take_pair(state, "cat", "/a", 100);
    take_pair(state, "cat", "/a", 301);
    take(state, EVENT_OPEN, "ls", "/a", 0);
    take_pair(state, "ls", "/b", 5000);
    take(state, EVENT_FAIL, "ls", "/c", 0);
    take(state, EVENT_LOST, NULL, NULL, 0);
    take(state, EVENT_LOST, NULL, NULL, 0);
    json_t *summary = object(state);
    COUNTS(summary, 4, 1, 1, 3, 5401, 1800, 5000);
    assert_int_equal(length(summary, "ficheros"), 3);
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero"), "/a");
    COUNTS(at(summary, "ficheros", 0), 3, 0, 1, 2, 401, 200, 301);
    assert_string_equal(string(at(summary, "ficheros", 1), "fichero"), "/b");
    COUNTS(at(summary, "ficheros", 1), 1, 0, 0, 1, 5000, 5000, 5000);
    assert_string_equal(string(at(summary, "ficheros", 2), "fichero"), "/c");
    COUNTS(at(summary, "ficheros", 2), 0, 1, 0, 0, 0, 0, 0);
    COUNTS(json_object_get(summary, "otros_ficheros"), 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(length(summary, "procesos"), 2);
    assert_string_equal(string(at(summary, "procesos", 0), "proceso"), "ls");
    COUNTS(at(summary, "procesos", 0), 2, 1, 1, 1, 5000, 5000, 5000);
    assert_string_equal(string(at(summary, "procesos", 1), "proceso"), "cat");
    COUNTS(at(summary, "procesos", 1), 2, 0, 0, 2, 401, 200, 301);
    assert_int_equal(number(summary, "perdidos"), 14);
    json_decref(summary);
}

/* Writing the totals does not reset them. */
static void it_can_be_written_repeatedly(void **state)
{
    take_pair(state, "cat", "/b", 1);
    json_decref(object(state));
    take_pair(state, "cat", "/a", 1);
    take_pair(state, "cat", "/a", 1);
    json_decref(object(state));
    take_pair(state, "cat", "/b", 1);
    take_pair(state, "cat", "/b", 1);
    json_t *summary = object(state);
    assert_int_equal(length(summary, "ficheros"), 2);
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero"), "/b");
    assert_int_equal(number(at(summary, "ficheros", 0), "aperturas"), 3);
    assert_int_equal(number(at(summary, "ficheros", 1), "aperturas"), 2);
    json_decref(summary);
}

static void copies_and_held_files_are_open(void **state)
{
    take(state, EVENT_HELD, "x", "/held", 0);
    take(state, EVENT_OPEN, "x", "/a", 0);
    take(state, EVENT_DUP, "x", "/a", 0);
    take(state, EVENT_DUP, "x", "/a", 0);
    take(state, EVENT_ERROR, "x", "/a", 0);
    json_t *summary = object(state);
    COUNTS(summary, 1, 0, 3, 0, 0, 0, 0);
    COUNTS(at(summary, "ficheros", 0), 1, 0, 2, 0, 0, 0, 0);
    COUNTS(at(summary, "ficheros", 1), 0, 0, 1, 0, 0, 0, 0);
    json_decref(summary);
}

static void take_descriptor(void **state, enum event_code code, const char *comm, pid_t pid, int fd,
                            uint64_t table, const char *host)
{
    struct event event = {.code = code,
                          .comm = comm,
                          .path = "/a",
                          .path_len = 2,
                          .pid = pid,
                          .fd = fd,
                          .table = table,
                          .host = host,
                          .duration_ns = 10};

    summary_take(*state, &event);
}

/* After an exec the comm of a close differs from that of the open. */
static void closes_by_another_comm(void **state)
{
    take(state, EVENT_OPEN, "sh", "/a", 0);
    take(state, EVENT_CLOSE, "ls", "/a", 10);
    take(state, EVENT_OPEN, "ls", "/a", 0);
    take(state, EVENT_ERROR, "sh", "/a", 0);
    take(state, EVENT_DUP, "sh", "/a", 0);
    json_t *summary = object(state);
    COUNTS(summary, 2, 0, 1, 1, 10, 10, 10);
    assert_string_equal(string(at(summary, "procesos", 0), "proceso"), "ls");
    COUNTS(at(summary, "procesos", 0), 1, 0, 0, 1, 10, 10, 10);
    COUNTS(at(summary, "procesos", 1), 1, 0, 1, 0, 0, 0, 0);
    json_decref(summary);
}

/* A close is that of the open of the same table, process, descriptor and host. */
static void closes_find_their_opens(void **state)
{
    static const struct {
        pid_t pid;
        int fd;
        uint64_t table;
        const char *host;
    } cases[] = {{1, 3, 0, NULL},    {2, 3, 0, NULL}, {1, 4, 0, NULL},
                 {1, 3, 0x10, NULL}, {1, 3, 0, "a"},  {1, 3, 0, "b"}};
    size_t n = sizeof(cases) / sizeof(cases[0]);
    char comm[] = "opener0";

    for (size_t i = 0; i < n; i++, comm[6]++)
        take_descriptor(state, EVENT_OPEN, comm, cases[i].pid, cases[i].fd, cases[i].table,
                        cases[i].host);
    for (size_t i = 0; i < n; i += 2)
        take_descriptor(state, EVENT_CLOSE, "x", cases[i].pid, cases[i].fd, cases[i].table,
                        cases[i].host);
    json_t *summary = object(state);
    assert_int_equal(number(summary, "abiertos"), n / 2);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(number(at(summary, "procesos", i), "abiertos"), i % 2);
    json_decref(summary);
}

/* A close without its open, and what is opened after it. */
static void open_descriptors_are_not_negative(void **state)
{
    take(state, EVENT_CLOSE, "x", "/a", 10);
    json_t *summary = object(state);
    COUNTS(summary, 0, 0, 0, 1, 10, 10, 10);
    COUNTS(at(summary, "procesos", 0), 0, 0, 0, 1, 10, 10, 10);
    json_decref(summary);
}

static void descriptors_beyond_the_limit(void **state)
{
    for (int fd = 0; fd <= (int)SUMMARY_DESCRIPTORS; fd++)
        take_descriptor(state, EVENT_OPEN, "sh", 1, fd, 1, NULL);
    for (int fd = 0; fd <= (int)SUMMARY_DESCRIPTORS; fd++)
        take_descriptor(state, EVENT_CLOSE, "ls", 1, fd, 1, NULL);
    json_t *summary = object(state);
    assert_int_equal(number(summary, "abiertos"), 0);
    assert_int_equal(number(at(summary, "procesos", 0), "abiertos"), 1);
    take_descriptor(state, EVENT_OPEN, "cat", 1, 3, 1, NULL); /* there is room again */
    take_descriptor(state, EVENT_CLOSE, "ls", 1, 3, 1, NULL);
    json_decref(summary);
    summary = object(state);
    assert_string_equal(string(at(summary, "procesos", 1), "proceso"), "cat");
    assert_int_equal(number(at(summary, "procesos", 1), "abiertos"), 0);
    json_decref(summary);
}

static void histogram_of_times(void **state)
{
    static const struct {
        uint64_t ns;
        json_int_t from, to;
    } cases[] = {{0, 0, 2},
                 {1, 0, 2},
                 {2, 2, 4},
                 {3, 2, 4},
                 {4, 4, 8},
                 {1023, 512, 1024},
                 {1024, 1024, 2048},
                 {UINT64_C(1) << 52, INT64_C(1) << 52, (INT64_C(1) << 53) - 1},
                 {UINT64_MAX, (INT64_C(1) << 53) - 1, (INT64_C(1) << 53) - 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *one = summary_new(0);
        take_pair(&one, "x", "/a", cases[i].ns);
        json_t *summary = object(&one);
        assert_int_equal(length(summary, "histograma"), 1);
        assert_int_equal(number(at(summary, "histograma", 0), "desde_ns"), cases[i].from);
        assert_int_equal(number(at(summary, "histograma", 0), "hasta_ns"), cases[i].to);
        assert_int_equal(number(at(summary, "histograma", 0), "cierres"), 1);
        json_decref(summary);
        summary_free(one);
    }
    (void)state;
}

static void sums_do_not_wrap(void **state)
{
    take_pair(state, "x", "/a", UINT64_MAX);
    take_pair(state, "x", "/a", 5);
    json_t *summary = object(state);
    assert_int_equal(number(summary, "total_ns"), (INT64_C(1) << 53) - 1);
    json_decref(summary);
}

static void names_of_any_bytes(void **state)
{
    take_pair(state, "\xff\"\n", "/\xff\"\x1b", 1);
    json_t *summary = object(state);
    char *text = written(state, FORMAT_TEXT, COLUMNS_UNLIMITED);
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero"), "/\xef\xbf\xbd\"\x1b");
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero_hex"), "2fff221b");
    assert_string_equal(string(at(summary, "procesos", 0), "proceso"), "\xef\xbf\xbd\"\n");
    assert_non_null(strstr(text, "  /\\xff\"\\x1b\n"));
    assert_non_null(strstr(text, "  \\xff\"\\n\n"));
    json_decref(summary);
    free(text);
}

/* With more files than rows the first files keep their rows, and the sums are right. */
static void rows_beyond_the_limit_are_summed(void **state)
{
    char path[32], comm[EVENT_COMM_SIZE];

    for (int i = 0; i < SUMMARY_FILES + 1000; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        snprintf(comm, sizeof(comm), "%d", i);
        take_pair(state, comm, path, 2);
    }
    take_pair(state, "0", "/0", 10);
    json_t *summary = object(state);
    char *text = written(state, FORMAT_TEXT, COLUMNS_UNLIMITED);
    assert_int_equal(length(summary, "ficheros"), SUMMARY_FILES);
    assert_int_equal(length(summary, "procesos"), SUMMARY_PROGRAMS);
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero"), "/0");
    COUNTS(at(summary, "ficheros", 0), 2, 0, 0, 2, 12, 6, 10);
    COUNTS(json_object_get(summary, "otros_ficheros"), 1000, 0, 0, 1000, 2000, 2, 2);
    assert_int_equal(number(summary, "aperturas"), SUMMARY_FILES + 1001);
    assert_non_null(
        strstr(text,
               "  17364       0   17364       0  34.7µs     2ns     2ns  (16364 others, and "
               "more that were not counted separately)\n"));
    json_decref(summary);
    free(text);
}

static void bytes_of_paths_are_limited(void **state)
{
    char path[4096];

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    for (int i = 0; i < 3000; i++) {
        path[sprintf(path, "/%d", i)] = '/';
        take(state, EVENT_OPEN, "x", path, 0);
    }
    json_t *summary = object(state);
    assert_int_equal(length(summary, "ficheros"), SUMMARY_PATH_BYTES / 4095);
    assert_int_equal(number(json_object_get(summary, "otros_ficheros"), "aperturas"),
                     3000 - SUMMARY_PATH_BYTES / 4095);
    assert_int_equal(number(at(summary, "procesos", 0), "aperturas"), 3000);
    json_decref(summary);
}

static void text_tables(void **state)
{
    for (int i = 0; i < 3; i++)
        take_pair(state, "getent", "/etc/hosts", 3000);
    take_pair(state, "getent", "/etc/nsswitch.conf", 6000);
    take(state, EVENT_OPEN, "getent", "/var/lib/x", 0);
    take(state, EVENT_FAIL, "getent", "/nothing", 0);
    take(state, EVENT_LOST, NULL, NULL, 0);
    char *text = written(state, FORMAT_TEXT, COLUMNS_UNLIMITED);
    assert_string_equal(
        text,
        "5 opens, 1 that failed, 1 still open\n"
        "7 events lost\n"
        "\n"
        "  opens  failed  closes    open   total    mean     max  file\n"
        "      3       0       3       0  9.00µs  3.00µs  3.00µs  /etc/hosts\n"
        "      1       0       1       0  6.00µs  6.00µs  6.00µs  /etc/nsswitch.conf\n"
        "      1       0       0       1       -       -       -  /var/lib/x\n"
        "      0       1       0       0       -       -       -  /nothing\n"
        "\n"
        "  opens  failed  closes    open   total    mean     max  program\n"
        "      5       1       4       1  15.0µs  3.75µs  6.00µs  getent\n"
        "\n"
        "          time open    closes\n"
        "  2.04µs to  4.09µs         3 |##############################|\n"
        "  4.09µs to  8.19µs         1 |##########                    |\n");
    free(text);
}

/* The column is there only if there is something in it. */
static void other_calls_have_a_column(void **state)
{
    take_pair(state, "mv", "/etc/hosts", 3000);
    take(state, EVENT_RENAME, "mv", "/etc/hosts", 0);
    take(state, EVENT_CHMOD, "mv", "/etc/hosts", 0);
    char *text = written(state, FORMAT_TEXT, COLUMNS_UNLIMITED);
    assert_non_null(strstr(text, "1 opens, 0 that failed, 0 still open, 2 other calls\n"));
    assert_non_null(strstr(text, "    mean     max   calls  file\n"));
    assert_non_null(strstr(text, "  3.00µs  3.00µs       2  /etc/hosts\n"));
    assert_non_null(strstr(text, "  3.00µs  3.00µs       2  mv\n"));
    free(text);
    text = written(state, FORMAT_JSON, 0);
    assert_non_null(strstr(text, "\"max_ns\":3000,\"llamadas\":2,\"ficheros\""));
    assert_non_null(strstr(text, "\"max_ns\":3000,\"llamadas\":2}],\"otros_ficheros\""));
    free(text);
}

static void tables_fit_the_screen(void **state)
{
    take_pair(state, "x", "/usr/share/javascript/very/deep/down/there/is/a/file.js", 1);
    for (int i = 0; i < 25; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/%d", i);
        take_pair(state, "x", path, 1);
    }
    char *text = written(state, FORMAT_TEXT, 80);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
        assert_true(columns_of(line, strlen(line)) <= 80);
    free(text);
    text = written(state, FORMAT_TEXT, 80);
    assert_non_null(strstr(text, "(6 others)\n"));
    free(text);
}

/* Compares the names of the rows, each followed by a blank, in this order, with at most top rows.
 */
static void assert_order(void **state, enum summary_sort sort, int top, const char *expected)
{
    struct summary_view view = {.format = FORMAT_JSON, .sort = sort, .top = top};
    json_t *summary = object_of(state, &view);
    char names[64] = "";

    for (size_t i = 0; i < length(summary, "ficheros"); i++)
        strcat(strcat(names, string(at(summary, "ficheros", i), "fichero")), " ");
    assert_string_equal(names, expected);
    json_decref(summary);
}

/* /a has most failures, /b most opens, /c the longest time, /d and /e the same opens and failures,
 * and /f only a close. */
static void take_various(void **state)
{
    for (int i = 0; i < 3; i++)
        take_pair(state, "x", "/b", 10);
    take_pair(state, "x", "/e", 1);
    take_pair(state, "x", "/d", 1);
    take(state, EVENT_FAIL, "x", "/a", 0);
    take(state, EVENT_FAIL, "x", "/a", 0);
    take_pair(state, "x", "/c", 1000);
    take(state, EVENT_FAIL, "x", "/c", 0);
    take(state, EVENT_HELD, "x", "/f", 0);
    take(state, EVENT_CLOSE, "x", "/f", 50);
}

static void rows_are_sorted(void **state)
{
    take_various(state);
    assert_order(state, SORT_OPENS, SUMMARY_TOP_DEFAULT, "/b /c /d /e /a /f ");
    assert_order(state, SORT_TIME, SUMMARY_TOP_DEFAULT, "/c /f /b /d /e /a ");
    assert_order(state, SORT_FAILED, SUMMARY_TOP_DEFAULT, "/a /c /b /d /e /f ");
    assert_order(state, SORT_NAME, SUMMARY_TOP_DEFAULT, "/a /b /c /d /e /f ");
}

/* The row of the others is the sum of the rows that are not shown in this order. */
static void top_rows_and_the_sum_of_the_others(void **state)
{
    struct summary_view view = {.format = FORMAT_JSON, .sort = SORT_TIME, .top = 2};

    take_various(state);
    assert_order(state, SORT_TIME, 0, "/c /f /b /d /e /a ");
    assert_order(state, SORT_TIME, 2, "/c /f ");
    assert_order(state, SORT_TIME, 6, "/c /f /b /d /e /a ");
    assert_order(state, SORT_TIME, 1000000, "/c /f /b /d /e /a ");
    json_t *summary = object_of(state, &view);
    COUNTS(json_object_get(summary, "otros_ficheros"), 5, 2, 0, 5, 32, 6, 10);
    COUNTS(json_object_get(summary, "otros_procesos"), 0, 0, 0, 0, 0, 0, 0);
    json_decref(summary);
    view.format = FORMAT_TEXT;
    view.top = 5;
    char *text = written_as(state, &view, COLUMNS_UNLIMITED);
    assert_non_null(strstr(text,
                           "      1       0       1       0     1ns     1ns     1ns  /e\n"
                           "      0       2       0       0       -       -       -  "
                           "(1 other)\n"));
    free(text);
}

static void all_rows_in_text(void **state)
{
    struct summary_view view = {.format = FORMAT_TEXT, .top = 0};
    char path[32];

    for (int i = 0; i < 25; i++) {
        snprintf(path, sizeof(path), "/%d.", i);
        take_pair(state, "x", path, 1);
    }
    char *text = written_as(state, &view, COLUMNS_UNLIMITED);
    for (int i = 0; i < 25; i++) {
        snprintf(path, sizeof(path), "/%d.\n", i);
        assert_non_null(strstr(text, path));
    }
    assert_null(strstr(text, "other"));
    free(text);
}

static int make_by_executable(void **state)
{
    *state = summary_new(SUMMARY_BY_EXECUTABLE);
    return *state == NULL;
}

/* Threads of one program have many names; where no executable is known, the name has to do. */
static void programs_are_executables(void **state)
{
    struct event_facts facts = {.known = FACT(EXECUTABLE), .executable_path = "/bin/\xff"};
    struct event event = {.code = EVENT_OPEN, .comm = "one", .path = "/a", .path_len = 2};
    json_t *summary;

    event.facts = &facts;
    summary_take(*state, &event);
    event.comm = "two";
    summary_take(*state, &event);
    facts = (struct event_facts){.known = 0};
    summary_take(*state, &event);
    facts = (struct event_facts){.known = FACT(EXECUTABLE)};
    summary_take(*state, &event);
    event.facts = NULL;
    summary_take(*state, &event);
    summary = object(state);
    assert_null(json_object_get(summary, "procesos"));
    assert_int_equal(length(summary, "ejecutables"), 2);
    assert_string_equal(string(at(summary, "ejecutables", 0), "ejecutable"), "two");
    COUNTS(at(summary, "ejecutables", 0), 3, 0, 3, 0, 0, 0, 0);
    assert_string_equal(string(at(summary, "ejecutables", 1), "ejecutable_hex"), "2f62696e2fff");
    COUNTS(at(summary, "ejecutables", 1), 2, 0, 2, 0, 0, 0, 0);
    COUNTS(json_object_get(summary, "otros_ejecutables"), 0, 0, 0, 0, 0, 0, 0);
    json_decref(summary);
}

static void totals_name_their_machine(void **state)
{
    struct summary_view view = {.format = FORMAT_JSON, .host = "web-1"};
    json_t *summary = object_of(state, &view);
    char *text;

    assert_string_equal(string(summary, "maquina"), "web-1");
    json_decref(summary);
    view.format = FORMAT_TEXT;
    text = written_as(state, &view, 80);
    assert_ptr_equal(strstr(text, "web-1: 0 opens, "), text);
    free(text);
    text = written(state, FORMAT_JSON, COLUMNS_UNLIMITED);
    assert_null(strstr(text, "maquina"));
    free(text);
}

static int make_with_bytes(void **state)
{
    *state = summary_new(SUMMARY_BYTES);
    return *state == NULL;
}

static void take_bytes(void **state, const char *path, uint64_t read, uint64_t written)
{
    struct event_bytes bytes = {.read = read, .written = written, .reads = 2, .writes = 3};
    struct event_facts facts = {.known = FACT(BYTES), .bytes = bytes};
    struct event event = {.code = EVENT_CLOSE, .comm = "x", .path = path, .facts = &facts};

    event.path_len = strlen(path);
    summary_take(*state, &event);
    facts.known = 0; /* of a record that was written without -b */
    summary_take(*state, &event);
}

/* expected: read, written, calls that read, and that wrote. */
static void assert_bytes(const json_t *object, const json_int_t expected[4])
{
    static const char *const keys[] = {"leidos", "escritos", "lecturas", "escrituras"};

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(number(object, keys[i]), expected[i]);
}

#define BYTES(object, ...) assert_bytes(object, (const json_int_t[4]){__VA_ARGS__})

static void bytes_are_summed(void **state)
{
    struct summary_view view = {.format = FORMAT_JSON, .sort = SORT_BYTES, .top = 2};
    json_t *summary;

    take_bytes(state, "/a", 10, 0);
    take_bytes(state, "/b", 0, 4096);
    take_bytes(state, "/a", 1, EVENT_NO_COUNT);
    take_bytes(state, "/c", 100, 5000000);
    summary = object_of(state, &view);
    BYTES(summary, 111, 5004096, 8, 12);
    assert_string_equal(string(at(summary, "ficheros", 0), "fichero"), "/c");
    assert_string_equal(string(at(summary, "ficheros", 1), "fichero"), "/b");
    BYTES(json_object_get(summary, "otros_ficheros"), 11, 0, 4, 6);
    BYTES(at(summary, "procesos", 0), 111, 5004096, 8, 12);
    json_decref(summary);
    view.format = FORMAT_TEXT;
    char *text = written_as(state, &view, COLUMNS_UNLIMITED);
    assert_non_null(strstr(text, "     max    read written  file\n"));
    assert_non_null(strstr(text, "     0ns     100   4.76M  /c\n"));
    assert_non_null(strstr(text, "     0ns      11       0  (1 other)\n"));
    free(text);
    text = written(state, FORMAT_TEXT, 91);
    assert_non_null(strstr(text, "  /c\n"));
    free(text);
}

static void totals_have_no_bytes_unless_they_are_counted(void **state)
{
    json_t *summary;

    take_bytes(state, "/a", 10, 20);
    summary = object(state);
    assert_null(json_object_get(summary, "leidos"));
    assert_null(json_object_get(at(summary, "ficheros", 0), "escrituras"));
    json_decref(summary);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_summary),
        TEST(files_and_programs_are_counted),
        TEST(it_can_be_written_repeatedly),
        TEST(copies_and_held_files_are_open),
        TEST(closes_by_another_comm),
        TEST(closes_find_their_opens),
        TEST(open_descriptors_are_not_negative),
        TEST(descriptors_beyond_the_limit),
        TEST(histogram_of_times),
        TEST(sums_do_not_wrap),
        TEST(names_of_any_bytes),
        TEST(rows_beyond_the_limit_are_summed),
        TEST(bytes_of_paths_are_limited),
        TEST(text_tables),
        TEST(other_calls_have_a_column),
        TEST(tables_fit_the_screen),
        TEST(rows_are_sorted),
        TEST(top_rows_and_the_sum_of_the_others),
        TEST(all_rows_in_text),
        TEST(totals_name_their_machine),
        cmocka_unit_test_setup_teardown(bytes_are_summed, make_with_bytes, release),
        TEST(totals_have_no_bytes_unless_they_are_counted),
        cmocka_unit_test_setup_teardown(programs_are_executables, make_by_executable, release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
