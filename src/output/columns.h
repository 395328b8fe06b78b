/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text for a terminal: its width in columns (cells), cutting and padding; durations. */
#ifndef FILEMON_COLUMNS_H
#define FILEMON_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#define COLUMNS_UNLIMITED SIZE_MAX

/* The width of the bytes as text_visible() shows them, in columns: a wide character has 2, a
 * combining one 0, an escape such as \xff one for each of its characters. */
size_t columns_of(const char *bytes, size_t size);

/* An upper bound of the bytes that columns_put() writes. */
#define COLUMNS_BOUND(size) (4 * (size) + 3)

/*
 * Writes the bytes as text_visible() shows them, in at most `most` columns: if they are wider, the
 * first third of the columns has their beginning, then comes "…", then their end. COLUMNS_UNLIMITED
 * never cuts.  Writes no NUL; returns the position after the last byte written.
 */
char *columns_put(char *at, const char *bytes, size_t size, size_t most);

/* Write the word, printable UTF-8 ending in NUL, with blanks before it (right) or after it (left)
 * up to `width` columns; a wider word is not cut.  Write no NUL, and at most strlen(word) + width
 * bytes; return the position after the last. */
char *columns_put_right(char *at, const char *word, size_t width);
char *columns_put_left(char *at, const char *word, size_t width);

/* "380ns", "12.8µs", "1.28ms", "45.6s", "2m05s", "3h07m", "2d04h", rounded down.  Returns buf. */
#define COLUMNS_DURATION_SIZE 24
char *columns_duration(char buf[static COLUMNS_DURATION_SIZE], uint64_t ns);

/* "512", "4.00K", "12.8M", "1.28G", in powers of 1,024, rounded down.  Returns buf. */
#define COLUMNS_BYTES_SIZE 24
char *columns_bytes(char buf[static COLUMNS_BYTES_SIZE], uint64_t bytes);

/* The width of the terminal; COLUMNS_UNLIMITED if fd is no terminal, or its width is unknown. */
size_t columns_of_terminal(int fd);

#endif
