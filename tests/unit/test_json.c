/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "listed.h"
#include "output/json.h"
#include "output/value.h"
#include "random.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Writes into a block of exactly the promised size, so that a sanitizer detects overruns. */
static char *record_with(const struct event *event, const char *list, size_t *len)
{
    size_t bound = json_bound(event);
    char *buf = malloc(bound);

    *len = json_record(buf, event, listed(FORMAT_JSON, list));
    assert_true(*len <= bound);
    return buf;
}

static char *record_of(const struct event *event, size_t *len)
{
    return record_with(event, NULL, len);
}

static struct event event_of(enum event_code code, const char *path)
{
    return (struct event){
        .code = code,
        .pid = 5817,
        .ppid = 1082,
        .tid = 5818,
        .comm = "smtpd",
        .path = path,
        .path_len = path != NULL ? strlen(path) : 0,
        .fd = 12,
        .date_us = 1310920975123456,
        .mono_ns = 1,
        .flags = O_RDWR | O_CREAT | O_CLOEXEC,
        .mode = EVENT_NO_MODE,
        .reason = REASON_CLOSE_RANGE,
        .origin = 4,
        .duration_ns = 2500000,
        .lost = 3,
    };
}

static void assert_listed(const struct event *event, const char *list, const char *expected)
{
    size_t len;
    char *buf = record_with(event, list, &len);

    assert_int_equal(len, strlen(expected));
    buf[len - 1] = '\0';
    assert_memory_equal(buf, expected, len - 1);
    assert_int_equal(expected[len - 1], '\n');
    free(buf);
}

static void assert_record(const struct event *event, const char *expected)
{
    assert_listed(event, NULL, expected);
}

#define PROCESS "\"proceso\":\"smtpd\",\"pid\":5817,\"ppid\":1082,\"tid\":5818,"

static void one_record_of_each_kind(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/etc/hosts");

    (void)state;
    assert_record(&event, "{\"codigo\":\"open\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"flags\":\"O_RDWR|O_CREAT|O_CLOEXEC\"}\n");
    event.reason = REASON_RECEIVED;
    assert_record(&event, "{\"codigo\":\"open\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"flags\":\"O_RDWR|O_CREAT|O_CLOEXEC\","
                          "\"motivo\":\"received\"}\n");
    event.reason = REASON_CLOSE_RANGE;
    event.mode = 0644;
    assert_record(&event, "{\"codigo\":\"open\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"flags\":\"O_RDWR|O_CREAT|O_CLOEXEC\","
                          "\"modo\":\"0644\"}\n");
    event.code = EVENT_HELD;
    assert_record(&event, "{\"codigo\":\"held\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"flags\":\"O_RDWR|O_CREAT|O_CLOEXEC\"}\n");
    event.code = EVENT_CLOSE;
    assert_record(&event, "{\"codigo\":\"close\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":2,"
                          "\"date_us\":1310920975123456,\"duracion_ns\":2500000,"
                          "\"motivo\":\"close_range\"}\n");
    event.code = EVENT_DUP;
    assert_record(&event, "{\"codigo\":\"dup\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"origen\":4}\n");
    event.code = EVENT_ERROR;
    assert_record(&event, "{\"codigo\":\"error\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456}\n");
    event.code = EVENT_FAIL;
    event.fd = -ENOENT;
    event.flags = O_RDONLY;
    event.mode = EVENT_NO_MODE;
    assert_record(&event, "{\"codigo\":\"fail\"," PROCESS
                          "\"fichero\":\"/etc/hosts\",\"descriptor\":-2,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"flags\":\"O_RDONLY\","
                          "\"errno\":\"ENOENT\"}\n");
}

static void lost_records_have_no_process(void **state)
{
    struct event event = {.code = EVENT_LOST, .date_us = 1310920975123456, .lost = 3};

    (void)state;
    assert_record(&event,
                  "{\"codigo\":\"lost\",\"date\":1310920975123,"
                  "\"date_us\":1310920975123456,\"perdidos\":3}\n");
}

static void fields_of_a_list_in_its_order(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/a");

    (void)state;
    assert_listed(&event, "fichero,pid,codigo",
                  "{\"fichero\":\"/a\",\"pid\":5817,\"codigo\":\"open\"}\n");
    assert_listed(&event, "errno,modo,pid", "{\"pid\":5817}\n");
    event.code = EVENT_CLOSE;
    assert_listed(&event, "fecha,duracion_ns",
                  "{\"fecha\":\"2011-07-17T16:42:55.123456Z\",\"duracion_ns\":2500000}\n");
    event.date_us = 1000000;
    assert_listed(&event, "fecha", "{\"fecha\":\"1970-01-01T00:00:01.000000Z\"}\n");
    assert_listed(&event, "errno,modo", "{}\n");
}

/* Facts are left out where they are not known. */
static void facts_that_are_known(void **state)
{
    struct event event = event_of(EVENT_CLOSE, "/a");
    struct event_facts facts = {.known = FACT(USER), .user = 33, .user_name = "www-\"data"};

    (void)state;
    assert_listed(&event, "uid,pid,usuario", "{\"pid\":5817}\n");
    event.facts = &facts;
    assert_listed(&event, "uid,pid,usuario",
                  "{\"uid\":33,\"pid\":5817,\"usuario\":\"www-\\\"data\"}\n");
    facts.user = UINT32_MAX - 1;
    facts.user_name = NULL;
    assert_listed(&event, "uid,usuario", "{\"uid\":4294967294}\n");
    facts.known = FACT(GROUP) | FACT(MOUNTS);
    facts.mounts = 4026531832;
    facts.group_path = "/system.slice";
    assert_listed(&event, "uid,cgroup,mnt_ns",
                  "{\"cgroup\":\"/system.slice\",\"mnt_ns\":4026531832}\n");
    facts.known = FACT(FILE);
    facts.file = (struct event_file){8, 1, 733};
    assert_listed(&event, "dispositivo,inodo", "{\"dispositivo\":\"8:1\",\"inodo\":733}\n");
    facts.file = (struct event_file){4095, 1048575, (UINT64_C(1) << 53) - 1};
    assert_listed(&event, "dispositivo,inodo",
                  "{\"dispositivo\":\"4095:1048575\",\"inodo\":9007199254740991}\n");
    facts.file.inode++; /* jq would read another number */
    assert_listed(&event, "inodo", "{}\n");
    facts.known = FACT(BYTES);
    facts.bytes = (struct event_bytes){.read = 4096, .written = 0, .mapped = true};
    assert_listed(&event, "escritos,mapeado,leidos",
                  "{\"escritos\":0,\"mapeado\":true,\"leidos\":4096}\n");
    facts.bytes = (struct event_bytes){.read = EVENT_NO_COUNT};
    assert_listed(&event, "mapeado,leidos", "{\"mapeado\":false}\n");
    facts = (struct event_facts){.known = 0};
    assert_listed(&event, "uid,usuario,cgroup,mnt_ns,dispositivo,inodo,leidos,mapeado", "{}\n");
    event.code = EVENT_LOST;
    facts.known = FACT(USER);
    assert_listed(&event, "uid", "{\"perdidos\":3}\n");
}

/* As for a path with every key, and for a loss whatever the keys are. */
static void what_a_list_cannot_hide(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/\xff");

    (void)state;
    assert_listed(&event, "fichero,pid",
                  "{\"fichero\":\"/" REPLACEMENT "\",\"pid\":5817,\"fichero_hex\":\"2fff\"}\n");
    assert_listed(&event, "pid", "{\"pid\":5817}\n");
    event.code = EVENT_LOST;
    assert_listed(&event, "fichero,pid", "{\"perdidos\":3}\n");
    assert_listed(&event, "perdidos,codigo", "{\"perdidos\":3,\"codigo\":\"lost\"}\n");
}

static void modes_are_octal(void **state)
{
    static const struct {
        int mode;
        const char *text;
    } cases[] = {{0, "0000"},    {7, "0007"},      {0600, "0600"},
                 {0777, "0777"}, {04755, "04755"}, {0177777, "0177777"}};
    struct event event = event_of(EVENT_OPEN, "/a");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len;
        char *buf, expected[32];

        event.mode = cases[i].mode;
        buf = record_of(&event, &len);
        buf[len - 1] = '\0';
        snprintf(expected, sizeof(expected), "\"modo\":\"%s\"}", cases[i].text);
        assert_string_equal(strstr(buf, "\"modo\""), expected);
        free(buf);
    }
}

/* Compares the path in the record before it is unescaped. */
static void assert_path_written(const char *path, const char *written, const char *hex)
{
    struct event event = event_of(EVENT_ERROR, path);
    size_t len;
    char *buf = record_of(&event, &len), expected[512];

    buf[len - 1] = '\0';
    snprintf(expected, sizeof(expected), "\"fichero\":\"%s\",\"descriptor\"", written);
    if (strstr(buf, expected) == NULL)
        fail_msg("%s is not in %s", expected, buf);
    snprintf(expected, sizeof(expected), ",\"fichero_hex\":\"%s\"}", hex != NULL ? hex : "");
    assert_int_equal(strstr(buf, "fichero_hex") != NULL, hex != NULL);
    assert_true(hex == NULL || strstr(buf, expected) != NULL);
    free(buf);
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    assert_path_written("/a\"b\\c", "/a\\\"b\\\\c", NULL);
    assert_path_written("/\n\t\r\b\f", "/\\n\\t\\r\\b\\f", NULL);
    assert_path_written("/\x01\x1b\x1f\x7f", "/\\u0001\\u001b\\u001f\\u007f", NULL);
    assert_path_written("/\xc2\x80\xc2\x9b\xc2\x9f", "/\\u0080\\u009b\\u009f", NULL);
    assert_path_written("/\xc2\xa0\xe2\x80\xa8", "/\xc2\xa0\xe2\x80\xa8", NULL);
    assert_path_written("/ ~\xc3\xb1\xf0\x9f\x90\xa7", "/ ~\xc3\xb1\xf0\x9f\x90\xa7", NULL);
}

/* Unicode 15, tables 3-8 to 3-11, and the edges of table 3-7. */
static void ill_formed_parts_are_replaced(void **state)
{
    (void)state;
    assert_path_written(
        "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
        "A",
        REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
            REPLACEMENT "A",
        "c0afe080bff0818241");
    assert_path_written(
        "\xed\xa0\x80\xed\xbf\xbf\xed\xaf"
        "A",
        REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
            REPLACEMENT "A",
        "eda080edbfbfedaf41");
    assert_path_written(
        "\xf4\x91\x92\x93\xff"
        "A\x80\xbf"
        "B",
        REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT "A" REPLACEMENT REPLACEMENT "B",
        "f4919293ff4180bf42");
    assert_path_written(
        "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
        "A",
        REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT "A", "e180e2f09192f1bf41");
    assert_path_written("/\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xe0\xa0\x80",
                        "/\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xe0\xa0\x80",
                        NULL);
    assert_path_written("/\xc2", "/" REPLACEMENT, "2fc2");
    assert_path_written("/\xf0\x9f\x90", "/" REPLACEMENT, "2ff09f90");
    assert_path_written("/\xf0\x9f\x90\n", "/" REPLACEMENT "\\n", "2ff09f900a");
}

/* Whether the bytes are UTF-8, according to jansson. */
static bool is_utf8(const char *bytes, size_t len)
{
    json_t *string = json_stringn(bytes, len);

    json_decref(string);
    return string != NULL;
}

/* Whether the bytes are the beginning of a character: some last bytes must complete it. */
static bool begins_character(const char *bytes, size_t len)
{
    static const char tails[] = {'\x80', '\x90', '\xa0'};
    char whole[4];

    memcpy(whole, bytes, len);
    if (len == 4 || (len > 1 && is_utf8(whole, len)))
        return false;
    for (size_t a = 0; a < sizeof(tails); a++) {
        whole[len] = tails[a];
        memset(whole + len + 1, '\x80', sizeof(whole) - len - 1);
        for (size_t more = len + 1; more <= 4; more++)
            if (is_utf8(whole, more))
                return true;
    }
    return false;
}

/* The expected decoding takes the longest character, or else the longest beginning of one, or else
 * one byte. */
static char *decoded(const char *bytes, size_t len)
{
    char *text = calloc(1, 3 * len + 1), *at = text;
    size_t used;

    for (size_t i = 0; i < len; i += used) {
        size_t most = len - i < 4 ? len - i : 4;

        for (used = 1; used <= most && !is_utf8(bytes + i, used); used++)
            ;
        if (used <= most) {
            at = mempcpy(at, bytes + i, used);
            continue;
        }
        for (used = most < 3 ? most : 3; used > 1 && !begins_character(bytes + i, used); used--)
            ;
        at = stpcpy(at, REPLACEMENT);
    }
    return text;
}

static void check_path(const json_t *record, const struct event *event)
{
    const char *hex = json_string_value(json_object_get(record, "fichero_hex"));
    char *expected = decoded(event->path, event->path_len);

    assert_string_equal(json_string_value(json_object_get(record, "fichero")), expected);
    free(expected);
    assert_int_equal(hex == NULL, is_utf8(event->path, event->path_len));
    if (hex == NULL)
        return;
    assert_int_equal(strlen(hex), 2 * event->path_len);
    for (size_t i = 0; i < event->path_len; i++) {
        char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};

        assert_int_equal(strtoul(digits, NULL, 16), (unsigned char)event->path[i]);
    }
}

static void check_keys(const json_t *record, const char *const *keys, size_t count)
{
    void *iter = json_object_iter((json_t *)record);

    for (size_t i = 0; i < count; i++) {
        assert_non_null(iter);
        assert_string_equal(json_object_iter_key(iter), keys[i]);
        iter = json_object_iter_next((json_t *)record, iter);
    }
    if (iter != NULL && strcmp(json_object_iter_key(iter), "fichero_hex") == 0)
        iter = json_object_iter_next((json_t *)record, iter);
    assert_null(iter);
}

static json_int_t integer(const json_t *record, const char *key)
{
    const json_t *value = json_object_get(record, key);

    assert_true(json_is_integer(value));
    assert_true(json_integer_value(value) < INT64_C(1) << 53);
    return json_integer_value(value);
}

static void check_values(const json_t *record, const struct event *event)
{
    static const char *const keys[] = {"codigo",  "proceso",     "pid",        "ppid",
                                       "tid",     "fichero",     "descriptor", "date",
                                       "date_us", "duracion_ns", "motivo"};
    char *comm = decoded(event->comm, strlen(event->comm));

    check_keys(record, keys, sizeof(keys) / sizeof(keys[0]));
    assert_string_equal(json_string_value(json_object_get(record, "codigo")), "close");
    assert_string_equal(json_string_value(json_object_get(record, "proceso")), comm);
    assert_int_equal(integer(record, "pid"), event->pid);
    assert_int_equal(integer(record, "ppid"), event->ppid);
    assert_int_equal(integer(record, "tid"), event->tid);
    assert_int_equal(integer(record, "descriptor"), event->fd);
    assert_int_equal(integer(record, "date"), event->duration_ns / 1000000);
    assert_int_equal(integer(record, "date_us"), event->date_us);
    assert_int_equal(integer(record, "duracion_ns"), event->duration_ns);
    assert_string_equal(json_string_value(json_object_get(record, "motivo")),
                        event_reason_name(event->reason));
    free(comm);
}

/* The record must be one line of valid UTF-8, according to libc, without control characters. */
static void check_line(const char *line, size_t len)
{
    mbstate_t decoder = {0};
    wchar_t c;
    size_t used;

    assert_true(len > 0 && line[len - 1] == '\n');
    for (size_t i = 0; i < len - 1; i += used) {
        used = mbrtowc(&c, line + i, len - 1 - i, &decoder);
        assert_in_range(used, 1, 4);
        assert_false(c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000));
    }
}

static void random_bytes(char *bytes, size_t len)
{
    static const unsigned char edges[] = {0x01, 0x1f, ' ',  '"',  '\\', 0x7f, 0x80, 0x8f, 0x90,
                                          0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
                                          0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff, '/'};
    unsigned int kind = random_below(3);

    for (size_t i = 0; i < len; i++) {
        if (kind == 0)
            bytes[i] = (char)(1 + random_below(255));
        else if (kind == 1 || random_below(8) == 0)
            bytes[i] = (char)edges[random_below(sizeof(edges))];
        else
            bytes[i] = (char)('a' + random_below(26));
    }
    bytes[len] = '\0';
}

/* A close with random numbers, and with path and comm of random bytes. */
static struct event random_event(char path[4096], size_t len, char comm[EVENT_COMM_SIZE])
{
    struct event event = event_of(EVENT_CLOSE, "");

    random_bytes(path, len);
    random_bytes(comm, random_below(EVENT_COMM_SIZE));
    event.path = path;
    event.path_len = len;
    event.comm = comm;
    event.pid = (pid_t)random_below(1u << 22);
    event.ppid = (pid_t)random_below(2);
    event.tid = (pid_t)random_below(10);
    event.fd = (int)random_below(INT32_MAX);
    event.reason = (enum event_reason)random_below(REASON_COUNT);
    event.duration_ns = (uint64_t)random_below(UINT32_MAX) << random_below(21);
    return event;
}

static void random_bytes_make_strict_json(void **state)
{
    char path[4096], comm[EVENT_COMM_SIZE];

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    random_start(__func__);
    for (size_t i = 0; i < 6000; i++) {
        size_t len = i < 4096 ? i : random_below(64), size;
        struct event event = random_event(path, len, comm);
        char *buf = record_of(&event, &size);
        json_error_t error;
        json_t *record = json_loadb(buf, size, JSON_REJECT_DUPLICATES, &error);

        if (record == NULL)
            fail_msg("%s: %.*s", error.text, (int)size, buf);
        check_line(buf, size);
        check_values(record, &event);
        check_path(record, &event);
        json_decref(record);
        free(buf);
    }
}

#define FACTS "uid,usuario,ejecutable,argumentos,mnt_ns,cgroup,dispositivo,inodo,pedido"

/* One byte that is not UTF-8 adds fichero_hex, and gives the longest record. */
static void longest_record_fits(void **state)
{
    char path[4096], comm[EVENT_COMM_SIZE] = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
    struct event event = event_of(EVENT_FAIL, "");
    size_t len;

    (void)state;
    memset(path, '\1', 4095);
    path[4094] = '\xff';
    path[4095] = '\0';
    event.path = path;
    event.path_len = 4095;
    event.comm = comm;
    event.pid = event.ppid = event.tid = INT32_MIN;
    event.fd = -INT32_MAX;
    event.date_us = INT64_MIN;
    event.flags = UINT32_MAX;
    event.mode = -2;
    free(record_with(&event, "+fecha", &len));
    assert_in_range(len, 4094 * 6 + 2 * 4095, json_bound(&event));
    memset(path, '\1', 4095);
    event.facts = &(struct event_facts){.known = ~0u,
                                        .user = UINT32_MAX,
                                        .mounts = UINT32_MAX,
                                        .file = {UINT32_MAX, UINT32_MAX, UINT32_MAX},
                                        .user_name = path,
                                        .group_path = path,
                                        .executable_path = path,
                                        .arguments = path,
                                        .given = path};
    free(record_with(&event, "+" FACTS, &len));
    assert_in_range(len, 4095 * 6 * 6, json_bound(&event));
}

/* A path ends at its length, even within a character. */
static void path_ends_at_its_length(void **state)
{
    struct event event = event_of(EVENT_ERROR, "/\xc3\xb1");

    (void)state;
    event.path_len = 2;
    assert_record(&event, "{\"codigo\":\"error\"," PROCESS "\"fichero\":\"/" REPLACEMENT
                          "\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456,\"fichero_hex\":\"2fc3\"}\n");
}

static void empty_paths_are_empty_strings(void **state)
{
    struct event event = event_of(EVENT_ERROR, NULL);

    (void)state;
    assert_record(&event, "{\"codigo\":\"error\"," PROCESS
                          "\"fichero\":\"\",\"descriptor\":12,\"date\":1310920975123,"
                          "\"date_us\":1310920975123456}\n");
}

#define HOSTILE_RECORDS 3000

static void write_hostile_records(const char *file)
{
    FILE *to = fopen(file, "w");
    char path[4096], comm[EVENT_COMM_SIZE];

    assert_non_null(to);
    for (int i = 0; i < HOSTILE_RECORDS; i++) {
        struct event event = random_event(path, random_below(i % 100 == 0 ? 4096 : 60), comm);
        size_t len;
        char *buf = record_of(&event, &len);

        assert_int_equal(fwrite(buf, 1, len, to), len);
        free(buf);
    }
    assert_int_equal(fclose(to), 0);
}

static void jq_accepts_every_record(void **state)
{
    char file[] = "/tmp/filemon-json-XXXXXX", command[100];
    int fd = mkstemp(file), records = 0, c;
    FILE *jq;

    (void)state;
    random_start(__func__);
    assert_true(fd >= 0);
    close(fd);
    write_hostile_records(file);
    snprintf(command, sizeof(command), "jq -e -c . %s", file);
    jq = popen(command, "r");
    assert_non_null(jq);
    while ((c = fgetc(jq)) != EOF)
        records += c == '\n';
    assert_int_equal(pclose(jq), 0);
    assert_int_equal(records, HOSTILE_RECORDS);
    unlink(file);
}

static void assert_integer(int64_t integer)
{
    char expected[32], written[VALUE_INTEGER_BYTES + 1] = {0};
    char *end = value_put_integer(written, integer);

    *end = '\0';
    snprintf(expected, sizeof(expected), "%jd", (intmax_t)integer);
    assert_string_equal(written, expected);
}

static void integers_of_all_lengths(void **state)
{
    (void)state;
    random_start(__func__);
    assert_integer(0);
    assert_integer(INT64_MIN);
    assert_integer(INT64_MAX);
    for (int64_t power = 1; power < INT64_MAX / 10; power *= 10) {
        assert_integer(power);
        assert_integer(power - 1);
        assert_integer(-power);
    }
    for (int i = 0; i < 10000; i++)
        assert_integer((int64_t)((uint64_t)random_below(UINT_MAX) << 32 | random_below(UINT_MAX)) >>
                       random_below(64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record_of_each_kind),
        cmocka_unit_test(lost_records_have_no_process),
        cmocka_unit_test(fields_of_a_list_in_its_order),
        cmocka_unit_test(facts_that_are_known),
        cmocka_unit_test(what_a_list_cannot_hide),
        cmocka_unit_test(modes_are_octal),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(ill_formed_parts_are_replaced),
        cmocka_unit_test(random_bytes_make_strict_json),
        cmocka_unit_test(longest_record_fits),
        cmocka_unit_test(path_ends_at_its_length),
        cmocka_unit_test(empty_paths_are_empty_strings),
        cmocka_unit_test(integers_of_all_lengths),
        cmocka_unit_test(jq_accepts_every_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
