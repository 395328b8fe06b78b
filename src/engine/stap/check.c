/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/check.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/finding.h"
#include "engine/stap/module.h"
#include "engine/stap/system.h"

enum { MODULES, LOCKDOWN, RIGHTS, STAPRUN, MODULE, STAP, HEADERS, SYMBOLS, FINDINGS };

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

static void check_symbols(struct finding *finding)
{
    FILE *symbols = fopen(SYSTEM_KALLSYMS, "re");

    snprintf(finding->what, sizeof(finding->what), "the kernel's symbols in /proc/kallsyms");
    if (!symbols)
        snprintf(finding->mend, sizeof(finding->mend),
                 "this kernel was built without CONFIG_KALLSYMS");
    else if (!shows_addresses(symbols))
        snprintf(finding->mend, sizeof(finding->mend),
                 "be root for the first run, with: sysctl kernel.kptr_restrict=1");
    if (symbols)
        fclose(symbols);
}

static void check_build(struct finding findings[FINDINGS], const struct module *module)
{
    char headers[PATH_MAX];

    snprintf(findings[STAP].what, sizeof(findings[STAP].what), "stap %s", module->version);
    if (!module->version[0])
        snprintf(findings[STAP].mend, sizeof(findings[STAP].mend), "apt-get install systemtap");
    module_headers(headers, module->release);
    snprintf(findings[HEADERS].what, sizeof(findings[HEADERS].what), "headers of kernel %s",
             module->release);
    if (access(headers, R_OK | X_OK) < 0)
        snprintf(findings[HEADERS].mend, sizeof(findings[HEADERS].mend),
                 "apt-get install linux-headers-%s", module->release);
    check_symbols(&findings[SYMBOLS]);
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
    if (result == -ENOENT) {
        check_build(findings, &module);
        return;
    }
    snprintf(finding->what, sizeof(finding->what), "the module, built already");
    if (result < 0)
        snprintf(
            finding->mend, sizeof(finding->mend),
            "%.200s could have been written by others: remove it, or give another --module-dir",
            module.path);
}

int stap_check(const struct engine_config *config, FILE *out, struct finding *lack)
{
    struct finding findings[FINDINGS] = {0};

    check_modules(&findings[MODULES]);
    check_lockdown(&findings[LOCKDOWN]);
    check_rights(&findings[RIGHTS]);
    check_staprun(&findings[STAPRUN]);
    check_module(findings, config);
    return findings_report(findings, FINDINGS, out, lack);
}
