/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_TEST_FLAGS_H
#define FILEMON_TEST_FLAGS_H

#include <stdint.h>
#include <stdio.h>

/* O_* as filemon has to write them: "O_RDWR|O_CREAT|O_CLOEXEC". */
void put_flags(FILE *stream, uint64_t flags);

#endif
