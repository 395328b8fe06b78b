/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "caught.h"
#include "engine/replay/source.h"
#include "random.h"

/* Each test runs in a new directory, with the files that it writes there. */
struct fixture {
    void *caught;
    char dir[32];
    char *files[8];
    struct engine_config config;
    struct engine *engine;
    char seen[65536]; /* a word for each record: the code's first letter, pid, descriptor */
};

static int begin(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    strcpy(fixture->dir, "/tmp/filemon-replay-XXXXXX");
    fixture->config.files = fixture->files;
    return mkdtemp(fixture->dir) == NULL || chdir(fixture->dir) != 0 ||
           caught_begin(&fixture->caught) != 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;

    caught_end(&fixture->caught);
    for (int i = 0; fixture->files[i] != NULL; i++)
        unlink(fixture->files[i]);
    (void)!chdir("/");
    rmdir(fixture->dir);
    free(fixture);
    return 0;
}

static void see(void *ctx, const struct event *record)
{
    struct fixture *fixture = ctx;
    size_t len = strlen(fixture->seen);

    if (record->code == EVENT_MARK)
        strcat(fixture->seen, "mark ");
    else
        snprintf(fixture->seen + len, sizeof(fixture->seen) - len, "%c%d.%d ",
                 event_code_name(record->code)[0], record->pid, record->fd);
}

static void add_file(struct fixture *fixture, char *name)
{
    char **end = fixture->files;

    while (*end != NULL)
        end++;
    *end = name;
}

static void write_file(struct fixture *fixture, char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    add_file(fixture, name);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void open_engine(struct fixture *fixture)
{
    struct engine_sink sink = {.event = see, .ctx = fixture};

    assert_int_equal(engine_replay.open(&fixture->engine, &fixture->config, &sink), 0);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_WATCHING);
    assert_string_equal(fixture->seen, "");
}

/* Returns the last result of dispatch(). */
static int go_on(struct fixture *fixture)
{
    int result = ENGINE_WATCHING;

    while (result == ENGINE_WATCHING && engine_replay.timeout(fixture->engine) == 0)
        result = engine_replay.dispatch(fixture->engine);
    return result;
}

static int replay(struct fixture *fixture)
{
    int result;

    open_engine(fixture);
    result = go_on(fixture);
    engine_replay.close(fixture->engine);
    return result;
}

#define LINE(code, pid, fd, date, more)                                                            \
    "{\"codigo\":\"" code "\",\"proceso\":\"cat\",\"pid\":" #pid ",\"ppid\":1,\"tid\":" #pid       \
    ",\"fichero\":\"/f\",\"descriptor\":" #fd ",\"date_us\":" #date more "}\n"
#define OPEN(pid, fd, date, flags) LINE("open", pid, fd, date, ",\"flags\":\"" flags "\"")
#define CLOSE(pid, fd, date) LINE("close", pid, fd, date, ",\"duracion_ns\":1,\"motivo\":\"close\"")
#define DUP(pid, fd, date, origin) LINE("dup", pid, fd, date, ",\"origen\":" #origin)

static void files_are_merged_by_date(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a",
               OPEN(1, 1, 10, "O_RDONLY") OPEN(1, 2, 30, "O_RDONLY") OPEN(1, 3, 30, "O_RDONLY"));
    write_file(fixture, "empty", "");
    write_file(fixture, "b",
               OPEN(2, 1, 20, "O_RDONLY") OPEN(2, 2, 30, "O_RDONLY") OPEN(2, 3, 5, "O_RDONLY"));
    write_file(fixture, "c", OPEN(3, 1, 1, "O_RDONLY"));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    /* The last record of b is out of order, and the order within a file stays. */
    assert_string_equal(fixture->seen, "o3.1 o1.1 o2.1 o1.2 o1.3 o2.2 o2.3 ");
    assert_string_equal(caught_line(&fixture->caught), "");
}

#define FILES 7
#define RECORDS 100

/* Compared with a search through all files for the earliest record. */
static void many_files_are_merged_in_the_same_order(void **state)
{
    struct fixture *fixture = *state;
    static char names[FILES][2], text[RECORDS * 256], expected[sizeof(fixture->seen)];
    int64_t dates[FILES][RECORDS + 1];
    int next[FILES] = {0};
    char *at;

    for (int file = 0; file < FILES; file++) {
        int64_t date = 1;

        at = text;
        for (int i = 0; i < RECORDS; i++) {
            date += random_below(4);
            dates[file][i] = date;
            at += sprintf(at,
                          "{\"codigo\":\"error\",\"proceso\":\"\",\"pid\":%d,\"ppid\":1,\"tid\":1,"
                          "\"fichero\":\"\",\"descriptor\":%d,\"date_us\":%lld}\n",
                          file, i, (long long)date);
        }
        dates[file][RECORDS] = INT64_MAX;
        names[file][0] = (char)('a' + file);
        write_file(fixture, names[file], text);
    }
    at = expected;
    for (int i = 0; i < FILES * RECORDS; i++) {
        int first = 0;

        for (int file = 1; file < FILES; file++)
            if (dates[file][next[file]] < dates[first][next[first]])
                first = file;
        at += sprintf(at, "e%d.%d ", first, next[first]);
        next[first]++;
    }
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, expected);
}

static void the_last_line_needs_no_newline(void **state)
{
    struct fixture *fixture = *state;
    char line[] = OPEN(1, 1, 10, "O_RDONLY");

    line[strlen(line) - 1] = '\0';
    write_file(fixture, "a", line);
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "o1.1 ");
}

static void what_is_no_record_is_reported_and_skipped(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a",
               "one\n" OPEN(1, 1, 10, "O_RDONLY") "two\nthree\n\nfive\n" OPEN(
                   1, 2, 20, "O_RDONLY") "seven\neight\n" OPEN(1, 3, 30, "O_RDONLY") "{\"cod");
    assert_int_equal(replay(fixture), -EBADMSG);
    assert_string_equal(fixture->seen, "o1.1 o1.2 o1.3 ");
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:1: no record: '[' or '{' expected near 'one'; the line is "
                        "skipped\n");
    assert_non_null(strstr(caught_line(&fixture->caught), "a:3: no record: "));
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:4-6: no records either; these 3 lines are skipped\n");
    assert_non_null(strstr(caught_line(&fixture->caught), "a:8: no record: "));
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:9: no record either; the line is skipped\n");
    assert_non_null(strstr(caught_line(&fixture->caught), "a:11: no record: "));
    assert_string_equal(caught_line(&fixture->caught), "");
}

static void lines_that_are_no_records_are_named_when_it_is_stopped(void **state)
{
    struct fixture *fixture = *state;
    static char text[4096];

    memset(text, '\n', sizeof(text) - 1);
    write_file(fixture, "a", text);
    open_engine(fixture);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_WATCHING);
    (engine_replay.stop)(fixture->engine);
    assert_int_equal(engine_replay.dispatch(fixture->engine), -EBADMSG);
    assert_non_null(strstr(caught_line(&fixture->caught), "a:1: no record: "));
    assert_non_null(strstr(caught_line(&fixture->caught), "a:2-"));
    assert_string_equal(caught_line(&fixture->caught), "");
    engine_replay.close(fixture->engine);
}

static void a_line_that_is_too_long_is_skipped(void **state)
{
    struct fixture *fixture = *state;
    size_t len = SOURCE_LINE_MAX + 200000;
    char *text = calloc(1, len + 1024);

    memset(text, 'x', len);
    sprintf(text + len, "\n%s", OPEN(1, 2, 20, "O_RDONLY"));
    write_file(fixture, "a", text);
    free(text);
    assert_int_equal(replay(fixture), -EBADMSG);
    assert_string_equal(fixture->seen, "o1.2 ");
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:1: no record: it is too long; the line is skipped\n");
    assert_string_equal(caught_line(&fixture->caught), "");
}

/* Such a file would be read for ever, and no signal be noticed. */
static void a_line_without_end_is_read_in_parts(void **state)
{
    struct fixture *fixture = *state;

    fixture->files[0] = "/dev/zero";
    open_engine(fixture);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(engine_replay.timeout(fixture->engine), 0);
        assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_WATCHING);
    }
    (engine_replay.stop)(fixture->engine);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_DONE);
    engine_replay.close(fixture->engine);
    fixture->files[0] = NULL;
}

/* Of the first lengths nothing is left when the end of the file is read. */
static void a_last_line_that_is_too_long_is_reported(void **state)
{
    struct fixture *fixture = *state;

    for (off_t len = SOURCE_LINE_MAX + 1; len < SOURCE_LINE_MAX + 70000; len += 34000) {
        fixture->seen[0] = '\0';
        fixture->files[0] = NULL;
        write_file(fixture, "a", OPEN(1, 1, 10, "O_RDONLY"));
        assert_int_equal(truncate("a", strlen(OPEN(1, 1, 10, "O_RDONLY")) + len), 0);
        assert_int_equal(replay(fixture), -EBADMSG);
        assert_string_equal(caught_line(&fixture->caught),
                            "filemon: a:2: no record: it is too long; the line is skipped\n");
        assert_string_equal(caught_line(&fixture->caught), "");
    }
}

static void totals_are_skipped_and_unknown_keys_are_reported_once(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a",
               "{\"codigo\":\"resumen\"}\n" LINE("error", 1, 1, 10, ",\"new\":1")
                   LINE("error", 1, 2, 10, ",\"newer\":{}") LINE("error", 1, 3, 10, ""));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "e1.1 e1.2 e1.3 ");
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:2: unknown keys are left out, such as 'new'\n");
    assert_string_equal(caught_line(&fixture->caught), "");
}

/* A record of one file must not overtake an earlier one that another has yet to deliver. */
static void a_pipe_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    static const char lines[] = OPEN(2, 1, 10, "O_RDONLY") OPEN(2, 2, 30, "O_RDONLY");
    struct pollfd fds[ENGINE_MAX_FDS];
    size_t part = strlen(lines) - 20;
    int writer;

    write_file(fixture, "a", OPEN(1, 1, 20, "O_RDONLY"));
    add_file(fixture, "pipe");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    open_engine(fixture);
    assert_int_equal(go_on(fixture), ENGINE_WATCHING); /* nobody writes to the FIFO yet */
    assert_int_equal(engine_replay.timeout(fixture->engine), -1);
    assert_int_equal(engine_replay.fds(fixture->engine, fds), 1);
    assert_int_equal(poll(fds, 1, 0), 0);
    assert_string_equal(fixture->seen, "");
    writer = open("pipe", O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(writer, lines, part), part);
    assert_int_equal(poll(fds, 1, 0), 1);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_WATCHING);
    assert_string_equal(fixture->seen, "o2.1 ");
    assert_int_equal(write(writer, lines + part, 20), 20);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_WATCHING);
    assert_string_equal(fixture->seen, "o2.1 o1.1 o2.2 ");
    close(writer);
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_DONE);
    engine_replay.close(fixture->engine);
}

static void a_stop_ends_it_before_its_files(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a", OPEN(1, 1, 10, "O_RDONLY"));
    open_engine(fixture);
    engine_replay.mark(fixture->engine);
    (engine_replay.stop)(fixture->engine); /* cmocka 2 has a macro stop() */
    assert_int_equal(engine_replay.dispatch(fixture->engine), ENGINE_DONE);
    assert_string_equal(fixture->seen, "mark ");
    engine_replay.close(fixture->engine);
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct engine_sink sink = {.event = see, .ctx = fixture};

    fixture->files[0] = "none";
    assert_int_equal(engine_replay.open(&fixture->engine, &fixture->config, &sink), -ENOENT);
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: none: No such file or directory; -r wants a FILE that filemon "
                        "wrote\n");
    fixture->files[0] = "/";
    assert_int_equal(engine_replay.open(&fixture->engine, &fixture->config, &sink), -EISDIR);
    fixture->files[0] = NULL;
}

/* What an open decides holds for its descriptor, until that is closed or reused. */
static void writes_are_chosen_with_their_copies_and_closes(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.writes = true;
    write_file(fixture, "a",
               OPEN(1, 3, 1, "O_WRONLY") OPEN(1, 4, 2, "O_RDONLY") DUP(1, 5, 3, 3) DUP(1, 6, 4, 4)
                   CLOSE(1, 3, 5) CLOSE(1, 4, 6) CLOSE(1, 3, 7) CLOSE(1, 5, 8) CLOSE(1, 6, 9)
                       OPEN(1, 3, 10, "O_RDWR") OPEN(2, 3, 11, "O_ACCMODE") CLOSE(2, 3, 12)
                           OPEN(1, 3, 13, "O_RDONLY|O_TRUNC") CLOSE(1, 3, 14));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "o1.3 d1.5 c1.3 c1.5 o1.3 ");
}

/* The same process and descriptor of another machine is another one. */
static void machines_are_told_apart(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.writes = true;
    write_file(fixture, "a",
               LINE("open", 1, 3, 1, ",\"flags\":\"O_WRONLY\",\"maquina\":\"a\"")
                   LINE("error", 1, 3, 2, ",\"maquina\":\"b\"") LINE("error", 1, 3, 3, "")
                       LINE("error", 1, 3, 4, ",\"maquina\":\"a\""));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "o1.3 e1.3 ");
}

/* Who closes or copies does not matter; which user a copy or a close has need not be known. */
static void users_are_chosen_at_the_open(void **state)
{
    struct fixture *fixture = *state;
    static const uid_t users[] = {5, 4294967294u};

    fixture->config.users = users;
    fixture->config.n_users = 2;
    write_file(fixture, "a",
               LINE("open", 1, 3, 1, ",\"flags\":\"O_RDONLY\",\"uid\":5")
                   LINE("open", 1, 4, 2, ",\"flags\":\"O_RDONLY\",\"uid\":0") DUP(1, 5, 3, 3)
                       LINE("error", 1, 3, 4, ",\"uid\":0") CLOSE(1, 4, 5)
                           LINE("held", 2, 3, 6, ",\"flags\":\"O_RDONLY\",\"uid\":4294967294"));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "o1.3 d1.5 e1.3 h2.3 ");
}

/* -w says nothing about calls that are no opens; -u does. */
static void other_calls_are_chosen_by_user(void **state)
{
    struct fixture *fixture = *state;
    static const uid_t users[] = {5};

    fixture->config.writes = true;
    fixture->config.users = users;
    fixture->config.n_users = 1;
    write_file(fixture, "a",
               LINE("unlink", 1, 0, 1, ",\"uid\":5") LINE("chmod", 2, 0, 2, ",\"uid\":0")
                   LINE("fail", 3, -2, 3, ",\"errno\":\"ENOENT\",\"llamada\":\"rmdir\",\"uid\":5"));
    assert_int_equal(replay(fixture), ENGINE_DONE);
    assert_string_equal(fixture->seen, "u1.0 f3.-2 ");
}

static void a_record_without_its_user_is_reported(void **state)
{
    struct fixture *fixture = *state;
    static const uid_t user = 0;

    fixture->config.users = &user;
    fixture->config.n_users = 1;
    write_file(fixture, "a",
               LINE("open", 1, 3, 1, ",\"flags\":\"O_RDONLY\",\"uid\":0") CLOSE(1, 3, 2)
                   OPEN(1, 3, 3, "O_RDONLY") CLOSE(1, 3, 4) OPEN(1, 4, 5, "O_RDONLY"));
    assert_int_equal(replay(fixture), -EBADMSG);
    assert_string_equal(fixture->seen, "o1.3 c1.3 ");
    assert_string_equal(caught_line(&fixture->caught),
                        "filemon: a:3: the record has no uid, so -u leaves it out; -F +uid writes "
                        "records that have it\n");
    assert_string_equal(caught_line(&fixture->caught), "");
}

static void every_chosen_descriptor_is_remembered(void **state)
{
    struct fixture *fixture = *state;
    char *text = calloc(5000, 400), *at = text;
    size_t words = 0;

    for (int fd = 0; fd < 5000; fd++)
        at += sprintf(at,
                      "{\"codigo\":\"open\",\"proceso\":\"\",\"pid\":1,\"ppid\":1,\"tid\":1,"
                      "\"fichero\":\"\",\"descriptor\":%d,\"date_us\":1,\"flags\":\"O_%s\"}\n",
                      fd, fd % 2 ? "WRONLY" : "RDONLY");
    for (int fd = 0; fd < 5000; fd++)
        at += sprintf(at,
                      "{\"codigo\":\"error\",\"proceso\":\"\",\"pid\":1,\"ppid\":1,\"tid\":1,"
                      "\"fichero\":\"\",\"descriptor\":%d,\"date_us\":1}\n",
                      (fd * 7) % 5000);
    fixture->config.writes = true;
    write_file(fixture, "a", text);
    free(text);
    assert_int_equal(replay(fixture), ENGINE_DONE);
    for (at = fixture->seen; (at = strchr(at, ' ')) != NULL; at++)
        words++;
    assert_int_equal(words, 5000); /* half of the opens, and their errors */
}

#define replay_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        replay_test(files_are_merged_by_date),
        replay_test(many_files_are_merged_in_the_same_order),
        replay_test(the_last_line_needs_no_newline),
        replay_test(what_is_no_record_is_reported_and_skipped),
        replay_test(lines_that_are_no_records_are_named_when_it_is_stopped),
        replay_test(a_line_that_is_too_long_is_skipped),
        replay_test(a_line_without_end_is_read_in_parts),
        replay_test(a_last_line_that_is_too_long_is_reported),
        replay_test(totals_are_skipped_and_unknown_keys_are_reported_once),
        replay_test(a_pipe_is_waited_for),
        replay_test(a_stop_ends_it_before_its_files),
        replay_test(a_file_that_cannot_be_read_is_refused),
        replay_test(writes_are_chosen_with_their_copies_and_closes),
        replay_test(users_are_chosen_at_the_open),
        replay_test(other_calls_are_chosen_by_user),
        replay_test(a_record_without_its_user_is_reported),
        replay_test(machines_are_told_apart),
        replay_test(every_chosen_descriptor_is_remembered),
    };

    random_start("test_replay");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
