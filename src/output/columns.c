/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/columns.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

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
    size_t size, columns, taken;
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

/* Writes the characters that lie within the columns from `from` to `to`. */
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
    size_t all = columns_of(bytes, size), head = most / 3;

    if (all <= most)
        return put_part(at, bytes, size, 0, all);
    if (most == 0)
        return at;
    at = put_part(at, bytes, size, 0, head);
    at = stpcpy(at, CUT);
    return put_part(at, bytes, size, all - (most - 1 - head), all);
}

static char *put_blanks(char *at, size_t used, size_t width)
{
    size_t blanks = used < width ? width - used : 0;

    memset(at, ' ', blanks);
    return at + blanks;
}

char *columns_put_right(char *at, const char *word, size_t width)
{
    return stpcpy(put_blanks(at, columns_of(word, strlen(word)), width), word);
}

char *columns_put_left(char *at, const char *word, size_t width)
{
    return put_blanks(stpcpy(at, word), columns_of(word, strlen(word)), width);
}

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* With three significant digits. */
static void print_decimal(char *buf, uint64_t ns, uint64_t unit, const char *name)
{
    uint64_t whole = ns / unit, thousandths = ns % unit * 1000 / unit;
    int places = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;

    if (places == 0)
        snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 "%s", whole, name);
    else
        snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 ".%0*" PRIu64 "%s", whole, places,
                 thousandths / (places == 1 ? 100 : 10), name);
}

static void print_two(char *buf, uint64_t ns, uint64_t unit, const char *names, uint64_t part)
{
    snprintf(buf, COLUMNS_DURATION_SIZE, "%" PRIu64 "%c%02" PRIu64 "%c", ns / unit, names[0],
             ns % unit / part, names[1]);
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
        print_two(buf, ns, MINUTE, "ms", S);
    else if (ns < DAY)
        print_two(buf, ns, HOUR, "hm", MINUTE);
    else
        print_two(buf, ns, DAY, "dh", HOUR);
    return buf;
}

size_t columns_of_terminal(int fd)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_UNLIMITED;
    return size.ws_col;
}
