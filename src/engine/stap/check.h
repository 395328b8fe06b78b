/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine_ops.check of the stap engine. */
#ifndef FILEMON_STAP_CHECK_H
#define FILEMON_STAP_CHECK_H

#include "engine/engine.h"

int stap_check(const struct engine_config *config, FILE *out, struct finding *problem);

#endif
