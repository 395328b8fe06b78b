/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "listed.h"
#include "output/columns.h"
#include "output/human.h"

static const struct screen unlimited = {.columns = COLUMNS_UNLIMITED};

static int use_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

static struct event event_of(enum event_code code, const char *path)
{
    return (struct event){
        .code = code,
        .pid = 5817,
        .comm = "smtpd",
        .path = path,
        .path_len = path != NULL ? strlen(path) : 0,
        .fd = 12,
        .date_us = 1310920975123456,
        .reason = REASON_CLOSE,
        .origin = 4,
        .duration_ns = 2500000,
        .lost = 3,
    };
}

/* The caller frees the result. */
static char *line_with(const struct event *event, const char *list, const struct screen *screen)
{
    char *buf = malloc(human_bound(event)), *line;
    size_t len = human_record(buf, event, listed(FORMAT_TEXT, list), screen);

    assert_true(len <= human_bound(event));
    assert_int_equal(buf[len - 1], '\n');
    line = strndup(buf, len - 1);
    free(buf);
    return line;
}

static char *line_of(const struct event *event, const struct screen *screen)
{
    return line_with(event, NULL, screen);
}

static void assert_listed(const struct event *event, const char *list, const struct screen *screen,
                          const char *expected)
{
    char *line = line_with(event, list, screen);

    assert_string_equal(line, expected);
    free(line);
}

static void assert_line(const struct event *event, const struct screen *screen,
                        const char *expected)
{
    assert_listed(event, NULL, screen, expected);
}

static void a_line_for_each_kind(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/etc/hosts");

    (void)state;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 open     12          /etc/hosts");
    event.reason = REASON_RECEIVED;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 open     12          /etc/hosts (received)");
    event.reason = REASON_CLOSE;
    event.code = EVENT_CLOSE;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 close    12  2.50ms  /etc/hosts");
    event.reason = REASON_EXIT;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 close    12  2.50ms  /etc/hosts (exit)");
    event.code = EVENT_DUP;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 dup      12          /etc/hosts (copy of 4)");
    event.code = EVENT_HELD;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 held     12          /etc/hosts");
    event.code = EVENT_ERROR;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 error    12          /etc/hosts (its close "
                "was missed)");
    event.code = EVENT_UNLINK;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 unlink                /etc/hosts");
    event.code = EVENT_RENAME;
    event.destination = "/etc/h";
    event.destination_len = 6;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 rename                /etc/hosts -> /etc/h");
    event.code = EVENT_FAIL;
    event.fd = -EXDEV;
    event.call = "rename";
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 fail                 /etc/hosts -> /etc/h: "
                "rename: Invalid cross-device link");
    event.destination = NULL;
    event.code = EVENT_LOST;
    event.comm = event.path = NULL;
    event.path_len = 0;
    assert_line(&event, &unlimited,
                "16:42:55.123                         lost                 3 events lost");
    event.lost = 1;
    assert_line(&event, &unlimited,
                "16:42:55.123                         lost                 1 event lost");
}

static void columns_of_a_list_in_its_order(void **state)
{
    struct event event = event_of(EVENT_CLOSE, "/etc/hosts ");

    (void)state;
    event.reason = REASON_DUP2;
    assert_listed(&event, "pid,fichero", &unlimited, "   5817  /etc/hosts ");
    assert_listed(&event, "fichero,errno,pid", &unlimited, "/etc/hosts                  5817");
    assert_listed(&event, "proceso,motivo,duracion_ns,date", &unlimited,
                  "smtpd           dup2         2.50ms 16:42:55.123");
    assert_listed(&event, "date_us,fecha,proceso,modo", &unlimited,
                  "1310920975123456 2011-07-17T16:42:55.123456Z smtpd");
    assert_listed(&event, "+fecha", &unlimited,
                  "16:42:55.123 smtpd              5817 close    12  2.50ms "
                  "2011-07-17T16:42:55.123456Z  /etc/hosts  (dup2)");
    assert_listed(&event, "errno,modo", &unlimited, "");
    event.path = "/\xff";
    event.path_len = 2;
    assert_listed(&event, "fichero_hex,pid", &unlimited, "2fff    5817");
}

/* A text of any length is whole, unless the screen is limited. */
static void facts_that_are_known(void **state)
{
    static const struct screen terminal = {.columns = 200};
    struct event event = event_of(EVENT_CLOSE, "/etc/hosts");
    struct event_facts facts = {.known = FACT(USER), .user = 33, .user_name = "www-data"};
    char name[4097] = "", *line;

    (void)state;
    assert_listed(&event, "uid,usuario,pid", &unlimited, "                      5817");
    event.facts = &facts;
    assert_listed(&event, "uid,usuario,pid", &unlimited, "     33 www-data      5817");
    facts.user_name = "w\x01-of-a-long-name";
    assert_listed(&event, "usuario,pid", &unlimited, "w\\x01-of-a-long-name    5817");
    assert_listed(&event, "usuario,pid", &terminal, "w…g-name      5817");
    facts.known |= FACT(FILE);
    facts.file = (struct event_file){8, 1, 733};
    assert_listed(&event, "inodo,dispositivo,pid", &unlimited, "       733 8:1        5817");
    facts.known |= FACT(BYTES);
    facts.bytes = (struct event_bytes){.read = 4096, .reads = 2};
    assert_listed(&event, "leidos,lecturas,mapeado,pid", &unlimited,
                  "      4096        2 false      5817");
    facts.user_name = NULL;
    assert_listed(&event, "pid,usuario", &unlimited, "   5817");
    facts.user_name = memset(name, '\1', sizeof(name) - 1);
    line = line_with(&event, "+usuario", &unlimited);
    assert_true(strlen(line) > 4 * 4096);
    free(line);
}

static void what_failed_has_no_descriptor(void **state)
{
    struct event event = event_of(EVENT_FAIL, "/x");

    (void)state;
    event.fd = -ENOENT;
    event.flags = 0;
    event.mode = 0644;
    assert_listed(&event, "codigo,descriptor,errno,flags,modo,fichero", &unlimited,
                  "fail        ENOENT       O_RDONLY           0644    /x");
}

static void losses_are_described_whatever_the_list(void **state)
{
    struct event event = event_of(EVENT_LOST, NULL);

    (void)state;
    assert_listed(&event, "fichero", &unlimited, " 3 events lost");
    assert_listed(&event, "codigo,pid,fichero", &unlimited, "lost            3 events lost");
}

static void failures_have_a_message(void **state)
{
    struct event event = event_of(EVENT_FAIL, "/etc/x");

    (void)state;
    event.fd = -ENOENT;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 fail                 /etc/x: No such file "
                "or directory");
    event.fd = -512;
    assert_line(&event, &unlimited,
                "16:42:55.123 smtpd              5817 fail                 /etc/x: E512");
}

static void control_characters_are_escaped_in_lines(void **state)
{
    struct event event = event_of(EVENT_OPEN, "/\x1b[2J\n\xe2\x80\xae\xff");

    (void)state;
    event.comm = "\x1b]0;x\a";
    assert_line(&event, &unlimited,
                "16:42:55.123 \\x1b]0;x\\x07     5817 open     12          "
                "/\\x1b[2J\\n\\xe2\\x80\\xae\\xff");
    event.comm = "\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b";
    event.path = "中";
    event.path_len = 3;
    assert_line(&event, &unlimited,
                "16:42:55.123 \\x1b…\\x1b\\x1b    5817 open     12          中");
}

#define LONG "/usr/share/javascript/very/deep/down/there/is/a/file.js"

/* At each width with room for a path: no line is wider than the screen, the end of the path is
 * shown, and a line that fits is not cut. */
static void lines_fit_the_screen(void **state)
{
    struct event events[] = {event_of(EVENT_OPEN, LONG), event_of(EVENT_FAIL, LONG),
                             event_of(EVENT_CLOSE, LONG), event_of(EVENT_LOST, NULL)};

    (void)state;
    events[1].fd = -EACCES;
    events[2].reason = REASON_CLOSE_RANGE;
    for (size_t columns = 65; columns < 200; columns++) {
        struct screen screen = {.columns = columns};
        for (size_t i = 0; i < 4; i++) {
            char *line = line_of(&events[i], &screen), *whole = line_of(&events[i], &unlimited);

            assert_true(columns_of(line, strlen(line)) <= columns);
            if (i < 3)
                assert_non_null(strstr(line, "/file.js"));
            if (columns >= HUMAN_NARROW && columns >= columns_of(whole, strlen(whole)))
                assert_string_equal(line, whole);
            else if (i < 3 && columns >= HUMAN_NARROW)
                assert_int_equal(columns_of(line, strlen(line)), columns);
            free(line);
            free(whole);
        }
    }
}

/* The caller frees the result. */
static char *renamed(const struct event *event, size_t columns)
{
    char *const lists[] = {NULL};
    char *buf = malloc(human_bound(event));
    struct screen screen = {.columns = columns};
    struct fields fields;
    size_t len;

    assert_int_equal(fields_choose(&fields, FORMAT_TEXT, 0, lists), 0);
    fields_expect(&fields, 1u << EVENT_RENAME);
    len = human_record(buf, event, &fields, &screen);
    buf[len - 1] = '\0';
    return buf;
}

/* The same for a line with two paths, of which neither is cut if the other has room to give. */
static void two_paths_fit_the_screen(void **state)
{
    static const char *const pairs[][2] = {{LONG, LONG}, {"/a/b", LONG}, {LONG, "/a/b"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct event event = event_of(EVENT_RENAME, pairs[i][0]);

        event.destination = pairs[i][1];
        event.destination_len = strlen(pairs[i][1]);
        for (size_t columns = 101; columns < 220; columns++) {
            char *line = renamed(&event, columns), *whole = renamed(&event, COLUMNS_UNLIMITED);

            assert_true(columns_of(line, strlen(line)) <= columns);
            if (columns >= columns_of(whole, strlen(whole)))
                assert_string_equal(line, whole);
            else
                assert_true(columns_of(line, strlen(line)) >= columns - 1);
            free(line);
            free(whole);
        }
    }
}

static void a_destination_has_a_column_of_its_own(void **state)
{
    struct event event = event_of(EVENT_LINK, "/a");

    (void)state;
    event.destination = "/b\xff";
    event.destination_len = 3;
    assert_listed(&event, "pid,destino,destino_hex", &unlimited, "   5817  /b\\xff 2f62ff");
    event = event_of(EVENT_OPEN, "/a");
    assert_listed(&event, "pid,destino", &unlimited, "   5817");
}

/* The values of fixed width are cut to it, and the path takes what is left. */
static void columns_of_a_list_fit_the_screen(void **state)
{
    struct event event = event_of(EVENT_OPEN, LONG "\xff");
    struct screen wide = {.columns = 120};

    (void)state;
    event.flags = O_RDWR | O_CREAT | O_CLOEXEC;
    assert_listed(&event, "flags,fichero,proceso", &unlimited,
                  "O_RDWR|O_CREAT|O_CLOEXEC  " LONG "\\xff smtpd");
    assert_listed(&event, "flags,fichero,proceso", &wide,
                  "O_RDWR…T|O_CLOEXEC  " LONG "\\xff smtpd");
    for (size_t columns = 53; columns < 250; columns++) {
        struct screen screen = {.columns = columns};
        char *line = line_with(&event, "flags,fichero_hex,fichero", &screen);

        *strchr(line, '\\') = '/'; /* which columns_of() would escape once more */
        assert_true(columns_of(line, strlen(line)) <= columns);
        assert_non_null(strstr(line, "js/xff"));
        free(line);
    }
}

static void narrow_screens_have_shorter_columns(void **state)
{
    struct screen screen = {.columns = 80};
    struct event event = event_of(EVENT_FAIL, LONG);

    (void)state;
    event.comm = "systemd-journal";
    event.fd = -EACCES;
    assert_line(&event, &screen,
                "16:42:55 sys…ournal    5817 fail                 /usr/…/a/file.js: Per…on denied");
    event.code = EVENT_CLOSE;
    event.fd = 3;
    assert_line(&event, &screen,
                "16:42:55 sys…ournal    5817 close     3  2.50ms  /usr/share…n/there/is/a/file.js");
}

static void only_words_are_coloured(void **state)
{
    struct screen screen = {.columns = 65, .colour = true};
    struct event event = event_of(EVENT_FAIL, "/x");

    (void)state;
    event.fd = -EPERM;
    assert_line(&event, &screen,
                "16:42:55 smtpd         5817 \x1b[31mfail \x1b[m                /x\x1b[31m: "
                "Op…permitted\x1b[m");
    event.code = EVENT_OPEN;
    event.fd = 3;
    assert_line(&event, &screen,
                "16:42:55 smtpd         5817 \x1b[32mopen \x1b[m     3          /x");
}

static void assert_colour(const char *term, const char *none, bool expected)
{
    int master, terminal, ends[2];

    if (term != NULL)
        setenv("TERM", term, 1);
    else
        unsetenv("TERM");
    if (none != NULL)
        setenv("NO_COLOR", none, 1);
    else
        unsetenv("NO_COLOR");
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(screen_of(terminal).colour, expected);
    assert_false(screen_of(ends[1]).colour);
    close(master);
    close(terminal);
    close(ends[0]);
    close(ends[1]);
}

static void colour_needs_a_capable_terminal(void **state)
{
    (void)state;
    assert_colour("xterm", NULL, true);
    assert_colour("xterm", "", true);
    assert_colour("xterm", "1", false);
    assert_colour("dumb", NULL, false);
    assert_colour("", NULL, false);
    assert_colour(NULL, NULL, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_for_each_kind),
        cmocka_unit_test(columns_of_a_list_in_its_order),
        cmocka_unit_test(facts_that_are_known),
        cmocka_unit_test(what_failed_has_no_descriptor),
        cmocka_unit_test(losses_are_described_whatever_the_list),
        cmocka_unit_test(columns_of_a_list_fit_the_screen),
        cmocka_unit_test(failures_have_a_message),
        cmocka_unit_test(control_characters_are_escaped_in_lines),
        cmocka_unit_test(lines_fit_the_screen),
        cmocka_unit_test(two_paths_fit_the_screen),
        cmocka_unit_test(a_destination_has_a_column_of_its_own),
        cmocka_unit_test(narrow_screens_have_shorter_columns),
        cmocka_unit_test(only_words_are_coloured),
        cmocka_unit_test(colour_needs_a_capable_terminal),
    };

    return cmocka_run_group_tests(tests, use_utc, NULL);
}
