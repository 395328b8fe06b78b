/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger: which descriptors of which process are open, since when, on what.  It is fed with
 * what an engine saw and gives records: opens paired with closes, one close for each descriptor
 * that an exec or the end of a process took away, and an error record where a close was missed.
 * It knows neither kernel nor engine.
 *
 * Descriptors belong to a file descriptor table, event.table: any number but 0 that no other table
 * has before its EXIT, such as the address of the kernel's files_struct.  A thread may have a table
 * of its own, and processes may share one.  Of what one process opened and another closes, CLOSE
 * and ERROR have pid and ppid of the opener, so that the two records are seen to be a pair; all
 * else in it is the closer's.
 *
 * Rules (tid plays no part in pairing):
 *   OPEN, HELD  on a held descriptor: first an ERROR that names the older file (its close was
 *               missed), then the record; the descriptor is held from mono_ns on.
 *   DUP         REASON_DUP2 and fd held: first its CLOSE, reason dup2.  Otherwise, fd held: ERROR.
 *               Then, if origin is held: a DUP record with origin's path; fd is held from now on.
 *               If it is not, or origin_gone: the same with the event's own path, or nothing where
 *               it has none.  fd == origin, not origin_gone: nothing at all.
 *   CLOSE       not held: nothing.  Held: a CLOSE with path and duration_ns; with ranges, one for
 *               each held descriptor in them, by rising number.
 *   EXEC        one CLOSE, reason exec, for each held descriptor in ranges, by rising number.
 *   EXIT        one CLOSE, reason exit, for each held descriptor, by rising number; the table is
 *               forgotten.
 *   FAIL, LOST  pass.
 * A duration is never negative: clocks of two processors may differ by a little, then it is 0.
 */
#ifndef FILEMON_LEDGER_H
#define FILEMON_LEDGER_H

#include "event/event.h"

struct ledger;

/* Receives each record; everything in it is borrowed for the call. */
typedef void ledger_emit(void *ctx, const struct event *record);

/* NULL: no memory.  Free with ledger_free(). */
struct ledger *ledger_new(ledger_emit *emit, void *ctx);
void ledger_free(struct ledger *ledger);

/* Takes one event or notice.  0; -ENOMEM, or -EINVAL where table or fd is none: then the event was
 * passed on but is not held. */
int ledger_take(struct ledger *ledger, const struct event *event);

/* Descriptors held now, over all processes. */
size_t ledger_held(const struct ledger *ledger);

#endif
