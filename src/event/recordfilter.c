/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/recordfilter.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

static bool has_patterns(const struct recordfilter *filter)
{
    return filter->patterns != NULL && filter->patterns[0] != NULL;
}

static bool has_paths_for(const struct recordfilter *filter, enum event_code code)
{
    return !pathfilter_all(filter->paths) && (!filter->by_inode || code == EVENT_FAIL);
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

static int match_name(const struct recordfilter *filter, const struct event *record)
{
    struct copy name;

    if (record->path_len == 0 || record->path[0] != '/')
        return matches_any(filter, record->path_len == 0 ? "" : record->path);
    if (copy_path(&name, record->path, record->path_len) < 0)
        return -ENAMETOOLONG;
    pathfilter_clean(name.path);
    return matches_any(filter, name.path);
}

static int match_path(const struct recordfilter *filter, const struct event *record)
{
    size_t kept = pathfilter_undeleted(record->path, record->path_len);
    struct copy path;

    if (matches_any(filter, record->path))
        return 1;
    if (kept == record->path_len)
        return 0;
    if (copy_path(&path, record->path, kept) < 0)
        return -ENAMETOOLONG;
    return matches_any(filter, path.path);
}

static int match_patterns(const struct recordfilter *filter, const struct event *record)
{
    if (!has_patterns(filter))
        return 1;
    return record->code == EVENT_FAIL ? match_name(filter, record) : match_path(filter, record);
}

static int match_paths(const struct recordfilter *filter, const struct event *record)
{
    if (!has_paths_for(filter, record->code))
        return 1;
    if (record->code == EVENT_FAIL)
        return pathfilter_match_name(filter->paths, record->path, record->path_len);
    return pathfilter_match(filter->paths, record->path, record->path_len);
}

int recordfilter_match(const struct recordfilter *filter, const struct event *record)
{
    int result;

    if (record->code == EVENT_LOST)
        return 1;
    if (filter->only_failed && record->code != EVENT_FAIL)
        return 0;
    result = match_paths(filter, record);
    return result > 0 ? match_patterns(filter, record) : result;
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
