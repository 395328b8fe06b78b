/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks the invariants of any output: the keys and values of each record, and their sequence. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records.h"

/* CLOCK_REALTIME may be stepped while CLOCK_MONOTONIC, the clock of durations, goes on. */
enum { CLOCK_SLACK_US = 1000000, FAULTS_SHOWN = 20 };

struct check {
    const struct records *records;
    const struct check_options *options;
    size_t at, faults;
    json_t *held; /* "pid/descriptor" → the records that opened it; one, except with own_tables */
    json_t *last; /* "pid/tid" → date_us of its last record */
    bool lossy;   /* there was a lost record */
};

__attribute__((format(printf, 2, 3))) static void fault(struct check *check, const char *format,
                                                        ...)
{
    va_list args;

    if (check->faults++ >= FAULTS_SHOWN)
        return;
    printf("%s:%zu: ", check->records->file, check->at + 1);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

#define OF_NAME "codigo proceso pid ppid tid fichero date date_us fichero_hex?"
#define OF_MODE "codigo proceso pid ppid tid fichero date date_us modo fichero_hex?"
#define OF_DESTINATION "destino destino_hex?"

/* The keys of each record in their order; those with a question mark are optional. */
static const struct shape {
    const char *code, *keys;
} shapes[] = {
    {"open",
     "codigo proceso pid ppid tid fichero descriptor date date_us flags modo? motivo? "
     "fichero_hex?"},
    {"close",
     "codigo proceso pid ppid tid fichero descriptor date date_us duracion_ns motivo "
     "fichero_hex? leidos? escritos? lecturas? escrituras? mapeado?"},
    {"dup", "codigo proceso pid ppid tid fichero descriptor date date_us origen fichero_hex?"},
    {"fail",
     "codigo proceso pid ppid tid fichero descriptor date date_us flags? modo? errno "
     "fichero_hex? destino? destino_hex? llamada?"},
    {"held", "codigo proceso pid ppid tid fichero descriptor date date_us flags fichero_hex?"},
    {"error", "codigo proceso pid ppid tid fichero descriptor date date_us fichero_hex?"},
    {"lost", "codigo date date_us perdidos"},
    {"exec", OF_NAME},
    {"rename", OF_NAME " " OF_DESTINATION},
    {"link", OF_NAME " " OF_DESTINATION},
    {"symlink", OF_NAME " " OF_DESTINATION},
    {"unlink", OF_NAME},
    {"mkdir", OF_MODE},
    {"rmdir", OF_NAME},
    {"mknod", OF_MODE},
    {"chmod", OF_MODE},
    {"chown", OF_NAME},
    {"truncate", OF_NAME},
    {"utimes", OF_NAME},
    {"setxattr", OF_NAME},
};

/* Removes the first key from the list. */
static bool next_key(const char **keys, char key[static 32], bool *optional)
{
    size_t length = strcspn(*keys, " ");

    if (length == 0)
        return false;
    *optional = (*keys)[length - 1] == '?';
    snprintf(key, 32, "%.*s", (int)(length - *optional), *keys);
    *keys += length + ((*keys)[length] == ' ');
    return true;
}

static void check_keys(struct check *check, json_t *record, const char *keys)
{
    void *at = json_object_iter(record);
    char key[32];
    bool optional;

    while (next_key(&keys, key, &optional)) {
        if (at != NULL && strcmp(json_object_iter_key(at), key) == 0)
            at = json_object_iter_next(record, at);
        else if (!optional)
            fault(check, "key %s is missing or out of order", key);
    }
    if (at != NULL)
        fault(check, "key %s is not allowed or out of order", json_object_iter_key(at));
}

static void check_types(struct check *check, json_t *record)
{
    static const char integers[] =
        " pid ppid tid descriptor date date_us duracion_ns origen "
        "perdidos leidos escritos lecturas escrituras ";
    const char *key;
    json_t *value;

    json_object_foreach(record, key, value)
    {
        char word[64];
        snprintf(word, sizeof(word), " %s ", key);
        bool integer = strstr(integers, word) != NULL;
        bool boolean = strcmp(key, "mapeado") == 0;
        if (!(integer   ? json_is_integer(value)
              : boolean ? json_is_boolean(value)
                        : json_is_string(value)))
            fault(check, "%s has the wrong type", key);
        json_int_t number = json_integer_value(value);
        if (number > (json_int_t)1 << 53 || (number < 0 && strcmp(key, "descriptor") != 0))
            fault(check, "%s is out of range: %" JSON_INTEGER_FORMAT, key, number);
    }
}

static void check_process(struct check *check, const json_t *record)
{
    if (record_integer(record, "pid") <= 0 || record_integer(record, "tid") <= 0)
        fault(check, "pid or tid is not positive");
    /* A comm has at most 15 bytes; each invalid byte becomes U+FFFD, three bytes. */
    if (strlen(record_string(record, "proceso")) > (size_t)15 * 3)
        fault(check, "proceso is too long");
}

/* The length of the well-formed UTF-8 sequence at text, or 0; *ill is then the number of bytes that
 * one U+FFFD replaces. */
static size_t sequence(const unsigned char *text, size_t left, size_t *ill)
{
    static const struct {
        unsigned char first, last, least, most; /* of the lead, and of the second byte */
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    *ill = 1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        for (size_t k = 1; k < forms[i].length; k++, *ill = k) {
            unsigned char least = k == 1 ? forms[i].least : 0x80;
            unsigned char most = k == 1 ? forms[i].most : 0xbf;
            if (k >= left || text[k] < least || text[k] > most)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

/* Decodes UTF-8, as a JSON library does: U+FFFD replaces what is invalid.  The caller frees it. */
static char *decode(const char *bytes, bool *valid)
{
    size_t left = strlen(bytes), ill, length;
    char *text = malloc(left * 3 + 1), *end = text;

    *valid = true;
    while (left > 0) {
        length = sequence((const unsigned char *)bytes, left, &ill);
        *valid = *valid && length > 0;
        memcpy(end, length > 0 ? bytes : "\xef\xbf\xbd", length > 0 ? length : 3);
        end += length > 0 ? length : 3;
        bytes += length > 0 ? length : ill;
        left -= length > 0 ? length : ill;
    }
    *end = '\0';
    return text;
}

static void check_path(struct check *check, const json_t *record)
{
    const char *hex = record_string(record, "fichero_hex");
    bool valid;

    if (json_object_get(record, "fichero_hex") == NULL)
        return;
    if (strlen(hex) % 2 != 0 || strspn(hex, "0123456789abcdef") != strlen(hex))
        fault(check, "fichero_hex is not hexadecimal");
    char *bytes = record_path(record), *text = decode(bytes, &valid);
    if (valid)
        fault(check, "fichero_hex is present, but the path is valid UTF-8");
    if (strcmp(text, record_string(record, "fichero")) != 0)
        fault(check, "fichero is not what fichero_hex decodes to");
    free(text);
    free(bytes);
}

static void check_flags(struct check *check, const json_t *record)
{
    static const char *const order[] = {
        "O_CREAT",     "O_EXCL",     "O_NOCTTY",  "O_TRUNC",   "O_APPEND",    "O_NONBLOCK",
        "O_SYNC",      "O_DSYNC",    "O_ASYNC",   "O_DIRECT",  "O_LARGEFILE", "O_TMPFILE",
        "O_DIRECTORY", "O_NOFOLLOW", "O_NOATIME", "O_CLOEXEC", "O_PATH",      NULL};
    const char *flags = record_string(record, "flags");
    size_t length = strcspn(flags, "|");

    if (strncmp(flags, "O_RDONLY", length) != 0 && strncmp(flags, "O_WRONLY", length) != 0 &&
        strncmp(flags, "O_RDWR", length) != 0 && strncmp(flags, "O_ACCMODE", length) != 0)
        fault(check, "flags do not begin with an access mode: %s", flags);
    const char *const *next = order;
    for (flags += length; *flags == '|'; flags += length) {
        length = strcspn(++flags, "|");
        while (*next != NULL && (strlen(*next) != length || strncmp(*next, flags, length) != 0))
            next++;
        if (*next == NULL && strncmp(flags, "0x", 2) != 0)
            fault(check, "flags are unknown or out of order from here: %s", flags);
    }
    bool makes = strstr(record_string(record, "flags"), "O_CREAT") != NULL ||
                 strstr(record_string(record, "flags"), "O_TMPFILE") != NULL;
    const char *mode = record_string(record, "modo");
    bool is_opened = !record_is(record, "held") && json_object_get(record, "motivo") == NULL;
    if (is_opened && makes != (json_object_get(record, "modo") != NULL))
        fault(check, "modo does not match the flags");
    if (*mode != '\0' && (strspn(mode, "01234567") != strlen(mode) || strlen(mode) < 4))
        fault(check, "modo is not octal: %s", mode);
}

static void check_values(struct check *check, const json_t *record)
{
    json_int_t descriptor = record_integer(record, "descriptor");
    json_int_t date = record_integer(record, "date"), origin = record_integer(record, "origen");

    if (record_is(record, "fail") != (descriptor < 0))
        fault(check, "descriptor %" JSON_INTEGER_FORMAT " in a record of this kind", descriptor);
    if (record_is(record, "close") ? date != record_integer(record, "duracion_ns") / 1000000
                                   : date != record_integer(record, "date_us") / 1000)
        fault(check, "date does not match date_us or duracion_ns");
    if (record_is(record, "dup") && origin == descriptor)
        fault(check, "origen equals descriptor");
    if (record_is(record, "fail") &&
        (json_object_get(record, "llamada") == NULL) != (json_object_get(record, "flags") != NULL))
        fault(check, "an open has flags, another call its name");
    if (record_is(record, "fail")) {
        const char *name = strerrorname_np((int)-descriptor);
        if (name == NULL || strcmp(name, record_string(record, "errno")) != 0)
            fault(check, "errno does not match descriptor");
    }
    if (record_is(record, "close") &&
        strstr(" close close_range dup2 exec exit ", record_string(record, "motivo")) == NULL)
        fault(check, "motivo is unknown");
    if (record_is(record, "open") && json_object_get(record, "motivo") != NULL &&
        strcmp(record_string(record, "motivo"), "received") != 0)
        fault(check, "motivo is unknown");
    if (record_is(record, "lost") && record_integer(record, "perdidos") == 0)
        fault(check, "perdidos is 0");
}

/* Whether the record names the same path as the one that opened the descriptor. */
static bool same_path(const json_t *record, const json_t *opener)
{
    char *one = record_path(record), *other = record_path(opener);
    bool same = one != NULL && other != NULL && strcmp(one, other) == 0;

    free(one);
    free(other);
    return same;
}

/* How much the duration of a close differs from the time between both dates, in microseconds. */
static json_int_t difference(const json_t *record, const json_t *opener)
{
    json_int_t by_clock = record_integer(record, "date_us") - record_integer(opener, "date_us");

    return llabs(by_clock - record_integer(record, "duracion_ns") / 1000);
}

static void check_duration(struct check *check, const json_t *record, const json_t *opener)
{
    if (difference(record, opener) > CLOCK_SLACK_US)
        fault(check, "duracion_ns contradicts the dates");
}

/* The index of the opener with the record's path, or the size of the array.  If the descriptor was
 * opened in several tables, a close belongs to the opener whose date fits its duration best. */
static size_t find_opener(const json_t *openers, const json_t *record)
{
    size_t n = json_array_size(openers), found = n;

    for (size_t i = 0; i < n; i++) {
        if (!same_path(record, json_array_get(openers, i)))
            continue;
        if (found == n ||
            (record_is(record, "close") && difference(record, json_array_get(openers, i)) <
                                               difference(record, json_array_get(openers, found))))
            found = i;
    }
    return found;
}

static void check_release(struct check *check, const json_t *record, const char *slot)
{
    json_t *openers = json_object_get(check->held, slot);
    size_t i = find_opener(openers, record);

    if (openers == NULL) {
        fault(check, "pid/descriptor %s is not open", slot);
        return;
    }
    if (i == json_array_size(openers)) {
        fault(check, "pid/descriptor %s was opened on another path", slot);
        i = 0;
    }
    if (record_is(record, "close"))
        check_duration(check, record, json_array_get(openers, i));
    json_array_remove(openers, i);
    if (json_array_size(openers) == 0)
        json_object_del(check->held, slot);
}

/* Whether the records in this slot may be of origen.  With own_tables, another process that shares
 * the table may have opened it. */
static bool may_be_origin(const struct check *check, const json_t *record, const char *slot)
{
    char own[64];

    snprintf(own, sizeof(own), "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
             record_integer(record, "pid"), record_integer(record, "origen"));
    return strcmp(slot, own) == 0 ||
           (check->options->own_tables && strcmp(strchr(slot, '/'), strchr(own, '/')) == 0);
}

static void check_origin(struct check *check, const json_t *record)
{
    const char *slot;
    json_t *openers;

    json_object_foreach(check->held, slot, openers)
    {
        if (may_be_origin(check, record, slot) &&
            find_opener(openers, record) < json_array_size(openers))
            return;
    }
    fault(check, "origen is not open on this path");
}

static void check_pairing(struct check *check, json_t *record)
{
    char slot[64];

    snprintf(slot, sizeof(slot), "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
             record_integer(record, "pid"), record_integer(record, "descriptor"));
    if (record_is(record, "close") || record_is(record, "error"))
        check_release(check, record, slot);
    if (record_is(record, "dup"))
        check_origin(check, record);
    if (record_is(record, "open") || record_is(record, "dup") || record_is(record, "held")) {
        json_t *openers = json_object_get(check->held, slot);
        if (openers == NULL)
            json_object_set_new(check->held, slot, openers = json_array());
        else if (!check->options->own_tables)
            fault(check, "pid/descriptor %s is open already", slot);
        json_array_append(openers, record);
    }
}

/* Dates must not go back within a thread; two threads may run at once. */
static void check_order(struct check *check, json_t *record)
{
    char thread[64];

    snprintf(thread, sizeof(thread), "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
             record_integer(record, "pid"), record_integer(record, "tid"));
    json_t *last = json_object_get(check->last, thread);
    if (last != NULL && json_integer_value(last) > record_integer(record, "date_us"))
        fault(check, "date_us is before that of the previous record of pid/tid %s", thread);
    json_object_set(check->last, thread, json_object_get(record, "date_us"));
}

static void check_record(struct check *check, json_t *record)
{
    const struct shape *shape = NULL;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        if (record_is(record, shapes[i].code))
            shape = &shapes[i];
    }
    if (shape == NULL) {
        fault(check, "codigo is unknown");
        return;
    }
    check_keys(check, record, shape->keys);
    check_types(check, record);
    check_values(check, record);
    if (check->options->complete && (record_is(record, "lost") || record_is(record, "error")))
        fault(check, "unexpected record: %s", shape->code);
    check->lossy = check->lossy || record_is(record, "lost");
    if (record_is(record, "lost"))
        return;
    check_process(check, record);
    check_path(check, record);
    if (json_object_get(record, "flags") != NULL)
        check_flags(check, record);
    if (!record_is(record, "held"))
        check_order(check, record);
    check_pairing(check, record);
}

bool records_check(const struct records *records, const struct check_options *options)
{
    struct check check = {records, options, 0, 0, json_object(), json_object(), false};
    const char *slot;
    json_t *openers;

    for (; check.at < records->n; check.at++)
        check_record(&check, records->line[check.at]);
    json_object_foreach(check.held, slot, openers)
    {
        if (options->ended && !check.lossy)
            fault(&check, "pid/descriptor %s was never closed: %s", slot,
                  record_string(json_array_get(openers, 0), "fichero"));
    }
    json_decref(check.held);
    json_decref(check.last);
    return check.faults == 0;
}
