/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about a thread that -F asks for, in its lines. */
#ifndef FILEMON_STAP_FACTS_H
#define FILEMON_STAP_FACTS_H

#include "record.h"

/* enum event_fact of src/event/fact.h */
enum { FM_USER };

static u32 fm_facts; /* to add to lines, a set */

static inline bool fm_is_fact(u32 fact)
{
    return fm_facts >> fact & 1;
}

static void fm_user(struct fm_line *line)
{
    fm_lit(line, ", uid: ");
    fm_num(line, __kuid_val(task_euid(line->task)));
}

/* Numbers are those of the initial namespaces. */
static void fm_add_facts(struct fm_line *line)
{
    if (fm_is_fact(FM_USER))
        fm_user(line);
}

#endif
