/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/route.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event/pathfilter.h"

/* As in the kernel (linux/namei.h). */
#define LINKS_MAX 40

/* A link whose text the walk is in.  If a component of that text is missing, the link dangles. */
struct link {
    char *path;
    size_t tail; /* length of walk.rest behind the link */
};

struct walk {
    struct route *route;
    char at[PATH_MAX]; /* the path so far, without symbolic links; "" for the root */
    size_t len;        /* of at */
    size_t missing;    /* how many components at the end of at do not exist */
    char text[2 * PATH_MAX];
    char *rest; /* in text: the components still to be walked */
    struct link links[LINKS_MAX];
    size_t n_links;
    int followed; /* number of links so far */
};

/* path: the component's, whose directory has no symbolic links. */
static int add_place(struct route *route, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct place *more = reallocarray(route->places, route->n_places + 1, sizeof(*more));
    struct place place = {.name = strdup(slash + 1),
                          .directory = slash > path ? strndup(path, (size_t)(slash - path))
                                                    : strdup("/")};

    if (more != NULL)
        route->places = more;
    if (more == NULL || place.name == NULL || place.directory == NULL) {
        free(place.name);
        free(place.directory);
        return -ENOMEM;
    }
    more[route->n_places++] = place;
    return 0;
}

static int add_path(struct route *route, const char *path)
{
    char **more = reallocarray(route->paths, route->n_paths + 1, sizeof(*more));

    if (more == NULL)
        return -ENOMEM;
    route->paths = more;
    more[route->n_paths] = strdup(path);
    return more[route->n_paths] != NULL ? (route->n_paths++, 0) : -ENOMEM;
}

/* Adds the path that results if a directory or file replaces this link. */
static int add_without_link(struct walk *walk, const struct link *link)
{
    char path[3 * PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", link->path, walk->rest + strlen(walk->rest) - link->tail);
    pathfilter_clean(path);
    return add_path(walk->route, path);
}

static int note_missing(struct walk *walk, int why)
{
    int error = 0;

    walk->missing = 1;
    walk->route->missing = why;
    for (size_t i = 0; error == 0 && i < walk->n_links; i++)
        error = add_without_link(walk, &walk->links[i]);
    return error;
}

static void go_up(struct walk *walk)
{
    char *slash = strrchr(walk->at, '/');

    walk->len = slash != NULL ? (size_t)(slash - walk->at) : 0;
    walk->at[walk->len] = '\0';
    walk->missing -= walk->missing > 0;
}

/* walk->at is a symbolic link with this text: continues in the text. */
static int follow(struct walk *walk, const char *target, size_t len)
{
    size_t tail = strlen(walk->rest);
    struct link *link = &walk->links[walk->n_links];

    if (walk->followed++ == LINKS_MAX)
        return -ELOOP;
    if (len + 1 + tail >= sizeof(walk->text))
        return -ENAMETOOLONG;
    *link = (struct link){.path = strdup(walk->at), .tail = tail};
    if (link->path == NULL)
        return -ENOMEM;
    walk->n_links++;
    memmove(walk->text + len + 1, walk->rest, tail + 1);
    memcpy(walk->text, target, len);
    walk->text[len] = '/';
    walk->rest = walk->text;
    go_up(walk);
    if (target[0] == '/')
        walk->at[walk->len = 0] = '\0';
    return 0;
}

static int go_down(struct walk *walk, const char *name, size_t len)
{
    char target[PATH_MAX];
    ssize_t n;
    int why;

    if (len > NAME_MAX || walk->len + 1 + len >= sizeof(walk->at))
        return -ENAMETOOLONG;
    walk->at[walk->len] = '/';
    memcpy(walk->at + walk->len + 1, name, len);
    walk->len += 1 + len;
    walk->at[walk->len] = '\0';
    if (walk->missing > 0) {
        walk->missing++;
        return 0;
    }
    n = readlink(walk->at, target, sizeof(target));
    why = n < 0 ? errno : 0;
    /* ENOTDIR: the component before this one is no directory; its place was added already. */
    if (why != ENOTDIR && add_place(walk->route, walk->at) < 0)
        return -ENOMEM;
    if (n >= 0)
        return follow(walk, target, (size_t)n);
    if (why == EINVAL)
        return 0; /* no symbolic link */
    return why == ENOENT || why == ENOTDIR ? note_missing(walk, why) : -why;
}

/* Leaves the links whose text ends before walk->rest. */
static void leave_links(struct walk *walk)
{
    while (walk->n_links > 0 && walk->links[walk->n_links - 1].tail > strlen(walk->rest))
        free(walk->links[--walk->n_links].path);
}

static int walk_all(struct walk *walk)
{
    int error = 0;

    while (error == 0 && *walk->rest != '\0') {
        const char *name = walk->rest + strspn(walk->rest, "/");
        size_t len = strcspn(name, "/");

        walk->rest = (char *)name + len;
        leave_links(walk);
        if (len == 2 && memcmp(name, "..", 2) == 0)
            go_up(walk);
        else if (len > 1 || (len == 1 && name[0] != '.'))
            error = go_down(walk, name, len);
    }
    return error;
}

static void drop_paths(struct route *route)
{
    for (size_t i = 0; i < route->n_paths; i++)
        free(route->paths[i]);
    free(route->paths);
    route->paths = NULL;
    route->n_paths = 0;
}

void route_release(struct route *route)
{
    drop_paths(route);
    for (size_t i = 0; i < route->n_places; i++) {
        free(route->places[i].directory);
        free(route->places[i].name);
    }
    free(route->places);
    *route = (struct route){0};
}

int route_resolve(struct route *route, const char *path)
{
    struct walk walk = {.route = route};
    int error;

    *route = (struct route){0};
    if (strlen(path) >= sizeof(walk.text))
        return -ENAMETOOLONG;
    walk.rest = strcpy(walk.text, path);
    error = walk_all(&walk);
    if (error == 0)
        error = add_path(route, walk.len > 0 ? walk.at : "/");
    for (size_t i = 0; i < walk.n_links; i++)
        free(walk.links[i].path);
    if (error < 0)
        drop_paths(route);
    return error;
}

int path_make_absolute(const char *operand, char **path)
{
    char directory[PATH_MAX];

    if (operand[0] == '\0')
        return -EINVAL;
    if (operand[0] == '/')
        *path = strdup(operand);
    else if (getcwd(directory, sizeof(directory)) == NULL)
        return -errno;
    else if (asprintf(path, "%s/%s", directory, operand) < 0)
        *path = NULL;
    return *path != NULL ? 0 : -ENOMEM;
}
