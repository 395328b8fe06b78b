/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <errno.h>
#include <stdbool.h>

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

/* What a first byte asks of the bytes after it (Unicode 3.9, table 3-7). */
struct lead {
    unsigned char first, last; /* the first bytes of this row */
    unsigned char low, high;   /* the second byte; those after it are 80..BF */
    unsigned char following, mask;
};

static const struct lead leads[] = {
    {0x00, 0x7f, 0x00, 0x00, 0, 0x7f}, {0xc2, 0xdf, 0x80, 0xbf, 1, 0x1f},
    {0xe0, 0xe0, 0xa0, 0xbf, 2, 0x0f}, {0xe1, 0xec, 0x80, 0xbf, 2, 0x0f},
    {0xed, 0xed, 0x80, 0x9f, 2, 0x0f}, {0xee, 0xef, 0x80, 0xbf, 2, 0x0f},
    {0xf0, 0xf0, 0x90, 0xbf, 3, 0x07}, {0xf1, 0xf3, 0x80, 0xbf, 3, 0x07},
    {0xf4, 0xf4, 0x80, 0x8f, 3, 0x07},
};

static const struct lead *find_lead(unsigned char byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++)
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    return NULL;
}

size_t text_utf8(const char *text, size_t len, uint32_t *character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    const struct lead *lead = find_lead(bytes[0]);

    *character = TEXT_ILL_FORMED;
    if (lead == NULL)
        return 1;
    uint32_t code = bytes[0] & lead->mask;
    for (size_t i = 1; i <= lead->following; i++) {
        unsigned char low = i == 1 ? lead->low : 0x80;
        unsigned char high = i == 1 ? lead->high : 0xbf;
        if (i == len || bytes[i] < low || bytes[i] > high)
            return i;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    *character = code;
    return 1u + lead->following;
}
