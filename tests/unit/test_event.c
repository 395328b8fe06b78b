/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "random.h"

/* The kernel's O_LARGEFILE on x86 and arm: glibc's is 0 on 64-bit machines. */
#if defined(__aarch64__) || defined(__arm__)
#define KERNEL_LARGEFILE 0400000
#else
#define KERNEL_LARGEFILE 0100000
#endif

static void assert_flags(uint64_t flags, const char *expected)
{
    char buf[EVENT_FLAGS_SIZE];
    uint64_t read;

    assert_ptr_equal(event_flags_string(flags, buf), buf);
    assert_string_equal(buf, expected);
    assert_true(event_flags_of(expected, &read));
    assert_int_equal(read, flags & ~(uint64_t)KERNEL_LARGEFILE);
}

static void other_flags_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "O_CREAT",
                                        "O_RDONLY|",
                                        "O_RDONLY|O_CREATE",
                                        "O_RDONLY|O_CREA",
                                        "O_RDONLY O_CREAT",
                                        "O_RDONLY|0",
                                        "O_RDONLY|0x",
                                        "O_RDONLY|0x8g",
                                        "O_RDONLY||O_CREAT",
                                        "O_RDONLYx"};
    uint64_t flags;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (event_flags_of(texts[i], &flags))
            fail_msg("%s is accepted", texts[i]);
}

static void flags_are_named(void **state)
{
    (void)state;
    assert_flags(O_RDONLY, "O_RDONLY");
    assert_flags(O_WRONLY, "O_WRONLY");
    assert_flags(O_RDWR | O_CREAT | O_CLOEXEC, "O_RDWR|O_CREAT|O_CLOEXEC");
    assert_flags(O_ACCMODE, "O_ACCMODE");
    assert_flags(O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC,
                 "O_RDONLY|O_NONBLOCK|O_DIRECTORY|O_CLOEXEC");
    assert_flags(O_WRONLY | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_ASYNC | O_DIRECT |
                     O_NOFOLLOW | O_NOATIME,
                 "O_WRONLY|O_EXCL|O_NOCTTY|O_TRUNC|O_APPEND|O_ASYNC|O_DIRECT|O_NOFOLLOW|O_NOATIME");
    assert_flags(O_PATH, "O_RDONLY|O_PATH");
}

static void composite_flags_include_their_parts(void **state)
{
    (void)state;
    assert_flags(O_WRONLY | O_SYNC, "O_WRONLY|O_SYNC");
    assert_flags(O_WRONLY | O_DSYNC, "O_WRONLY|O_DSYNC");
    assert_flags(O_RDWR | O_TMPFILE, "O_RDWR|O_TMPFILE");
    assert_flags(O_RDONLY | O_DIRECTORY, "O_RDONLY|O_DIRECTORY");
}

static void unknown_flags_are_a_number(void **state)
{
    (void)state;
    assert_flags(O_RDWR | KERNEL_LARGEFILE, "O_RDWR");
    assert_flags(O_RDONLY | 0x80000000u, "O_RDONLY|0x80000000");
    assert_flags(O_RDWR | 1ull << 40 | O_CREAT | 0x80000000u, "O_RDWR|O_CREAT|0x10080000000");
    assert_flags(O_RDWR | O_CREAT | 0xc0000000u, "O_RDWR|O_CREAT|0xc0000000");
    assert_flags(O_SYNC & ~O_DSYNC, "O_RDONLY|0x100000");
}

static unsigned int flag_value(const char *name)
{
    static const struct {
        const char *name;
        unsigned int value;
    } flags[] = {
        {"O_RDONLY", O_RDONLY},       {"O_WRONLY", O_WRONLY},     {"O_RDWR", O_RDWR},
        {"O_ACCMODE", O_ACCMODE},     {"O_CREAT", O_CREAT},       {"O_EXCL", O_EXCL},
        {"O_NOCTTY", O_NOCTTY},       {"O_TRUNC", O_TRUNC},       {"O_APPEND", O_APPEND},
        {"O_NONBLOCK", O_NONBLOCK},   {"O_SYNC", O_SYNC},         {"O_DSYNC", O_DSYNC},
        {"O_ASYNC", O_ASYNC},         {"O_DIRECT", O_DIRECT},     {"O_TMPFILE", O_TMPFILE},
        {"O_DIRECTORY", O_DIRECTORY}, {"O_NOFOLLOW", O_NOFOLLOW}, {"O_NOATIME", O_NOATIME},
        {"O_CLOEXEC", O_CLOEXEC},     {"O_PATH", O_PATH},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (strcmp(flags[i].name, name) == 0)
            return flags[i].value;
    assert_memory_equal(name, "0x", 2);
    return (unsigned int)strtoul(name, NULL, 16);
}

/* For random bits: the names add up to the bits, and no name is repeated. */
static void random_flags_add_up(void **state)
{
    (void)state;
    random_start(__func__);
    for (int i = 0; i < 20000; i++) {
        char buf[EVENT_FLAGS_SIZE], *rest = buf, *name;
        unsigned int flags = (random_below(1u << 16) << 16 | random_below(1u << 16)), sum = 0;

        if (i == 0)
            flags = UINT32_MAX;
        event_flags_string(flags, buf);
        assert_true(strlen(buf) < sizeof(buf));
        while ((name = strsep(&rest, "|")) != NULL) {
            assert_int_equal(sum & flag_value(name), 0);
            sum |= flag_value(name);
        }
        assert_int_equal(sum, flags & ~(unsigned int)KERNEL_LARGEFILE);
    }
}

static void errors_are_named(void **state)
{
    char buf[16];

    (void)state;
    assert_string_equal(event_errno_name(ENOENT, buf), "ENOENT");
    assert_string_equal(event_errno_name(EPERM, buf), "EPERM");
    assert_string_equal(event_errno_name(ELOOP, buf), "ELOOP");
    assert_string_equal(event_errno_name(EAGAIN, buf), "EAGAIN");
    assert_string_equal(event_errno_name(4095, buf), "E4095");
    assert_string_equal(event_errno_name(0, buf), "E0");
    assert_string_equal(event_errno_name(INT32_MIN, buf), "E-2147483648");
}

static void codes_and_reasons_are_named(void **state)
{
    static const char *const codes[] = {"open",    "close",  "dup",      "fail",   "held",
                                        "error",   "lost",   "exec",     "rename", "link",
                                        "symlink", "unlink", "mkdir",    "rmdir",  "mknod",
                                        "chmod",   "chown",  "truncate", "utimes", "setxattr"};
    static const char *const reasons[] = {"close", "close_range", "dup2",
                                          "exec",  "exit",        "received"};

    (void)state;
    assert_int_equal(EVENT_RECORDS, sizeof(codes) / sizeof(codes[0]));
    for (int i = 0; i < EVENT_RECORDS; i++)
        assert_string_equal(event_code_name((enum event_code)i), codes[i]);
    assert_int_equal(REASON_COUNT, sizeof(reasons) / sizeof(reasons[0]));
    for (int i = 0; i < REASON_COUNT; i++)
        assert_string_equal(event_reason_name((enum event_reason)i), reasons[i]);
}

/* The documented keys in their order, and the records that have each. */
#define OTHERS                                                                                     \
    " exec rename link symlink unlink mkdir rmdir mknod chmod chown truncate utimes setxattr"

static void fields_of_each_record(void **state)
{
    static const char *const contract[][2] = {
        {"codigo", "open close dup fail held error lost" OTHERS},
        {"proceso", "open close dup fail held error" OTHERS},
        {"pid", "open close dup fail held error" OTHERS},
        {"ppid", "open close dup fail held error" OTHERS},
        {"tid", "open close dup fail held error" OTHERS},
        {"fichero", "open close dup fail held error" OTHERS},
        {"descriptor", "open close dup fail held error"},
        {"date", "open close dup fail held error lost" OTHERS},
        {"date_us", "open close dup fail held error lost" OTHERS},
        {"flags", "open fail held"},
        {"modo", "open fail mkdir mknod chmod"},
        {"errno", "fail"},
        {"duracion_ns", "close"},
        {"motivo", "open close"},
        {"origen", "dup"},
        {"fichero_hex", "open close dup fail held error" OTHERS},
        {"perdidos", "lost"},
        {"leidos", "close"},
        {"escritos", "close"},
        {"lecturas", "close"},
        {"escrituras", "close"},
        {"mapeado", "close"},
        {"destino", "fail rename link symlink"},
        {"destino_hex", "fail rename link symlink"},
        {"llamada", "fail"},
        {"maquina", "open close dup fail held error lost" OTHERS},
        {"fecha", "open close dup fail held error lost" OTHERS},
        {"uid", "open close dup fail held error" OTHERS},
        {"usuario", "open close dup fail held error" OTHERS},
        {"ejecutable", "open close dup fail held error" OTHERS},
        {"argumentos", "open close dup fail held error" OTHERS},
        {"mnt_ns", "open close dup fail held error" OTHERS},
        {"cgroup", "open close dup fail held error" OTHERS},
        {"dispositivo", "open close dup held error exec"},
        {"inodo", "open close dup held error exec"},
        {"pedido", "open fail"},
        {"retorno", "close"},
    };

    bool on_request = false;

    (void)state;
    assert_int_equal(field_count, sizeof(contract) / sizeof(contract[0]));
    for (size_t i = 0; i < field_count; i++) {
        char carried[256] = "";

        assert_string_equal(field_table[i].key, contract[i][0]);
        for (int code = 0; code < EVENT_RECORDS; code++) {
            if ((field_table[i].codes & (1u << code)) == 0)
                continue;
            if (carried[0] != '\0')
                strcat(carried, " ");
            strcat(carried, event_code_name((enum event_code)code));
        }
        assert_string_equal(carried, contract[i][1]);
        assert_true(field_table[i].help != NULL && field_table[i].help[0] != '\0');
        bool of_bytes = (field_table[i].facts & FACT(BYTES)) != 0;
        on_request |= strcmp(contract[i][0], "fecha") == 0; /* this one and those after it */
        assert_int_equal(field_table[i].on_request, on_request || of_bytes);
        assert_int_equal(strstr(field_table[i].help, "only with -F") != NULL, on_request);
        assert_int_equal(strstr(field_table[i].help, "; with -b") != NULL, of_bytes);
    }
}

static int64_t value_of(const char *key, const struct event *event)
{
    for (size_t i = 0; i < field_count; i++)
        if (strcmp(field_table[i].key, key) == 0)
            return field_table[i].get(event);
    fail_msg("no field %s", key);
    return 0;
}

static void integer_fields(void **state)
{
    struct event event = {.code = EVENT_OPEN, .pid = 5817, .ppid = 1082, .tid = 5818, .fd = 12};

    (void)state;
    event.date_us = 1310920975123456;
    event.origin = 4;
    event.duration_ns = 2999999;
    event.lost = 7;
    assert_int_equal(value_of("pid", &event), 5817);
    assert_int_equal(value_of("ppid", &event), 1082);
    assert_int_equal(value_of("tid", &event), 5818);
    assert_int_equal(value_of("descriptor", &event), 12);
    assert_int_equal(value_of("date_us", &event), 1310920975123456);
    assert_int_equal(value_of("date", &event), 1310920975123);
    assert_int_equal(value_of("origen", &event), 4);
    assert_int_equal(value_of("duracion_ns", &event), 2999999);
    assert_int_equal(value_of("perdidos", &event), 7);
    event.code = EVENT_CLOSE;
    assert_int_equal(value_of("date", &event), 2);
    assert_int_equal(value_of("date_us", &event), 1310920975123456);
}

static void bytes_that_are_known(void **state)
{
    struct event_facts facts = {.bytes = {.read = UINT64_MAX - 1, .writes = 3, .mapped = true}};
    struct event event = {.code = EVENT_CLOSE, .facts = &facts};

    (void)state;
    facts.bytes.written = EVENT_NO_COUNT;
    assert_int_equal(value_of("leidos", &event), (INT64_C(1) << 53) - 1);
    assert_int_equal(value_of("escritos", &event), -1);
    assert_int_equal(value_of("lecturas", &event), 0);
    assert_int_equal(value_of("escrituras", &event), 3);
    assert_int_equal(value_of("mapeado", &event), 1);
    facts.bytes.mapped_is_missing = true;
    assert_int_equal(value_of("mapeado", &event), -1);
}

static void integers_stay_below_2_to_53(void **state)
{
    struct event event = {.code = EVENT_CLOSE, .duration_ns = UINT64_MAX, .lost = UINT64_MAX};
    int64_t most = (INT64_C(1) << 53) - 1;

    (void)state;
    assert_int_equal(value_of("duracion_ns", &event), most);
    assert_int_equal(value_of("perdidos", &event), most);
    assert_int_equal(value_of("date", &event), UINT64_MAX / 1000000);
    event.duration_ns = (uint64_t)most;
    assert_int_equal(value_of("duracion_ns", &event), most);
    event.duration_ns = (uint64_t)most - 1;
    assert_int_equal(value_of("duracion_ns", &event), most - 1);
}

static void names_of_machines(void **state)
{
    char name[66];

    (void)state;
    assert_true(event_is_host("web-1.example.org"));
    assert_true(event_is_host("fe80::1_A"));
    assert_false(event_is_host(""));
    assert_false(event_is_host("a b"));
    assert_false(event_is_host("a\"b"));
    assert_false(event_is_host("\xc3\xb1"));
    memset(name, 'x', sizeof(name));
    name[64] = '\0';
    assert_true(event_is_host(name));
    name[64] = 'x';
    name[65] = '\0';
    assert_false(event_is_host(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_named),
        cmocka_unit_test(composite_flags_include_their_parts),
        cmocka_unit_test(unknown_flags_are_a_number),
        cmocka_unit_test(other_flags_are_refused),
        cmocka_unit_test(random_flags_add_up),
        cmocka_unit_test(errors_are_named),
        cmocka_unit_test(codes_and_reasons_are_named),
        cmocka_unit_test(fields_of_each_record),
        cmocka_unit_test(names_of_machines),
        cmocka_unit_test(integer_fields),
        cmocka_unit_test(bytes_that_are_known),
        cmocka_unit_test(integers_stay_below_2_to_53),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
