/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict parsing of untrusted bytes: numbers and UTF-8; making them visible; typing errors. */
#ifndef FILEMON_TEXT_H
#define FILEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parses the len bytes as a decimal number: digits after an optional '-', and nothing else.  0;
 * -EINVAL if they are anything else; -ERANGE if the number is not from min to max.  Writes *value
 * on success only.
 */
int text_number(const char *text, size_t len, int64_t min, int64_t max, int64_t *value);

/*
 * The length in bytes of the first character of the len bytes (at least one), and *valid = true; or
 * the length of the first maximal ill-formed part (Unicode 3.9, as the WHATWG decoder cuts it), and
 * *valid = false.  At least 1.
 */
size_t text_utf8(const char *text, size_t len, bool *valid);

/* How many of the first bytes are printable ASCII other than '"' and '\\'. */
size_t text_plain(const char *text, size_t len);

bool text_is_utf8(const char *text, size_t len);

/* A line of a stream, assembled byte by byte.  What is longer than the array is cut. */
struct text_line {
    char text[1024];
    size_t len; /* so far; 0: nothing of the next line was read */
};

/* True: the byte was a newline, and text is the line before it, NUL-terminated, until the next call
 * with the same line. */
bool text_line_add(struct text_line *line, char byte);

#define TEXT_HEX_DIGITS "0123456789abcdef"

/* The value of one of these digits; -1: it is none. */
int text_hex_digit(char c);

/* Writes the len / 2 bytes that the digits stand for.  0; -EINVAL if len is odd, or if they are not
 * all digits. */
int text_unhex(char *to, const char *digits, size_t len);

/* FNV-1a of n bytes.  hash: TEXT_HASH_START, or the result for the bytes before these. */
#define TEXT_HASH_START 0xcbf29ce484222325ULL
uint64_t text_hash(uint64_t hash, const void *bytes, size_t n);

/* U+FFFD, in place of an ill-formed part. */
#define TEXT_REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the longest result of text_visible(), and of its longest escape of one byte. */
#define TEXT_VISIBLE_MAX 16
#define TEXT_VISIBLE_BYTE_MAX 4

/*
 * Writes the first character of the len bytes (at least one) to out in a form that is safe on a
 * terminal, and sets *taken to its length in text.  Escaped, as \n, \t, \r, \\ or \x1b for each
 * byte, are: control bytes, backslashes, bytes that are not UTF-8, the controls U+0080 to U+009F,
 * and characters that change the direction of a line or break it (U+061C, U+200B to U+200F, U+2028
 * to U+202E, U+2060 to U+206F, U+FEFF).  Returns the length of out.
 */
size_t text_visible(const char *text, size_t len, char out[static TEXT_VISIBLE_MAX], size_t *taken);

/*
 * The edit distance of a and b: the number of bytes to replace, delete, insert or swap with the
 * next byte.  Letter case does not matter.  Neither may be longer than TEXT_ERRORS_LEN.
 */
#define TEXT_ERRORS_LEN 255
size_t text_errors(const char *a, const char *b);

/* The largest text_errors() at which a word is a likely typing error for this one: a third of its
 * length, at most three. */
size_t text_errors_allowed(const char *text);

/* snprintf(3) for names and paths, which must not be cut: 0, or -ENAMETOOLONG if the text and its
 * NUL do not fit in size bytes. */
int text_compose(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
