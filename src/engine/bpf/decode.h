/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a record of the ring buffer to an event. */
#ifndef FILEMON_BPF_DECODE_H
#define FILEMON_BPF_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/bpf/record.h"
#include "event/event.h"

/* Holds what the event last made points to. */
struct decoder {
    int64_t epoch_ns;        /* the wall clock's time when the monotonic clock was at 0 */
    int64_t clock_offset_ns; /* what filemon's monotonic clock is ahead of the records' */
    char path[PAYLOAD_BYTES + 64];
    struct fd_range ranges[FDS_OF_EXEC / 2];
};

/* 0, or -EBADMSG when the bytes make no record. */
int decode_record(struct decoder *decoder, const void *data, size_t size, struct event *event);

#endif
