/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "event/trace.h"

#define WILL_CREATE (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) /* include/linux/fs.h */

static const struct {
    enum event_code code;
    enum event_reason reason;
    size_t size; /* of the record, without its payload */
} kinds[] = {
    [RECORD_OPEN] = {EVENT_OPEN, REASON_COUNT, sizeof(struct record)},
    [RECORD_FAIL] = {EVENT_FAIL, REASON_COUNT, sizeof(struct record)},
    [RECORD_CLOSE] = {EVENT_CLOSE, REASON_CLOSE, RECORD_HEAD},
    [RECORD_CLOSE_RANGE] = {EVENT_CLOSE, REASON_CLOSE_RANGE, RECORD_UNTIL(last)},
    [RECORD_DUP] = {EVENT_DUP, REASON_COUNT, RECORD_UNTIL(origin)},
    [RECORD_DUP2] = {EVENT_DUP, REASON_DUP2, RECORD_UNTIL(origin)},
    [RECORD_REPLACED] = {EVENT_CLOSE, REASON_DUP2, RECORD_HEAD},
    [RECORD_EXEC] = {EVENT_CLOEXEC, REASON_EXEC, RECORD_UNTIL(open)},
    [RECORD_EXIT] = {EVENT_EXIT, REASON_EXIT, RECORD_HEAD},
    [RECORD_DUP_PATH] = {EVENT_DUP, REASON_COUNT, sizeof(struct record)},
    [RECORD_DUP2_PATH] = {EVENT_DUP, REASON_DUP2, sizeof(struct record)},
    [RECORD_RECEIVED] = {EVENT_OPEN, REASON_RECEIVED, sizeof(struct record)},
    [RECORD_HELD] = {EVENT_HELD, REASON_COUNT, sizeof(struct record)},
    [RECORD_EXECUTABLE] = {EVENT_EXECUTABLE, REASON_COUNT, sizeof(struct record)},
    [RECORD_ARGUMENTS] = {EVENT_ARGUMENTS, REASON_COUNT, sizeof(struct record)},
    [RECORD_PROGRAM] = {EVENT_EXEC, REASON_COUNT, sizeof(struct record)},
    [RECORD_CALL] = {EVENT_RECORDS, REASON_COUNT, sizeof(struct record)}, /* by its call */
    [RECORD_RESULT] = {EVENT_RESULT, REASON_COUNT, RECORD_HEAD},
    [RECORD_BYTES] = {EVENT_BYTES, REASON_COUNT, sizeof(struct record)},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A path that is being put together. */
struct text {
    char *bytes;
    size_t len;
};

static void append(struct text *text, const char *bytes, size_t len)
{
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

/* Appends a path whose components are in reverse order: "hosts/etc/" is /etc/hosts. */
static void append_walked(struct text *text, const char *walked, size_t len)
{
    while (len > 0) {
        size_t end = --len;

        while (len > 0 && walked[len - 1] != '/')
            len--;
        append(text, "/", 1);
        append(text, walked + len, end - len);
    }
}

static void append_inode(struct text *text, __u64 inode)
{
    char number[32];

    snprintf(number, sizeof(number), ":[%llu]", (unsigned long long)inode);
    append(text, number, strlen(number));
}

/* Whether the BPF program could not read a name that the kernel could read: then the file may be
 * below a PATH.  After EFAULT it is not: the kernel could not read the name either. */
static bool is_unread(unsigned int marks, int error)
{
    return marks & MARK_NONE && error != -EFAULT;
}

/* A path in the payload: the path of a file or a directory, and a name that it is followed by. */
struct written {
    const char *walked, *name;
    size_t walked_len, name_len;
    unsigned int marks; /* enum record_mark */
    __u64 inode;        /* MARK_INODE */
};

static void put_written(struct text *text, const struct written *written)
{
    bool no_directory = written->marks & MARK_TEXT && written->walked_len == 0;

    text->len = 0;
    text->bytes[0] = '\0';
    if (written->marks & MARK_NONE)
        return;
    if (written->marks & MARK_CUT)
        append(text, "...", 3);
    if (written->marks & MARK_TEXT)
        append(text, written->walked, written->walked_len);
    else
        append_walked(text, written->walked, written->walked_len);
    if (written->marks & MARK_INODE)
        append_inode(text, written->inode);
    /* Before the name, or for the root, which has no component. */
    if (!no_directory && (written->name_len > 0 ? written->name[0] != '/' : text->len == 0))
        append(text, "/", 1);
    append(text, written->name, written->name_len);
}

static int decode_path(struct decoder *decoder, const struct record *record, const char *payload,
                       size_t len, struct event *event)
{
    struct text text = {.bytes = decoder->path};
    const struct written written = {.walked = payload,
                                    .walked_len = record->walked,
                                    .name = payload + record->walked,
                                    .name_len = len - record->walked,
                                    .marks = record->marks,
                                    .inode = record->inode};

    if (len > PAYLOAD_BYTES || record->walked > len)
        return -EBADMSG;
    put_written(&text, &written);
    event->path = text.bytes;
    event->path_len = text.len;
    event->path_cut = record->marks & MARK_CUT || is_unread(record->marks, record->fd);
    return 0;
}

/* ---- Calls that are no opens ----------------------------------------------------------------- */

/* The text of a symbolic link stands for itself. */
static void decode_destination(struct decoder *decoder, const struct record *record,
                               const char *payload, size_t len, struct event *event)
{
    size_t walked = record->destination_walked;
    unsigned int marks = record->destination_marks;
    struct text text = {.bytes = decoder->destination};

    if (trace_call_code(record->call) == EVENT_SYMLINK)
        append(&text, payload, len);
    else
        put_written(&text, &(struct written){payload, payload + walked, walked, len - walked, marks,
                                             record->path_inode});
    event->destination = text.bytes;
    event->destination_len = text.len;
    event->path_cut |= marks & MARK_CUT || is_unread(marks, record->fd);
}

static int decode_call(struct decoder *decoder, const struct record *record, const char *payload,
                       size_t len, struct event *event)
{
    size_t first = (size_t)record->walked + record->named;
    struct record path = *record;

    if (record->call >= TRACED_COUNT || first > len || len - first > PAYLOAD_BYTES ||
        record->destination_walked > len - first)
        return -EBADMSG;
    trace_call_fill(event, record->call, record->fd, record->mode);
    event->is_matched = record->marks & MARK_WANTED;
    path.inode = record->path_inode;
    if (decode_path(decoder, &path, payload, first, event) < 0)
        return -EBADMSG;
    if (trace_call_has_destination(record->call))
        decode_destination(decoder, record, payload + first, len - first, event);
    return 0;
}

/* ---- Records --------------------------------------------------------------------------------- */

static void decode_flags(const struct record *record, struct event *event)
{
    event->flags = record->flags;
    if (record->flags & WILL_CREATE)
        event->mode = record->mode & 07777;
}

/* An exec closed the descriptors whose bit is not set. */
static void decode_exec(struct decoder *decoder, const struct record *record, struct event *event)
{
    bool closed = false;
    size_t n = 0;

    for (unsigned int i = 0; i < FDS_OF_EXEC; i++) {
        bool open = record->open >> i & 1;

        if (!open && !closed)
            decoder->ranges[n++].first = record->first + i;
        if (!open)
            decoder->ranges[n - 1].last = record->first + i;
        closed = !open;
    }
    event->ranges = decoder->ranges;
    event->n_ranges = n;
}

/* The name that the program gave the call, after the path in the payload. */
static void decode_given(struct decoder *decoder, const struct record *record, const char *payload,
                         size_t len)
{
    size_t size = len - record->walked;

    if (!decoder->has_facts || !(decoder->facts.known & FACT(GIVEN)) || size > PATH_BYTES)
        return;
    memcpy(decoder->given, payload + record->walked, size);
    decoder->given[size] = '\0';
    decoder->facts.given = decoder->given;
}

/* Empty arguments at the end are room that is left of overwritten ones. */
static int decode_arguments(struct decoder *decoder, const struct record *record,
                            const char *payload, size_t len, struct event *event)
{
    struct text text = {.bytes = decoder->path};

    if (len > ARGUMENTS_BYTES)
        return -EBADMSG;
    if (record->marks & MARK_NONE)
        return 0;
    while (len > 0 && payload[len - 1] == '\0')
        len--;
    append(&text, payload, len);
    for (size_t i = 0; i < len; i++)
        if (text.bytes[i] == '\0')
            text.bytes[i] = ' ';
    event->path = text.bytes;
    event->path_len = text.len;
    return 0;
}

static int decode_bytes(struct decoder *decoder, const char *payload, size_t len,
                        struct event *event)
{
    const struct record_bytes *bytes = (const void *)payload;

    if (len < sizeof(*bytes))
        return -EBADMSG;
    decoder->facts = (struct event_facts){
        .known = FACT(BYTES),
        .bytes = {.read = bytes->read,
                  .written = bytes->written,
                  .reads = bytes->reads,
                  .writes = bytes->writes,
                  .mapped = bytes->mapped != 0},
    };
    event->facts = &decoder->facts;
    return 0;
}

static int decode_rest(struct decoder *decoder, const struct record *record, const char *payload,
                       size_t len, struct event *event)
{
    switch (record->kind) {
    case RECORD_RECEIVED: /* what it was opened with, but for a mode */
        event->flags = record->flags;
        return decode_path(decoder, record, payload, len, event);
    case RECORD_OPEN:
        if (record->walked > len)
            return -EBADMSG;
        decode_flags(record, event);
        decode_given(decoder, record, payload, len);
        return decode_path(decoder, record, payload, record->walked, event);
    case RECORD_FAIL:
        if (record->walked > len)
            return -EBADMSG;
        decode_flags(record, event);
        decode_given(decoder, record, payload, len);
        return decode_path(decoder, record, payload, len, event);
    case RECORD_HELD:
        if (record->walked > len)
            return -EBADMSG;
        decode_flags(record, event);
        return decode_path(decoder, record, payload, record->walked, event);
    case RECORD_CALL:
        return decode_call(decoder, record, payload, len, event);
    case RECORD_BYTES:
        return decode_bytes(decoder, payload, len, event);
    case RECORD_EXECUTABLE:
    case RECORD_PROGRAM:
        return decode_path(decoder, record, payload, len, event);
    case RECORD_ARGUMENTS:
        return decode_arguments(decoder, record, payload, len, event);
    case RECORD_CLOSE_RANGE:
        decoder->ranges[0] = (struct fd_range){record->first, record->last};
        event->ranges = decoder->ranges;
        event->n_ranges = 1;
        return 0;
    case RECORD_DUP:
    case RECORD_DUP2:
        event->origin = record->origin;
        event->origin_reused = record->marks & MARK_GONE;
        return 0;
    case RECORD_DUP_PATH:
    case RECORD_DUP2_PATH:
        event->origin = record->origin;
        event->origin_reused = record->marks & MARK_GONE;
        return decode_path(decoder, record, payload, len, event);
    case RECORD_EXEC:
        decode_exec(decoder, record, event);
        return 0;
    default:
        return 0;
    }
}

/*
 * The time by which a record is dated: not before that of the thread's previous record.
 *
 * A thread delivers nearly all of its records itself, in the order of their times.  The others are
 * delivered on another CPU, in the name of the thread, while it delivers its own:
 *
 * The end of a table can be found long after the last thread has left it, and has the time at which
 * that thread exited.  If it was the first of its process, another thread can have executed a
 * program since, and so have got its number.
 *
 * A descriptor that the scan has found, or what a worker of io_uring does in the name of the first
 * thread: the clock is read a moment before or after the record gets its place in the ring buffer.
 *
 * A record without a thread, or whose thread has no number here, has tid 0.
 */
static uint64_t time_in_order(struct decoder *decoder, const struct record *record)
{
    struct thread_time *last = &decoder->last[record->tid % DATED_THREADS];

    if (record->tid == 0)
        return record->time;
    if (last->tid != record->tid || last->time < record->time)
        *last = (struct thread_time){record->tid, record->time};
    return last->time;
}

static int decode_after_facts(struct decoder *decoder, const void *data, size_t size,
                              struct event *event)
{
    const struct record *record = data;
    int64_t epoch_ns;

    if (size < RECORD_HEAD || record->kind >= N_KINDS || size < kinds[record->kind].size)
        return -EBADMSG;
    epoch_ns = decoder->epoch_ns + decoder->clock_offset_ns;
    *event = (struct event){
        /* All members: if some are missing, the compiler clears all first, which takes longer. */
        .code = kinds[record->kind].code,
        .reason = kinds[record->kind].reason,
        .pid = (pid_t)record->pid,
        .ppid = (pid_t)record->ppid,
        .tid = (pid_t)record->tid,
        .table = record->table,
        .comm = record->comm,
        .fd = record->fd,
        .mono_ns = record->time + (uint64_t)decoder->clock_offset_ns,
        .date_us = (epoch_ns + (int64_t)time_in_order(decoder, record)) / 1000,
        .mode = EVENT_NO_MODE,
        .path = NULL,
        .path_len = 0,
        .destination = NULL,
        .destination_len = 0,
        .path_cut = false,
        .is_matched = false,
        .call = NULL,
        .flags = 0,
        .origin = 0,
        .origin_reused = false,
        .duration_ns = 0,
        .lost = 0,
        .ranges = NULL,
        .n_ranges = 0,
        .facts = NULL,
    };
    return decode_rest(decoder, record, (const char *)(record + 1), size - kinds[record->kind].size,
                       event);
}

static void decode_facts(struct decoder *decoder, const struct record_facts *facts)
{
    decoder->facts = (struct event_facts){
        .known = facts->known,
        .user = facts->user,
        .mounts = facts->mounts,
        .group = facts->group,
        .executable = facts->executable,
        .file = {.major = facts->device >> DEVICE_MINOR_BITS,
                 .minor = facts->device & ((1u << DEVICE_MINOR_BITS) - 1),
                 .inode = facts->inode}};
}

int decode_record(struct decoder *decoder, const void *data, size_t size, struct event *event)
{
    const struct record_facts *facts = data;
    int result;

    if (!decoder->has_facts)
        return decode_after_facts(decoder, data, size, event);
    if (size < sizeof(*facts))
        return -EBADMSG;
    decode_facts(decoder, facts);
    result = decode_after_facts(decoder, facts + 1, size - sizeof(*facts), event);
    event->facts = &decoder->facts;
    return result;
}
