/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares filemon's records with the journal of fdchaos.
 *
 * The entries of each file descriptor table are read in the order of the journal (chaos.h says why
 * that order is known), and give a queue of expected records for each descriptor.  The output must
 * have exactly these records.  If one call ended before another one began, its record must come
 * first.  A call in flight when its process was killed may have been done or not: its records are
 * optional.
 *
 * A record does not name its table.  If the process has used several tables, the thread determines
 * the table of an open, and the time of the open determines the table of a close.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chaos.h"
#include "flags.h"
#include "records.h"

enum {
    FDS = 1024,
    FAULTS_SHOWN = 4,
    ENTRIES_SHOWN = 30,
    SLACK_US = 5000,
    SAME_TIME_US = 20,
    MAX_THREADS = 3
};

enum reason { BY_CLOSE = 1, BY_RANGE = 2, BY_DUP2 = 4, BY_EXEC = 8, BY_EXIT = 16 };
static const char *const reasons[] = {"close", "close_range", "dup2", "exec", "exit"};

/* A record that the output must have. */
struct expectation {
    const struct chaos_entry *entry; /* the call; NULL: the last user left, or unknown */
    struct table *table;
    const char *code, *path;
    int pid;
    int fd;           /* -1: unknown */
    int origin;       /* of a dup */
    unsigned reasons; /* of a close: the possible values of motivo */
    uint64_t begin, end;
    uint64_t since_us, since_ns; /* without an entry: the earliest time */
    struct expectation *opening; /* of a close: the open, dup or held */
    struct expectation *next;    /* in its queue */
    bool optional, found;
    bool at_end;                     /* closed because the last user of the table left it */
    json_int_t found_us, found_ppid; /* date_us and ppid of the record that was found */
};

struct queue {
    struct expectation *first, *last;
};

/* An open descriptor. */
struct held {
    struct expectation *opening; /* NULL: filemon reports no record of it */
    bool cloexec, uncertain;     /* uncertain: it may have been closed or made close-on-exec */
    unsigned other_reasons;      /* other ways in which it may have been closed */
    const struct chaos_entry *uncertain_since; /* the first entry that may have done so */
};

/* A thread that used the table. */
struct user {
    const struct chaos_entry *last; /* its last entry with this table */
    uint64_t left;                  /* it had left the table at this time; UINT64_MAX: unknown */
};

struct table {
    uint32_t number, seed;
    struct held *held; /* [FDS] */
    struct queue queue[FDS];
    struct user *user;
    size_t users;
    const struct chaos_entry *latest; /* the entry that began last */
    uint64_t last, last_us, last_ns;  /* the last time at which the table is known to be in use */
    int silent_threads;               /* threads that were killed before their first entry */
    bool executing;                   /* a user was killed in execve(), which may have been done */
};

struct process {
    int pid;
    uint32_t seed;
    struct queue failures, in_flight;
    struct table **table; /* those in which it has opened descriptors */
    size_t tables;
    const struct expectation *latest; /* of its records found so far, the one that began last */
    bool executes;
};

static struct {
    const struct chaos_journal *journal;
    const struct chaos_entry **entry; /* by time, then by table */
    size_t entries;
    struct process *process; /* by pid */
    size_t processes;
    struct table *table[CHAOS_TABLES];
    /* For each EXEC entry its EXECUTED entry, and the other way round; NULL: there is none. */
    const struct chaos_entry **partner;
    size_t faults, expectations;
    bool failed;  /* filemon reports failed opens */
    bool sockets; /* filemon reports descriptors received over sockets */
} check;

/* --- explanations --- */

static void show_entry(const struct chaos_entry *entry)
{
    printf("    %6llu", (unsigned long long)entry->begin);
    if (entry->end != 0)
        printf("-%-6llu", (unsigned long long)entry->end);
    else
        printf("-%-6s", "?");
    printf(" %d/%d %s(%d, %d", entry->pid, entry->tid, entry->call, entry->fd, entry->other);
    if (entry->kind == CHAOS_OPEN || entry->kind == CHAOS_RECEIVE) {
        fputs(", ", stdout);
        put_flags(stdout, entry->flags);
    }
    printf(") = %d %s  [%u] table %u", entry->result, entry->path, entry->op, entry->table);
    if (entry->now != entry->table)
        printf(" to %u", entry->now);
    putchar('\n');
}

/* Whether the entry is of the table, or, without a table, of the process. */
static bool is_of(const struct chaos_entry *entry, const struct table *table, int pid)
{
    return table != NULL ? entry->table == table->number || entry->now == table->number
                         : entry->pid == pid;
}

static void show_entries(const struct table *table, int pid)
{
    size_t shown = 0, of = 0;

    for (size_t i = 0; i < check.entries; i++)
        of += is_of(check.entry[i], table, pid);
    for (size_t i = 0; i < check.entries; i++) {
        if (is_of(check.entry[i], table, pid) && shown++ + ENTRIES_SHOWN >= of)
            show_entry(check.entry[i]);
    }
}

static bool fault(uint32_t seed, int pid, const char *what)
{
    if (check.faults++ >= FAULTS_SHOWN)
        return false;
    printf("seed %u, process %d: %s\n", seed, pid, what);
    return true;
}

static void show_expectation(const struct expectation *expected)
{
    printf("  - %d: %s %d %s", expected->pid, expected->code, expected->fd, expected->path);
    for (int i = 0; i < 5; i++) {
        if (expected->reasons >> i & 1)
            printf(" %s", reasons[i]);
    }
    printf("%s\n", expected->optional ? " (optional)" : "");
    if (expected->entry != NULL)
        show_entry(expected->entry);
}

static void show_record(const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT);

    printf("  + %s\n", text);
    free(text);
}

/* --- from the journal to the expected records --- */

static void push(struct queue *queue, struct expectation *expected)
{
    if (queue->first == NULL)
        queue->first = expected;
    else
        queue->last->next = expected;
    queue->last = expected;
}

static struct process *find_process(int pid)
{
    for (size_t low = 0, high = check.processes; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (check.process[middle].pid == pid)
            return &check.process[middle];
        if (check.process[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const struct chaos_entry *partner_of(const struct chaos_entry *entry)
{
    return check.partner[entry - check.journal->entry];
}

static void *make_room(void *array, size_t used, size_t size)
{
    void *room = used % 8 == 0 ? realloc(array, (used + 8) * size) : array;

    if (room == NULL)
        abort();
    return room;
}

static void note_table(struct process *process, struct table *table)
{
    if (process->tables > 0 && process->table[process->tables - 1] == table)
        return;
    process->table = make_room(process->table, process->tables, sizeof(*process->table));
    process->table[process->tables++] = table;
}

/* The first entry of a call.  An exec has two: EXECUTED shows which descriptors it closed, and EXEC
 * when it began. */
static const struct chaos_entry *beginning_of(const struct chaos_entry *entry)
{
    return entry->kind == CHAOS_EXECUTED ? partner_of(entry) : entry;
}

static struct expectation *add_expectation(struct table *table, int pid,
                                           const struct chaos_entry *entry, const char *code,
                                           int fd, const char *path)
{
    struct expectation *made = calloc(1, sizeof(*made));

    if (made == NULL)
        abort();
    check.expectations++;
    *made = (struct expectation){.entry = entry,
                                 .table = table,
                                 .pid = pid,
                                 .code = code,
                                 .path = path,
                                 .fd = fd,
                                 .end = UINT64_MAX};
    if (entry != NULL) {
        made->begin = beginning_of(entry)->begin;
        made->optional = entry->end == 0;
        made->end = entry->end != 0 ? entry->end : UINT64_MAX;
    }
    if (table != NULL)
        note_table(find_process(pid), table);
    return made;
}

static void date_unknown(struct expectation *closing, const struct table *table,
                         const struct held *held)
{
    closing->begin = held->uncertain ? held->uncertain_since->begin : table->last;
    closing->since_us = held->uncertain ? held->uncertain_since->begin_us : table->last_us;
    closing->since_ns = held->uncertain ? held->uncertain_since->begin_ns : table->last_ns;
}

/* The descriptor was closed by this entry, or, without one, when the last user left the table. */
static void expect_close(struct table *table, int fd, const struct chaos_entry *entry, unsigned how)
{
    struct held *held = &table->held[fd];
    struct expectation *closing;

    if (held->opening == NULL)
        return;
    closing = add_expectation(table, held->opening->pid, held->uncertain ? NULL : entry, "close",
                              fd, held->opening->path);
    closing->reasons = how | held->other_reasons;
    if (table->executing && held->cloexec && entry == NULL)
        closing->reasons |= BY_EXEC;
    closing->opening = held->opening;
    closing->optional = held->opening->optional;
    if (closing->entry == NULL)
        date_unknown(closing, table, held);
    closing->at_end = closing->entry == NULL && !held->uncertain;
    push(&table->queue[fd], closing);
    *held = (struct held){0};
}

/* The entry's process was killed during the call, which may have closed the descriptor. */
static void note_possible_close(struct table *table, int fd, const struct chaos_entry *entry,
                                unsigned how)
{
    struct held *held = &table->held[fd];

    held->other_reasons |= how;
    held->uncertain_since = held->uncertain ? held->uncertain_since : entry;
    held->uncertain = true;
}

static void close_or_maybe_close(struct table *table, int fd, const struct chaos_entry *entry,
                                 unsigned how)
{
    if (entry->end != 0)
        expect_close(table, fd, entry, how);
    else
        note_possible_close(table, fd, entry, how);
}

/* The kernel returned this number, so it was free: a close that was uncertain did happen. */
static void expect_free(struct table *table, int fd)
{
    const struct held *held = &table->held[fd];

    if (held->opening != NULL && !held->uncertain &&
        fault(table->seed, held->opening->pid, "the journal contradicts itself"))
        show_entries(table, 0);
    expect_close(table, fd, NULL, 0);
}

static void hold(struct table *table, struct expectation *opening, bool cloexec)
{
    struct held *held = &table->held[opening->fd];

    expect_free(table, opening->fd);
    push(&table->queue[opening->fd], opening);
    *held = (struct held){.opening = opening, .cloexec = cloexec};
}

static void push_in_flight(struct expectation *made)
{
    push(&find_process(made->pid)->in_flight, made);
}

static void apply_open(struct table *table, const struct chaos_entry *entry)
{
    if (entry->end != 0 && entry->result < 0)
        return;
    struct expectation *made = add_expectation(table, entry->pid, entry, "open",
                                               entry->end != 0 ? entry->result : -1, entry->path);
    if (entry->end == 0)
        push_in_flight(made);
    else
        hold(table, made, entry->flags & O_CLOEXEC);
}

/* The descriptor has no record: no older record may be open under its number. */
static void apply_get(struct table *table, const struct chaos_entry *entry)
{
    if (entry->end != 0 && entry->result >= 0)
        expect_free(table, entry->result);
}

static void apply_receive(struct table *table, const struct chaos_entry *entry)
{
    if (check.sockets || strcmp(entry->call, "recvmsg") != 0)
        apply_open(table, entry);
    else
        apply_get(table, entry);
}

static struct expectation *copy(struct table *table, const struct chaos_entry *entry, int fd)
{
    struct expectation *made = add_expectation(table, entry->pid, entry, "dup", fd,
                                               table->held[entry->fd].opening->path);

    made->origin = entry->fd;
    return made;
}

static void apply_dup(struct table *table, const struct chaos_entry *entry)
{
    bool known = table->held[entry->fd].opening != NULL;

    if (known && entry->end == 0)
        push_in_flight(copy(table, entry, -1));
    else if (!known && entry->end != 0 && entry->result >= 0)
        expect_free(table, entry->result);
    else if (known && entry->result >= 0)
        hold(table, copy(table, entry, entry->result), entry->flags & O_CLOEXEC);
}

/* The replaced descriptor is closed when the call begins; the copy exists when the call ends. */
static void apply_dup2(struct table *table, const struct chaos_entry *entry, bool begins)
{
    if (entry->fd == entry->other || (entry->end != 0 && entry->result < 0))
        return;
    if (begins)
        close_or_maybe_close(table, entry->other, entry, BY_DUP2);
    if (table->held[entry->fd].opening == NULL)
        return;
    if (entry->end == 0 && begins)
        push_in_flight(copy(table, entry, -1));
    else if (!begins)
        hold(table, copy(table, entry, entry->other), entry->flags & O_CLOEXEC);
}

/* With CLOSE_RANGE_UNSHARE the call changed a copy of the table, and not this table. */
static void apply_range(struct table *table, const struct chaos_entry *entry, bool closes)
{
    unsigned int first = (unsigned int)entry->fd, last = (unsigned int)entry->other;

    for (unsigned int fd = first; entry->now == entry->table && fd <= last && fd < FDS; fd++) {
        if (closes)
            close_or_maybe_close(table, (int)fd, entry, BY_RANGE);
        else if (entry->end != 0)
            table->held[fd].cloexec = true;
        else
            note_possible_close(table, (int)fd, entry, BY_EXEC);
    }
}

static void apply_cloexec(struct table *table, const struct chaos_entry *entry)
{
    if (entry->end != 0)
        table->held[entry->fd].cloexec = entry->other;
    else
        note_possible_close(table, entry->fd, entry, BY_EXEC);
}

static void apply_executed(struct table *table, const struct chaos_entry *entry)
{
    for (int fd = 0; fd < FDS; fd++) {
        struct held *held = &table->held[fd];
        if (!held->uncertain)
            held->other_reasons = 0;
        if (held->uncertain)
            held->other_reasons |= BY_EXEC;
        else if (held->cloexec)
            expect_close(table, fd, entry, BY_EXEC);
    }
}

/* Calls that return descriptors are applied when they end, others when they begin. */
static void apply_begin(struct table *table, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_CLOSE:
        if (entry->end == 0 || entry->result == 0)
            close_or_maybe_close(table, entry->fd, entry, BY_CLOSE);
        break;
    case CHAOS_RANGE:
        apply_range(table, entry, true);
        break;
    case CHAOS_DUP2:
        apply_dup2(table, entry, true);
        break;
    case CHAOS_EXEC: /* without a new program, the process was killed in execve() */
        if (entry->end == 0 && partner_of(entry) == NULL)
            table->executing = true;
        break;
    case CHAOS_EXECUTED:
        apply_executed(table, entry);
        break;
    default:
        break;
    }
}

static void apply_end(struct table *table, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_OPEN:
        apply_open(table, entry);
        break;
    case CHAOS_GET:
        apply_get(table, entry);
        break;
    case CHAOS_RECEIVE:
        apply_receive(table, entry);
        break;
    case CHAOS_DUP:
        apply_dup(table, entry);
        break;
    case CHAOS_DUP2:
        if (entry->end != 0)
            apply_dup2(table, entry, false);
        break;
    case CHAOS_CLOEXEC:
        apply_cloexec(table, entry);
        break;
    case CHAOS_CLOSER:
        apply_range(table, entry, false);
        break;
    default:
        break;
    }
}

struct step {
    uint64_t at;
    const struct chaos_entry *entry;
    bool ends;
};

static int by_time(const void *one, const void *other)
{
    const struct step *a = one, *b = other;

    return a->at != b->at ? (a->at > b->at) - (a->at < b->at) : a->ends - b->ends;
}

static struct user *find_user(const struct table *table, int tid)
{
    for (size_t i = 0; i < table->users; i++) {
        if (table->user[i].last->tid == tid)
            return &table->user[i];
    }
    return NULL;
}

/* When the thread is known to have another table; UINT64_MAX: it may still have this one. */
static uint64_t left_by(const struct chaos_entry *entry)
{
    if (entry->now != entry->table)
        return entry->end;
    return entry->kind == CHAOS_EXEC && partner_of(entry) ? partner_of(entry)->begin : UINT64_MAX;
}

static void note_user(struct table *table, const struct chaos_entry *entry, uint64_t left)
{
    struct user *user = find_user(table, entry->tid);

    if (user == NULL) {
        table->user = make_room(table->user, table->users, sizeof(*table->user));
        user = &table->user[table->users++];
    }
    *user = (struct user){entry, left};
}

/* The entry shows that the table was in use until its end, or, if the thread left the table, until
 * its begin: the thread may have been the last user. */
static void note_time(struct table *table, const struct chaos_entry *entry)
{
    bool stays = entry->end != 0 && left_by(entry) == UINT64_MAX;
    uint64_t at = stays ? entry->end : entry->begin;
    uint64_t us = stays ? entry->end_us : entry->begin_us;
    uint64_t ns = stays ? entry->end_ns : entry->begin_ns;

    table->last = at > table->last ? at : table->last;
    table->last_us = us > table->last_us ? us : table->last_us;
    table->last_ns = ns > table->last_ns ? ns : table->last_ns;
    table->latest = entry;
}

/* Applies the entries of one table in order.  An entry without an end is applied when it began. */
static void expect_of_table(struct table *table, size_t from, size_t to)
{
    struct step *steps = calloc(2 * (to - from) + 1, sizeof(*steps));
    size_t n = 0;

    table->held = calloc(FDS, sizeof(*table->held));
    for (size_t i = from; i < to; i++) {
        const struct chaos_entry *entry = check.entry[i];
        steps[n++] = (struct step){entry->begin, entry, false};
        steps[n++] = (struct step){entry->end != 0 ? entry->end : entry->begin, entry, true};
    }
    qsort(steps, n, sizeof(*steps), by_time);
    for (size_t i = 0; i < n; i++)
        (steps[i].ends ? apply_end : apply_begin)(table, steps[i].entry);
    for (int fd = 0; fd < FDS; fd++)
        expect_close(table, fd, NULL, BY_EXIT);
    free(table->held);
    free(steps);
}

/* Several threads of a process may have been in execve(): the operation number says whose program
 * began. */
static void find_partner(size_t at)
{
    const struct chaos_entry *executed = check.entry[at], *entry;

    for (size_t i = at; i-- > 0;) {
        entry = check.entry[i];
        if (entry->pid != executed->pid)
            continue;
        if (entry->kind == CHAOS_EXECUTED ||
            (entry->kind == CHAOS_START && entry->tid == entry->pid))
            return;
        if (entry->kind != CHAOS_EXEC || entry->end != 0)
            continue;
        check.partner[entry - check.journal->entry] = executed;
        if (entry->op == executed->op)
            check.partner[executed - check.journal->entry] = entry;
    }
}

/* The parts of the journal that belong to a process and not to a table. */
static void add_to_process(size_t at)
{
    const struct chaos_entry *entry = check.entry[at];
    struct process *process = find_process(entry->pid);

    process->seed = entry->seed;
    process->executes |= entry->kind == CHAOS_EXEC && entry->end == 0;
    if (check.failed && entry->kind == CHAOS_OPEN && entry->end != 0 && entry->result < 0)
        push(&process->failures,
             add_expectation(NULL, entry->pid, entry, "fail", entry->result, entry->path));
    if (entry->kind == CHAOS_EXECUTED)
        find_partner(at);
}

/* --- the output --- */

static bool string_is(const json_t *record, const char *key, const char *value)
{
    return strcmp(record_string(record, key), value) == 0;
}

/* whole: false for an entry without an end, which may hold only the first part of the path. */
static bool path_is(const json_t *record, const char *path, bool whole)
{
    char *reported = record_path(record);
    bool same = path[0] == '\0' ||
                (reported != NULL && strncmp(reported, path, whole ? SIZE_MAX : strlen(path)) == 0);

    free(reported);
    return same;
}

static bool is_whole(const struct expectation *wanted)
{
    if (wanted->opening != NULL)
        return is_whole(wanted->opening);
    return wanted->entry->end != 0 ||
           (wanted->entry->kind != CHAOS_OPEN && wanted->entry->kind != CHAOS_RECEIVE);
}

static bool flags_are(const json_t *record, uint64_t flags)
{
    char text[400] = "";
    FILE *stream;

    if (flags == CHAOS_FLAGS_UNKNOWN)
        return true;
    stream = fmemopen(text, sizeof(text), "w");
    put_flags(stream, flags);
    fclose(stream);
    return string_is(record, "flags", text);
}

static bool mode_is(const json_t *record, const struct chaos_entry *entry)
{
    char text[16] = "";

    if (entry->kind != CHAOS_RECEIVE &&
        (entry->flags & O_CREAT || (entry->flags & O_TMPFILE) == O_TMPFILE))
        snprintf(text, sizeof(text), "%04o", entry->mode);
    return string_is(record, "modo", text);
}

static bool is_within(json_int_t value, uint64_t low, uint64_t high, uint64_t slack)
{
    return (uint64_t)value + slack >= low && (high == 0 || (uint64_t)value <= high + slack);
}

static bool duration_is(const json_t *record, const struct expectation *closing)
{
    const struct chaos_entry *open = closing->opening->entry, *end = closing->entry;
    uint64_t since = end == NULL                   ? closing->since_ns
                     : end->kind != CHAOS_EXECUTED ? end->begin_ns
                                                   : 0; /* EXECUTED begins after the close */
    uint64_t low = open->end_ns != 0 && since > open->end_ns ? since - open->end_ns : 0;
    uint64_t high = end != NULL && end->end_ns != 0 ? end->end_ns - open->begin_ns : 0;

    return is_within(record_integer(record, "duracion_ns"), low, high, 0);
}

static bool reason_is(const json_t *record, unsigned how)
{
    for (int i = 0; i < 5; i++) {
        if (how >> i & 1 && string_is(record, "motivo", reasons[i]))
            return true;
    }
    return false;
}

/* The parent may have exited during the call. */
static bool parent_is(const json_t *record, const struct chaos_entry *entry)
{
    json_int_t parent = record_integer(record, "ppid");

    return entry->end == 0 || entry->ppid == 0 || parent == entry->ppid ||
           parent == entry->end_ppid;
}

/* Whether another process closed it: the record then names the process that opened it. */
static bool is_by_another(const struct expectation *wanted, int pid)
{
    return wanted->opening != NULL && pid != wanted->pid;
}

/* The closes of an exec have the process id as tid, because the calling thread takes it over, and
 * the comm of the old program. */
static const char *first_difference_of_caller(const struct expectation *wanted,
                                              const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry, *from = beginning_of(entry);

    if (record_integer(record, "tid") != entry->tid)
        return "tid";
    if (is_by_another(wanted, entry->pid)
            ? record_integer(record, "ppid") != wanted->opening->found_ppid
            : !parent_is(record, from) && !parent_is(record, entry))
        return "ppid";
    if (!string_is(record, "proceso", from->comm))
        return "proceso";
    return is_within(record_integer(record, "date_us"), from->begin_us, entry->end_us, SLACK_US)
               ? NULL
               : "date_us";
}

static bool is_known(json_int_t tid)
{
    for (size_t i = 0; i < check.entries; i++) {
        if (check.entry[i]->tid == tid)
            return true;
    }
    return false;
}

/* Whether the process was killed in execve(): its thread may have had the process id as tid. */
static bool is_executing(const struct table *table, json_int_t pid)
{
    for (size_t i = 0; i < table->users; i++) {
        const struct chaos_entry *last = table->user[i].last;
        if (last->pid == pid && last->kind == CHAOS_EXEC && last->end == 0)
            return true;
    }
    return false;
}

/* Whether this may be the last user of the table. */
static bool is_last(const struct table *table, const struct user *user)
{
    return user->left >= table->latest->begin;
}

/* When all threads of a process exit at once, a thread with another table may exit last. */
static bool is_process_last(const struct table *table, int pid)
{
    if (table->silent_threads > 0)
        return true;
    for (size_t i = 0; i < table->users; i++) {
        if (table->user[i].last->pid == pid && is_last(table, &table->user[i]))
            return true;
    }
    return false;
}

/* An exec, even by a thread with another table, ended the other threads of the process: the thread
 * that called it has the process id as tid. */
static bool is_end_by_exec(const struct table *table, int tid)
{
    const struct process *process = find_process(tid);

    return process != NULL && process->executes && is_process_last(table, tid);
}

static const char *first_difference_of_last(const struct expectation *wanted, const json_t *record)
{
    int tid = (int)record_integer(record, "tid");
    const struct user *user = find_user(wanted->table, tid);

    if (string_is(record, "motivo", "exec"))
        return is_executing(wanted->table, tid) ? NULL : "tid";
    if (is_end_by_exec(wanted->table, tid))
        return NULL;
    /* A thread that was killed before its first entry is unknown to the journal. */
    if (user == NULL)
        return is_known(tid) ? "tid" : NULL;
    if (is_by_another(wanted, user->last->pid) &&
        record_integer(record, "ppid") != wanted->opening->found_ppid)
        return "ppid";
    if (!is_last(wanted->table, user))
        return is_process_last(wanted->table, user->last->pid) ? NULL : "tid";
    return user->last->end == 0 || string_is(record, "proceso", user->last->comm) ? NULL
                                                                                  : "proceso";
}

/* A close when the last user left the table, or by a thread that was killed during the call. */
static const char *first_difference_of_end(const struct expectation *wanted, const json_t *record)
{
    if ((uint64_t)record_integer(record, "date_us") + SLACK_US < wanted->since_us)
        return "date_us";
    return wanted->at_end ? first_difference_of_last(wanted, record) : NULL;
}

/* Whether the duration fits the date of the open: in a copy of the table, the same descriptor may
 * be open on the same path, but since another time. */
static bool has_same_open_time(const struct expectation *closing, const json_t *record)
{
    json_int_t opened = record_integer(record, "date_us") -
                        record_integer(record, "duracion_ns") / 1000;

    return closing->opening->found && llabs(opened - closing->opening->found_us) <= SLACK_US;
}

/* The first key of the record that differs; NULL: the record is the expected one. */
static const char *first_difference(const struct expectation *wanted, const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry;

    if (!string_is(record, "codigo", wanted->code))
        return "codigo";
    if (record_integer(record, "pid") != wanted->pid)
        return "pid";
    if (wanted->fd != -1 && record_integer(record, "descriptor") != wanted->fd)
        return "descriptor";
    if (!path_is(record, wanted->path, is_whole(wanted)))
        return "fichero";
    if (wanted->reasons != 0 && !reason_is(record, wanted->reasons))
        return "motivo";
    if (wanted->reasons != 0 &&
        (!duration_is(record, wanted) || !has_same_open_time(wanted, record)))
        return "duracion_ns";
    if (strcmp(wanted->code, "dup") == 0 && record_integer(record, "origen") != wanted->origin)
        return "origen";
    if (json_object_get(record, "flags") != NULL && !flags_are(record, entry->flags))
        return "flags";
    if (json_object_get(record, "flags") != NULL && !mode_is(record, entry))
        return "modo";
    if (wanted->code[0] == 'o' &&
        !string_is(record, "motivo", entry->kind == CHAOS_RECEIVE ? "received" : ""))
        return "motivo";
    if (wanted->code[0] == 'f' && wanted->fd < 0 &&
        !string_is(record, "errno", strerrorname_np(-wanted->fd)))
        return "errno";
    return entry != NULL ? first_difference_of_caller(wanted, record)
                         : first_difference_of_end(wanted, record);
}

/* The next expectation of the queue if the record matches it.  Optional ones are skipped. */
static struct expectation *next_match(const struct queue *queue, const json_t *record,
                                      const char **key)
{
    for (struct expectation *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        *key = first_difference(wanted, record);
        if (*key == NULL)
            return wanted;
        if (!wanted->optional)
            return NULL;
    }
    return NULL;
}

static struct queue *queue_of(struct table *table, const json_t *record)
{
    json_int_t fd = record_integer(record, "descriptor");

    return &table->queue[fd >= 0 && fd < FDS ? fd : 0];
}

/* How far the record is from the expected time.  Of several tables, the nearest one is taken. */
static uint64_t distance(const struct expectation *wanted, const json_t *record)
{
    if (wanted->opening == NULL)
        return wanted->begin;
    return (uint64_t)llabs(record_integer(record, "date_us") -
                           record_integer(record, "duracion_ns") / 1000 -
                           wanted->opening->found_us);
}

/* Searches the queues of all tables of the process. */
static struct expectation *find_expectation(struct process *process, const json_t *record,
                                            const char **key)
{
    struct expectation *best = NULL;

    for (size_t i = 0; i < process->tables; i++) {
        struct expectation *wanted = next_match(queue_of(process->table[i], record), record, key);
        if (wanted != NULL && (best == NULL || distance(wanted, record) < distance(best, record)))
            best = wanted;
    }
    return best;
}

/* The failures of one thread are in order. */
static struct expectation *find_failure(struct process *process, const json_t *record,
                                        const char **key)
{
    for (struct expectation *wanted = process->failures.first; wanted != NULL;
         wanted = wanted->next) {
        if (wanted->found || wanted->entry->tid != record_integer(record, "tid"))
            continue;
        *key = first_difference(wanted, record);
        return *key == NULL ? wanted : NULL;
    }
    return NULL;
}

/* Whether the record is older than the call, so that the call did not cause it. */
static bool is_before(const json_t *record, const struct chaos_entry *entry)
{
    return (uint64_t)record_integer(record, "date_us") + SAME_TIME_US < entry->begin_us;
}

/* A call that was in flight when its process was killed, and was done. */
static struct expectation *find_in_flight(struct process *process, const json_t *record)
{
    for (struct expectation *wanted = process->in_flight.first; wanted != NULL;
         wanted = wanted->next) {
        if (wanted->found || is_before(record, wanted->entry))
            continue;
        if (wanted->code[0] == 'o' && record_is(record, "fail") &&
            record_integer(record, "tid") == wanted->entry->tid &&
            path_is(record, wanted->path, false))
            return wanted;
        if (first_difference(wanted, record) == NULL)
            return wanted;
    }
    return NULL;
}

/* The descriptor that the call in flight opened is the next to be closed in its queue. */
static void expect_close_of_in_flight(struct expectation *wanted, const json_t *record)
{
    struct queue *queue = queue_of(wanted->table, record);
    struct expectation *closing;

    if (record_is(record, "fail"))
        return;
    closing = add_expectation(wanted->table, wanted->pid, NULL, "close",
                              (int)record_integer(record, "descriptor"), wanted->path);
    closing->reasons = BY_EXEC | BY_EXIT | BY_RANGE | BY_DUP2;
    closing->opening = wanted;
    closing->next = queue->first;
    queue->first = closing;
}

/* How many microseconds the record lies outside the call's begin and end. */
static uint64_t time_difference(const struct expectation *wanted, const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry;
    uint64_t at = (uint64_t)record_integer(record, "date_us");

    if (at < entry->begin_us)
        return entry->begin_us - at;
    return entry->end != 0 && at > entry->end_us ? at - entry->end_us : 0;
}

/* If a thread was killed while it opened a file, and then another thread opened the same file, the
 * record matches both calls.  Whether the call in flight is nearer in time. */
static bool is_nearer(const struct expectation *in_flight, const struct expectation *wanted,
                      const json_t *record)
{
    return in_flight != NULL && wanted->entry != NULL && wanted->opening == NULL &&
           time_difference(in_flight, record) + SAME_TIME_US < time_difference(wanted, record);
}

static struct expectation *find_match(struct process *process, const json_t *record,
                                      const char **key)
{
    struct expectation *wanted = find_expectation(process, record, key);
    struct expectation *in_flight = find_in_flight(process, record);

    if (wanted != NULL && !is_nearer(in_flight, wanted, record)) {
        queue_of(wanted->table, record)->first = wanted->next;
        return wanted;
    }
    if (in_flight != NULL)
        expect_close_of_in_flight(in_flight, record);
    return in_flight;
}

static void show_unexpected(const struct process *process, const json_t *record, const char *key)
{
    show_record(record);
    printf("  %s differs from what is expected:\n", key);
    for (size_t i = 0; i < process->tables; i++) {
        const struct queue *queue = queue_of(process->table[i], record);
        if (queue->first != NULL && queue->first->pid == process->pid) {
            show_expectation(queue->first);
            show_entries(process->table[i], 0);
        }
    }
    show_entries(NULL, process->pid);
}

/* False, with an explanation, if the record is not expected. */
static bool check_record(struct process *process, const json_t *record)
{
    const char *key = "nothing";
    struct expectation *match = record_is(record, "fail") ? find_failure(process, record, &key)
                                                          : NULL;

    if (match == NULL)
        match = find_match(process, record, &key);
    if (match == NULL) {
        if (fault(process->seed, process->pid, "not expected"))
            show_unexpected(process, record, key);
        return false;
    }
    match->found = true;
    match->found_us = record_integer(record, "date_us");
    match->found_ppid = record_integer(record, "ppid");
    if (process->latest == NULL || match->begin > process->latest->begin)
        process->latest = match;
    if (match->end < process->latest->begin && fault(process->seed, process->pid, "out of order")) {
        show_record(record);
        show_expectation(match);
        puts("  comes after this:");
        show_expectation(process->latest);
    }
    return true;
}

static void check_rest(const struct queue *queue, uint32_t seed)
{
    for (const struct expectation *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        bool needed = wanted->opening != NULL ? wanted->opening->found : !wanted->optional;
        if (wanted->found || !needed)
            continue;
        if (fault(seed, wanted->pid, "missing")) {
            show_expectation(wanted);
            show_entries(wanted->table, wanted->pid);
        }
        return;
    }
}

static void check_missing(void)
{
    for (size_t i = 0; i < check.processes; i++)
        check_rest(&check.process[i].failures, check.process[i].seed);
    for (size_t i = 0; i < CHAOS_TABLES; i++) {
        for (int fd = 0; check.table[i] != NULL && fd < FDS; fd++)
            check_rest(&check.table[i]->queue[fd], check.table[i]->seed);
    }
}

/* --- the whole journal --- */

static const struct chaos_entry *entry_at(const void *place)
{
    return *(const struct chaos_entry *const *)place;
}

static int by_begin(const void *one, const void *other)
{
    uint64_t a = entry_at(one)->begin, b = entry_at(other)->begin;

    return (a > b) - (a < b);
}

static int by_table(const void *one, const void *other)
{
    uint32_t a = entry_at(one)->table, b = entry_at(other)->table;

    return a != b ? (a > b) - (a < b) : by_begin(one, other);
}

static int by_pid(const void *one, const void *other)
{
    int a = ((const struct process *)one)->pid, b = ((const struct process *)other)->pid;

    return (a > b) - (a < b);
}

static void sort_entries(int (*order)(const void *, const void *))
{
    qsort(check.entry, check.entries, sizeof(*check.entry), order);
}

static void find_entries(void)
{
    size_t n = check.journal->entries;

    n = n > CHAOS_ENTRIES ? CHAOS_ENTRIES : n;
    check.entry = calloc(n + 1, sizeof(*check.entry));
    check.partner = calloc(n + 1, sizeof(*check.partner));
    for (size_t i = 0; i < n; i++) {
        if (check.journal->entry[i].begin != 0)
            check.entry[check.entries++] = &check.journal->entry[i];
    }
}

static void find_processes(void)
{
    size_t n = 0;

    check.process = calloc(check.entries + 1, sizeof(*check.process));
    for (size_t i = 0; i < check.entries; i++)
        check.process[i].pid = check.entry[i]->pid;
    qsort(check.process, check.entries, sizeof(*check.process), by_pid);
    for (size_t i = 0; i < check.entries; i++) {
        if (n == 0 || check.process[i].pid != check.process[n - 1].pid)
            check.process[n++].pid = check.process[i].pid;
    }
    check.processes = n;
    sort_entries(by_begin);
    for (size_t i = 0; i < check.entries; i++)
        add_to_process(i);
}

static struct table *add_table(uint32_t number, uint32_t seed)
{
    struct table *table = check.table[number];

    if (table == NULL) {
        table = check.table[number] = calloc(1, sizeof(*table));
        table->number = number;
        table->seed = seed;
    }
    return table;
}

/* A new thread has the table of the thread that created it. */
static void note_threads(struct table *table, const struct chaos_entry *entry)
{
    if (entry->kind == CHAOS_THREADS)
        table->silent_threads += entry->end != 0 ? entry->result : MAX_THREADS;
    else if (entry->kind == CHAOS_START && entry->tid != entry->pid)
        table->silent_threads--;
}

static void find_tables(void)
{
    for (size_t i = 0; i < check.entries; i++) {
        const struct chaos_entry *entry = check.entry[i];
        struct table *table = add_table(entry->table, entry->seed);
        note_threads(table, entry);
        note_user(table, entry, left_by(entry));
        note_time(table, entry);
        if (entry->now != entry->table)
            note_user(add_table(entry->now, entry->seed), entry, UINT64_MAX);
    }
}

static void expect_of_all_tables(void)
{
    sort_entries(by_table);
    for (size_t from = 0, to; from < check.entries; from = to) {
        uint32_t table = check.entry[from]->table;

        for (to = from; to < check.entries && check.entry[to]->table == table;)
            to++;
        expect_of_table(check.table[table], from, to);
    }
    sort_entries(by_begin);
}

/* Stops at the first unexpected record, after which no queue can be trusted. */
static void check_all(const struct records *output)
{
    bool good = true;

    find_processes();
    find_tables();
    expect_of_all_tables();
    for (size_t i = 0; good && i < output->n; i++) {
        int pid = (int)record_integer(output->line[i], "pid");
        struct process *process = find_process(pid);
        if (process != NULL)
            good = check_record(process, output->line[i]);
        else if (fault(0, pid, "is not a process of the workload"))
            show_record(output->line[i]);
    }
    if (good)
        check_missing();
}

/* Whether the thread left its table during the call. */
static bool is_departure(const struct chaos_entry *entry)
{
    return entry->now != entry->table ||
           (entry->kind == CHAOS_EXECUTED && partner_of(entry)->table != entry->table);
}

static void list_sharers(void)
{
    find_processes();
    find_tables();
    for (size_t i = 0; i < check.entries; i++) {
        if (is_departure(check.entry[i]))
            printf("%d\n", check.entry[i]->pid);
    }
    for (size_t i = 0; i < CHAOS_TABLES; i++) {
        const struct table *table = check.table[i];
        for (size_t j = 1; table != NULL && j < table->users; j++) {
            int first = table->user[0].last->pid, pid = table->user[j].last->pid;
            if (pid != first)
                printf("%d\n%d\n", first, pid);
        }
    }
}

static int by_number(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

    return (a > b) - (a < b);
}

static void list_operations(void)
{
    uint32_t *ops = calloc(check.entries + 1, sizeof(*ops));

    for (size_t i = 0; i < check.entries; i++)
        ops[i] = check.entry[i]->op;
    qsort(ops, check.entries, sizeof(*ops), by_number);
    for (size_t i = 0; i < check.entries; i++) {
        if (i == 0 || ops[i] != ops[i - 1])
            printf("%u\n", ops[i]);
    }
    free(ops);
}

static bool load_journal(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    void *memory = mmap(NULL, sizeof(*check.journal), PROT_READ, MAP_PRIVATE, fd, 0);

    if (fd < 0 || memory == MAP_FAILED) {
        printf("%s: %s\n", file, strerror(errno));
        return false;
    }
    close(fd);
    check.journal = memory;
    if (check.journal->fault[0] != '\0')
        printf("the workload failed: %s\n", check.journal->fault);
    find_entries();
    return check.journal->fault[0] == '\0';
}

bool records_chaos(const char *journal, const struct records *output, bool failed, bool sockets)
{
    check.failed = failed;
    check.sockets = sockets;
    if (!load_journal(journal))
        return false;
    check_all(output);
    if (check.faults > FAULTS_SHOWN)
        printf("%zu faults in all\n", check.faults);
    return check.faults == 0 && check.expectations > 0;
}

bool records_chaos_operations(const char *journal)
{
    bool good = load_journal(journal);

    if (good)
        list_operations();
    return good;
}

bool records_chaos_sharers(const char *journal)
{
    bool good = load_journal(journal);

    if (good)
        list_sharers();
    return good;
}
