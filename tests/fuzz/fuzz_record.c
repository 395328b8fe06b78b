/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the input as a line of -r.  If it is a record, the line that is written of it must be read
 * as the same record: it is written once more, and must not have changed.  So must the line that
 * keeps all keys.  "make fuzz" runs this.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/replay/record.h"
#include "output/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the record as filemon writes it, for free(3). */
static char *write_record(const struct event *event, unsigned int with, size_t *len)
{
    struct fields fields;
    char *line = malloc(json_bound(event));

    fields_choose(&fields, FORMAT_JSON, with, (char *const[]){NULL});
    *len = json_record(line, event, &fields);
    return line;
}

static void check_line(struct record *record, const char *line, size_t len, const char *expected)
{
    size_t again_len;
    char *again;

    if (record_read(record, line, len - 1) != RECORD_READ)
        abort();
    again = write_record(&record->event, 0, &again_len);
    if (memcmp(again, expected, again_len) != 0)
        abort();
    free(again);
}

static void check(struct record *record)
{
    size_t len, kept_len;
    char *line = write_record(&record->event, 0, &len);
    char *kept = write_record(&record->event, FIELDS_AS_READ, &kept_len);

    check_line(record, kept, kept_len, line);
    check_line(record, line, len, line);
    if (record->unknown != NULL)
        abort();
    free(line);
    free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record = RECORD_EMPTY;

    if (record_read(&record, (const char *)data, size) == RECORD_READ)
        check(&record);
    record_release(&record);
    return 0;
}
