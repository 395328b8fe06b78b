/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "caught.h"
#include "output/fields.h"

/* The keys, separated by commas. */
static const char *joined(const struct fields *fields)
{
    static char text[1024];
    char *at = text;

    *at = '\0';
    for (size_t i = 0; i < fields->n; i++)
        at += sprintf(at, "%s%s", i > 0 ? "," : "", fields->list[i]->key);
    return text;
}

static void assert_fields(void **state, enum output_format format, const char *expected,
                          char *const *lists)
{
    struct fields fields;

    assert_int_equal(fields_choose(&fields, format, 0, lists), 0);
    assert_string_equal(caught_line(state), "");
    assert_string_equal(joined(&fields), expected);
}

#define FIELDS(format, expected, ...)                                                              \
    assert_fields(state, FORMAT_##format, expected, (char *const[]){__VA_ARGS__, NULL})

#define UNTIL_LOSSES                                                                               \
    "codigo,proceso,pid,ppid,tid,fichero,descriptor,date,date_us,flags,modo,errno,duracion_ns,"    \
    "motivo,origen,fichero_hex,perdidos"
#define OF_CALLS ",destino,destino_hex,llamada"
#define USUAL UNTIL_LOSSES OF_CALLS
#define TEXT "date,proceso,pid,codigo,descriptor,duracion_ns"

static void usual_fields(void **state)
{
    FIELDS(JSON, USUAL ",maquina", NULL);
    FIELDS(CSV, USUAL, NULL);
    FIELDS(TEXT, TEXT ",fichero", NULL);
}

/* With --host the key is in every record of every format. */
static void the_machine_is_added(void **state)
{
    static const struct {
        enum output_format format;
        const char *list, *expected;
    } cases[] = {
        {FORMAT_JSON, NULL, USUAL ",maquina"},
        {FORMAT_CSV, NULL, USUAL ",maquina"},
        {FORMAT_TEXT, NULL, TEXT ",maquina,fichero"},
        {FORMAT_JSON, "pid", "pid,perdidos,maquina"},
        {FORMAT_CSV, "maquina,pid", "maquina,pid,perdidos"},
        {FORMAT_TEXT, "pid", "pid"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fields fields;
        char *const lists[] = {(char *)cases[i].list, NULL};

        assert_int_equal(fields_choose(&fields, cases[i].format, FIELDS_HOST, lists), 0);
        assert_string_equal(joined(&fields), cases[i].expected);
    }
}

#define BYTES "leidos,escritos,lecturas,escrituras,mapeado"

/* With -b the keys are usual ones, which a LIST replaces. */
static void bytes_are_added(void **state)
{
    static const struct {
        enum output_format format;
        const char *list, *expected;
    } cases[] = {
        {FORMAT_JSON, NULL, UNTIL_LOSSES "," BYTES OF_CALLS ",maquina"},
        {FORMAT_CSV, NULL, UNTIL_LOSSES "," BYTES OF_CALLS},
        {FORMAT_TEXT, NULL, TEXT "," BYTES ",fichero"},
        {FORMAT_TEXT, "+tid", TEXT "," BYTES ",tid,fichero"},
        {FORMAT_CSV, "pid", "pid,perdidos"},
        {FORMAT_CSV, "mapeado,pid", "mapeado,pid,perdidos"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fields fields;
        char *const lists[] = {(char *)cases[i].list, NULL};

        assert_int_equal(fields_choose(&fields, cases[i].format, FIELDS_BYTES, lists), 0);
        assert_string_equal(joined(&fields), cases[i].expected);
    }
}

static void a_list_replaces_the_usual_fields(void **state)
{
    FIELDS(JSON, "pid,codigo,perdidos", "pid,codigo");
    FIELDS(CSV, "fecha,perdidos", "fecha");
    FIELDS(CSV, "destino,destino_hex,perdidos", "destino");
    FIELDS(TEXT, "fichero,pid", "fichero,pid");
    FIELDS(JSON, "tid,perdidos", "pid,codigo", "tid");
}

static void plus_adds_at_the_end(void **state)
{
    FIELDS(JSON, USUAL ",maquina,fecha", "+fecha");
    FIELDS(CSV, "pid,fecha,codigo,tid,perdidos", "pid", "+fecha,codigo", "+tid");
    FIELDS(JSON, "pid,fecha,codigo,perdidos", "pid", "+fecha,+codigo");
}

static void codes_have_the_columns_of_the_longest(void **state)
{
    char *const lists[] = {NULL};
    struct fields fields;

    (void)state;
    fields_choose(&fields, FORMAT_TEXT, 0, lists);
    assert_int_equal(fields.code_columns, strlen("close"));
    fields_expect(&fields, 1u << EVENT_OPEN | 1u << EVENT_UNLINK);
    assert_int_equal(fields.code_columns, strlen("unlink"));
}

static unsigned int facts_of(const char *list)
{
    char *const lists[] = {(char *)list, NULL};
    struct fields fields;

    assert_int_equal(fields_choose(&fields, FORMAT_JSON, 0, lists), 0);
    return fields.facts;
}

/* The engine adds only the facts that the keys need. */
static void keys_need_facts(void **state)
{
    (void)state;
    assert_int_equal(facts_of("+fecha"), 0);
    assert_int_equal(facts_of("+uid"), FACT(USER));
    assert_int_equal(facts_of("usuario"), FACT(USER));
    assert_int_equal(facts_of("+mnt_ns"), FACT(MOUNTS));
    assert_int_equal(facts_of("+lecturas"), FACT(BYTES));
    assert_int_equal(facts_of("ejecutable"), FACT(EXECUTABLE));
    assert_int_equal(facts_of("argumentos"), FACT(ARGUMENTS));
    assert_int_equal(facts_of("pedido"), FACT(GIVEN));
    assert_int_equal(facts_of("inodo"), FACT(FILE));
    assert_int_equal(facts_of("dispositivo"), FACT(FILE));
    assert_int_equal(facts_of("cgroup,uid"), FACT(GROUP) | FACT(USER));
}

/* The path has no fixed width, so it stays the last of the usual columns. */
static void plus_adds_before_the_path_in_text(void **state)
{
    FIELDS(TEXT, TEXT ",fecha,ppid,fichero", "+fecha,ppid");
    FIELDS(TEXT, "pid,fichero,fecha", "pid,fichero", "+fecha");
}

/* Without them a path would be wrong, and a loss hidden. */
static void fields_that_cannot_be_left_out(void **state)
{
    FIELDS(JSON, "fichero,pid,fichero_hex,perdidos", "fichero,pid");
    FIELDS(JSON, "fichero,fecha,fichero_hex,perdidos", "fichero", "+fecha");
    FIELDS(CSV, "perdidos,fichero_hex,fichero", "perdidos,fichero_hex,fichero");
    FIELDS(JSON, "fichero_hex,perdidos", "fichero_hex");
    FIELDS(TEXT, "fichero", "fichero");
}

static void every_field(void **state)
{
    FIELDS(JSON,
           "retorno,pedido,inodo,dispositivo,cgroup,mnt_ns,argumentos,ejecutable,usuario,uid,"
           "fecha,perdidos,fichero_hex,origen,motivo,duracion_ns,errno,modo,flags,date_us,date,"
           "descriptor,fichero,tid,ppid,pid,proceso,codigo",
           "retorno,pedido,inodo,dispositivo,cgroup,mnt_ns,argumentos,ejecutable,usuario,uid,"
           "fecha,perdidos,fichero_hex,origen,motivo,duracion_ns,errno,modo,flags,date_us,date,"
           "descriptor,fichero,tid,ppid,pid,proceso,codigo");
}

static void assert_refused(void **state, const char *list, const char *message)
{
    struct fields fields;
    char *const lists[] = {(char *)list, NULL};
    char line[256];

    assert_int_equal(fields_choose(&fields, FORMAT_JSON, 0, lists), -EINVAL);
    snprintf(line, sizeof(line), "%s\n", message);
    assert_string_equal(caught_line(state), line);
    assert_string_equal(caught_line(state), "");
}

static void unknown_keys_name_near_ones(void **state)
{
    assert_refused(state, "pid,fichro",
                   "filemon: -F pid,fichro: there is no key 'fichro'; did you mean fichero? "
                   "'filemon --help' lists the keys");
    assert_refused(state, "fich",
                   "filemon: -F fich: there is no key 'fich'; did you mean fichero or fichero_hex? "
                   "'filemon --help' lists the keys");
    assert_refused(state, "+motive",
                   "filemon: -F +motive: there is no key 'motive'; did you mean motivo? "
                   "'filemon --help' lists the keys");
    assert_refused(state, "pid ,tid",
                   "filemon: -F pid ,tid: there is no key 'pid '; did you mean pid? "
                   "'filemon --help' lists the keys");
    assert_refused(
        state, "PID",
        "filemon: -F PID: there is no key 'PID'; did you mean pid or ppid or tid or uid? "
        "'filemon --help' lists the keys");
}

static void long_keys_are_unknown(void **state)
{
    char list[600];
    struct fields fields;
    char *const lists[] = {list, NULL};

    for (size_t len = 250; len < sizeof(list); len++) {
        memset(list, 'p', len);
        list[len] = '\0';
        assert_int_equal(fields_choose(&fields, FORMAT_JSON, 0, lists), -EINVAL);
        assert_non_null(strstr(caught_line(state), "there is no key 'ppp"));
    }
}

static void empty_keys(void **state)
{
    static const char why[] = "a KEY is empty; a LIST is KEY[,KEY...] or +KEY[,KEY...]";
    static const char *const lists[] = {"", ",", "+", "pid,", "pid,,tid", ",pid", "+fecha,+"};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char message[128];

        sprintf(message, "filemon: -F %s: %s", lists[i], why);
        assert_refused(state, lists[i], message);
    }
}

static void repeated_keys(void **state)
{
    assert_refused(state, "pid,tid,pid", "filemon: -F pid,tid,pid: pid is there already");
    assert_refused(state, "+pid", "filemon: -F +pid: pid is there already");
    assert_refused(state, "+fecha,fecha", "filemon: -F +fecha,fecha: fecha is there already");
}

static void lists_with_and_without_plus(void **state)
{
    assert_refused(state, "pid,+fecha",
                   "filemon: -F pid,+fecha: a LIST begins with + to add to the usual keys; "
                   "any other has no +");
    assert_refused(state, "+fecha,++tid",
                   "filemon: -F +fecha,++tid: a LIST begins with + to add to the usual keys; "
                   "any other has no +");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, caught_begin, caught_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(usual_fields),
        TEST(the_machine_is_added),
        TEST(bytes_are_added),
        TEST(a_list_replaces_the_usual_fields),
        TEST(codes_have_the_columns_of_the_longest),
        TEST(plus_adds_at_the_end),
        TEST(keys_need_facts),
        TEST(plus_adds_before_the_path_in_text),
        TEST(fields_that_cannot_be_left_out),
        TEST(every_field),
        TEST(unknown_keys_name_near_ones),
        TEST(long_keys_are_unknown),
        TEST(empty_keys),
        TEST(repeated_keys),
        TEST(lists_with_and_without_plus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
