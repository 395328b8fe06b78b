/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands in columns for people: how wide it is, how it is cut, and durations in human units.
 */
#ifndef FILEMON_COLUMNS_H
#define FILEMON_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#define COLUMNS_UNLIMITED SIZE_MAX

/*
 * How many columns the bytes take once text_visible() has made them visible: wide characters two,
 * combining ones none.
 */
size_t columns_of(const char *bytes, size_t size);

/* The most bytes columns_put() writes. */
#define COLUMNS_BOUND(size) (4 * (size) + 3)

/*
 * Writes the bytes, made visible, in at most so many columns: where they take more, a part in the
 * middle, nearer to the beginning, is left out and "…" stands for it.  No NUL; returns the end.
 */
char *columns_put(char *at, const char *bytes, size_t size, size_t most);

/* Writes the word, which is printable UTF-8, with blanks before or after it to fill the width. */
char *columns_put_right(char *at, const char *word, size_t width);
char *columns_put_left(char *at, const char *word, size_t width);

/* "380ns", "12.8µs", "1.28ms", "45.6s", "2m05s", "3h07m", "2d04h": cut, not rounded.  Returns buf.
 */
#define COLUMNS_DURATION_SIZE 24
char *columns_duration(char buf[static COLUMNS_DURATION_SIZE], uint64_t ns);

/* Of the terminal that fd is; COLUMNS_UNLIMITED when it is none, or does not say. */
size_t columns_of_terminal(int fd);

#endif
