/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which keys records are written with, and in which order: the usual ones, or those of -F. */
#ifndef FILEMON_FIELDS_H
#define FILEMON_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"
#include "output/output.h"

/* Indexes of field_table, in the order of output. */
struct field_places {
    size_t n;
    unsigned char place[FIELDS_MAX];
};

struct fields {
    size_t n;
    const struct field *list[FIELDS_MAX];
    struct field_places of[EVENT_RECORDS]; /* by code: the listed fields of its records */
    bool usual;          /* no LIST has replaced the usual keys: others may have been added */
    bool as_read;        /* a record that was read is written as it was, with all its keys */
    unsigned int facts;  /* that the engine must add to events */
    size_t code_columns; /* in text, of codigo */
};

/*
 * The usual keys of the format, changed by each LIST in turn: KEY[,KEY...] replaces all keys, and
 * +KEY[,KEY...] adds to those so far.  Keys are added at the end, but in text the path of the usual
 * keys stays the last: it has no fixed width.
 *
 * In JSON and CSV, what a LIST leaves out is added at the end where a record would be wrong without
 * it: fichero_hex beside fichero, and perdidos, so that no loss is hidden.
 *
 * with, a set: with FIELDS_HOST records have the name of a machine, so that maquina is added, too.
 * Without it, it is among the usual keys of JSON alone, since a record that is read may have it.
 * With FIELDS_BYTES the keys that need FACT(BYTES) are usual ones.  With FIELDS_AS_READ and without
 * a LIST, records are written as they were read.
 *
 * lists: ends with NULL.  0; -EINVAL after a message.
 */
enum fields_with { FIELDS_HOST = 1, FIELDS_BYTES = 2, FIELDS_AS_READ = 4 };

int fields_choose(struct fields *fields, enum output_format format, unsigned int with,
                  char *const *lists);

/* Records of these codes (a set of 1u << code) can be written: in text, codigo has the columns of
 * the longest.  Without this call, those of opens and closes. */
void fields_expect(struct fields *fields, unsigned int codes);

#endif
