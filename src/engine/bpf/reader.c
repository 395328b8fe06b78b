/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "engine/bpf/messages.h"

/* Records of one dispatch(): after them the poll loop can serve signals. */
#define BATCH 16384

/* A smaller difference is not a step of the wall clock. */
#define CLOCK_STEP_NS 10000000

/* A descriptor that becomes readable when the wall clock is set; -1: not available. */
static int watch_clock(void)
{
    const struct itimerspec never = {.it_value.tv_sec = INT32_MAX};
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd >= 0)
        timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
    return fd;
}

static bool was_clock_set(const struct reader *reader)
{
    uint64_t expirations;

    return read(reader->clock, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;
}

/* Without that descriptor, detects a step of the wall clock by comparison, unless it is small. */
static void follow_clock(struct reader *reader)
{
    int64_t *epoch_ns = &reader->decoder.epoch_ns;

    if (*epoch_ns == 0 ||
        (reader->clock < 0 && llabs(clock_epoch_ns() - *epoch_ns) > CLOCK_STEP_NS))
        *epoch_ns = clock_epoch_ns();
}

/* Called by libbpf: a negative result is an error that ends the reading. */
static int take_sample(void *ctx, void *data, size_t size)
{
    struct reader *reader = ctx;
    struct event event;
    int result = decode_record(&reader->decoder, data, size, &event);

    if (result < 0)
        return result;
    reader->sink.event(reader->sink.ctx, &event);
    return --reader->batch > 0 ? 0 : -EAGAIN;
}

int reader_open(struct reader *reader, int map, int64_t clock_offset_ns,
                const struct engine_sink *sink)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    reader->sink = *sink;
    reader->decoder.clock_offset_ns = clock_offset_ns;
    reader->clock = watch_clock();
    reader->ring = ring_buffer__new(map, take_sample, reader, NULL);
    if (!reader->ring)
        return messages_fail(-errno, "the ring buffer");
    reader->wakeups = epoll_create1(EPOLL_CLOEXEC);
    if (reader->wakeups < 0 || epoll_ctl(reader->wakeups, EPOLL_CTL_ADD, map, &event) < 0)
        return messages_fail(-errno, "epoll");
    return 0;
}

void reader_close(struct reader *reader)
{
    if (reader->wakeups >= 0)
        close(reader->wakeups);
    if (reader->clock >= 0)
        close(reader->clock);
    ring_buffer__free(reader->ring);
}

void reader_rearm(struct reader *reader)
{
    struct epoll_event event;

    epoll_wait(reader->wakeups, &event, 1, 0);
}

int reader_read(struct reader *reader)
{
    int result;

    if (was_clock_set(reader))
        reader->clock_set = true;
    if (!reader->clock_set)
        follow_clock(reader);
    reader->batch = BATCH;
    result = ring_buffer__consume(reader->ring);
    reader->more = result == -EAGAIN;
    if (reader->clock_set && !reader->more) {
        reader->clock_set = false;
        reader->decoder.epoch_ns = clock_epoch_ns();
    }
    return result < 0 && !reader->more ? result : 0;
}
