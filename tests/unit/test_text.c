/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int number(const char *text, int64_t min, int64_t max, int64_t *value)
{
    return text_number(text, strlen(text), min, max, value);
}

static void test_numbers(void **state)
{
    (void)state;
    int64_t value;

    assert_int_equal(number("0", 0, 10, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(number("007", 0, 10, &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(number("-12", -12, 0, &value), 0);
    assert_int_equal(value, -12);
    assert_int_equal(number("9223372036854775807", 0, INT64_MAX, &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(number("-9223372036854775808", INT64_MIN, 0, &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(text_number("123", 2, 0, 99, &value), 0);
    assert_int_equal(value, 12);
}

static void test_malformed_numbers(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   "-",   "--1", "+1",   " 1",  "1 ",
                                        "1x", "0x1", "1.0", "1e3",  "\n",  "\xb2",
                                        "x",  "1-",  "nan", "1\n2", "- 1", "99999999999999999999x"};
    int64_t value = 42;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(number(wrong[i], INT64_MIN, INT64_MAX, &value), -EINVAL);
    assert_int_equal(text_number("1\0", 2, 0, 10, &value), -EINVAL);
    assert_int_equal(value, 42);
}

static void test_ranges(void **state)
{
    (void)state;
    int64_t value = 42;

    assert_int_equal(number("11", 0, 10, &value), -ERANGE);
    assert_int_equal(number("-1", 0, 10, &value), -ERANGE);
    assert_int_equal(number("9223372036854775808", INT64_MIN, INT64_MAX, &value), -ERANGE);
    assert_int_equal(number("-9223372036854775809", INT64_MIN, 0, &value), -ERANGE);
    /* 2^64 + 1 is 1 if the overflow is not detected. */
    assert_int_equal(number("18446744073709551617", 0, INT64_MAX, &value), -ERANGE);
    assert_int_equal(value, 42);
}

static void check_utf8(const char *text, size_t len, size_t taken, bool expected)
{
    bool valid;

    assert_int_equal(text_utf8(text, len, &valid), taken);
    assert_int_equal(valid, expected);
}

static void test_utf8(void **state)
{
    (void)state;
    check_utf8("", 1, 1, true);
    check_utf8("ab", 2, 1, true);
    check_utf8("\x7f", 1, 1, true);
    check_utf8("\xc2\x80", 2, 2, true);
    check_utf8("\xc3\xb1x", 3, 2, true);
    check_utf8("\xdf\xbf", 2, 2, true);
    check_utf8("\xe0\xa0\x80", 3, 3, true);
    check_utf8("\xe2\x82\xac", 3, 3, true);
    check_utf8("\xed\x9f\xbf", 3, 3, true);
    check_utf8("\xee\x80\x80", 3, 3, true);
    check_utf8("\xef\xbf\xbf", 3, 3, true);
    check_utf8("\xf0\x90\x80\x80", 4, 4, true);
    check_utf8("\xf0\x9f\x98\x80", 4, 4, true);
    check_utf8("\xf4\x8f\xbf\xbf", 4, 4, true);
}

static void test_ill_formed_utf8(void **state)
{
    (void)state;
    check_utf8("\x80", 1, 1, false);
    check_utf8("\xc0\x80", 2, 1, false); /* overlong */
    check_utf8("\xc1\xbf", 2, 1, false);
    check_utf8("\xe0\x80\x80", 3, 1, false);
    check_utf8("\xf0\x8f\xbf\xbf", 4, 1, false);
    check_utf8("\xed\xa0\x80", 3, 1, false);     /* a surrogate */
    check_utf8("\xf4\x90\x80\x80", 4, 1, false); /* past U+10FFFF */
    check_utf8("\xf5\x80\x80\x80", 4, 1, false);
    check_utf8("\xff", 1, 1, false);
    check_utf8("\xe2\x82z", 3, 2, false); /* the beginning of a character is one part */
    check_utf8("\xf0\x9f\x98z", 4, 3, false);
    check_utf8("\xf0\x9f\x98\x80", 3, 3, false); /* cut by the length */
    check_utf8("\xc3\xb1", 1, 1, false);
}

static void check_visible(const char *text, const char *expected)
{
    char *seen = malloc(TEXT_VISIBLE_BYTE_MAX * strlen(text) + 1), *at = seen;
    size_t taken;

    for (const char *rest = text; *rest != '\0'; rest += taken) {
        char out[TEXT_VISIBLE_MAX];
        size_t size = text_visible(rest, strlen(rest), out, &taken);

        assert_in_range(taken, 1, 4);
        assert_in_range(size, 1, TEXT_VISIBLE_BYTE_MAX * taken);
        at = mempcpy(at, out, size);
    }
    *at = '\0';
    assert_string_equal(seen, expected);
    free(seen);
}

static void test_visible(void **state)
{
    (void)state;
    check_visible(
        "/etc/ma\xc3\xb1"
        "ana \xe2\x82\xac \xf0\x9f\x98\x80",
        "/etc/ma\xc3\xb1"
        "ana \xe2\x82\xac \xf0\x9f\x98\x80");
    check_visible("\x1b[2J\n\t\r\\\x7f", "\\x1b[2J\\n\\t\\r\\\\\\x7f");
    check_visible("\xff\xe2\x82z\xc2\x80\xc2\x9f\xc2\xa0",
                  "\\xff\\xe2\\x82z\\xc2\\x80\\xc2\\x9f\xc2\xa0");
}

/* Characters that control a terminal's line, and their neighbours, which do not. */
static void test_direction_marks_are_escaped(void **state)
{
    static const char *const obeyed[] = {"\xd8\x9c",     "\xe2\x80\x8b", "\xe2\x80\x8f",
                                         "\xe2\x80\xa8", "\xe2\x80\xae", "\xe2\x81\xa0",
                                         "\xe2\x81\xaf", "\xef\xbb\xbf"};
    static const char *const shown[] = {"\xd8\x9b",     "\xe2\x80\x8a", "\xe2\x80\x90",
                                        "\xe2\x80\xa7", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                        "\xe2\x81\xb0", "\xef\xbb\xbe", "\xe3\x80\x8b"};

    (void)state;
    for (size_t i = 0; i < sizeof obeyed / sizeof obeyed[0]; i++) {
        char expected[16] = "", *at = expected;

        for (const char *byte = obeyed[i]; *byte != '\0'; byte++)
            at += sprintf(at, "\\x%02x", (unsigned char)*byte);
        check_visible(obeyed[i], expected);
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        check_visible(shown[i], shown[i]);
}

/* Each byte at each place of a text: the function compares eight bytes at once. */
static void test_plain_bytes(void **state)
{
    (void)state;
    char text[24];

    for (size_t len = 0; len <= sizeof(text); len++)
        for (size_t place = 0; place < len; place++)
            for (int byte = 0; byte < 256; byte++) {
                bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';

                memset(text, '!', sizeof(text)); /* '!' is one less than '"' */
                text[place] = (char)byte;
                assert_int_equal(text_plain(text, len), plain ? len : place);
                assert_int_equal(text_is_utf8(text, len), byte < 0x80);
            }
    assert_int_equal(text_plain("\"\"aaaaaaaaaaaaa", 15), 0);
    assert_int_equal(text_plain("aaaaaaa\\\"", 9), 7);
}

static void test_compose_does_not_cut(void **state)
{
    char to[6];

    (void)state;
    assert_int_equal(text_compose(to, sizeof to, "%s/%d", "abc", 7), 0);
    assert_string_equal(to, "abc/7");
    assert_int_equal(text_compose(to, sizeof to, "%s/%d", "abc", 78), -ENAMETOOLONG);
    assert_int_equal(text_compose(to, 0, "%s", ""), -ENAMETOOLONG);
}

/* The lines that were read so far, each followed by '|'. */
static void test_lines(void **state)
{
    static const char text[] = "a\n\nbc\nd";
    static struct text_line line;
    char lines[32] = "";

    (void)state;
    for (const char *byte = text; *byte != '\0'; byte++)
        if (text_line_add(&line, *byte))
            strcat(strcat(lines, line.text), "|");
    assert_string_equal(lines, "a||bc|");
    assert_int_equal(line.len, 1);
    for (size_t i = 0; i < 2 * sizeof(line.text); i++)
        assert_false(text_line_add(&line, 'x'));
    assert_true(text_line_add(&line, '\n'));
    assert_int_equal(strlen(line.text), sizeof(line.text) - 1);
    assert_int_equal(line.text[0], 'd');
}

/* Values of the authors' test vectors.  The hash is part of the names of modules, so it must not
 * change. */
static void test_hash(void **state)
{
    (void)state;
    assert_int_equal(text_hash(TEXT_HASH_START, "", 0), TEXT_HASH_START);
    assert_int_equal(text_hash(TEXT_HASH_START, "foobar", 6), 0x85944171f73967e8ULL);
    assert_int_equal(text_hash(text_hash(TEXT_HASH_START, "foo", 3), "bar", 3),
                     0x85944171f73967e8ULL);
}

static void test_unhex(void **state)
{
    char bytes[] = "xxxx";

    (void)state;
    assert_int_equal(text_unhex(bytes, "", 0), 0);
    assert_int_equal(text_unhex(bytes, "00ff7a", 6), 0);
    assert_memory_equal(bytes, "\0\xffzx", 4);
    assert_int_equal(text_unhex(bytes, "00f", 3), -EINVAL);
    assert_int_equal(text_unhex(bytes, "0g", 2), -EINVAL);
    assert_int_equal(text_unhex(bytes, "FF", 2), -EINVAL);
    assert_int_equal(text_unhex(bytes, "0\0", 2), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unhex),
        cmocka_unit_test(test_malformed_numbers),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_ill_formed_utf8),
        cmocka_unit_test(test_visible),
        cmocka_unit_test(test_direction_marks_are_escaped),
        cmocka_unit_test(test_plain_bytes),
        cmocka_unit_test(test_compose_does_not_cut),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
