/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The users and groups of this machine, from the databases that nsswitch.conf(5) names; in a static
 * program, from /etc/passwd and /etc/group alone. */
#ifndef FILEMON_USERS_H
#define FILEMON_USERS_H

#include <sys/types.h>

/* The user of this name, or else with this number, which no database needs to have; as chown(1)
 * decides.  0; -ENOENT; -errno: a database cannot be read. */
int users_find(const char *given, uid_t *user);

/* The name of a user for which this is a likely typing error; NULL: none.  Valid until the next
 * call. */
const char *users_nearest(const char *given);

/* The group of this name.  0; -ENOENT: it cannot be found. */
int users_find_group(const char *name, gid_t *group);

/* The name of this user, for free(3); NULL: none, or a database cannot be read. */
char *users_name(uid_t user);

#endif
