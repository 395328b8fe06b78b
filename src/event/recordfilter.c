/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/recordfilter.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "event/trace.h"

static bool has_patterns(const struct recordfilter *filter)
{
    return filter->patterns != NULL && filter->patterns[0] != NULL;
}

/* Whether the paths of such records are, or may be, the names that the call was given. */
static bool may_have_names(enum event_code code)
{
    return code == EVENT_FAIL || (code > EVENT_EXEC && code < EVENT_RECORDS);
}

static bool has_paths_for(const struct recordfilter *filter, enum event_code code)
{
    return !pathfilter_all(filter->paths) && (!filter->by_inode || may_have_names(code));
}

bool recordfilter_compares_path(const struct recordfilter *filter, enum event_code code)
{
    return has_patterns(filter) || has_paths_for(filter, code);
}

static bool matches_any(const struct recordfilter *filter, const char *path)
{
    for (char *const *pattern = filter->patterns; *pattern != NULL; pattern++)
        if (fnmatch(*pattern, path, 0) == 0)
            return true;
    return false;
}

/* A copy of the first bytes of a path, NUL-terminated. */
struct copy {
    char path[PATHFILTER_NAME_MAX + 1];
};

static int copy_path(struct copy *copy, const char *path, size_t len)
{
    if (len >= sizeof(copy->path))
        return -ENAMETOOLONG;
    memcpy(copy->path, path, len);
    copy->path[len] = '\0';
    return 0;
}

static int match_name(const struct recordfilter *filter, const char *path, size_t len)
{
    struct copy name;

    if (len == 0 || path[0] != '/')
        return matches_any(filter, len == 0 ? "" : path);
    if (copy_path(&name, path, len) < 0)
        return -ENAMETOOLONG;
    pathfilter_clean(name.path);
    return matches_any(filter, name.path);
}

static int match_path(const struct recordfilter *filter, const char *path, size_t len)
{
    size_t kept = pathfilter_undeleted(path, len);
    struct copy undeleted;

    if (matches_any(filter, path))
        return 1;
    if (kept == len)
        return 0;
    if (copy_path(&undeleted, path, kept) < 0)
        return -ENAMETOOLONG;
    return matches_any(filter, undeleted.path);
}

static int match_patterns(const struct recordfilter *filter, enum event_code code, const char *path,
                          size_t len)
{
    if (!has_patterns(filter))
        return 1;
    return may_have_names(code) ? match_name(filter, path, len) : match_path(filter, path, len);
}

static int match_paths(const struct recordfilter *filter, enum event_code code, const char *path,
                       size_t len)
{
    if (!has_paths_for(filter, code))
        return 1;
    if (may_have_names(code))
        return pathfilter_match_name(filter->paths, path, len);
    return pathfilter_match(filter->paths, path, len);
}

static int match_one(const struct recordfilter *filter, const struct event *record,
                     const char *path, size_t len)
{
    int result = record->is_matched ? 1 : match_paths(filter, record->code, path, len);

    return result > 0 ? match_patterns(filter, record->code, path, len) : result;
}

/* The text of a symbolic link can be relative: then it says nothing about where it leads. */
static bool has_second_path(const struct event *record)
{
    return record->destination != NULL &&
           (record->code != EVENT_SYMLINK || record->destination[0] == '/');
}

int recordfilter_match(const struct recordfilter *filter, const struct event *record)
{
    int result, other;

    if (record->code == EVENT_LOST)
        return 1;
    if (!trace_has(filter->sets, record) || (filter->only_failed && record->code != EVENT_FAIL))
        return 0;
    result = match_one(filter, record, record->path, record->path_len);
    if (result > 0 || !has_second_path(record))
        return result;
    other = match_one(filter, record, record->destination, record->destination_len);
    return other != 0 ? other : result;
}

/* ---- Patterns that can match nothing -------------------------------------------------------- */

/* Returns the position after the bracket expression that begins here; NULL: it is not closed.  If
 * its first character is "]", that does not close it (glob(7)). */
static const char *skip_bracket(const char *at)
{
    at += 1 + (at[1] == '!' || at[1] == '^');
    if (*at == ']')
        at++;
    for (; *at != '\0' && *at != ']'; at++) {
        if (at[0] == '[' && at[1] != '\0' && strchr(".:=", at[1]) != NULL) {
            const char end[] = {at[1], ']', '\0'}, *found = strstr(at + 2, end);

            if (found == NULL)
                return NULL;
            at = found + 1;
        } else if (at[0] == '\\' && at[1] != '\0') {
            at++;
        }
    }
    return *at == ']' ? at + 1 : NULL;
}

static const char *fault_within(const char *at)
{
    while (*at != '\0') {
        if (at[0] == '\\' && at[1] == '\0')
            return "the backslash at its end quotes nothing";
        if (at[0] == '[' && skip_bracket(at) == NULL)
            return "a bracket is not closed; [[] stands for the character";
        at = at[0] == '[' ? skip_bracket(at) : at + 1 + (at[0] == '\\');
    }
    return NULL;
}

/* What is shown for files without a path has a colon: "pipe:[5]", "anon_inode:[eventfd]". */
const char *recordfilter_fault(const char *pattern)
{
    const char *fault = fault_within(pattern);

    if (fault == NULL && strchr("/*?[\\", pattern[0]) == NULL && strchr(pattern, ':') == NULL)
        return "it is compared with a whole path, which begins with /; put */ before it";
    return fault;
}
