/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines: what is told of an event. */
#ifndef FILEMON_STAP_RECORD_H
#define FILEMON_STAP_RECORD_H

#include "ring.h"
#include "state.h"
#include "tables.h"
#include "watch.h"

/*
 * A line is made in a buffer of this processor: text grows from its start, and the path that is
 * about to be written waits at its end, where d_path() puts it.  Without preemption nobody else
 * uses the buffer meanwhile: a probe that interrupts another one is skipped.
 */
#define FM_LINE FM_MESSAGE
static DEFINE_PER_CPU(char *, fm_buffer);

struct fm_line {
    char *start, *at;
    char *path; /* at the end of the buffer */
    u32 path_len;
    u32 parts; /* how many pieces of the path went ahead */
    u32 table; /* the descriptor's, by number; 0: none is told */
    struct task_struct *task;
    bool broken; /* one of them found no room */
};

#define FM_FICHERO ", fichero: \""
#define FM_ROOM 512        /* more than stands in a line beside a path and its escapes */
#define FM_THREAD_TEXT 128 /* of the text that names a thread: more with a name of escapes alone   \
                            */

static void fm_buffers_free(void)
{
    int cpu;

    for_each_possible_cpu(cpu)
        kfree(per_cpu(fm_buffer, cpu));
}

/* False: there is no memory. */
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

static void fm_begin(struct fm_line *line)
{
    char *buffer = this_cpu_read(fm_buffer);

    *line = (struct fm_line){
        .start = buffer, .at = buffer, .path = buffer + FM_LINE - 1, .task = current};
}

static inline void fm_str(struct fm_line *line, const char *text, u32 len)
{
    memcpy(line->at, text, len);
    line->at += len;
}
#define fm_lit(line, text) fm_str(line, text, sizeof(text) - 1)

/* Two digits to a division, and a copy of a size that is known: half the text is numbers. */
static void fm_num(struct fm_line *line, s64 value)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    enum { MOST = 20 };
    char
        digits[2 * MOST]; /* what is behind the number is overwritten by what follows in the line */
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

#define FM_REPEAT(byte) (~0ULL / 255 * (byte)) /* a word of this byte */

/* Is none of eight bytes to be escaped?  The highest bit of each says so; false for any above 0x7f
 * behind a byte that is to be, too. */
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

/* How a line begins, up to the value of codigo, and how it ends: see report.h. */
static inline void fm_head(struct fm_line *line);
static inline void fm_tail(struct fm_line *line);

/* The line as far as it goes is sent, or counted as lost. */
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
 * What each line of a thread says, ready to be copied: events come in runs of one thread, and this
 * text is half of a line.  A CPU keeps that of the thread which it saw last.  Times of birth tell
 * threads apart that had the same address, one after the other.
 */
struct fm_thread {
    struct task_struct *task, *parent;
    u64 born, parent_born;
    u64 comm[TASK_COMM_LEN / sizeof(u64)];
    pid_t pid; /* exec gives its thread another one */
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

/* Copied with a size that is known: it is the most, and there is room for more. */
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
 * Control bytes take six times their place: a path that would be run over by the text goes out in
 * pieces, each a line of its own (codigo "parte", counted from 1), before the line that ends it,
 * which says how many there were.
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

/* Bytes that the whole path takes when it is written. */
static u32 fm_path_cost(const struct fm_line *line)
{
    u32 cost = 0, i;

    for (i = 0; i < line->path_len; i++) {
        u8 byte = line->path[i];

        cost += byte < ' ' || byte == 0x7f ? 6 : byte == '"' || byte == '\\' ? 2 : 1;
    }
    return cost;
}

/* Is the path where writing it in one go would never overtake reading it? */
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

/* As much of a path as does not fit goes ahead of its line. */
static void fm_parts(struct fm_line *line)
{
    u32 i, n;

    while (!fm_path_fits(line)) {
        n = min_t(u32, line->path_len, (line->path - line->start - FM_ROOM) / 6);
        fm_head(line);
        fm_lit(line, "parte\", tid: ");
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
}

static void fm_descriptor(struct fm_line *line, s64 fd)
{
    fm_lit(line, ", descriptor: ");
    fm_num(line, fd);
}

static void fm_flags_and_mode(struct fm_line *line, u64 flags, u64 mode)
{
    fm_lit(line, ", flags: ");
    fm_num(line, flags);
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
    if (unlikely(!fm_path_fits(line)))
        fm_parts(line);
    fm_head(line);
    fm_str(line, code, len);
    fm_add_thread(line);
}
#define fm_start(line, code) fm_start_with(line, code, sizeof(code) - 1)

static void fm_send_status(const char *what, u32 len)
{
    struct fm_line line;

    fm_begin(&line);
    fm_head(&line);
    fm_str(&line, what, len);
    fm_lit(&line, "\", version: ");
    fm_num(&line, FM_VERSION);
    fm_lit(&line, ", modulo: \"");
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
