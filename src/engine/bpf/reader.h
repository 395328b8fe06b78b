/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the ring buffer, and delivers its records as events. */
#ifndef FILEMON_BPF_READER_H
#define FILEMON_BPF_READER_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/bpf/decode.h"
#include "engine/engine.h"

struct reader {
    struct engine_sink sink;
    struct ring_buffer *ring;
    int wakeups;    /* epoll, edge-triggered: records below the mark wake nobody; -1: not open */
    int clock;      /* a timer that the kernel cancels when the wall clock is set; -1: none */
    bool clock_set; /* it was set; the records in the ring are older */
    bool more;      /* the ring had more than a batch */
    int batch;      /* records left in this batch */
    struct decoder decoder;
};

/*
 * Opens the ring buffer of this map, which is borrowed until reader_close().  *reader is all zeros,
 * but wakeups and clock are -1, and decoder.has_facts says whether facts are asked for.
 * clock_offset_ns: see decode.h.  0, -errno after a message.
 */
int reader_open(struct reader *reader, int map, int64_t clock_offset_ns,
                const struct engine_sink *sink);

/* After reader_open() has succeeded or failed, or without it. */
void reader_close(struct reader *reader);

/* Makes `wakeups` readable at the next wake-up, and not before. */
void reader_rearm(struct reader *reader);

/*
 * Delivers the records that the ring has, at most a batch; then reader->more says whether some are
 * left.  0; -errno: a record is malformed.
 */
int reader_read(struct reader *reader);

#endif
