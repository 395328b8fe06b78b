/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event/event.h"

#include <asm/fcntl.h> /* the kernel's values: in glibc's <fcntl.h> O_LARGEFILE is 0 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "compat.h"

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

#define ONLY(code) (1u << EVENT_##code)
#define EVERY ((1u << EVENT_RECORDS) - 1)
#define OF_PROCESS (EVERY & ~ONLY(LOST))
#define OF_OPENED (ONLY(OPEN) | ONLY(CLOSE) | ONLY(DUP) | ONLY(HELD) | ONLY(ERROR))
#define OF_FILE (OF_OPENED | ONLY(EXEC))
#define OF_TWO_PATHS (ONLY(RENAME) | ONLY(LINK) | ONLY(SYMLINK))
#define OF_MODE (ONLY(OPEN) | ONLY(FAIL) | ONLY(MKDIR) | ONLY(MKNOD) | ONLY(CHMOD))

int64_t event_integer(uint64_t number)
{
    return number < INTEGER_MAX ? (int64_t)number : INTEGER_MAX;
}

bool event_is_integer(uint64_t number)
{
    return number <= INTEGER_MAX;
}

static int64_t get_pid(const struct event *event)
{
    return event->pid;
}

static bool set_pid(struct event *event, int64_t value)
{
    event->pid = (pid_t)value;
    return value >= 0 && value <= INT_MAX;
}

static int64_t get_ppid(const struct event *event)
{
    return event->ppid;
}

static bool set_ppid(struct event *event, int64_t value)
{
    event->ppid = (pid_t)value;
    return value >= 0 && value <= INT_MAX;
}

static int64_t get_tid(const struct event *event)
{
    return event->tid;
}

static bool set_tid(struct event *event, int64_t value)
{
    event->tid = (pid_t)value;
    return value >= 0 && value <= INT_MAX;
}

static int64_t get_fd(const struct event *event)
{
    return event->fd;
}

static bool set_fd(struct event *event, int64_t value)
{
    event->fd = (int)value;
    return value >= INT_MIN && value <= INT_MAX;
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

static bool set_date_us(struct event *event, int64_t value)
{
    event->date_us = value;
    return value >= 0 && value <= INTEGER_MAX;
}

static int64_t get_duration(const struct event *event)
{
    return event_integer(event->duration_ns);
}

static bool set_duration(struct event *event, int64_t value)
{
    event->duration_ns = (uint64_t)value;
    return value >= 0 && value <= INTEGER_MAX;
}

static int64_t get_origin(const struct event *event)
{
    return event->origin;
}

static bool set_origin(struct event *event, int64_t value)
{
    event->origin = (int)value;
    return value >= 0 && value <= INT_MAX;
}

static int64_t get_lost(const struct event *event)
{
    return event_integer(event->lost);
}

static bool set_lost(struct event *event, int64_t value)
{
    event->lost = (uint64_t)value;
    return value >= 0 && value <= INTEGER_MAX;
}

static int64_t get_user(const struct event *event)
{
    return event->facts->user;
}

static bool set_user(struct event *event, int64_t value)
{
    event->facts->user = (uid_t)value;
    event->facts->known |= FACT(USER);
    return value >= 0 && value <= UINT32_MAX;
}

static int64_t get_mounts(const struct event *event)
{
    return event->facts->mounts;
}

static bool set_mounts(struct event *event, int64_t value)
{
    event->facts->mounts = (uint32_t)value;
    event->facts->known |= FACT(MOUNTS);
    return value >= 0 && value <= UINT32_MAX;
}

static int64_t get_inode(const struct event *event)
{
    return event_integer(event->facts->file.inode);
}

static bool set_inode(struct event *event, int64_t value)
{
    event->facts->file.inode = (uint64_t)value;
    event->facts->known |= FACT(FILE);
    return value >= 0 && value <= INTEGER_MAX;
}

/* -1: the record that was read lacks it. */
static int64_t get_count(uint64_t count)
{
    return count == EVENT_NO_COUNT ? -1 : event_integer(count);
}

static bool set_count(struct event *event, uint64_t *count, int64_t value)
{
    *count = (uint64_t)value;
    event->facts->known |= FACT(BYTES);
    return value >= 0 && value <= INTEGER_MAX;
}

static int64_t get_read(const struct event *event)
{
    return get_count(event->facts->bytes.read);
}

static bool set_read(struct event *event, int64_t value)
{
    return set_count(event, &event->facts->bytes.read, value);
}

static int64_t get_written(const struct event *event)
{
    return get_count(event->facts->bytes.written);
}

static bool set_written(struct event *event, int64_t value)
{
    return set_count(event, &event->facts->bytes.written, value);
}

static int64_t get_reads(const struct event *event)
{
    return get_count(event->facts->bytes.reads);
}

static bool set_reads(struct event *event, int64_t value)
{
    return set_count(event, &event->facts->bytes.reads, value);
}

static int64_t get_writes(const struct event *event)
{
    return get_count(event->facts->bytes.writes);
}

static bool set_writes(struct event *event, int64_t value)
{
    return set_count(event, &event->facts->bytes.writes, value);
}

static int64_t get_mapped(const struct event *event)
{
    const struct event_bytes *bytes = &event->facts->bytes;

    return bytes->mapped_is_missing ? -1 : bytes->mapped;
}

static bool set_mapped(struct event *event, int64_t value)
{
    struct event_bytes *bytes = &event->facts->bytes;

    bytes->mapped = value != 0;
    bytes->mapped_is_missing = false;
    event->facts->known |= FACT(BYTES);
    return true;
}

const char **event_text(const struct field *field, struct event_facts *facts)
{
    return (const char **)((char *)facts + field->text);
}

size_t event_texts_size(struct event_facts *facts)
{
    size_t size = 0;

    for (size_t i = 0; facts != NULL && i < field_count; i++) {
        const char *text = field_table[i].kind == FIELD_TEXT ? *event_text(&field_table[i], facts)
                                                             : NULL;

        size += text != NULL ? strlen(text) : 0;
    }
    return size;
}

const struct field field_table[] = {
    {"codigo", FIELD_CODE, EVERY, NULL,
     "what happened: open, close, dup, fail, held, error, lost,\n"
     "exec, rename, link, symlink, unlink, mkdir, rmdir, mknod,\n"
     "chmod, chown, truncate, utimes, setxattr",
     .columns = -5},
    {"proceso", FIELD_COMM, OF_PROCESS, NULL, "name of the process (its comm) at the time",
     .columns = -15},
    {"pid", FIELD_INT, OF_PROCESS, get_pid, "process id", .set = set_pid, .columns = 7},
    {"ppid", FIELD_INT, OF_PROCESS, get_ppid, "process id of the parent", .set = set_ppid,
     .columns = 7},
    {"tid", FIELD_INT, OF_PROCESS, get_tid, "thread id", .set = set_tid, .columns = 7},
    {"fichero", FIELD_PATH, OF_PROCESS, NULL, "path of the file; in fail, the name given",
     .columns = 0},
    {"descriptor", FIELD_FD, OF_OPENED | ONLY(FAIL), get_fd,
     "descriptor; in fail, the negative errno", .set = set_fd, .columns = 5},
    {"date", FIELD_DATE, EVERY, get_date, "ms since the epoch; in close, ms it was open",
     .columns = -12},
    {"date_us", FIELD_INT, EVERY, get_date_us, "µs since the epoch", .set = set_date_us,
     .columns = 16},
    {"flags", FIELD_FLAGS, ONLY(OPEN) | ONLY(HELD) | ONLY(FAIL), NULL, "O_* flags of the open",
     .columns = -18},
    {"modo", FIELD_MODE, OF_MODE, NULL,
     "octal mode, with O_CREAT or O_TMPFILE; of mkdir, mknod, chmod", .columns = -6},
    {"errno", FIELD_ERRNO, ONLY(FAIL), NULL, "name of the error", .columns = -12},
    {"duracion_ns", FIELD_DURATION, ONLY(CLOSE), get_duration, "ns it was open",
     .set = set_duration, .columns = 7},
    {"motivo", FIELD_REASON, ONLY(OPEN) | ONLY(CLOSE), NULL,
     "close, close_range, dup2, exec, exit; in open, received", .columns = -11},
    {"origen", FIELD_INT, ONLY(DUP), get_origin, "descriptor it was copied from", .set = set_origin,
     .columns = 5},
    {"fichero_hex", FIELD_PATH_HEX, OF_PROCESS, NULL, "bytes of a path that is not valid UTF-8",
     .columns = 0},
    {"perdidos", FIELD_INT, ONLY(LOST), get_lost, "events lost since the last such record",
     .set = set_lost, .columns = 7},
    {"leidos", FIELD_COUNT, ONLY(CLOSE), get_read, "bytes read through the descriptor; with -b",
     .set = set_read, .columns = 10, .on_request = true, .facts = FACT(BYTES)},
    {"escritos", FIELD_COUNT, ONLY(CLOSE), get_written,
     "bytes written through the descriptor; with -b", .set = set_written, .columns = 10,
     .on_request = true, .facts = FACT(BYTES)},
    {"lecturas", FIELD_COUNT, ONLY(CLOSE), get_reads, "calls that read; with -b", .set = set_reads,
     .columns = 8, .on_request = true, .facts = FACT(BYTES)},
    {"escrituras", FIELD_COUNT, ONLY(CLOSE), get_writes, "calls that wrote; with -b",
     .set = set_writes, .columns = 10, .on_request = true, .facts = FACT(BYTES)},
    {"mapeado", FIELD_BOOL, ONLY(CLOSE), get_mapped, "whether it was mapped (mmap); with -b",
     .set = set_mapped, .columns = -7, .on_request = true, .facts = FACT(BYTES)},
    {"destino", FIELD_DESTINATION, OF_TWO_PATHS | ONLY(FAIL), NULL,
     "the other path of rename, link, symlink", .columns = 0},
    {"destino_hex", FIELD_DESTINATION_HEX, OF_TWO_PATHS | ONLY(FAIL), NULL,
     "its bytes, if it is not valid UTF-8", .columns = 0},
    {"llamada", FIELD_CALL, ONLY(FAIL), NULL, "the call that failed, if it is no open",
     .columns = -12},
    {"maquina", FIELD_HOST, EVERY, NULL, "name of the machine, with --host", .columns = -16},
    {"fecha", FIELD_ISO_DATE, EVERY, NULL, "date and time in UTC, ISO 8601; only with -F",
     .columns = -27, .on_request = true},
    {"uid", FIELD_INT, OF_PROCESS, get_user, "effective user of the thread; only with -F",
     .set = set_user, .columns = 7, .on_request = true, .facts = FACT(USER)},
    {"usuario", FIELD_TEXT, OF_PROCESS, NULL, "the name of that user; only with -F", .columns = -10,
     .on_request = true, .facts = FACT(USER), .text = offsetof(struct event_facts, user_name)},
    {"ejecutable", FIELD_TEXT, OF_PROCESS, NULL, "path of its program; only with -F",
     .columns = -24, .on_request = true, .facts = FACT(EXECUTABLE),
     .text = offsetof(struct event_facts, executable_path)},
    {"argumentos", FIELD_TEXT, OF_PROCESS, NULL,
     "command line of the process, up to 4,096 bytes; only with -F", .columns = -40,
     .on_request = true, .facts = FACT(ARGUMENTS), .text = offsetof(struct event_facts, arguments)},
    {"mnt_ns", FIELD_INT, OF_PROCESS, get_mounts,
     "inode of the thread's mount namespace; only with -F", .set = set_mounts, .columns = 10,
     .on_request = true, .facts = FACT(MOUNTS)},
    {"cgroup", FIELD_TEXT, OF_PROCESS, NULL, "path of its control group; only with -F",
     .columns = -40, .on_request = true, .facts = FACT(GROUP),
     .text = offsetof(struct event_facts, group_path)},
    {"dispositivo", FIELD_DEVICE, OF_FILE, NULL, "device of the file, like 8:1; only with -F",
     .columns = -7, .on_request = true, .facts = FACT(FILE)},
    {"inodo", FIELD_INODE, OF_FILE, get_inode, "inode of the file; only with -F", .set = set_inode,
     .columns = 10, .on_request = true, .facts = FACT(FILE)},
    {"pedido", FIELD_TEXT, ONLY(OPEN) | ONLY(FAIL), NULL,
     "the name as the program gave it; only with -F", .columns = -24, .on_request = true,
     .facts = FACT(GIVEN), .text = offsetof(struct event_facts, given)},
    {"retorno", FIELD_TEXT, ONLY(CLOSE), NULL, "name of the error of the close; only with -F",
     .columns = -12, .on_request = true, .facts = FACT(RESULT),
     .text = offsetof(struct event_facts, result)},
};
_Static_assert(LENGTH(field_table) <= FIELDS_MAX, "FIELDS_MAX holds every field");
const size_t field_count = LENGTH(field_table);

const char *event_code_name(enum event_code code)
{
    static const char *const names[EVENT_RECORDS] = {
        [EVENT_OPEN] = "open",     [EVENT_CLOSE] = "close",       [EVENT_DUP] = "dup",
        [EVENT_FAIL] = "fail",     [EVENT_HELD] = "held",         [EVENT_ERROR] = "error",
        [EVENT_LOST] = "lost",     [EVENT_EXEC] = "exec",         [EVENT_RENAME] = "rename",
        [EVENT_LINK] = "link",     [EVENT_SYMLINK] = "symlink",   [EVENT_UNLINK] = "unlink",
        [EVENT_MKDIR] = "mkdir",   [EVENT_RMDIR] = "rmdir",       [EVENT_MKNOD] = "mknod",
        [EVENT_CHMOD] = "chmod",   [EVENT_CHOWN] = "chown",       [EVENT_TRUNCATE] = "truncate",
        [EVENT_UTIMES] = "utimes", [EVENT_SETXATTR] = "setxattr",
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

int event_code_of(const char *name)
{
    for (int code = 0; code < EVENT_RECORDS; code++)
        if (strcmp(event_code_name((enum event_code)code), name) == 0)
            return code;
    return -1;
}

enum event_reason event_reason_of(const char *name)
{
    enum event_reason reason = 0;

    while (reason < REASON_COUNT && strcmp(event_reason_name(reason), name) != 0)
        reason++;
    return reason;
}

const char *event_errno_name(int error, char buf[static 16])
{
    const char *name = error > 0 ? strerrorname_np(error) : NULL;

    if (name != NULL)
        return name;
    snprintf(buf, 16, "E%d", error);
    return buf;
}

bool event_is_host(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-";
    size_t len = strlen(name);

    return len > 0 && len <= HOST_NAME_MAX && strspn(name, allowed) == len;
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

static const char *const access_modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

char *event_flags_string(uint64_t flags, char buf[static EVENT_FLAGS_SIZE])
{
    uint64_t left = flags & ~(uint64_t)(O_ACCMODE | O_LARGEFILE);
    char *end = stpcpy(buf, access_modes[flags & O_ACCMODE]);

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

static bool is_word(const char *word, const char *text, size_t len)
{
    return strncmp(word, text, len) == 0 && word[len] == '\0';
}

/* The bits that one of the words between '|' stands for; 0: none. */
static uint64_t bits_of(const char *text, size_t len)
{
    char *end;
    uint64_t bits;

    for (size_t i = 0; i < LENGTH(flag_table); i++)
        if (is_word(flag_table[i].name, text, len))
            return flag_table[i].bits;
    if (strncmp(text, "0x", 2) != 0)
        return 0;
    bits = strtoull(text, &end, 16);
    return end == text + len ? bits : 0;
}

bool event_flags_of(const char *text, uint64_t *flags)
{
    size_t len = strcspn(text, "|");
    uint64_t mode = 0, bits = 1;

    while (mode < LENGTH(access_modes) && !is_word(access_modes[mode], text, len))
        mode++;
    *flags = mode;
    for (text += len; bits != 0 && *text == '|'; text += len) {
        len = strcspn(++text, "|");
        bits = bits_of(text, len);
        *flags |= bits;
    }
    return mode < LENGTH(access_modes) && bits != 0;
}
