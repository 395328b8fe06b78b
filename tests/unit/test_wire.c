/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"

/* The calls of the sink as text, one line for each event and notice. */
struct calls {
    struct wire *wire;
    uint32_t number; /* the number of the next line */
    size_t len;
    char text[1 << 20];
};

static void log_call(struct calls *calls, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void log_call(struct calls *calls, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    calls->len += (size_t)vsnprintf(calls->text + calls->len, sizeof(calls->text) - calls->len,
                                    format, args);
    va_end(args);
    assert_true(calls->len < sizeof(calls->text));
}

static void log_path(struct calls *calls, const struct event *event)
{
    assert_int_equal(event->path_len, strlen(event->path));
    log_call(calls, " path %s%s flags %llx", event->path, event->path_cut ? " cut" : "",
             (unsigned long long)event->flags);
    if (event->mode != EVENT_NO_MODE)
        log_call(calls, " mode %o", (unsigned int)event->mode);
}

static void log_facts(struct calls *calls, const struct event_facts *facts)
{
    if (facts->known & FACT(USER))
        log_call(calls, " user %u", facts->user);
    if (facts->known & FACT(MOUNTS))
        log_call(calls, " mounts %u", facts->mounts);
    if (facts->known & FACT(GROUP))
        log_call(calls, " group %ju", (uintmax_t)facts->group);
    if (facts->known & FACT(FILE))
        log_call(calls, " file %u:%u %ju", facts->file.major, facts->file.minor,
                 (uintmax_t)facts->file.inode);
    if (facts->known & FACT(RESULT))
        log_call(calls, " and its result");
    if (facts->known & FACT(GIVEN))
        log_call(calls, " given %s", facts->given);
    if (facts->known & FACT(EXECUTABLE))
        log_call(calls, " executable %ju", (uintmax_t)facts->executable);
}

static void on_event(void *ctx, const struct event *event)
{
    static const char *const codes[] = {
        [EVENT_OPEN] = "OPEN",       [EVENT_CLOSE] = "CLOSE",  [EVENT_DUP] = "DUP",
        [EVENT_FAIL] = "FAIL",       [EVENT_LOST] = "LOST",    [EVENT_HELD] = "HELD",
        [EVENT_CLOEXEC] = "CLOEXEC", [EVENT_EXIT] = "EXIT",    [EVENT_EXEC] = "EXEC",
        [EVENT_RENAME] = "RENAME",   [EVENT_MKDIR] = "MKDIR",  [EVENT_RMDIR] = "RMDIR",
        [EVENT_UNLINK] = "UNLINK",   [EVENT_RESULT] = "RESULT"};
    struct calls *calls = ctx;

    if (event->code == EVENT_EXECUTABLE) {
        log_call(calls, "EXECUTABLE %ju %s\n", (uintmax_t)event->facts->executable, event->path);
        return;
    }
    if (event->code == EVENT_ARGUMENTS) {
        log_call(calls, "ARGUMENTS %ju of %d at %ju: %s\n", (uintmax_t)event->facts->executable,
                 event->pid, (uintmax_t)event->mono_ns, event->path ? event->path : "none");
        return;
    }
    if (event->code == EVENT_BYTES) {
        log_call(calls, "BYTES table %ju fd %d: %jd %jd %jd %jd%s\n", (uintmax_t)event->table,
                 event->fd, (intmax_t)event->facts->bytes.read,
                 (intmax_t)event->facts->bytes.written, (intmax_t)event->facts->bytes.reads,
                 (intmax_t)event->facts->bytes.writes, event->facts->bytes.mapped ? " mapped" : "");
        assert_int_equal(event->facts->known, FACT(BYTES));
        return;
    }
    log_call(calls, "%s", codes[event->code]);
    if (event->code == EVENT_LOST) {
        log_call(calls, " %ju at %jd\n", (uintmax_t)event->lost, (intmax_t)event->date_us);
        return;
    }
    log_call(calls, " %s %d/%d/%d at %jd %ju", event->comm, event->pid, event->ppid, event->tid,
             (intmax_t)event->date_us, (uintmax_t)event->mono_ns);
    if (event->table != 7 && event->code != EVENT_FAIL)
        log_call(calls, " table %" PRIu64, event->table);
    if (event->code != EVENT_EXIT)
        log_call(calls, " fd %d", event->fd);
    if (event->path)
        log_path(calls, event);
    if (event->call)
        log_call(calls, " call %s", event->call);
    if (event->destination) {
        assert_int_equal(event->destination_len, strlen(event->destination));
        log_call(calls, " to %s", event->destination);
    }
    if (event->is_matched)
        log_call(calls, " matched");
    if (event->code == EVENT_DUP)
        log_call(calls, " origin %d%s", event->origin, event->reason == REASON_DUP2 ? " dup2" : "");
    if (event->code == EVENT_CLOSE || event->reason == REASON_RECEIVED)
        log_call(calls, " %s", event_reason_name(event->reason));
    for (size_t i = 0; i < event->n_ranges; i++)
        log_call(calls, " [%u,%u]", event->ranges[i].first, event->ranges[i].last);
    if (event->facts)
        log_facts(calls, event->facts);
    log_call(calls, "\n");
}

static void on_loaded(void *ctx, const char *module)
{
    log_call(ctx, "LOADED %s\n", module);
}

static void on_watching(void *ctx)
{
    log_call(ctx, "WATCHING\n");
}

static void on_refused(void *ctx)
{
    log_call(ctx, "REFUSED\n");
}

static void on_more(void *ctx)
{
    log_call(ctx, "MORE\n");
}

static void on_idle(void *ctx)
{
    log_call(ctx, "IDLE\n");
}

static void on_lost(void *ctx, uint64_t lines)
{
    log_call(ctx, "MISSING %ju\n", (uintmax_t)lines);
}

static int begin(void **state)
{
    struct calls *calls = calloc(1, sizeof(*calls));
    struct wire_sink sink = {.event = on_event,
                             .event_ctx = calls,
                             .loaded = on_loaded,
                             .watching = on_watching,
                             .refused = on_refused,
                             .more = on_more,
                             .idle = on_idle,
                             .lost = on_lost,
                             .ctx = calls};

    *state = calls;
    calls->wire = wire_new(&sink);
    return calls->wire ? 0 : -1;
}

static int end(void **state)
{
    struct calls *calls = *state;

    wire_free(calls->wire);
    free(calls);
    return 0;
}

/* Returns the calls of the sink since the last call of this function. */
static const char *new_calls(struct calls *calls)
{
    calls->text[calls->len] = '\0';
    calls->len = 0;
    return calls->text;
}

/* Numbers one line at both ends.  A part of a path gets the number of the line that it belongs to.
 */
static size_t number_line(struct calls *calls, char *to, const char *line, size_t len)
{
    uint32_t number = calls->number;
    int n;

    if (len == 0 || line[0] != '{')
        return (size_t)sprintf(to, "%.*s", (int)len, line);
    calls->number += strncmp(line, "{codigo: \"parte\"", 16) != 0 &&
                     strncmp(line, "{codigo: \"destino\"", 18) != 0;
    n = sprintf(to, "{n: %08u, %.*s", number, (int)len - 1, line + 1);
    if (line[len - 1] == '}')
        n += sprintf(to + n - 1, ", nn: %08u}", number) - 1;
    return (size_t)n;
}

/* Gives the lines the next numbers, as the script does. */
static const char *numbered(struct calls *calls, const char *lines)
{
    static char text[1 << 17];
    size_t at = 0;

    while (*lines) {
        size_t len = strcspn(lines, "\n");

        at += number_line(calls, text + at, lines, len);
        lines += len;
        if (*lines)
            text[at++] = *lines++;
    }
    text[at] = '\0';
    return text;
}

static void give_raw(struct calls *calls, const char *text)
{
    wire_take(calls->wire, text, strlen(text));
}

static void give(struct calls *calls, const char *lines)
{
    give_raw(calls, numbered(calls, lines));
}

#define FIN "{codigo: \"fin\", modulo: \"m\"}\n"

/* Checks that the lines give these calls, and that none is missing. */
static void assert_calls(void **state, const char *lines, const char *expected)
{
    struct calls *calls = *state;

    give(calls, lines);
    give(calls, FIN);
    log_call(calls, "END\n");
    assert_string_equal(new_calls(calls) + strlen(expected), "IDLE\nEND\n");
    assert_memory_equal(calls->text, expected, strlen(expected));
}

/* Checks that the line gives no call, and that the next line reports one as missing. */
static void assert_garbage(void **state, const char *line)
{
    struct calls *calls = *state;
    uint32_t number = calls->number;

    give(calls, line);
    calls->number = number + 1;
    give(calls, "\n" FIN);
    if (strcmp(new_calls(calls), "IDLE\nMISSING 1\n") != 0)
        fail_msg("taken: %.300s", line);
}

#define WHO "proceso: \"cat\", pid: 10, ppid: 9, tid: 11"
#define WHERE WHO ", tabla: 7"
#define TIMES "us: 1310920975000123, ns: 987654321"
#define AT "cat 10/9/11 at 1310920975000123 987654321"

static char *line_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *line_of(const char *format, ...)
{
    static char line[65536];
    va_list args;

    va_start(args, format);
    assert_true(vsnprintf(line, sizeof(line), format, args) < (int)sizeof(line));
    va_end(args);
    return line;
}

/* A line for an open whose path is escaped like this. */
static char *open_line(int tid, const char *fichero, const char *more)
{
    return line_of(
        "{codigo: \"open\", proceso: \"cat\", pid: 10, ppid: 9, tid: %d, tabla: 7, "
        "fichero: \"%s\", descriptor: 3, " TIMES ", flags: 0%s}\n",
        tid, fichero, more);
}

/* ---- Kinds of lines ------------------------------------------------------------------------- */

static void every_kind(void **state)
{
    assert_calls(state,
                 "{codigo: \"open\", " WHERE ", fichero: \"/a\", descriptor: 3, " TIMES
                 ", flags: 557057, modo: 420}\n",
                 "OPEN " AT " fd 3 path /a flags 88001 mode 644\n");
    assert_calls(state,
                 "{codigo: \"open\", " WHERE ", fichero: \"pipe:[5]\", descriptor: 0, " TIMES
                 ", flags: 0}\n",
                 "OPEN " AT " fd 0 path pipe:[5] flags 0\n");
    assert_calls(state,
                 "{codigo: \"open\", " WHERE ", fichero: \"/a\", descriptor: 3, " TIMES
                 ", flags: 1, motivo: \"received\"}\n",
                 "OPEN " AT " fd 3 path /a flags 1 received\n");
    assert_calls(state,
                 "{codigo: \"fail\", " WHO ", fichero: \"/a\", descriptor: -2, " TIMES
                 ", flags: 64, modo: 0}\n",
                 "FAIL " AT " fd -2 path /a flags 40 mode 0\n");
    assert_calls(state,
                 "{codigo: \"fail\", " WHO ", fichero: \"/a\", descriptor: -36, " TIMES
                 ", flags: 0, cortado: 1}\n",
                 "FAIL " AT " fd -36 path /a cut flags 0\n");
    assert_calls(state,
                 "{codigo: \"held\", " WHO ", tabla: 7, fichero: \"/a\", descriptor: 3, " TIMES
                 ", flags: 32769}\n",
                 "HELD " AT " fd 3 path /a flags 8001\n");
    assert_calls(state, "{codigo: \"close\", " WHERE ", descriptor: 3, " TIMES "}\n",
                 "CLOSE " AT " fd 3 close\n");
    assert_calls(state,
                 "{codigo: \"close\", " WHERE ", descriptor: -1, " TIMES
                 ", motivo: \"close_range\", cierra: \"3,5-9\"}\n",
                 "CLOSE " AT " fd -1 close_range [3,3] [5,9]\n");
    assert_calls(state,
                 "{codigo: \"close\", " WHERE ", descriptor: -1, " TIMES
                 ", motivo: \"exec\", cierra: \"4\"}\n",
                 "CLOEXEC " AT " fd -1 [4,4]\n");
    assert_calls(state, "{codigo: \"dup\", " WHERE ", descriptor: 4, " TIMES ", origen: 3}\n",
                 "DUP " AT " fd 4 origin 3\n");
    assert_calls(state,
                 "{codigo: \"dup\", " WHERE ", descriptor: 4, " TIMES
                 ", origen: 3, motivo: \"dup2\"}\n",
                 "DUP " AT " fd 4 origin 3 dup2\n");
    assert_calls(state,
                 "{codigo: \"close\", " WHERE ", descriptor: 4, " TIMES ", motivo: \"dup2\"}\n",
                 "CLOSE " AT " fd 4 dup2\n");
    assert_calls(state,
                 "{codigo: \"close\", " WHERE ", descriptor: 4, " TIMES ", motivo: \"espera\"}\n",
                 "CLOSE " AT " fd 4 close and its result\n");
    assert_calls(state, "{codigo: \"retorno\", " WHO ", descriptor: -5, " TIMES "}\n",
                 "RESULT " AT " table 0 fd -5\n");
    assert_calls(state, "{codigo: \"exit\", " WHERE ", " TIMES "}\n", "EXIT " AT "\n");
    assert_calls(state, "{codigo: \"lost\", perdidos: 7, us: 5, ns: 6}\n", "LOST 7 at 5\n");
    assert_calls(state, "{codigo: \"listo\", modulo: \"filemon_a\"}\n", "LOADED filemon_a\n");
    assert_calls(state, "{codigo: \"mirando\", modulo: \"m\"}\n", "WATCHING\n");
    assert_calls(state, "{codigo: \"sin_inodo\", modulo: \"m\"}\n", "REFUSED\n");
    assert_calls(state, "{codigo: \"sigue\", modulo: \"m\"}\n", "MORE\n");
    assert_calls(state, "{codigo: \"fin\", modulo: \"m\"}\n", "IDLE\n");
    assert_calls(state, "\n\n", ""); /* an empty line is no line */
}

/* Lines about descriptors have a table, and no others. */
static void tables(void **state)
{
    assert_calls(state,
                 "{codigo: \"open\", " WHO ", tabla: 8, fichero: \"/a\", descriptor: 3, " TIMES
                 ", flags: 0}\n",
                 "OPEN " AT " table 8 fd 3 path /a flags 0\n");
    assert_calls(state, "{codigo: \"close\", " WHO ", tabla: 8, descriptor: 3, " TIMES "}\n",
                 "CLOSE " AT " table 8 fd 3 close\n");
    assert_calls(state,
                 "{codigo: \"close\", " WHO ", tabla: 8, descriptor: -1, " TIMES
                 ", motivo: \"exec\", cierra: \"4\"}\n",
                 "CLOEXEC " AT " table 8 fd -1 [4,4]\n");
    assert_calls(state,
                 "{codigo: \"dup\", " WHO ", tabla: 8, descriptor: 4, " TIMES ", origen: 3}\n",
                 "DUP " AT " table 8 fd 4 origin 3\n");
    assert_calls(state, "{codigo: \"exit\", " WHO ", tabla: 1073741825, " TIMES "}\n",
                 "EXIT " AT " table 1073741825\n");
    /* An address of the kernel, as a signed number. */
    assert_calls(state, "{codigo: \"exit\", " WHO ", tabla: -131391560433664, " TIMES "}\n",
                 "EXIT " AT " table 18446612682149117952\n");
    assert_garbage(state, "{codigo: \"exit\", " WHO ", tabla: 9223372036854775808, " TIMES "}");
    assert_garbage(state, "{codigo: \"exit\", " WHO ", tabla: \"7\", " TIMES "}");
    assert_garbage(state, "{codigo: \"exit\", " WHO ", tabla: 8, tabla: 8, " TIMES "}");
    assert_garbage(state, "{codigo: \"exit\", " WHO ", " TIMES "}");
    assert_garbage(state, "{codigo: \"fail\", " WHO
                          ", tabla: 8, fichero: \"/a\", descriptor: -2, " TIMES ", flags: 0}");
    assert_garbage(state, "{codigo: \"lost\", perdidos: 7, tabla: 8, us: 5, ns: 6}");
    assert_garbage(state, "{codigo: \"mirando\", modulo: \"m\", tabla: 7}");
}

/* Any line about a thread can have facts, and no other. */
static void facts(void **state)
{
#define FACTS ", uid: 4294967294"
    assert_calls(state,
                 "{codigo: \"open\", " WHERE FACTS ", fichero: \"/a\", descriptor: 3, " TIMES
                 ", flags: 0}\n",
                 "OPEN " AT " fd 3 path /a flags 0 user 4294967294\n");
    assert_calls(state, "{codigo: \"close\", " WHERE FACTS ", descriptor: 3, " TIMES "}\n",
                 "CLOSE " AT " fd 3 close user 4294967294\n");
    assert_calls(state, "{codigo: \"exit\", " WHERE ", " TIMES "}\n", "EXIT " AT "\n");
    assert_calls(state,
                 "{codigo: \"exit\", " WHERE ", mnt_ns: 4026531832, cgroup: -1, " TIMES "}\n",
                 "EXIT " AT " mounts 4026531832 group 18446744073709551615\n");
    assert_calls(state,
                 "{codigo: \"open\", " WHERE
                 ", mayor: 8, menor: 1, inodo: -1, fichero: \"/a\", "
                 "descriptor: 3, " TIMES ", flags: 0}\n",
                 "OPEN " AT " fd 3 path /a flags 0 file 8:1 18446744073709551615\n");
    assert_calls(state,
                 "{codigo: \"programa\", tid: 11, programa: 77, fichero: \"/bin/cat\"}\n"
                 "{codigo: \"exit\", " WHERE ", programa: 77, " TIMES "}\n",
                 "EXECUTABLE 77 /bin/cat\nEXIT " AT " executable 77\n");
    assert_calls(state,
                 "{codigo: \"parte\", tid: 11, parte: 1, fichero: \"/b\"}\n"
                 "{codigo: \"programa\", tid: 11, programa: 77, fichero: \"in/cat\", parte: 1}\n",
                 "EXECUTABLE 77 /bin/cat\n");
    assert_calls(state,
                 "{codigo: \"argumentos\", pid: 10, tid: 11, programa: 77, fichero: \"cat \\\"\""
                 ", us: 1, ns: 2}\n"
                 "{codigo: \"argumentos\", pid: 10, tid: 11, programa: 78, us: 1, ns: 2}\n",
                 "ARGUMENTS 77 of 10 at 2: cat \"\nARGUMENTS 78 of 10 at 2: none\n");
    assert_calls(state,
                 "{codigo: \"parte\", tid: 11, parte: 1, fichero: \"cat \"}\n"
                 "{codigo: \"argumentos\", pid: 10, tid: 11, programa: 77, fichero: \"/a\", "
                 "parte: 1, us: 1, ns: 2}\n",
                 "ARGUMENTS 77 of 10 at 2: cat /a\n");
    assert_garbage(state,
                   "{codigo: \"argumentos\", pid: 10, tid: 11, fichero: \"cat\", us: 1, "
                   "ns: 2}");
    assert_calls(state,
                 "{codigo: \"fail\", " WHO
                 ", fichero: \"/a\\\"\", pedido: \"a\\\"\", descriptor: -2, " TIMES ", flags: 0}\n",
                 "FAIL " AT " fd -2 path /a\" flags 0 given a\"\n");
    assert_calls(state, "{codigo: \"exec\", " WHO ", fichero: \"/bin/cat\", " TIMES "}\n",
                 "EXEC " AT " table 0 fd 0 path /bin/cat flags 0\n");
    assert_calls(state,
                 "{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: -2, " TIMES
                 ", cortado: 1, llamada: \"execveat\"}\n",
                 "FAIL " AT " fd -2 path /a cut flags 0 call execveat\n");
    assert_garbage(state, "{codigo: \"exec\", " WHO ", " TIMES "}");
    assert_garbage(state, "{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: -2, " TIMES
                          ", llamada: \"getpid\"}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", pedido: \"a\", " TIMES "}");
    assert_garbage(state, "{codigo: \"programa\", tid: 11, fichero: \"/bin/cat\"}");
    assert_garbage(state, "{codigo: \"programa\", tid: 11, uid: 0, programa: 7, fichero: \"/a\"}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", uid: \"0\", " TIMES "}");
    assert_garbage(state, "{codigo: \"lost\", perdidos: 7, uid: 0, us: 5, ns: 6}");
    assert_garbage(state, "{codigo: \"fin\", modulo: \"m\", uid: 0}");
}

/* What precedes the line with the other path. */
#define DESTINATION(tid, number, path)                                                             \
    "{codigo: \"destino\", tid: " #tid ", parte: " #number ", fichero: \"" path "\"}\n"
#define CALL(name, more)                                                                           \
    "{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: 0, " TIMES more                   \
    ", llamada: \"" name "\"}\n"

static void calls_that_are_no_opens(void **state)
{
    assert_calls(state, CALL("mkdirat", ", modo: 493"),
                 "MKDIR " AT " table 0 fd 0 path /a flags 0 mode 755\n");
    assert_calls(state, CALL("unlinkat", ", modo: 512"),
                 "RMDIR " AT " table 0 fd 0 path /a flags 0\n");
    assert_calls(state, CALL("unlinkat", ", modo: 0"),
                 "UNLINK " AT " table 0 fd 0 path /a flags 0\n");
    assert_garbage(state,
                   "{codigo: \"llamada\", " WHO ", descriptor: 0, " TIMES ", llamada: \"rmdir\"}");
}

#define RENAMED(parts)                                                                             \
    "{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: 0, " TIMES                        \
    ", llamada: \"rename\", destinos: " parts "}"

static void the_other_path_precedes_its_call(void **state)
{
    assert_calls(state, DESTINATION(11, 1, "/b") RENAMED("1") "\n",
                 "RENAME " AT " table 0 fd 0 path /a flags 0 to /b\n");
    give(*state, DESTINATION(11, 1, "/b"));
    give(*state, DESTINATION(12, 1, "/x")); /* of another thread */
    give(*state, "{codigo: \"parte\", tid: 11, parte: 1, fichero: \"/y\"}\n");
    give(*state, DESTINATION(11, 2, "/c"));
    assert_calls(state, RENAMED("2") "\n", "RENAME " AT " table 0 fd 0 path /a flags 0 to /b/c\n");
    assert_garbage(state, RENAMED("1"));
    assert_garbage(state, DESTINATION(11, 1, "/b") RENAMED("2"));
    assert_garbage(state, DESTINATION(11, 1, "/b") CALL("rename", ""));
    assert_garbage(state, DESTINATION(11, 1, "/b") CALL("rmdir", ", destinos: 1"));
}

static void what_the_script_has_matched_is_matched(void **state)
{
    assert_calls(state,
                 "{codigo: \"llamada\", " WHO ", fichero: \"/a\", descriptor: 0, " TIMES
                 ", llamada: \"rmdir\", buscado: 1}\n",
                 "RMDIR " AT " table 0 fd 0 path /a flags 0 matched\n");
}

static void bytes(void **state)
{
#define BYTES(more)                                                                                \
    "{codigo: \"bytes\", tabla: 7, descriptor: 3, leidos: 9007199254740993, escritos: 2, "         \
    "lecturas: 3, escrituras: 4, mapeado: " more "}"
    assert_calls(state, BYTES("1") "\n", "BYTES table 7 fd 3: 9007199254740993 2 3 4 mapped\n");
    assert_calls(state, BYTES("0") "\n", "BYTES table 7 fd 3: 9007199254740993 2 3 4\n");
    assert_garbage(state, BYTES("true"));
    assert_garbage(state, BYTES("1, pid: 10"));
    assert_garbage(state,
                   "{codigo: \"bytes\", tabla: 7, descriptor: 3, leidos: -1, escritos: 2, "
                   "lecturas: 3, escrituras: 4, mapeado: 0}");
    assert_garbage(state,
                   "{codigo: \"bytes\", tabla: 7, descriptor: 3, leidos: 1, escritos: 2, "
                   "lecturas: 3, mapeado: 0}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", leidos: 1, " TIMES "}");
}

/* A close of one descriptor is by close(2) if the line has no reason; the only other reason is
 * dup2. */
static void reasons(void **state)
{
#define CLOSE_WITH(keys) "{codigo: \"close\", " WHERE ", descriptor: 4, " TIMES keys "}"
    assert_garbage(state, CLOSE_WITH(", motivo: \"close\""));
    assert_garbage(state, CLOSE_WITH(", motivo: \"exec\""));
    assert_garbage(state, CLOSE_WITH(", motivo: \"\""));
    assert_garbage(state, "{codigo: \"dup\", " WHERE ", descriptor: 4, " TIMES
                          ", origen: 3, motivo: \"close\"}");
}

static void escapes(void **state)
{
    assert_calls(state, open_line(11, "\\\"\\\\\\u0001\\u000a\\u007f\\u001f \xff/\xc3\xb1", ""),
                 "OPEN " AT " fd 3 path \"\\\x01\n\x7f\x1f \xff/\xc3\xb1 flags 0\n");
    assert_calls(state,
                 "{codigo: \"exit\", proceso: \"a\\\"b\\u000a\\\\, pid: }\", pid: 10, ppid: 9, "
                 "tid: 11, tabla: 7, " TIMES "}\n",
                 "EXIT a\"b\n\\, pid: } 10/9/11 at 1310920975000123 987654321\n");
    assert_garbage(state, strtok(open_line(11, "\\u00", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "a\\u0000b", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\u000", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\u0100", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\u00ZZ", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\u00A0", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\n", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "\\", ""), "\n"));
    assert_garbage(state, strtok(open_line(11, "a\"b", ""), "\n"));
}

/* Flags and mode are any 64 bits, from the arguments of openat2(2); the low bits are kept. */
static void numbers(void **state)
{
    assert_calls(state,
                 "{codigo: \"fail\", proceso: \"cat\", pid: 2147483647, ppid: 0, tid: 11, "
                 "fichero: \"\", descriptor: -4095, us: 9223372036854775807, "
                 "ns: 9223372036854775807, flags: -9223372036854775807, modo: 6442450945}\n",
                 "FAIL cat 2147483647/0/11 at 9223372036854775807 9223372036854775807 fd -4095 "
                 "path  flags 8000000000000001 mode 1\n");
    assert_garbage(state,
                   "{codigo: \"exit\", proceso: \"cat\", pid: 2147483648, ppid: 9, tid: 11, " TIMES
                   "}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", us: 9223372036854775808, ns: 1}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", us: , ns: 1}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", us: 1x, ns: 1}");
    assert_garbage(state, "{codigo: \"exit\", " WHERE ", us: \"1\", ns: 1}");
    assert_garbage(state, "{codigo: \"lost\", perdidos: 0, us: 1, ns: 1}");
    assert_garbage(state, "{codigo: \"lost\", perdidos: -1, us: 1, ns: 1}");
}

/* ---- Lists of descriptors ------------------------------------------------------------------- */

static char *ranges_line(const char *ranges)
{
    return line_of("{codigo: \"close\", " WHERE ", descriptor: -1, " TIMES
                   ", motivo: \"close_range\", cierra: \"%s\"}\n",
                   ranges);
}

static void ranges(void **state)
{
    static const char *const wrong[] = {",",     "3,,4", "x",          "3-",          "5,4",
                                        "3-6,6", "-3",   "5-3",        "3-x",         "3 ,4",
                                        "3-4-",  "3--4", "2147483648", "1-2147483648"};

    assert_calls(state, ranges_line("0-2147483647"),
                 "CLOSE " AT " fd -1 close_range [0,2147483647]\n");
    assert_calls(state, ranges_line("7-7"), "CLOSE " AT " fd -1 close_range [7,7]\n");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_garbage(state, strtok(ranges_line(wrong[i]), "\n"));
}

/* The limit is more than fits in a line of the script; one more range makes the line malformed. */
static void most_ranges(void **state)
{
    struct calls *calls = *state;
    char list[65536];
    size_t len = 0;

    for (int i = 0; i < 2048; i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d", i ? "," : "", i);
    give(calls, ranges_line(list));
    len = 0;
    for (const char *at = new_calls(calls); (at = strchr(at, '[')); at++)
        assert_int_equal(strtol(at + 1, NULL, 10), (long)len++);
    assert_int_equal(len, 2048);
    strcat(list, ",2048");
    assert_garbage(state, strtok(ranges_line(list), "\n"));
}

/* ---- Paths in parts ------------------------------------------------------------------------- */

static void give_part(struct calls *calls, int tid, int number, const char *fichero)
{
    give(calls, line_of("{codigo: \"parte\", tid: %d, parte: %d, fichero: \"%s\"}\n", tid, number,
                        fichero));
}

static void assert_path(void **state, int tid, const char *last, int parts, const char *path)
{
    static char expected[65536];

    snprintf(expected, sizeof(expected),
             "OPEN cat 10/9/%d at 1310920975000123 987654321 fd 3 path %s flags 0\n", tid, path);
    assert_calls(state,
                 open_line(tid, last,
                           parts ? (char[]){',', ' ', 'p', 'a', 'r', 't', 'e', ':', ' ',
                                            (char)('0' + parts), '\0'}
                                 : ""),
                 expected);
}

static void parts(void **state)
{
    struct calls *calls = *state;

    give_part(calls, 1, 1, "/a");
    give_part(calls, 2, 1, "/b\\u0001");
    give_part(calls, 1, 2, "c");
    assert_path(state, 3, "/d", 0, "/d");
    assert_path(state, 1, "e", 2, "/ace");
    assert_path(state, 2, "", 1, "/b\x01");
    /* Parts are used once. */
    assert_path(state, 1, "/f", 0, "/f");
}

/* If a piece was lost, the path counts as lost and is not guessed. */
static void lost_parts(void **state)
{
    struct calls *calls = *state;

    assert_garbage(state, strtok(open_line(1, "x", ", parte: 1"), "\n")); /* part 1 of 1 is lost */
    give_part(calls, 1, 1, "/a");
    assert_garbage(state, strtok(open_line(1, "x", ", parte: 2"), "\n")); /* part 2 of 2 is lost */
    give_part(calls, 1, 1, "/a");
    give_part(calls, 1, 3, "c"); /* part 2 of 3 is lost */
    assert_garbage(state, strtok(open_line(1, "x", ", parte: 3"), "\n"));
    give_part(calls, 1, 1, "/a"); /* the line after its parts is lost: the next path begins anew */
    give_part(calls, 1, 1, "/b");
    assert_path(state, 1, "c", 1, "/bc");
    give_part(calls, 1, 1, "/a");
    assert_path(state, 1, "/whole", 0, "/whole");
    assert_garbage(state, strtok(open_line(1, "x", ", parte: 1"), "\n"));
}

/* Parts of threads that exited before they sent the line are dropped for parts of other threads. */
static void parts_without_a_line(void **state)
{
    struct calls *calls = *state;

    for (int tid = 1; tid <= 1000; tid++)
        give_part(calls, tid, 1, "/a");
    assert_path(state, 1000, "b", 1, "/ab");
}

static void longest_path(void **state)
{
    struct calls *calls = *state;
    char piece[4096 + 16], path[2 * PATH_MAX + 1];

    memset(piece, 'x', 4095);
    memset(path, 'x', 8190);
    piece[4095] = path[8190] = '\0';
    give_part(calls, 1, 1, piece);
    assert_path(state, 1, piece, 1, path);

    give_part(calls, 1, 1, piece);
    strcat(piece, "yz");
    assert_garbage(state, strtok(open_line(1, piece, ", parte: 1"), "\n"));
    piece[4095] = '\0';
    give_part(calls, 1, 1, piece);
    give_part(calls, 1, 2, piece);
    give_part(calls, 1, 3, "ab");
    assert_path(state, 1, "/next", 0, "/next");
}

/* ---- Malformed lines ------------------------------------------------------------------------ */

static void garbage(void **state)
{
    static const char *const lines[] = {
        "x",
        "{",
        "{}",
        "{codigo: \"mirando\"",
        "{codigo: \"mirando\"}",
        "{codigo: \"mirando\", modulo: \"m\"",
        "{codigo: \"mirando\", modulo: \"m\"} ",
        "{codigo: \"mirando\", modulo: \"m\"}}",
        " {codigo: \"mirando\", modulo: \"m\"}",
        "{codigo: \"mirando\",modulo: \"m\"}",
        "{codigo:\"mirando\", modulo: \"m\"}",
        "{codigo: mirando, modulo: \"m\"}",
        "{codigo: \"MIRANDO\", modulo: \"m\"}",
        "{codigo: \"mirandos\", modulo: \"m\"}",
        "{codigo: \"mirando\", modulo: \"m\", modulo: \"m\"}",
        "{codigo: \"mirando\", codigo: \"fin\", modulo: \"m\"}",
        "{codigo: \"mirando\", modulo: \"m\", nuevo: 1}",
        "{codigo: \"mirando\", modulo: \"m\", pid: 1}",
        "{modulo: \"m\"}",
        "{codigo: \"exit\", " WHERE ", us: 1}",
        "{codigo: \"exit\", " WHERE ", " TIMES ", descriptor: 1}",
        "{codigo: \"exit\", proceso: \"1234567890123456\", pid: 1, ppid: 1, tid: 1, " TIMES "}",
        "{codigo: \"exit\", pid: 1, ppid: 1, tid: 1, " TIMES "}",
        "{codigo: \"open\", " WHERE ", descriptor: 3, " TIMES ", flags: 0}",
        "{codigo: \"open\", " WHERE ", fichero: \"/a\", descriptor: 3, " TIMES
        ", flags: 1, motivo: \"close\"}",
        "{codigo: \"close\", " WHERE ", descriptor: 3, " TIMES ", flags: 0}",
        "{codigo: \"dup\", " WHERE ", descriptor: 3, " TIMES "}",
        "{codigo: \"error\", " WHO ", fichero: \"/\", descriptor: 3, " TIMES "}",
        "WARNING: Number of errors: 0, skipped probes: 7",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_garbage(state, lines[i]);
    /* Text that is not a line of the script does not count as a lost line. */
    assert_calls(state, "a\nb\n", "");
}

static void nul_bytes(void **state)
{
    struct calls *calls = *state;
    const char *line = numbered(calls, "{codigo: \"exit\", " WHERE ", " TIMES "}\n");
    size_t len = strlen(line);
    char torn[256];

    for (size_t i = 0; i + 1 < len; i++) {
        memcpy(torn, line, len);
        torn[i] = '\0';
        wire_take(calls->wire, torn, len);
    }
    /* A NUL after the end of the line, too. */
    wire_take(calls->wire, "\0\n", 2);
    wire_take(calls->wire, line, len - 1);
    wire_take(calls->wire, "\0x\n", 3);
    assert_string_equal(new_calls(calls), "");
    give_raw(calls, line);
    assert_string_equal(new_calls(calls), "EXIT " AT "\n");
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static void give_fin(struct calls *calls, uint32_t first, uint32_t last)
{
    char line[128];

    snprintf(line, sizeof(line), "{n: %08u, codigo: \"fin\", modulo: \"m\", nn: %08u}\n", first,
             last);
    give_raw(calls, line);
}

/* Missing lines are reported once, with their exact number; a late line was reported as missing. */
static void gaps(void **state)
{
    struct calls *calls = *state;

    give_fin(calls, 0, 0);
    give_fin(calls, 4, 4);
    give_fin(calls, 5, 5);
    assert_string_equal(new_calls(calls), "IDLE\nIDLE\nMISSING 3\nIDLE\n");
    calls->number = 3;
    give(calls, "{codigo: \"exit\", " WHERE ", " TIMES "}\n");
    assert_string_equal(new_calls(calls), "");
    calls->number = 7;
    give(calls, "{codigo: \"exit\", " WHERE ", " TIMES "}\n");
    assert_string_equal(new_calls(calls), "MISSING 1\nEXIT " AT "\n");
}

static void numbers_begin_again(void **state)
{
    struct calls *calls = *state;

    give_fin(calls, 49000000, 49000000);
    give_fin(calls, 98000000, 98000000);
    give_fin(calls, 99999998, 99999998);
    new_calls(calls);
    give_fin(calls, 99999999, 99999999);
    give_fin(calls, 0, 0);
    give_fin(calls, 2, 2);
    assert_string_equal(new_calls(calls), "IDLE\nIDLE\nIDLE\nMISSING 1\n");
}

static void wrong_numbers(void **state)
{
    static const char *const wrong[] = {
        "{codigo: \"exit\", " WHERE ", " TIMES "}\n",
        "{n: 00000000, codigo: \"exit\", " WHERE ", " TIMES "}\n",
        "{codigo: \"exit\", " WHERE ", " TIMES ", nn: 00000000}\n",
        "{n: 00000000, codigo: \"exit\", " WHERE ", " TIMES ", nn: 00000001}\n",
        "{n: 00000001, codigo: \"exit\", " WHERE ", " TIMES ", nn: 00000000}\n",
        "{n: -1, codigo: \"exit\", " WHERE ", " TIMES ", nn: -1}\n",
        "{n: 100000000, codigo: \"exit\", " WHERE ", " TIMES ", nn: 100000000}\n",
        "{n: , codigo: \"exit\", " WHERE ", " TIMES ", nn: }\n",
        "{n: 0, n: 0, codigo: \"exit\", " WHERE ", " TIMES ", nn: 0}\n",
        "{codigo: \"parte\", tid: 1, parte: 1, fichero: \"/a\"}\n",
    };
    struct calls *calls = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        give_raw(calls, wrong[i]);
    assert_string_equal(new_calls(calls), "");
    assert_calls(state, "{codigo: \"exit\", " WHERE ", " TIMES "}\n", "EXIT " AT "\n");
}

/* The beginning of one line joined to the end of another line of the same length, at each place. */
static void joined_lines(void **state)
{
    struct calls *calls = *state;
    char first[512], second[512], glued[512];
    size_t len;

    strcpy(first, numbered(calls, open_line(11, "/a", "")));
    strcpy(second, numbered(calls, open_line(12, "/b", "")));
    len = strlen(first);
    assert_int_equal(strlen(second), len);
    for (size_t cut = 12; cut + 2 < len; cut++) {
        memcpy(glued, first, cut);
        memcpy(glued + cut, second + cut, len + 1 - cut);
        give_raw(calls, glued);
        assert_string_equal(new_calls(calls), "");
    }
}

/* ---- Lines that are too long ---------------------------------------------------------------- */

/* A line that is longer than any line of the script is ignored, and the next line is read. */
static void long_lines(void **state)
{
    struct calls *calls = *state;
    size_t n = 1000000;
    char *bytes = malloc(n);

    memset(bytes, 'x', n);
    wire_take(calls->wire, bytes, n);
    wire_take(calls->wire, bytes, n);
    assert_calls(state, "\n" FIN, "IDLE\n");

    /* Around the limit, in one piece and in two. */
    for (size_t len = 16380; len < 16390; len++) {
        bytes[len] = '\n';
        wire_take(calls->wire, bytes, len + 1);
        wire_take(calls->wire, bytes, len - 7);
        wire_take(calls->wire, bytes + len - 7, 8);
        assert_calls(state, FIN, "IDLE\n");
        bytes[len] = 'x';
    }
    free(bytes);
}

/* ---- Any pieces, any bytes ------------------------------------------------------------------ */

static const char transcript[] =
    "{codigo: \"listo\", modulo: \"filemon_a\"}\n"
    "{codigo: \"mirando\", modulo: \"filemon_a\"}\n"
    "{codigo: \"parte\", tid: 11, parte: 1, fichero: \"/\\u0001\"}\n"
    "{codigo: \"open\", " WHERE ", fichero: \"\\\"b\", parte: 1, descriptor: 3, " TIMES
    ", flags: 1, modo: 420}\n"
    "garbage\n"
    "{codigo: \"dup\", " WHERE ", descriptor: 4, " TIMES
    ", origen: 3}\n"
    "{codigo: \"close\", " WHERE ", descriptor: -1, " TIMES
    ", motivo: \"exec\", cierra: \"3,5-9\"}\n"
    "{codigo: \"fail\", " WHO ", fichero: \"/c\", descriptor: -2, " TIMES
    ", flags: 0}\n"
    "{codigo: \"lost\", perdidos: 7, us: 5, ns: 6}\n"
    "{codigo: \"exit\", " WHERE ", " TIMES
    "}\n"
    "{codigo: \"fin\", modulo: \"filemon_a\"}\n";

static const char transcript_tells[] =
    "LOADED filemon_a\n"
    "WATCHING\n"
    "OPEN " AT
    " fd 3 path /\x01\"b flags 1 mode 644\n"
    "DUP " AT
    " fd 4 origin 3\n"
    "CLOEXEC " AT
    " fd -1 [3,3] [5,9]\n"
    "FAIL " AT
    " fd -2 path /c flags 0\n"
    "LOST 7 at 5\n"
    "EXIT " AT
    "\n"
    "IDLE\n";

static void any_pieces(void **state)
{
    struct calls *calls = *state;
    const char *text = numbered(calls, transcript);
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        wire_take(calls->wire, text + i, 1);
    assert_string_equal(new_calls(calls), transcript_tells);
    for (size_t cut = 0; cut <= n; cut++) {
        text = numbered(calls, transcript);
        wire_take(calls->wire, text, cut);
        wire_take(calls->wire, text + cut, n - cut);
        assert_string_equal(new_calls(calls), transcript_tells);
    }
}

static void damage(char *bytes, size_t *n)
{
    size_t at = random_below((unsigned int)*n);
    size_t len = random_below(1 + (random_below(4) ? 8 : (unsigned int)(*n - at)));

    if (len > *n - at)
        len = *n - at;
    switch (random_below(4)) {
    case 0:
        bytes[at] = (char)random_below(256);
        break;
    case 1: /* drop bytes */
        memmove(bytes + at, bytes + at + len, *n - at - len);
        *n -= len;
        break;
    case 2: /* copy bytes from another place */
        memmove(bytes + at, bytes + random_below((unsigned int)(*n - len + 1)), len);
        break;
    case 3:
        bytes[at] = "{}\",: \\\n-0u"[random_below(11)];
        break;
    }
}

/* Lines with random damage: only complete lines give events, and the next line is read.  Sanitizers
 * detect overruns. */
static void any_bytes(void **state)
{
    struct calls *calls = *state;
    char bytes[2 * sizeof(transcript)];

    random_start("any_bytes");
    for (int i = 0; i < 20000; i++) {
        const char *text = numbered(calls, transcript);
        size_t n = strlen(text);
        unsigned int times = 1 + random_below(8);

        assert_true(n < sizeof(bytes));
        memcpy(bytes, text, n);
        while (times-- && n > 1)
            damage(bytes, &n);
        for (size_t at = 0, len; at < n; at += len) {
            len = 1 + random_below((unsigned int)(n - at));
            wire_take(calls->wire, bytes + at, len);
        }
        give_raw(calls, "\n");
        new_calls(calls);
    }
    give(calls, FIN);
    new_calls(calls);
    give(calls, transcript);
    assert_string_equal(new_calls(calls), transcript_tells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind, begin, end),
        cmocka_unit_test_setup_teardown(tables, begin, end),
        cmocka_unit_test_setup_teardown(facts, begin, end),
        cmocka_unit_test_setup_teardown(calls_that_are_no_opens, begin, end),
        cmocka_unit_test_setup_teardown(the_other_path_precedes_its_call, begin, end),
        cmocka_unit_test_setup_teardown(what_the_script_has_matched_is_matched, begin, end),
        cmocka_unit_test_setup_teardown(bytes, begin, end),
        cmocka_unit_test_setup_teardown(reasons, begin, end),
        cmocka_unit_test_setup_teardown(escapes, begin, end),
        cmocka_unit_test_setup_teardown(numbers, begin, end),
        cmocka_unit_test_setup_teardown(ranges, begin, end),
        cmocka_unit_test_setup_teardown(most_ranges, begin, end),
        cmocka_unit_test_setup_teardown(parts, begin, end),
        cmocka_unit_test_setup_teardown(lost_parts, begin, end),
        cmocka_unit_test_setup_teardown(parts_without_a_line, begin, end),
        cmocka_unit_test_setup_teardown(longest_path, begin, end),
        cmocka_unit_test_setup_teardown(garbage, begin, end),
        cmocka_unit_test_setup_teardown(nul_bytes, begin, end),
        cmocka_unit_test_setup_teardown(gaps, begin, end),
        cmocka_unit_test_setup_teardown(numbers_begin_again, begin, end),
        cmocka_unit_test_setup_teardown(wrong_numbers, begin, end),
        cmocka_unit_test_setup_teardown(joined_lines, begin, end),
        cmocka_unit_test_setup_teardown(long_lines, begin, end),
        cmocka_unit_test_setup_teardown(any_pieces, begin, end),
        cmocka_unit_test_setup_teardown(any_bytes, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
