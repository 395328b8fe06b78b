/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * records check [-e] [-c] [-t] FILE
 * records compare [-p] [-u] [-b DIRECTORY]... [-i CODIGO]... [-s MS] JOURNAL... FILE
 * records parity [-b DIRECTORY]... [-i CODIGO]... FILE FILE
 * records chaos [-i fail] [-i recvmsg] JOURNAL FILE
 * records operations JOURNAL
 * records sharers JOURNAL
 *
 * The options are those of records.h: -e ended, -c complete, -p pids, -u unordered, -b below,
 * -i ignore, -s slack.  chaos ignores failed opens (fail), or what recvmsg(2) received (recvmsg).
 * Exit status: 0 no fault; 1 faults, which standard output describes; 2 usage.
 */
#include "records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool add_line(struct records *records, const char *line, size_t length)
{
    json_error_t error;
    json_t *record = json_loadb(line, length - 1, JSON_REJECT_DUPLICATES, &error);

    if (line[length - 1] != '\n' || !json_is_object(record)) {
        printf("%s:%zu: %s\n", records->file, records->n + 1,
               line[length - 1] != '\n' ? "the last line has no newline"
               : record == NULL         ? error.text
                                        : "not a JSON object");
        json_decref(record);
        return false;
    }
    if (records->n % 1024 == 0)
        records->line = realloc(records->line, (records->n + 1024) * sizeof(*records->line));
    if (records->line == NULL)
        abort();
    records->line[records->n++] = record;
    return true;
}

bool records_load(struct records *records, const char *file)
{
    FILE *stream = fopen(file, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool good = true;

    *records = (struct records){.file = file};
    if (stream == NULL) {
        printf("%s: cannot open it\n", file);
        return false;
    }
    while (good && (length = getline(&line, &size, stream)) > 0)
        good = add_line(records, line, (size_t)length);
    free(line);
    fclose(stream);
    return good;
}

void records_release(struct records *records)
{
    for (size_t i = 0; i < records->n; i++)
        json_decref(records->line[i]);
    free(records->line);
}

const char *record_string(const json_t *record, const char *key)
{
    const char *string = json_string_value(json_object_get(record, key));

    return string != NULL ? string : "";
}

json_int_t record_integer(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

bool record_is(const json_t *record, const char *code)
{
    return strcmp(record_string(record, "codigo"), code) == 0;
}

static char *from_hex(const char *hex)
{
    size_t length = strlen(hex) / 2;
    char *bytes = calloc(length + 1, 1);
    unsigned int byte;

    for (size_t i = 0; i < length && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
        bytes[i] = (char)byte;
    return bytes;
}

char *record_path(const json_t *record)
{
    if (json_object_get(record, "fichero_hex") != NULL)
        return from_hex(record_string(record, "fichero_hex"));
    if (json_object_get(record, "fichero") != NULL)
        return strdup(record_string(record, "fichero"));
    return NULL;
}

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool record_counts(const json_t *record, const struct compare_options *options)
{
    bool counts = options->below[0] == NULL;

    for (int i = 0; options->ignore[i] != NULL; i++) {
        if (record_is(record, options->ignore[i]))
            return false;
    }
    /* A record without an absolute path always counts: it cannot be compared with a directory. */
    char *path = record_path(record);
    counts = counts || path == NULL || *path != '/';
    for (int i = 0; !counts && options->below[i] != NULL; i++)
        counts = is_below(path, options->below[i]);
    free(path);
    return counts;
}

static int usage(void)
{
    fputs(
        "usage: records check [-e] [-c] [-t] FILE\n"
        "       records compare [-p] [-u] [-b DIRECTORY]... [-i CODIGO]... [-s MS] JOURNAL... "
        "FILE\n"
        "       records parity [-b DIRECTORY]... [-i CODIGO]... FILE FILE\n"
        "       records chaos [-i fail] [-i recvmsg] JOURNAL FILE\n"
        "       records operations JOURNAL\n"
        "       records sharers JOURNAL\n",
        stderr);
    return 2;
}

static void append(const char *list[static MAX_LIST], const char *item)
{
    int i = 0;

    while (list[i] != NULL)
        i++;
    if (i + 1 == MAX_LIST)
        exit(usage());
    list[i] = item;
}

static void parse(int argc, char **argv, struct check_options *check,
                  struct compare_options *compare)
{
    int option;

    while ((option = getopt(argc, argv, "ectpub:i:s:")) != -1) {
        switch (option) {
        case 'e':
            check->ended = true;
            break;
        case 'c':
            check->complete = true;
            break;
        case 't':
            check->own_tables = true;
            break;
        case 'p':
            compare->pids = true;
            break;
        case 'u':
            compare->unordered = true;
            break;
        case 'b':
            append(compare->below, optarg);
            break;
        case 'i':
            append(compare->ignore, optarg);
            break;
        case 's':
            compare->slack_ms = strtoll(optarg, NULL, 10);
            break;
        default:
            exit(usage());
        }
    }
}

static bool is_listed(const char *const list[static MAX_LIST], const char *item)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i], item) == 0)
            return true;
    }
    return false;
}

static bool append_all(struct records *all, const char *file)
{
    struct records more;
    bool good = records_load(&more, file);

    for (size_t i = 0; good && i < more.n; i++) {
        char *text = json_dumps(more.line[i], JSON_COMPACT);
        size_t length = strlen(text);
        text[length] = '\n';
        good = add_line(all, text, length + 1);
        free(text);
    }
    records_release(&more);
    return good;
}

int main(int argc, char **argv)
{
    struct check_options check = {0};
    struct compare_options compare = {.slack_ms = 100};
    struct records one = {0}, last = {0};
    bool good;

    if (argc < 3)
        return usage();
    const char *command = argv[1];
    argv++, argc--;
    if (strcmp(command, "operations") == 0 && argc == 2)
        return records_chaos_operations(argv[1]) ? 0 : 1;
    if (strcmp(command, "sharers") == 0 && argc == 2)
        return records_chaos_sharers(argv[1]) ? 0 : 1;
    parse(argc, argv, &check, &compare);
    int files = argc - optind;
    good = files > 0 && records_load(&last, argv[argc - 1]);
    one.file = argv[optind];
    if (strcmp(command, "chaos") == 0 && files == 2)
        return good && records_chaos(argv[optind], &last, !is_listed(compare.ignore, "fail"),
                                     !is_listed(compare.ignore, "recvmsg"))
                   ? 0
                   : 1;
    for (int i = optind; good && i < argc - 1; i++)
        good = append_all(&one, argv[i]);
    if (strcmp(command, "check") == 0 && files == 1)
        good = good && records_check(&last, &check);
    else if (strcmp(command, "compare") == 0 && files >= 2)
        good = good && records_compare(&one, &last, &compare);
    else if (strcmp(command, "parity") == 0 && files == 2)
        good = good && records_parity(&one, &last, &compare);
    else
        return usage();
    records_release(&one);
    records_release(&last);
    return good ? 0 : 1;
}
