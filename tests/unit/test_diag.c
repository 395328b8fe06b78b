/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diag.h"

#include <errno.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "caught.h"

static void assert_shown(void **state, const char *argument, const char *expected)
{
    char line[DIAG_LINE_MAX] = "filemon: ";

    diag(DIAG_ERROR, "%s", argument);
    strcat(strcat(line, expected), "\n");
    assert_string_equal(caught_line(state), line);
}

static void test_one_write_a_message(void **state)
{
    diag(DIAG_ERROR, "%s: %d of %d", "one", 1, 2);
    diag(DIAG_ERROR, "two");
    diag(DIAG_ERROR, "%s", "");
    assert_string_equal(caught_line(state), "filemon: one: 1 of 2\n");
    assert_string_equal(caught_line(state), "filemon: two\n");
    assert_string_equal(caught_line(state), "filemon: \n");
    assert_string_equal(caught_line(state), "");
}

static void test_printable_text_is_unchanged(void **state)
{
    assert_shown(state, "/etc/hosts '\"$`~", "/etc/hosts '\"$`~");
    assert_shown(state, "a\xc3\xb1o \xe2\x82\xac \xf0\x9f\x98\x80",
                 "a\xc3\xb1o \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_shown(state, "\xc2\xa0", "\xc2\xa0"); /* the first after C1 */
}

static void test_control_characters_are_escaped(void **state)
{
    assert_shown(state, "a\nb\tc\rd", "a\\nb\\tc\\rd");
    assert_shown(state, "\x1b[2J\a\x1f\x7f", "\\x1b[2J\\x07\\x1f\\x7f");
    assert_shown(state,
                 "\xc2\x80 \xc2\x9b"
                 "31m \xc2\x9f",
                 "\\xc2\\x80 \\xc2\\x9b31m \\xc2\\x9f");
    assert_shown(state, "\xff\xc3(\xed\xa0\x80\xe2\x82", "\\xff\\xc3(\\xed\\xa0\\x80\\xe2\\x82");
}

static void test_a_backslash_is_unambiguous(void **state)
{
    assert_shown(state, "a\\nb", "a\\\\nb");
    assert_shown(state, "a\\\nb", "a\\\\\\nb");
}

static void test_the_format_is_escaped_too(void **state)
{
    diag(DIAG_ERROR, "one\ntwo");
    assert_string_equal(caught_line(state), "filemon: one\\ntwo\n");
}

static void test_levels(void **state)
{
    static const char *const expected[3][4] = {
        {"filemon: error\n", "filemon: warning\n", "", ""},
        {"filemon: error\n", "filemon: warning\n", "filemon: info\n", ""},
        {"filemon: error\n", "filemon: warning\n", "filemon: info\n", "filemon: verbose\n"},
    };

    for (int verbosity = -1; verbosity <= 1; verbosity++) {
        diag_set_verbosity(verbosity);
        diag(DIAG_ERROR, "error");
        diag(DIAG_WARNING, "warning");
        diag(DIAG_INFO, "info");
        diag(DIAG_VERBOSE, "verbose");
        for (int i = 0; i < 4; i++)
            assert_string_equal(caught_line(state), expected[verbosity + 1][i]);
    }
}

/* Sets JOURNAL_STREAM to device and inode of standard error, followed by more. */
static void set_journal_stream(const char *more)
{
    char stream[100];
    struct stat st;

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju%s", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, more);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void test_priorities_for_the_journal(void **state)
{
    static const char *const expected[] = {"<3>filemon: text\n", "<4>filemon: text\n",
                                           "<5>filemon: text\n", "<7>filemon: text\n"};

    set_journal_stream("");
    diag_set_verbosity(1);
    for (int level = DIAG_ERROR; level <= DIAG_VERBOSE; level++) {
        diag(level, "text");
        assert_string_equal(caught_line(state), expected[level]);
    }
    set_journal_stream("0"); /* another */
    assert_shown(state, "text", "text");
    unsetenv("JOURNAL_STREAM");
    assert_shown(state, "text", "text");
}

static void fill(char *text, size_t size, char byte)
{
    memset(text, byte, size);
    text[size] = '\0';
}

static void test_the_longest_line(void **state)
{
    size_t most = DIAG_LINE_MAX - strlen("filemon: \n");
    char text[2 * DIAG_LINE_MAX];

    fill(text, most, 'x');
    diag(DIAG_ERROR, "%s", text);
    const char *line = caught_line(state);
    assert_int_equal(strlen(line), DIAG_LINE_MAX);
    assert_string_equal(line + DIAG_LINE_MAX - 3, "xx\n");

    for (size_t size = most + 1; size < sizeof text; size += most) {
        fill(text, size, 'x');
        diag(DIAG_ERROR, "%s", text);
        line = caught_line(state);
        assert_int_equal(strlen(line), DIAG_LINE_MAX);
        assert_non_null(strstr(line, "xx...xx"));
        assert_string_equal(line + DIAG_LINE_MAX - 3, "xx\n");
    }
}

/* The end of a message says the reason: it is not cut, even after a long path. */
static void test_the_end_of_a_long_message_is_kept(void **state)
{
    static char path[32 * DIAG_LINE_MAX];

    fill(path, sizeof path - 1, '\n');
    memcpy(path, "/begin", 6);
    memcpy(path + sizeof path - 5, "/end", 4);
    diag(DIAG_ERROR, "%s: %s; %s", path, "No such file", "do this");
    const char *line = caught_line(state), *end = "/end: No such file; do this\n";
    assert_int_equal(strncmp(line, "filemon: /begin\\n\\n", 19), 0);
    assert_string_equal(line + strlen(line) - strlen(end), end);
    assert_in_range(strlen(line), DIAG_LINE_MAX - 3, DIAG_LINE_MAX);
}

/* Whether the text is a number of 'x', followed only by whole copies of shown. */
static bool is_whole(const char *text, size_t len, const char *shown)
{
    size_t before = strspn(text, "x"), size = strlen(shown);

    for (size_t at = before; at < len; at += size)
        if (len - at < size || memcmp(text + at, shown, size) != 0)
            return false;
    return true;
}

/* At each position the cut is between characters, and the line is as long as possible. */
static void test_the_cut_keeps_characters_whole(void **state)
{
    static const struct {
        const char *character, *shown;
    } cases[] = {{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                 {"\n", "\\n"},
                 {"\x01", "\\x01"},
                 {"\xc2\x85", "\\xc2\\x85"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t before = 0; before < 10; before++) {
            char text[DIAG_LINE_MAX + 16] = "";
            size_t bytes = strlen(cases[i].character), shown = strlen(cases[i].shown);
            fill(text, before, 'x');
            for (size_t n = 0; n < DIAG_LINE_MAX / bytes; n++)
                memcpy(text + before + n * bytes, cases[i].character, bytes);
            text[before + DIAG_LINE_MAX / bytes * bytes] = '\0';
            diag(DIAG_ERROR, "%s", text);
            const char *line = caught_line(state) + strlen("filemon: ");
            const char *cut = strstr(line, "..."), *rest = cut + strlen("...");
            assert_non_null(cut);
            assert_true(is_whole(line, (size_t)(cut - line), cases[i].shown));
            assert_true(is_whole(rest, strlen(rest) - 1, cases[i].shown));
            assert_in_range(strlen(line) + strlen("filemon: "), DIAG_LINE_MAX - 2 * shown,
                            DIAG_LINE_MAX);
        }
    }
}

static void test_errno_is_preserved(void **state)
{
    errno = ENOTTY;
    diag(DIAG_ERROR, "%m");
    assert_int_equal(errno, ENOTTY);
    assert_string_equal(caught_line(state), "filemon: Inappropriate ioctl for device\n");

    close(STDERR_FILENO);
    diag(DIAG_ERROR, "nobody hears this");
    assert_int_equal(errno, ENOTTY);
}

/* -- progress ---------------------------------------------------------- */

static void test_progress_needs_a_terminal(void **state)
{
    diag_progress("pass %d", 1);
    diag_progress(NULL);
    diag(DIAG_ERROR, "done");
    assert_string_equal(caught_line(state), "filemon: done\n");
    assert_string_equal(caught_line(state), "");
}

/* Makes standard error a terminal; returns the master. */
static int become_terminal(void)
{
    struct termios raw;
    int master, terminal;

    assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(terminal, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(terminal, TCSANOW, &raw), 0);
    assert_int_equal(dup2(terminal, STDERR_FILENO), STDERR_FILENO);
    close(terminal);
    return master;
}

/* Returns everything written to the terminal since the last call. */
static const char *seen(int master)
{
    static char text[1024];
    size_t size = 0;

    assert_int_equal(write(STDERR_FILENO, "$", 1), 1);
    do {
        assert_true(size < sizeof text);
        assert_int_equal(read(master, text + size, 1), 1);
    } while (text[size++] != '$');
    text[size - 1] = '\0';
    return text;
}

static void test_progress_is_overwritten(void **state)
{
    (void)state;
    int master = become_terminal();

    diag_progress("pass %d\n", 1);
    diag_progress("pass %d", 2);
    assert_string_equal(seen(master), "\r\x1b[Kfilemon: pass 1\\n\r\x1b[Kfilemon: pass 2");
    diag(DIAG_ERROR, "one");
    diag(DIAG_ERROR, "two");
    assert_string_equal(seen(master), "\r\x1b[Kfilemon: one\nfilemon: two\n");
    close(master);
}

static void test_progress_is_erased(void **state)
{
    (void)state;
    int master = become_terminal();

    diag_progress(NULL);
    assert_string_equal(seen(master), "");
    diag_progress("pass 1");
    diag_progress(NULL);
    diag_progress(NULL);
    assert_string_equal(seen(master), "\r\x1b[Kfilemon: pass 1\r\x1b[K");
    diag(DIAG_ERROR, "one");
    assert_string_equal(seen(master), "filemon: one\n");
    close(master);
}

static void test_no_progress_when_quiet(void **state)
{
    (void)state;
    int master = become_terminal();

    diag_set_verbosity(-1);
    diag_progress("pass 1");
    diag(DIAG_ERROR, "one");
    assert_string_equal(seen(master), "filemon: one\n");
    close(master);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, caught_begin, caught_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_write_a_message),
        TEST(test_printable_text_is_unchanged),
        TEST(test_control_characters_are_escaped),
        TEST(test_a_backslash_is_unambiguous),
        TEST(test_the_format_is_escaped_too),
        TEST(test_levels),
        TEST(test_priorities_for_the_journal),
        TEST(test_the_longest_line),
        TEST(test_the_cut_keeps_characters_whole),
        TEST(test_the_end_of_a_long_message_is_kept),
        TEST(test_errno_is_preserved),
        TEST(test_progress_needs_a_terminal),
        TEST(test_progress_is_overwritten),
        TEST(test_progress_is_erased),
        TEST(test_no_progress_when_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
