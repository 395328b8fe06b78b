/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses the lines of monitorFicheros.stp, read in pieces of any size, into events; "marca" is the
 * EVENT_MARK.  The content of a line is trusted, since it comes from our module, but a line may be
 * torn if output was lost.  Malformed lines are ignored and not counted: each line has a number, so
 * the next valid line shows how many are missing.
 */
#ifndef FILEMON_WIRE_H
#define FILEMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

struct wire_sink {
    void (*event)(void *event_ctx, const struct event *event);
    void *event_ctx;
    void (*loaded)(void *ctx, const char *module); /* "listo" */
    void (*watching)(void *ctx);                   /* "mirando" */
    void (*refused)(void *ctx);                    /* "sin_inodo" */
    void (*more)(void *ctx);                       /* "sigue" */
    void (*idle)(void *ctx);                       /* "fin" */
    void (*lost)(void *ctx, uint64_t lines);       /* number missing before the next line */
    void *ctx;
};

struct wire;

/* Copies *sink.  NULL: no memory.  Free with wire_free(). */
struct wire *wire_new(const struct wire_sink *sink);

/* NULL is allowed. */
void wire_free(struct wire *wire);

/* Takes the next n bytes, and calls the sink for each line that they complete. */
void wire_take(struct wire *wire, const char *bytes, size_t n);

#endif
