/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/event.h"

#include <asm/fcntl.h> /* the kernel's values: in glibc's <fcntl.h> O_LARGEFILE is 0 */
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "compat.h"

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

#define ONLY(code) (1u << EVENT_##code)
#define EVERY ((1u << EVENT_RECORDS) - 1)
#define OF_PROCESS (EVERY & ~ONLY(LOST))

int64_t event_integer(uint64_t number)
{
    return number < INTEGER_MAX ? (int64_t)number : INTEGER_MAX;
}

static int64_t get_pid(const struct event *event)
{
    return event->pid;
}

static int64_t get_ppid(const struct event *event)
{
    return event->ppid;
}

static int64_t get_tid(const struct event *event)
{
    return event->tid;
}

static int64_t get_fd(const struct event *event)
{
    return event->fd;
}

/* In a close, how long the file was open, as in the script of 2011. */
static int64_t get_date(const struct event *event)
{
    if (event->code == EVENT_CLOSE)
        return event_integer(event->duration_ns / 1000000);
    return event->date_us / 1000;
}

static int64_t get_date_us(const struct event *event)
{
    return event->date_us;
}

static int64_t get_duration(const struct event *event)
{
    return event_integer(event->duration_ns);
}

static int64_t get_origin(const struct event *event)
{
    return event->origin;
}

static int64_t get_lost(const struct event *event)
{
    return event_integer(event->lost);
}

const struct field field_table[] = {
    {"codigo", FIELD_CODE, EVERY, NULL, "what happened: open, close, dup, fail, held, error, lost",
     .columns = -5},
    {"proceso", FIELD_COMM, OF_PROCESS, NULL, "name of the process (its comm) at the time",
     .columns = -15},
    {"pid", FIELD_INT, OF_PROCESS, get_pid, "process id", .columns = 7},
    {"ppid", FIELD_INT, OF_PROCESS, get_ppid, "process id of the parent", .columns = 7},
    {"tid", FIELD_INT, OF_PROCESS, get_tid, "thread id", .columns = 7},
    {"fichero", FIELD_PATH, OF_PROCESS, NULL, "path of the file; in fail, the name given",
     .columns = 0},
    {"descriptor", FIELD_FD, OF_PROCESS, get_fd, "descriptor; in fail, the negative errno",
     .columns = 5},
    {"date", FIELD_DATE, EVERY, get_date, "ms since the epoch; in close, ms it was open",
     .columns = -12},
    {"date_us", FIELD_INT, EVERY, get_date_us, "µs since the epoch", .columns = 16},
    {"flags", FIELD_FLAGS, ONLY(OPEN) | ONLY(HELD) | ONLY(FAIL), NULL, "O_* flags of the open",
     .columns = -18},
    {"modo", FIELD_MODE, ONLY(OPEN) | ONLY(FAIL), NULL, "octal mode, with O_CREAT or O_TMPFILE",
     .columns = -6},
    {"errno", FIELD_ERRNO, ONLY(FAIL), NULL, "name of the error", .columns = -12},
    {"duracion_ns", FIELD_DURATION, ONLY(CLOSE), get_duration, "ns it was open", .columns = 7},
    {"motivo", FIELD_REASON, ONLY(OPEN) | ONLY(CLOSE), NULL,
     "close, close_range, dup2, exec, exit; in open, received", .columns = -11},
    {"origen", FIELD_INT, ONLY(DUP), get_origin, "descriptor it was copied from", .columns = 5},
    {"fichero_hex", FIELD_PATH_HEX, OF_PROCESS, NULL, "bytes of a path that is not valid UTF-8",
     .columns = 0},
    {"perdidos", FIELD_INT, ONLY(LOST), get_lost, "events lost since the last such record",
     .columns = 7},
    {"fecha", FIELD_ISO_DATE, EVERY, NULL, "date and time in UTC, ISO 8601; only with -F",
     .columns = -27, .on_request = true},
};
_Static_assert(LENGTH(field_table) <= FIELDS_MAX, "FIELDS_MAX holds every field");
const size_t field_count = LENGTH(field_table);

const char *event_code_name(enum event_code code)
{
    static const char *const names[EVENT_RECORDS] = {
        [EVENT_OPEN] = "open", [EVENT_CLOSE] = "close", [EVENT_DUP] = "dup",
        [EVENT_FAIL] = "fail", [EVENT_HELD] = "held",   [EVENT_ERROR] = "error",
        [EVENT_LOST] = "lost",
    };
    return names[code];
}

const char *event_reason_name(enum event_reason reason)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_CLOSE] = "close", [REASON_CLOSE_RANGE] = "close_range",
        [REASON_DUP2] = "dup2",   [REASON_EXEC] = "exec",
        [REASON_EXIT] = "exit",   [REASON_RECEIVED] = "received",
    };
    return names[reason];
}

const char *event_errno_name(int error, char buf[static 16])
{
    const char *name = error > 0 ? strerrorname_np(error) : NULL;

    if (name != NULL)
        return name;
    snprintf(buf, 16, "E%d", error);
    return buf;
}

struct flag {
    uint32_t bits;
    const char *name;
};

/* A value of several bits comes before the values that it includes. */
static const struct flag flag_table[] = {
    {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},       {O_NOCTTY, "O_NOCTTY"},
    {O_TRUNC, "O_TRUNC"},       {O_APPEND, "O_APPEND"},   {O_NONBLOCK, "O_NONBLOCK"},
    {O_SYNC, "O_SYNC"},         {O_DSYNC, "O_DSYNC"},     {FASYNC, "O_ASYNC"},
    {O_DIRECT, "O_DIRECT"},     {O_TMPFILE, "O_TMPFILE"}, {O_DIRECTORY, "O_DIRECTORY"},
    {O_NOFOLLOW, "O_NOFOLLOW"}, {O_NOATIME, "O_NOATIME"}, {O_CLOEXEC, "O_CLOEXEC"},
    {O_PATH, "O_PATH"},
};

char *event_flags_string(uint64_t flags, char buf[static EVENT_FLAGS_SIZE])
{
    static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    uint64_t left = flags & ~(uint64_t)(O_ACCMODE | O_LARGEFILE);
    char *end = stpcpy(buf, modes[flags & O_ACCMODE]);

    for (size_t i = 0; left != 0 && i < LENGTH(flag_table); i++) {
        if ((left & flag_table[i].bits) != flag_table[i].bits)
            continue;
        *end++ = '|';
        end = stpcpy(end, flag_table[i].name);
        left &= ~(uint64_t)flag_table[i].bits;
    }
    if (left != 0)
        sprintf(end, "|%#llx", (unsigned long long)left);
    return buf;
}
