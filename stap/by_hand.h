/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Without filemon nobody else pairs opens and closes. */
#ifndef FILEMON_STAP_BY_HAND_H
#define FILEMON_STAP_BY_HAND_H

#include "record.h"
#include "recorded.h"

/* What a record holds of a path; what it could not hold is no path. */
static void fm_path_was(struct fm_line *line, const struct fm_record *record)
{
    line->path_len = record->path ? strlen(record->path) : 0;
    line->path -= line->path_len;
    memcpy(line->path, record->path, line->path_len);
}

static void fm_report_by_hand(const char *start, unsigned int fd, struct fm_record *record,
                              s64 date)
{
    struct fm_line line;

    if (fm_event(&line)) {
        fm_path_was(&line, record);
        fm_start_with(&line, start, strlen(start));
        fm_path(&line);
        fm_descriptor(&line, fd, date);
        fm_finish(&line);
    }
    kfree(record->path);
}

static void fm_closed_by_hand(unsigned int fd, struct fm_record *record, struct fm_time time)
{
    fm_report_by_hand("{codigo: \"close", fd, record, (time.ns - record->ns) / NSEC_PER_MSEC);
}

/* filemon finds that out by itself. */
static void fm_missed_close(unsigned int fd, struct fm_time time)
{
    struct fm_record old;

    if (fm_forget(fd, &old))
        fm_report_by_hand("{codigo: \"error", fd, &old, time.us / 1000);
}

#endif
