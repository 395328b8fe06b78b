/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

#include "caught.h"

/* Two fake engines, which return the results that a test sets and log their calls. */
struct behaviour {
    int check, open, dispatch[4];
    int opened, closed, dispatched, stopped, prefixes, held;
};

static struct behaviour behaviours[2];

static int fake_check(int i, struct finding *problem)
{
    if (problem && behaviours[i].check != 0)
        *problem = (struct finding){
            .what = "WHAT", .fix = "MEND", .doubt = behaviours[i].check == -EAGAIN};
    return behaviours[i].check;
}

static int fake_open(int i, struct engine **engine, const struct engine_config *config)
{
    if (behaviours[i].open < 0) {
        engine_failed(config, "cannot open %d", i);
        return behaviours[i].open;
    }
    behaviours[i].opened++;
    *engine = (struct engine *)(void *)&behaviours[i];
    return 0;
}

static int fake_dispatch(struct engine *engine)
{
    struct behaviour *behaviour = (struct behaviour *)(void *)engine;

    return behaviour->dispatch[behaviour->dispatched++];
}

static int fake_add_prefix(struct engine *engine, const char *path, enum pathfilter_verdict verdict)
{
    assert_string_equal(path, "/a");
    assert_int_equal(verdict, PATHFILTER_EXCLUDE);
    ((struct behaviour *)(void *)engine)->prefixes++;
    return -E2BIG;
}

static int fake_report_held(struct engine *engine)
{
    ((struct behaviour *)(void *)engine)->held++;
    return -ENOSPC;
}

static void fake_stop(struct engine *engine)
{
    ((struct behaviour *)(void *)engine)->stopped++;
}

static void fake_close(struct engine *engine)
{
    ((struct behaviour *)(void *)engine)->closed++;
}

#define FAKE(i)                                                                                    \
    static int check_##i(const struct engine_config *config, FILE *out, struct finding *problem)   \
    {                                                                                              \
        (void)config;                                                                              \
        (void)out;                                                                                 \
        return fake_check(i, problem);                                                             \
    }                                                                                              \
    static int open_##i(struct engine **engine, const struct engine_config *config,                \
                        const struct engine_sink *sink)                                            \
    {                                                                                              \
        (void)sink;                                                                                \
        return fake_open(i, engine, config);                                                       \
    }                                                                                              \
    static const struct engine_ops fake_##i = {.name = i == 0 ? "zero" : "one",                    \
                                               .sets = i == 0 ? TRACE(OPEN) : TRACE_ALL,           \
                                               .check = check_##i,                                 \
                                               .open = open_##i,                                   \
                                               .dispatch = fake_dispatch,                          \
                                               .add_prefix = fake_add_prefix,                      \
                                               .report_held = fake_report_held,                    \
                                               .stop = fake_stop,                                  \
                                               .close = fake_close}
FAKE(0);
FAKE(1);

static const struct engine_ops *const list[] = {&fake_0, &fake_1, NULL};
static const struct engine_config config;
static const struct engine_sink sink;

static int begin(void **state)
{
    memset(behaviours, 0, sizeof(behaviours));
    return caught_begin(state);
}

static struct engine *opened(const struct engine_ops **ops)
{
    struct engine *engine = NULL;

    *ops = engine_choose(list, &engine_auto, &config);
    assert_non_null(*ops);
    assert_int_equal((*ops)->open(&engine, &config, &sink), 0);
    return engine;
}

static void names(void **state)
{
    (void)state;
    bool other_way = true;

    assert_ptr_equal(engine_find("auto", &other_way), &engine_auto);
    for (size_t i = 0; engine_list[i]; i++)
        assert_ptr_equal(engine_find(engine_list[i]->name, &other_way), engine_list[i]);
    assert_false(other_way);
    assert_ptr_equal(engine_find("bpf:tracepoint", &other_way), &engine_bpf);
    assert_true(other_way);
    assert_null(engine_find("bpf:", &other_way));
    assert_null(engine_find("two", &other_way));
    assert_null(engine_find("", &other_way));
}

static void chooses_the_requested_engine(void **state)
{
    assert_ptr_equal(engine_choose(list, &fake_1, &config), &fake_1);
    behaviours[1].check = -EAGAIN; /* it is asked for */
    assert_ptr_equal(engine_choose(list, &fake_1, &config), &fake_1);
    assert_string_equal(caught_line(state), "");
    behaviours[1].check = -ENOSYS;
    assert_null(engine_choose(list, &fake_1, &config));
    assert_string_equal(caught_line(state), "filemon: engine one cannot run here: WHAT: MEND\n");
}

static void auto_chooses_the_first_that_can_run(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine = opened(&ops);

    assert_string_equal(engine_name(ops, engine), "zero");
    assert_string_equal(caught_line(state), "");
    ops->close(engine);
    behaviours[0].check = -ENOSYS;
    engine = opened(&ops);
    assert_string_equal(engine_name(ops, engine), "one");
    assert_string_equal(caught_line(state), "filemon: engine one, since zero needs WHAT\n");
    ops->close(engine);
    behaviours[0].check = -EAGAIN;
    engine = opened(&ops);
    assert_string_equal(engine_name(ops, engine), "one");
    assert_string_equal(caught_line(state),
                        "filemon: engine one, since zero is unlikely to run: WHAT: MEND\n");
    ops->close(engine);
    behaviours[1].check = -ENOSYS; /* better than none */
    engine = opened(&ops);
    assert_string_equal(engine_name(ops, engine), "zero");
    ops->close(engine);
    behaviours[0].check = -ENOSYS;
    assert_null(engine_choose(list, &engine_auto, &config));
}

/* An engine is not tried that lacks what is asked for. */
static void auto_skips_an_engine_that_lacks_a_fact(void **state)
{
    struct engine_config counting = {.facts = FACT(BYTES) | FACT(USER)};
    struct engine_ops lacking = fake_0;
    const struct engine_ops *const some[] = {&lacking, &fake_1, NULL}, *ops;
    struct engine *engine = NULL;

    lacking.lacks = FACT(BYTES);
    assert_true(engine_lacks(&lacking, FACT(BYTES) | FACT(USER)));
    assert_false(engine_lacks(&lacking, FACT(USER)));
    ops = engine_choose(some, &engine_auto, &counting);
    assert_int_equal(ops->open(&engine, &counting, &sink), 0);
    assert_string_equal(engine_name(ops, engine), "one");
    assert_string_equal(caught_line(state),
                        "filemon: engine one, since zero needs probes that count bytes\n");
    ops->close(engine);
    ops = engine_choose(some, &engine_auto, &config);
    assert_int_equal(ops->open(&engine, &config, &sink), 0);
    assert_string_equal(engine_name(ops, engine), "zero");
    ops->close(engine);
}

/* An engine that does not deliver a set is no candidate. */
static void auto_chooses_by_the_sets(void **state)
{
    struct engine_config names = {.sets = TRACE(OPEN) | TRACE(NAMES)};

    assert_ptr_equal(engine_for(list, TRACE(OPEN)), &fake_0);
    assert_ptr_equal(engine_for(list, names.sets), &fake_1);
    assert_null(engine_for(list, 1u << TRACE_SETS));
    assert_ptr_equal(engine_choose(list, &engine_auto, &names), &engine_auto);
    assert_string_equal(caught_line(state),
                        "filemon: engine one, since zero needs probes of what -t asks for\n");
    behaviours[1].check = -ENOSYS;
    assert_null(engine_choose(list, &engine_auto, &names));
}

static void falls_back_if_open_fails(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine;

    behaviours[0].open = -EPROTO;
    engine = opened(&ops);
    assert_string_equal(caught_line(state),
                        "filemon: engine one, since zero failed: cannot open 0\n");
    assert_string_equal(engine_name(ops, engine), "one");
    ops->close(engine);
    assert_int_equal(behaviours[1].closed, 1);
    behaviours[1].open = -EPERM;
    assert_int_equal(ops->open(&engine, &config, &sink), -EPERM);
    caught_line(state);
    assert_string_equal(caught_line(state), "filemon: cannot open 1\n"); /* the last one's error */
}

static void falls_back_if_it_fails_before_watching(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine = opened(&ops);

    behaviours[0].dispatch[1] = -ECHILD;
    behaviours[1].dispatch[0] = ENGINE_WATCHING;
    behaviours[1].dispatch[1] = -EIO;
    assert_int_equal(ops->dispatch(engine), ENGINE_STARTING);
    assert_int_equal(ops->dispatch(engine), ENGINE_STARTING);
    assert_string_equal(caught_line(state), "filemon: engine one, since zero failed\n");
    assert_int_equal(behaviours[0].closed, 1);
    assert_int_equal(ops->dispatch(engine), ENGINE_WATCHING);
    assert_int_equal(ops->dispatch(engine), -EIO);
    ops->close(engine);
    assert_int_equal(behaviours[0].opened + behaviours[1].opened, 2);
    assert_int_equal(behaviours[1].closed, 1);
}

/* After ENGINE_WATCHING or stop() no other engine is opened. */
static void does_not_fall_back_after_watching(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine = opened(&ops);

    behaviours[0].dispatch[0] = ENGINE_WATCHING;
    behaviours[0].dispatch[1] = -EIO;
    assert_int_equal(ops->dispatch(engine), ENGINE_WATCHING);
    assert_int_equal(ops->dispatch(engine), -EIO);
    ops->close(engine);
    memset(behaviours, 0, sizeof(behaviours));
    engine = opened(&ops);
    behaviours[0].dispatch[0] = -EIO;
    (ops->stop)(engine); /* cmocka 2 has a macro stop() */
    assert_int_equal(behaviours[0].stopped, 1);
    assert_int_equal(ops->dispatch(engine), -EIO);
    ops->close(engine);
    assert_int_equal(behaviours[1].opened, 0);
    assert_string_equal(caught_line(state), "");
}

/* A prefix that is added after the start goes to the chosen engine. */
static void forwards_a_new_prefix(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine = opened(&ops);

    (void)state;
    assert_int_equal(ops->add_prefix(engine, "/a", PATHFILTER_EXCLUDE), -E2BIG);
    assert_int_equal(behaviours[0].prefixes, 1);
    ops->close(engine);
}

static void forwards_report_held(void **state)
{
    const struct engine_ops *ops;
    struct engine *engine = opened(&ops);

    (void)state;
    assert_int_equal(ops->report_held(engine), -ENOSPC);
    assert_int_equal(behaviours[0].held, 1);
    ops->close(engine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, caught_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(chooses_the_requested_engine),
        TEST(auto_chooses_the_first_that_can_run),
        TEST(auto_skips_an_engine_that_lacks_a_fact),
        TEST(auto_chooses_by_the_sets),
        TEST(falls_back_if_open_fails),
        TEST(falls_back_if_it_fails_before_watching),
        TEST(does_not_fall_back_after_watching),
        TEST(forwards_a_new_prefix),
        TEST(forwards_report_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
