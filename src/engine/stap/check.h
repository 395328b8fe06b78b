/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILEMON_STAP_CHECK_H
#define FILEMON_STAP_CHECK_H

#include "engine/engine.h"

/* engine_ops.check of the stap engine, see engine.h: tests the requirements of this engine, and
 * returns findings_report() of them. */
int stap_check(const struct engine_config *config, FILE *out, struct finding *problem);

/* Whether the kernel was built with CONFIG_SECURITY_PATH: it has the functions where the script
 * reads the paths of calls on names and attributes. */
bool stap_resolves_paths(void);

#endif
