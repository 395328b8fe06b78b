/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can SystemTap run here?  As engine_ops.check, see engine/engine.h. */
#ifndef FILEMON_STAP_CHECK_H
#define FILEMON_STAP_CHECK_H

#include "engine/engine.h"

int stap_check(const struct engine_config *config, FILE *out, struct finding *lack);

#endif
