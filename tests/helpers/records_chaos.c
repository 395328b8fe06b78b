/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filemon's records beside the journal of fdchaos.
 *
 * The journal of a table of descriptors is gone through in the order in which they changed hands
 * (chaos.h says why that is known), and gives for each descriptor the queue of its records.  The
 * output must have just these; and what ended before another began must stand before it.  What was
 * under way when a process was ended may have been done or not, and both are right.
 *
 * A record does not say of which table it is.  Where a process has used two of them, it is the
 * thread that tells it of an open, and the time of the open that tells it of a close.
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
    SAID_AT_MOST = 4,
    STORY = 30,
    SLACK_US = 5000,
    AT_ONCE_US = 20,
    THREADS_AT_MOST = 3
};

enum reason { BY_CLOSE = 1, BY_RANGE = 2, BY_DUP2 = 4, BY_EXEC = 8, BY_EXIT = 16 };
static const char *const reasons[] = {"close", "close_range", "dup2", "exec", "exit"};

/* A record that must come. */
struct demand {
    const struct chaos_entry *entry; /* what did it; NULL: the end of the table, or not known */
    struct table *table;
    const char *code, *path;
    int pid;
    int fd;           /* -1: not known */
    int origin;       /* of a dup */
    unsigned reasons; /* of a close: any of these */
    uint64_t begin, end;
    uint64_t since_us, since_ns; /* without an entry: it was not before */
    struct demand *opening;      /* of a close */
    struct demand *next;         /* in its queue */
    bool maybe, met;
    bool at_end;                 /* of the table, and nothing else may have closed it */
    json_int_t met_us, met_ppid; /* what the record said */
};

struct queue {
    struct demand *first, *last;
};

/* A descriptor of which a record was made. */
struct held {
    struct demand *opening;          /* NULL: there is no record of it */
    bool cloexec, unsure;            /* unsure: whether it is open or close-on-exec */
    unsigned also;                   /* other ways in which it may have been closed */
    const struct chaos_entry *since; /* not before this one began */
};

/* A thread that had the table. */
struct user {
    const struct chaos_entry *last; /* of its entries with it */
    uint64_t left;                  /* by then it had another one; UINT64_MAX: not known */
};

struct table {
    uint32_t number, seed;
    struct held *held; /* [FDS] */
    struct queue queue[FDS];
    struct user *user;
    size_t users;
    const struct chaos_entry *latest; /* the last one that began */
    uint64_t last, last_us, last_ns;  /* by then there were still users */
    int untold;                       /* threads that were ended before they could tell anything */
    bool executing;                   /* one of them, and nobody knows how far it came */
};

struct process {
    int pid;
    uint32_t seed;
    struct queue failures, afloat;
    struct table **table; /* in which it has opened anything */
    size_t tables;
    const struct demand *latest; /* of its records */
    bool executes;
};

static struct {
    const struct chaos_journal *journal;
    const struct chaos_entry **entry; /* by time, then by table */
    size_t entries;
    struct process *process; /* by pid */
    size_t processes;
    struct table *table[CHAOS_TABLES];
    /* Of each EXEC and EXECUTED in the journal: the other one that goes with it, if there is one.
     */
    const struct chaos_entry **partner;
    size_t faults, demands;
    bool failed; /* what failed has records, too */
} check;

/* --- what people read --- */

static void tell(const struct chaos_entry *entry)
{
    printf("    %6llu", (unsigned long long)entry->begin);
    if (entry->end != 0)
        printf("-%-6llu", (unsigned long long)entry->end);
    else
        printf("-%-6s", "?");
    printf(" %d/%d %s(%d, %d", entry->pid, entry->tid, entry->call, entry->fd, entry->other);
    if (entry->kind == CHAOS_OPEN) {
        fputs(", ", stdout);
        put_flags(stdout, entry->flags);
    }
    printf(") = %d %s  [%u] table %u", entry->result, entry->path, entry->op, entry->table);
    if (entry->now != entry->table)
        printf(" to %u", entry->now);
    putchar('\n');
}

/* Of the table, or else of the process. */
static bool is_of(const struct chaos_entry *entry, const struct table *table, int pid)
{
    return table != NULL ? entry->table == table->number || entry->now == table->number
                         : entry->pid == pid;
}

static void tell_story(const struct table *table, int pid)
{
    size_t told = 0, of = 0;

    for (size_t i = 0; i < check.entries; i++)
        of += is_of(check.entry[i], table, pid);
    for (size_t i = 0; i < check.entries; i++) {
        if (is_of(check.entry[i], table, pid) && told++ + STORY >= of)
            tell(check.entry[i]);
    }
}

static bool fault(uint32_t seed, int pid, const char *what)
{
    if (check.faults++ >= SAID_AT_MOST)
        return false;
    printf("seed %u, process %d: %s\n", seed, pid, what);
    return true;
}

static void show_demand(const struct demand *demand)
{
    printf("  - %d: %s %d %s", demand->pid, demand->code, demand->fd, demand->path);
    for (int i = 0; i < 5; i++) {
        if (demand->reasons >> i & 1)
            printf(" %s", reasons[i]);
    }
    printf("%s\n", demand->maybe ? " (or not)" : "");
    if (demand->entry != NULL)
        tell(demand->entry);
}

static void show_record(const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT);

    printf("  + %s\n", text);
    free(text);
}

/* --- from the journal to the demands --- */

static void push(struct queue *queue, struct demand *demand)
{
    if (queue->first == NULL)
        queue->first = demand;
    else
        queue->last->next = demand;
    queue->last = demand;
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

/* The new program can tell of what went when it was executed, but for when. */
static const struct chaos_entry *beginning_of(const struct chaos_entry *entry)
{
    return entry->kind == CHAOS_EXECUTED ? partner_of(entry) : entry;
}

static struct demand *demand(struct table *table, int pid, const struct chaos_entry *entry,
                             const char *code, int fd, const char *path)
{
    struct demand *made = calloc(1, sizeof(*made));

    if (made == NULL)
        abort();
    check.demands++;
    *made = (struct demand){.entry = entry,
                            .table = table,
                            .pid = pid,
                            .code = code,
                            .path = path,
                            .fd = fd,
                            .end = UINT64_MAX};
    if (entry != NULL) {
        made->begin = beginning_of(entry)->begin;
        made->maybe = entry->end == 0;
        made->end = entry->end != 0 ? entry->end : UINT64_MAX;
    }
    if (table != NULL)
        note_table(find_process(pid), table);
    return made;
}

static void date_unknown(struct demand *closing, const struct table *table, const struct held *held)
{
    closing->begin = held->unsure ? held->since->begin : table->last;
    closing->since_us = held->unsure ? held->since->begin_us : table->last_us;
    closing->since_ns = held->unsure ? held->since->begin_ns : table->last_ns;
}

/* What was held is closed by this entry, or by the end of the table. */
static void lose(struct table *table, int fd, const struct chaos_entry *entry, unsigned how)
{
    struct held *held = &table->held[fd];
    struct demand *closing;

    if (held->opening == NULL)
        return;
    closing = demand(table, held->opening->pid, held->unsure ? NULL : entry, "close", fd,
                     held->opening->path);
    closing->reasons = how | held->also;
    if (table->executing && held->cloexec && entry == NULL)
        closing->reasons |= BY_EXEC;
    closing->opening = held->opening;
    closing->maybe = held->opening->maybe;
    if (closing->entry == NULL)
        date_unknown(closing, table, held);
    closing->at_end = closing->entry == NULL && !held->unsure;
    push(&table->queue[fd], closing);
    *held = (struct held){0};
}

/* Whether this was done to it is not known: its process was ended meanwhile. */
static void doubt(struct table *table, int fd, const struct chaos_entry *entry, unsigned how)
{
    struct held *held = &table->held[fd];

    held->also |= how;
    held->since = held->unsure ? held->since : entry;
    held->unsure = true;
}

static void lose_or_doubt(struct table *table, int fd, const struct chaos_entry *entry,
                          unsigned how)
{
    if (entry->end != 0)
        lose(table, fd, entry, how);
    else
        doubt(table, fd, entry, how);
}

/* The number is free, then: whatever was to close it did. */
static void vacate(struct table *table, int fd)
{
    const struct held *held = &table->held[fd];

    if (held->opening != NULL && !held->unsure &&
        fault(table->seed, held->opening->pid, "the journal itself makes no sense"))
        tell_story(table, 0);
    lose(table, fd, NULL, 0);
}

static void gain(struct table *table, struct demand *opening, bool cloexec)
{
    struct held *held = &table->held[opening->fd];

    vacate(table, opening->fd);
    push(&table->queue[opening->fd], opening);
    *held = (struct held){.opening = opening, .cloexec = cloexec};
}

static void push_afloat(struct demand *made)
{
    push(&find_process(made->pid)->afloat, made);
}

static void take_open(struct table *table, const struct chaos_entry *entry)
{
    if (entry->end != 0 && entry->result < 0)
        return;
    struct demand *made = demand(table, entry->pid, entry, "open",
                                 entry->end != 0 ? entry->result : -1, entry->path);
    if (entry->end == 0)
        push_afloat(made);
    else
        gain(table, made, entry->flags & O_CLOEXEC);
}

static struct demand *copy(struct table *table, const struct chaos_entry *entry, int fd)
{
    struct demand *made = demand(table, entry->pid, entry, "dup", fd,
                                 table->held[entry->fd].opening->path);

    made->origin = entry->fd;
    return made;
}

static void take_dup(struct table *table, const struct chaos_entry *entry)
{
    bool known = table->held[entry->fd].opening != NULL;

    if (known && entry->end == 0)
        push_afloat(copy(table, entry, -1));
    else if (!known && entry->end != 0 && entry->result >= 0)
        vacate(table, entry->result);
    else if (known && entry->result >= 0)
        gain(table, copy(table, entry, entry->result), entry->flags & O_CLOEXEC);
}

/* What it replaces goes when it begins, the copy comes when it ends. */
static void take_dup2(struct table *table, const struct chaos_entry *entry, bool begins)
{
    if (entry->fd == entry->other || (entry->end != 0 && entry->result < 0))
        return;
    if (begins)
        lose_or_doubt(table, entry->other, entry, BY_DUP2);
    if (table->held[entry->fd].opening == NULL)
        return;
    if (entry->end == 0 && begins)
        push_afloat(copy(table, entry, -1));
    else if (!begins)
        gain(table, copy(table, entry, entry->other), entry->flags & O_CLOEXEC);
}

/* If it was done to a copy of the table, nothing came of it here. */
static void take_range(struct table *table, const struct chaos_entry *entry, bool closes)
{
    unsigned int first = (unsigned int)entry->fd, last = (unsigned int)entry->other;

    for (unsigned int fd = first; entry->now == entry->table && fd <= last && fd < FDS; fd++) {
        if (closes)
            lose_or_doubt(table, (int)fd, entry, BY_RANGE);
        else if (entry->end != 0)
            table->held[fd].cloexec = true;
        else
            doubt(table, (int)fd, entry, BY_EXEC);
    }
}

static void take_cloexec(struct table *table, const struct chaos_entry *entry)
{
    if (entry->end != 0)
        table->held[entry->fd].cloexec = entry->other;
    else
        doubt(table, entry->fd, entry, BY_EXEC);
}

static void take_executed(struct table *table, const struct chaos_entry *entry)
{
    for (int fd = 0; fd < FDS; fd++) {
        struct held *held = &table->held[fd];
        if (!held->unsure)
            held->also = 0;
        if (held->unsure)
            held->also |= BY_EXEC;
        else if (held->cloexec)
            lose(table, fd, entry, BY_EXEC);
    }
}

/* Those that give descriptors count when they end, others when they begin. */
static void take_begin(struct table *table, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_CLOSE:
        if (entry->end == 0 || entry->result == 0)
            lose_or_doubt(table, entry->fd, entry, BY_CLOSE);
        break;
    case CHAOS_RANGE:
        take_range(table, entry, true);
        break;
    case CHAOS_DUP2:
        take_dup2(table, entry, true);
        break;
    case CHAOS_EXEC: /* if no program began, its process was ended in the middle of it */
        if (entry->end == 0 && partner_of(entry) == NULL)
            table->executing = true;
        break;
    case CHAOS_EXECUTED:
        take_executed(table, entry);
        break;
    default:
        break;
    }
}

static void take_end(struct table *table, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_OPEN:
        take_open(table, entry);
        break;
    case CHAOS_GET:
        if (entry->end != 0 && entry->result >= 0)
            vacate(table, entry->result);
        break;
    case CHAOS_DUP:
        take_dup(table, entry);
        break;
    case CHAOS_DUP2:
        if (entry->end != 0)
            take_dup2(table, entry, false);
        break;
    case CHAOS_CLOEXEC:
        take_cloexec(table, entry);
        break;
    case CHAOS_CLOSER:
        take_range(table, entry, false);
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

/* When its thread has another table for sure; UINT64_MAX: it may have this one still. */
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

/* Up to when this shows that the table is in use: one that leaves it may be the last to do so. */
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

/* These are the entries of one table; what did not end is taken when it began. */
static void demand_all(struct table *table, size_t from, size_t to)
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
        (steps[i].ends ? take_end : take_begin)(table, steps[i].entry);
    for (int fd = 0; fd < FDS; fd++)
        lose(table, fd, NULL, BY_EXIT);
    free(table->held);
    free(steps);
}

/* Of several threads that were about to execute something, the operation tells which one did. */
static void take_partner(size_t at)
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

/* What is of the process and not of a table. */
static void take_by_process(size_t at)
{
    const struct chaos_entry *entry = check.entry[at];
    struct process *process = find_process(entry->pid);

    process->seed = entry->seed;
    process->executes |= entry->kind == CHAOS_EXEC && entry->end == 0;
    if (check.failed && entry->kind == CHAOS_OPEN && entry->end != 0 && entry->result < 0)
        push(&process->failures,
             demand(NULL, entry->pid, entry, "fail", entry->result, entry->path));
    if (entry->kind == CHAOS_EXECUTED)
        take_partner(at);
}

/* --- the output beside them --- */

static bool string_is(const json_t *record, const char *key, const char *value)
{
    return strcmp(record_string(record, key), value) == 0;
}

/* An entry that was never ended may have but the first part of it. */
static bool path_is(const json_t *record, const char *path, bool whole)
{
    char *told = record_path(record);
    bool same = path[0] == '\0' ||
                (told != NULL && strncmp(told, path, whole ? SIZE_MAX : strlen(path)) == 0);

    free(told);
    return same;
}

static bool is_whole(const struct demand *wanted)
{
    if (wanted->opening != NULL)
        return is_whole(wanted->opening);
    return wanted->entry->end != 0 || wanted->entry->kind != CHAOS_OPEN;
}

static bool flags_are(const json_t *record, uint64_t flags)
{
    char text[400] = "";
    FILE *stream = fmemopen(text, sizeof(text), "w");

    put_flags(stream, flags);
    fclose(stream);
    return string_is(record, "flags", text);
}

static bool mode_is(const json_t *record, const struct chaos_entry *entry)
{
    char text[16] = "";

    if (entry->flags & O_CREAT || (entry->flags & O_TMPFILE) == O_TMPFILE)
        snprintf(text, sizeof(text), "%04o", entry->mode);
    return string_is(record, "modo", text);
}

static bool is_within(json_int_t value, uint64_t low, uint64_t high, uint64_t slack)
{
    return (uint64_t)value + slack >= low && (high == 0 || (uint64_t)value <= high + slack);
}

static bool duration_is(const json_t *record, const struct demand *closing)
{
    const struct chaos_entry *open = closing->opening->entry, *end = closing->entry;
    uint64_t since = end == NULL                   ? closing->since_ns
                     : end->kind != CHAOS_EXECUTED ? end->begin_ns
                                                   : 0; /* that is after it */
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

/* Parents die, and what was under way then may have another one. */
static bool parent_is(const json_t *record, const struct chaos_entry *entry)
{
    json_int_t parent = record_integer(record, "ppid");

    return entry->end == 0 || entry->ppid == 0 || parent == entry->ppid ||
           parent == entry->end_ppid;
}

/* Another process than the one that opened it closed it: the record still tells of the opener. */
static bool is_by_another(const struct demand *wanted, int pid)
{
    return wanted->opening != NULL && pid != wanted->pid;
}

/* An exec is of the thread that has the number of its process by then, and was the old program's.
 */
static const char *disagreement_of_caller(const struct demand *wanted, const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry, *from = beginning_of(entry);

    if (record_integer(record, "tid") != entry->tid)
        return "tid";
    if (is_by_another(wanted, entry->pid)
            ? record_integer(record, "ppid") != wanted->opening->met_ppid
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

/* An exec that did not come to its end: by then the thread has the number of its process. */
static bool is_executing(const struct table *table, json_int_t pid)
{
    for (size_t i = 0; i < table->users; i++) {
        const struct chaos_entry *last = table->user[i].last;
        if (last->pid == pid && last->kind == CHAOS_EXEC && last->end == 0)
            return true;
    }
    return false;
}

/* One that may have had it to the end. */
static bool is_last(const struct table *table, const struct user *user)
{
    return user->left >= table->latest->begin;
}

/* When all threads of a process end at once, one that has another table may come last. */
static bool is_process_last(const struct table *table, int pid)
{
    if (table->untold > 0)
        return true;
    for (size_t i = 0; i < table->users; i++) {
        if (table->user[i].last->pid == pid && is_last(table, &table->user[i]))
            return true;
    }
    return false;
}

/* An exec, of another table even, ended the other threads: it has the number of the process. */
static bool is_end_by_exec(const struct table *table, int tid)
{
    const struct process *process = find_process(tid);

    return process != NULL && process->executes && is_process_last(table, tid);
}

static const char *disagreement_of_last(const struct demand *wanted, const json_t *record)
{
    int tid = (int)record_integer(record, "tid");
    const struct user *user = find_user(wanted->table, tid);

    if (string_is(record, "motivo", "exec"))
        return is_executing(wanted->table, tid) ? NULL : "tid";
    if (is_end_by_exec(wanted->table, tid))
        return NULL;
    /* One that was ended before it could write anything is as good. */
    if (user == NULL)
        return is_known(tid) ? "tid" : NULL;
    if (is_by_another(wanted, user->last->pid) &&
        record_integer(record, "ppid") != wanted->opening->met_ppid)
        return "ppid";
    if (!is_last(wanted->table, user))
        return is_process_last(wanted->table, user->last->pid) ? NULL : "tid";
    return user->last->end == 0 || string_is(record, "proceso", user->last->comm) ? NULL
                                                                                  : "proceso";
}

/* The end of a table, or what was done by a thread that did not live to tell. */
static const char *disagreement_of_end(const struct demand *wanted, const json_t *record)
{
    if ((uint64_t)record_integer(record, "date_us") + SLACK_US < wanted->since_us)
        return "date_us";
    return wanted->at_end ? disagreement_of_last(wanted, record) : NULL;
}

/* A copy of the table may have the same number open on the same path, but not since the same time.
 */
static bool is_its_time(const struct demand *closing, const json_t *record)
{
    json_int_t opened = record_integer(record, "date_us") -
                        record_integer(record, "duracion_ns") / 1000;

    return closing->opening->met && llabs(opened - closing->opening->met_us) <= SLACK_US;
}

/* The first key that is not as it must be; NULL: all are. */
static const char *disagreement(const struct demand *wanted, const json_t *record)
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
    if (wanted->reasons != 0 && (!duration_is(record, wanted) || !is_its_time(wanted, record)))
        return "duracion_ns";
    if (strcmp(wanted->code, "dup") == 0 && record_integer(record, "origen") != wanted->origin)
        return "origen";
    if (json_object_get(record, "flags") != NULL && !flags_are(record, entry->flags))
        return "flags";
    if (json_object_get(record, "flags") != NULL && !mode_is(record, entry))
        return "modo";
    if (wanted->code[0] == 'f' && wanted->fd < 0 &&
        !string_is(record, "errno", strerrorname_np(-wanted->fd)))
        return "errno";
    return entry != NULL ? disagreement_of_caller(wanted, record)
                         : disagreement_of_end(wanted, record);
}

/* What is demanded next of this queue, if the record is it; what may be left out is. */
static struct demand *next_of(const struct queue *queue, const json_t *record, const char **key)
{
    for (struct demand *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        *key = disagreement(wanted, record);
        if (*key == NULL)
            return wanted;
        if (!wanted->maybe)
            return NULL;
    }
    return NULL;
}

static struct queue *queue_of(struct table *table, const json_t *record)
{
    json_int_t fd = record_integer(record, "descriptor");

    return &table->queue[fd >= 0 && fd < FDS ? fd : 0];
}

/* How far a record of its own would be from this one, among those of several tables. */
static uint64_t distance(const struct demand *wanted, const json_t *record)
{
    if (wanted->opening == NULL)
        return wanted->begin;
    return (uint64_t)llabs(record_integer(record, "date_us") -
                           record_integer(record, "duracion_ns") / 1000 - wanted->opening->met_us);
}

/* In the tables of its process. */
static struct demand *find_demand(struct process *process, const json_t *record, const char **key)
{
    struct demand *best = NULL;

    for (size_t i = 0; i < process->tables; i++) {
        struct demand *wanted = next_of(queue_of(process->table[i], record), record, key);
        if (wanted != NULL && (best == NULL || distance(wanted, record) < distance(best, record)))
            best = wanted;
    }
    return best;
}

/* Those of one thread are in order. */
static struct demand *meet_failure(struct process *process, const json_t *record, const char **key)
{
    for (struct demand *wanted = process->failures.first; wanted != NULL; wanted = wanted->next) {
        if (wanted->met || wanted->entry->tid != record_integer(record, "tid"))
            continue;
        *key = disagreement(wanted, record);
        return *key == NULL ? wanted : NULL;
    }
    return NULL;
}

/* One that was under way when its process was ended, and was done. */
static struct demand *find_afloat(struct process *process, const json_t *record)
{
    for (struct demand *wanted = process->afloat.first; wanted != NULL; wanted = wanted->next) {
        if (wanted->met)
            continue;
        if (wanted->code[0] == 'o' && record_is(record, "fail") &&
            record_integer(record, "tid") == wanted->entry->tid &&
            path_is(record, wanted->path, false))
            return wanted;
        if (disagreement(wanted, record) == NULL)
            return wanted;
    }
    return NULL;
}

/* Its close is the next thing that the descriptor is to see. */
static void meet_afloat(struct demand *wanted, const json_t *record)
{
    struct queue *queue = queue_of(wanted->table, record);
    struct demand *closing;

    if (record_is(record, "fail"))
        return;
    closing = demand(wanted->table, wanted->pid, NULL, "close",
                     (int)record_integer(record, "descriptor"), wanted->path);
    closing->reasons = BY_EXEC | BY_EXIT | BY_RANGE | BY_DUP2;
    closing->opening = wanted;
    closing->next = queue->first;
    queue->first = closing;
}

/* By how much the record is from another time. */
static uint64_t off_by(const struct demand *wanted, const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry;
    uint64_t at = (uint64_t)record_integer(record, "date_us");

    if (at < entry->begin_us)
        return entry->begin_us - at;
    return entry->end != 0 && at > entry->end_us ? at - entry->end_us : 0;
}

/* Both may be the one: the same was opened anew, after it had been under way in a thread that
 * ended. */
static bool is_nearer(const struct demand *afloat, const struct demand *wanted,
                      const json_t *record)
{
    return afloat != NULL && wanted->entry != NULL && wanted->opening == NULL &&
           off_by(afloat, record) + AT_ONCE_US < off_by(wanted, record);
}

static struct demand *meet(struct process *process, const json_t *record, const char **key)
{
    struct demand *wanted = find_demand(process, record, key);
    struct demand *afloat = find_afloat(process, record);

    if (wanted != NULL && !is_nearer(afloat, wanted, record)) {
        queue_of(wanted->table, record)->first = wanted->next;
        return wanted;
    }
    if (afloat != NULL)
        meet_afloat(afloat, record);
    return afloat;
}

static void tell_undemanded(const struct process *process, const json_t *record, const char *key)
{
    show_record(record);
    printf("  of this, %s differs:\n", key);
    for (size_t i = 0; i < process->tables; i++) {
        const struct queue *queue = queue_of(process->table[i], record);
        if (queue->first != NULL && queue->first->pid == process->pid) {
            show_demand(queue->first);
            tell_story(process->table[i], 0);
        }
    }
    tell_story(NULL, process->pid);
}

/* False, and told: the record is not demanded. */
static bool take_record(struct process *process, const json_t *record)
{
    const char *key = "nothing";
    struct demand *met = record_is(record, "fail") ? meet_failure(process, record, &key) : NULL;

    if (met == NULL)
        met = meet(process, record, &key);
    if (met == NULL) {
        if (fault(process->seed, process->pid, "not demanded"))
            tell_undemanded(process, record, key);
        return false;
    }
    met->met = true;
    met->met_us = record_integer(record, "date_us");
    met->met_ppid = record_integer(record, "ppid");
    if (process->latest == NULL || met->begin > process->latest->begin)
        process->latest = met;
    if (met->end < process->latest->begin && fault(process->seed, process->pid, "out of order")) {
        show_record(record);
        show_demand(met);
        puts("  comes after this:");
        show_demand(process->latest);
    }
    return true;
}

static void check_rest(const struct queue *queue, uint32_t seed)
{
    for (const struct demand *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        bool needed = wanted->opening != NULL ? wanted->opening->met : !wanted->maybe;
        if (wanted->met || !needed)
            continue;
        if (fault(seed, wanted->pid, "missing")) {
            show_demand(wanted);
            tell_story(wanted->table, wanted->pid);
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

/* --- all of them --- */

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
        take_by_process(i);
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

/* Threads begin with the table of the one that starts them. */
static void note_threads(struct table *table, const struct chaos_entry *entry)
{
    if (entry->kind == CHAOS_THREADS)
        table->untold += entry->end != 0 ? entry->result : THREADS_AT_MOST;
    else if (entry->kind == CHAOS_START && entry->tid != entry->pid)
        table->untold--;
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

static void demand_by_table(void)
{
    sort_entries(by_table);
    for (size_t from = 0, to; from < check.entries; from = to) {
        uint32_t table = check.entry[from]->table;

        for (to = from; to < check.entries && check.entry[to]->table == table;)
            to++;
        demand_all(check.table[table], from, to);
    }
    sort_entries(by_begin);
}

/* After the first fault of a process there is no telling what its other records are. */
static void check_all(const struct records *output)
{
    bool good = true;

    find_processes();
    find_tables();
    demand_by_table();
    for (size_t i = 0; good && i < output->n; i++) {
        int pid = (int)record_integer(output->line[i], "pid");
        struct process *process = find_process(pid);
        if (process != NULL)
            good = take_record(process, output->line[i]);
        else if (fault(0, pid, "is none of ours"))
            show_record(output->line[i]);
    }
    if (good)
        check_missing();
}

/* It left a table that another one has. */
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

bool records_chaos(const char *journal, const struct records *output, bool failed)
{
    check.failed = failed;
    if (!load_journal(journal))
        return false;
    check_all(output);
    if (check.faults > SAID_AT_MOST)
        printf("%zu faults in all\n", check.faults);
    return check.faults == 0 && check.demands > 0;
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
