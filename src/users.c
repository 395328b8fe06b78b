/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "users.h"

#include <errno.h>
#include <grp.h>
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

#ifdef FILEMON_STATIC
/* Only /etc/passwd and /etc/group: the C library loads a shared library of its own version for each
 * database that nsswitch.conf(5) names. */
static FILE *passwd;

static void rewind_users(void)
{
    passwd = fopen("/etc/passwd", "re");
}

static const struct passwd *next_user(void)
{
    return passwd != NULL ? fgetpwent(passwd) : NULL;
}

static void end_users(void)
{
    if (passwd != NULL)
        fclose(passwd);
}

static const struct passwd *find_user(const char *name)
{
    const struct passwd *entry;

    rewind_users();
    while ((entry = next_user()) != NULL && strcmp(entry->pw_name, name) != 0)
        ;
    end_users();
    return entry;
}

static const struct passwd *find_user_of(uid_t user)
{
    const struct passwd *entry;

    rewind_users();
    while ((entry = next_user()) != NULL && entry->pw_uid != user)
        ;
    end_users();
    return entry;
}

static const struct group *find_group(const char *name)
{
    FILE *groups = fopen("/etc/group", "re");
    const struct group *entry = NULL;

    while (groups != NULL && (entry = fgetgrent(groups)) != NULL &&
           strcmp(entry->gr_name, name) != 0)
        ;
    if (groups != NULL)
        fclose(groups);
    return entry;
}
#else
#define rewind_users setpwent
#define next_user getpwent
#define end_users endpwent
#define find_user getpwnam
#define find_user_of getpwuid
#define find_group getgrnam
#endif

int users_find(const char *given, uid_t *user)
{
    const struct passwd *entry;
    int64_t number;

    errno = 0;
    entry = find_user(given);
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
    rewind_users();
    for (const struct passwd *entry; (entry = next_user()) != NULL;) {
        size_t errors = strlen(entry->pw_name) <= TEXT_ERRORS_LEN
                            ? text_errors(given, entry->pw_name)
                            : least;

        if (errors < least) {
            least = errors;
            snprintf(nearest, sizeof nearest, "%s", entry->pw_name);
        }
    }
    end_users();
    return least <= text_errors_allowed(given) ? nearest : NULL;
}

int users_find_group(const char *name, gid_t *group)
{
    const struct group *entry = find_group(name);

    if (entry == NULL)
        return -ENOENT;
    *group = entry->gr_gid;
    return 0;
}

char *users_name(uid_t user)
{
    const struct passwd *entry = find_user_of(user);

    return entry != NULL ? strdup(entry->pw_name) : NULL;
}
