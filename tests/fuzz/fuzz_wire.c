/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses the input as lines of the script.  Each event must be complete, and the events must not
 * depend on the pieces in which the bytes arrive.  "make fuzz" runs this.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/stap/wire.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A hash of all calls of the sink and their arguments. */
struct calls {
    uint64_t hash;
};

static void add(struct calls *calls, const void *bytes, size_t n)
{
    calls->hash = text_hash(calls->hash, bytes, n);
}

static bool is_of_process(const struct event *event)
{
    return event->code != EVENT_LOST && event->code != EVENT_MARK;
}

static bool has_path(const struct event *event)
{
    return event->code == EVENT_OPEN || event->code == EVENT_FAIL || event->code == EVENT_HELD;
}

static void on_event(void *ctx, const struct event *event)
{
    struct calls *calls = ctx;
    int64_t numbers[] = {event->code, event->pid,  event->ppid,  event->tid,
                         event->fd,   event->mode, event->flags, event->date_us};

    add(calls, numbers, sizeof(numbers));
    if (is_of_process(event) && (!event->comm || strlen(event->comm) >= EVENT_COMM_SIZE))
        abort();
    if (has_path(event) != (event->path != NULL))
        abort();
    if (event->path && strlen(event->path) != event->path_len)
        abort();
    if (event->path)
        add(calls, event->path, event->path_len);
    for (size_t i = 0; i < event->n_ranges; i++) {
        if (event->ranges[i].first > event->ranges[i].last)
            abort();
        add(calls, &event->ranges[i], sizeof(event->ranges[i]));
    }
}

static void on_loaded(void *ctx, const char *module)
{
    add(ctx, module, strlen(module));
}

static void on_notice(void *ctx)
{
    add(ctx, "notice", 6);
}

static void on_lost(void *ctx, uint64_t lines)
{
    if (lines == 0)
        abort();
    add(ctx, &lines, sizeof(lines));
}

static uint64_t calls_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct calls calls = {.hash = TEXT_HASH_START};
    struct wire_sink sink = {.event = on_event,
                             .event_ctx = &calls,
                             .loaded = on_loaded,
                             .watching = on_notice,
                             .more = on_notice,
                             .idle = on_notice,
                             .lost = on_lost,
                             .ctx = &calls};
    struct wire *wire = wire_new(&sink);

    for (size_t at = 0; at < size; at += piece)
        wire_take(wire, (const char *)data + at, size - at < piece ? size - at : piece);
    wire_free(wire);
    return calls.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 ? 1 + data[0] % 64 : 1;

    if (calls_in_pieces(data, size, size + 1) != calls_in_pieces(data, size, piece))
        abort();
    return 0;
}
