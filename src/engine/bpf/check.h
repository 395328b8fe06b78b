/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_BPF_CHECK_H
#define FILEMON_BPF_CHECK_H

#include "engine/engine.h"

/* engine_ops.check of the eBPF engine, see engine.h: tests the requirements of this engine, and
 * returns findings_report() of them. */
int bpf_check(const struct engine_config *config, FILE *out, struct finding *problem);

#endif
