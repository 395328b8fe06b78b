/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares an output with a journal, and the outputs of two runs with each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records.h"

enum { FAULTS_SHOWN = 10 };

/* A line of a file; lines are sorted by process. */
struct item {
    json_t *record;
    char *key; /* the sort key */
    size_t at; /* the line's number, which orders equal keys */
};

struct items {
    struct item *item;
    size_t n;
};

static int by_key(const void *one, const void *other)
{
    const struct item *a = one, *b = other;
    int order = strcmp(a->key, b->key);

    return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

/* The process id; without an order, also the values that distinguish the records of one process. */
static char *sort_key(const json_t *record, bool unordered)
{
    char *key = NULL, *path = unordered ? record_path(record) : NULL;
    int length;

    if (unordered)
        length = asprintf(&key, "%010lld %s %s %lld %s", (long long)record_integer(record, "pid"),
                          record_string(record, "codigo"), path != NULL ? path : "",
                          (long long)record_integer(record, "descriptor"),
                          record_string(record, "motivo"));
    else
        length = asprintf(&key, "%010lld", (long long)record_integer(record, "pid"));
    if (length < 0)
        abort();
    free(path);
    return key;
}

static json_t *pids_of(const struct records *records)
{
    json_t *pids = json_object();
    char pid[32];

    for (size_t i = 0; i < records->n; i++) {
        snprintf(pid, sizeof(pid), "%lld", (long long)record_integer(records->line[i], "pid"));
        json_object_set_new(pids, pid, json_true());
    }
    return pids;
}

static bool has_pid(const json_t *pids, const json_t *record)
{
    char pid[32];

    snprintf(pid, sizeof(pid), "%lld", (long long)record_integer(record, "pid"));
    return json_object_get(pids, pid) != NULL;
}

static struct items sorted(const struct records *records, const json_t *pids,
                           const struct compare_options *options)
{
    struct items items = {calloc(records->n + 1, sizeof(struct item)), 0};

    for (size_t i = 0; i < records->n; i++) {
        json_t *record = records->line[i];
        if (!record_counts(record, options) || (options->pids && !has_pid(pids, record)))
            continue;
        items.item[items.n++] = (struct item){record, sort_key(record, options->unordered), i};
    }
    qsort(items.item, items.n, sizeof(struct item), by_key);
    return items;
}

static void release(struct items *items)
{
    for (size_t i = 0; i < items->n; i++)
        free(items->item[i].key);
    free(items->item);
}

static void show(const char *mark, const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT);

    printf("    %s %s\n", mark, text);
    free(text);
}

static bool bound(const char *key, const char **of, bool *upper)
{
    *upper = strcmp(key, "before_us") == 0 || strcmp(key, "max_ns") == 0;
    if (strcmp(key, "after_us") == 0 || strcmp(key, "before_us") == 0)
        *of = "date_us";
    else if (strcmp(key, "min_ns") == 0 || strcmp(key, "max_ns") == 0)
        *of = "duracion_ns";
    else
        return false;
    return true;
}

static bool within(const json_t *record, const char *of, json_int_t limit, bool upper,
                   json_int_t slack_ms)
{
    json_int_t slack = slack_ms * (strcmp(of, "date_us") == 0 ? 1000 : 1000000);
    json_int_t value = record_integer(record, of);

    return upper ? value <= limit + slack : value >= limit - slack;
}

static bool paths_equal(const json_t *expected, const json_t *record)
{
    char *one = record_path(expected), *other = record_path(record);
    bool equal = one != NULL && other != NULL && strcmp(one, other) == 0;

    free(one);
    free(other);
    return equal;
}

/* The first key of the journal's line that the record differs in; NULL: the record matches. */
static const char *first_difference(json_t *expected, const json_t *record,
                                    const struct compare_options *options)
{
    const char *key, *of;
    json_t *value;
    bool upper, equal;

    json_object_foreach(expected, key, value)
    {
        if (bound(key, &of, &upper))
            equal = within(record, of, json_integer_value(value), upper, options->slack_ms);
        else if (strncmp(key, "fichero", 7) == 0)
            equal = paths_equal(expected, record);
        else
            equal = json_equal(value, json_object_get(record, key));
        if (!equal)
            return key;
    }
    return NULL;
}

/* Compares the keys: 0 if both are of the same process, or, without an order, the same record. */
static int which_first(const struct items *expected, size_t i, const struct items *got, size_t j)
{
    if (i == expected->n || j == got->n)
        return (i == expected->n) - (j == got->n);
    return strcmp(expected->item[i].key, got->item[j].key);
}

struct comparison {
    struct items expected, got;
    size_t i, j; /* the next items to compare */
    size_t faults;
    const struct compare_options *options;
};

/* Only one of the lists has this record. */
static void report(struct comparison *comparison, const char *mark, const char *what,
                   const json_t *record)
{
    if (comparison->faults++ < FAULTS_SHOWN) {
        printf("  %s:\n", what);
        show(mark, record);
    }
}

static size_t skip_process(const struct items *items, size_t i, json_int_t pid)
{
    while (i < items->n && record_integer(items->item[i].record, "pid") == pid)
        i++;
    return i;
}

/* Compares the next record of both lists. */
static void match(struct comparison *comparison)
{
    json_t *expected = comparison->expected.item[comparison->i++].record;
    const json_t *got = comparison->got.item[comparison->j++].record;
    const char *key = first_difference(expected, got, comparison->options);
    json_int_t pid = record_integer(expected, "pid");

    if (key == NULL)
        return;
    if (comparison->faults++ < FAULTS_SHOWN) {
        printf("  %s differs:\n", key);
        show("-", expected);
        show("+", got);
    }
    /* One missing record shifts all later ones of the process: comparing them says nothing. */
    if (!comparison->options->unordered) {
        comparison->i = skip_process(&comparison->expected, comparison->i, pid);
        comparison->j = skip_process(&comparison->got, comparison->j, pid);
    }
}

static void walk(struct comparison *comparison)
{
    const struct items *expected = &comparison->expected, *got = &comparison->got;

    while (comparison->i < expected->n || comparison->j < got->n) {
        int first = which_first(expected, comparison->i, got, comparison->j);
        if (first < 0)
            report(comparison, "-", "missing", expected->item[comparison->i++].record);
        else if (first > 0)
            report(comparison, "+", "not expected", got->item[comparison->j++].record);
        else
            match(comparison);
    }
}

bool records_compare(const struct records *journal, const struct records *output,
                     const struct compare_options *options)
{
    json_t *pids = pids_of(journal);
    struct compare_options plain = *options;
    struct comparison comparison = {.options = options};

    /* Every line of the journal counts. */
    plain.below[0] = NULL;
    comparison.expected = sorted(journal, pids, &plain);
    comparison.got = sorted(output, pids, options);
    walk(&comparison);
    bool good = comparison.faults == 0 && comparison.expected.n > 0;
    if (!good)
        printf("  %s has %zu records, expected are %zu\n", output->file, comparison.got.n,
               comparison.expected.n);
    release(&comparison.expected);
    release(&comparison.got);
    json_decref(pids);
    return good;
}

/* --- parity: each process becomes one text, without the values that differ from run to run --- */

/* Removes inode numbers from paths: "/#123 (deleted)" of an O_TMPFILE, "pipe:[123]". */
static void blur_numbers(char *path, const char *mark)
{
    for (char *at = path; (at = strstr(at, mark)) != NULL;) {
        size_t digits = strspn(at += strlen(mark), "0123456789");
        memmove(at, at + digits, strlen(at + digits) + 1);
    }
}

static void put_blurred(FILE *text, json_t *record)
{
    static const char *const varying[] = {"pid", "ppid", "tid", "date_us", "date", "duracion_ns"};
    json_t *copy = json_copy(record);
    char *path = record_path(record);

    for (size_t i = 0; i < sizeof(varying) / sizeof(*varying); i++)
        json_object_del(copy, varying[i]);
    if (path != NULL && json_object_get(record, "fichero_hex") == NULL) {
        blur_numbers(path, "/#");
        blur_numbers(path, ":[");
        json_object_set_new(copy, "fichero", json_string(path));
    }
    fputs("    ", text);
    json_dumpf(copy, text, JSON_COMPACT);
    putc('\n', text);
    free(path);
    json_decref(copy);
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

struct texts {
    char **text;
    size_t n;
};

/* Writes the text of the process of items->item[i]; returns the index of the next process. */
static size_t text_of(const struct items *items, size_t i, char **text)
{
    size_t size, end = skip_process(items, i, record_integer(items->item[i].record, "pid"));
    FILE *stream = open_memstream(text, &size);

    if (stream == NULL)
        abort();
    for (; i < end; i++)
        put_blurred(stream, items->item[i].record);
    fclose(stream);
    return end;
}

static struct texts texts_of(const struct records *records, const struct compare_options *options)
{
    struct items items = sorted(records, NULL, options);
    struct texts texts = {calloc(items.n + 1, sizeof(char *)), 0};

    for (size_t i = 0; i < items.n; texts.n++)
        i = text_of(&items, i, &texts.text[texts.n]);
    release(&items);
    qsort(texts.text, texts.n, sizeof(char *), by_text);
    return texts;
}
static void release_texts(struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(texts->text[i]);
    free(texts->text);
}

bool records_parity(const struct records *one, const struct records *other,
                    const struct compare_options *options)
{
    struct texts a = texts_of(one, options), b = texts_of(other, options);
    size_t i = 0, j = 0, faults = 0;

    while (i < a.n || j < b.n) {
        int first = i == a.n ? 1 : j == b.n ? -1 : strcmp(a.text[i], b.text[j]);
        if (first != 0 && faults++ < FAULTS_SHOWN)
            printf("  only %s has this process:\n%s", first < 0 ? one->file : other->file,
                   first < 0 ? a.text[i] : b.text[j]);
        i += first <= 0;
        j += first >= 0;
    }
    bool good = faults == 0 && a.n > 0;
    release_texts(&a);
    release_texts(&b);
    return good;
}
