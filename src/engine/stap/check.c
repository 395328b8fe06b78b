/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/finding.h"
#include "engine/stap/module.h"
#include "engine/stap/system.h"
#include "engine/stap/workarounds.h"
#include "spawn.h"
#include "users.h"

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
    EXPORTS,
    SYMBOLS,
    FAILURE,
    FINDINGS
};

/* stap often works on a kernel one release newer than the last it was tested with, hardly ever on a
 * kernel two releases newer. */
#define RELEASES_AHEAD_AT_MOST 1

static bool in_group(const char *name)
{
    gid_t group, groups[256];
    int n = getgroups(256, groups);

    if (users_find_group(name, &group) < 0)
        return false;
    for (int i = 0; i < n; i++)
        if (groups[i] == group)
            return true;
    return getegid() == group;
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
        snprintf(finding->fix, sizeof(finding->fix),
                 "this kernel was built without modules: boot another one, or use --engine bpf");
    else if (disabled[0] == '1')
        snprintf(finding->fix, sizeof(finding->fix),
                 "loading was disabled until the next boot (kernel.modules_disabled)");
}

/* With PREEMPT_RT spin locks sleep, which a probe must not: it runs with preemption disabled. */
static void check_realtime(struct finding *finding)
{
    char version[256], realtime[8];

    snprintf(finding->what, sizeof(finding->what), "a kernel without PREEMPT_RT");
    first_line(SYSTEM_VERSION, version, sizeof(version));
    first_line(SYSTEM_REALTIME, realtime, sizeof(realtime));
    if (realtime[0] == '1' || strstr(version, "PREEMPT_RT"))
        snprintf(finding->fix, sizeof(finding->fix),
                 "with PREEMPT_RT locks sleep, which probes must not: boot another kernel, or use "
                 "--engine bpf");
}

static void check_lockdown(struct finding *finding)
{
    char level[LOCKDOWN_LEVEL_SIZE];

    snprintf(finding->what, sizeof(finding->what), "unsigned modules allowed (no kernel lockdown)");
    lockdown_level(SYSTEM_LOCKDOWN, level);
    if (level[0] && strcmp(level, "none") != 0)
        snprintf(finding->fix, sizeof(finding->fix),
                 "the kernel is locked down (%s), as under Secure Boot: sign the module with an "
                 "enrolled key, switch Secure Boot off, or use --engine bpf",
                 level);
}

static void check_rights(struct finding *finding)
{
    snprintf(finding->what, sizeof(finding->what), "the right to load it");
    if (geteuid() != 0 && !(in_group("stapusr") && in_group("stapdev")))
        snprintf(finding->fix, sizeof(finding->fix),
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
        snprintf(finding->fix, sizeof(finding->fix),
                 "it may not be executed: be root, or join the groups stapusr and stapdev");
    else if (result < 0)
        snprintf(finding->fix, sizeof(finding->fix), "apt-get install systemtap-runtime");
}

/* Whether the addresses can be read: kptr_restrict replaces all of them by 0.  A single 0 can be
 * right: per-CPU variables begin there. */
static bool shows_addresses(FILE *symbols)
{
    char line[256];

    while (fgets(line, sizeof(line), symbols))
        if (strtoull(line, NULL, 16) != 0)
            return true;
    return false;
}

bool stap_resolves_paths(void)
{
    FILE *symbols = fopen(SYSTEM_KALLSYMS, "re");
    bool found = false;
    char line[256];

    while (symbols && !found && fgets(line, sizeof(line), symbols))
        found = strstr(line, " security_path_rename\n") != NULL;
    if (symbols)
        fclose(symbols);
    return found;
}

/* Why /proc/kallsyms could not be opened. */
static const char *explain_open(int error)
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
        snprintf(finding->fix, sizeof(finding->fix), "%s", explain_open(errno));
    else if (!shows_addresses(symbols))
        snprintf(finding->fix, sizeof(finding->fix),
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
        snprintf(finding->fix, sizeof(finding->fix),
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
        snprintf(finding->fix, sizeof(finding->fix), "apt-get install linux-headers-%s",
                 module->release);
}

static void check_exports(struct finding *finding, const struct module *module)
{
    char headers[PATH_MAX];
    const char *symbol;

    module_headers(headers, module->release);
    symbol = workarounds_missing_symbol(headers);
    if (!symbol)
        return;
    snprintf(finding->what, sizeof(finding->what), "a kernel that exports %s, which stap %s needs",
             symbol, module->version);
    snprintf(finding->fix, sizeof(finding->fix), "install a newer stap, or use --engine bpf");
}

static void check_build(struct finding findings[FINDINGS], const struct module *module)
{
    snprintf(findings[STAP].what, sizeof(findings[STAP].what), "stap %s", module->version);
    if (!module->version[0])
        snprintf(findings[STAP].fix, sizeof(findings[STAP].fix), "apt-get install systemtap");
    check_range(&findings[RANGE], module);
    check_headers(&findings[HEADERS], module);
    check_exports(&findings[EXPORTS], module);
    check_symbols(&findings[SYMBOLS]);
}

/* Only a doubt: each run with -e stap tries again, and so does --prepare. */
static void check_failure(struct finding *finding, const struct module *module)
{
    char why[MODULE_FAILURE_SIZE];

    if (!module_has_failed(module, why))
        return;
    snprintf(finding->what, sizeof(finding->what), "a module that builds and loads here");
    snprintf(finding->fix, sizeof(finding->fix),
             "%s before, with this kernel and this stap (%.200s): 'filemon --prepare' tries again",
             why, module->dir);
    finding->doubt = true;
}

static void describe_module(struct finding *finding, const struct module *module, int result)
{
    if (result == 0)
        snprintf(finding->what, sizeof(finding->what), "the module for this kernel, built already");
    else if (result == -ENOEXEC)
        snprintf(finding->what, sizeof(finding->what), "the module, to be built again: %.180s",
                 module->fault);
    else if (result == -ENOENT && module->version[0])
        snprintf(finding->what, sizeof(finding->what), "the module, to be built by the first run");
    else
        snprintf(finding->what, sizeof(finding->what), "the module for this kernel (%.60s)",
                 module->build);
    if (result != 0 && result != -ENOENT && result != -ENOEXEC)
        snprintf(finding->fix, sizeof(finding->fix), "%s",
                 result == -EPERM ? module->fault : strerror(-result));
}

/* stap, headers and symbols are only required if the module has to be built. */
static void check_module(struct finding findings[FINDINGS], const struct engine_config *config)
{
    struct finding *finding = &findings[MODULE];
    struct module module;
    int result = module_identify(&module, config);

    if (result < 0) {
        snprintf(finding->what, sizeof(finding->what), "a place for the module");
        snprintf(finding->fix, sizeof(finding->fix), "give --module-dir");
        return;
    }
    result = module_find(&module);
    describe_module(finding, &module, result);
    if (result == -ENOENT || result == -ENOEXEC)
        check_build(findings, &module);
    check_failure(&findings[FAILURE], &module);
}

int stap_check(const struct engine_config *config, FILE *out, struct finding *problem)
{
    struct finding findings[FINDINGS] = {0};

    check_modules(&findings[MODULES]);
    check_realtime(&findings[REALTIME]);
    check_lockdown(&findings[LOCKDOWN]);
    check_rights(&findings[RIGHTS]);
    check_staprun(&findings[STAPRUN]);
    check_module(findings, config);
    return findings_report(findings, FINDINGS, out, problem);
}
