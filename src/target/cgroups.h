/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control groups (cgroups(7)) of the unified hierarchy, by path, unit, container or id. */
#ifndef FILEMON_CGROUPS_H
#define FILEMON_CGROUPS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* The path where the unified hierarchy is mounted.  0, -errno after a message, which says that this
 * option needs it: "-g". */
int cgroups_root(const char *option, char root[static PATH_MAX]);

/* A control group. */
struct cgroup {
    uint64_t id; /* the kernel's: the inode of its directory */
    char *path;  /* of its directory, without links, "." and slashes at the end; free(3) */
};

/*
 * Finds the control group that is given as
 *
 *   1  a path: below root, or one that begins with root
 *   2  the name of a directory anywhere below root
 *   3  the same with ".service", "@INSTANCE.service", ".scope" or ".slice" after it, in this order
 *   4  the name of a container: lxc.payload.NAME, machine-NAME.scope
 *   5  at least 8 hexadecimal digits that begin the id of a container: as a directory, or after a
 *      '-' and before ".scope" (docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope)
 *
 * The first rule that matches decides.  A group below another one that matches does not count.
 * 0; -EINVAL after a message that names -g, what is wrong and what to write instead; -errno after a
 * message.
 */
int cgroups_find(const char *root, const char *given, struct cgroup *found);

/* Whether the group is still there. */
bool cgroup_exists(const struct cgroup *group);

/* The path of the group that has this id, as below root, for free(3): "/system.slice".  NULL: there
 * is none, or none any more. */
char *cgroups_path(const char *root, uint64_t id);

#endif
