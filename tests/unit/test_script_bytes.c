/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

/* Records fd, which is open.  Returns the number of its table. */
static u32 record(unsigned int fd)
{
    world_install(current->files, fd, world_file("/f", O_RDWR));
    return script_record(fd);
}

static void reads(int fd, long result)
{
    fm_transfer_begins((struct fm_ends){fd, -1, -1});
    fm_transferred((struct fm_ends){fd, -1, -1}, result);
}

static void writes(int fd, long result)
{
    fm_transfer_begins((struct fm_ends){-1, fd, -1});
    fm_transferred((struct fm_ends){-1, fd, -1}, result);
}

static void maps(int fd, long result)
{
    fm_transfer_begins((struct fm_ends){-1, -1, fd});
    fm_transferred((struct fm_ends){-1, -1, fd}, result);
}

/* The lines up to now begin with this one, or with none of bytes. */
static void bytes_are(u32 table, int fd, long read, long written, long reads_n, long writes_n,
                      int mapped)
{
    char expected[256];
    const char *found = lines();

    snprintf(expected, sizeof(expected),
             "{codigo: \"bytes\", tabla: %u, descriptor: %d, leidos: %ld, escritos: %ld, "
             "lecturas: %ld, escrituras: %ld, mapeado: %d}\n",
             table, fd, read, written, reads_n, writes_n, mapped);
    if (strncmp(found, expected, strlen(expected)) != 0)
        fail_msg("%s is not at the beginning of: %s", expected, found);
    assert_null(strstr(found + 1, "{codigo: \"bytes\""));
}

static void no_bytes(void)
{
    assert_null(strstr(lines(), "{codigo: \"bytes\""));
}

static void bytes_precede_the_close(void **state)
{
    u32 table = record(5);

    (void)state;
    record(6);
    reads(5, 100);
    reads(5, 0); /* the end of the file */
    reads(5, -EINTR);
    writes(5, 7);
    maps(6, -ENOMEM);
    reads(7, 1000); /* not recorded */
    reads(-1, -EBADF);
    fm_closing(5);
    bytes_are(table, 5, 100, 7, 2, 1, 0);
    fm_closing(6);
    no_bytes();
}

/* The descriptor counts from 0 again. */
static void a_later_file_has_counts_of_its_own(void **state)
{
    u32 table = record(5);

    (void)state;
    reads(5, 100);
    maps(5, 0x7f0000000000);
    fm_closing(5);
    bytes_are(table, 5, 100, 0, 1, 0, 1);
    script_record(5);
    writes(5, 3);
    fm_closing(5);
    bytes_are(table, 5, 0, 3, 0, 1, 0);
    script_record(5);
    fm_closing(5);
    no_bytes();
}

/* Each line of counts comes before the one of the call, which is written meanwhile. */
static void bytes_precede_a_list_of_closes(void **state)
{
    u32 table = record(5);

    (void)state;
    record(6);
    record(7);
    reads(6, 10);
    fm_closing_range(5, 7, 0);
    bytes_are(table, 6, 10, 0, 1, 0, 0);
}

static void bytes_precede_the_end_of_a_table(void **state)
{
    u32 table = record(5);
    const char *found;

    (void)state;
    reads(5, 10);
    atomic_dec(&current->signal->live);
    fm_exited();
    found = lines();
    assert_non_null(strstr(found, "\"bytes\""));
    assert_non_null(strstr(strstr(found, "\"bytes\""), "\"exit\""));
    assert_int_equal(table, 1 + (u32)(fm_table_row(current->files) - fm_tables));
}

/* Another thread closes the descriptor during the call, and opens another file there. */
static void a_call_does_not_count_for_a_later_file(void **state)
{
    struct fm_ends ends = {5, -1, -1};
    u32 table = record(5);

    (void)state;
    world_thread(101, current);
    fm_transfer_begins(ends);
    fm_closing(5);
    no_bytes();
    script_record(5);
    fm_transferred(ends, 100);
    reads(5, 3);
    fm_closing(5);
    bytes_are(table, 5, 3, 0, 1, 0, 0);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* It was not recorded when the call began. */
static void a_call_that_began_before_the_open_is_not_counted(void **state)
{
    struct fm_ends ends = {5, -1, -1};

    (void)state;
    world_thread(101, current);
    fm_transfer_begins(ends);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    record(5);
    fm_transferred(ends, 100);
    fm_closing(5);
    no_bytes();
}

static void threads_that_share_a_table_are_counted(void **state)
{
    u32 table = record(5);

    (void)state;
    world_thread(101, current);
    reads(5, 3);
    reads(5, -EAGAIN);
    writes(5, 4);
    maps(5, 4096);
    fm_closing(5);
    bytes_are(table, 5, 3, 4, 1, 1, 1);
    assert_int_equal(atomic_read(&fm_n_flights), 0);
}

/* Without memory nothing is counted, and that is counted as lost. */
static void no_memory_for_counts(void **state)
{
    (void)state;
    record(5);
    kernel_memory = 0;
    reads(5, 3);
    assert_int_equal(atomic_read(&fm_lost), 1);
    atomic_set(&fm_lost, 0);
    fm_closing(5);
    no_bytes();
}

static void both_ends_of_a_call(void **state)
{
    struct fm_ends ends;
    u32 table = record(5);

    (void)state;
    record(6);
    world_call(0, 5, 0, 6, 0);
    ends = fm_ends_of(0, 2);
    fm_transferred(ends, 10);
    fm_closing(5);
    bytes_are(table, 5, 10, 0, 1, 0, 0);
    fm_closing(6);
    bytes_are(table, 6, 0, 10, 0, 1, 0);
}

static int mapped_by(long nr, unsigned long flags, int fd)
{
    current->regs = (struct pt_regs){.nr = nr, .args = {0, 4096, 1, flags, (unsigned long)fd}};
    return fm_ends_of_map().mapped;
}

static void what_is_mapped(void **state)
{
    u32 old[5] = {0, 4096, 1, MAP_PRIVATE, 5};

    (void)state;
    assert_int_equal(mapped_by(__NR_mmap, MAP_PRIVATE, 5), 5);
    assert_int_equal(mapped_by(__NR_mmap, MAP_PRIVATE | MAP_ANONYMOUS, 5), -1);
#ifdef CONFIG_X86_64
    current->regs = (struct pt_regs){
        .nr = __NR_ia32_mmap, .ia32 = true, .args = {(unsigned long)old, 0, 0, 0, 0}};
    assert_int_equal(fm_ends_of_map().mapped, 5);
    current->regs.args[0] = 1; /* not in memory */
    assert_int_equal(fm_ends_of_map().mapped, -1);
#endif
}

/* The end of a pipe decides in which direction its bytes go. */
static void memory_is_spliced(void **state)
{
    (void)state;
    world_install(current->files, 5, world_file("/f", O_RDONLY));
    world_install(current->files, 6, world_file("/f", O_WRONLY));
    world_call(0, 5, 0, 0, 0);
    assert_int_equal(fm_ends_of_memory().from, 5);
    assert_int_equal(fm_ends_of_memory().to, -1);
    world_call(0, 6, 0, 0, 0);
    assert_int_equal(fm_ends_of_memory().from, -1);
    assert_int_equal(fm_ends_of_memory().to, 6);
}

static void requests_of_aio(void **state)
{
    struct iocb requests[] = {
        {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = 5},
        {.aio_lio_opcode = IOCB_CMD_PWRITEV, .aio_fildes = 5},
        {.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = 5},
        {.aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = 5},
    };
    struct io_event events[] = {
        {.obj = (uintptr_t)&requests[0], .res = 10},
        {.obj = (uintptr_t)&requests[1], .res = 200},
        {.obj = (uintptr_t)&requests[2], .res = 0},
        {.obj = (uintptr_t)&requests[3], .res = -EIO},
        {.obj = 1, .res = 3000}, /* not in memory */
    };
    u32 table = record(5);

    (void)state;
    world_call(0, 0, 0, 5, (unsigned long)events);
    fm_events_returned(5);
    fm_events_returned(-EINTR);
    fm_closing(5);
    bytes_are(table, 5, 10, 200, 1, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(bytes_precede_the_close),
        script_test(a_later_file_has_counts_of_its_own),
        script_test(bytes_precede_a_list_of_closes),
        script_test(bytes_precede_the_end_of_a_table),
        script_test(a_call_does_not_count_for_a_later_file),
        script_test(a_call_that_began_before_the_open_is_not_counted),
        script_test(threads_that_share_a_table_are_counted),
        script_test(no_memory_for_counts),
        script_test(both_ends_of_a_call),
        script_test(what_is_mapped),
        script_test(memory_is_spliced),
        script_test(requests_of_aio),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
