/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a record whose path and comm are the input.  The record must fit in json_bound() bytes and
 * be one line, and jansson must parse it and find the path in it.  "make fuzz" runs this.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "output/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *line, size_t len, const struct event *event)
{
    json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *bytes = json_stringn(event->path, event->path_len);

    if (record == NULL || memchr(line, '\n', len) != line + len - 1)
        abort();
    if (bytes != NULL && !json_equal(json_object_get(record, "fichero"), bytes))
        abort();
    if ((bytes == NULL) != (json_object_get(record, "fichero_hex") != NULL))
        abort();
    json_decref(record);
    json_decref(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *path = strndup((const char *)data, size), comm[EVENT_COMM_SIZE] = "", *line;
    struct fields fields;
    struct event event = {.code = EVENT_OPEN, .comm = comm, .path = path, .path_len = strlen(path)};

    strncpy(comm, path, sizeof(comm) - 1);
    fields_choose(&fields, FORMAT_JSON, 0, (char *const[]){NULL});
    line = malloc(json_bound(&event));
    check(line, json_record(line, &event, &fields), &event);
    free(line);
    free(path);
    return 0;
}
