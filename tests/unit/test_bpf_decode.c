/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/trace.h"

/* A record of the ring buffer, in a block of exactly its size, so that a sanitizer detects
 * overruns. */
struct sample {
    struct record record;
    char payload[2 * PAYLOAD_BYTES + 8];
};

static struct decoder decoder = {.epoch_ns = 1000000000};
static struct sample sample;
static struct event event;

static void begin(enum record_kind kind)
{
    memset(&sample, 0, sizeof(sample));
    sample.record = (struct record){.time = 5000,
                                    .table = 0xffff888004a1c000,
                                    .pid = 10,
                                    .ppid = 9,
                                    .tid = 11,
                                    .fd = 3,
                                    .comm = "cat",
                                    .kind = kind};
}

static int decode(size_t size)
{
    void *exact = malloc(size);
    int result;

    memcpy(exact, &sample, size);
    result = decode_record(&decoder, exact, size, &event);
    if (result == 0) {
        assert_string_equal(event.comm, "cat");
        assert_int_equal(event.table, 0xffff888004a1c000);
    }
    event.comm = NULL;
    free(exact);
    return result;
}

/* Writes a path into the record: walked is the part that the kernel's side walks from the last
 * component to the root, rest the part after it. */
static const char *path_of(enum record_kind kind, int marks, const char *walked, const char *rest)
{
    begin(kind);
    sample.record.marks = (__u8)marks;
    sample.record.inode = 42;
    sample.record.walked = (__u16)strlen(walked);
    strcpy(sample.payload, walked);
    strcat(sample.payload, rest);
    assert_int_equal(decode(sizeof(struct record) + strlen(sample.payload)), 0);
    assert_int_equal(event.path_len, strlen(event.path));
    return event.path;
}

static void test_paths(void **state)
{
    (void)state;
    assert_string_equal(path_of(RECORD_OPEN, 0, "hosts/etc/", ""), "/etc/hosts");
    assert_string_equal(path_of(RECORD_OPEN, 0, "", ""), "/");
    assert_string_equal(path_of(RECORD_OPEN, 0, "f (deleted)/tmp/", ""), "/tmp/f (deleted)");
    assert_string_equal(path_of(RECORD_OPEN, MARK_CUT, "c/b/", ""), ".../b/c");
    assert_string_equal(path_of(RECORD_OPEN, MARK_TEXT | MARK_INODE, "pipe", ""), "pipe:[42]");
    assert_string_equal(path_of(RECORD_OPEN, MARK_TEXT, "/memfd:m (deleted)", ""),
                        "/memfd:m (deleted)");
}

static void test_names_of_failed_opens(void **state)
{
    (void)state;
    assert_string_equal(path_of(RECORD_FAIL, 0, "", "/etc/none"), "/etc/none");
    assert_string_equal(path_of(RECORD_FAIL, 0, "b/a/", "../none"), "/a/b/../none");
    assert_string_equal(path_of(RECORD_FAIL, 0, "", "none"), "/none");
    assert_string_equal(path_of(RECORD_FAIL, 0, "b/a/", ""), "/a/b");
    assert_string_equal(path_of(RECORD_FAIL, MARK_NONE, "", ""), "");
    assert_string_equal(path_of(RECORD_FAIL, MARK_TEXT, "", "none"), "none");
    assert_string_equal(path_of(RECORD_FAIL, MARK_TEXT, "", ""), "");
    assert_string_equal(path_of(RECORD_FAIL, MARK_TEXT, "/memfd:m (deleted)", "none"),
                        "/memfd:m (deleted)/none");
    assert_string_equal(path_of(RECORD_FAIL, MARK_TEXT | MARK_INODE, "pipe", "none"),
                        "pipe:[42]/none");
    assert_string_equal(path_of(RECORD_FAIL, MARK_TEXT | MARK_INODE, "pipe", ""), "pipe:[42]");
}

/* The program could not read the name of a failed open, so a PATH might match it. */
static void test_unread_names_of_failed_opens(void **state)
{
    (void)state;
    begin(RECORD_FAIL);
    sample.record.marks = MARK_NONE;
    sample.record.fd = -EINVAL;
    assert_int_equal(decode(sizeof(struct record)), 0);
    assert_true(event.path_cut);
    sample.record.fd = -EFAULT;
    assert_int_equal(decode(sizeof(struct record)), 0);
    assert_false(event.path_cut);
}

static void test_longest_path(void **state)
{
    (void)state;
    begin(RECORD_FAIL);
    memset(sample.payload, 'x', PAYLOAD_BYTES);
    assert_int_equal(decode(sizeof(struct record) + PAYLOAD_BYTES), 0);
    assert_int_equal(event.path_len, PAYLOAD_BYTES + 1);
    assert_int_equal(decode(sizeof(struct record) + PAYLOAD_BYTES + 1), -EBADMSG);
}

static void test_common_members(void **state)
{
    (void)state;
    begin(RECORD_CLOSE);
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_int_equal(event.code, EVENT_CLOSE);
    assert_int_equal(event.reason, REASON_CLOSE);
    assert_int_equal(event.pid, 10);
    assert_int_equal(event.ppid, 9);
    assert_int_equal(event.tid, 11);
    assert_int_equal(event.fd, 3);
    assert_int_equal(event.mono_ns, 5000);
    assert_int_equal(event.date_us, 1000005);
    begin(RECORD_RESULT);
    sample.record.fd = -EIO;
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_int_equal(event.code, EVENT_RESULT);
    assert_int_equal(event.fd, -EIO);
    assert_int_equal(event.tid, 11);
    begin(RECORD_DUP2);
    sample.record.origin = 7;
    assert_int_equal(decode(RECORD_UNTIL(origin)), 0);
    assert_int_equal(event.reason, REASON_DUP2);
    assert_int_equal(event.origin, 7);
    begin(RECORD_REPLACED);
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_int_equal(event.code, EVENT_CLOSE);
    assert_int_equal(event.reason, REASON_DUP2);
}

static int mode_of(__u64 flags)
{
    begin(RECORD_OPEN);
    sample.record.flags = flags;
    sample.record.mode = 0100644;
    assert_int_equal(decode(sizeof(struct record)), 0);
    assert_int_equal(event.flags, flags);
    return event.mode;
}

/* In a time namespace filemon's monotonic clock differs from the kernel's. */
static void test_copies_with_a_path(void **state)
{
    (void)state;
    path_of(RECORD_DUP_PATH, MARK_GONE, "hosts/etc/", "");
    sample.record.origin = 7;
    assert_int_equal(decode(sizeof(struct record) + strlen(sample.payload)), 0);
    assert_string_equal(event.path, "/etc/hosts");
    assert_int_equal(event.code, EVENT_DUP);
    assert_int_equal(event.reason, REASON_COUNT);
    assert_int_equal(event.origin, 7);
    assert_true(event.origin_reused);
    path_of(RECORD_DUP2_PATH, 0, "hosts/etc/", "");
    assert_int_equal(event.reason, REASON_DUP2);
    assert_false(event.origin_reused);
    assert_int_equal(decode(RECORD_UNTIL(origin)), -EBADMSG);
    begin(RECORD_DUP);
    assert_int_equal(decode(RECORD_UNTIL(origin)), 0);
    assert_null(event.path);
}

static void test_time_namespace(void **state)
{
    (void)state;
    decoder.clock_offset_ns = 7000;
    begin(RECORD_CLOSE);
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_int_equal(event.mono_ns, 12000);
    assert_int_equal(event.date_us, 1000012);
    decoder.clock_offset_ns = 0;
}

static void expect_dated(unsigned int tid, int time, int date)
{
    begin(RECORD_CLOSE);
    sample.record.tid = tid;
    sample.record.time = (unsigned int)time;
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_int_equal(event.date_us, 1000000 + date / 1000);
    assert_int_equal(event.mono_ns, time); /* by which durations are measured */
}

static void test_dates_of_a_thread_do_not_go_back(void **state)
{
    (void)state;
    expect_dated(100, 20000, 20000);
    expect_dated(100, 15000, 20000);
    expect_dated(101, 12000, 12000);
    expect_dated(100, 18000, 20000);
    expect_dated(100, 21000, 21000);
    expect_dated(101, 19000, 19000);
}

/* They are of several threads. */
static void test_dates_of_no_thread_can_go_back(void **state)
{
    (void)state;
    expect_dated(0, 20000, 20000);
    expect_dated(0, 15000, 15000);
}

/* More threads than the decoder keeps the times of: the date is that of the record. */
static void test_dates_of_many_threads(void **state)
{
    (void)state;
    expect_dated(200, 20000, 20000);
    expect_dated(200 + DATED_THREADS, 16000, 16000);
    expect_dated(200, 15000, 15000);
}

static void test_mode(void **state)
{
    (void)state;
    assert_int_equal(mode_of(O_RDWR | O_CREAT), 0644);
    assert_int_equal(mode_of(O_RDWR | O_TMPFILE), 0644);
    assert_int_equal(mode_of(O_RDONLY | O_DIRECTORY), EVENT_NO_MODE);
    /* The kernel uses the mode only with these flags. */
    assert_int_equal(mode_of(O_RDWR | (O_TMPFILE & ~O_DIRECTORY)), 0644);
    assert_int_equal(mode_of(O_RDONLY | 1ull << 40), EVENT_NO_MODE);
}

static void assert_range(size_t index, unsigned int first, unsigned int last)
{
    assert_true(index < event.n_ranges);
    assert_int_equal(event.ranges[index].first, first);
    assert_int_equal(event.ranges[index].last, last);
}

/* The record holds the bits of the descriptors that stay open: 0, 1, 2, 5, 15 and 63 of 64. */
static void test_exec_closes_what_is_not_open(void **state)
{
    (void)state;
    begin(RECORD_EXEC);
    sample.record.open = 0x8027;
    assert_int_equal(decode(RECORD_UNTIL(open)), 0);
    assert_int_equal(event.code, EVENT_CLOEXEC);
    assert_int_equal(event.n_ranges, 3);
    assert_range(0, 3, 4);
    assert_range(1, 6, 14);
    assert_range(2, 16, 63);
    sample.record.open |= 1ull << 63;
    assert_int_equal(decode(RECORD_UNTIL(open)), 0);
    assert_int_equal(event.n_ranges, 3);
    assert_range(2, 16, 62);
    sample.record.first = 65536;
    assert_int_equal(decode(RECORD_UNTIL(open)), 0);
    assert_range(0, 65539, 65540);
    assert_range(2, 65552, 65598);
    assert_int_equal(decode(RECORD_UNTIL(open) - 1), -EBADMSG);
}

/* The number of ranges is largest if every other descriptor stays open; if all do, there is none.
 */
static void test_largest_number_of_ranges(void **state)
{
    (void)state;
    begin(RECORD_EXEC);
    sample.record.open = 0xaaaaaaaaaaaaaaaa;
    assert_int_equal(decode(RECORD_UNTIL(open)), 0);
    assert_int_equal(event.n_ranges, FDS_OF_EXEC / 2);
    assert_range(FDS_OF_EXEC / 2 - 1, FDS_OF_EXEC - 2, FDS_OF_EXEC - 2);
    sample.record.open = ~0ull;
    assert_int_equal(decode(RECORD_UNTIL(open)), 0);
    assert_int_equal(event.n_ranges, 0);
}

/* The payload is longer than the path. */
static void test_held(void **state)
{
    (void)state;
    begin(RECORD_HELD);
    sample.record.fd = 7;
    sample.record.flags = O_RDWR;
    memcpy(sample.payload, "hosts/etc/more", 14);
    sample.record.walked = 10;
    assert_int_equal(decode(sizeof(struct record) + 14), 0);
    assert_int_equal(event.code, EVENT_HELD);
    assert_int_equal(event.fd, 7);
    assert_int_equal(event.flags, O_RDWR);
    assert_int_equal(event.mode, EVENT_NO_MODE);
    assert_string_equal(event.path, "/etc/hosts");
    assert_int_equal(event.path_len, 10);
    assert_int_equal(decode(sizeof(struct record) + 9), -EBADMSG);
}

static void test_received(void **state)
{
    (void)state;
    begin(RECORD_RECEIVED);
    sample.record.fd = 7;
    sample.record.flags = O_RDWR | O_TMPFILE;
    memcpy(sample.payload, "hosts/etc/", 10);
    sample.record.walked = 10;
    assert_int_equal(decode(sizeof(struct record) + 10), 0);
    assert_int_equal(event.code, EVENT_OPEN);
    assert_int_equal(event.reason, REASON_RECEIVED);
    assert_int_equal(event.fd, 7);
    assert_int_equal(event.flags, O_RDWR | O_TMPFILE);
    assert_int_equal(event.mode, EVENT_NO_MODE);
    assert_string_equal(event.path, "/etc/hosts");
}

static void test_close_range(void **state)
{
    (void)state;
    begin(RECORD_CLOSE_RANGE);
    sample.record.first = 3;
    sample.record.last = ~0u;
    assert_int_equal(decode(RECORD_UNTIL(last)), 0);
    assert_int_equal(event.reason, REASON_CLOSE_RANGE);
    assert_int_equal(event.n_ranges, 1);
    assert_range(0, 3, ~0u);
}

/* If some are asked for, every record has them before it. */
static int decode_with_facts(const struct record_facts *facts, size_t size)
{
    char *exact = malloc(sizeof(*facts) + size);
    int result;

    memcpy(exact, facts, sizeof(*facts));
    memcpy(exact + sizeof(*facts), &sample, size);
    decoder.has_facts = true;
    result = decode_record(&decoder, exact, sizeof(*facts) + size, &event);
    decoder.has_facts = false;
    event.comm = NULL;
    free(exact);
    return result;
}

static void test_facts(void **state)
{
    struct record_facts facts = {.known = FACT(USER) | FACT(MOUNTS),
                                 .device = 259 << DEVICE_MINOR_BITS | 1048575,
                                 .inode = ~0ull,
                                 .executable = 77,
                                 .user = 4294967294,
                                 .mounts = 4026531832,
                                 .group = ~0ull};

    (void)state;
    begin(RECORD_CLOSE);
    assert_int_equal(decode(RECORD_HEAD), 0);
    assert_null(event.facts);
    assert_int_equal(decode_with_facts(&facts, RECORD_HEAD), 0);
    assert_int_equal(event.code, EVENT_CLOSE);
    assert_int_equal(event.fd, 3);
    assert_int_equal(event.facts->known, FACT(USER) | FACT(MOUNTS));
    assert_int_equal(event.facts->user, 4294967294);
    assert_int_equal(event.facts->mounts, 4026531832);
    assert_true(event.facts->group == ~0ull);
    assert_int_equal(event.facts->file.major, 259);
    assert_int_equal(event.facts->file.minor, 1048575);
    assert_true(event.facts->file.inode == ~0ull);
    assert_int_equal(event.facts->executable, 77);
    assert_null(event.facts->user_name);
    assert_int_equal(decode_with_facts(&facts, RECORD_HEAD - 1), -EBADMSG);
    decoder.has_facts = true;
    assert_int_equal(decode_record(&decoder, &facts, sizeof(facts) - 1, &event), -EBADMSG);
    decoder.has_facts = false;
}

static const char *given_to(enum record_kind kind, const char *walked, const char *given)
{
    struct record_facts facts = {.known = FACT(GIVEN)};

    begin(kind);
    sample.record.walked = (__u16)strlen(walked);
    strcpy(sample.payload, walked);
    strcat(sample.payload, given);
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + strlen(sample.payload)), 0);
    return event.facts->given;
}

/* After the path, which has it at the end only if the open has failed. */
static void test_name_that_was_given(void **state)
{
    struct record_facts facts = {.known = 0};

    (void)state;
    assert_string_equal(given_to(RECORD_OPEN, "hosts/etc/", "../etc/hosts"), "../etc/hosts");
    assert_string_equal(event.path, "/etc/hosts");
    assert_string_equal(given_to(RECORD_OPEN, "", "/"), "/");
    assert_string_equal(event.path, "/");
    assert_string_equal(given_to(RECORD_FAIL, "b/a/", "none"), "none");
    assert_string_equal(event.path, "/a/b/none");
    assert_string_equal(given_to(RECORD_FAIL, "b/a/", ""), "");
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + 4), 0);
    assert_null(event.facts->given);
    sample.record.walked = 5;
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + 4), -EBADMSG);
    sample.record.kind = RECORD_OPEN;
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + 4), -EBADMSG);
}

/* It has no thread, and stands before the records that have its number. */
static void test_executable(void **state)
{
    struct record_facts facts = {.known = FACT(EXECUTABLE), .executable = ~0ull};

    (void)state;
    begin(RECORD_EXECUTABLE);
    sample.record.walked = 8;
    memcpy(sample.payload, "cat/bin/", 8);
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + 8), 0);
    assert_int_equal(event.code, EVENT_EXECUTABLE);
    assert_string_equal(event.path, "/bin/cat");
    assert_true(event.facts->executable == ~0ull);
}

/* NULL: the program could not read them. */
static const char *arguments_in(const char *bytes, size_t size, unsigned int marks)
{
    struct record_facts facts = {.known = FACT(EXECUTABLE), .executable = 5};

    begin(RECORD_ARGUMENTS);
    sample.record.marks = (__u8)marks;
    memcpy(sample.payload, bytes, size);
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + size), 0);
    assert_int_equal(event.code, EVENT_ARGUMENTS);
    assert_int_equal(event.facts->executable, 5);
    if (event.path)
        assert_int_equal(event.path_len, strlen(event.path));
    return event.path;
}

#define ARGUMENTS_IN(bytes) arguments_in(bytes, sizeof(bytes) - 1, 0)

static void test_arguments(void **state)
{
    static char full[ARGUMENTS_BYTES + 1];
    struct record_facts facts = {.known = FACT(EXECUTABLE), .executable = 5};

    (void)state;
    assert_string_equal(ARGUMENTS_IN("cat\0a  b\0\0c\0"), "cat a  b  c");
    assert_string_equal(ARGUMENTS_IN("cat\0/\xff\n"), "cat /\xff\n");
    assert_string_equal(ARGUMENTS_IN("master: running\0\0\0"), "master: running");
    assert_string_equal(ARGUMENTS_IN(""), "");
    assert_null(arguments_in("", 0, MARK_NONE));
    memset(full, 'x', sizeof(full) - 1);
    assert_string_equal(arguments_in(full, ARGUMENTS_BYTES, 0), full);
    begin(RECORD_ARGUMENTS);
    assert_int_equal(decode_with_facts(&facts, sizeof(struct record) + ARGUMENTS_BYTES + 1),
                     -EBADMSG);
}

/* A call with two paths, each of which has a part that was walked, and a name. */
static void call_of(enum traced_call call, int result, const char *const parts[4])
{
    begin(RECORD_CALL);
    sample.record.call = (__u8)call;
    sample.record.fd = result;
    sample.record.walked = (__u16)strlen(parts[0]);
    sample.record.named = (__u16)strlen(parts[1]);
    sample.record.destination_walked = (__u16)strlen(parts[2]);
    for (int i = 0; i < 4; i++)
        strcat(sample.payload, parts[i]);
    assert_int_equal(decode(sizeof(struct record) + strlen(sample.payload)), 0);
}

#define CALL_OF(call, result, ...)                                                                 \
    call_of(TRACED_##call, result, (const char *const[4]){__VA_ARGS__})

static void assert_call(enum event_code code, const char *path, const char *destination)
{
    assert_int_equal(event.code, code);
    assert_string_equal(event.path, path);
    assert_int_equal(event.path_len, strlen(path));
    if (destination == NULL) {
        assert_null(event.destination);
        return;
    }
    assert_string_equal(event.destination, destination);
    assert_int_equal(event.destination_len, strlen(destination));
}

static void test_calls(void **state)
{
    (void)state;
    CALL_OF(unlink, 0, "b/a/", "", "", "");
    assert_call(EVENT_UNLINK, "/a/b", NULL);
    assert_int_equal(event.mode, EVENT_NO_MODE);
    assert_null(event.call);
    CALL_OF(renameat2, 0, "a/", "../x", "d/c/", "y");
    assert_call(EVENT_RENAME, "/a/../x", "/c/d/y");
    CALL_OF(linkat, 0, "a/", "", "b/", "");
    assert_call(EVENT_LINK, "/a", "/b");
    CALL_OF(symlinkat, 0, "a/", "x", "", "../y");
    assert_call(EVENT_SYMLINK, "/a/x", "../y");
    CALL_OF(symlink, 0, "a/", "x", "", "y");
    assert_call(EVENT_SYMLINK, "/a/x", "y");
    CALL_OF(rename, -EXDEV, "a/", "x", "", "/y");
    assert_call(EVENT_FAIL, "/a/x", "/y");
    assert_int_equal(event.fd, -EXDEV);
    assert_string_equal(event.call, "rename");
    CALL_OF(execve, -ENOENT, "", "/none", "", "");
    assert_call(EVENT_FAIL, "/none", NULL);
    assert_string_equal(event.call, "execve");
}

static void test_modes_of_calls(void **state)
{
    static const char *const parts[4] = {"a/", "", "", ""};
    static const enum traced_call with[] = {TRACED_mkdirat, TRACED_mknod, TRACED_fchmod};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        call_of(with[i], 0, parts);
        sample.record.mode = 0110755;
        assert_int_equal(decode(sizeof(struct record) + 2), 0);
        assert_int_equal(event.mode, 0755);
    }
    call_of(TRACED_unlinkat, 0, parts);
    sample.record.mode = AT_REMOVEDIR;
    assert_int_equal(decode(sizeof(struct record) + 2), 0);
    assert_int_equal(event.code, EVENT_RMDIR);
    assert_int_equal(event.mode, EVENT_NO_MODE);
    sample.record.fd = -ENOTEMPTY;
    assert_int_equal(decode(sizeof(struct record) + 2), 0);
    assert_string_equal(event.call, "unlinkat");
}

static void test_incomplete_paths_of_calls(void **state)
{
    (void)state;
    CALL_OF(rename, 0, "a/", "", "b/", "");
    assert_false(event.path_cut);
    sample.record.destination_marks = MARK_CUT;
    assert_int_equal(decode(sizeof(struct record) + 4), 0);
    assert_true(event.path_cut);
    assert_string_equal(event.destination, ".../b");
    sample.record.destination_marks = 0;
    sample.record.marks = MARK_NONE;
    assert_int_equal(decode(sizeof(struct record) + 4), 0);
    assert_true(event.path_cut);
    assert_string_equal(event.path, "");
}

static void test_longest_paths_of_calls(void **state)
{
    (void)state;
    begin(RECORD_CALL);
    sample.record.call = TRACED_rename;
    sample.record.named = PAYLOAD_BYTES;
    memset(sample.payload, 'x', 2 * PAYLOAD_BYTES);
    assert_int_equal(decode(sizeof(struct record) + 2 * PAYLOAD_BYTES), 0);
    assert_int_equal(event.path_len, PAYLOAD_BYTES + 1);
    assert_int_equal(event.destination_len, PAYLOAD_BYTES + 1);
    assert_int_equal(decode(sizeof(struct record) + 2 * PAYLOAD_BYTES + 1), -EBADMSG);
    assert_int_equal(decode(sizeof(struct record) + PAYLOAD_BYTES - 1), -EBADMSG);
    sample.record.destination_walked = 1;
    assert_int_equal(decode(sizeof(struct record) + PAYLOAD_BYTES), -EBADMSG);
    sample.record.call = TRACED_COUNT;
    assert_int_equal(decode(sizeof(struct record) + PAYLOAD_BYTES + 1), -EBADMSG);
}

static void test_calls_that_inodes_match(void **state)
{
    (void)state;
    CALL_OF(unlink, 0, "b/a/", "", "", "");
    assert_false(event.is_matched);
    sample.record.marks = MARK_WANTED;
    assert_int_equal(decode(sizeof(struct record) + 4), 0);
    assert_true(event.is_matched);
    assert_call(EVENT_UNLINK, "/a/b", NULL);
}

static void test_program(void **state)
{
    (void)state;
    assert_string_equal(path_of(RECORD_PROGRAM, 0, "ls/bin/usr/", ""), "/usr/bin/ls");
    assert_int_equal(event.code, EVENT_EXEC);
}

/* They have no thread, and stand before the close of their descriptor. */
static void test_bytes(void **state)
{
    const struct record_bytes bytes = {1, 1ull << 62, 3, 4, .mapped = 1};
    struct record_facts facts = {.known = FACT(USER), .user = 7};

    (void)state;
    begin(RECORD_BYTES);
    memcpy(sample.payload, &bytes, sizeof(bytes));
    assert_int_equal(decode(sizeof(struct record) + sizeof(bytes) - 1), -EBADMSG);
    for (int with_facts = 0; with_facts < 2; with_facts++) {
        size_t size = sizeof(struct record) + sizeof(bytes);

        assert_int_equal(with_facts ? decode_with_facts(&facts, size) : decode(size), 0);
        assert_int_equal(event.code, EVENT_BYTES);
        assert_int_equal(event.fd, 3);
        assert_int_equal(event.facts->known, FACT(BYTES));
        assert_int_equal(event.facts->bytes.read, 1);
        assert_true(event.facts->bytes.written == 1ull << 62);
        assert_int_equal(event.facts->bytes.reads, 3);
        assert_int_equal(event.facts->bytes.writes, 4);
        assert_true(event.facts->bytes.mapped);
    }
}

static void test_malformed_records(void **state)
{
    (void)state;
    begin(RECORD_OPEN);
    assert_int_equal(decode(sizeof(struct record) - 1), -EBADMSG);
    sample.record.walked = 1;
    assert_int_equal(decode(sizeof(struct record)), -EBADMSG);
    begin(RECORD_CLOSE);
    assert_int_equal(decode(RECORD_HEAD - 1), -EBADMSG);
    begin(RECORD_BYTES + 1);
    assert_int_equal(decode(sizeof(struct record)), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_names_of_failed_opens),
        cmocka_unit_test(test_unread_names_of_failed_opens),
        cmocka_unit_test(test_longest_path),
        cmocka_unit_test(test_common_members),
        cmocka_unit_test(test_copies_with_a_path),
        cmocka_unit_test(test_time_namespace),
        cmocka_unit_test(test_dates_of_a_thread_do_not_go_back),
        cmocka_unit_test(test_dates_of_no_thread_can_go_back),
        cmocka_unit_test(test_dates_of_many_threads),
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_exec_closes_what_is_not_open),
        cmocka_unit_test(test_largest_number_of_ranges),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_close_range),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_name_that_was_given),
        cmocka_unit_test(test_executable),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_modes_of_calls),
        cmocka_unit_test(test_incomplete_paths_of_calls),
        cmocka_unit_test(test_longest_paths_of_calls),
        cmocka_unit_test(test_calls_that_inodes_match),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_malformed_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
