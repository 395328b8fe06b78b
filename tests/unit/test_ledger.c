/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "random.h"

/*
 * This file includes the source of the ledger, with an allocator that counts the memory in use,
 * glibc's overhead included, and that can fail.
 */
static size_t bytes_in_use;
static unsigned int fail_one_in; /* 0: never */

#define BLOCK_HEAD 16

static void *counted_realloc(void *old, size_t size)
{
    char *block = old != NULL ? (char *)old - BLOCK_HEAD : NULL;
    size_t before = block != NULL ? *(size_t *)(void *)block : 0, taken = (size + 8 + 15) / 16 * 16;

    if (fail_one_in != 0 && random_below(fail_one_in) == 0)
        return NULL;
    char *moved = realloc(block, size + BLOCK_HEAD);
    assert_non_null(moved);
    *(size_t *)(void *)moved = taken;
    bytes_in_use += taken - before;
    return moved + BLOCK_HEAD;
}

static void *counted_calloc(size_t count, size_t size)
{
    void *block = counted_realloc(NULL, count * size);

    return block != NULL ? memset(block, 0, count * size) : NULL;
}

static void counted_free(void *block)
{
    if (block == NULL)
        return;
    bytes_in_use -= *(size_t *)(void *)((char *)block - BLOCK_HEAD);
    free((char *)block - BLOCK_HEAD);
}

#define malloc(size) counted_realloc(NULL, size)
#define calloc(count, size) counted_calloc(count, size)
#define realloc(old, size) counted_realloc(old, size)
#define free(block) counted_free(block)
#define ledger_new counted_ledger_new
#define ledger_free counted_ledger_free
#define ledger_take counted_ledger_take
#define ledger_held counted_ledger_held
#include "event/ledger.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

/* The emitted records, one on each line: "open 5 /etc/hosts", "close 5 /etc/hosts exit 20". */
static char *emitted;
static size_t emitted_size;
static FILE *emitted_to;
static struct event last;

static void print_record(FILE *to, const struct event *record)
{
    fprintf(to, "%s %d", event_code_name(record->code), record->fd);
    if (record->code != EVENT_LOST)
        fprintf(to, " %s", record->path);
    if (record->code == EVENT_CLOSE)
        fprintf(to, " %s %ju", event_reason_name(record->reason), (uintmax_t)record->duration_ns);
    if (record->code == EVENT_DUP)
        fprintf(to, " of %d", record->origin);
    fputc('\n', to);
}

static void emit_line(void *ctx, const struct event *record)
{
    (void)ctx;
    if (record->path != NULL)
        assert_int_equal(record->path_len, strlen(record->path));
    last = *record;
    last.path = NULL;
    print_record(emitted_to, record);
}

static void emit_nothing(void *ctx, const struct event *record)
{
    (void)record;
    ++*(size_t *)ctx;
}

static int set_up(void **state)
{
    emitted_to = open_memstream(&emitted, &emitted_size);
    *state = counted_ledger_new(emit_line, NULL, false);
    return *state == NULL;
}

static int set_up_counting(void **state)
{
    emitted_to = open_memstream(&emitted, &emitted_size);
    *state = counted_ledger_new(emit_line, NULL, true);
    return *state == NULL;
}

static int tear_down(void **state)
{
    counted_ledger_free(*state);
    fclose(emitted_to);
    free(emitted);
    return bytes_in_use != 0;
}

/* Compares the records emitted since the last call. */
static void assert_emitted(const char *expected)
{
    fflush(emitted_to);
    assert_string_equal(emitted, expected);
    rewind(emitted_to);
    memset(emitted, 0, emitted_size);
    fflush(emitted_to);
}

static uint64_t now_ns;

static struct event event_of(enum event_code code, pid_t pid, int fd)
{
    return (struct event){.code = code,
                          .pid = pid,
                          .ppid = 1,
                          .tid = pid,
                          .table = (uint64_t)pid,
                          .comm = "comm",
                          .fd = fd,
                          .reason = REASON_CLOSE,
                          .mono_ns = now_ns};
}

static void open_fd(struct ledger *ledger, pid_t pid, int fd, const char *path)
{
    struct event event = event_of(EVENT_OPEN, pid, fd);

    event.path = path;
    event.path_len = strlen(path);
    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

static void close_fd(struct ledger *ledger, pid_t pid, int fd)
{
    struct event event = event_of(EVENT_CLOSE, pid, fd);

    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

static void dup_fd(struct ledger *ledger, pid_t pid, int origin, int fd, enum event_reason reason)
{
    struct event event = event_of(EVENT_DUP, pid, fd);

    event.origin = origin;
    event.reason = reason;
    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

static void take_ranges(struct ledger *ledger, enum event_code code, pid_t pid,
                        const struct fd_range *ranges, size_t count)
{
    struct event event = event_of(code, pid, -1);

    event.reason = REASON_CLOSE_RANGE;
    event.ranges = ranges;
    event.n_ranges = count;
    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

static void end(struct ledger *ledger, pid_t pid)
{
    struct event event = event_of(EVENT_EXIT, pid, -1);

    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

static void close_is_paired_with_open(void **state)
{
    now_ns = 1000;
    open_fd(*state, 10, 3, "/etc/hosts");
    assert_int_equal(counted_ledger_held(*state), 1);
    now_ns = 3500;
    close_fd(*state, 10, 3);
    assert_emitted(
        "open 3 /etc/hosts\n"
        "close 3 /etc/hosts close 2500\n");
    assert_int_equal(counted_ledger_held(*state), 0);
    close_fd(*state, 10, 3);
    assert_emitted("");
}

/* The thread's are those of the event, and the file's those of its open. */
static void facts_are_those_of_the_thread_and_of_the_file(void **state)
{
    struct event_facts opener = {FACT(USER) | FACT(FILE) | FACT(GIVEN), .user = 1,
                                 .file = {8, 1, 733}, .given = "a"};
    struct event_facts closer = {FACT(USER) | FACT(GIVEN), .user = 2, .given = "b"};
    struct event event = event_of(EVENT_OPEN, 10, 3);

    event.path = "/a";
    event.path_len = 2;
    event.facts = &opener;
    assert_int_equal(counted_ledger_take(*state, &event), 0);
    assert_ptr_equal(last.facts, &opener);
    opener.file = (struct event_file){0, 0, 1}; /* of another open */
    event = event_of(EVENT_DUP, 10, 4);
    event.origin = 3;
    event.facts = &closer;
    assert_int_equal(counted_ledger_take(*state, &event), 0);
    assert_int_equal(last.facts->known, FACT(USER) | FACT(FILE));
    assert_int_equal(last.facts->file.inode, 733);
    event = event_of(EVENT_OPEN, 10, 3);
    event.path = "/b";
    event.path_len = 2;
    event.facts = &opener;
    assert_int_equal(counted_ledger_take(*state, &event), 0); /* after an ERROR of the first */
    event = event_of(EVENT_EXIT, 10, -1);
    event.facts = &closer;
    assert_int_equal(counted_ledger_take(*state, &event), 0);
    assert_int_equal(last.fd, 4);
    assert_int_equal(last.facts->user, 2);
    assert_int_equal(last.facts->file.major, 8);
    assert_int_equal(last.facts->file.minor, 1);
    assert_int_equal(last.facts->file.inode, 733);
    assert_emitted(
        "open 3 /a\n"
        "dup 4 /a of 3\n"
        "error 3 /a\n"
        "open 3 /b\n"
        "close 3 /b exit 0\n"
        "close 4 /a exit 0\n");
}

/* A descriptor whose open had no file has none later. */
static void a_file_that_is_not_known_is_not_made_up(void **state)
{
    struct event_facts facts = {FACT(USER) | FACT(FILE), .user = 2, .file = {8, 1, 733}};
    struct event event = event_of(EVENT_CLOSE, 10, 3);

    open_fd(*state, 10, 3, "/a");
    event.facts = &facts;
    assert_int_equal(counted_ledger_take(*state, &event), 0);
    assert_int_equal(last.facts->known, FACT(USER));
    assert_emitted(
        "open 3 /a\n"
        "close 3 /a close 0\n");
}

static void count_bytes(struct ledger *ledger, pid_t pid, int fd, uint64_t read, bool mapped)
{
    struct event_facts facts = {.known = FACT(BYTES),
                                .bytes = {read, 2 * read, 1, 2, .mapped = mapped}};
    struct event event = event_of(EVENT_BYTES, pid, fd);

    event.facts = &facts;
    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

/* Of the last record. */
static void assert_bytes(uint64_t read, uint64_t reads, bool mapped)
{
    const struct event_bytes *bytes = &last.facts->bytes;

    assert_int_equal(last.facts->known, FACT(BYTES));
    assert_int_equal(bytes->read, read);
    assert_int_equal(bytes->written, 2 * read);
    assert_int_equal(bytes->reads, reads);
    assert_int_equal(bytes->writes, 2 * reads);
    assert_int_equal(bytes->mapped, mapped);
}

/* They belong to one descriptor of one table until its close, and to no other record. */
static void bytes_are_in_the_close(void **state)
{
    count_bytes(*state, 10, 3, 7, true); /* not held: forgotten */
    open_fd(*state, 10, 3, "/a");
    assert_null(last.facts);
    open_fd(*state, 10, 4, "/b");
    open_fd(*state, 11, 3, "/c");
    count_bytes(*state, 10, 3, 100, false);
    count_bytes(*state, 11, 3, 5, true);
    count_bytes(*state, 10, 3, 1000, false);
    dup_fd(*state, 10, 3, 5, REASON_COUNT);
    close_fd(*state, 10, 3);
    assert_bytes(1100, 2, false);
    close_fd(*state, 10, 5);
    assert_bytes(0, 0, false);
    open_fd(*state, 10, 3, "/d");
    count_bytes(*state, 10, 4, 1, true);
    end(*state, 10);
    assert_bytes(1, 1, true); /* 4 */
    end(*state, 11);
    assert_bytes(5, 1, true);
    assert_emitted(
        "open 3 /a\n"
        "open 4 /b\n"
        "open 3 /c\n"
        "dup 5 /a of 3\n"
        "close 3 /a close 0\n"
        "close 5 /a close 0\n"
        "open 3 /d\n"
        "close 3 /d exit 0\n"
        "close 4 /b exit 0\n"
        "close 3 /c exit 0\n");
}

/* The next file of the descriptor begins at 0, though the close of the last one was missed. */
static void bytes_of_a_missed_close_are_forgotten(void **state)
{
    open_fd(*state, 10, 3, "/a");
    count_bytes(*state, 10, 3, 100, true);
    open_fd(*state, 10, 3, "/b");
    close_fd(*state, 10, 3);
    assert_bytes(0, 0, false);
    assert_emitted(
        "open 3 /a\n"
        "error 3 /a\n"
        "open 3 /b\n"
        "close 3 /b close 0\n");
}

/* Memory is that of the most descriptors that were counted at the same time. */
static void memory_of_bytes(void **state)
{
    size_t records = 0, before;
    struct ledger *ledger = counted_ledger_new(emit_nothing, &records, true);

    (void)state;
    for (int round = 0; round < 1000; round++) {
        for (int fd = 3; fd < 13; fd++) {
            open_fd(ledger, 1, fd, "/a");
            count_bytes(ledger, 1, fd, 1, false);
        }
        end(ledger, 1);
        if (round == 0)
            before = bytes_in_use;
        assert_int_equal(bytes_in_use, before);
    }
    counted_ledger_free(ledger);
}

static void records_have_process_and_time_of_the_event(void **state)
{
    struct event close = event_of(EVENT_CLOSE, 10, 3);

    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    close.ppid = 2;
    close.tid = 11;
    close.comm = "other";
    close.date_us = 77;
    assert_int_equal(counted_ledger_take(*state, &close), 0);
    assert_int_equal(last.pid, 10);
    assert_int_equal(last.ppid, 2);
    assert_int_equal(last.tid, 11);
    assert_string_equal(last.comm, "other");
    assert_int_equal(last.date_us, 77);
}

static void processes_are_separate(void **state)
{
    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    open_fd(*state, 11, 3, "/b");
    close_fd(*state, 12, 3);
    close_fd(*state, 11, 3);
    close_fd(*state, 10, 3);
    assert_emitted("open 3 /a\nopen 3 /b\nclose 3 /b close 0\nclose 3 /a close 0\n");
}

/* Outside filemon's pid namespace every pid is 0: only event.table distinguishes the processes. */
static void processes_outside_the_namespace_are_separate(void **state)
{
    struct event one = event_of(EVENT_OPEN, 0, 3), other = one;

    one.table = 10;
    one.path = "/a";
    one.path_len = 2;
    other.table = 11;
    other.path = "/b";
    other.path_len = 2;
    assert_int_equal(counted_ledger_take(*state, &one), 0);
    assert_int_equal(counted_ledger_take(*state, &other), 0);
    one.code = EVENT_CLOSE;
    assert_int_equal(counted_ledger_take(*state, &one), 0);
    other.code = EVENT_EXIT;
    assert_int_equal(counted_ledger_take(*state, &other), 0);
    assert_emitted(
        "open 3 /a\n"
        "open 3 /b\n"
        "close 3 /a close 0\n"
        "close 3 /b exit 0\n");
}

static void events_without_a_table_are_not_held(void **state)
{
    struct event open = event_of(EVENT_OPEN, 10, 3);

    open.table = 0;
    open.path = "/a";
    open.path_len = 2;
    assert_int_equal(counted_ledger_take(*state, &open), -EINVAL);
    assert_int_equal(counted_ledger_held(*state), 0);
    close_fd(*state, 0, 3);
    end(*state, 0);
    assert_emitted("open 3 /a\n");
}

static void missed_close_is_an_error(void **state)
{
    struct event held = event_of(EVENT_HELD, 10, 3);

    now_ns = 0;
    open_fd(*state, 10, 3, "/old");
    open_fd(*state, 10, 3, "/new");
    held.path = "/held";
    held.path_len = 5;
    assert_int_equal(counted_ledger_take(*state, &held), 0);
    close_fd(*state, 10, 3);
    assert_emitted(
        "open 3 /old\nerror 3 /old\nopen 3 /new\n"
        "error 3 /new\nheld 3 /held\nclose 3 /held close 0\n");
    assert_int_equal(counted_ledger_held(*state), 0);
}

static void copies_have_the_path_and_their_own_time(void **state)
{
    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    now_ns = 100;
    dup_fd(*state, 10, 3, 4, REASON_COUNT);
    close_fd(*state, 10, 3);
    dup_fd(*state, 10, 4, 5, REASON_DUP2);
    now_ns = 150;
    close_fd(*state, 10, 4);
    close_fd(*state, 10, 5);
    assert_emitted(
        "open 3 /a\ndup 4 /a of 3\nclose 3 /a close 100\ndup 5 /a of 4\n"
        "close 4 /a close 50\nclose 5 /a close 50\n");
}

/* Before the copying call ended, another thread closed the origin and may have opened another file
 * at its number. */
static void copy_of_a_closed_origin(void **state)
{
    struct event copy = event_of(EVENT_DUP, 10, 4);

    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    copy.origin = 3;
    copy.reason = REASON_DUP2;
    copy.path = "/walked";
    copy.path_len = strlen(copy.path);
    assert_int_equal(counted_ledger_take(*state, &copy), 0);
    copy.origin_reused = true;
    assert_int_equal(counted_ledger_take(*state, &copy), 0);
    close_fd(*state, 10, 3);
    copy.origin_reused = false;
    assert_int_equal(counted_ledger_take(*state, &copy), 0);
    copy.fd = 3;
    copy.origin_reused = true;
    copy.reason = REASON_COUNT;
    assert_int_equal(counted_ledger_take(*state, &copy), 0);
    close_fd(*state, 10, 3);
    close_fd(*state, 10, 4);
    assert_emitted(
        "open 3 /a\ndup 4 /a of 3\nclose 4 /a dup2 0\ndup 4 /walked of 3\nclose 3 /a close 0\n"
        "close 4 /walked dup2 0\ndup 4 /walked of 3\ndup 3 /walked of 3\n"
        "close 3 /walked close 0\nclose 4 /walked close 0\n");
}

static void dup2_closes_what_it_replaces(void **state)
{
    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    open_fd(*state, 10, 4, "/b");
    dup_fd(*state, 10, 3, 4, REASON_DUP2);
    assert_emitted("open 3 /a\nopen 4 /b\nclose 4 /b dup2 0\ndup 4 /a of 3\n");
    dup_fd(*state, 10, 9, 4, REASON_DUP2);
    assert_emitted("close 4 /a dup2 0\n");
    dup_fd(*state, 10, 3, 3, REASON_DUP2);
    dup_fd(*state, 10, 9, 5, REASON_COUNT);
    assert_emitted("");
    assert_int_equal(counted_ledger_held(*state), 1);
}

static void dup_to_a_held_descriptor_is_an_error(void **state)
{
    now_ns = 0;
    open_fd(*state, 10, 3, "/a");
    open_fd(*state, 10, 4, "/b");
    dup_fd(*state, 10, 3, 4, REASON_COUNT);
    dup_fd(*state, 10, 9, 3, REASON_COUNT);
    assert_emitted("open 3 /a\nopen 4 /b\nerror 4 /b\ndup 4 /a of 3\nerror 3 /a\n");
}

static void ranges_close_held_descriptors_in_order(void **state)
{
    static const struct fd_range all = {0, UINT_MAX}, some = {4, 1000000}, narrow = {7, 8},
                                 none = {9, 3};

    now_ns = 0;
    for (int fd = 8; fd >= 3; fd--)
        open_fd(*state, 10, fd, "/f");
    open_fd(*state, 11, 5, "/other");
    assert_emitted(
        "open 8 /f\nopen 7 /f\nopen 6 /f\nopen 5 /f\nopen 4 /f\nopen 3 /f\n"
        "open 5 /other\n");
    take_ranges(*state, EVENT_CLOSE, 10, &none, 1);
    assert_emitted("");
    take_ranges(*state, EVENT_CLOSE, 10, &narrow, 1);
    assert_emitted("close 7 /f close_range 0\nclose 8 /f close_range 0\n");
    take_ranges(*state, EVENT_CLOSE, 10, &some, 1);
    assert_emitted(
        "close 4 /f close_range 0\nclose 5 /f close_range 0\n"
        "close 6 /f close_range 0\n");
    take_ranges(*state, EVENT_CLOSE, 10, &all, 1);
    assert_emitted("close 3 /f close_range 0\n");
    take_ranges(*state, EVENT_CLOSE, 10, &all, 1);
    assert_emitted("");
    assert_int_equal(counted_ledger_held(*state), 1);
}

/* Descriptors can be opened in any order. */
static void exit_closes_in_rising_order(void **state)
{
    enum { FDS = 5000 };
    struct ledger *ledger = *state;
    int fds[FDS] = {0};

    random_start(__func__);
    for (int i = 0; i < FDS; i++) {
        int other = (int)random_below((unsigned int)i + 1);

        fds[i] = fds[other];
        fds[other] = i;
    }
    for (int i = 0; i < FDS; i++)
        open_fd(ledger, 10, fds[i], "/f");
    assert_int_equal(counted_ledger_held(ledger), FDS);
    fflush(emitted_to);
    rewind(emitted_to);
    memset(emitted, 0, emitted_size);
    end(ledger, 10);
    fflush(emitted_to);
    for (char *line = emitted, *next = line; *line != '\0'; line = next) {
        static int expected;

        assert_int_equal(atoi(line + strlen("close ")), expected++);
        next = strchr(line, '\n') + 1;
        if (expected == FDS)
            break;
    }
    assert_int_equal(last.fd, FDS - 1);
    assert_int_equal(counted_ledger_held(ledger), 0);
}

static void negative_descriptors_are_not_held(void **state)
{
    struct event open = event_of(EVENT_OPEN, 10, -1);

    open.path = "/a";
    open.path_len = 2;
    open_fd(*state, 10, 3, "/b");
    assert_int_equal(counted_ledger_take(*state, &open), -EINVAL);
    dup_fd(*state, 10, -1, 4, REASON_DUP2);
    take_ranges(*state, EVENT_CLOSE, 10, NULL, 0); /* of fd -1 */
    assert_emitted("open 3 /b\nopen -1 /a\n");
    assert_int_equal(counted_ledger_held(*state), 1);
}

static void exec_closes_its_ranges(void **state)
{
    static const struct fd_range ranges[] = {{3, 4}, {6, 6}, {8, 9}, {20, UINT_MAX}};

    now_ns = 0;
    for (int fd = 3; fd < 10; fd++)
        open_fd(*state, 10, fd, "/f");
    take_ranges(*state, EVENT_CLOEXEC, 10, NULL, 0);
    assert_emitted("open 3 /f\nopen 4 /f\nopen 5 /f\nopen 6 /f\nopen 7 /f\nopen 8 /f\nopen 9 /f\n");
    take_ranges(*state, EVENT_CLOEXEC, 10, ranges, 4);
    assert_emitted(
        "close 3 /f exec 0\nclose 4 /f exec 0\nclose 6 /f exec 0\nclose 8 /f exec 0\n"
        "close 9 /f exec 0\n");
    close_fd(*state, 10, 5);
    close_fd(*state, 10, 7);
    assert_emitted("close 5 /f close 0\nclose 7 /f close 0\n");
}

static void exit_closes_everything(void **state)
{
    now_ns = 5;
    open_fd(*state, 10, INT_MAX, "/max");
    open_fd(*state, 10, 0, "/zero");
    now_ns = 6;
    end(*state, 10);
    end(*state, 10);
    assert_emitted(
        "open 2147483647 /max\nopen 0 /zero\n"
        "close 0 /zero exit 1\nclose 2147483647 /max exit 1\n");
}

static void durations_are_not_negative(void **state)
{
    now_ns = 1000;
    open_fd(*state, 10, 3, "/a");
    now_ns = 999;
    close_fd(*state, 10, 3);
    assert_emitted("open 3 /a\nclose 3 /a close 0\n");
}

static void fail_and_lost_are_unchanged(void **state)
{
    struct event fail = event_of(EVENT_FAIL, 10, -2), lost = event_of(EVENT_LOST, 0, 0);

    fail.path = "/missing";
    fail.path_len = 8;
    assert_int_equal(counted_ledger_take(*state, &fail), 0);
    assert_int_equal(counted_ledger_take(*state, &lost), 0);
    assert_emitted("fail -2 /missing\nlost 0\n");
    assert_int_equal(counted_ledger_held(*state), 0);
}

/* A second implementation of the rules of ledger.h, over plain arrays. */
#define MODEL_PIDS 5
#define MODEL_FDS 40

struct model {
    struct {
        char path[16];
        uint64_t since;
    } held[1 + MODEL_PIDS][MODEL_FDS];
    FILE *to;
};

static void model_close(struct model *model, int pid, int fd, const char *reason)
{
    if (model->held[pid][fd].path[0] == '\0')
        return;
    fprintf(model->to, "close %d %s %s %ju\n", fd, model->held[pid][fd].path, reason,
            (uintmax_t)(now_ns - model->held[pid][fd].since));
    model->held[pid][fd].path[0] = '\0';
}

static void model_error(struct model *model, int pid, int fd)
{
    if (model->held[pid][fd].path[0] == '\0')
        return;
    fprintf(model->to, "error %d %s\n", fd, model->held[pid][fd].path);
    model->held[pid][fd].path[0] = '\0';
}

static void model_open(struct model *model, int pid, int fd, const char *path)
{
    model_error(model, pid, fd);
    fprintf(model->to, "open %d %s\n", fd, path);
    strcpy(model->held[pid][fd].path, path);
    model->held[pid][fd].since = now_ns;
}

static void model_dup(struct model *model, int pid, int origin, int fd, bool dup2)
{
    if (origin == fd)
        return;
    if (dup2)
        model_close(model, pid, fd, "dup2");
    else
        model_error(model, pid, fd);
    if (model->held[pid][origin].path[0] == '\0')
        return;
    fprintf(model->to, "dup %d %s of %d\n", fd, model->held[pid][origin].path, origin);
    model->held[pid][fd] = model->held[pid][origin];
    model->held[pid][fd].since = now_ns;
}

static void model_ranges(struct model *model, int pid, const struct fd_range *ranges, size_t count,
                         const char *reason)
{
    for (unsigned int fd = 0; fd < MODEL_FDS; fd++)
        for (size_t i = 0; i < count; i++)
            if (fd >= ranges[i].first && fd <= ranges[i].last)
                model_close(model, pid, (int)fd, reason);
}

static size_t model_held(const struct model *model)
{
    size_t held = 0;

    for (int pid = 1; pid <= MODEL_PIDS; pid++)
        for (int fd = 0; fd < MODEL_FDS; fd++)
            held += model->held[pid][fd].path[0] != '\0';
    return held;
}

static void random_ranges(struct fd_range ranges[3])
{
    unsigned int from = random_below(MODEL_FDS / 2);

    for (int i = 0; i < 3; i++) {
        ranges[i].first = from + random_below(MODEL_FDS / 3);
        ranges[i].last = ranges[i].first + random_below(6);
        from = ranges[i].last + 1;
    }
    if (random_below(8) == 0)
        ranges[2].last = UINT_MAX;
}

static void random_step(struct ledger *ledger, struct model *model)
{
    int pid = 1 + (int)random_below(MODEL_PIDS), fd = (int)random_below(MODEL_FDS),
        origin = (int)random_below(MODEL_FDS);
    unsigned int what = random_below(100);
    struct fd_range ranges[3];
    char path[16];

    random_ranges(ranges);
    now_ns += random_below(1000);
    if (what < 40) {
        snprintf(path, sizeof(path), "/%u", random_below(1000));
        model_open(model, pid, fd, path);
        open_fd(ledger, pid, fd, path);
    } else if (what < 65) {
        model_close(model, pid, fd, "close");
        close_fd(ledger, pid, fd);
    } else if (what < 90) {
        model_dup(model, pid, origin, fd, what < 80);
        dup_fd(ledger, pid, origin, fd, what < 80 ? REASON_DUP2 : REASON_COUNT);
    } else if (what < 94) {
        model_ranges(model, pid, &ranges[what % 3], 1, "close_range");
        take_ranges(ledger, EVENT_CLOSE, pid, &ranges[what % 3], 1);
    } else if (what < 98) {
        model_ranges(model, pid, ranges, 3, "exec");
        take_ranges(ledger, EVENT_CLOEXEC, pid, ranges, 3);
    } else {
        model_ranges(model, pid, &(struct fd_range){0, UINT_MAX}, 1, "exit");
        end(ledger, pid);
    }
}

static void random_events_follow_the_rules(void **state)
{
    struct model model = {.to = NULL};
    size_t size;
    char *expected;

    random_start(__func__);
    now_ns = 0;
    model.to = open_memstream(&expected, &size);
    for (int i = 0; i < 50000; i++) {
        random_step(*state, &model);
        assert_int_equal(counted_ledger_held(*state), model_held(&model));
        if (i % 1000 != 999)
            continue;
        fflush(model.to);
        assert_emitted(expected);
        rewind(model.to);
        memset(expected, 0, size);
        fflush(model.to);
    }
    fclose(model.to);
    free(expected);
}

static void take_in_table(struct ledger *ledger, enum event_code code, int pid, int fd,
                          uint64_t table)
{
    struct event event = event_of(code, pid, fd);

    event.table = table;
    event.path = "/f";
    event.path_len = 2;
    assert_int_equal(counted_ledger_take(ledger, &event), 0);
}

/* Two processes share a table: pid and ppid of a close are the opener's. */
static void shared_table(void **state)
{
    struct ledger *ledger = *state;

    take_in_table(ledger, EVENT_OPEN, 1, 3, 1);
    take_in_table(ledger, EVENT_CLOSE, 2, 3, 1);
    assert_int_equal(last.code, EVENT_CLOSE);
    assert_int_equal(last.pid, 1);
    take_in_table(ledger, EVENT_OPEN, 2, 3, 1);
    take_in_table(ledger, EVENT_OPEN, 1, 3, 1);
    assert_int_equal(last.code, EVENT_OPEN);
    assert_int_equal(counted_ledger_held(ledger), 1);
    take_in_table(ledger, EVENT_EXIT, 2, -1, 2);
    assert_int_equal(counted_ledger_held(ledger), 1);
    take_in_table(ledger, EVENT_EXIT, 2, -1, 1);
    assert_int_equal(counted_ledger_held(ledger), 0);
    assert_int_equal(last.pid, 1);
}

/* A thread has its own table: the same number is another descriptor there. */
static void two_tables_of_one_process(void **state)
{
    struct ledger *ledger = *state;

    take_in_table(ledger, EVENT_OPEN, 1, 3, 1);
    take_in_table(ledger, EVENT_OPEN, 1, 3, 0x80000001);
    assert_int_equal(last.code, EVENT_OPEN);
    take_in_table(ledger, EVENT_EXIT, 1, -1, 0x80000001);
    assert_int_equal(last.code, EVENT_CLOSE);
    assert_int_equal(counted_ledger_held(ledger), 1);
}

/* Table addresses that differ only in their upper half. */
static void tables_have_64_bits(void **state)
{
    struct ledger *ledger = *state;

    take_in_table(ledger, EVENT_OPEN, 1, 3, 0xffff888004a1c000);
    take_in_table(ledger, EVENT_OPEN, 1, 3, 0xffff888104a1c000);
    assert_int_equal(last.code, EVENT_OPEN);
    take_in_table(ledger, EVENT_EXIT, 1, -1, 0xffff888004a1c000);
    assert_int_equal(counted_ledger_held(ledger), 1);
    take_in_table(ledger, EVENT_CLOSE, 1, 3, 0xffff888104a1c000);
    assert_int_equal(counted_ledger_held(ledger), 0);
}

/* Without memory ledger_take() fails and holds nothing new. */
static void works_without_memory(void **state)
{
    struct ledger *ledger = *state;
    unsigned int refused = 0;

    random_start(__func__);
    for (int i = 0; i < 100000; i++) {
        struct event event = event_of(EVENT_OPEN, 1 + (int)random_below(20), (int)random_below(50));
        size_t before = counted_ledger_held(ledger);
        int result;

        event.path = "/some/path";
        event.path_len = strlen(event.path);
        if (random_below(2) == 0) {
            event.code = EVENT_DUP;
            event.origin = (int)random_below(50);
        }
        if (random_below(20) == 0)
            event.code = EVENT_EXIT;
        fail_one_in = 3;
        result = counted_ledger_take(ledger, &event);
        fail_one_in = 0;
        assert_true(result == 0 || result == -ENOMEM);
        if (result == 0)
            continue;
        refused++;
        assert_true(counted_ledger_held(ledger) <= before);
        assert_null(find_held(ledger, &event, event.fd));
    }
    assert_in_range(refused, 1, 100000);
    for (int pid = 1; pid <= 20; pid++)
        end(ledger, pid);
    assert_int_equal(counted_ledger_held(ledger), 0);
    assert_int_equal(ledger->n_used, 0);
}

static void memory_per_held_descriptor(void **state)
{
    size_t records = 0, empty;
    struct ledger *ledger = counted_ledger_new(emit_nothing, &records, false);

    (void)state;
    open_fd(ledger, 1, 3, "/a");
    end(ledger, 1);
    empty = bytes_in_use;
    for (int pid = 1; pid <= 300000; pid++) {
        open_fd(ledger, pid, 3, "/etc/ld.so.cache");
        close_fd(ledger, pid, 3);
    }
    assert_int_equal(bytes_in_use, empty);
    for (int pid = 1; pid <= 10000; pid++)
        for (int fd = 3; fd < 13; fd++)
            open_fd(ledger, pid, fd, "/etc/hosts");
    assert_int_equal(counted_ledger_held(ledger), 100000);
    assert_in_range(bytes_in_use, empty, 100000 * 100);
    for (int pid = 1; pid <= 10000; pid++)
        end(ledger, pid);
    assert_int_equal(bytes_in_use, empty);
    assert_int_equal(records, 2 + 600000 + 200000);
    counted_ledger_free(ledger);
}

/* Memory per descriptor, for every number of descriptors; each has another path of usual length. */
static void memory_of_many_descriptors(void **state)
{
    size_t records = 0;
    struct ledger *ledger = counted_ledger_new(emit_nothing, &records, false);

    (void)state;
    for (int fd = 0; fd < 200000; fd++) {
        open_fd(ledger, 1, fd, "/var/lib/postgresql/15/main/base/16384/1247_fsm");
        if (fd >= 1000)
            assert_in_range(bytes_in_use, 1, ((size_t)fd + 1) * 128);
    }
    counted_ledger_free(ledger);
}

/* After many descriptors of a process are closed, their memory is freed. */
static void memory_is_freed_after_closes(void **state)
{
    static const struct fd_range most = {1, UINT_MAX};
    size_t records = 0, before;
    struct ledger *ledger = counted_ledger_new(emit_nothing, &records, false);

    (void)state;
    open_fd(ledger, 1, 0, "/stays");
    before = bytes_in_use;
    for (int round = 0; round < 2; round++) {
        for (int fd = 1; fd <= 50000; fd++)
            dup_fd(ledger, 1, 0, fd, REASON_COUNT);
        assert_in_range(bytes_in_use, before, 50000 * 100);
        for (int fd = 50000; round == 0 && fd > 0; fd--)
            close_fd(ledger, 1, fd);
    }
    take_ranges(ledger, EVENT_CLOSE, 1, &most, 1);
    assert_int_equal(counted_ledger_held(ledger), 1);
    for (int i = 0; i < 20; i++) {
        open_fd(ledger, 1, 1, "/again");
        close_fd(ledger, 1, 1);
    }
    assert_int_equal(bytes_in_use, before);
    counted_ledger_free(ledger);
}

static void freeing_null_is_allowed(void **state)
{
    (void)state;
    counted_ledger_free(NULL);
    fail_one_in = 1;
    assert_null(counted_ledger_new(emit_line, NULL, false));
    fail_one_in = 0;
}

#define test_of(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_of(close_is_paired_with_open),
        test_of(facts_are_those_of_the_thread_and_of_the_file),
        test_of(a_file_that_is_not_known_is_not_made_up),
        cmocka_unit_test_setup_teardown(bytes_are_in_the_close, set_up_counting, tear_down),
        cmocka_unit_test_setup_teardown(bytes_of_a_missed_close_are_forgotten, set_up_counting,
                                        tear_down),
        test_of(memory_of_bytes),
        test_of(records_have_process_and_time_of_the_event),
        test_of(processes_are_separate),
        test_of(processes_outside_the_namespace_are_separate),
        test_of(events_without_a_table_are_not_held),
        test_of(missed_close_is_an_error),
        test_of(copies_have_the_path_and_their_own_time),
        test_of(copy_of_a_closed_origin),
        test_of(dup2_closes_what_it_replaces),
        test_of(dup_to_a_held_descriptor_is_an_error),
        test_of(ranges_close_held_descriptors_in_order),
        test_of(exit_closes_in_rising_order),
        test_of(negative_descriptors_are_not_held),
        test_of(exec_closes_its_ranges),
        test_of(exit_closes_everything),
        test_of(durations_are_not_negative),
        test_of(fail_and_lost_are_unchanged),
        test_of(random_events_follow_the_rules),
        test_of(shared_table),
        test_of(two_tables_of_one_process),
        test_of(tables_have_64_bits),
        test_of(works_without_memory),
        test_of(memory_per_held_descriptor),
        test_of(memory_of_many_descriptors),
        test_of(memory_is_freed_after_closes),
        test_of(freeing_null_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
