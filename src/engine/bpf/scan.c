/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/scan.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "compat.h"
#include "engine/bpf/links.h"
#include "engine/bpf/record.h"
#include "filemon.skel.h"

static void forget_parents(struct program *program)
{
    int map = bpf_map__fd(program->skeleton->maps.parents);
    __u32 tgid;

    while (bpf_map_get_next_key(map, NULL, &tgid) == 0)
        bpf_map_delete_elem(map, &tgid);
}

/* Repeats the scan until it finds no new descendant: a task behind the iterator can have forked. */
static int scan_descendants(struct program *program)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;
    int result = 0;

    data->scanning_tasks = true;
    do {
        data->scan_has_news = false;
        result = links_iterate(program, LINK_TASKS);
    } while (result == 0 && data->scan_has_news);
    data->scanning_tasks = false;
    forget_parents(program);
    return result;
}

int scan_target(struct program *program, pid_t pid)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;
    int result;

    data->target = (__u32)pid;
    data->target_found = false;
    result = scan_descendants(program);
    data->target = 0;
    if (result == 0 && !data->target_found)
        result = -ESRCH;
    return result;
}

static void forget_process(struct program *program, __u32 tgid)
{
    program->skeleton->bss->exited_unseen = tgid;
    program_run(program->skeleton->progs.forget_process);
}

static bool has_exited_unseen(const struct program *program, __u32 tgid)
{
    struct process process;

    return bpf_map_lookup_elem(bpf_map__fd(program->skeleton->maps.watched), &tgid, &process) ==
               0 &&
           process.census != program->skeleton->bss->census;
}

/* Forgets watched processes whose exit was not seen. */
static void take_census(struct program *program)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;
    int map = bpf_map__fd(program->skeleton->maps.watched);
    __u32 tgid, next;
    bool more = bpf_map_get_next_key(map, NULL, &tgid) == 0;
    int result = 0;

    data->census++;
    data->taking_census = true;
    result = links_iterate(program, LINK_TASKS);
    data->taking_census = false;
    for (; more && result == 0; tgid = next) {
        more = bpf_map_get_next_key(map, &tgid, &next) == 0; /* before this one is deleted */
        if (has_exited_unseen(program, tgid))
            forget_process(program, tgid);
    }
}

/* Lists the file descriptor tables that are keys of the map; returns their number. */
static size_t list_tables(const struct bpf_map *map, __u64 *tables)
{
    __u64 *last = NULL;
    size_t n = 0;

    while (n < bpf_map__max_entries(map) &&
           bpf_map_get_next_key(bpf_map__fd(map), last, &tables[n]) == 0)
        last = &tables[n++];
    return n;
}

static void run_for_each(struct program *program, const struct bpf_program *settle,
                         const __u64 *tables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        program->skeleton->bss->doubted = tables[i];
        program_run(settle);
    }
}

/*
 * The iterator visits the tasks by number.  An exec of a thread that is not the first one of its
 * process gives it the first one's number: a scan that has passed the one and has not reached the
 * other misses the thread.  That happens at most once to a thread, so a second scan finds it.
 */
static int scan_users(struct program *program)
{
    int result = links_iterate(program, LINK_USERS);

    return result == 0 ? links_iterate(program, LINK_USERS) : result;
}

/* Reports the end of tables that no task uses any more: see tables.bpf.h. */
static void end_unused(struct program *program, const struct bpf_map *map)
{
    __u64 *tables = calloc(bpf_map__max_entries(map), sizeof(*tables));
    size_t n = tables ? list_tables(map, tables) : 0;

    run_for_each(program, program->skeleton->progs.begin_settling, tables, n);
    if (n > 0 && scan_users(program) == 0)
        run_for_each(program, program->skeleton->progs.settle_doubt, tables, n);
    free(tables);
}

void scan_doubts(struct program *program)
{
    struct filemon_bpf__bss *data = program->skeleton->bss;

    if (!data->is_in_doubt)
        return;
    data->is_in_doubt = false;
    end_unused(program, program->skeleton->maps.doubts);
}

void scan_after_loss(struct program *program)
{
    scan_descendants(program);
    take_census(program);
    end_unused(program, program->skeleton->maps.tables);
}

/* A thread that was exiting when the programs stopped leaves its table soon: waits for that. */
#define LAST_SCANS 10

void scan_last_doubts(struct program *program)
{
    static const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < LAST_SCANS && program->skeleton->bss->is_in_doubt; i++) {
        scan_doubts(program);
        if (program->skeleton->bss->is_in_doubt)
            nanosleep(&pause, NULL);
    }
}

/* Bytes of one read(2) of the iterator: the ring has room for the records of that many entries. */
#define HELD_READ_BYTES 512

static int scan_held(struct program *program, struct reader *reader)
{
    int fd = bpf_iter_create(bpf_link__fd(program->links[LINK_HELD]));
    char found[HELD_READ_BYTES];
    ssize_t n = fd < 0 ? -errno : 1;
    int result = 0;

    while (n > 0 && result == 0) {
        n = TEMP_FAILURE_RETRY(read(fd, found, sizeof(found)));
        result = n < 0 ? -errno : reader_read(reader);
    }
    if (fd >= 0)
        close(fd);
    return n < 0 && result == 0 ? (int)n : result;
}

/*
 * Scans are repeated while exiting threads have not yet left their file descriptor tables, and
 * while descriptors without a record are copied.  That may have no end: what the last scan has
 * missed counts as lost.  A second scan is also needed where scan_users() needs one, which is only
 * where the first thread of a process has exited: the iterator visits the descriptors of a process
 * at the number of its first thread that has a table.
 */
#define HELD_SCANS 20

int scan_initially_open(struct program *program, struct reader *reader)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    struct filemon_bpf__bss *data = program->skeleton->bss;
    int result = 0, scans = 0;
    bool again;

    do {
        if (scans > 0)
            nanosleep(&pause, NULL);
        data->scan_again = false;
        result = scan_held(program, reader);
        again = data->scan_again || (scans == 0 && data->first_exited);
    } while (result == 0 && again && ++scans < HELD_SCANS);
    if (result == 0 && data->scan_again)
        __atomic_fetch_add(&data->n_lost, 1, __ATOMIC_RELAXED);
    return result;
}
