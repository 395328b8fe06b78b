/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filemon's records beside the journal of fdchaos.
 *
 * The journal of a process is gone through in the order in which descriptors changed hands (chaos.h
 * says why that is known), and gives for each descriptor the queue of its records.  The output must
 * have just these; and what ended before another began must stand before it.  What was under way
 * when a process was ended may have been done or not, and both are right.
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

enum { FDS = 1024, QUEUES = 4096, SAID_AT_MOST = 4, STORY = 30, SLACK_US = 5000 };

enum reason { BY_CLOSE = 1, BY_RANGE = 2, BY_DUP2 = 4, BY_EXEC = 8, BY_EXIT = 16 };
static const char *const reasons[] = {"close", "close_range", "dup2", "exec", "exit"};

/* A record that must come. */
struct demand {
    const struct chaos_entry *entry; /* what did it; NULL: the end of the process */
    const char *code, *path;
    int fd;           /* -1: not known */
    int origin;       /* of a dup */
    unsigned reasons; /* of a close: any of these */
    uint64_t begin, end;
    struct demand *opening; /* of a close */
    struct demand *next;    /* in its queue */
    bool maybe, met;
};

struct queue {
    struct demand *first, *last;
};

/* A descriptor of which a record was made. */
struct held {
    struct demand *opening; /* NULL: there is no record of it */
    bool cloexec, unsure;   /* unsure: whether it is open or close-on-exec */
    unsigned also;          /* other ways in which it may have been closed */
    uint64_t since;         /* not before this one */
};

struct process {
    int pid;
    uint32_t seed;
    struct held held[FDS];
    struct queue queue[FDS], failures[QUEUES], afloat;
    uint64_t last;
    bool executing; /* and nobody knows how far it came */
    size_t faults;
};

static struct {
    const struct chaos_journal *journal;
    const struct chaos_entry **entry; /* by process and time */
    size_t entries;
    size_t faults, demands;
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
    printf(") = %d %s  [%u]\n", entry->result, entry->path, entry->op);
}

static void tell_story(int pid)
{
    size_t told = 0, of = 0;

    for (size_t i = 0; i < check.entries; i++)
        of += check.entry[i]->pid == pid;
    for (size_t i = 0; i < check.entries; i++) {
        if (check.entry[i]->pid == pid && told++ + STORY >= of)
            tell(check.entry[i]);
    }
}

static bool fault(struct process *process, const char *what)
{
    process->faults++;
    if (check.faults++ >= SAID_AT_MOST)
        return false;
    printf("seed %u, process %d: %s\n", process->seed, process->pid, what);
    return true;
}

static void show_demand(const struct demand *demand)
{
    printf("  - %s %d %s", demand->code, demand->fd, demand->path);
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

static struct demand *demand(const struct chaos_entry *entry, const char *code, int fd,
                             const char *path)
{
    struct demand *made = calloc(1, sizeof(*made));

    if (made == NULL)
        abort();
    check.demands++;
    *made = (struct demand){
        .entry = entry, .code = code, .path = path, .fd = fd, .end = UINT64_MAX};
    if (entry != NULL) {
        made->begin = entry->begin;
        made->maybe = entry->end == 0;
        made->end = entry->end != 0 ? entry->end : UINT64_MAX;
    }
    return made;
}

/* What was held is closed by this entry, or by the end of the process. */
static void lose(struct process *process, int fd, const struct chaos_entry *entry, unsigned how)
{
    struct held *held = &process->held[fd];
    struct demand *closing;

    if (held->opening == NULL)
        return;
    closing = demand(held->unsure ? NULL : entry, "close", fd, held->opening->path);
    closing->reasons = how | held->also;
    if (process->executing && held->cloexec && entry == NULL)
        closing->reasons |= BY_EXEC;
    closing->opening = held->opening;
    closing->maybe = held->opening->maybe;
    if (held->unsure || entry == NULL)
        closing->begin = held->unsure ? held->since : process->last;
    push(&process->queue[fd], closing);
    *held = (struct held){0};
}

/* Whether this was done to it is not known: its process was ended meanwhile. */
static void doubt(struct process *process, int fd, const struct chaos_entry *entry, unsigned how)
{
    struct held *held = &process->held[fd];

    held->also |= how;
    held->unsure = true;
    held->since = entry->begin;
}

static void lose_or_doubt(struct process *process, int fd, const struct chaos_entry *entry,
                          unsigned how)
{
    if (entry->end != 0)
        lose(process, fd, entry, how);
    else
        doubt(process, fd, entry, how);
}

/* The number is free, then: whatever was to close it did. */
static void vacate(struct process *process, int fd)
{
    if (process->held[fd].opening != NULL && !process->held[fd].unsure)
        fault(process, "the journal itself makes no sense");
    lose(process, fd, NULL, 0);
}

static void gain(struct process *process, struct demand *opening, bool cloexec)
{
    struct held *held = &process->held[opening->fd];

    vacate(process, opening->fd);
    push(&process->queue[opening->fd], opening);
    *held = (struct held){.opening = opening, .cloexec = cloexec};
}

static void take_open(struct process *process, const struct chaos_entry *entry)
{
    if (entry->end == 0)
        push(&process->afloat, demand(entry, "open", -1, entry->path));
    else if (entry->result >= 0)
        gain(process, demand(entry, "open", entry->result, entry->path), entry->flags & O_CLOEXEC);
    else
        push(&process->failures[entry->tid % QUEUES],
             demand(entry, "fail", entry->result, entry->path));
}

static struct demand *copy(const struct process *process, const struct chaos_entry *entry, int fd)
{
    struct demand *made = demand(entry, "dup", fd, process->held[entry->fd].opening->path);

    made->origin = entry->fd;
    return made;
}

static void take_dup(struct process *process, const struct chaos_entry *entry)
{
    bool known = process->held[entry->fd].opening != NULL;

    if (known && entry->end == 0)
        push(&process->afloat, copy(process, entry, -1));
    else if (!known && entry->end != 0 && entry->result >= 0)
        vacate(process, entry->result);
    else if (known && entry->result >= 0)
        gain(process, copy(process, entry, entry->result), entry->flags & O_CLOEXEC);
}

/* What it replaces goes when it begins, the copy comes when it ends. */
static void take_dup2(struct process *process, const struct chaos_entry *entry, bool begins)
{
    if (entry->fd == entry->other || (entry->end != 0 && entry->result < 0))
        return;
    if (begins)
        lose_or_doubt(process, entry->other, entry, BY_DUP2);
    if (process->held[entry->fd].opening == NULL)
        return;
    if (entry->end == 0 && begins)
        push(&process->afloat, copy(process, entry, -1));
    else if (!begins)
        gain(process, copy(process, entry, entry->other), entry->flags & O_CLOEXEC);
}

static void take_range(struct process *process, const struct chaos_entry *entry, bool closes)
{
    unsigned int first = (unsigned int)entry->fd, last = (unsigned int)entry->other;

    for (unsigned int fd = first; fd <= last && fd < FDS; fd++) {
        if (closes)
            lose_or_doubt(process, (int)fd, entry, BY_RANGE);
        else if (entry->end != 0)
            process->held[fd].cloexec = true;
        else
            doubt(process, (int)fd, entry, BY_EXEC);
    }
}

static void take_cloexec(struct process *process, const struct chaos_entry *entry)
{
    if (entry->end != 0)
        process->held[entry->fd].cloexec = entry->other;
    else
        doubt(process, entry->fd, entry, BY_EXEC);
}

static void take_executed(struct process *process, const struct chaos_entry *entry)
{
    process->executing = false;
    for (int fd = 0; fd < FDS; fd++) {
        struct held *held = &process->held[fd];
        if (!held->unsure)
            held->also = 0;
        if (held->unsure)
            held->also |= BY_EXEC;
        else if (held->cloexec)
            lose(process, fd, entry, BY_EXEC);
    }
}

static void end_process(struct process *process)
{
    for (int fd = 0; fd < FDS; fd++)
        lose(process, fd, NULL, BY_EXIT);
}

/* Those that give descriptors count when they end, others when they begin. */
static void take_begin(struct process *process, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_CLOSE:
        if (entry->end == 0 || entry->result == 0)
            lose_or_doubt(process, entry->fd, entry, BY_CLOSE);
        break;
    case CHAOS_RANGE:
        take_range(process, entry, true);
        break;
    case CHAOS_DUP2:
        take_dup2(process, entry, true);
        break;
    case CHAOS_START:
        end_process(process);
        process->executing = false;
        break;
    case CHAOS_EXEC: /* if nothing comes after it, the process was ended in the middle of it */
        process->executing = process->executing || entry->end == 0;
        break;
    case CHAOS_EXECUTED:
        take_executed(process, entry);
        break;
    default:
        break;
    }
}

static void take_end(struct process *process, const struct chaos_entry *entry)
{
    switch (entry->kind) {
    case CHAOS_OPEN:
        take_open(process, entry);
        break;
    case CHAOS_GET:
        if (entry->end != 0 && entry->result >= 0)
            vacate(process, entry->result);
        break;
    case CHAOS_DUP:
        take_dup(process, entry);
        break;
    case CHAOS_DUP2:
        if (entry->end != 0)
            take_dup2(process, entry, false);
        break;
    case CHAOS_CLOEXEC:
        take_cloexec(process, entry);
        break;
    case CHAOS_CLOSER:
        take_range(process, entry, false);
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

/* The steps of a process; what did not end is taken when it began. */
static void demand_all(struct process *process, size_t from, size_t to)
{
    struct step *steps = calloc(2 * (to - from) + 1, sizeof(*steps));
    size_t n = 0;

    for (size_t i = from; i < to; i++) {
        const struct chaos_entry *entry = check.entry[i];
        uint64_t end = entry->end;
        steps[n++] = (struct step){entry->begin, entry, false};
        steps[n++] = (struct step){end != 0 ? end : entry->begin, entry, true};
        process->last = end > process->last ? end : process->last;
    }
    qsort(steps, n, sizeof(*steps), by_time);
    for (size_t i = 0; i < n; i++)
        (steps[i].ends ? take_end : take_begin)(process, steps[i].entry);
    end_process(process);
    free(steps);
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
    bool timed = end != NULL && end->kind != CHAOS_EXECUTED; /* that is after it */
    uint64_t low = timed && open->end_ns != 0 && end->begin_ns > open->end_ns
                       ? end->begin_ns - open->end_ns
                       : 0;
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

/* The new program cannot tell of what went when it was executed, but for its time. */
static const char *disagreement_of_caller(const struct chaos_entry *entry, const json_t *record)
{
    bool executed = entry->kind == CHAOS_EXECUTED;

    if (!executed && record_integer(record, "tid") != entry->tid)
        return "tid";
    if (!executed && !parent_is(record, entry))
        return "ppid";
    if (!executed && !string_is(record, "proceso", entry->comm))
        return "proceso";
    return is_within(record_integer(record, "date_us"), executed ? 0 : entry->begin_us,
                     entry->end_us, SLACK_US)
               ? NULL
               : "date_us";
}

/* The first key that is not as it must be; NULL: all are. */
static const char *disagreement(const struct demand *wanted, const json_t *record)
{
    const struct chaos_entry *entry = wanted->entry;

    if (!string_is(record, "codigo", wanted->code))
        return "codigo";
    if (wanted->fd != -1 && record_integer(record, "descriptor") != wanted->fd)
        return "descriptor";
    if (!path_is(record, wanted->path, is_whole(wanted)))
        return "fichero";
    if (wanted->reasons != 0 && !reason_is(record, wanted->reasons))
        return "motivo";
    if (wanted->reasons != 0 && !duration_is(record, wanted))
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
    return entry != NULL ? disagreement_of_caller(entry, record) : NULL;
}

/* What is demanded next of this queue, if the record is it; what may be left out is. */
static struct demand *meet(struct queue *queue, const json_t *record, const char **key)
{
    *key = "nothing";
    for (struct demand *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        const char *wrong = disagreement(wanted, record);
        if (wrong == NULL) {
            queue->first = wanted->next;
            return wanted;
        }
        *key = wrong;
        if (!wanted->maybe)
            return NULL;
    }
    return NULL;
}

/* One that was under way when its process was ended, and was done. */
static struct demand *meet_afloat(struct process *process, const json_t *record)
{
    for (struct demand *wanted = process->afloat.first; wanted != NULL; wanted = wanted->next) {
        int fd = (int)record_integer(record, "descriptor");
        if (!wanted->met && wanted->code[0] == 'o' && record_is(record, "fail") &&
            record_integer(record, "tid") == wanted->entry->tid &&
            path_is(record, wanted->path, false))
            return wanted;
        if (wanted->met || disagreement(wanted, record) != NULL)
            continue;
        struct demand *closing = demand(NULL, "close", fd, wanted->path);
        closing->reasons = BY_EXEC | BY_EXIT | BY_RANGE;
        closing->opening = wanted;
        closing->next = process->queue[fd].first;
        process->queue[fd].first = closing;
        return wanted;
    }
    return NULL;
}

static struct queue *queue_of(struct process *process, const json_t *record)
{
    json_int_t fd = record_integer(record, "descriptor");

    if (record_is(record, "fail"))
        return &process->failures[record_integer(record, "tid") % QUEUES];
    return &process->queue[fd >= 0 && fd < FDS ? fd : 0];
}

/* False, and told: the record is not demanded. */
static bool take_record(struct process *process, const json_t *record, uint64_t *latest)
{
    struct queue *queue = queue_of(process, record);
    const char *key;
    struct demand *met = meet(queue, record, &key);

    if (met == NULL)
        met = meet_afloat(process, record);
    if (met == NULL) {
        if (fault(process, "not demanded")) {
            show_record(record);
            printf("  of this, %s differs:\n", key);
            if (queue->first != NULL)
                show_demand(queue->first);
            tell_story(process->pid);
        }
        return false;
    }
    met->met = true;
    if (met->end < *latest && fault(process, "out of order")) {
        show_record(record);
        show_demand(met);
    }
    *latest = met->begin > *latest ? met->begin : *latest;
    return true;
}

static void check_rest(struct process *process, const struct queue *queue)
{
    for (const struct demand *wanted = queue->first; wanted != NULL; wanted = wanted->next) {
        bool needed = wanted->opening != NULL ? wanted->opening->met : !wanted->maybe;
        if (wanted->met || !needed)
            continue;
        if (fault(process, "missing")) {
            show_demand(wanted);
            tell_story(process->pid);
        }
        return;
    }
}

static void check_process(struct process *process, const struct records *output)
{
    uint64_t latest = 0;

    for (size_t i = 0; i < output->n; i++) {
        if (record_integer(output->line[i], "pid") == process->pid &&
            !take_record(process, output->line[i], &latest))
            return;
    }
    for (int i = 0; i < FDS && process->faults == 0; i++)
        check_rest(process, &process->queue[i]);
    for (int i = 0; i < QUEUES && process->faults == 0; i++)
        check_rest(process, &process->failures[i]);
}

/* --- all of them --- */

static int by_process(const void *one, const void *other)
{
    const struct chaos_entry *a = *(const struct chaos_entry *const *)one;
    const struct chaos_entry *b = *(const struct chaos_entry *const *)other;

    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->begin < b->begin ? -1 : 1;
}

static void sort_entries(void)
{
    size_t n = check.journal->entries;

    n = n > CHAOS_ENTRIES ? CHAOS_ENTRIES : n;
    check.entry = calloc(n + 1, sizeof(*check.entry));
    for (size_t i = 0; i < n; i++) {
        if (check.journal->entry[i].begin != 0)
            check.entry[check.entries++] = &check.journal->entry[i];
    }
    qsort(check.entry, check.entries, sizeof(*check.entry), by_process);
}

/* Of a pid of the journal: marks the records that belong to nobody. */
static void check_strangers(const struct records *output, json_t *pids)
{
    for (size_t i = 0; i < output->n; i++) {
        char pid[32];
        snprintf(pid, sizeof(pid), "%lld", (long long)record_integer(output->line[i], "pid"));
        if (json_object_get(pids, pid) != NULL || check.faults++ >= SAID_AT_MOST)
            continue;
        printf("of no process:\n");
        show_record(output->line[i]);
    }
}

static void check_all(const struct records *output)
{
    json_t *pids = json_object();
    size_t from = 0;

    while (from < check.entries) {
        struct process *process = calloc(1, sizeof(*process));
        size_t to = from;
        char pid[32];

        process->pid = check.entry[from]->pid;
        process->seed = check.entry[from]->seed;
        while (to < check.entries && check.entry[to]->pid == process->pid)
            to++;
        snprintf(pid, sizeof(pid), "%d", process->pid);
        json_object_set_new(pids, pid, json_true());
        demand_all(process, from, to);
        check_process(process, output);
        free(process);
        from = to;
    }
    check_strangers(output, pids);
    json_decref(pids);
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
    sort_entries();
    return check.journal->fault[0] == '\0';
}

bool records_chaos(const char *journal, const struct records *output)
{
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
