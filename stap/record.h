/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formatting of lines. */
#ifndef FILEMON_STAP_RECORD_H
#define FILEMON_STAP_RECORD_H

#include "ring.h"
#include "state.h"
#include "tables.h"
#include "watch.h"

/*
 * A line is formatted in a per-CPU buffer: text grows from the start of the buffer, and d_path()
 * writes the path to its end.  Probes run with preemption disabled, and stap skips a probe that
 * interrupts another: so no other code uses the buffer meanwhile.
 */
#define FM_LINE FM_MESSAGE
static DEFINE_PER_CPU(char *, fm_buffer);

struct fm_line {
    char *start, *at;
    char *path; /* at the end of the buffer */
    u32 path_len;
    u32 parts; /* pieces of the path that were sent before this line */
    u32 table; /* number of the descriptor's table; 0: not in this line */
    struct task_struct *task;
    struct task_struct *locked; /* whose facts are added: current, or task_lock() is held */
    const struct inode *inode;  /* of the file whose path the line has; NULL: it has none */
    u64 executable;             /* its number; 0: not known */
    bool executing;             /* the line is about what exec(2) closes */
    bool broken;                /* a piece found no room in the ring */
};

#define FM_FICHERO ", fichero: \""
#define FM_ROOM 672        /* more than the text of a line without its path */
#define FM_THREAD_TEXT 128 /* a text with a comm of control bytes is longer */

static void fm_buffers_free(void)
{
    int cpu;

    for_each_possible_cpu(cpu)
        kfree(per_cpu(fm_buffer, cpu));
}

/* False: no memory. */
static bool fm_buffers_make(void)
{
    int cpu;

    for_each_possible_cpu(cpu) {
        per_cpu(fm_buffer, cpu) = kmalloc(FM_LINE, GFP_ATOMIC);
        if (!per_cpu(fm_buffer, cpu))
            return false;
    }
    return true;
}

static void fm_begin_in(struct fm_line *line, char *buffer)
{
    *line = (struct fm_line){.start = buffer,
                             .at = buffer,
                             .path = buffer + FM_LINE - 1,
                             .task = current,
                             .locked = current};
}

static void fm_begin(struct fm_line *line)
{
    fm_begin_in(line, this_cpu_read(fm_buffer));
}

static inline void fm_str(struct fm_line *line, const char *text, u32 len)
{
    memcpy(line->at, text, len);
    line->at += len;
}
#define fm_lit(line, text) fm_str(line, text, sizeof(text) - 1)

/* Numbers are half of the text, so this is fast: two digits per division, a copy of constant size.
 */
static void fm_num(struct fm_line *line, s64 value)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    enum { MOST = 20 };
    char digits[2 * MOST]; /* the bytes after the number are overwritten by the next text */
    int n = MOST;
    u64 rest = value < 0 ? -(u64)value : (u64)value;

    if (value >= 0 && value < 10) { /* as most descriptors */
        *line->at++ = '0' + value;
        return;
    }
    for (; rest >= 100; rest /= 100)
        memcpy(digits + (n -= 2), pairs + rest % 100 * 2, 2);
    digits[--n] = pairs[rest * 2 + 1];
    if (rest >= 10)
        digits[--n] = pairs[rest * 2];
    if (value < 0)
        *line->at++ = '-';
    memcpy(line->at, digits + n, MOST);
    line->at += MOST - n;
}

#define FM_REPEAT(byte) (~0ULL / 255 * (byte)) /* eight copies of the byte */

/*
 * Whether none of the eight bytes of the word needs an escape.  (x - n) & ~x has the highest bit of
 * a byte set if that byte is less than n: n is ' ' for control bytes, and 1 for a word XORed with
 * eight copies of another byte that needs an escape. The borrow of a subtraction can set the
 * highest bit of the next byte as well: the word has a byte that needs an escape then anyway, so
 * the answer stays right.
 */
static inline bool fm_needs_no_escape(u64 word)
{
    u64 quote = word ^ FM_REPEAT('"'), slash = word ^ FM_REPEAT('\\'),
        delete = word ^ FM_REPEAT(0x7f);

    return !((((word - FM_REPEAT(' ')) & ~word) | ((quote - FM_REPEAT(1)) & ~quote) |
              ((slash - FM_REPEAT(1)) & ~slash) | ((delete - FM_REPEAT(1)) & ~delete)) &
             FM_REPEAT(0x80));
}

static inline char *fm_escape(char *at, u8 byte)
{
    static const char hex[] = "0123456789abcdef";

    if (likely(byte >= ' ' && byte != '"' && byte != '\\' && byte != 0x7f)) {
        *at++ = byte;
    } else if (byte == '"' || byte == '\\') {
        *at++ = '\\';
        *at++ = byte;
    } else {
        memcpy(at, "\\u00", 4);
        at[4] = hex[byte >> 4];
        at[5] = hex[byte & 15];
        at += 6;
    }
    return at;
}

static void fm_bytes(struct fm_line *line, const char *text)
{
    while (*text)
        line->at = fm_escape(line->at, *text++);
}

/* The text of a line up to the value of codigo, and its end: see report.h. */
static inline void fm_head(struct fm_line *line);
static inline void fm_tail(struct fm_line *line);

/* Puts the line into the ring, or counts it as lost. */
static void fm_send(struct fm_line *line)
{
    u32 len = line->at - line->start;
    bool sent = !line->broken && fm_ring_put(line->start, len, true);
    u64 in = READ_ONCE(fm_ring_in);

    if (!sent)
        atomic_inc(&fm_lost);
    if (in - READ_ONCE(fm_ring_out) > FM_RING / 2 && in % FM_PUMP < len)
        fm_pump();
}

static void fm_finish(struct fm_line *line)
{
    fm_tail(line);
    fm_send(line);
}

/*
 * The part of a line that identifies the thread, half of its text.  Consecutive events are mostly
 * of one thread, so each CPU keeps the text of the last thread.  The start times distinguish two
 * threads whose task_struct had the same address, one after the other.
 */
struct fm_thread {
    struct task_struct *task, *parent;
    u64 born, parent_born;
    u64 comm[TASK_COMM_LEN / sizeof(u64)];
    pid_t pid; /* exec can change it: the thread takes the id of the leader */
    u32 table;
};
struct fm_thread_text {
    struct fm_thread who;
    u32 len;
    char text[FM_THREAD_TEXT];
};
static DEFINE_PER_CPU(struct fm_thread_text, fm_last_thread_text);

static bool fm_is_same_thread(const struct fm_thread *who, const struct fm_thread *kept)
{
    return who->task == kept->task && who->born == kept->born && who->pid == kept->pid &&
           who->table == kept->table && who->parent == kept->parent &&
           who->parent_born == kept->parent_born && who->comm[0] == kept->comm[0] &&
           who->comm[1] == kept->comm[1];
}

static void fm_format_thread(struct fm_line *line, const struct fm_thread *who)
{
    fm_lit(line, "\", proceso: \"");
    fm_bytes(line, (const char *)who->comm);
    fm_lit(line, "\", pid: ");
    fm_num(line, fm_tgid_nr(who->task));
    fm_lit(line, ", ppid: ");
    fm_num(line, fm_tgid_nr(who->parent));
    fm_lit(line, ", tid: ");
    fm_num(line, fm_pid_nr(who->task));
    if (who->table) {
        fm_lit(line, ", tabla: ");
        fm_num(line, who->table);
    }
}

/* What else is asked for, see facts.h.  The numbers are those of src/event/fact.h. */
enum {
    FM_USER,
    FM_MOUNTS,
    FM_GROUP,
    FM_FILE,
    FM_EXECUTABLE,
    FM_GIVEN,
    FM_ARGUMENTS,
    FM_RESULT = FM_ARGUMENTS + 2, /* the one before, of bytes, has lines of its own */
};

static u32 fm_facts; /* to add to lines, a set */

static inline bool fm_is_fact(u32 fact)
{
    return fm_facts >> fact & 1;
}

static void fm_find_facts(struct fm_line *line);
static void fm_add_facts(struct fm_line *line);

/* Copies a constant size, the maximum, which is faster; the buffer has room for it. */
static void fm_add_thread(struct fm_line *line)
{
    struct task_struct *task = line->task, *parent = rcu_dereference(task->real_parent);
    struct fm_thread who = {
        .task = task,
        .parent = parent,
        .born = task->start_time,
        .parent_born = parent->start_time,
        .pid = task->pid,
        .table = line->table,
    };
    struct fm_thread_text *last = this_cpu_ptr(&fm_last_thread_text);
    char *start = line->at;

    memcpy(who.comm, task->comm, sizeof(who.comm));
    if (likely(fm_is_same_thread(&who, &last->who))) {
        memcpy(line->at, last->text, FM_THREAD_TEXT);
        line->at += last->len;
        return;
    }
    fm_format_thread(line, &who);
    last->who = who;
    last->len = line->at - start;
    memcpy(last->text, start, FM_THREAD_TEXT);
    if (last->len > FM_THREAD_TEXT)
        last->who.task = NULL;
}

/*
 * Writes the path from the end of the buffer into the text.  A control byte takes six bytes there.
 * If the text would overwrite the rest of the path, fm_parts() has sent the beginning of the path
 * in lines of their own (codigo "parte", numbered from 1), and this line has their count.
 */
static void fm_path(struct fm_line *line)
{
    u64 word;

    fm_lit(line, FM_FICHERO);
    while (line->path_len) {
        if (likely(line->path_len >= sizeof(word))) {
            memcpy(&word, line->path, sizeof(word));
            if (likely(fm_needs_no_escape(word))) {
                fm_str(line, line->path, sizeof(word));
                line->path += sizeof(word);
                line->path_len -= sizeof(word);
                continue;
            }
        }
        line->at = fm_escape(line->at, *line->path++);
        line->path_len--;
    }
    *line->at++ = '"';
    if (line->parts) {
        fm_lit(line, ", parte: ");
        fm_num(line, line->parts);
    }
}

/* The length of the path with its escapes. */
static u32 fm_path_cost(const struct fm_line *line)
{
    u32 cost = 0, i;

    for (i = 0; i < line->path_len; i++) {
        u8 byte = line->path[i];

        cost += byte < ' ' || byte == 0x7f ? 6 : byte == '"' || byte == '\\' ? 2 : 1;
    }
    return cost;
}

/* Whether fm_path() can write the whole path without overwriting bytes that it has not read yet. */
static bool fm_path_fits(const struct fm_line *line)
{
    u32 before = line->path - line->start;

    return likely(line->path_len * 5 + FM_ROOM <= before) ||
           fm_path_cost(line) - line->path_len + FM_ROOM <= before;
}

static void fm_times(struct fm_line *line, struct fm_time time)
{
    fm_lit(line, ", us: ");
    fm_num(line, time.us);
    fm_lit(line, ", ns: ");
    fm_num(line, time.ns + fm_clock_ahead);
}

static void fm_report_lost(void)
{
    int lost = atomic_xchg(&fm_lost, 0);
    struct fm_line line;

    if (!lost)
        return;
    fm_begin(&line);
    fm_head(&line);
    fm_lit(&line, "lost\", perdidos: ");
    fm_num(&line, lost);
    fm_times(&line, fm_now());
    fm_finish(&line);
}

static void fm_event(struct fm_line *line)
{
    if (unlikely(atomic_read(&fm_lost)))
        fm_report_lost();
    fm_begin(line);
}

/* Sends the beginning of the path in a line before its own. */
static void fm_part(struct fm_line *line, const char *code)
{
    u32 n = min_t(u32, line->path_len, (line->path - line->start - FM_ROOM) / 6), i;

    fm_head(line);
    fm_str(line, code, strlen(code));
    fm_lit(line, "\", tid: ");
    fm_num(line, fm_pid_nr(line->task));
    fm_lit(line, ", parte: ");
    fm_num(line, ++line->parts);
    fm_lit(line, FM_FICHERO);
    for (i = 0; i < n; i++)
        line->at = fm_escape(line->at, *line->path++);
    line->path_len -= n;
    *line->at++ = '"';
    fm_tail(line);
    line->broken |= !fm_ring_put(line->start, line->at - line->start, false);
    line->at = line->start;
}

static void fm_parts(struct fm_line *line)
{
    while (!fm_path_fits(line))
        fm_part(line, "parte");
}

/* Sends the whole path as the second one of the line, which follows with the first one.  Returns
 * the number of its parts. */
static u32 fm_destination(struct fm_line *line)
{
    u32 parts;

    do
        fm_part(line, "destino");
    while (line->path_len);
    parts = line->parts;
    line->parts = 0;
    line->path = line->start + FM_LINE - 1;
    return parts;
}

static void fm_descriptor(struct fm_line *line, s64 fd)
{
    fm_lit(line, ", descriptor: ");
    fm_num(line, fd);
}

static void fm_flags(struct fm_line *line, u64 flags)
{
    fm_lit(line, ", flags: ");
    fm_num(line, flags);
}

static void fm_flags_and_mode(struct fm_line *line, u64 flags, u64 mode)
{
    fm_flags(line, flags);
    if (flags & (O_CREAT | __O_TMPFILE)) {
        fm_lit(line, ", modo: ");
        fm_num(line, mode & S_IALLUGO);
    }
}

static void fm_reason(struct fm_line *line, const char *reason)
{
    fm_lit(line, ", motivo: \"");
    fm_str(line, reason, strlen(reason));
    *line->at++ = '"';
}

static __always_inline void fm_start_with(struct fm_line *line, const char *code, u32 len)
{
    if (unlikely(fm_facts))
        fm_find_facts(line);
    if (unlikely(!fm_path_fits(line)))
        fm_parts(line);
    fm_head(line);
    fm_str(line, code, len);
    fm_add_thread(line);
    if (unlikely(fm_facts))
        fm_add_facts(line);
}
#define fm_start(line, code) fm_start_with(line, code, sizeof(code) - 1)

static void fm_send_status(const char *what, u32 len)
{
    struct fm_line line;

    fm_begin(&line);
    fm_head(&line);
    fm_str(&line, what, len);
    fm_lit(&line, "\", modulo: \"");
    fm_bytes(&line, THIS_MODULE->name);
    *line.at++ = '"';
    fm_finish(&line);
}

static void fm_idle(void)
{
    if (READ_ONCE(fm_stop) || (READ_ONCE(fm_end) && atomic_read(&fm_live) == 0))
        fm_send_status("fin", 3);
}

#endif
