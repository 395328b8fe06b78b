/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "users.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* (uid_t)-1 is no user: it stands for "unchanged" in setreuid(2) and chown(2). */
#define USER_MAX (UINT32_MAX - 1)

/* What getpwnam(3) may set where there is no such user. */
static bool is_absence(int error)
{
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

int users_find(const char *given, uid_t *user)
{
    const struct passwd *entry;
    int64_t number;

    errno = 0;
    entry = getpwnam(given);
    if (entry != NULL) {
        *user = entry->pw_uid;
        return 0;
    }
    int error = errno;
    if (text_number(given, strlen(given), 0, USER_MAX, &number) == 0) {
        *user = (uid_t)number;
        return 0;
    }
    return is_absence(error) ? -ENOENT : -error;
}

const char *users_nearest(const char *given)
{
    static char nearest[TEXT_ERRORS_LEN + 1];
    size_t least;

    if (strlen(given) > TEXT_ERRORS_LEN)
        return NULL;
    least = text_errors_allowed(given) + 1;
    setpwent();
    for (const struct passwd *entry; (entry = getpwent()) != NULL;) {
        size_t errors = strlen(entry->pw_name) <= TEXT_ERRORS_LEN
                            ? text_errors(given, entry->pw_name)
                            : least;

        if (errors < least) {
            least = errors;
            snprintf(nearest, sizeof nearest, "%s", entry->pw_name);
        }
    }
    endpwent();
    return least <= text_errors_allowed(given) ? nearest : NULL;
}
