/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading filemon's output, and workloads' journals, as a user would: with a JSON library and
 * nothing of filemon's own.
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
 * Reads a file of JSON Lines.  False, with a message on standard output, where a line is not one
 * JSON object, or the last one not a whole line.  Release in either case.
 */
bool records_load(struct records *records, const char *file);
void records_release(struct records *records);

/* A string value, "" where there is none; an integer value, 0 where there is none. */
const char *record_string(const json_t *record, const char *key);
json_int_t record_integer(const json_t *record, const char *key);
bool record_is(const json_t *record, const char *code);

/* The bytes of the path: of fichero_hex where there is one.  NULL where there is no path.  Freed by
 * the caller. */
char *record_path(const json_t *record);

/* --- the commands: true when all is well --- */

struct check_options {
    bool ended;      /* every process ended before the watch did: what was opened is closed */
    bool complete;   /* no error and no lost records */
    bool own_tables; /* threads have tables of descriptors of their own, or processes share one: a
                      * number may be open more than once, and another process may have opened it */
};

bool records_check(const struct records *records, const struct check_options *options);

#define MAX_LIST 64

struct compare_options {
    const char *below[MAX_LIST];  /* of the output, paths elsewhere are left out; none: all stay */
    const char *ignore[MAX_LIST]; /* these codes are left out of both */
    bool unordered;               /* order does not matter */
    bool pids;           /* of the output, other processes than the journal's are left out */
    json_int_t slack_ms; /* how far filemon's clock may be from the workload's */
};

bool records_compare(const struct records *journal, const struct records *output,
                     const struct compare_options *options);

/* Are two runs the same, but for times, process numbers, and inode numbers in paths? */
bool records_parity(const struct records *one, const struct records *other,
                    const struct compare_options *options);

/* Has the output the records that a journal of fdchaos demands?  failed: of opens that failed, too.
 */
bool records_chaos(const char *journal, const struct records *output, bool failed);

/* Prints the numbers of the operations that such a journal tells of, for fdchaos to leave out. */
bool records_chaos_operations(const char *journal);

/* Prints the processes of such a journal that shared a table of descriptors with another one, or of
 * which a thread had one of its own: check_options.own_tables. */
bool records_chaos_sharers(const char *journal);

/* For all: is the record among those that are compared? */
bool record_counts(const json_t *record, const struct compare_options *options);

#endif
