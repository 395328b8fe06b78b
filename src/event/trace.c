/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/trace.h"

#include <fcntl.h>
#include <string.h>

#include "array.h"

#define ONLY(code) (1u << EVENT_##code)

static const struct {
    const char *name;
    unsigned int codes;
    const char *help;
} sets_table[TRACE_SETS] = {
    [TRACE_OPEN] = {"open", ONLY(OPEN) | ONLY(CLOSE) | ONLY(DUP) | ONLY(ERROR),
                    "opens, copies and closes: the default"},
    [TRACE_FAIL] = {"fail", ONLY(FAIL), "calls of the other sets that failed; alone, opens"},
    [TRACE_HELD] = {"held", ONLY(HELD), "files held open when the watch begins"},
    [TRACE_EXEC] = {"exec", ONLY(EXEC), "programs executed"},
    [TRACE_NAMES] = {"names",
                     ONLY(RENAME) | ONLY(LINK) | ONLY(SYMLINK) | ONLY(UNLINK) | ONLY(MKDIR) |
                         ONLY(RMDIR) | ONLY(MKNOD),
                     "rename, link, symlink, unlink, mkdir, rmdir, mknod"},
    [TRACE_ATTRIBUTES] = {"attributes",
                          ONLY(CHMOD) | ONLY(CHOWN) | ONLY(TRUNCATE) | ONLY(UTIMES) |
                              ONLY(SETXATTR),
                          "chmod, chown, truncate, utimes, setxattr"},
};

#define ROW(name, record, x86_64, ia32, arm64, arm, shape) {#name, EVENT_##record},
static const struct {
    const char *name;
    enum event_code code;
} calls[] = {TRACED_CALLS(ROW)};

const char *trace_name(enum trace_set set)
{
    return sets_table[set].name;
}

enum trace_set trace_find(const char *name, size_t len)
{
    enum trace_set set = 0;

    while (set < TRACE_SETS &&
           (strlen(sets_table[set].name) != len || memcmp(sets_table[set].name, name, len) != 0))
        set++;
    return set;
}

unsigned int trace_codes(unsigned int sets)
{
    unsigned int codes = ONLY(LOST);

    for (enum trace_set set = 0; set < TRACE_SETS; set++)
        if (sets & 1u << set)
            codes |= sets_table[set].codes;
    return codes;
}

bool trace_has_failed_opens(unsigned int sets)
{
    return (sets & TRACE(FAIL)) && ((sets & TRACE(OPEN)) || !(sets & TRACE_CALLS));
}

const char *trace_help(enum trace_set set)
{
    return sets_table[set].help;
}

enum traced_call trace_find_call(const char *name)
{
    enum traced_call call = 0;

    while (call < TRACED_COUNT && strcmp(calls[call].name, name) != 0)
        call++;
    return call;
}

static bool has_failure(unsigned int sets, const char *name)
{
    enum traced_call call = name != NULL ? trace_find_call(name) : TRACED_COUNT;

    if (call == TRACED_COUNT)
        return trace_has_failed_opens(sets);
    return (sets & TRACE(FAIL)) && (sets & 1u << trace_call_set(call));
}

bool trace_has(unsigned int sets, const struct event *record)
{
    if (record->code == EVENT_FAIL)
        return has_failure(sets, record->call);
    return trace_codes(sets) & 1u << record->code;
}

const char *trace_call_name(enum traced_call call)
{
    return calls[call].name;
}

enum event_code trace_call_code(enum traced_call call)
{
    return calls[call].code;
}

enum trace_set trace_call_set(enum traced_call call)
{
    enum trace_set set = 0;

    while (!(sets_table[set].codes & 1u << calls[call].code))
        set++;
    return set;
}

bool trace_call_has_destination(enum traced_call call)
{
    enum event_code code = calls[call].code;

    return code == EVENT_RENAME || code == EVENT_LINK || code == EVENT_SYMLINK;
}

static enum event_code code_of(enum traced_call call, int result, unsigned int argument)
{
    if (result < 0)
        return EVENT_FAIL;
    if (call == TRACED_unlinkat && argument & AT_REMOVEDIR)
        return EVENT_RMDIR;
    return calls[call].code;
}

void trace_call_fill(struct event *event, enum traced_call call, int result, unsigned int argument)
{
    event->code = code_of(call, result, argument);
    event->call = result < 0 ? calls[call].name : NULL;
    if (event->code == EVENT_MKDIR || event->code == EVENT_MKNOD || event->code == EVENT_CHMOD)
        event->mode = argument & 07777;
}
