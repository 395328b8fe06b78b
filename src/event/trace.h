/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sets of -t: which records belong to each, and which system calls. */
#ifndef FILEMON_TRACE_H
#define FILEMON_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "event/calls.h"
#include "event/event.h"

enum trace_set {
    TRACE_OPEN, /* opens, copies, closes */
    TRACE_FAIL,
    TRACE_HELD,
    TRACE_EXEC,
    TRACE_NAMES,
    TRACE_ATTRIBUTES,
    TRACE_SETS,
};

/* In a set of sets. */
#define TRACE(name) (1u << TRACE_##name)
#define TRACE_ALL ((1u << TRACE_SETS) - 1)

/* Those of calls that are no opens. */
#define TRACE_CALLS (TRACE(EXEC) | TRACE(NAMES) | TRACE(ATTRIBUTES))

/* "open", "fail", ... */
const char *trace_name(enum trace_set set);

/* One line, for --help. */
const char *trace_help(enum trace_set set);

/* The set of that name; TRACE_SETS: there is none. */
enum trace_set trace_find(const char *name, size_t len);

/* The codes of the records in these sets, with LOST: a set of 1u << code. */
unsigned int trace_codes(unsigned int sets);

/* Whether the record is in these sets.  A FAIL is, if FAIL and the set of its call are; that of an
 * open also if no set but FAIL and HELD is there. */
bool trace_has(unsigned int sets, const struct event *record);

/* Whether the sets have failed opens. */
bool trace_has_failed_opens(unsigned int sets);

/* The name of a system call, the code of the record of its success, and the set of that. */
const char *trace_call_name(enum traced_call call);
enum event_code trace_call_code(enum traced_call call);
enum trace_set trace_call_set(enum traced_call call);

/* Whether the call has a second path, or is given the text of a symbolic link. */
bool trace_call_has_destination(enum traced_call call);

/* Sets the code, the call and the mode of an event that reports this call.  result: 0 or -errno;
 * argument: the one after the name, a mode or, of unlinkat(2), flags. */
void trace_call_fill(struct event *event, enum traced_call call, int result, unsigned int argument);

/* The inverse of trace_call_name(); TRACED_COUNT: there is none. */
enum traced_call trace_find_call(const char *name);

#endif
