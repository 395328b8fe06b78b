/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "engine/replay/record.h"
#include "listed.h"
#include "output/json.h"
#include "random.h"

static struct record record;

static int begin(void **state)
{
    (void)state;
    record = RECORD_EMPTY;
    return 0;
}

static int end(void **state)
{
    (void)state;
    record_release(&record);
    return 0;
}

static const char *written_with(const struct event *event, const char *list)
{
    static char line[65536];
    size_t len;

    assert_true(json_bound(event) < sizeof(line));
    len = json_record(line, event, listed(FORMAT_JSON, list));
    line[len - 1] = '\0'; /* the newline */
    return line;
}

static const char *written(const struct event *event)
{
    return written_with(event, NULL);
}

static void read_line(const char *line)
{
    if (record_read(&record, line, strlen(line)) != RECORD_READ)
        fail_msg("%s: %s", record.why, line);
    assert_null(record.unknown);
}

/* The line is a record, which is written as it was read. */
static void assert_same(const char *line)
{
    read_line(line);
    assert_string_equal(written(&record.event), line);
}

#define HEAD "\"proceso\":\"cat\",\"pid\":7,\"ppid\":6,\"tid\":8,"
#define DATES "\"date\":1795706819112,\"date_us\":1795706819112818"
#define FILE_3 "\"fichero\":\"/etc/hosts\",\"descriptor\":3,"

static void each_kind_is_written_as_it_was_read(void **state)
{
    (void)state;
    assert_same("{\"codigo\":\"open\"," HEAD FILE_3 DATES ",\"flags\":\"O_RDONLY|O_CLOEXEC\"}");
    assert_same("{\"codigo\":\"open\"," HEAD FILE_3 DATES
                ",\"flags\":\"O_RDWR|O_CREAT|0x80000000\",\"modo\":\"04755\"}");
    assert_same("{\"codigo\":\"open\"," HEAD FILE_3 DATES
                ",\"flags\":\"O_RDONLY\",\"motivo\":\"received\"}");
    assert_same("{\"codigo\":\"close\"," HEAD FILE_3
                "\"date\":3,\"date_us\":1795706819112818,\"duracion_ns\":3561112,"
                "\"motivo\":\"close_range\"}");
    assert_same("{\"codigo\":\"dup\"," HEAD FILE_3 DATES ",\"origen\":0}");
    assert_same("{\"codigo\":\"fail\"," HEAD "\"fichero\":\"\",\"descriptor\":-14," DATES
                ",\"flags\":\"O_ACCMODE|O_CREAT\",\"modo\":\"0000\",\"errno\":\"EFAULT\"}");
    assert_same("{\"codigo\":\"held\"," HEAD FILE_3 DATES ",\"flags\":\"O_WRONLY\"}");
    assert_same("{\"codigo\":\"error\"," HEAD FILE_3 DATES "}");
    assert_same("{\"codigo\":\"lost\"," DATES ",\"perdidos\":9007199254740991}");
    assert_same("{\"codigo\":\"exec\"," HEAD "\"fichero\":\"/usr/bin/ls\"," DATES "}");
    assert_same("{\"codigo\":\"rename\"," HEAD "\"fichero\":\"/a\"," DATES ",\"destino\":\"/b\"}");
    assert_same("{\"codigo\":\"link\"," HEAD "\"fichero\":\"/\xef\xbf\xbd\"," DATES
                ",\"fichero_hex\":\"2fff\",\"destino\":\"/\xef\xbf\xbdx\",\"destino_hex\":"
                "\"2ffe78\"}");
    assert_same("{\"codigo\":\"mkdir\"," HEAD "\"fichero\":\"/a\"," DATES ",\"modo\":\"0755\"}");
    assert_same("{\"codigo\":\"fail\"," HEAD "\"fichero\":\"/a\",\"descriptor\":-18," DATES
                ",\"errno\":\"EXDEV\",\"destino\":\"/b\",\"llamada\":\"renameat2\"}");
    assert_same("{\"codigo\":\"error\"," HEAD FILE_3 DATES ",\"maquina\":\"web-1\"}");
    assert_same("{\"codigo\":\"lost\"," DATES ",\"perdidos\":1,\"maquina\":\"web-1\"}");
}

static void bytes_of_paths_are_kept(void **state)
{
    (void)state;
    assert_same(
        "{\"codigo\":\"error\",\"proceso\":\"\\\"\\\\\\n\\u007f\\u0085\xc3\xb1\","
        "\"pid\":7,\"ppid\":6,\"tid\":8,\"fichero\":\"/\\t\\u001b\xe2\x82\xac\","
        "\"descriptor\":3," DATES "}");
    assert_same("{\"codigo\":\"error\"," HEAD
                "\"fichero\":\"/\xef\xbf\xbdx\",\"descriptor\":3," DATES
                ",\"fichero_hex\":\"2fff78\"}");
    assert_int_equal(record.event.path_len, 3);
    assert_memory_equal(record.event.path, "/\xffx", 4);
    /* U+FFFD itself is valid. */
    assert_same("{\"codigo\":\"error\"," HEAD
                "\"fichero\":\"/\xef\xbf\xbdx\",\"descriptor\":3," DATES "}");
    assert_int_equal(record.event.path_len, 5);
}

static const char *as_read(const char *line, const char *host)
{
    static char text[4096];
    struct fields fields;
    struct event event;
    size_t len;

    assert_int_equal(fields_choose(&fields, FORMAT_JSON, FIELDS_AS_READ, (char *const[]){NULL}), 0);
    assert_int_equal(record_read(&record, line, strlen(line)), RECORD_READ);
    event = record.event;
    if (host != NULL) {
        event.host = host;
        event.line_lacks_host = true;
    }
    assert_true(json_bound(&event) < sizeof(text));
    len = json_record(text, &event, &fields);
    assert_int_equal(text[len - 1], '\n');
    text[len - 1] = '\0';
    return text;
}

/* Keys that no writer of filemon knows, in any order, with the blanks of another program. */
static void a_line_is_kept_as_it_was_read(void **state)
{
    const char *line = "{ \"uid\" : 5, \"new\":{\"a\":[1.50]}," HEAD FILE_3 DATES
                       ",\"codigo\":\"error\",\"inodo\":7 }";
    char blanks[1024];

    (void)state;
    assert_string_equal(as_read(line, NULL), line);
    snprintf(blanks, sizeof(blanks), " \t%s\r", line);
    assert_string_equal(as_read(blanks, NULL), line);
    assert_string_equal(as_read("{\"codigo\":\"lost\"," DATES ",\"perdidos\":1}", "web-1"),
                        "{\"codigo\":\"lost\"," DATES ",\"perdidos\":1,\"maquina\":\"web-1\"}");
}

/* A path cannot garble a terminal. */
static void controls_in_a_line_are_escaped(void **state)
{
    const char *line =
        "{\"x\":\"\x7f\xc2\x80\xc2\x9f\xc2\xa0\xc3\x80\\u001b\",\"codigo\":\"lost\"," DATES
        ",\"perdidos\":1}";

    (void)state;
    assert_string_equal(
        as_read(line, NULL),
        "{\"x\":\"\\u007f\\u0080\\u009f\xc2\xa0\xc3\x80\\u001b\",\"codigo\":\"lost\"," DATES
        ",\"perdidos\":1}");
}

static void random_bytes(char *to, size_t most)
{
    size_t n = random_below((unsigned int)most);

    for (size_t i = 0; i < n; i++)
        to[i] = (char)(1 + random_below(255));
    to[n] = '\0';
}

static struct event random_event(const char *comm, const char *path)
{
    struct event event = {
        .code = (enum event_code)random_below(EVENT_RECORDS),
        .comm = comm,
        .path = path,
        .path_len = strlen(path),
        .pid = (pid_t)random_below(4194304),
        .ppid = (pid_t)random_below(4194304),
        .tid = (pid_t)random_below(4194304),
        .fd = (int)random_below(1 << 20),
        .date_us = random_below(1u << 31) * INT64_C(1000003),
        .flags = random_below(1u << 31) & ~0100000u, /* O_LARGEFILE is not written */
        .mode = random_below(2) ? EVENT_NO_MODE : (int)random_below(010000),
        .reason = (enum event_reason)random_below(REASON_RECEIVED),
        .origin = (int)random_below(1024),
        .duration_ns = random_below(1u << 31) * UINT64_C(999983),
        .lost = 1 + random_below(1000),
    };

    if (event.code > EVENT_LOST)
        event.fd = 0;
    if (event.code == EVENT_FAIL)
        event.fd = -1 - (int)random_below(4095);
    if (event.code >= EVENT_RENAME && event.code <= EVENT_SYMLINK) {
        event.destination = path;
        event.destination_len = strlen(path);
    }
    return event;
}

static void random_records_are_written_as_they_were_read(void **state)
{
    char comm[EVENT_COMM_SIZE], path[200];

    (void)state;
    random_start(__func__);
    for (int i = 0; i < 20000; i++) {
        struct event event;
        char *line;

        random_bytes(comm, sizeof(comm));
        random_bytes(path, sizeof(path));
        event = random_event(comm, path);
        line = strdup(written(&event));
        assert_same(line);
        free(line);
    }
}

/* As with -F, or after jq --sort-keys. */
static void keys_come_in_any_order(void **state)
{
    (void)state;
    read_line(
        "{\"tid\":8,\"duracion_ns\":3561112 , \"motivo\":\"exit\",\"fichero_hex\":\"2fff\","
        "\"ppid\":6,\"fecha\":\"2026-11-26T09:24:18.041680Z\",\"date_us\":5,\"pid\":7,"
        "\"descriptor\":3,\"proceso\":\"cat\",\"codigo\":\"close\"}\r");
    assert_int_equal(record.event.code, EVENT_CLOSE);
    assert_int_equal(record.event.pid, 7);
    assert_int_equal(record.event.date_us, 5);
    assert_int_equal(record.event.reason, REASON_EXIT);
    assert_string_equal(record.event.path, "/\xff");
}

#define ADDED "uid,usuario,ejecutable,argumentos,mnt_ns,cgroup,dispositivo,inodo,pedido"

/* Any of the keys that -F adds can be missing. */
static void added_keys_are_written_as_they_were_read(void **state)
{
    static const char *const added[] = {
        "\"uid\":4294967295",
        "\"usuario\":\"www-\\\"data\"",
        "\"ejecutable\":\"/usr/bin/cat\"",
        "\"argumentos\":\"cat a \\n\"",
        "\"mnt_ns\":4026531841",
        "\"cgroup\":\"/system.slice\"",
        "\"dispositivo\":\"8:1048575\"",
        "\"inodo\":9007199254740991",
        "\"pedido\":\"../x\"",
    };
    char line[2048], keys[1024];

    (void)state;
    for (unsigned int set = 0; set < 512; set++) {
        char *end = keys;

        for (unsigned int i = 0; i < 9; i++)
            if (set >> i & 1)
                end = stpcpy(stpcpy(end, ","), added[i]);
        *end = '\0';
        snprintf(line, sizeof(line),
                 "{\"codigo\":\"open\"," HEAD FILE_3 DATES ",\"flags\":\"O_RDONLY\"%s}", keys);
        read_line(line);
        assert_string_equal(written_with(&record.event, "+" ADDED), line);
    }
}

static void an_unknown_key_is_named(void **state)
{
    static const char *const lines[] = {
        "{\"codigo\":\"lost\"," DATES ",\"perdidos\":1,\"new\":[{}]}",
        "{\"codigo\":\"lost\",\"new\":null," DATES ",\"perdidos\":1}",
    };

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_read(&record, lines[i], strlen(lines[i])), RECORD_READ);
        assert_string_equal(record.unknown, "new");
    }
    /* A key of another kind of record is as unknown. */
    assert_int_equal(
        record_read(&record, "{\"codigo\":\"lost\"," DATES ",\"perdidos\":1,\"pid\":1}",
                    strlen("{\"codigo\":\"lost\"," DATES ",\"perdidos\":1,\"pid\":1}")),
        RECORD_READ);
    assert_string_equal(record.unknown, "pid");
    read_line("{\"codigo\":\"lost\"," DATES ",\"perdidos\":1}");
}

static void totals_are_no_record(void **state)
{
    static const char line[] = "{\"codigo\":\"resumen\",\"date\":1,\"ficheros\":[{}]}";

    (void)state;
    assert_int_equal(record_read(&record, line, strlen(line)), RECORD_TOTALS);
}

static void refuse(const char *line, const char *why)
{
    assert_int_equal(record_read(&record, line, strlen(line)), -EBADMSG);
    if (strstr(record.why, why) == NULL)
        fail_msg("'%s' is not in '%s': %s", why, record.why, line);
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    refuse("", "expected");
    refuse("{\"codigo\":\"open\",\"pro", "premature end");
    refuse("[1]", "no JSON object");
    refuse("{} {}", "end of file expected");
    refuse("{}", "there is no codigo");
    refuse("{\"codigo\":7}", "there is no codigo");
    refuse("{\"codigo\":\"opened\"}", "codigo is 'opened'");
    refuse("{\"codigo\":\"lost\",\"perdidos\":1}", "date_us is missing");
    refuse("{\"codigo\":\"lost\"," DATES "}", "perdidos is missing");
    refuse("{\"codigo\":\"error\",\"pid\":7,\"ppid\":6,\"tid\":8," FILE_3 DATES "}", "proceso");
    refuse("{\"codigo\":\"error\"," HEAD "\"descriptor\":3," DATES "}", "fichero is missing");
    refuse("{\"codigo\":\"held\"," HEAD FILE_3 DATES "}", "flags is missing");
    refuse("{\"codigo\":\"fail\"," HEAD "\"fichero\":\"/\",\"descriptor\":-2," DATES "}",
           "flags is missing");
    refuse("{\"codigo\":\"fail\"," HEAD "\"fichero\":\"/\",\"descriptor\":-2," DATES
           ",\"llamada\":\"getpid\"}",
           "llamada has a value");
    refuse("{\"codigo\":\"rename\"," HEAD "\"fichero\":\"/\"," DATES "}", "destino is missing");
    refuse("{\"codigo\":\"close\"," HEAD FILE_3 DATES ",\"duracion_ns\":1}", "motivo is missing");
    refuse("{\"codigo\":\"error\",\"proceso\":\"\xff\"}", "decode byte 0xff");
    refuse("{\"codigo\":\"error\",\"proceso\":\"\\u0000\"}", "NUL");
}

static void refuse_value(const char *code, const char *member, const char *key)
{
    char line[1024];

    snprintf(line, sizeof(line),
             "{\"codigo\":\"%s\"," HEAD FILE_3 DATES
             ",\"flags\":\"O_RDONLY\",\"duracion_ns\":1,"
             "\"motivo\":\"close\",%s}",
             code, member);
    refuse(line, key);
    assert_non_null(strstr(record.why, "has a value that filemon does not write there"));
}

static void values_that_filemon_does_not_write_are_refused(void **state)
{
    (void)state;
    refuse_value("close", "\"pid\":\"7\"", "pid");
    refuse_value("close", "\"pid\":-1", "pid");
    refuse_value("close", "\"pid\":7.0", "pid");
    refuse_value("close", "\"tid\":2147483648", "tid");
    refuse_value("close", "\"ppid\":true", "ppid");
    refuse_value("close", "\"date\":\"now\"", "date");
    refuse_value("close", "\"date_us\":-5", "date_us");
    refuse_value("close", "\"duracion_ns\":9007199254740992", "duracion_ns");
    refuse_value("close", "\"descriptor\":-3", "descriptor");
    refuse_value("close", "\"motivo\":\"received\"", "motivo");
    refuse_value("close", "\"motivo\":\"quit\"", "motivo");
    refuse_value("close", "\"fichero\":null", "fichero");
    refuse_value("close", "\"fichero_hex\":\"2f0\"", "fichero_hex");
    refuse_value("close", "\"fichero_hex\":\"2f00\"", "fichero_hex");
    refuse_value("close", "\"fichero_hex\":\"2fFF\"", "fichero_hex");
    refuse_value("close", "\"fichero_hex\":\"\"", "fichero_hex");
    refuse_value("close", "\"maquina\":\"a b\"", "maquina");
    refuse_value("close", "\"uid\":4294967296", "uid");
    refuse_value("close", "\"mnt_ns\":-1", "mnt_ns");
    refuse_value("close", "\"inodo\":9007199254740992", "inodo");
    refuse_value("close", "\"leidos\":-1", "leidos");
    refuse_value("close", "\"escrituras\":9007199254740992", "escrituras");
    refuse_value("close", "\"mapeado\":1", "mapeado");
    refuse_value("close", "\"dispositivo\":\"8\"", "dispositivo");
    refuse_value("close", "\"dispositivo\":\"8:x\"", "dispositivo");
    refuse_value("close", "\"dispositivo\":\":1\"", "dispositivo");
    refuse_value("close", "\"ejecutable\":7", "ejecutable");
    refuse_value("held", "\"flags\":\"O_RDONLY|O_NONE\"", "flags");
    refuse("{\"codigo\":\"open\"," HEAD FILE_3 DATES ",\"flags\":\"O_RDONLY\",\"modo\":\"0888\"}",
           "modo");
    refuse("{\"codigo\":\"open\"," HEAD FILE_3 DATES ",\"flags\":\"O_RDONLY\",\"motivo\":\"exit\"}",
           "motivo");
    refuse("{\"codigo\":\"fail\"," HEAD FILE_3 DATES ",\"flags\":\"O_RDONLY\",\"errno\":\"EIO\"}",
           "descriptor");
}

#define BYTES "leidos,escritos,lecturas,escrituras,mapeado"

/* Any of them can be missing, if -F has left it out. */
static void bytes_are_written_as_they_were_read(void **state)
{
    static const char *const added[] = {"\"leidos\":0", "\"escritos\":9007199254740991",
                                        "\"lecturas\":7", "\"escrituras\":0", "\"mapeado\":false"};
    char line[2048], keys[1024];

    (void)state;
    for (unsigned int set = 0; set < 32; set++) {
        char *end = keys;

        *end = '\0';
        for (unsigned int i = 0; i < 5; i++)
            if (set >> i & 1)
                end = stpcpy(stpcpy(end, ","), added[i]);
        snprintf(line, sizeof(line),
                 "{\"codigo\":\"close\"," HEAD FILE_3
                 "\"date\":0,\"date_us\":5,"
                 "\"duracion_ns\":1,\"motivo\":\"close\"%s}",
                 keys);
        read_line(line);
        assert_string_equal(written_with(&record.event, "+" BYTES), line);
    }
}

static void assert_cut(bool cut, const char *line)
{
    read_line(line);
    assert_int_equal(record.event.path_cut, cut);
}

/* As the engines mark them: the filter cannot compare such a path. */
static void a_path_that_was_cut_is_known_again(void **state)
{
    (void)state;
    assert_cut(true,
               "{\"codigo\":\"error\"," HEAD "\"fichero\":\".../x\",\"descriptor\":3," DATES "}");
    assert_cut(false, "{\"codigo\":\"error\"," HEAD FILE_3 DATES "}");
    assert_cut(true, "{\"codigo\":\"fail\"," HEAD "\"fichero\":\"\",\"descriptor\":-22," DATES
                     ",\"flags\":\"O_RDONLY\",\"errno\":\"EINVAL\"}");
    assert_cut(false, "{\"codigo\":\"fail\"," HEAD "\"fichero\":\"\",\"descriptor\":-14," DATES
                      ",\"flags\":\"O_RDONLY\",\"errno\":\"EFAULT\"}");
}

#define record_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        record_test(each_kind_is_written_as_it_was_read),
        record_test(bytes_of_paths_are_kept),
        record_test(a_line_is_kept_as_it_was_read),
        record_test(controls_in_a_line_are_escaped),
        record_test(random_records_are_written_as_they_were_read),
        record_test(keys_come_in_any_order),
        record_test(added_keys_are_written_as_they_were_read),
        record_test(bytes_are_written_as_they_were_read),
        record_test(an_unknown_key_is_named),
        record_test(totals_are_no_record),
        record_test(what_is_no_record_is_refused),
        record_test(values_that_filemon_does_not_write_are_refused),
        record_test(a_path_that_was_cut_is_known_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
