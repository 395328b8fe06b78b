/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag.h"
#include "engine/bpf/links.h"
#include "engine/bpf/messages.h"
#include "engine/bpf/program.h"
#include "engine/finding.h"

enum { BTF, LOCKDOWN, RIGHTS, RING, TRACEPOINTS, FINDINGS };

static void find(struct finding *finding, const char *what, const char *fix)
{
    snprintf(finding->what, sizeof(finding->what), "%s", what);
    snprintf(finding->fix, sizeof(finding->fix), "%s", fix);
}

static void check_btf(struct finding *finding)
{
    bool is_there = access("/sys/kernel/btf/vmlinux", R_OK) == 0;

    find(finding, "the kernel's type information (/sys/kernel/btf/vmlinux)",
         is_there ? ""
                  : "boot a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions' are, and "
                    "have /sys mounted");
}

/* On every level but confidentiality, BPF programs may read the kernel's memory. */
static void check_lockdown(struct finding *finding)
{
    char level[LOCKDOWN_LEVEL_SIZE];

    lockdown_level("/sys/kernel/security/lockdown", level);
    find(finding, "a kernel that lets programs read it (no lockdown of confidentiality)",
         strcmp(level, "confidentiality") == 0
             ? "boot without lockdown=confidentiality; Secure Boot's own level, integrity, will do"
             : "");
}

/* The effective capabilities, as bits. */
static unsigned long long effective_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return 0;
    return (unsigned long long)data[1].effective << 32 | data[0].effective;
}

static bool has(unsigned long long capabilities, int capability)
{
    return capabilities >> capability & 1;
}

static void check_rights(struct finding *finding)
{
    unsigned long long capabilities = effective_capabilities();
    bool admin = has(capabilities, CAP_SYS_ADMIN);
    bool bpf = admin || has(capabilities, CAP_BPF);
    bool perfmon = admin || has(capabilities, CAP_PERFMON);

    find(finding, "the right to load it (CAP_BPF and CAP_PERFMON)", "");
    if (!bpf || !perfmon)
        snprintf(finding->fix, sizeof(finding->fix), "%s%s%s not in effect: be root (sudo)",
                 bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : ", ", perfmon ? "" : "CAP_PERFMON");
}

/*
 * Whether the kernel has the newest helper that the programs call.  libbpf cannot probe the type of
 * the programs, but raw tracepoints have the same helpers.
 */
static bool has_helpers(void)
{
    return libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_get_current_task_btf,
                                   NULL) != 0;
}

static void check_ring(struct finding *finding)
{
    int map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0, (__u32)sysconf(_SC_PAGESIZE), NULL);
    int error = map < 0 ? errno : 0;

    if (map >= 0)
        close(map);
    if (error == 0 && !has_helpers())
        error = EINVAL;
    find(finding, "bpf(2) with ring buffers and all helpers",
         error == 0        ? ""
         : error == EINVAL ? "boot a kernel of 5.11 or later"
         : error == EPERM  ? "the call is refused: be root outside of any container, or let the "
                             "container have the capabilities and the call (--privileged)"
                           : strerror(error));
}

static void check_tracepoints(struct finding *finding)
{
    bool are_there = libbpf_find_vmlinux_btf_id("sys_enter", BPF_TRACE_RAW_TP) > 0;

    find(finding, "tracepoints on system calls",
         are_there ? "" : "boot a kernel built with CONFIG_FTRACE_SYSCALLS, as distributions' are");
}

/* Loads and attaches the programs as a run does, and reports what they do not see here. */
static int try_programs(const struct engine_config *config, FILE *out)
{
    struct pathfilter *filter = pathfilter_new();
    struct engine_config own = *config;
    struct program program = {.config = &own, .notes = out};
    int result = -ENOMEM;

    own.filter = filter;
    messages_keep();
    program_choose(&program);
    program.probes = links_may_probe(&program);
    if (filter)
        result = links_start(&program);
    if (result < 0)
        fprintf(out, "  missing  programs that this kernel accepts\n           %s\n",
                "this is a bug of filemon or of the kernel: report the messages");
    program_unload(&program);
    pathfilter_free(filter);
    return result < 0 ? -ENOSYS : 0;
}

int bpf_check(const struct engine_config *config, FILE *out, struct finding *problem)
{
    struct finding findings[FINDINGS] = {0};
    int result;

    check_btf(&findings[BTF]);
    check_lockdown(&findings[LOCKDOWN]);
    check_rights(&findings[RIGHTS]);
    if (findings[RIGHTS].fix[0] == '\0')
        check_ring(&findings[RING]);
    /* Only for --check, since this takes time: a kernel that meets the other requirements has
     * tracepoints. */
    if (out && findings[BTF].fix[0] == '\0')
        check_tracepoints(&findings[TRACEPOINTS]);
    result = findings_report(findings, FINDINGS, out, problem);
    return result == 0 && out && diag_shows(DIAG_VERBOSE) ? try_programs(config, out) : result;
}
