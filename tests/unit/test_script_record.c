/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#include <inttypes.h>

#include "engine/stap/wire.h"
#include "random.h"

/* ---- Numbers and text ------------------------------------------------------------------------ */

static const char *number(s64 value)
{
    static char text[64];
    struct fm_line line = {.at = text};

    memset(text, '#', sizeof(text));
    fm_num(&line, value);
    *line.at = '\0';
    return text;
}

static void number_is(s64 value)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "%jd", (intmax_t)value);
    assert_string_equal(number(value), expected);
}

static void numbers_are_decimal(void **state)
{
    u64 power = 1;
    int i;

    (void)state;
    for (i = -1000; i <= 1000; i++)
        number_is(i);
    for (i = 0; i < 19; i++, power *= 10) {
        number_is((s64)power - 1);
        number_is((s64)power);
        number_is(-(s64)power);
    }
    number_is(INT64_MAX);
    number_is(INT64_MIN);
    random_start("numbers_are_decimal");
    for (i = 0; i < 10000; i++)
        number_is((s64)((u64)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX)) >>
                  random_below(64));
}

static void escape_is(u8 byte, const char *expected)
{
    char text[8] = "", *end = fm_escape(text, byte);

    *end = '\0';
    assert_string_equal(text, expected);
}

static void bytes_that_would_end_a_string_or_a_line_are_escaped(void **state)
{
    char expected[8];
    int byte;

    (void)state;
    for (byte = 0; byte < 256; byte++) {
        if (byte < ' ' || byte == 0x7f)
            snprintf(expected, sizeof(expected), "\\u%04x", (unsigned int)byte);
        else if (byte == '"' || byte == '\\')
            snprintf(expected, sizeof(expected), "\\%c", byte);
        else
            snprintf(expected, sizeof(expected), "%c", byte); /* valid UTF-8 or not */
        escape_is((u8)byte, expected);
    }
}

/* fm_needs_no_escape() is never true for a word with a byte that needs an escape.  With one such
 * byte at most, it is also never false without need. */
static void eight_bytes_without_escapes_are_recognised(void **state)
{
    u8 bytes[8], text[8];
    u64 word;

    (void)state;
    for (int place = 0; place < 8; place++)
        for (int byte = 0; byte < 256; byte++) {
            bool plain = fm_escape((char *)text, (u8)byte) == (char *)text + 1;

            memset(bytes, 'a', sizeof(bytes));
            bytes[place] = (u8)byte;
            memcpy(&word, bytes, sizeof(word));
            assert_int_equal(fm_needs_no_escape(word), plain);
        }
    random_start("eight_bytes_without_escapes_are_recognised");
    for (int i = 0; i < 100000; i++) {
        bool plain = true;

        for (int place = 0; place < 8; place++) {
            bytes[place] = (u8)(random_below(8) ? 0x20 + random_below(0xe0) : random_below(0x23));
            plain &= fm_escape((char *)text, bytes[place]) == (char *)text + 1;
        }
        memcpy(&word, bytes, sizeof(word));
        if (fm_needs_no_escape(word))
            assert_true(plain);
    }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static bool begin(struct fm_line *line, const char *path)
{
    struct path where = world_path(path);

    fm_event(line);
    return fm_path_of(line, &where);
}

static void report(const char *path)
{
    struct fm_line line;

    assert_true(begin(&line, path));
    fm_start(&line, "open");
    fm_path(&line);
    fm_descriptor(&line, 3);
    fm_finish(&line);
}

static void a_line_names_the_thread_and_the_file(void **state)
{
    struct pid_namespace inner = {.ahead = 90};

    (void)state;
    current->real_parent = world_process(95, "sh", NULL);
    current = world_thread(104, current);
    strcpy(current->comm, "a\"b\\c\n\xff");
    fm_ns = &inner;
    report("/x\ty");
    lines_are(
        "{codigo: \"open\", proceso: \"a\\\"b\\\\c\\u000a\xff\", pid: 10, ppid: 5, tid: 14, "
        "fichero: \"/x\\u0009y\", descriptor: 3}\n");
}

/* The text of the last thread is kept, and must not be used for another thread. */
static void a_line_names_the_thread_as_it_is_now(void **state)
{
    struct task_struct *parent = world_process(95, "sh", NULL), *first = current;
    struct task_struct *thread = world_thread(101, first);

    (void)state;
    report("/x");
    assert_non_null(strstr(lines(), "proceso: \"cat\", pid: 100, ppid: 100, tid: 100,"));
    current = thread;
    report("/x");
    assert_non_null(strstr(lines(), "proceso: \"cat\", pid: 100, ppid: 100, tid: 101,"));
    strcpy(thread->comm, "0123456789abcde");
    report("/x");
    assert_non_null(strstr(lines(), "proceso: \"0123456789abcde\", pid: 100,"));
    thread->comm[14] = 'f';
    report("/x");
    assert_non_null(strstr(lines(), "proceso: \"0123456789abcdf\", pid: 100,"));
    thread->real_parent = parent;
    report("/x");
    assert_non_null(strstr(lines(), "ppid: 95, tid: 101,"));
    thread->pid = 100; /* by exec */
    report("/x");
    assert_non_null(strstr(lines(), "ppid: 95, tid: 100,"));
    thread->tgid = thread->pid = 200; /* another thread at the same address */
    thread->start_time++;
    report("/x");
    assert_non_null(strstr(lines(), "pid: 200, ppid: 95, tid: 200,"));
    parent->tgid = 96; /* another parent at the same address */
    parent->start_time++;
    report("/x");
    assert_non_null(strstr(lines(), "ppid: 96,"));
}

/* The text of the last thread is kept, but its facts can change. */
static void a_line_has_the_facts_that_are_asked_for(void **state)
{
    struct mnt_namespace mounts = {.ns.inum = 4026531832};
    struct nsproxy namespaces = {.mnt_ns = &mounts};
    struct cgroup group = {.id = 5000000000};

    (void)state;
    fm_facts = 1 << FM_USER;
    current->euid = (kuid_t){33};
    report("/x");
    lines_are(
        "{codigo: \"open\", proceso: \"cat\", pid: 100, ppid: 100, tid: 100, uid: 33, "
        "fichero: \"/x\", descriptor: 3}\n");
    current->euid = (kuid_t){4294967294};
    report("/x");
    assert_non_null(strstr(lines(), ", tid: 100, uid: 4294967294, fich"));
    fm_facts = 1 << FM_MOUNTS | 1 << FM_GROUP;
    current->nsproxy = &namespaces;
    current->cgroup = &group;
    report("/x");
    assert_non_null(strstr(lines(), ", tid: 100, mnt_ns: 4026531832, cgroup: 5000000000, fich"));
    current->nsproxy = NULL; /* an exiting thread */
    report("/x");
    assert_non_null(strstr(lines(), ", tid: 100, cgroup: 5000000000, fich"));
}

/* Each byte takes six in the line, so the text is longer than the text that is kept. */
static void a_comm_of_control_bytes_is_whole(void **state)
{
    (void)state;
    memset(current->comm, 1, TASK_COMM_LEN - 1);
    for (int i = 0; i < 2; i++) {
        report("/x");
        assert_non_null(strstr(lines(), "\\u0001\\u0001\", pid: 100, ppid: 100, tid: 100, fich"));
    }
}

static void times_are_those_of_filemons_time_namespace(void **state)
{
    struct fm_line line;

    (void)state;
    fm_clock_ahead = 7000000001;
    fm_begin(&line);
    fm_start(&line, "x");
    fm_times(&line, fm_now());
    fm_finish(&line);
    lines_are(
        "{codigo: \"x\", proceso: \"cat\", pid: 100, ppid: 100, tid: 100, "
        "us: 1300000005000000, ns: 12000000001}\n");
}

static void a_status_line_names_the_module(void **state)
{
    (void)state;
    fm_send_status("listo", 5);
    lines_are(STATUS_LINE("listo"));
}

static void fin_is_sent_when_no_process_is_watched_or_at_a_stop(void **state)
{
    (void)state;
    fm_idle();
    fm_end = true;
    fm_idle();
    no_lines();
    fm_unmark(100);
    fm_idle();
    lines_are(STATUS_LINE("fin"));
    fm_mark(current, 1);
    fm_end = false;
    fm_stop = true;
    fm_idle();
    lines_are(STATUS_LINE("fin"));
}

static void losses_are_reported_before_the_next_line(void **state)
{
    (void)state;
    atomic_set(&fm_lost, 12);
    report("/x");
    lines_are(
        "{codigo: \"lost\", perdidos: 12, us: 1300000005000000, ns: 5000000000}\n"
        "{codigo: \"open\", proceso: \"cat\", pid: 100, ppid: 100, tid: 100, fichero: \"/x\", "
        "descriptor: 3}\n");
    assert_int_equal(atomic_read(&fm_lost), 0);
    fm_report_lost();
    no_lines();
}

static void a_line_without_room_in_the_ring_is_lost(void **state)
{
    (void)state;
    fm_ring_in = FM_RING - 20;
    report("/x");
    assert_int_equal(fm_ring_in, FM_RING - 20);
    assert_int_equal(atomic_read(&fm_lost), 1);
    fm_ring_in = 0;
}

/* ---- Paths of any length --------------------------------------------------------------------- */

/* What filemon reads in the lines. */
struct read_back {
    char path[2 * FM_MESSAGE];
    int events;
};

static void on_event(void *ctx, const struct event *event)
{
    struct read_back *read = ctx;

    read->events++;
    assert_int_equal(event->code, EVENT_FAIL);
    assert_int_equal(event->fd, -2);
    assert_true(event->path_len < sizeof(read->path));
    memcpy(read->path, event->path, event->path_len);
    read->path[event->path_len] = '\0';
}

/* This wire has not seen the earlier lines, and takes them for lost. */
static void on_lost(void *ctx, uint64_t lost)
{
    (void)ctx, (void)lost;
}

static void path_reaches_filemon(const char *path)
{
    static struct read_back read;
    struct wire_sink sink = {.event = on_event, .event_ctx = &read, .lost = on_lost};
    struct wire *wire = wire_new(&sink);
    struct fm_line line;
    const char *text;

    read.events = 0;
    assert_true(begin(&line, path));
    fm_start(&line, "fail");
    fm_path(&line);
    fm_descriptor(&line, -2);
    fm_times(&line, fm_now());
    fm_flags_and_mode(&line, 0, 0);
    fm_finish(&line);
    text = raw_lines();
    wire_take(wire, text, strlen(text));
    assert_int_equal(read.events, 1);
    assert_string_equal(read.path, path);
    wire_free(wire);
}

/* Each path repeats one byte, so that its escapes reach the unread rest of the path at every
 * length. */
static void paths_of_every_length_reach_filemon(void **state)
{
    static char path[FM_MESSAGE];
    static const char bytes[] = {'a', '"', '\n', '\xff', '\x7f'};
    size_t longest = FM_MESSAGE - 2 * FM_ROOM - 1, len, i;

    (void)state;
    for (i = 0; i < sizeof(bytes); i++) {
        if (bytes[i] == '\xff')
            continue;
        for (len = 1; len <= longest; len += len < longest - 40 && len > 40 ? 37 : 1) {
            memset(path, bytes[i], len);
            path[len] = '\0';
            path_reaches_filemon(path);
        }
    }
}

static void random_paths_reach_filemon(void **state)
{
    static char path[FM_MESSAGE];
    static const char bytes[] = "a/\"\\\n\t\x01\x7f b";
    size_t len, i;
    int round;

    (void)state;
    random_start("random_paths_reach_filemon");
    for (round = 0; round < 200; round++) {
        len = 1 + random_below(FM_MESSAGE - 2 * FM_ROOM - 1);
        for (i = 0; i < len; i++)
            path[i] = bytes[random_below(1 + round % (sizeof(bytes) - 1))];
        path[len] = '\0';
        path_reaches_filemon(path);
    }
}

static void a_long_path_is_sent_in_parts_before_its_line(void **state)
{
    static char path[FM_PATH];
    unsigned int parts = 0;
    const char *text, *at;

    (void)state;
    memset(path, '\n', sizeof(path) - 1);
    report(path);
    text = lines();
    for (at = text; (at = strstr(at, "{codigo: \"parte\"")) != NULL; at++) {
        char expected[80];

        snprintf(expected, sizeof(expected),
                 "{codigo: \"parte\", tid: 100, parte: %u, fichero: \"\\u000a", ++parts);
        assert_memory_equal(at, expected, strlen(expected));
    }
    assert_true(parts > 2);
    at = strstr(text, "{codigo: \"open\"");
    assert_non_null(at);
    assert_true(atoi(strstr(at, ", parte: ") + 9) == (int)parts);
}

static void a_line_whose_part_is_lost_is_lost(void **state)
{
    static char path[FM_PATH];

    (void)state;
    memset(path, '\n', sizeof(path) - 1);
    fm_ring_in = FM_RING - 100;
    report(path);
    assert_int_equal(fm_ring_in, FM_RING - 100);
    assert_int_equal(atomic_read(&fm_lost), 1);
    fm_ring_in = 0;
}

/* ---- The ring -------------------------------------------------------------------------------- */

/* Puts a line with this text, and with room for its number at both ends, into the ring. */
static bool put(const char *text)
{
    char line[200];
    int len = snprintf(line, sizeof(line), "{n: 00000000, %s, nn: 00000000}\n", text);

    return fm_ring_put(line, (u32)len, true);
}

static void the_ring_keeps_lines_whole_and_in_order(void **state)
{
    char text[64];
    unsigned int next_in = 0, next_out = 0, n;

    (void)state;
    random_start("the_ring_keeps_lines_whole_and_in_order");
    while (fm_ring_in < 3 * (u64)FM_RING) {
        for (n = random_below(60000); n > 0; n--) {
            snprintf(text, sizeof(text), "%u%.*s", next_in, (int)random_below(50),
                     "..................................................");
            if (!put(text))
                break;
            next_in++;
        }
        for (const char *at = lines(); *at != '\0'; at = strchr(at, '\n') + 1)
            assert_int_equal(strtoul(at + 1, NULL, 10), next_out++);
        assert_int_equal(next_out, next_in);
    }
}

static void a_line_that_finds_no_room_takes_no_number(void **state)
{
    (void)state;
    assert_true(put("a"));
    fm_ring_in += FM_RING - 50;
    assert_false(put("b"));
    fm_ring_in -= FM_RING - 50;
    assert_true(put("c"));
    lines_are("{a}\n{c}\n");
}

/* After 99,999,999 comes 0, as in src/engine/stap/wire.c. */
static void numbers_start_at_0_again_after_the_highest(void **state)
{
    char line[] = "{n: 00000000, nn: 00000000}\n";

    (void)state;
    do
        fm_number_line(line, sizeof(line) - 1, true);
    while (memcmp(line + 4, "99999998", 8) != 0);
    fm_number_line(line, sizeof(line) - 1, false);
    assert_string_equal(line, "{n: 99999999, nn: 99999999}\n");
    fm_number_line(line, sizeof(line) - 1, true);
    assert_string_equal(line, "{n: 99999999, nn: 99999999}\n");
    fm_number_line(line, sizeof(line) - 1, true);
    assert_string_equal(line, "{n: 00000000, nn: 00000000}\n");
}

static void the_ring_can_be_filled_to_the_last_byte(void **state)
{
    static char bytes[FM_RING];
    u32 len;

    (void)state;
    fm_ring_in = fm_ring_out = 17;
    assert_true(put("x"));
    len = (u32)fm_ring_in - 17;
    assert_true(fm_ring_put(bytes, FM_RING - 2 * len + 1, true));
    assert_false(put("y"));
    assert_int_equal(fm_ring_in, 17 + FM_RING - len + 1);
    fm_ring_out++;
    assert_true(put("y"));
    assert_int_equal(fm_ring[(fm_ring_in - 1) % FM_RING], '\n');
    assert_int_equal(fm_ring_in, fm_ring_out + FM_RING);
    fm_ring_out = fm_ring_in;
}

static void a_message_holds_whole_lines(void **state)
{
    static char text[FM_MESSAGE + 100];
    u32 i;

    (void)state;
    fm_ring_in = fm_ring_out = FM_RING - 50;
    assert_int_equal(fm_message(fm_ring_out), 0);
    memset(text, 'x', sizeof(text));
    for (i = 99; i < sizeof(text); i += 100)
        text[i] = '\n';
    assert_true(fm_ring_put(text, 300, true));
    assert_int_equal(fm_message(fm_ring_out), 300);
    assert_true(fm_ring_put(text, 8200, true));
    assert_int_equal(fm_message(fm_ring_out), FM_MESSAGE / 100 * 100);
    assert_int_equal(fm_message(fm_ring_out + 8100), 400);
    fm_ring_out = fm_ring_in;
}

/* ---- From the ring to stapio ----------------------------------------------------------------- */

static void channel(size_t subbuf_size, size_t n_subbufs)
{
    runtime_start(subbuf_size, n_subbufs);
    fm_channel = &runtime_channel;
    fm_read_cpus.bits = 1;
}

static void the_pump_sends_all_lines_to_stapio(void **state)
{
    char text[64];
    int i;

    (void)state;
    channel(1 << 18, 8);
    fm_ring_in = fm_ring_out = FM_RING - 1000;
    for (i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "line: %d", i);
        assert_true(put(text));
    }
    fm_pump();
    assert_int_equal(fm_ring_out, fm_ring_in);
    i = 0;
    for (const char *at = runtime_flushed; *at != '\0'; at = strchr(at, '\n') + 1)
        assert_int_equal(atoi(strstr(at, "line: ") + 6), i++);
    assert_int_equal(i, 20000);
    assert_int_equal(runtime_reserved, 0);
}

/* stap would cut a message that does not fit. */
static void the_pump_stops_when_stapio_falls_behind(void **state)
{
    size_t before;

    (void)state;
    channel(16 << 10, 4);
    while (put("x"))
        ;
    fm_pump();
    before = runtime_flushed_len;
    assert_true(before > 16 << 10);
    assert_true(runtime_buffer_of[0].subbufs_produced - runtime_buffer_of[0].subbufs_consumed < 4);
    fm_pump();
    assert_int_equal(runtime_flushed_len, before);
    runtime_buffer_of[0].subbufs_consumed = runtime_buffer_of[0].subbufs_produced;
    fm_pump();
    assert_true(runtime_flushed_len > before);
    assert_true(runtime_buffer_of[0].subbufs_produced - runtime_buffer_of[0].subbufs_consumed < 4);
}

static void there_is_room_only_for_a_whole_message(void **state)
{
    struct rchan_buf *buf = &runtime_buffer_of[0];
    u32 header = sizeof(struct _stp_trace);

    (void)state;
    assert_false(fm_has_room(1)); /* no channel */
    channel(10000, 4);
    assert_true(fm_has_room(10000 - header));
    buf->offset = 5000;
    buf->subbufs_produced = 7;
    buf->subbufs_consumed = 5;
    assert_true(fm_has_room(5000 - header));
    assert_false(fm_has_room(5001 - header));
    buf->subbufs_consumed = 6;
    assert_true(fm_has_room(5001 - header));
    assert_int_equal(buf->offset, 5000);
}

/* stap 4.8 loses a header that meets the last bytes of a sub-buffer. */
static void a_header_is_not_put_at_the_end_of_a_sub_buffer(void **state)
{
    struct rchan_buf *buf = &runtime_buffer_of[0];

    (void)state;
    channel(10000, 4);
    buf->offset = 10000 - sizeof(struct _stp_trace);
    assert_true(fm_has_room(100));
    assert_int_equal(buf->offset, 0);
    assert_int_equal(buf->subbufs_produced, 1);
    buf->offset = 10000 - sizeof(struct _stp_trace) - 1;
    assert_true(fm_has_room(100));
    assert_int_equal(buf->subbufs_produced, 1);
}

static void one_cpu_pumps_for_all(void **state)
{
    (void)state;
    channel(1 << 18, 8);
    kernel_online.bits = 7;
    fm_read_cpus.bits = 6; /* CPU 0 came online after stapio started */
    kernel_cpu = 2;
    report("/x");
    fm_pump();
    assert_int_equal(kernel_called_cpu, 1);
    assert_int_equal(runtime_flushes, 0);
    kernel_online.bits = 5; /* CPU 1 went offline */
    fm_pump();
    assert_int_equal(runtime_flushes, 1);
    kernel_online.bits = 1; /* CPU 2 went offline, too */
    report("/y");
    fm_pump();
    assert_int_equal(runtime_flushes, 2);
}

/* The call from another CPU is an interrupt, which can interrupt stap while it prints. */
static void the_pump_waits_while_stap_prints(void **state)
{
    (void)state;
    channel(1 << 18, 8);
    report("/x");
    runtime_prints = true;
    fm_pump_there(NULL);
    assert_int_equal(runtime_flushes, 0);
    runtime_prints = false;
    runtime_refuses = true;
    fm_pump_there(NULL);
    assert_int_equal(runtime_flushes, 0);
    assert_false(runtime_prints);
    runtime_refuses = false;
    fm_pump_there(NULL);
    assert_int_equal(runtime_flushes, 1);
    assert_int_equal(fm_ring_out, fm_ring_in);
}

static void one_thread_pumps_at_a_time(void **state)
{
    (void)state;
    channel(1 << 18, 8);
    report("/x");
    raw_spin_lock(&fm_pump_lock);
    fm_pump();
    assert_int_equal(runtime_flushes, 0);
    raw_spin_unlock(&fm_pump_lock);
    fm_pump();
    assert_int_equal(runtime_flushes, 1);
}

static void fill_ring(u64 up_to)
{
    while (fm_ring_in < up_to)
        put("x");
}

/* Once for each FM_PUMP bytes, not once for each line. */
static void a_ring_that_is_half_full_is_emptied_at_once(void **state)
{
    (void)state;
    channel(1 << 18, 32);
    fill_ring(FM_RING / 2 + 80);
    report("/x");
    assert_int_equal(runtime_flushes, 0);
    fill_ring(FM_RING / 2 + FM_PUMP - 60);
    report("/x");
    assert_true(runtime_flushes > 0);
    assert_int_equal(fm_ring_out, fm_ring_in);
}

static void a_ring_that_is_not_half_full_waits_for_the_timer(void **state)
{
    (void)state;
    channel(1 << 18, 32);
    fill_ring(FM_RING / 2 - FM_PUMP - 60);
    report("/x");
    assert_int_equal(runtime_flushes, 0);
}

static void at_the_end_the_pump_empties_the_ring_or_gives_up(void **state)
{
    (void)state;
    channel(1 << 18, 8);
    report("/x");
    fm_pump_out();
    assert_int_equal(fm_ring_out, fm_ring_in);
    fm_channel = NULL;
    report("/y");
    fm_pump_out(); /* gives up */
    assert_true(fm_ring_out < fm_ring_in);
}

static void without_memory_no_buffers_are_made(void **state)
{
    (void)state;
    fm_buffers_free();
    fm_buffer = NULL;
    kernel_memory = 0;
    assert_false(fm_buffers_make());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(numbers_are_decimal),
        script_test(bytes_that_would_end_a_string_or_a_line_are_escaped),
        script_test(eight_bytes_without_escapes_are_recognised),
        script_test(a_line_names_the_thread_and_the_file),
        script_test(a_line_names_the_thread_as_it_is_now),
        script_test(a_line_has_the_facts_that_are_asked_for),
        script_test(a_comm_of_control_bytes_is_whole),
        script_test(times_are_those_of_filemons_time_namespace),
        script_test(a_status_line_names_the_module),
        script_test(fin_is_sent_when_no_process_is_watched_or_at_a_stop),
        script_test(losses_are_reported_before_the_next_line),
        script_test(a_line_without_room_in_the_ring_is_lost),
        script_test(paths_of_every_length_reach_filemon),
        script_test(random_paths_reach_filemon),
        script_test(a_long_path_is_sent_in_parts_before_its_line),
        script_test(a_line_whose_part_is_lost_is_lost),
        script_test(the_ring_keeps_lines_whole_and_in_order),
        script_test(a_line_that_finds_no_room_takes_no_number),
        script_test(numbers_start_at_0_again_after_the_highest),
        script_test(the_ring_can_be_filled_to_the_last_byte),
        script_test(a_message_holds_whole_lines),
        script_test(the_pump_sends_all_lines_to_stapio),
        script_test(the_pump_stops_when_stapio_falls_behind),
        script_test(there_is_room_only_for_a_whole_message),
        script_test(a_header_is_not_put_at_the_end_of_a_sub_buffer),
        script_test(one_cpu_pumps_for_all),
        script_test(the_pump_waits_while_stap_prints),
        script_test(one_thread_pumps_at_a_time),
        script_test(without_memory_no_buffers_are_made),
        script_test(a_ring_that_is_half_full_is_emptied_at_once),
        script_test(a_ring_that_is_not_half_full_waits_for_the_timer),
        script_test(at_the_end_the_pump_empties_the_ring_or_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
