/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag.h"
#include "event/route.h"
#include "text.h"

/* A place of a route: a name, looked up in a directory that is watched for it. */
struct spot {
    int watch; /* of inotify(7), on the directory; -1: it cannot be watched */
    char *name;
    struct pending *owner;
    struct spot *next, **prev; /* in a list of paths.slots; *prev points to this spot */
};

/* An operand that does not exist yet. */
struct pending {
    char *path; /* absolute, not cleaned */
    enum pathfilter_verdict verdict;
    struct spot *spots;
    size_t n_spots;
    bool found; /* it exists now */
    bool due;   /* one of its places has changed: resolve it again */
};

/* A hash of spots by watch and name: with ten thousand operands in one directory, a new file there
 * concerns few of them. */
#define SLOTS 16384 /* a power of 2 */

struct paths {
    struct pathfilter *filter;
    int inotify; /* -1: nothing is watched */
    bool by_inode;
    struct inode_path *inodes;
    size_t n_inodes;
    bool warned_unwatched;
    struct pending **pending;
    size_t n_pending;
    uint32_t *users; /* by watch: how many spots use it */
    size_t n_watches;
    struct spot *slots[SLOTS];
};

/* ---- Watched places ------------------------------------------------------------------------- */

static struct spot **slot_of(struct paths *paths, int watch, const char *name)
{
    uint64_t hash = text_hash(TEXT_HASH_START ^ (uint32_t)watch, name, strlen(name));

    return &paths->slots[(hash ^ hash >> 32) & (SLOTS - 1)];
}

static void warn_unwatched(struct paths *paths, const char *directory, int error)
{
    if (!paths->warned_unwatched)
        diag(DIAG_WARNING,
             "%s cannot be watched: %s; symbolic links that are made there later are not followed",
             directory, strerror(error));
    paths->warned_unwatched = true;
}

static int count_user(struct paths *paths, int watch)
{
    size_t n = (size_t)watch + 1;

    if (n > paths->n_watches) {
        uint32_t *users = reallocarray(paths->users, n, sizeof(*users));

        if (users == NULL)
            return -ENOMEM;
        memset(users + paths->n_watches, 0, (n - paths->n_watches) * sizeof(*users));
        paths->users = users;
        paths->n_watches = n;
    }
    paths->users[watch]++;
    return 0;
}

/* Returns the watch; -1: none. */
static int watch_directory(struct paths *paths, const char *directory)
{
    int watch;

    if (paths->inotify < 0)
        paths->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (paths->inotify < 0) {
        warn_unwatched(paths, directory, errno);
        return -1;
    }
    watch = inotify_add_watch(paths->inotify, directory, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (watch >= 0 && count_user(paths, watch) < 0)
        return -1;
    /* ENOENT and ENOTDIR: the directory vanished after route_resolve(), and settle() will resolve
     * the path again. */
    if (watch < 0 && errno != ENOENT && errno != ENOTDIR)
        warn_unwatched(paths, directory, errno);
    return watch;
}

static void link_spot(struct paths *paths, struct spot *spot)
{
    struct spot **slot = slot_of(paths, spot->watch, spot->name);

    spot->next = *slot;
    spot->prev = slot;
    if (spot->next != NULL)
        spot->next->prev = &spot->next;
    *slot = spot;
}

static void unlink_spot(struct spot *spot)
{
    *spot->prev = spot->next;
    if (spot->next != NULL)
        spot->next->prev = spot->prev;
}

static void drop_spots(struct paths *paths, struct pending *pending)
{
    for (size_t i = 0; i < pending->n_spots; i++) {
        struct spot *spot = &pending->spots[i];

        unlink_spot(spot);
        free(spot->name);
        if (spot->watch >= 0 && --paths->users[spot->watch] == 0)
            inotify_rm_watch(paths->inotify, spot->watch);
    }
    free(pending->spots);
    pending->spots = NULL;
    pending->n_spots = 0;
}

/* *fresh: at least one directory was not watched before. */
static int add_spots(struct paths *paths, struct pending *pending, const struct route *route,
                     bool *fresh)
{
    *fresh = false;
    pending->spots = calloc(route->n_places + 1, sizeof(*pending->spots));
    if (pending->spots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < route->n_places; i++) {
        struct spot *spot = &pending->spots[i];

        spot->name = strdup(route->places[i].name);
        if (spot->name == NULL)
            return -ENOMEM;
        spot->owner = pending;
        spot->watch = watch_directory(paths, route->places[i].directory);
        *fresh |= spot->watch < 0 || paths->users[spot->watch] == 1;
        link_spot(paths, spot);
        pending->n_spots++;
    }
    return 0;
}

static bool has_same_places(const struct route *route, const struct route *other)
{
    if (route->n_places != other->n_places)
        return false;
    for (size_t i = 0; i < route->n_places; i++)
        if (strcmp(route->places[i].name, other->places[i].name) != 0 ||
            strcmp(route->places[i].directory, other->places[i].directory) != 0)
            return false;
    return true;
}

/*
 * Watches the places of a route that is not complete, also of one that ended in an error, such as a
 * loop of links: a change of one of its places can end that.  A place can change between
 * route_resolve() and inotify_add_watch(2): so the path is resolved again until no directory is
 * newly watched or the places stay the same.  route and error: the result of route_resolve(), which
 * the latest one replaces; returns its error.
 */
static int settle(struct paths *paths, struct pending *pending, struct route *route, int error)
{
    bool again = true;

    while (again && (error < 0 || route->missing != 0)) {
        struct route before = *route;

        drop_spots(paths, pending);
        if (add_spots(paths, pending, &before, &again) < 0)
            return -ENOMEM;
        if (!again)
            break;
        error = route_resolve(route, pending->path);
        again = !has_same_places(route, &before);
        route_release(&before);
    }
    return error;
}

static void release_pending(struct paths *paths, struct pending *pending)
{
    if (pending == NULL)
        return;
    drop_spots(paths, pending);
    free(pending->path);
    free(pending);
}

/* ---- Adding to the filter ------------------------------------------------------------------- */

/* By inode, paths are compared with nothing but names of failed opens. */
static int add_route(struct paths *paths, const struct route *route,
                     enum pathfilter_verdict verdict)
{
    enum pathfilter_form form = paths->by_inode ? PATHFILTER_TYPED : PATHFILTER_RESOLVED;
    int error = 0;

    for (size_t i = 0; error == 0 && i < route->n_paths; i++)
        error = pathfilter_add(paths->filter, route->paths[i], verdict, form);
    return error;
}

static void report_missing(const char *operand, const struct route *route)
{
    const char *target = route->paths[route->n_paths - 1];

    if (route->n_paths > 1)
        diag(DIAG_INFO, "%s: leads to %s: %s; it matches as soon as it exists", operand, target,
             strerror(route->missing));
    else
        diag(DIAG_INFO, "%s: %s; it matches as soon as it exists", operand,
             strerror(route->missing));
}

static int add_pending(struct paths *paths, const char *path, enum pathfilter_verdict verdict,
                       struct route *route)
{
    struct pending **more = reallocarray(paths->pending, paths->n_pending + 1, sizeof(*more));
    struct pending *pending;

    if (more == NULL)
        return -ENOMEM;
    paths->pending = more;
    more[paths->n_pending] = pending = calloc(1, sizeof(*pending));
    if (pending == NULL)
        return -ENOMEM;
    paths->n_pending++;
    pending->verdict = verdict;
    pending->path = strdup(path);
    return pending->path != NULL ? settle(paths, pending, route, 0) : -ENOMEM;
}

/*
 * Keeps the inode in the kernel's memory.  FAT makes up another number and generation when it reads
 * an inode again, and in btrfs engines compare its address.  A watch does not keep a file system
 * from being unmounted, as an open descriptor would.  Returns the watch; -1: none.
 */
static int keep_inode(struct paths *paths, const char *path)
{
    int watch = -1;

    if (paths->inotify < 0)
        paths->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (paths->inotify >= 0)
        watch = inotify_add_watch(paths->inotify, path, IN_DELETE_SELF);
    if (watch < 0 && !paths->warned_unwatched) {
        diag(DIAG_WARNING,
             "%s cannot be watched: %s; in btrfs or FAT it may stop matching when the kernel has "
             "dropped it from memory",
             path, strerror(errno));
        paths->warned_unwatched = true;
    }
    return watch;
}

/* The path is kept as it is: the texts of links would not do, since /proc/PID/root reads "/" in
 * every container. */
static int add_inode(struct paths *paths, const char *path, enum pathfilter_verdict verdict)
{
    struct inode_path *more = reallocarray(paths->inodes, paths->n_inodes + 1, sizeof(*more)),
                      inode = {.path = strdup(path), .verdict = verdict};
    struct stat status;

    if (more != NULL)
        paths->inodes = more;
    if (more == NULL || inode.path == NULL || stat(path, &status) < 0) {
        free(inode.path);
        return -errno;
    }
    inode.watch = keep_inode(paths, path);
    more[paths->n_inodes++] = inode;
    return 0;
}

/* Adds what the kernel compares a file with, other than its path. */
static int add_beside_route(struct paths *paths, const char *path, enum pathfilter_verdict verdict,
                            struct route *route)
{
    if (paths->by_inode)
        return add_inode(paths, path, verdict);
    return route->missing != 0 ? add_pending(paths, path, verdict, route) : 0;
}

static int add_operand(struct paths *paths, const char *operand, enum pathfilter_verdict verdict)
{
    struct route route = {0};
    char *path = NULL;
    int error = path_make_absolute(operand, &path);

    if (error == 0)
        error = route_resolve(&route, path);
    if (error == 0)
        error = add_beside_route(paths, path, verdict, &route);
    if (error == 0)
        error = add_route(paths, &route, verdict);
    if (error == 0) {
        pathfilter_clean(path);
        error = pathfilter_add(paths->filter, path, verdict, PATHFILTER_TYPED);
    }
    if (error < 0)
        diag(DIAG_ERROR, "%s: %s; %s", operand, strerror(-error),
             paths->by_inode ? "with -I, which asks for the file itself, a PATH must exist"
                             : "a PATH must lead to a file or directory");
    else if (route.missing != 0 && !paths->by_inode)
        report_missing(operand, &route);
    route_release(&route);
    free(path);
    return error;
}

static int add_operands(struct paths *paths, char *const *operands, enum pathfilter_verdict verdict)
{
    int error = 0;

    for (; error == 0 && *operands != NULL; operands++)
        error = add_operand(paths, *operands, verdict);
    return error;
}

static int add_alias(struct pathfilter *filter, const char *name)
{
    struct route route;
    char link[NAME_MAX + 2];
    int error;

    snprintf(link, sizeof(link), "/%s", name);
    error = route_resolve(&route, link);
    if (error == 0 && route.missing == 0)
        error = pathfilter_add_alias(filter, link, route.paths[0]);
    else if (error != -ENOMEM)
        error = 0; /* no file can be opened through this link */
    route_release(&route);
    return error;
}

/* So that with /lib a link to usr/lib, as on a merged-usr system, the exclusion /usr also excludes
 * the name /lib/x of a failed open. */
static int add_root_links(struct pathfilter *filter)
{
    DIR *root = opendir("/");
    struct dirent *entry;
    int error = 0;

    while (error == 0 && root != NULL && (entry = readdir(root)) != NULL)
        if (entry->d_type == DT_LNK)
            error = add_alias(filter, entry->d_name);
    if (root != NULL)
        closedir(root);
    return error;
}

static int find_root_links(struct pathfilter *filter)
{
    int error = add_root_links(filter);

    if (error < 0)
        diag(DIAG_ERROR, "the symbolic links in /: %s", strerror(-error));
    return error;
}

static int add_all(struct paths *paths, char *const *includes, char *const *excludes)
{
    int error = add_operands(paths, includes, PATHFILTER_INCLUDE);

    if (error == 0)
        error = add_operands(paths, excludes, PATHFILTER_EXCLUDE);
    if (error == 0 && !pathfilter_all(paths->filter))
        error = find_root_links(paths->filter);
    pathfilter_expect(paths->filter, paths->n_pending);
    return error;
}

static int add_texts(struct pathfilter *filter, char *const *operands,
                     enum pathfilter_verdict verdict)
{
    int error = 0;

    for (; error == 0 && *operands != NULL; operands++) {
        char *path = strdup(*operands);

        if (path == NULL)
            return -ENOMEM;
        pathfilter_clean(path);
        error = pathfilter_add(filter, path, verdict, PATHFILTER_RESOLVED);
        free(path);
    }
    return error;
}

int paths_add_texts(struct pathfilter *filter, char *const *includes, char *const *excludes)
{
    int error = add_texts(filter, includes, PATHFILTER_INCLUDE);

    if (error == 0)
        error = add_texts(filter, excludes, PATHFILTER_EXCLUDE);
    if (error < 0)
        diag(DIAG_ERROR, "PATHs: %s", strerror(-error));
    return error;
}

int paths_open(struct paths **paths, struct pathfilter *filter, char *const *includes,
               char *const *excludes, bool by_inode)
{
    int error;

    *paths = calloc(1, sizeof(**paths));
    if (*paths == NULL) {
        diag(DIAG_ERROR, "PATHs: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    (*paths)->filter = filter;
    (*paths)->by_inode = by_inode;
    (*paths)->inotify = -1;
    error = add_all(*paths, includes, excludes);
    if (error < 0) {
        paths_close(*paths);
        *paths = NULL;
    }
    return error;
}

void paths_close(struct paths *paths)
{
    if (paths == NULL)
        return;
    for (size_t i = 0; i < paths->n_pending; i++)
        release_pending(paths, paths->pending[i]);
    for (size_t i = 0; i < paths->n_inodes; i++)
        free(paths->inodes[i].path);
    if (paths->inotify >= 0)
        close(paths->inotify);
    free(paths->inodes);
    free(paths->pending);
    free(paths->users);
    free(paths);
}

int paths_fd(const struct paths *paths)
{
    return paths->n_pending > 0 || paths->n_inodes > 0 ? paths->inotify : -1;
}

const struct inode_path *paths_inodes(const struct paths *paths, size_t *n)
{
    *n = paths != NULL ? paths->n_inodes : 0;
    return paths != NULL ? paths->inodes : NULL;
}

/* ---- Changes -------------------------------------------------------------------------------- */

static int add_prefixes(struct paths *paths, const struct pending *pending,
                        const struct route *route, paths_added *added, void *ctx)
{
    int error = add_route(paths, route, pending->verdict);

    for (size_t i = 0; error == 0 && i < route->n_paths; i++)
        error = added(ctx, route->paths[i], pending->verdict);
    return error;
}

static void resolve_again(struct paths *paths, struct pending *pending, paths_added *added,
                          void *ctx)
{
    struct route route;
    int error = route_resolve(&route, pending->path);

    pending->due = false;
    error = settle(paths, pending, &route, error);
    if (error == 0) {
        pending->found = route.missing == 0;
        diag(DIAG_VERBOSE, "%s: leads to %s now", pending->path, route.paths[route.n_paths - 1]);
        error = add_prefixes(paths, pending, &route, added, ctx);
    }
    if (error == -ELOOP) /* its places are watched, and a change can end the loop */
        diag(DIAG_INFO, "%s: %s; it leads nowhere until the loop ends", pending->path,
             strerror(ELOOP));
    else if (error < 0)
        diag(DIAG_WARNING, "%s: %s; it may not match what it leads to now", pending->path,
             strerror(-error));
    route_release(&route);
}

static void note_name(struct paths *paths, int watch, const char *name)
{
    for (struct spot *spot = *slot_of(paths, watch, name); spot != NULL; spot = spot->next)
        if (spot->watch == watch && strcmp(spot->name, name) == 0)
            spot->owner->due = true;
}

static void note_all(struct paths *paths)
{
    for (size_t i = 0; i < paths->n_pending; i++)
        paths->pending[i]->due = true;
}

/* The inode is deleted: it has no name, and no process has it open. */
static void report_deleted(const struct paths *paths, int watch)
{
    for (size_t i = 0; i < paths->n_inodes; i++)
        if (paths->inodes[i].watch == watch)
            diag(DIAG_WARNING,
                 "%s is deleted: with -I, another file that has this name is not meant",
                 paths->inodes[i].path);
}

/* IN_UNMOUNT: whatever the mount point covered can be a place now. */
static void note_event(struct paths *paths, const struct inotify_event *event)
{
    if (event->mask & IN_DELETE_SELF)
        report_deleted(paths, event->wd);
    else if (event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT))
        note_all(paths);
    else if (event->len > 0)
        note_name(paths, event->wd, event->name);
}

static void read_events(struct paths *paths)
{
    char bytes[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(paths->inotify, bytes, sizeof(bytes));

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(bytes + at);

        note_event(paths, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
}

void paths_dispatch(struct paths *paths, paths_added *added, void *ctx)
{
    size_t n = 0;

    read_events(paths);
    for (size_t i = 0; i < paths->n_pending; i++) {
        struct pending *pending = paths->pending[i];

        if (pending->due)
            resolve_again(paths, pending, added, ctx);
        if (pending->found)
            release_pending(paths, pending);
        else
            paths->pending[n++] = pending;
    }
    paths->n_pending = n;
}
