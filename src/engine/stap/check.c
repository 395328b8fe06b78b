/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/check.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/finding.h"
#include "engine/stap/module.h"
#include "engine/stap/system.h"
#include "spawn.h"

enum {
    MODULES,
    REALTIME,
    LOCKDOWN,
    RIGHTS,
    STAPRUN,
    MODULE,
    STAP,
    RANGE,
    HEADERS,
    SYMBOLS,
    FAILURE,
    FINDINGS
};

/* One release more than it was tested with, stap often still fits; two, hardly ever. */
#define RELEASES_AHEAD_AT_MOST 1

static bool in_group(const char *name)
{
    const struct group *group = getgrnam(name);
    gid_t groups[256];
    int n = getgroups(256, groups);

    if (!group)
        return false;
    for (int i = 0; i < n; i++)
        if (groups[i] == group->gr_gid)
            return true;
    return getegid() == group->gr_gid;
}

static void first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");

    line[0] = '\0';
    if (file && fgets(line, (int)size, file))
        line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
}

static void check_modules(struct finding *finding)
{
    char disabled[8];

    snprintf(finding->what, sizeof(finding->what), "a kernel that loads modules");
    first_line(SYSTEM_MODULES_DISABLED, disabled, sizeof(disabled));
    if (access(SYSTEM_MODULES, F_OK) < 0)
        snprintf(finding->mend, sizeof(finding->mend),
                 "this kernel was built without modules: boot another one, or use --engine bpf");
    else if (disabled[0] == '1')
        snprintf(finding->mend, sizeof(finding->mend),
                 "loading was switched off until the next boot (kernel.modules_disabled)");
}

/* Spin locks sleep there, which a probe must not: it runs with preemption off. */
static void check_realtime(struct finding *finding)
{
    struct utsname name;
    char realtime[8];

    snprintf(finding->what, sizeof(finding->what), "a kernel without PREEMPT_RT");
    first_line(SYSTEM_REALTIME, realtime, sizeof(realtime));
    if (realtime[0] == '1' || (uname(&name) == 0 && strstr(name.version, "PREEMPT_RT")))
        snprintf(
            finding->mend, sizeof(finding->mend),
            "on PREEMPT_RT locks sleep, which its probes must not: boot another kernel, or use "
            "--engine bpf");
}

/* "none [integrity] confidentiality", kernel Documentation of lockdown(7). */
static void check_lockdown(struct finding *finding)
{
    char line[128];

    snprintf(finding->what, sizeof(finding->what), "unsigned modules allowed (no kernel lockdown)");
    first_line(SYSTEM_LOCKDOWN, line, sizeof(line));
    if (line[0] && !strstr(line, "[none]"))
        snprintf(finding->mend, sizeof(finding->mend),
                 "the kernel is locked down (%s), as under Secure Boot: sign the module with an "
                 "enrolled key, switch Secure Boot off, or use --engine bpf",
                 line);
}

static void check_rights(struct finding *finding)
{
    snprintf(finding->what, sizeof(finding->what), "the right to load it");
    if (geteuid() != 0 && !(in_group("stapusr") && in_group("stapdev")))
        snprintf(finding->mend, sizeof(finding->mend),
                 "be root, or: adduser %s stapusr; adduser %s stapdev",
                 getenv("USER") ? getenv("USER") : "USER",
                 getenv("USER") ? getenv("USER") : "USER");
}

static void check_staprun(struct finding *finding)
{
    char path[PATH_MAX];
    int result = spawn_find("staprun", path);

    snprintf(finding->what, sizeof(finding->what), "staprun");
    if (result == -EACCES)
        snprintf(finding->mend, sizeof(finding->mend),
                 "it may not be executed: be root, or join the groups stapusr and stapdev");
    else if (result < 0)
        snprintf(finding->mend, sizeof(finding->mend), "apt-get install systemtap-runtime");
}

/* The first symbol can be at 0 by right: that of the first processor's variables is. */
static bool shows_addresses(FILE *symbols)
{
    char line[256];

    while (fgets(line, sizeof(line), symbols))
        if (strtoull(line, NULL, 16) != 0)
            return true;
    return false;
}

/* Why /proc/kallsyms cannot be opened. */
static const char *no_symbols(int error)
{
    if (error != ENOENT)
        return strerror(error);
    return access(SYSTEM_MODULES, F_OK) == 0 ? "this kernel was built without CONFIG_KALLSYMS"
                                             : "/proc is not mounted: mount -t proc proc /proc";
}

static void check_symbols(struct finding *finding)
{
    FILE *symbols = fopen(SYSTEM_KALLSYMS, "re");

    snprintf(finding->what, sizeof(finding->what), "the kernel's symbols in /proc/kallsyms");
    if (!symbols)
        snprintf(finding->mend, sizeof(finding->mend), "%s", no_symbols(errno));
    else if (!shows_addresses(symbols))
        snprintf(finding->mend, sizeof(finding->mend),
                 "be root for the first run, with: sysctl kernel.kptr_restrict=1");
    if (symbols)
        fclose(symbols);
}

static void check_range(struct finding *finding, const struct module *module)
{
    if (!module->tested[0])
        return;
    snprintf(finding->what, sizeof(finding->what), "stap tested with kernels up to %s",
             module->tested);
    finding->doubt = true;
    if (module_releases_ahead(module) > RELEASES_AHEAD_AT_MOST)
        snprintf(finding->mend, sizeof(finding->mend),
                 "this kernel is %s: install a newer stap, or use --engine bpf", module->release);
}

static void check_headers(struct finding *finding, const struct module *module)
{
    char headers[PATH_MAX], build[sizeof(module->build)];
    bool is_other = module_headers_build(build, sizeof(build), module->release) &&
                    strcmp(build, module->build) != 0;

    module_headers(headers, module->release);
    snprintf(finding->what, sizeof(finding->what), "headers of kernel %s%s%.65s", module->release,
             is_other ? ", but of another build than runs: " : "", is_other ? build : "");
    if (access(headers, R_OK | X_OK) < 0)
        snprintf(finding->mend, sizeof(finding->mend), "apt-get install linux-headers-%s",
                 module->release);
}

static void check_build(struct finding findings[FINDINGS], const struct module *module)
{
    snprintf(findings[STAP].what, sizeof(findings[STAP].what), "stap %s", module->version);
    if (!module->version[0])
        snprintf(findings[STAP].mend, sizeof(findings[STAP].mend), "apt-get install systemtap");
    check_range(&findings[RANGE], module);
    check_headers(&findings[HEADERS], module);
    check_symbols(&findings[SYMBOLS]);
}

/* -e stap tries again each time, and --prepare as often as it is called. */
static void check_failure(struct finding *finding, const struct module *module)
{
    char why[MODULE_FAILURE_SIZE];

    if (!module_has_failed(module, why))
        return;
    snprintf(finding->what, sizeof(finding->what), "a module that builds and loads here");
    snprintf(finding->mend, sizeof(finding->mend),
             "%s before, with this kernel and this stap (%.200s): 'filemon --prepare' tries again",
             why, module->dir);
    finding->doubt = true;
}

static void say_module(struct finding *finding, const struct module *module, int result)
{
    if (result == 0)
        snprintf(finding->what, sizeof(finding->what), "the module for this kernel, built already");
    else if (result == -ENOEXEC)
        snprintf(finding->what, sizeof(finding->what), "the module, to be built anew: %.180s",
                 module->fault);
    else if (result == -ENOENT && module->version[0])
        snprintf(finding->what, sizeof(finding->what), "the module, to be built by the first run");
    else
        snprintf(finding->what, sizeof(finding->what), "the module for this kernel (%.60s)",
                 module->build);
    if (result != 0 && result != -ENOENT && result != -ENOEXEC)
        snprintf(finding->mend, sizeof(finding->mend), "%s",
                 result == -EPERM ? module->fault : strerror(-result));
}

/* A module that is there spares stap, headers and symbols. */
static void check_module(struct finding findings[FINDINGS], const struct engine_config *config)
{
    struct finding *finding = &findings[MODULE];
    struct module module;
    int result = module_identify(&module, config);

    if (result < 0) {
        snprintf(finding->what, sizeof(finding->what), "a place for the module");
        snprintf(finding->mend, sizeof(finding->mend), "give --module-dir");
        return;
    }
    result = module_find(&module);
    say_module(finding, &module, result);
    if (result == -ENOENT || result == -ENOEXEC)
        check_build(findings, &module);
    check_failure(&findings[FAILURE], &module);
}

int stap_check(const struct engine_config *config, FILE *out, struct finding *lack)
{
    struct finding findings[FINDINGS] = {0};

    check_modules(&findings[MODULES]);
    check_realtime(&findings[REALTIME]);
    check_lockdown(&findings[LOCKDOWN]);
    check_rights(&findings[RIGHTS]);
    check_staprun(&findings[STAPRUN]);
    check_module(findings, config);
    return findings_report(findings, FINDINGS, out, lack);
}
