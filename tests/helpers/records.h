/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads filemon's output and the workloads' journals with a JSON library, as a user would, and with
 * no code of filemon.
 */
#ifndef FILEMON_TEST_RECORDS_H
#define FILEMON_TEST_RECORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct records {
    const char *file;
    json_t **line;
    size_t n;
};

/*
 * Reads a file of JSON Lines.  Returns false, with a message on standard output, if a line is not
 * one JSON object or the last line has no newline.  Call records_release() in either case.
 */
bool records_load(struct records *records, const char *file);
void records_release(struct records *records);

/* The value of a key; "" or 0 if the record does not have the key. */
const char *record_string(const json_t *record, const char *key);
json_int_t record_integer(const json_t *record, const char *key);

/* Whether the record has this codigo. */
bool record_is(const json_t *record, const char *code);

/* The bytes of the path, from fichero_hex if the record has that key.  NULL: the record has no
 * path. The caller frees it. */
char *record_path(const json_t *record);

/* --- the commands: true if there is no fault, else the faults are on standard output --- */

struct check_options {
    bool ended;      /* every process exited before the watch ended: each open has a close */
    bool complete;   /* there are no error and no lost records */
    bool own_tables; /* threads have their own file descriptor tables, or processes share one: a
                      * descriptor may be open several times, or opened by another process */
};

bool records_check(const struct records *records, const struct check_options *options);

#define MAX_LIST 64

struct compare_options {
    const char *below[MAX_LIST];  /* drop records of the output with other paths; none: keep all */
    const char *ignore[MAX_LIST]; /* leave out records with these codes, of both files */
    bool unordered;               /* order does not matter */
    bool pids;           /* leave out records of the output whose process is not in the journal */
    json_int_t slack_ms; /* how far a date or duration may exceed the journal's bounds */
};

bool records_compare(const struct records *journal, const struct records *output,
                     const struct compare_options *options);

/* Whether two outputs are equal except for times, process ids, and inode numbers in paths. */
bool records_parity(const struct records *one, const struct records *other,
                    const struct compare_options *options);

/* Whether the output has exactly the records that follow from a journal of fdchaos; failed: those
 * of failed opens, too; sockets: those of descriptors received over sockets, too. */
bool records_chaos(const char *journal, const struct records *output, bool failed, bool sockets);

/* Prints the numbers of the operations in such a journal, a list that fdchaos takes as KEEP. */
bool records_chaos_operations(const char *journal);

/* Prints the process ids of such a journal for which check_options.own_tables is needed: they
 * shared a file descriptor table, or had several. */
bool records_chaos_sharers(const char *journal);

/* Whether the options keep the record in the comparison. */
bool record_counts(const json_t *record, const struct compare_options *options);

#endif
