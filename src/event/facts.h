/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of what the facts of events have as numbers. */
#ifndef FILEMON_FACTS_H
#define FILEMON_FACTS_H

#include "event/event.h"

/* At least so many executables are known: those that were used last. */
#define FACTS_EXECUTABLES 32768

struct facts;

/* NULL: no memory.  Free with facts_free(), which takes NULL. */
struct facts *facts_new(void);
void facts_free(struct facts *facts);

/* Finds the control groups, which have no names before.  0, -errno after a message. */
int facts_find_groups(struct facts *facts);

/* Keeps the path of an EVENT_EXECUTABLE.  Without memory its records have none. */
void facts_take_executable(struct facts *facts, const struct event *event);

/* Keeps the command line of an EVENT_ARGUMENTS, which it reads in /proc if the engine could not. */
void facts_take_arguments(struct facts *facts, const struct event *event);

/*
 * Fills in the names of what is known.  They are valid until the next call.  Each name is looked up
 * once and then kept, also that there was none, as long as not too many others follow.
 */
void facts_complete(struct facts *facts, struct event_facts *event);

#endif
