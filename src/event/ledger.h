/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger pairs closes with opens.  It takes an engine's events and emits records: a CLOSE with
 * path and duration for each descriptor that a call, an exec or an exit closed, and an ERROR if a
 * close was missed.  It depends on neither kernel nor engine.
 *
 * The ledger holds a descriptor from its OPEN, HELD or DUP event to its close: the path, and the
 * time and process of that event.  Durations count from that time, and "the opener" is that
 * process.
 *
 * A descriptor belongs to a file descriptor table, event.table: a number other than 0 that
 * identifies the table until its EXIT, such as the address of the kernel's files_struct.  EXIT
 * means that the last task that used the table has left it.  A thread can have a table of its own,
 * and processes can share one.  CLOSE and ERROR have pid and ppid of the opener, even if another
 * process closed the descriptor, so that OPEN and CLOSE match; tid and comm are those of the event
 * that the CLOSE or ERROR is emitted for.  What a child inherits by fork is not held for the child.
 *
 * Rules (tid plays no part in pairing):
 *   OPEN, HELD  if the descriptor is held: first an ERROR with the older path (its close was
 *               missed).  Then the event itself; the descriptor is held from mono_ns on.
 *   DUP         if fd == origin and not origin_reused: nothing.
 *               Else if fd is held: first its CLOSE (reason dup2) if the event has REASON_DUP2,
 *               otherwise an ERROR.
 *               Then, if origin is held and not origin_reused: a DUP record with origin's path, and
 *               fd is held from now on.  If not: the same with the event's own path; without such a
 *               path no DUP record, and fd is not held.
 *   CLOSE       if fd is held: a CLOSE with path and duration_ns.  With ranges: one for each held
 *               descriptor in ranges, in rising order.
 *   EXEC        a CLOSE (reason exec) for each held descriptor in ranges, in rising order.
 *   EXIT        a CLOSE (reason exit) for each held descriptor of the table, in rising order.
 *   BYTES       nothing; the bytes are added to those of fd, if it is held, and are in its CLOSE.
 *   FAIL, LOST  the event itself.
 *
 * Clocks of two CPUs can differ a little: a duration that would be negative is 0.
 */
#ifndef FILEMON_LEDGER_H
#define FILEMON_LEDGER_H

#include "event/event.h"

struct ledger;

/* Gets each record; its pointers are valid during the call, which must not call the ledger. */
typedef void ledger_emit(void *ctx, const struct event *record);

/* counts_bytes: each CLOSE has FACT(BYTES).  NULL: no memory.  Free with ledger_free(), which emits
 * nothing, and takes NULL. */
struct ledger *ledger_new(ledger_emit *emit, void *ctx, bool counts_bytes);
void ledger_free(struct ledger *ledger);

/* Takes one event, also an EXEC or EXIT; not a MARK.  OPEN and HELD must have a path.  0; or, for
 * OPEN, HELD and DUP after the record was emitted, an error that keeps the ledger from holding the
 * descriptor: -ENOMEM, -EINVAL (table is 0 or fd negative); for BYTES, -ENOMEM. */
int ledger_take(struct ledger *ledger, const struct event *event);

/* Number of descriptors held, over all tables. */
size_t ledger_held(const struct ledger *ledger);

#endif
