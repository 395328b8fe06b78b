/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/results.h"

#include <stdlib.h>
#include <string.h>

/* A copy of a record, with all that it points to. */
struct waiting {
    struct waiting *next;
    bool awaits; /* the result of the call of record.tid */
    struct event record;
    struct event_facts facts;
    char error[16]; /* of the result */
    char bytes[];
};

struct results {
    results_emit *emit;
    void *ctx;
    struct waiting *first, **end; /* in the order in which they came */
    size_t n, awaiting;
};

/* ---- Copies --------------------------------------------------------------------------------- */

static size_t size_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* Copies the text to *room, and moves that to its end. */
static const char *copy_text(const char *text, char **room)
{
    size_t size = size_of(text);
    char *copy = *room;

    if (text == NULL)
        return NULL;
    memcpy(copy, text, size);
    *room += size;
    return copy;
}

/* The texts of facts, NULs included. */
static size_t texts_size(const struct event_facts *facts)
{
    return size_of(facts->given) + size_of(facts->user_name) + size_of(facts->group_path) +
           size_of(facts->executable_path) + size_of(facts->arguments) + size_of(facts->result);
}

static void copy_facts(struct waiting *waiting, const struct event_facts *facts, char **room)
{
    waiting->facts = *facts;
    waiting->facts.given = copy_text(facts->given, room);
    waiting->facts.user_name = copy_text(facts->user_name, room);
    waiting->facts.group_path = copy_text(facts->group_path, room);
    waiting->facts.executable_path = copy_text(facts->executable_path, room);
    waiting->facts.arguments = copy_text(facts->arguments, room);
    waiting->facts.result = copy_text(facts->result, room);
    waiting->record.facts = &waiting->facts;
}

/* Records have no ranges, and the names of calls are constants.  NULL: no memory. */
static struct waiting *copy_of(const struct event *record)
{
    size_t size = size_of(record->comm) + size_of(record->host) + size_of(record->path) +
                  size_of(record->destination) +
                  (record->facts != NULL ? texts_size(record->facts) : 0);
    struct waiting *waiting = malloc(sizeof(*waiting) + size);
    char *room;

    if (waiting == NULL)
        return NULL;
    room = waiting->bytes;
    waiting->next = NULL;
    waiting->awaits = false;
    waiting->record = *record;
    waiting->record.comm = copy_text(record->comm, &room);
    waiting->record.host = copy_text(record->host, &room);
    waiting->record.path = copy_text(record->path, &room);
    waiting->record.destination = copy_text(record->destination, &room);
    if (record->facts != NULL)
        copy_facts(waiting, record->facts, &room);
    return waiting;
}

/* ---- What waits ----------------------------------------------------------------------------- */

struct results *results_new(results_emit *emit, void *ctx)
{
    struct results *results = malloc(sizeof(*results));

    if (results != NULL)
        *results = (struct results){.emit = emit, .ctx = ctx, .end = &results->first};
    return results;
}

void results_free(struct results *results)
{
    while (results != NULL && results->first != NULL) {
        struct waiting *first = results->first;

        results->first = first->next;
        free(first);
    }
    free(results);
}

static bool must_follow(const struct event *record, const struct event *earlier)
{
    return record->pid == earlier->pid || (record->table != 0 && record->table == earlier->table);
}

/* Whether the record must follow one of the first ones, up to this one. */
static bool follows_any(const struct results *results, const struct event *record,
                        const struct waiting *end)
{
    for (const struct waiting *each = results->first; each != end; each = each->next)
        if (must_follow(record, &each->record))
            return true;
    return false;
}

/* Passes on each record that neither awaits a result nor follows one that still waits. */
static void release(struct results *results)
{
    struct waiting **place = &results->first, *each;

    while ((each = *place) != NULL) {
        if (each->awaits || (results->awaiting > 0 && follows_any(results, &each->record, each))) {
            place = &each->next;
            continue;
        }
        *place = each->next;
        results->n--;
        results->emit(results->ctx, &each->record);
        free(each);
    }
    results->end = place;
}

/* Ends the waiting for one result.  error: its number; 0: there was none, or it is not known. */
static void settle(struct results *results, struct waiting *waiting, int error)
{
    waiting->awaits = false;
    results->awaiting--;
    if (error != 0)
        waiting->facts.result = event_errno_name(error, waiting->error);
}

static void settle_oldest(struct results *results)
{
    struct waiting *each = results->first;

    while (!each->awaits)
        each = each->next;
    settle(results, each, 0);
    release(results);
}

void results_end(struct results *results)
{
    while (results->awaiting > 0)
        settle_oldest(results);
}

static void append(struct results *results, struct waiting *waiting)
{
    *results->end = waiting;
    results->end = &waiting->next;
    results->n++;
    if (waiting->awaits)
        results->awaiting++;
    if (results->n > RESULTS_WAITING)
        settle_oldest(results);
}

static bool is_awaited(const struct event *record)
{
    return record->code == EVENT_CLOSE && record->facts != NULL &&
           (record->facts->known & FACT(RESULT)) != 0 && record->tid != 0;
}

void results_take(struct results *results, const struct event *record)
{
    bool awaits = is_awaited(record);
    struct waiting *waiting;

    if (!awaits && (results->awaiting == 0 || record->code == EVENT_LOST ||
                    !follows_any(results, record, NULL))) {
        results->emit(results->ctx, record);
        return;
    }
    waiting = copy_of(record);
    if (waiting == NULL) { /* without memory nothing waits */
        results_end(results);
        results->emit(results->ctx, record);
        return;
    }
    waiting->awaits = awaits;
    append(results, waiting);
}

void results_note(struct results *results, const struct event *event)
{
    bool any = false;

    if (results->awaiting == 0 || event->tid == 0)
        return;
    for (struct waiting *each = results->first; each != NULL; each = each->next) {
        bool ends = event->tid == each->record.tid ||
                    (event->code == EVENT_EXIT && must_follow(event, &each->record));

        if (!each->awaits || !ends)
            continue;
        settle(results, each, event->code == EVENT_RESULT ? -event->fd : 0);
        any = true;
    }
    if (any)
        release(results);
}
