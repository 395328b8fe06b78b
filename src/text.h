/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes that others chose, read strictly: numbers and UTF-8. */
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

#endif
