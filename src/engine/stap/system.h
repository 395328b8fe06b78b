/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of the system that this engine reads.  For the tests of the command line, filemon is
 * built with another root, relative to its working directory.  The root is not an environment
 * variable, because a user could set that for a filemon that runs through sudo.
 */
#ifndef FILEMON_SYSTEM_H
#define FILEMON_SYSTEM_H

#ifndef SYSTEM_ROOT
#define SYSTEM_ROOT ""
#endif

#define SYSTEM_MODULES SYSTEM_ROOT "/proc/modules"
#define SYSTEM_VERSION SYSTEM_ROOT "/proc/sys/kernel/version" /* "uname -v" */
#define SYSTEM_REALTIME SYSTEM_ROOT "/sys/kernel/realtime"    /* of the RT patches: 1 */
#define SYSTEM_MODULES_DISABLED SYSTEM_ROOT "/proc/sys/kernel/modules_disabled"
#define SYSTEM_LOCKDOWN SYSTEM_ROOT "/sys/kernel/security/lockdown"
#define SYSTEM_KALLSYMS SYSTEM_ROOT "/proc/kallsyms"
#define SYSTEM_CACHE SYSTEM_ROOT "/var/cache/filemon"
#define SYSTEM_STAP_RUNTIME SYSTEM_ROOT "/usr/share/systemtap/runtime"

/* In a kernel's build tree: the header that contains "uname -v", since Linux 6.1 and before. */
#define HEADERS_UTSVERSION "include/generated/utsversion.h"
#define HEADERS_COMPILE "include/generated/compile.h"

/* Formats for printf(3): a kernel release, a process id, the name of a module. */
#define SYSTEM_LIB_MODULES SYSTEM_ROOT "/lib/modules/%s"
#define SYSTEM_BOOT_MAP_FORMAT SYSTEM_ROOT "/boot/System.map-%s"
#define SYSTEM_COMM SYSTEM_ROOT "/proc/%lld/comm"
#define SYSTEM_CONTROL SYSTEM_ROOT "/proc/systemtap/%s/control"

#endif
