/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay: an engine that reads records from files instead of watching processes.
 *
 * It delivers each record of engine_config.files as it was written, those of several files in the
 * order of date_us: each file is taken to be in this order, and of two records with the same date
 * that of the file named first comes first.  A record waits until every other file has shown a
 * record or its end.
 *
 * A line that is no record is reported with its number and skipped, and makes the run fail at its
 * end.  Memory holds a line of each file, and with -w or -u a word for each chosen descriptor.
 */
#ifndef FILEMON_REPLAY_H
#define FILEMON_REPLAY_H

#include "engine/engine.h"

/* Not in engine_list: -r alone chooses it. */
extern const struct engine_ops engine_replay;

#endif
