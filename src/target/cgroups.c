/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "diag.h"
#include "text.h"

static int find_root(char root[static PATH_MAX])
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    int result = -ENOENT;

    if (mounts == NULL)
        return -errno;
    for (const struct mntent *mount; (mount = getmntent(mounts)) != NULL;) {
        if (strcmp(mount->mnt_type, "cgroup2") != 0 || strlen(mount->mnt_dir) >= PATH_MAX)
            continue;
        strcpy(root, mount->mnt_dir);
        result = 0;
        break;
    }
    endmntent(mounts);
    return result;
}

int cgroups_root(const char *option, char root[static PATH_MAX])
{
    int result = find_root(root);

    if (result < 0)
        diag(DIAG_ERROR,
             "%s: %s; it needs the unified hierarchy of control groups (cgroup v2), which systemd "
             "mounts at /sys/fs/cgroup",
             option, result == -ENOENT ? "no cgroup2 file system is mounted" : strerror(-result));
    return result;
}

/* ---- The groups that exist ------------------------------------------------------------------- */

/* The paths of all groups, each after the group above it. */
struct groups {
    char **paths;
    size_t n, room;
};

static void groups_free(struct groups *groups)
{
    for (size_t i = 0; i < groups->n; i++)
        free(groups->paths[i]);
    free(groups->paths);
}

static int groups_add(struct groups *groups, const char *path)
{
    if (groups->n == groups->room) {
        size_t room = groups->room > 0 ? 2 * groups->room : 64;
        char **paths = reallocarray(groups->paths, room, sizeof(*paths));

        if (paths == NULL)
            return -ENOMEM;
        groups->paths = paths;
        groups->room = room;
    }
    groups->paths[groups->n] = strdup(path);
    return groups->paths[groups->n++] != NULL ? 0 : -ENOMEM;
}

static bool is_directory_on(const struct dirent *entry, const char *path, dev_t device)
{
    struct stat stat;

    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        return false;
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
           lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode) && stat.st_dev == device;
}

/* Adds the groups below path, which is restored.  Groups that are removed during the walk are left
 * out. */
static int add_below(struct groups *groups, char path[static PATH_MAX], dev_t device)
{
    size_t len = strlen(path);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int result = 0;

    while (directory != NULL && result == 0 && (entry = readdir(directory)) != NULL) {
        int more = snprintf(path + len, PATH_MAX - len, "/%s", entry->d_name);

        if (more >= (int)(PATH_MAX - len) || !is_directory_on(entry, path, device))
            continue;
        result = groups_add(groups, path);
        if (result == 0)
            result = add_below(groups, path, device);
    }
    if (directory != NULL)
        closedir(directory);
    path[len] = '\0';
    return result;
}

static int groups_read(struct groups *groups, const char *root)
{
    char path[PATH_MAX];
    struct stat stat;

    if (lstat(root, &stat) < 0)
        return -errno;
    snprintf(path, sizeof(path), "%s", root);
    return add_below(groups, path, stat.st_dev);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

#define ID_DIGITS_MIN 8
#define HEX "0123456789abcdef"

static bool is_named(const char *name, const char *before, const char *given, const char *after)
{
    size_t head = strlen(before), len = strlen(given);

    return strncmp(name, before, head) == 0 && strncmp(name + head, given, len) == 0 &&
           strcmp(name + head + len, after) == 0;
}

static bool is_directory(const char *name, const char *given)
{
    return is_named(name, "", given, "");
}

static bool is_service(const char *name, const char *given)
{
    return is_named(name, "", given, ".service");
}

static bool is_instance(const char *name, const char *given)
{
    size_t len = strlen(given), end = strlen(".service"), all = strlen(name);

    return strncmp(name, given, len) == 0 && name[len] == '@' && all > len + end &&
           strcmp(name + all - end, ".service") == 0;
}

static bool is_scope(const char *name, const char *given)
{
    return is_named(name, "", given, ".scope");
}

static bool is_slice(const char *name, const char *given)
{
    return is_named(name, "", given, ".slice");
}

static bool is_container(const char *name, const char *given)
{
    return is_named(name, "lxc.payload.", given, "") || is_named(name, "machine-", given, ".scope");
}

/* The id in the name of a container's directory, and its number of digits; 0: there is none. */
static size_t find_id(const char *name, const char **id)
{
    const char *dash = strrchr(name, '-'), *after;
    size_t digits;

    *id = dash != NULL ? dash + 1 : name;
    digits = strspn(*id, HEX);
    after = *id + digits;
    return *after == '\0' || strcmp(after, ".scope") == 0 ? digits : 0;
}

static bool begins_id(const char *given)
{
    size_t len = strlen(given);

    return len >= ID_DIGITS_MIN && strspn(given, HEX) == len;
}

static bool has_id(const char *name, const char *given)
{
    const char *id;
    size_t len = strlen(given);

    return begins_id(given) && len <= find_id(name, &id) && memcmp(id, given, len) == 0;
}

static bool (*const rules[])(const char *name, const char *given) = {
    is_directory, is_service, is_instance, is_scope, is_slice, is_container, has_id,
};

static const char *last_component(const char *path)
{
    return strrchr(path, '/') + 1;
}

static bool is_below(const char *path, const char *above)
{
    size_t len = strlen(above);

    return strncmp(path, above, len) == 0 && path[len] == '/';
}

/* Moves the paths that match to the front, without those below another; returns their number. */
static size_t select_matching(struct groups *groups, const char *given,
                              bool (*rule)(const char *name, const char *given))
{
    size_t kept = 0;

    for (size_t i = 0; i < groups->n; i++) {
        char *path = groups->paths[i];

        if (!rule(last_component(path), given) ||
            (kept > 0 && is_below(path, groups->paths[kept - 1])))
            continue;
        groups->paths[i] = groups->paths[kept];
        groups->paths[kept++] = path;
    }
    return kept;
}

/* ---- Messages -------------------------------------------------------------------------------- */

#define LISTED 5

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* paths: n of them, which all match. */
static int refuse_several(const char *root, const char *given, char **paths, size_t n)
{
    char list[LISTED * (NAME_MAX + 2) + 32] = "";
    size_t used = 0;

    qsort(paths, n, sizeof(*paths), compare_paths);
    for (size_t i = 0; i < n && i < LISTED; i++) {
        int len = snprintf(list + used, sizeof(list) - used, " %s", paths[i] + strlen(root));

        if (len < 0 || (size_t)len >= sizeof(list) - used)
            break;
        used += (size_t)len;
    }
    list[used] = '\0';
    diag(DIAG_ERROR, "-g %s: %zu control groups match, give the path of one:%s%s", given, n, list,
         n > LISTED ? " ..." : "");
    return -EINVAL;
}

/* A directory's name without the end that a rule adds. */
static const char *stem(const char *name, char buf[static NAME_MAX + 1])
{
    char *dot;

    snprintf(buf, NAME_MAX + 1, "%s", name);
    dot = strrchr(buf, '.');
    if (dot != NULL &&
        (!strcmp(dot, ".service") || !strcmp(dot, ".scope") || !strcmp(dot, ".slice")))
        *dot = '\0';
    return buf;
}

/* As many digits of a directory's id as were given. */
static const char *first_digits(const char *name, const char *given, char buf[static NAME_MAX + 1])
{
    const char *id;
    size_t digits = find_id(name, &id), len = strlen(given);

    snprintf(buf, NAME_MAX + 1, "%.*s", (int)(digits < len ? digits : len), id);
    return buf;
}

/* The errors in given, if the directory of this name was meant. */
static size_t errors_in(const char *given, const char *name)
{
    char buf[NAME_MAX + 1];
    size_t whole = text_errors(given, name);
    size_t part = text_errors(given,
                              begins_id(given) ? first_digits(name, given, buf) : stem(name, buf));

    return whole < part ? whole : part;
}

static const char *nearest(const struct groups *groups, const char *given)
{
    size_t least = text_errors_allowed(given) + 1;
    const char *found = NULL;

    for (size_t i = 0; strlen(given) <= TEXT_ERRORS_LEN && i < groups->n; i++) {
        const char *name = last_component(groups->paths[i]);
        size_t errors = errors_in(given, name);

        if (errors < least) {
            least = errors;
            found = name;
        }
    }
    return found;
}

static int refuse_absent(const struct groups *groups, const char *given)
{
    const char *near = nearest(groups, given);

    diag(DIAG_ERROR, "-g %s: there is no such control group%s%s%s", given,
         near != NULL ? "; did you mean " : "; systemd-cgls lists them", near != NULL ? near : "",
         near != NULL ? "?" : "");
    return -EINVAL;
}

/* ---- Looking up ------------------------------------------------------------------------------ */

/* The group whose directory this is, by its shortest path.  0; -ENOENT: it is none; -errno. */
static int take(struct cgroup *found, const char *root, const char *path)
{
    struct stat top, stat;
    char *shortest = realpath(path, NULL);

    if (shortest == NULL)
        return -errno;
    if (lstat(root, &top) == 0 && lstat(shortest, &stat) == 0 && S_ISDIR(stat.st_mode) &&
        stat.st_dev == top.st_dev) {
        *found = (struct cgroup){.id = stat.st_ino, .path = shortest};
        return 0;
    }
    free(shortest);
    return -ENOENT;
}

static int find_path(const char *root, const char *given, struct cgroup *found)
{
    char path[PATH_MAX];
    bool whole = strcmp(given, root) == 0 || is_below(given, root);
    int len = snprintf(path, sizeof(path), "%s%s", whole ? "" : root, given);
    int result = len < (int)sizeof(path) ? take(found, root, path) : -ENAMETOOLONG;

    if (result == 0 || result == -ENOMEM)
        return result;
    diag(DIAG_ERROR,
         "-g %s: there is no control group of this path below %s; systemd-cgls lists them", given,
         root);
    return -EINVAL;
}

static int find_name(const char *root, struct groups *groups, const char *given,
                     struct cgroup *found)
{
    for (size_t i = 0; i < LENGTH(rules); i++) {
        size_t n = select_matching(groups, given, rules[i]);

        if (n == 1)
            return take(found, root, groups->paths[0]);
        if (n > 1)
            return refuse_several(root, given, groups->paths, n);
    }
    return refuse_absent(groups, given);
}

int cgroups_find(const char *root, const char *given, struct cgroup *found)
{
    struct groups groups = {0};
    int result;

    *found = (struct cgroup){0};
    if (given[0] == '/') {
        result = find_path(root, given, found);
    } else {
        result = groups_read(&groups, root);
        if (result == 0)
            result = find_name(root, &groups, given, found);
        groups_free(&groups);
    }
    if (result < 0 && result != -EINVAL)
        diag(DIAG_ERROR, "-g %s: %s", given, strerror(-result));
    return result;
}

bool cgroup_exists(const struct cgroup *group)
{
    struct stat stat;

    return lstat(group->path, &stat) == 0 && stat.st_ino == group->id;
}

/* include/linux/exportfs.h: FILEID_KERNFS, a handle that is the id alone. */
#define HANDLE_OF_ID 0xfe

/* A descriptor of the group's directory; -1: there is none. */
static int open_id(const char *root, uint64_t id)
{
    char bytes[sizeof(struct file_handle) + sizeof(id)] __attribute__((aligned(8))) = "";
    struct file_handle *handle = (struct file_handle *)bytes;
    int mount = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), group;

    if (mount < 0)
        return -1;
    handle->handle_bytes = sizeof(id);
    handle->handle_type = HANDLE_OF_ID;
    memcpy(handle->f_handle, &id, sizeof(id));
    group = open_by_handle_at(mount, handle, O_PATH | O_CLOEXEC);
    close(mount);
    return group;
}

char *cgroups_path(const char *root, uint64_t id)
{
    char link[32], path[PATH_MAX];
    int group = open_id(root, id);
    ssize_t len;

    if (group < 0)
        return NULL;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", group);
    len = readlink(link, path, sizeof(path) - 1);
    close(group);
    path[len > 0 ? len : 0] = '\0';
    if (strcmp(path, root) == 0)
        return strdup("/");
    return is_below(path, root) ? strdup(path + strlen(root)) : NULL;
}
