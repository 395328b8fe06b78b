/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <errno.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int text_number(const char *text, size_t len, int64_t min, int64_t max, int64_t *value)
{
    bool negative = len > 0 && text[0] == '-';
    bool overflow = false;
    int64_t number = 0;

    if (len == (negative ? 1 : 0))
        return -EINVAL;
    for (size_t i = negative; i < len; i++) {
        if (!is_digit(text[i]))
            return -EINVAL;
        int digit = text[i] - '0';
        overflow |= __builtin_mul_overflow(number, 10, &number);
        overflow |= __builtin_add_overflow(number, negative ? -digit : digit, &number);
    }
    if (overflow || number < min || number > max)
        return -ERANGE;
    *value = number;
    return 0;
}

/* Unicode 3.9, table 3-7: some first bytes narrow what the second may be. */
static unsigned char second_low(unsigned char first)
{
    return first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80; /* else overlong */
}

static unsigned char second_high(unsigned char first)
{
    return first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf; /* surrogates; past U+10FFFF */
}

size_t text_utf8(const char *text, size_t len, bool *valid)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char first = bytes[0];
    size_t want = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, got = 1;

    *valid = want == 1;
    if (*valid || first < 0xc2 || first > 0xf4)
        return 1;
    if (len > 1 && bytes[1] >= second_low(first) && bytes[1] <= second_high(first))
        for (got = 2; got < want && got < len && (bytes[got] & 0xc0) == 0x80; got++)
            ;
    *valid = got == want;
    return got;
}
