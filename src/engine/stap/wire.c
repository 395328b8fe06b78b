/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/wire.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "event/trace.h"
#include "text.h"

/* Longer than any line of the script, whose print buffer has 8,192 bytes. */
#define LINE_MAX_BYTES 16384
/* A long path comes in pieces, a line each; the pieces of several threads can be interleaved. */
#define MAX_PARTS 64
/* More than fit in a line of the script. */
#define MAX_RANGES 2048

struct part {
    pid_t tid;
    bool is_destination; /* the other path of the line */
    int64_t pieces;      /* so far */
    size_t len;
    char path[2 * PATH_MAX];
};

/* Line numbers are modulo NUMBERS.  At most half as many lines can be missing at once. */
#define NUMBERS 100000000u

struct wire {
    struct wire_sink sink;
    uint32_t next; /* expected line number */
    size_t len;
    bool skipping; /* the rest of a line that is too long */
    char line[LINE_MAX_BYTES];
    char path[2 * PATH_MAX], destination[2 * PATH_MAX];
    struct event_facts facts;
    struct fd_range ranges[MAX_RANGES];
    size_t n_parts;
    struct part *parts[MAX_PARTS];
};

/* The values of a line, not yet checked against its kind. */
struct fields {
    uint64_t seen; /* the bit of each key: HAS() */
    char *codigo, *proceso, *fichero, *pedido, *motivo, *cierra, *llamada, *modulo;
    size_t fichero_len;
    int64_t n, nn, pid, ppid, tid, tabla, descriptor, us, ns, flags, modo, origen, perdidos, parte,
        cortado, destinos, buscado, uid, mnt_ns, cgroup, mayor, menor, inodo, programa, leidos,
        escritos, lecturas, escrituras, mapeado;
};

/* The one list of keys, in the order in which the script writes them: those of texts, of numbers
 * that fit in an int, and of larger numbers. */
#define KEYS(TEXT, INT, BIG)                                                                       \
    INT(n)                                                                                         \
    TEXT(codigo)                                                                                   \
    TEXT(proceso)                                                                                  \
    INT(pid)                                                                                       \
    INT(ppid)                                                                                      \
    INT(tid)                                                                                       \
    BIG(tabla)                                                                                     \
    BIG(uid)                                                                                       \
    BIG(mnt_ns)                                                                                    \
    BIG(cgroup)                                                                                    \
    BIG(mayor)                                                                                     \
    BIG(menor)                                                                                     \
    BIG(inodo)                                                                                     \
    BIG(programa)                                                                                  \
    TEXT(fichero)                                                                                  \
    INT(parte)                                                                                     \
    TEXT(pedido)                                                                                   \
    INT(descriptor)                                                                                \
    BIG(us)                                                                                        \
    BIG(ns)                                                                                        \
    BIG(flags)                                                                                     \
    BIG(modo)                                                                                      \
    INT(cortado)                                                                                   \
    TEXT(motivo)                                                                                   \
    TEXT(cierra)                                                                                   \
    TEXT(llamada)                                                                                  \
    INT(destinos)                                                                                  \
    INT(buscado)                                                                                   \
    INT(origen)                                                                                    \
    BIG(leidos)                                                                                    \
    BIG(escritos)                                                                                  \
    BIG(lecturas)                                                                                  \
    BIG(escrituras)                                                                                \
    INT(mapeado)                                                                                   \
    BIG(perdidos)                                                                                  \
    TEXT(modulo)                                                                                   \
    INT(nn)

#define KEY(name) KEY_##name,
enum { KEYS(KEY, KEY, KEY) KEY_COUNT };

/* flags and modo come from the arguments of openat2(2): any 64 bits. */
static const struct {
    const char *key;
    size_t len, offset;
    int64_t min, max; /* both 0: a text */
} keys[KEY_COUNT] = {
#define TEXT(name) {#name, sizeof(#name) - 1, offsetof(struct fields, name), 0, 0},
#define INT(name) {#name, sizeof(#name) - 1, offsetof(struct fields, name), INT_MIN, INT_MAX},
#define BIG(name) {#name, sizeof(#name) - 1, offsetof(struct fields, name), INT64_MIN, INT64_MAX},
    KEYS(TEXT, INT, BIG)};

struct wire *wire_new(const struct wire_sink *sink)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    if (wire)
        wire->sink = *sink;
    return wire;
}

void wire_free(struct wire *wire)
{
    if (!wire)
        return;
    for (size_t i = 0; i < wire->n_parts; i++)
        free(wire->parts[i]);
    free(wire);
}

/* The byte of the escape "\\u00XX"; 0: not a valid escape. */
static int escaped_byte(const char *text)
{
    char byte;

    if (strncmp(text, "\\u00", 4) != 0 || text_unhex(&byte, text + 4, 2) < 0)
        return 0;
    return (unsigned char)byte;
}

/* Unescapes a string in place, NUL-terminated.  *text: the byte after the opening quote; on return,
 * the byte after the closing one. */
static char *read_string(char **text, size_t *len)
{
    char *start = *text, *to = start, *from = start;

    while (*from != '"') {
        if (*from == '\0')
            return NULL;
        if (*from != '\\') {
            *to++ = *from++;
        } else if (from[1] == '"' || from[1] == '\\') {
            *to++ = from[1];
            from += 2;
        } else if (escaped_byte(from)) {
            *to++ = (char)escaped_byte(from);
            from += 6;
        } else {
            return NULL;
        }
    }
    *text = from + 1;
    *to = '\0';
    *len = (size_t)(to - start);
    return start;
}

static int read_value(struct fields *fields, size_t key, char **text)
{
    char *place = (char *)fields + keys[key].offset;
    size_t len;

    if (keys[key].max) {
        len = strcspn(*text, ",}");
        if (text_number(*text, len, keys[key].min, keys[key].max, (int64_t *)(void *)place) < 0)
            return -EBADMSG;
        *text += len;
        return 0;
    }
    if (*(*text)++ != '"')
        return -EBADMSG;
    *(char **)(void *)place = read_string(text, &len);
    if (keys[key].offset == offsetof(struct fields, fichero))
        fields->fichero_len = len;
    return *(char **)(void *)place ? 0 : -EBADMSG;
}

/* from: the key that the script writes next, which is compared first. */
static size_t find_key(const char *text, size_t len, size_t from)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t key = (from + i) % KEY_COUNT;

        if (keys[key].len == len && memcmp(keys[key].key, text, len) == 0)
            return key;
    }
    return KEY_COUNT;
}

/* *key: the index of the previous key; on return, of this one. */
static int read_pair(struct fields *fields, size_t *key, char **text)
{
    size_t len = strcspn(*text, ":");

    *key = find_key(*text, len, *key + 1);
    if (*key == KEY_COUNT || fields->seen & UINT64_C(1) << *key ||
        strncmp(*text + len, ": ", 2) != 0)
        return -EBADMSG;
    fields->seen |= UINT64_C(1) << *key;
    *text += len + 2;
    return read_value(fields, *key, text);
}

/* {key: value, key: value} and nothing after it. */
static int read_fields(char *text, struct fields *fields)
{
    size_t key = KEY_COUNT - 1;

    memset(fields, 0, sizeof(*fields));
    if (*text++ != '{')
        return -EBADMSG;
    for (;;) {
        if (read_pair(fields, &key, &text) < 0)
            return -EBADMSG;
        if (!strcmp(text, "}"))
            return fields->codigo ? 0 : -EBADMSG;
        if (strncmp(text, ", ", 2) != 0)
            return -EBADMSG;
        text += 2;
    }
}

static struct part *find_part(struct wire *wire, pid_t tid, bool is_destination)
{
    for (size_t i = 0; i < wire->n_parts; i++)
        if (wire->parts[i]->tid == tid && wire->parts[i]->is_destination == is_destination)
            return wire->parts[i];
    return NULL;
}

static void drop_part(struct wire *wire, const struct part *part)
{
    for (size_t i = 0; i < wire->n_parts; i++) {
        if (wire->parts[i] != part)
            continue;
        free(wire->parts[i]);
        wire->parts[i] = wire->parts[--wire->n_parts];
        return;
    }
}

static struct part *new_part(struct wire *wire, pid_t tid, bool is_destination)
{
    struct part *part;

    if (wire->n_parts == MAX_PARTS)
        drop_part(wire, wire->parts[0]); /* the line that ends its path was lost */
    part = calloc(1, sizeof(*part));
    if (!part)
        return NULL;
    part->tid = tid;
    part->is_destination = is_destination;
    wire->parts[wire->n_parts++] = part;
    return part;
}

/* A first piece replaces an unfinished path of the thread, whose last line was lost. */
static int keep_part(struct wire *wire, const struct fields *fields)
{
    bool is_destination = !strcmp(fields->codigo, "destino");
    struct part *part = find_part(wire, (pid_t)fields->tid, is_destination);

    if (!part)
        part = new_part(wire, (pid_t)fields->tid, is_destination);
    if (!part)
        return -ENOMEM;
    if (fields->parte == 1)
        part->pieces = 0, part->len = 0;
    if (fields->parte != part->pieces + 1 ||
        fields->fichero_len >= sizeof(part->path) - part->len) {
        drop_part(wire, part);
        return -EBADMSG;
    }
    memcpy(part->path + part->len, fields->fichero, fields->fichero_len);
    part->len += fields->fichero_len;
    part->pieces++;
    return 0;
}

static int join_parts(struct wire *wire, const struct fields *fields, struct event *event)
{
    const struct part *part = find_part(wire, (pid_t)fields->tid, false);

    if (!part || part->pieces != fields->parte ||
        part->len + fields->fichero_len >= sizeof(wire->path))
        return -EBADMSG;
    memcpy(wire->path, part->path, part->len);
    memcpy(wire->path + part->len, fields->fichero, fields->fichero_len + 1);
    event->path = wire->path;
    event->path_len = part->len + fields->fichero_len;
    return 0;
}

/* Joins the path of this line to the pieces before it. */
static int whole_path(struct wire *wire, const struct fields *fields, struct event *event)
{
    int result = 0;

    event->path = fields->fichero;
    event->path_len = fields->fichero_len;
    if (fields->parte)
        result = join_parts(wire, fields, event);
    if (wire->n_parts > 0)
        drop_part(wire, find_part(wire, (pid_t)fields->tid, false));
    return result;
}

/* text: "3,5-9", in ascending order. */
static int read_ranges(struct wire *wire, const char *text, struct event *event)
{
    int64_t least = 0;

    event->ranges = wire->ranges;
    for (event->n_ranges = 0; *text; event->n_ranges++) {
        struct fd_range *range = &wire->ranges[event->n_ranges];
        size_t len = strcspn(text, ",");
        const char *dash = memchr(text, '-', len);
        size_t first_len = dash ? (size_t)(dash - text) : len;
        int64_t first, last;

        if (event->n_ranges == MAX_RANGES ||
            text_number(text, first_len, least, INT_MAX, &first) < 0)
            return -EBADMSG;
        last = first;
        if (dash && text_number(dash + 1, len - first_len - 1, first, INT_MAX, &last) < 0)
            return -EBADMSG;
        *range = (struct fd_range){(unsigned int)first, (unsigned int)last};
        least = last + 1;
        text += len + (text[len] == ',');
    }
    return 0;
}

/* ---- Kinds of lines ------------------------------------------------------------------------- */

/* Each function returns 1 if the line is an event, 0 if not, or -errno. */

static int take_open(struct wire *wire, const struct fields *fields, struct event *event)
{
    event->path_cut = fields->cortado != 0;
    return whole_path(wire, fields, event) < 0 ? -EBADMSG : 1;
}

static int join_destination(struct wire *wire, const struct fields *fields, struct event *event)
{
    const struct part *part = find_part(wire, (pid_t)fields->tid, true);
    int result = part && part->pieces == fields->destinos ? 0 : -EBADMSG;

    if (result == 0) {
        memcpy(wire->destination, part->path, part->len);
        wire->destination[part->len] = '\0';
        event->destination = wire->destination;
        event->destination_len = part->len;
    }
    drop_part(wire, part);
    return result;
}

static int take_call(struct wire *wire, const struct fields *fields, struct event *event)
{
    enum traced_call call = trace_find_call(fields->llamada);

    if (call == TRACED_COUNT || trace_call_has_destination(call) != (fields->destinos > 0) ||
        (fields->destinos && join_destination(wire, fields, event) < 0))
        return -EBADMSG;
    event->mode = EVENT_NO_MODE;
    trace_call_fill(event, call, event->fd, (unsigned int)fields->modo);
    event->is_matched = fields->buscado != 0;
    return take_open(wire, fields, event);
}

static int take_opened(struct wire *wire, const struct fields *fields, struct event *event)
{
    if (fields->motivo && strcmp(fields->motivo, "received") != 0)
        return -EBADMSG;
    event->reason = fields->motivo ? REASON_RECEIVED : REASON_COUNT;
    return take_open(wire, fields, event);
}

static void await_result(struct wire *wire, struct event *event)
{
    if (!event->facts) {
        wire->facts = (struct event_facts){0};
        event->facts = &wire->facts;
    }
    event->facts->known |= FACT(RESULT);
}

/* A line of a call that can close several descriptors has them as ranges, even a single one. */
static int take_close(struct wire *wire, const struct fields *fields, struct event *event)
{
    const char *why = fields->motivo ? fields->motivo : "close";

    if (!fields->cierra && strcmp(why, "espera") == 0) {
        event->reason = REASON_CLOSE;
        await_result(wire, event);
        return 1;
    }
    if (!fields->cierra) {
        event->reason = strcmp(why, "dup2") == 0 ? REASON_DUP2 : REASON_CLOSE;
        return event->reason == REASON_DUP2 || !fields->motivo ? 1 : -EBADMSG;
    }
    event->reason = REASON_CLOSE_RANGE;
    if (strcmp(why, "exec") == 0)
        event->code = EVENT_CLOEXEC;
    return read_ranges(wire, fields->cierra, event) < 0 ? -EBADMSG : 1;
}

static int take_dup(struct wire *wire, const struct fields *fields, struct event *event)
{
    bool replaces = fields->motivo && strcmp(fields->motivo, "dup2") == 0;

    (void)wire;
    event->origin = (int)fields->origen;
    event->reason = replaces ? REASON_DUP2 : REASON_COUNT; /* COUNT: a close has its own line */
    return replaces || !fields->motivo ? 1 : -EBADMSG;
}

static int take_exit(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)wire;
    (void)fields;
    (void)event;
    return 1;
}

/* Without arguments: the script could not read them. */
static int take_arguments(struct wire *wire, const struct fields *fields, struct event *event)
{
    return fields->fichero ? take_open(wire, fields, event) : 1;
}

static int take_bytes(struct wire *wire, const struct fields *fields, struct event *event)
{
    wire->facts = (struct event_facts){
        .known = FACT(BYTES),
        .bytes = {.read = (uint64_t)fields->leidos,
                  .written = (uint64_t)fields->escritos,
                  .reads = (uint64_t)fields->lecturas,
                  .writes = (uint64_t)fields->escrituras,
                  .mapped = fields->mapeado != 0},
    };
    event->facts = &wire->facts;
    return fields->leidos >= 0 && fields->escritos >= 0 && fields->lecturas >= 0 &&
                   fields->escrituras >= 0
               ? 1
               : -EBADMSG;
}

static int take_part(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)event;
    return keep_part(wire, fields);
}

static int take_lost(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)wire;
    event->lost = (uint64_t)fields->perdidos;
    return fields->perdidos > 0 ? 1 : -EBADMSG;
}

static int take_loaded(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)event;
    wire->sink.loaded(wire->sink.ctx, fields->modulo);
    return 0;
}

static int take_watching(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)fields;
    (void)event;
    wire->sink.watching(wire->sink.ctx);
    return 0;
}

static int take_refused(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)fields;
    (void)event;
    wire->sink.refused(wire->sink.ctx);
    return 0;
}

static int take_more(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)fields;
    (void)event;
    wire->sink.more(wire->sink.ctx);
    return 0;
}

static int take_idle(struct wire *wire, const struct fields *fields, struct event *event)
{
    (void)fields;
    (void)event;
    wire->sink.idle(wire->sink.ctx);
    return 0;
}

#define HAS(name) (UINT64_C(1) << KEY_##name)
#define HAS_NUMBER (HAS(n) | HAS(nn))
#define HAS_NOTICE (HAS_NUMBER | HAS(modulo))
/* Any line of an event in a thread can have them. */
#define HAS_FILE (HAS(mayor) | HAS(menor) | HAS(inodo))
#define HAS_FACTS (HAS(uid) | HAS(mnt_ns) | HAS(cgroup) | HAS_FILE | HAS(programa))

#define HAS_BYTES (HAS(leidos) | HAS(escritos) | HAS(lecturas) | HAS(escrituras) | HAS(mapeado))

#define HAS_EVENT (HAS_NUMBER | HAS(proceso) | HAS(pid) | HAS(ppid) | HAS(tid) | HAS(us) | HAS(ns))
#define HAS_TABLE (HAS_EVENT | HAS(tabla))
#define HAS_FD (HAS_TABLE | HAS(descriptor))
#define HAS_OPEN (HAS_FD | HAS(fichero) | HAS(flags))

/* The keys that a kind must have, and those that it may have in addition. */
static const struct kind {
    const char *codigo;
    enum event_code code;
    uint64_t must, may;
    int (*take)(struct wire *wire, const struct fields *fields, struct event *event);
} kinds[] = {
    {"open", EVENT_OPEN, HAS_OPEN, HAS(modo) | HAS(parte) | HAS(pedido) | HAS(motivo), take_opened},
    {"held", EVENT_HELD, HAS_OPEN, HAS(parte), take_open},
    {"close", EVENT_CLOSE, HAS_FD, HAS(motivo) | HAS(cierra), take_close},
    {"retorno", EVENT_RESULT, HAS_EVENT | HAS(descriptor), 0, take_exit},
    {"dup", EVENT_DUP, HAS_FD | HAS(origen), HAS(motivo), take_dup},
    {"fail", EVENT_FAIL, HAS_OPEN & ~HAS(tabla),
     HAS(modo) | HAS(parte) | HAS(pedido) | HAS(cortado), take_open},
    {"llamada", EVENT_FAIL, HAS_EVENT | HAS(fichero) | HAS(descriptor) | HAS(llamada),
     HAS(modo) | HAS(parte) | HAS(cortado) | HAS(destinos) | HAS(buscado), take_call},
    {"exec", EVENT_EXEC, HAS_EVENT | HAS(fichero), HAS(parte), take_open},
    {"exit", EVENT_EXIT, HAS_TABLE, 0, take_exit},
    {"bytes", EVENT_BYTES, HAS_NUMBER | HAS(tabla) | HAS(descriptor) | HAS_BYTES, 0, take_bytes},
    {"parte", 0, HAS_NUMBER | HAS(tid) | HAS(parte) | HAS(fichero), 0, take_part},
    {"destino", 0, HAS_NUMBER | HAS(tid) | HAS(parte) | HAS(fichero), 0, take_part},
    {"programa", EVENT_EXECUTABLE, HAS_NUMBER | HAS(tid) | HAS(programa) | HAS(fichero), HAS(parte),
     take_open},
    {"argumentos", EVENT_ARGUMENTS,
     HAS_NUMBER | HAS(pid) | HAS(tid) | HAS(programa) | HAS(us) | HAS(ns),
     HAS(fichero) | HAS(parte), take_arguments},
    {"lost", EVENT_LOST, HAS_NUMBER | HAS(perdidos) | HAS(us) | HAS(ns), 0, take_lost},
    {"listo", 0, HAS_NOTICE, 0, take_loaded},
    {"mirando", 0, HAS_NOTICE, 0, take_watching},
    {"sin_inodo", 0, HAS_NOTICE, 0, take_refused},
    {"marca", EVENT_MARK, HAS_NOTICE, 0, take_exit},
    {"sigue", 0, HAS_NOTICE, 0, take_more},
    {"fin", 0, HAS_NOTICE, 0, take_idle},
};

/* Whether a line of this kind may have exactly these keys. */
static bool fits(const struct kind *kind, uint64_t held)
{
    uint64_t may = kind->may | (kind->must & HAS(us) && kind->must & HAS(tid) ? HAS_FACTS : 0);

    return (held & kind->must) == kind->must && (held & ~(kind->must | may)) == 0;
}

static const struct kind *find_kind(const struct fields *fields)
{
    uint64_t held = fields->seen & ~HAS(codigo);

    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (!strcmp(kinds[i].codigo, fields->codigo))
            return fits(&kinds[i], held) ? &kinds[i] : NULL;
    return NULL;
}

static bool has_number(const struct fields *fields)
{
    return fields->n == fields->nn && fields->n >= 0 && fields->n < NUMBERS;
}

/* Reports the lines that are missing before this one.  False: this line is late, and was reported
 * as missing. */
static bool take_number(struct wire *wire, const struct fields *fields)
{
    uint32_t missing = ((uint32_t)fields->n + NUMBERS - wire->next) % NUMBERS;

    if (missing >= NUMBERS / 2)
        return false;
    if (missing > 0)
        wire->sink.lost(wire->sink.ctx, missing);
    wire->next = ((uint32_t)fields->n + 1) % NUMBERS;
    return true;
}

/* The facts whose keys are in the set. */
static unsigned int known_facts(uint64_t seen)
{
    return (seen & HAS(uid) ? FACT(USER) : 0) | (seen & HAS(mnt_ns) ? FACT(MOUNTS) : 0) |
           (seen & HAS(cgroup) ? FACT(GROUP) : 0) |
           ((seen & HAS_FILE) == HAS_FILE ? FACT(FILE) : 0) |
           (seen & HAS(programa) ? FACT(EXECUTABLE) : 0) | (seen & HAS(pedido) ? FACT(GIVEN) : 0);
}

static void take_facts(struct wire *wire, const struct fields *fields, struct event *event)
{
    if (!(fields->seen & (HAS_FACTS | HAS(pedido))))
        return;
    wire->facts = (struct event_facts){
        .known = known_facts(fields->seen),
        .user = (uid_t)fields->uid,
        .mounts = (uint32_t)fields->mnt_ns,
        .group = (uint64_t)fields->cgroup,
        .file = {(uint32_t)fields->mayor, (uint32_t)fields->menor, (uint64_t)fields->inodo},
        .executable = (uint64_t)fields->programa,
        .given = fields->pedido,
    };
    event->facts = &wire->facts;
}

static void take_fields(struct wire *wire, const struct fields *fields)
{
    const struct kind *kind = find_kind(fields);
    struct event event = {
        .pid = (pid_t)fields->pid,
        .ppid = (pid_t)fields->ppid,
        .tid = (pid_t)fields->tid,
        .table = (uint64_t)fields->tabla,
        .comm = fields->proceso,
        .fd = (int)fields->descriptor,
        .date_us = fields->us,
        .mono_ns = (uint64_t)fields->ns,
        .flags = (uint64_t)fields->flags,
        .mode = fields->seen & HAS(modo) ? (int)(fields->modo & INT_MAX) : EVENT_NO_MODE,
    };
    int result;

    if (!kind || !has_number(fields) ||
        (fields->proceso && strlen(fields->proceso) >= EVENT_COMM_SIZE))
        return;
    event.code = kind->code;
    take_facts(wire, fields, &event);
    result = kind->take(wire, fields, &event);
    if (result >= 0 && kind->take != take_part && take_number(wire, fields) && result == 1)
        wire->sink.event(wire->sink.event_ctx, &event);
}

static void take_line(struct wire *wire)
{
    struct fields fields;

    wire->line[wire->len] = '\0';
    if (!memchr(wire->line, '\0', wire->len) && read_fields(wire->line, &fields) == 0)
        take_fields(wire, &fields);
    wire->len = 0;
}

void wire_take(struct wire *wire, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t len = end ? (size_t)(end - bytes) : n;

        if (wire->len + len >= sizeof(wire->line))
            wire->skipping = true;
        if (!wire->skipping) {
            memcpy(wire->line + wire->len, bytes, len);
            wire->len += len;
        }
        if (end && !wire->skipping && wire->len > 0)
            take_line(wire);
        if (end) {
            wire->skipping = false;
            wire->len = 0;
        }
        bytes += len + (end != NULL);
        n -= len + (end != NULL);
    }
}
