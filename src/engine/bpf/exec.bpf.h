/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Execution of a program: the descriptors that it closes, and the match with the names of -n. */
#ifndef FILEMON_BPF_EXEC_H
#define FILEMON_BPF_EXEC_H

#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "bytes.bpf.h"
#include "calls.bpf.h"
#include "recorded.bpf.h"
#include "state.bpf.h"
#include "tables.bpf.h"
#include "walk.bpf.h"

/* Delivers which descriptors of a chunk are open, if exec has closed recorded ones. */
SUBPROGRAM int report_chunk(__u32 program, __u32 chunk)
{
    struct fdtable *table = current_task()->files->fdt;
    struct scratch *s = get_scratch(program);
    __u64 open = 0, bytes = (__u64)chunk * sizeof(open);

    if (!s)
        return 0;
    if (chunk < table->max_fds / CHUNK_FDS)
        bpf_probe_read_kernel(&open, sizeof(open), (void *)table->open_fds + bytes);
    if (!clear_chunk(s->record.table, chunk, ~open))
        return 0;
    s->record.first = chunk * CHUNK_FDS;
    s->record.open = open;
    deliver(&s->record, RECORD_UNTIL(open));
    return 0;
}

/* Reports chunks of the table, from this index of its list on.  True: there are no more. */
SUBPROGRAM bool report_chunks(__u32 program, __u32 place)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < SWEEP_CHUNKS; i++) {
        struct chunk_key key = {s->record.table, place++};
        __u32 *chunk = bpf_map_lookup_elem(&chunk_lists, &key);

        if (!chunk)
            return true;
        report_chunk(program, *chunk);
        barrier();
    }
    return false;
}

SUBPROGRAM bool report_block(__u32 program, __u32 place)
{
    for (__u32 i = 0; i < SWEEP_BLOCK; i += SWEEP_CHUNKS)
        if (report_chunks(program, place + i))
            return true;
    return false;
}

static __always_inline void report_exec(struct task_struct *task, struct scratch *s)
{
    begin_record(task, &s->record, RECORD_EXEC, -1);
    for (__u32 i = 0; i < MAX_CHUNKS; i += SWEEP_BLOCK)
        if (report_block(s->program, i))
            break;
}

/* Whether the task executes a program, and does not just rename itself.  A kernel that lacks the
 * flag is new enough to have the helper. */
static __always_inline bool is_executing(struct task_struct *task)
{
    __u32 number;

    if (bpf_core_field_exists(task->in_execve))
        return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
    number = call_number((void *)bpf_task_pt_regs(bpf_get_current_task_btf()));
    return number < CALL_NUMBERS && (calls[bounded(number, CALL_NUMBERS)] & 0xff) == CALL_EXEC;
}

static __always_inline bool matches_name(struct scratch *s)
{
    return bpf_map_lookup_elem(&names, s->lookup.key.name) != NULL;
}

static __always_inline bool comm_matches(struct scratch *s)
{
    __builtin_memset(s->lookup.key.name, 0, sizeof(s->lookup.key.name));
    bpf_get_current_comm(s->lookup.key.name, COMM_BYTES);
    return matches_name(s);
}

/*
 * Whether the last component of the executed file is one of the names.  comm has only 15 bytes of
 * it.  For a script, this is the script; executable_matches() sees its interpreter.
 */
static __always_inline bool file_matches(struct scratch *s, const char *path)
{
    long size = bpf_probe_read_kernel_str(s->payload, PATH_BYTES, path);

    s->length = s->components.taken = size - 1;
    for (int i = 0; i < NAME_BYTES; i++) {
        if (s->payload[bounded(s->components.taken - 1, PATH_BYTES)] == '/')
            break;
        s->components.taken--;
        barrier();
    }
    __builtin_memset(s->lookup.key.name, 0, sizeof(s->lookup.key.name));
    bpf_probe_read_kernel(s->lookup.key.name,
                          bounded(s->length - s->components.taken, NAME_BYTES + 1),
                          &s->payload[bounded(s->components.taken, PATH_BYTES)]);
    return matches_name(s);
}

/* Looks up components of the executable's path.  True: one is a name, or there are no more. */
SUBPROGRAM bool match_components(__u32 program)
{
    struct scratch *s = get_scratch(program);

    for (int i = 0; s && i < COMPONENTS; i++) {
        if (s->components.count == 0)
            return true;
        s->components.count--;
        s->lookup.wanted = take_component(s, s->components.count, longest_name) && matches_name(s);
        if (s->lookup.wanted)
            return true;
        barrier();
    }
    return false;
}

SUBPROGRAM bool match_more(__u32 program)
{
    for (int i = 0; i < COMPONENT_CALLS; i++)
        if (match_components(program))
            return true;
    return false;
}

static __always_inline bool executable_matches(struct task_struct *task, struct scratch *s)
{
    walk_file(task, s, task->mm->exe_file);
    s->walk.unlinked = false;
    walk(s->program);
    s->components.taken = s->length;
    s->lookup.wanted = false;
    for (int i = 0; i < COMPONENT_CALLS; i++)
        if (match_more(s->program))
            break;
    return s->lookup.wanted;
}

#endif
