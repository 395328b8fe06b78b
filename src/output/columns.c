/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/columns.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "array.h"
#include "text.h"

#define CUT "…"

/* Output is UTF-8 in every locale, so the width must not depend on filemon's locale. */
static int width_of_character(const char *bytes, size_t size)
{
    static locale_t utf8;
    mbstate_t state = {0};
    wchar_t character;
    locale_t before;
    int width = -1;

    if (utf8 == (locale_t)0)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0)
        return 1;
    before = uselocale(utf8);
    if (mbrtowc(&character, bytes, size, &state) == size)
        width = wcwidth(character);
    uselocale(before);
    return width >= 0 ? width : 1;
}

/* A character in the form that text_visible() gives it. */
struct shown {
    char bytes[TEXT_VISIBLE_MAX];
    size_t size, columns;
    size_t taken; /* bytes of the input that it stands for */
};

static void show(struct shown *shown, const char *bytes, size_t size)
{
    shown->size = text_visible(bytes, size, shown->bytes, &shown->taken);
    shown->columns = shown->size;
    if ((unsigned char)shown->bytes[0] >= 0x80)
        shown->columns = (size_t)width_of_character(shown->bytes, shown->size);
}

size_t columns_of(const char *bytes, size_t size)
{
    size_t columns = 0;
    struct shown shown;

    for (; size > 0; bytes += shown.taken, size -= shown.taken) {
        show(&shown, bytes, size);
        columns += shown.columns;
    }
    return columns;
}

/* Writes the characters that lie in the columns [from, to). */
static char *put_part(char *at, const char *bytes, size_t size, size_t from, size_t to)
{
    size_t column = 0;
    struct shown shown;

    for (; size > 0; bytes += shown.taken, size -= shown.taken) {
        show(&shown, bytes, size);
        if (column >= from && column + shown.columns <= to)
            at = mempcpy(at, shown.bytes, shown.size);
        column += shown.columns;
    }
    return at;
}

char *columns_put(char *at, const char *bytes, size_t size, size_t most)
{
    size_t width = columns_of(bytes, size), head = most / 3;

    if (width <= most)
        return put_part(at, bytes, size, 0, width);
    if (most == 0)
        return at;
    at = put_part(at, bytes, size, 0, head);
    at = mempcpy(at, CUT, strlen(CUT));
    return put_part(at, bytes, size, width - (most - 1 - head), width);
}

static char *put_blanks(char *at, size_t used, size_t width)
{
    size_t blanks = used < width ? width - used : 0;

    memset(at, ' ', blanks);
    return at + blanks;
}

char *columns_put_right(char *at, const char *word, size_t width)
{
    size_t size = strlen(word);

    return mempcpy(put_blanks(at, columns_of(word, size), width), word, size);
}

char *columns_put_left(char *at, const char *word, size_t width)
{
    size_t size = strlen(word);

    return put_blanks(mempcpy(at, word, size), columns_of(word, size), width);
}

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* With three significant digits. */
static void print_decimal(char *buf, uint64_t number, uint64_t unit, const char *name)
{
    uint64_t whole = number / unit, thousandths = number % unit * 1000 / unit;
    int places = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;

    if (places == 0)
        snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 "%s", whole, name);
    else
        snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 ".%0*" PRIu64 "%s", whole, places,
                 thousandths / (places == 1 ? 100 : 10), name);
}

/* "2m05s": names are the letters of both units. */
static void print_two(char *buf, uint64_t ns, uint64_t unit, uint64_t small_unit,
                      const char names[static 2])
{
    snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 "%c%02" PRIu64 "%c", ns / unit, names[0],
             ns % unit / small_unit, names[1]);
}

char *columns_duration(char buf[static COLUMNS_DURATION_SIZE], uint64_t ns)
{
    if (ns < US)
        snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 "ns", ns);
    else if (ns < MS)
        print_decimal(buf, ns, US, "µs");
    else if (ns < S)
        print_decimal(buf, ns, MS, "ms");
    else if (ns < MINUTE)
        print_decimal(buf, ns, S, "s");
    else if (ns < HOUR)
        print_two(buf, ns, MINUTE, S, (char[]){'m', 's'});
    else if (ns < DAY)
        print_two(buf, ns, HOUR, MINUTE, (char[]){'h', 'm'});
    else
        print_two(buf, ns, DAY, HOUR, (char[]){'d', 'h'});
    return buf;
}

char *columns_bytes(char buf[static COLUMNS_BYTES_SIZE], uint64_t bytes)
{
    static const char names[][2] = {"", "K", "M", "G", "T", "P"};
    unsigned int step = 0;

    while (step + 1 < LENGTH(names) && bytes >> 10 * (step + 1) > 0)
        step++;
    if (step == 0)
        snprintf(buf, COLUMNS_BYTES_SIZE, "%" PRIu64, bytes);
    else
        print_decimal(buf, bytes, UINT64_C(1) << 10 * step, names[step]);
    return buf;
}

size_t columns_of_terminal(int fd)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_UNLIMITED;
    return size.ws_col;
}
