/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output/columns.h"
#include "random.h"

/* Writes into a block of exactly the promised size, so that a sanitizer detects overruns; the
 * caller frees it. */
static char *put(const char *bytes, size_t size, size_t most, size_t *len)
{
    char *buf = malloc(COLUMNS_BOUND(size));

    *len = (size_t)(columns_put(buf, bytes, size, most) - buf);
    assert_true(*len <= COLUMNS_BOUND(size));
    return buf;
}

static void assert_put(const char *bytes, size_t most, const char *expected)
{
    size_t len;
    char *buf = put(bytes, strlen(bytes), most, &len);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(buf, expected, len);
    free(buf);
}

static void short_text_is_not_cut(void **state)
{
    (void)state;
    assert_put("", 0, "");
    assert_put("/etc/hosts", COLUMNS_UNLIMITED, "/etc/hosts");
    assert_put("/etc/hosts", 10, "/etc/hosts");
    assert_put("\x1b[2J\n", 9, "\\x1b[2J\\n");
}

static void long_text_is_cut_nearer_to_its_beginning(void **state)
{
    (void)state;
    assert_put("/etc/hosts", 9, "/et…hosts");
    assert_put("/usr/lib/x86_64-linux-gnu/libc.so.6", 16, "/usr/…/libc.so.6");
    assert_put("abcdef", 2, "…f");
    assert_put("abcdef", 1, "…");
    assert_put("abcdef", 0, "");
}

/* Escaped characters are not cut inside an escape. */
static void escapes_stay_whole(void **state)
{
    (void)state;
    assert_put("\x1b\x1b\x1b\x1b", 13, "\\x1b…\\x1b\\x1b");
    assert_put("\x1b\x1b\x1b\x1b", 12, "\\x1b…\\x1b");
    assert_put("\x1b\x1b\x1b\x1b", 7, "…\\x1b");
}

static void widths_of_characters(void **state)
{
    (void)state;
    assert_int_equal(columns_of("a\xc3\xb1", 3), 2);
    assert_int_equal(columns_of("\xe4\xb8\xad\xe6\x96\x87", 6), 4); /* two of Chinese */
    assert_int_equal(columns_of("e\xcc\x81", 3), 1);                /* a combining accent */
    assert_int_equal(columns_of("\xf0\x9f\x98\x80", 4), 2);         /* an emoji */
    assert_int_equal(columns_of("\xff\n\\", 3), 4 + 2 + 2);
    assert_put("中文中文", 7, "中…中文");
    assert_put("中文中文", 6, "中…文");
}

/* Neither wider than allowed, nor shorter than necessary, nor longer than promised. */
static void random_bytes_stay_within_the_columns(void **state)
{
    static const char letters[] = "/ab\n\x1b\\\xc3\xb1\xe4\xb8\xad\xcc\x81\xff";

    (void)state;
    random_start(__func__);
    for (int round = 0; round < 20000; round++) {
        char bytes[40];
        size_t size = random_below(sizeof(bytes)), most = random_below(60), len;
        char *buf;

        for (size_t i = 0; i < size; i++)
            bytes[i] = letters[random_below(sizeof(letters) - 1)];
        buf = put(bytes, size, most, &len);
        for (size_t i = 0; i < len; i++)
            assert_true((unsigned char)buf[i] >= ' ');
        /* The result has escapes: measuring it again would count a backslash as two columns. */
        for (size_t i = 0; i < len; i++)
            buf[i] = buf[i] == '\\' ? '/' : buf[i];
        assert_true(columns_of(buf, len) <= most);
        if (columns_of(bytes, size) <= most)
            assert_int_equal(columns_of(buf, len), columns_of(bytes, size));
        free(buf);
    }
}

static void assert_padded(char *(*pad)(char *, const char *, size_t), const char *word,
                          const char *expected)
{
    char buf[32];

    *pad(buf, word, 6) = '\0';
    assert_string_equal(buf, expected);
}

static void columns_are_padded(void **state)
{
    (void)state;
    assert_padded(columns_put_left, "ab", "ab    ");
    assert_padded(columns_put_right, "ab", "    ab");
    assert_padded(columns_put_right, "12µs", "  12µs");
    assert_padded(columns_put_left, "中", "中    ");
    assert_padded(columns_put_right, "seven77", "seven77");
}

static void durations_have_units(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0ns"},
        {999, "999ns"},
        {1000, "1.00µs"},
        {12789, "12.7µs"},
        {999999, "999µs"},
        {1000000, "1.00ms"},
        {99990000, "99.9ms"},
        {999999999, "999ms"},
        {1000000000, "1.00s"},
        {59999999999, "59.9s"},
        {60000000000, "1m00s"},
        {125 * UINT64_C(1000000000), "2m05s"},
        {3599 * UINT64_C(1000000000), "59m59s"},
        {11220 * UINT64_C(1000000000), "3h07m"},
        {86399 * UINT64_C(1000000000), "23h59m"},
        {187200 * UINT64_C(1000000000), "2d04h"},
        {UINT64_MAX, "213503d23h"},
    };
    char buf[COLUMNS_DURATION_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(columns_duration(buf, cases[i].ns), cases[i].text);
}

static void bytes_have_units(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0"},           {1023, "1023"},         {1024, "1.00K"},
        {4096, "4.00K"},    {13 * 1024, "13.0K"},   {1024 * 1024 - 1, "1023K"},
        {1 << 20, "1.00M"}, {UINT64_MAX, "16383P"},
    };
    char buf[COLUMNS_BYTES_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(columns_bytes(buf, cases[i].bytes), cases[i].text);
}

static void width_of_a_terminal(void **state)
{
    struct winsize size = {.ws_row = 24, .ws_col = 132};
    int master, terminal, ends[2];

    (void)state;
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, &size), 0);
    assert_int_equal(columns_of_terminal(terminal), 132);
    size.ws_col = 0;
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    assert_int_equal(columns_of_terminal(terminal), COLUMNS_UNLIMITED);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(columns_of_terminal(ends[1]), COLUMNS_UNLIMITED);
    close(master);
    close(terminal);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_text_is_not_cut),
        cmocka_unit_test(long_text_is_cut_nearer_to_its_beginning),
        cmocka_unit_test(escapes_stay_whole),
        cmocka_unit_test(widths_of_characters),
        cmocka_unit_test(random_bytes_stay_within_the_columns),
        cmocka_unit_test(columns_are_padded),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(bytes_have_units),
        cmocka_unit_test(width_of_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
