/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of monitorFicheros.stp: bytes in any pieces → events ("marca" is the EVENT_MARK).  The
 * lines are trusted for what they say (they come from our module) but not to be whole: output that
 * was lost leaves torn ones.  What makes no sense is left out, and is not counted: each line has a
 * number, and so the next one tells how many there were in between.
 */
#ifndef FILEMON_WIRE_H
#define FILEMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

/* The version of the script's lines that this side reads (FM_VERSION in the script). */
#define WIRE_VERSION 3

struct wire_sink {
    void (*event)(void *event_ctx, const struct event *event);
    void *event_ctx;
    void (*loaded)(void *ctx, const char *module, int version); /* "listo" */
    void (*watching)(void *ctx);                                /* "mirando" */
    void (*more)(void *ctx);                                    /* "sigue" */
    void (*idle)(void *ctx);                                    /* "fin" */
    void (*lost)(void *ctx, uint64_t lines); /* on their way, before what follows */
    void *ctx;
};

struct wire;

/* NULL: no memory.  Free with wire_free(). */
struct wire *wire_new(const struct wire_sink *sink);
void wire_free(struct wire *wire);

/* Takes n bytes as they were read, and gives every line that they complete. */
void wire_take(struct wire *wire, const char *bytes, size_t n);

#endif
