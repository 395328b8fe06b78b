/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Converts a record of the ring buffer to an event. */
#ifndef FILEMON_BPF_DECODE_H
#define FILEMON_BPF_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/bpf/record.h"
#include "event/event.h"

/* The time of the last record of a thread. */
struct thread_time {
    uint32_t tid;
    uint64_t time;
};

/* Threads whose last record is known: more than run at once on nearly all machines. */
#define DATED_THREADS 4096

/* The clocks of decode_record(), which the caller sets; what it keeps from one call to the next;
 * and the memory that the event of its last call points to. */
struct decoder {
    bool has_facts;          /* facts precede each record: some were asked for */
    int64_t epoch_ns;        /* see clock_epoch_ns() */
    int64_t clock_offset_ns; /* filemon's CLOCK_MONOTONIC minus that of the records */
    struct thread_time last[DATED_THREADS];
    struct event_facts facts;
    char path[PAYLOAD_BYTES + 64], destination[PAYLOAD_BYTES + 64];
    char given[PATH_BYTES + 1];
    struct fd_range ranges[FDS_OF_EXEC / 2];
};

/* Fills in all of *event from a record of size bytes.  *event is valid as long as the record, and
 * until the next call.  0; -EBADMSG: the bytes are not a record. */
int decode_record(struct decoder *decoder, const void *data, size_t size, struct event *event);

#endif
