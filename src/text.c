/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* The permitted second bytes depend on the first byte (Unicode 3.9, table 3-7). */
static unsigned char second_low(unsigned char first)
{
    return first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80; /* lower: overlong */
}

static unsigned char second_high(unsigned char first)
{
    return first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf; /* surrogates; above U+10FFFF */
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

/* Compares eight bytes at once (Warren, Hacker's Delight, 6-1): BELOW sets the high bit of each
 * byte of word that is below the given one.  Bytes above the lowest such byte can have it set
 * wrongly. */
#define EACH(byte) ((byte)*UINT64_C(0x0101010101010101))
#define BELOW(word, byte) (((word)-EACH(byte)) & ~(word))
#define IS(word, byte) BELOW((word) ^ EACH(byte), 1)

static uint64_t eight_bytes(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof(word));
    return word;
}

static bool are_plain(uint64_t word)
{
    uint64_t wrong = word | BELOW(word, ' ') | IS(word, 0x7f) | IS(word, '"') | IS(word, '\\');

    return (wrong & EACH(0x80)) == 0;
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

size_t text_plain(const char *text, size_t len)
{
    size_t at = 0;

    while (at + 8 <= len && are_plain(eight_bytes(text + at)))
        at += 8;
    while (at < len && is_plain((unsigned char)text[at]))
        at++;
    return at;
}

bool text_is_utf8(const char *text, size_t len)
{
    bool valid = true;

    for (size_t at = 0; valid && at < len;)
        if (at + 8 <= len && (eight_bytes(text + at) & EACH(0x80)) == 0)
            at += 8;
        else
            at += text_utf8(text + at, len - at, &valid);
    return valid;
}

bool text_line_add(struct text_line *line, char byte)
{
    if (byte == '\n') {
        line->text[line->len] = '\0';
        line->len = 0;
        return true;
    }
    if (line->len < sizeof(line->text) - 1)
        line->text[line->len++] = byte;
    return false;
}

uint64_t text_hash(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    while (n--)
        hash = (hash ^ *at++) * 0x100000001b3ULL;
    return hash;
}

int text_hex_digit(char c)
{
    static const char digits[] = TEXT_HEX_DIGITS;
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

int text_unhex(char *to, const char *digits, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = text_hex_digit(digits[i]), low = text_hex_digit(digits[i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        *to++ = (char)(high * 16 + low);
    }
    return len % 2 == 0 ? 0 : -EINVAL;
}

static size_t escape(unsigned char byte, char *out)
{
    static const char letters[256] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r', ['\\'] = '\\'};

    out[0] = '\\';
    if (letters[byte] != '\0') {
        out[1] = letters[byte];
        return 2;
    }
    out[1] = 'x';
    out[2] = TEXT_HEX_DIGITS[byte >> 4];
    out[3] = TEXT_HEX_DIGITS[byte & 15];
    return 4;
}

/* Of the block General Punctuation, whose first byte is E2: see the header for the list. */
static bool is_invisible_punctuation(unsigned char second, unsigned char third)
{
    if (second == 0x80)
        return (third >= 0x8b && third <= 0x8f) || (third >= 0xa8 && third <= 0xae);
    return second == 0x81 && third >= 0xa0 && third <= 0xaf;
}

static bool controls_terminal(const char *character, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)character;

    if (len == 1)
        return bytes[0] < 0x20 || bytes[0] == 0x7f;
    if (bytes[0] == 0xe2)
        return is_invisible_punctuation(bytes[1], bytes[2]);
    return (bytes[0] == 0xc2 && bytes[1] < 0xa0) || /* C1 */
           (bytes[0] == 0xd8 && bytes[1] == 0x9c) ||
           (len == 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0);
}

size_t text_visible(const char *text, size_t len, char out[static TEXT_VISIBLE_MAX], size_t *taken)
{
    bool valid;
    size_t size = 0;

    *taken = text_utf8(text, len, &valid);
    if (valid && text[0] != '\\' && !controls_terminal(text, *taken)) {
        memcpy(out, text, *taken);
        return *taken;
    }
    for (size_t i = 0; i < *taken; i++)
        size += escape((unsigned char)text[i], out + size);
    return size;
}

static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t less = a < b ? a : b;

    return less < c ? less : c;
}

size_t text_errors(const char *a, const char *b)
{
    /* Optimal string alignment distance; three rows of its table are enough. */
    size_t rows[3][TEXT_ERRORS_LEN + 1] = {0}, len = strlen(b);
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            row[j] = least(row[j - 1] + 1, above[j] + 1,
                           above[j - 1] + !is_same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1, row[j]);
        }
    }
    return row[len];
}

size_t text_errors_allowed(const char *text)
{
    size_t third = strlen(text) / 3;

    return third < 3 ? third : 3;
}

int text_compose(char *to, size_t size, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to, size, format, args);
    va_end(args);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
