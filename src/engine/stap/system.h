/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of the system that this engine looks at.  The tests of the command line are built with
 * a system of their own, in the directory that they run in; an environment variable would let
 * whoever starts filemon through sudo choose it.
 */
#ifndef FILEMON_SYSTEM_H
#define FILEMON_SYSTEM_H

#ifndef SYSTEM_ROOT
#define SYSTEM_ROOT ""
#endif

#define SYSTEM_MODULES SYSTEM_ROOT "/proc/modules"
#define SYSTEM_REALTIME SYSTEM_ROOT "/sys/kernel/realtime"
#define SYSTEM_MODULES_DISABLED SYSTEM_ROOT "/proc/sys/kernel/modules_disabled"
#define SYSTEM_LOCKDOWN SYSTEM_ROOT "/sys/kernel/security/lockdown"
#define SYSTEM_KALLSYMS SYSTEM_ROOT "/proc/kallsyms"
#define SYSTEM_CACHE SYSTEM_ROOT "/var/cache/filemon"
#define SYSTEM_STAP_RUNTIME SYSTEM_ROOT "/usr/share/systemtap/runtime"

/* Below a kernel's build tree: where its headers say "uname -v", since Linux 6.1 and before. */
#define HEADERS_UTSVERSION "include/generated/utsversion.h"
#define HEADERS_COMPILE "include/generated/compile.h"

/* Of printf(3), with a kernel release, a process id, a module's name. */
#define SYSTEM_LIB_MODULES SYSTEM_ROOT "/lib/modules/%s"
#define SYSTEM_BOOT_MAP SYSTEM_ROOT "/boot/System.map-%s"
#define SYSTEM_COMM SYSTEM_ROOT "/proc/%lld/comm"
#define SYSTEM_CONTROL SYSTEM_ROOT "/proc/systemtap/%s/control"

#endif
