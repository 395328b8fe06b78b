/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine_ops.check of the eBPF engine. */
#ifndef FILEMON_BPF_CHECK_H
#define FILEMON_BPF_CHECK_H

#include "engine/engine.h"

int bpf_check(const struct engine_config *config, FILE *out, struct finding *problem);

#endif
