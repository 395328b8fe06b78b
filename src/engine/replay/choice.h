/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applies -w and -u to records as the other engines apply them to calls: what is chosen is an open,
 * and with it the copies and the close of its descriptor.
 *
 * So the descriptors that are chosen and open are remembered, by machine, process and number.  A
 * close whose open was not read is not chosen.
 */
#ifndef FILEMON_CHOICE_H
#define FILEMON_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

/* slots is a hash of descriptors (linear probing), 0 if free. */
struct choice {
    const struct engine_config *config; /* borrowed */
    uint64_t *slots;
    size_t n, n_slots; /* n_slots is a power of 2, or 0 */
};

#define CHOICE_OF(engine_config) ((struct choice){.config = (engine_config)})

/* Whether the record is reported: 1; 0; -ENODATA, with -u: the record does not say which user it is
 * about; -ENOMEM. */
int choice_takes(struct choice *choice, const struct event *record);

void choice_release(struct choice *choice);

#endif
