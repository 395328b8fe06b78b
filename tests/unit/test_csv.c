/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "listed.h"
#include "output/csv.h"
#include "random.h"

/* Writes into a block of exactly the promised size, so that a sanitizer detects overruns. */
static char *record_with(const struct event *event, const char *list, size_t *len)
{
    char *buf = malloc(csv_bound(event));

    *len = csv_record(buf, event, listed(FORMAT_CSV, list));
    assert_true(*len <= csv_bound(event));
    return buf;
}

static char *record_of(const struct event *event, size_t *len)
{
    return record_with(event, NULL, len);
}

static struct event event_of(enum event_code code, const char *path, size_t path_len)
{
    return (struct event){
        .code = code,
        .pid = 5817,
        .ppid = 1082,
        .tid = 5818,
        .comm = "smtpd",
        .path = path,
        .path_len = path_len,
        .fd = 12,
        .date_us = 1310920975123456,
        .flags = O_RDWR | O_CREAT | O_CLOEXEC,
        .mode = 0644,
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
    assert_memory_equal(buf, expected, len);
    free(buf);
}

static void assert_record(const struct event *event, const char *expected)
{
    assert_listed(event, NULL, expected);
}

static void assert_header(const char *list, const char *expected)
{
    char *buf = malloc(CSV_HEADER_BOUND);
    size_t len = csv_header(buf, listed(FORMAT_CSV, list));

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(buf, expected, len);
    free(buf);
}

static void header_has_every_field(void **state)
{
    (void)state;
    assert_header(NULL,
                  "codigo,proceso,pid,ppid,tid,fichero,descriptor,date,date_us,flags,modo,"
                  "errno,duracion_ns,motivo,origen,fichero_hex,perdidos,destino,"
                  "destino_hex,llamada\r\n");
}

static void columns_of_a_list_in_its_order(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/\xff", 2);

    (void)state;
    assert_header("errno,fichero,fecha", "errno,fichero,fecha,fichero_hex,perdidos\r\n");
    assert_listed(&event, "errno,fichero,fecha",
                  ",/\xef\xbf\xbd,2011-07-17T16:42:55.123456Z,2fff,\r\n");
    event.code = EVENT_LOST;
    assert_listed(&event, "errno,fichero", ",,,3\r\n");
}

/* Facts that are not known leave their columns empty. */
static void facts_that_are_known(void **state)
{
    struct event event = event_of(EVENT_CLOSE, "/a", 2);
    struct event_facts facts = {.known = FACT(USER), .user = 33, .user_name = "a\"b"};
    char name[4097] = "";
    size_t len;

    (void)state;
    assert_listed(&event, "uid,usuario,pid", ",,5817,\r\n");
    event.facts = &facts;
    assert_listed(&event, "uid,usuario,pid", "33,\"a\"\"b\",5817,\r\n");
    facts.known = FACT(BYTES);
    facts.bytes = (struct event_bytes){.written = 7, .mapped = true};
    assert_listed(&event, "mapeado,escritos,uid", "true,7,,\r\n");
    facts.known = FACT(USER);
    facts.user_name = memset(name, '"', sizeof(name) - 1);
    free(record_with(&event, "+usuario", &len));
    assert_in_range(len, 2 * 4096, csv_bound(&event));
}

static void records_fill_their_columns(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/etc/hosts", 10);

    (void)state;
    assert_record(&event,
                  "open,smtpd,5817,1082,5818,/etc/hosts,12,1310920975123,1310920975123456,"
                  "O_RDWR|O_CREAT|O_CLOEXEC,0644,,,,,,,,,\r\n");
    event.code = EVENT_CLOSE;
    assert_record(&event,
                  "close,smtpd,5817,1082,5818,/etc/hosts,12,2,1310920975123456,,,,2500000,"
                  "close_range,,,,,,\r\n");
    event.code = EVENT_DUP;
    assert_record(&event,
                  "dup,smtpd,5817,1082,5818,/etc/hosts,12,1310920975123,1310920975123456,"
                  ",,,,,4,,,,,\r\n");
    event.code = EVENT_FAIL;
    event.fd = -ENOENT;
    event.mode = EVENT_NO_MODE;
    assert_record(&event,
                  "fail,smtpd,5817,1082,5818,/etc/hosts,-2,1310920975123,1310920975123456,"
                  "O_RDWR|O_CREAT|O_CLOEXEC,,ENOENT,,,,,,,,\r\n");
    event.code = EVENT_LOST;
    event.comm = event.path = NULL;
    assert_record(&event, "lost,,,,,,,1310920975123,1310920975123456,,,,,,,,3,,,\r\n");
}

static void quoting(void **state)
{
    struct event event = event_of(EVENT_ERROR, "/a\"b,c\r\nd", 9);

    (void)state;
    event.comm = "a,b";
    assert_record(&event,
                  "error,\"a,b\",5817,1082,5818,\"/a\"\"b,c\r\nd\",12,1310920975123,"
                  "1310920975123456,,,,,,,,,,,\r\n");
    event.comm = "a b";
    event.path = "/\x1b";
    event.path_len = 2;
    assert_record(&event,
                  "error,a b,5817,1082,5818,\"/\x1b\",12,1310920975123,1310920975123456,"
                  ",,,,,,,,,,\r\n");
    event.comm = "a\x7f";
    event.path = "/";
    event.path_len = 1;
    assert_record(&event,
                  "error,\"a\x7f\",5817,1082,5818,/,12,1310920975123,1310920975123456,"
                  ",,,,,,,,,,\r\n");
    event.comm = "a b";
    event.path = "/\xff,";
    event.path_len = 3;
    assert_record(&event,
                  "error,a b,5817,1082,5818,\"/\xef\xbf\xbd,\",12,1310920975123,"
                  "1310920975123456,,,,,,,2fff2c,,,,\r\n");
}

/* Reads a field by the grammar of RFC 4180, and unquotes it in place; *end is its delimiter. */
static char *next_field(char **at, char *end)
{
    char *field = *at, *to = *at, *from = *at;
    bool quoted = *from == '"';

    for (from += quoted; from < end; from++) {
        if (quoted && *from == '"' && *++from != '"')
            break;
        if (!quoted && (*from == ',' || *from == '\r'))
            break;
        assert_true(quoted || *from != '"');
        *to++ = *from;
    }
    assert_true(*from == ',' || memcmp(from, "\r\n", 2) == 0);
    *at = from + (*from == ',' ? 1 : 2);
    *to = '\0';
    return field;
}

static void random_paths_can_be_read_back(void **state)
{
    static const char letters[] = "/a,\"\r\n\t\x1b \xc3\xb1=";

    (void)state;
    random_start(__func__);
    for (int round = 0; round < 20000; round++) {
        char path[24], comm[EVENT_COMM_SIZE];
        size_t size = random_below(sizeof(path)), len, column = 0;
        struct event event = event_of(EVENT_OPEN, path, size);

        for (size_t i = 0; i < size; i++)
            path[i] = letters[random_below(sizeof(letters) - 1)];
        path[size] = '\0';
        snprintf(comm, sizeof(comm), "%.9s", path);
        event.comm = comm;
        char *buf = record_of(&event, &len), *at = buf, hex[64] = "";
        bool valid = true;
        for (; at < buf + len; column++) {
            char *field = next_field(&at, buf + len);

            if (column == 15)
                valid = strcmp(field, hex) == 0;
            if (column == 5 && strstr(field, "\xef\xbf\xbd") != NULL)
                for (size_t i = 0; i < size; i++)
                    sprintf(hex + 2 * i, "%02x", (unsigned char)path[i]);
            else if (column == 5)
                assert_string_equal(field, path);
        }
        assert_true(valid);
        assert_int_equal(column, listed(FORMAT_CSV, NULL)->n);
        free(buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_has_every_field),
        cmocka_unit_test(records_fill_their_columns),
        cmocka_unit_test(columns_of_a_list_in_its_order),
        cmocka_unit_test(facts_that_are_known),
        cmocka_unit_test(quoting),
        cmocka_unit_test(random_paths_can_be_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
