/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes that others chose, read strictly: numbers, UTF-8, and what is nearly a
 * word. */
#ifndef FILEMON_TEXT_H
#define FILEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The len bytes are one decimal number, all of them: digits, before them a '-' at most.
 * 0; -EINVAL when they are anything else; -ERANGE when it is not within min and max.  *value is
 * written on success alone.
 */
int text_number(const char *text, size_t len, int64_t min, int64_t max, int64_t *value);

/*
 * How many of the len bytes (at least one) make the first character; or, *valid then being false,
 * the first maximal ill-formed part (Unicode 3.9, as the WHATWG decoder has it), at least one.
 */
size_t text_utf8(const char *text, size_t len, bool *valid);

/* How many of them, from the first on, are printable ASCII other than '"' and '\\'. */
size_t text_plain(const char *text, size_t len);

bool text_is_utf8(const char *text, size_t len);

/* U+FFFD, for what is not UTF-8. */
#define TEXT_REPLACEMENT "\xef\xbf\xbd"

/* The most bytes text_visible() makes of one character; and the most of each byte of it. */
#define TEXT_VISIBLE_MAX 16
#define TEXT_VISIBLE_BYTE_MAX 4

/*
 * The first character of the len bytes (at least one) as it shall be seen, *taken being how many of
 * them it is.  Control bytes, a backslash and bytes that are not UTF-8 stand as \n, \t, \r, \\ or
 * \x1b; so do, byte by byte, the controls U+0080 to U+009F and the marks that would turn or break
 * the line they stand in (U+061C, U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF).
 * Returns how many bytes of out it became.
 */
size_t text_visible(const char *text, size_t len, char out[static TEXT_VISIBLE_MAX], size_t *taken);

/*
 * How many bytes must be changed, left out, put in, or change places with the next one, to make b
 * of a; upper and lower case are the same.  Neither is longer than TEXT_ERRORS_LEN.
 */
#define TEXT_ERRORS_LEN 255
size_t text_errors(const char *a, const char *b);

/* The most errors with which another word is still like this one: one in three bytes, never more
 * than three. */
size_t text_errors_allowed(const char *text);

/* snprintf(3) for names and paths, which are useless when cut: 0, or -ENAMETOOLONG when the text
 * and its NUL do not fit in size bytes. */
int text_compose(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
