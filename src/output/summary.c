/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "output/columns.h"
#include "output/json.h"
#include "output/value.h"
#include "text.h"

#define BUCKETS 64 /* bucket n: closes after 2^n (inclusive) to 2^(n + 1) (exclusive) ns */

struct counts {
    uint64_t opens, failures, closes, total_ns, max_ns;
    int64_t open;   /* negative: the closes of opens that were not counted */
    uint64_t calls; /* of exec, names and attributes (-t) */
    uint64_t read, written, reads, writes;
};

struct row {
    const char *name; /* bytes below; in a search key, the name to look for */
    size_t size;
    struct counts counts;
    char bytes[];
};

/* The tree (tsearch(3)) finds rows by name: it stays balanced even if an adversary chooses names.
 */
struct table {
    struct row **rows;
    void *tree;
    size_t n, limit; /* rows */
    size_t bytes;    /* still left for names */
    struct counts others;
    bool full; /* others counts something */
};

/* A descriptor that is open, and the program that it is counted with. */
struct opened {
    struct counts *program;
    uint64_t table; /* see event.table; 0 in records that were read, which have only the process */
    pid_t pid;
    int fd;
    const char *host; /* bytes below; in a search key, the host to look for; "": not known */
    char bytes[];
};

struct summary {
    struct table files, programs;
    void *opened; /* a tree of struct opened */
    size_t n_opened;
    struct counts all;
    uint64_t histogram[BUCKETS];
    uint64_t lost;
    unsigned int of; /* enum summary_of */
};

static int table_init(struct table *table, size_t limit, size_t bytes)
{
    *table = (struct table){.limit = limit, .bytes = bytes};
    table->rows = calloc(limit, sizeof(*table->rows));
    return table->rows != NULL ? 0 : -ENOMEM;
}

static void table_release(struct table *table)
{
    if (table->tree != NULL)
        tdestroy(table->tree, free);
    free(table->rows);
}

struct summary *summary_new(unsigned int of)
{
    struct summary *summary = calloc(1, sizeof(*summary));

    if (summary == NULL)
        return NULL;
    if (table_init(&summary->files, SUMMARY_FILES, SUMMARY_PATH_BYTES) != 0 ||
        table_init(&summary->programs, SUMMARY_PROGRAMS, SUMMARY_PATH_BYTES) != 0) {
        summary_free(summary);
        return NULL;
    }
    summary->of = of;
    return summary;
}

void summary_free(struct summary *summary)
{
    if (summary == NULL)
        return;
    table_release(&summary->files);
    table_release(&summary->programs);
    if (summary->opened != NULL)
        tdestroy(summary->opened, free);
    free(summary);
}

/* ---- Counting ------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    size_t shorter = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->name, right->name, shorter);

    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static struct row *row_new(const struct row *key)
{
    struct row *row = calloc(1, sizeof(*row) + key->size);

    if (row != NULL) {
        row->name = memcpy(row->bytes, key->name, key->size);
        row->size = key->size;
    }
    return row;
}

/* NULL: no memory. */
static struct row *add_row(struct table *table, const struct row *key)
{
    struct row *row = row_new(key);

    if (row == NULL || tsearch(row, &table->tree, compare_names) == NULL) {
        free(row);
        return NULL;
    }
    table->rows[table->n++] = row;
    table->bytes -= row->size;
    return row;
}

static bool has_room(const struct table *table, size_t size)
{
    return table->n < table->limit && size <= table->bytes;
}

/* The counts of the name's row, a new row if there is room, else those of the others. */
static struct counts *counts_of(struct table *table, const char *name, size_t size)
{
    struct row key = {.name = name, .size = size}, *row;
    struct row **found = tfind(&key, &table->tree, compare_names);

    if (found != NULL)
        return &(*found)->counts;
    row = has_room(table, size) ? add_row(table, &key) : NULL;
    if (row != NULL)
        return &row->counts;
    table->full = true;
    return &table->others;
}

static void count_close(struct counts *counts, uint64_t ns)
{
    counts->closes++;
    if (__builtin_add_overflow(counts->total_ns, ns, &counts->total_ns))
        counts->total_ns = UINT64_MAX;
    if (ns > counts->max_ns)
        counts->max_ns = ns;
}

/* Adds what is known. */
static void add_count(uint64_t *sum, uint64_t count)
{
    if (count != EVENT_NO_COUNT)
        *sum += count;
}

static void count_bytes(struct counts *counts, const struct event_facts *facts)
{
    if (facts == NULL || (facts->known & FACT(BYTES)) == 0)
        return;
    add_count(&counts->read, facts->bytes.read);
    add_count(&counts->written, facts->bytes.written);
    add_count(&counts->reads, facts->bytes.reads);
    add_count(&counts->writes, facts->bytes.writes);
}

static void count(struct counts *counts, const struct event *record)
{
    switch (record->code) {
    case EVENT_OPEN:
        counts->opens++;
        break;
    case EVENT_DUP:
    case EVENT_HELD:
    case EVENT_ERROR:
        break;
    case EVENT_FAIL:
        counts->failures++;
        break;
    case EVENT_CLOSE:
        count_close(counts, record->duration_ns);
        count_bytes(counts, record->facts);
        break;
    default:
        counts->calls++;
        break;
    }
}

/* What the record adds to the number of open descriptors. */
static int opened_by(const struct event *record)
{
    switch (record->code) {
    case EVENT_OPEN:
    case EVENT_DUP:
    case EVENT_HELD:
        return 1;
    case EVENT_CLOSE:
    case EVENT_ERROR: /* a close was missed */
        return -1;
    default:
        return 0;
    }
}

static int compare_opened(const void *a, const void *b)
{
    const struct opened *left = a, *right = b;

    if (left->table != right->table)
        return left->table < right->table ? -1 : 1;
    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    if (left->fd != right->fd)
        return left->fd < right->fd ? -1 : 1;
    return strcmp(left->host, right->host);
}

static struct opened *opened_new(const struct opened *key)
{
    size_t size = strlen(key->host) + 1;
    struct opened *opened = malloc(sizeof(*opened) + size);

    if (opened != NULL) {
        *opened = *key;
        opened->host = memcpy(opened->bytes, key->host, size);
    }
    return opened;
}

static void remember(struct summary *summary, const struct opened *key)
{
    struct opened **found = tfind(key, &summary->opened, compare_opened), *opened;

    if (found != NULL) {
        (*found)->program = key->program;
        return;
    }
    opened = summary->n_opened < SUMMARY_DESCRIPTORS ? opened_new(key) : NULL;
    if (opened != NULL && tsearch(opened, &summary->opened, compare_opened) != NULL)
        summary->n_opened++;
    else
        free(opened);
}

/* The program that opened the descriptor; if that is not known, the one of the key. */
static struct counts *forget(struct summary *summary, const struct opened *key)
{
    struct opened **found = tfind(key, &summary->opened, compare_opened), *opened;
    struct counts *program;

    if (found == NULL)
        return key->program;
    opened = *found;
    program = opened->program;
    tdelete(opened, &summary->opened, compare_opened);
    free(opened);
    summary->n_opened--;
    return program;
}

/* program: that of the record.  A close is taken off the program that opened, which after an exec,
 * or in another thread, has another name. */
static void count_opened(struct summary *summary, const struct event *record,
                         struct counts *program)
{
    struct opened key = {.program = program,
                         .table = record->table,
                         .pid = record->pid,
                         .fd = record->fd,
                         .host = record->host != NULL ? record->host : ""};
    int change = opened_by(record);

    if (change > 0)
        remember(summary, &key);
    else if (change < 0)
        program = forget(summary, &key);
    program->open += change;
}

static unsigned int bucket_of(uint64_t ns)
{
    return ns > 0 ? 63u - (unsigned int)__builtin_clzll(ns) : 0;
}

static const char *program_of(const struct summary *summary, const struct event *record)
{
    const char *path = record->facts != NULL ? record->facts->executable_path : NULL;

    return summary->of & SUMMARY_BY_EXECUTABLE && path != NULL ? path : record->comm;
}

void summary_take(struct summary *summary, const struct event *record)
{
    const char *name = program_of(summary, record);
    struct counts *file, *program;

    if (record->code == EVENT_LOST) {
        summary->lost += record->lost;
        return;
    }
    file = counts_of(&summary->files, record->path, record->path_len);
    program = counts_of(&summary->programs, name, strlen(name));
    count(&summary->all, record);
    count(file, record);
    count(program, record);
    summary->all.open += opened_by(record);
    file->open += opened_by(record);
    count_opened(summary, record, program);
    if (record->code == EVENT_CLOSE)
        summary->histogram[bucket_of(record->duration_ns)]++;
    if (summary->all.calls > 0)
        summary->of |= SUMMARY_CALLS;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static int largest_first(uint64_t left, uint64_t right)
{
    return (left < right) - (left > right);
}

static const struct row *row_at(const void *place)
{
    return *(struct row *const *)place;
}

static int by_name(const void *a, const void *b)
{
    return compare_names(row_at(a), row_at(b));
}

static int by_opens(const void *a, const void *b)
{
    const struct counts *left = &row_at(a)->counts, *right = &row_at(b)->counts;
    int order = largest_first(left->opens, right->opens);

    if (order == 0)
        order = largest_first(left->failures, right->failures);
    if (order == 0)
        order = largest_first(left->calls, right->calls);
    return order != 0 ? order : by_name(a, b);
}

static int by_time(const void *a, const void *b)
{
    int order = largest_first(row_at(a)->counts.total_ns, row_at(b)->counts.total_ns);

    return order != 0 ? order : by_opens(a, b);
}

static int by_failures(const void *a, const void *b)
{
    int order = largest_first(row_at(a)->counts.failures, row_at(b)->counts.failures);

    return order != 0 ? order : by_opens(a, b);
}

static int by_bytes(const void *a, const void *b)
{
    const struct counts *left = &row_at(a)->counts, *right = &row_at(b)->counts;
    int order = largest_first(left->read + left->written, right->read + right->written);

    return order != 0 ? order : by_opens(a, b);
}

static void sort(const struct table *table, enum summary_sort key)
{
    static int (*const orders[])(const void *, const void *) = {
        [SORT_OPENS] = by_opens, [SORT_TIME] = by_time, [SORT_FAILED] = by_failures,
        [SORT_BYTES] = by_bytes, [SORT_NAME] = by_name,
    };

    qsort(table->rows, table->n, sizeof(*table->rows), orders[key]);
}

/* How many rows of the table are shown. */
static size_t shown_rows(const struct table *table, const struct summary_view *view)
{
    int top = view->top;

    if (top == SUMMARY_TOP_DEFAULT)
        top = view->format == FORMAT_TEXT ? SUMMARY_TOP_TEXT : 0;
    return top > 0 && (size_t)top < table->n ? (size_t)top : table->n;
}

static void add_counts(struct counts *sum, const struct counts *counts)
{
    sum->opens += counts->opens;
    sum->failures += counts->failures;
    sum->closes += counts->closes;
    sum->calls += counts->calls;
    sum->open += counts->open;
    sum->read += counts->read;
    sum->written += counts->written;
    sum->reads += counts->reads;
    sum->writes += counts->writes;
    if (__builtin_add_overflow(sum->total_ns, counts->total_ns, &sum->total_ns))
        sum->total_ns = UINT64_MAX;
    if (counts->max_ns > sum->max_ns)
        sum->max_ns = counts->max_ns;
}

/* The sum of the rows that are not shown and of those without a row. */
static struct counts sum_others(const struct table *table, size_t shown)
{
    struct counts others = table->others;

    for (size_t i = shown; i < table->n; i++)
        add_counts(&others, &table->rows[i]->counts);
    return others;
}

static uint64_t still_open(const struct counts *counts)
{
    return counts->open > 0 ? (uint64_t)counts->open : 0;
}

static uint64_t mean_ns(const struct counts *counts)
{
    return counts->closes > 0 ? counts->total_ns / counts->closes : 0;
}

/* What only SUMMARY_BYTES has: the last pairs of json_counts(). */
#define PAIRS_OF_BYTES 4

static void json_counts(FILE *out, const struct counts *counts, unsigned int of)
{
    const struct {
        const char *key;
        uint64_t value;
    } pairs[] = {
        {"aperturas", counts->opens},     {"fallos", counts->failures},
        {"abiertos", still_open(counts)}, {"cierres", counts->closes},
        {"total_ns", counts->total_ns},   {"media_ns", mean_ns(counts)},
        {"max_ns", counts->max_ns},       {"leidos", counts->read},
        {"escritos", counts->written},    {"lecturas", counts->reads},
        {"escrituras", counts->writes},
    };
    size_t n = LENGTH(pairs) - (of & SUMMARY_BYTES ? 0 : PAIRS_OF_BYTES);

    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\"%s\":%" PRId64, i > 0 ? "," : "", pairs[i].key,
                event_integer(pairs[i].value));
    if (of & SUMMARY_CALLS)
        fprintf(out, ",\"llamadas\":%" PRId64, event_integer(counts->calls));
}

/* As in a record: the name, and its bytes if it is not UTF-8. */
static int json_name(FILE *out, const char *key, const struct row *row)
{
    char *buf = malloc(JSON_STRING_BOUND(row->size)), *end;
    bool valid = text_is_utf8(row->name, row->size);

    if (buf == NULL)
        return -ENOMEM;
    end = json_put_string(buf, row->name, row->size);
    fprintf(out, "\"%s\":%.*s,", key, (int)(end - buf), buf);
    end = value_put_hex(buf, row->name, row->size);
    if (!valid)
        fprintf(out, "\"%s_hex\":\"%.*s\",", key, (int)(end - buf), buf);
    free(buf);
    return 0;
}

/* name: the key of a row's name; with an "s" it is the key of the table. */
static int json_table(FILE *out, const struct table *table, const char *name, size_t shown,
                      unsigned int of)
{
    struct counts others = sum_others(table, shown);
    int status = 0;

    fprintf(out, ",\"%ss\":[", name);
    for (size_t i = 0; status == 0 && i < shown; i++) {
        fputs(i > 0 ? ",{" : "{", out);
        status = json_name(out, name, table->rows[i]);
        json_counts(out, &table->rows[i]->counts, of);
        fputc('}', out);
    }
    fprintf(out, "],\"otros_%ss\":{", name);
    json_counts(out, &others, of);
    fputc('}', out);
    return status;
}

static void json_histogram(FILE *out, const struct summary *summary)
{
    const char *between = "";

    fputs(",\"histograma\":[", out);
    for (unsigned int i = 0; i < BUCKETS; i++) {
        uint64_t from = i > 0 ? UINT64_C(1) << i : 0;
        uint64_t to = i < BUCKETS - 1 ? UINT64_C(2) << i : UINT64_MAX;

        if (summary->histogram[i] == 0)
            continue;
        fprintf(out,
                "%s{\"desde_ns\":%" PRId64 ",\"hasta_ns\":%" PRId64 ",\"cierres\":%" PRIu64 "}",
                between, event_integer(from), event_integer(to), summary->histogram[i]);
        between = ",";
    }
    fputc(']', out);
}

static int write_json(const struct summary *summary, FILE *out, const struct summary_view *view,
                      int64_t date_us)
{
    const struct table *files = &summary->files, *programs = &summary->programs;
    int status;

    fprintf(out, "{\"codigo\":\"resumen\",\"date\":%" PRId64 ",\"date_us\":%" PRId64 ",",
            date_us / 1000, date_us);
    json_counts(out, &summary->all, summary->of);
    status = json_table(out, files, "fichero", shown_rows(files, view), summary->of);
    if (status == 0)
        status = json_table(out, programs,
                            summary->of & SUMMARY_BY_EXECUTABLE ? "ejecutable" : "proceso",
                            shown_rows(programs, view), summary->of);
    json_histogram(out, summary);
    fprintf(out, ",\"perdidos\":%" PRId64, event_integer(summary->lost));
    if (view->host != NULL)
        fprintf(out, ",\"maquina\":\"%s\"", view->host);
    fputs("}\n", out);
    return status;
}

/* Width of everything before the name, and what SUMMARY_BYTES and SUMMARY_CALLS add to it. */
#define COUNTS_COLUMNS 57
#define BYTES_COLUMNS 16
#define CALLS_COLUMNS 8
#define NAME_COLUMNS_MIN 16

static void text_duration(FILE *out, uint64_t ns, bool any)
{
    char buf[COLUMNS_DURATION_SIZE] = "-", padded[COLUMNS_DURATION_SIZE + 8];

    if (any)
        columns_duration(buf, ns);
    *columns_put_right(padded, buf, 7) = '\0';
    fprintf(out, " %s", padded);
}

static void text_bytes(FILE *out, uint64_t bytes)
{
    char buf[COLUMNS_BYTES_SIZE];

    fprintf(out, " %7s", columns_bytes(buf, bytes));
}

static void text_counts(FILE *out, const struct counts *counts, unsigned int of)
{
    bool any = counts->closes > 0;

    fprintf(out, "%7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64, counts->opens,
            counts->failures, counts->closes, still_open(counts));
    text_duration(out, counts->total_ns, any);
    text_duration(out, mean_ns(counts), any);
    text_duration(out, counts->max_ns, any);
    if (of & SUMMARY_BYTES) {
        text_bytes(out, counts->read);
        text_bytes(out, counts->written);
    }
    if (of & SUMMARY_CALLS)
        fprintf(out, " %7" PRIu64, counts->calls);
    fputs("  ", out);
}

static int text_row(FILE *out, const struct row *row, size_t columns, unsigned int of)
{
    size_t before = COUNTS_COLUMNS + (of & SUMMARY_BYTES ? BYTES_COLUMNS : 0) +
                    (of & SUMMARY_CALLS ? CALLS_COLUMNS : 0);
    size_t room = columns > before + NAME_COLUMNS_MIN ? columns - before : NAME_COLUMNS_MIN;
    char *buf = malloc(COLUMNS_BOUND(row->size)), *end;

    if (buf == NULL)
        return -ENOMEM;
    text_counts(out, &row->counts, of);
    end = columns_put(buf, row->name, row->size, room);
    fprintf(out, "%.*s\n", (int)(end - buf), buf);
    free(buf);
    return 0;
}

static void text_others(FILE *out, const struct table *table, size_t shown, unsigned int of)
{
    struct counts others = sum_others(table, shown);
    size_t n = table->n - shown;

    if (n == 0 && !table->full)
        return;
    text_counts(out, &others, of);
    fprintf(out, "(%zu other%s%s)\n", n, n == 1 ? "" : "s",
            table->full ? ", and more that were not counted separately" : "");
}

static int text_table(FILE *out, const struct table *table, const char *name, size_t columns,
                      size_t shown, unsigned int of)
{
    int status = 0;

    fprintf(out, "\n%7s %7s %7s %7s %7s %7s %7s%s%s  %s\n", "opens", "failed", "closes", "open",
            "total", "mean", "max", of & SUMMARY_BYTES ? "    read written" : "",
            of & SUMMARY_CALLS ? "   calls" : "", name);
    for (size_t i = 0; status == 0 && i < shown; i++)
        status = text_row(out, table->rows[i], columns, of);
    text_others(out, table, shown, of);
    return status;
}

#define BAR 30

static void text_bucket(FILE *out, unsigned int bucket, uint64_t closes, uint64_t most)
{
    int length = (int)((closes * BAR + most - 1) / most);
    char bar[BAR + 1];

    memset(bar, '#', BAR);
    text_duration(out, bucket > 0 ? UINT64_C(1) << bucket : 0, true);
    fputs(" to", out);
    text_duration(out, bucket < BUCKETS - 1 ? UINT64_C(2) << bucket : UINT64_MAX, true);
    fprintf(out, " %9" PRIu64 " |%-*.*s|\n", closes, BAR, length, bar);
}

static void text_histogram(FILE *out, const struct summary *summary)
{
    unsigned int first = BUCKETS, last = 0;
    uint64_t most = 0;

    for (unsigned int i = 0; i < BUCKETS; i++) {
        if (summary->histogram[i] == 0)
            continue;
        first = first < i ? first : i;
        last = i;
        most = summary->histogram[i] > most ? summary->histogram[i] : most;
    }
    if (most == 0)
        return;
    fprintf(out, "\n%19s %9s\n", "time open", "closes");
    for (unsigned int i = first; i <= last; i++)
        text_bucket(out, i, summary->histogram[i], most);
}

static int write_text(const struct summary *summary, FILE *out, const struct summary_view *view,
                      size_t columns)
{
    const struct table *files = &summary->files, *programs = &summary->programs;
    const struct counts *all = &summary->all;
    int status;

    if (view->host != NULL)
        fprintf(out, "%s: ", view->host);
    fprintf(out, "%" PRIu64 " opens, %" PRIu64 " that failed, %" PRIu64 " still open", all->opens,
            all->failures, still_open(all));
    if (all->calls > 0)
        fprintf(out, ", %" PRIu64 " other calls", all->calls);
    fputc('\n', out);
    if (summary->lost > 0)
        fprintf(out, "%" PRIu64 " events lost\n", summary->lost);
    status = text_table(out, files, "file", columns, shown_rows(files, view), summary->of);
    if (status == 0)
        status = text_table(out, programs, "program", columns, shown_rows(programs, view),
                            summary->of);
    text_histogram(out, summary);
    return status;
}

int summary_write(const struct summary *summary, FILE *out, const struct summary_view *view,
                  size_t columns, int64_t date_us)
{
    sort(&summary->files, view->sort);
    sort(&summary->programs, view->sort);
    return view->format == FORMAT_JSON ? write_json(summary, out, view, date_us)
                                       : write_text(summary, out, view, columns);
}

int summary_print(const struct summary *summary, struct output *output,
                  const struct summary_view *view, int64_t date_us)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int status;

    if (out == NULL)
        return -ENOMEM;
    status = summary_write(summary, out, view, columns_of_terminal(output_fd(output)), date_us);
    if (fclose(out) != 0)
        status = -ENOMEM;
    if (status == 0)
        status = output_bytes(output, text, size);
    free(text);
    return status;
}
