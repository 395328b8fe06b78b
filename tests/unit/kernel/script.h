/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The script's C with the kernel of kernel.h, tasks.h and runtime.h, and the functions that its
 * tests share.  Each test starts with one watched process (100, "cat"), which is current.  After
 * each test, script_tear_down() checks that nothing is left allocated, referenced or locked.
 */
#ifndef FILEMON_TESTS_KERNEL_SCRIPT_H
#define FILEMON_TESTS_KERNEL_SCRIPT_H

#include "runtime.h"

#ifndef FM_BY_HAND
#define FM_BY_HAND 0
#endif

/* No test uses every function, and some functions have parameters only for their type. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "stap/control.h"
#include "stap/copies.h"
#include "stap/ends.h"
#include "stap/exec.h"
#include "stap/opens.h"
#include "stap/transfers.h"

static long script_next_number; /* that the next line must have; -1: any */

static inline void script_reset(void)
{
    memset(fm_marks, 0, sizeof(fm_marks));
    memset(fm_tables, 0, sizeof(fm_tables));
    memset(fm_slots, 0, sizeof(fm_slots));
    memset(fm_flights, 0, sizeof(fm_flights));
    memset(&fm_last_thread_text, 0, sizeof(fm_last_thread_text));
    atomic_set(&fm_live, 0);
    atomic_set(&fm_n_flights, 0);
    atomic_set(&fm_lost, 0);
    fm_ring_in = fm_ring_out = 0;
    fm_depth = FM_EVERY;
    fm_all = fm_initial = fm_on = fm_end = fm_stop = fm_filter = false;
    fm_default = true;
    fm_writes = false;
    fm_no_opens = false;
    fm_programs = fm_failed_calls = false;
    fm_n_users = 0;
    fm_facts = 0;
    memset(fm_executables, 0, sizeof(fm_executables));
    fm_last_executable = 0;
    fm_n_groups = 0;
    fm_by_inode = fm_inode_missing = false;
    fm_self[0] = fm_self[1] = 0;
    fm_owner = NULL;
    fm_ns = &init_pid_ns;
    fm_clock_ahead = 0;
    kernel_now = KERNEL_NOW;
    kernel_stolen = 0;
    fm_channel = NULL;
    fm_scan_nr = 0;
    fm_scan_fd = 0;
    fm_argument_len = 0;
    script_next_number = -1;
}

static inline int script_set_up(void **state)
{
    *state = NULL;
    runtime_start(1 << 20, 4);
    script_reset();
    fm_on = true;
    assert_true(fm_buffers_make());
    current = world_process(100, "cat", NULL);
    fm_mark(current, FM_EVERY);
    return 0;
}

/* Checks that nothing is allocated, that no file has a reference too many, and that no message was
 * begun and not sent. */
static inline int script_tear_down(void **state)
{
    (void)state;
    fm_names_free();
    fm_prefixes_free();
    fm_inodes_free();
    fm_records_free();
    fm_counts_free();
    fm_flights_free();
    fm_buffers_free();
    assert_int_equal(kernel_allocated, 0);
    for (int i = 0; i < world_n_files; i++)
        assert_int_equal(world_files_made[i]->references, 1);
    assert_int_equal(runtime_reserved, 0);
    assert_false(runtime_prints);
    world_end();
    return 0;
}

/* Copies the line without its number, which must be one more than that of the line before, or,
 * after a part of a path, the same.  Returns the length of the copy. */
static inline size_t strip_numbers(char *to, const char *line, size_t len)
{
    long number;
    size_t head = strlen("{n: 00000000, "), tail = strlen(", nn: 00000000}\n");

    if (strncmp(line, "{n: ", 4) != 0) {
        memcpy(to, line, len);
        return len;
    }
    assert_memory_equal(line + 4, line + len - tail + strlen(", nn: "), 8);
    number = strtol(line + 4, NULL, 10);
    if (script_next_number >= 0)
        assert_int_equal(number, script_next_number);
    script_next_number = number + (strncmp(line + head, "codigo: \"parte\"", 15) != 0 &&
                                   strncmp(line + head, "codigo: \"destino\"", 17) != 0);
    to[0] = '{';
    memcpy(to + 1, line + head, len - head - tail);
    memcpy(to + 1 + len - head - tail, "}\n", 2);
    return len - head - tail + 3;
}

/* Removes all lines from the ring and returns them. */
static inline const char *raw_lines(void)
{
    static char text[FM_RING + 1];
    size_t len = 0;

    for (; fm_ring_out < fm_ring_in; fm_ring_out++)
        text[len++] = fm_ring[fm_ring_out % FM_RING];
    text[len] = '\0';
    return text;
}

/* The same without the numbers of the lines, which it checks. */
static inline const char *lines(void)
{
    static char text[FM_RING + 1];
    size_t len = 0;

    for (const char *at = raw_lines(), *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        len += strip_numbers(text + len, at, (size_t)(end + 1 - at));
    text[len] = '\0';
    return text;
}

/* Records a descriptor of current without a line.  Returns the number of its table; 0: current has
 * no table. */
static inline u32 script_record(unsigned int fd)
{
    struct fm_table *table = fm_add_my_table();
    struct fm_record record = fm_no_record;

    if (table == NULL)
        return 0;
    fm_remember(table, fd, &record);
    return fm_number(table);
}

static inline void lines_are(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void lines_are(const char *format, ...)
{
    static char expected[1 << 16];
    va_list args;

    va_start(args, format);
    assert_in_range(vsnprintf(expected, sizeof(expected), format, args), 0, sizeof(expected) - 1);
    va_end(args);
    assert_string_equal(lines(), expected);
}

/* The line of fm_send_status(). */
#define STATUS_LINE(what) "{codigo: \"" what "\", modulo: \"filemon_unit\"}\n"

static inline void no_lines(void)
{
    assert_string_equal(lines(), "");
}

#define script_test(test) cmocka_unit_test_setup_teardown(test, script_set_up, script_tear_down)

#endif
