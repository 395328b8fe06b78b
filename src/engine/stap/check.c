/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/check.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/stap/module.h"
#include "engine/stap/system.h"

/* A thing that is needed.  Its mend is a command or a sentence; empty where nothing is amiss. */
struct finding {
    char what[160];
    char mend[400];
};

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

static bool in_path(const char *program)
{
    const char *dirs = getenv("PATH");
    char path[PATH_MAX];

    while (dirs && *dirs) {
        size_t len = strcspn(dirs, ":");

        snprintf(path, sizeof(path), "%.*s/%s", (int)len, dirs, program);
        if (access(path, X_OK) == 0)
            return true;
        dirs += len + (dirs[len] == ':');
    }
    return false;
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

static void check_build(struct finding findings[FINDINGS], const struct module *module)
{
    char headers[PATH_MAX], line[128];
    FILE *symbols = fopen(SYSTEM_KALLSYMS, "re");

    snprintf(findings[STAP].what, sizeof(findings[STAP].what), "stap %s", module->version);
    if (!module->version[0])
        snprintf(findings[STAP].mend, sizeof(findings[STAP].mend), "apt-get install systemtap");
    module_headers(headers, module->release);
    snprintf(findings[HEADERS].what, sizeof(findings[HEADERS].what), "headers of kernel %s",
             module->release);
    if (access(headers, R_OK | X_OK) < 0)
        snprintf(findings[HEADERS].mend, sizeof(findings[HEADERS].mend),
                 "apt-get install linux-headers-%s", module->release);
    snprintf(findings[SYMBOLS].what, sizeof(findings[SYMBOLS].what),
             "the kernel's symbols in /proc/kallsyms");
    if (!symbols || !fgets(line, sizeof(line), symbols))
        snprintf(findings[SYMBOLS].mend, sizeof(findings[SYMBOLS].mend),
                 "this kernel was built without CONFIG_KALLSYMS");
    else if (strtoull(line, NULL, 16) == 0 && geteuid() != 0)
        snprintf(findings[SYMBOLS].mend, sizeof(findings[SYMBOLS].mend),
                 "sysctl kernel.kptr_restrict=0, or be root for the first run");
    if (symbols)
        fclose(symbols);
}

/* A module that is there spares stap, headers and symbols. */
static void check_module(struct finding findings[FINDINGS], const struct engine_config *config)
{
    struct module module;

    if (module_identify(&module, config) < 0) {
        snprintf(findings[MODULE].what, sizeof(findings[MODULE].what), "a place for the module");
        snprintf(findings[MODULE].mend, sizeof(findings[MODULE].mend), "give --module-dir");
        return;
    }
    if (module_find(&module) == 0) {
        snprintf(findings[MODULE].what, sizeof(findings[MODULE].what), "the module, built already");
        return;
    }
    check_build(findings, &module);
}

static void print(FILE *out, const struct finding *finding)
{
    if (!out || !finding->what[0])
        return;
    if (!finding->mend[0])
        fprintf(out, "  ok       %s\n", finding->what);
    else
        fprintf(out, "  missing  %s\n           %s\n", finding->what, finding->mend);
}

int stap_check(const struct engine_config *config, FILE *out, char *why, size_t why_size)
{
    struct finding findings[FINDINGS] = {0};
    int result = 0;

    check_modules(&findings[MODULES]);
    check_lockdown(&findings[LOCKDOWN]);
    check_rights(&findings[RIGHTS]);
    snprintf(findings[STAPRUN].what, sizeof(findings[STAPRUN].what), "staprun");
    if (!in_path("staprun"))
        snprintf(findings[STAPRUN].mend, sizeof(findings[STAPRUN].mend),
                 "apt-get install systemtap-runtime");
    check_module(findings, config);
    for (int i = 0; i < FINDINGS; i++) {
        print(out, &findings[i]);
        if (findings[i].mend[0] && result == 0) {
            result = -ENOSYS;
            if (why)
                snprintf(why, why_size, "%s: %s", findings[i].what, findings[i].mend);
        }
    }
    return result;
}
