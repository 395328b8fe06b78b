/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the input as a line of -r.  If it is a record, the line that is written of it must be read
 * as the same record: it is written once more, and must not have changed.  "make fuzz" runs this.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/replay/record.h"
#include "output/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the record as filemon writes it, for free(3). */
static char *write_record(const struct event *event, size_t *len)
{
    struct fields fields;
    char *line = malloc(json_bound(event));

    fields_choose(&fields, FORMAT_JSON, 0, (char *const[]){NULL});
    *len = json_record(line, event, &fields);
    return line;
}

static void check(struct record *record)
{
    size_t len, again_len;
    char *line = write_record(&record->event, &len), *again;

    if (record_read(record, line, len - 1) != RECORD_READ || record->unknown != NULL)
        abort();
    again = write_record(&record->event, &again_len);
    if (again_len != len || memcmp(again, line, len) != 0)
        abort();
    free(line);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record = RECORD_EMPTY;

    if (record_read(&record, (const char *)data, size) == RECORD_READ)
        check(&record);
    record_release(&record);
    return 0;
}
