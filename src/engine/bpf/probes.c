/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/probes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/bpf/record.h"

#define IN(which) (1u << (which))
#define ENTRY IN(PROBES_ENTRIES)
#define TABLE_CALL (IN(PROBES_TABLE_CALLS) | RETURN)
#define RETURN (IN(PROBES_RETURNS) | IN(PROBES_RETURNS_HELD))
#define RETURN_HELD IN(PROBES_RETURNS_HELD)
#define SYSTEM_CALL(name, which)                                                                   \
    {"__x64_sys_" name, which, 0},                                                                 \
    {                                                                                              \
        "__ia32_sys_" name, which, 0                                                               \
    }

/* Each kernel has only some of these: it depends on its version and configuration. */
static const struct {
    const char *name;
    unsigned int which;
    __u64 cookie;
} functions[] = {
    {"fd_install", ENTRY, PROBE_INSTALL},
    {"do_dup2", ENTRY, PROBE_REPLACE},
    {"f_dupfd", ENTRY, PROBE_CALL},
    SYSTEM_CALL("close", ENTRY | RETURN_HELD),
    SYSTEM_CALL("dup", ENTRY),
    SYSTEM_CALL("dup2", ENTRY),
    SYSTEM_CALL("dup3", ENTRY),
    SYSTEM_CALL("close_range", TABLE_CALL),
    SYSTEM_CALL("unshare", TABLE_CALL),
    SYSTEM_CALL("execve", TABLE_CALL),
    SYSTEM_CALL("execveat", TABLE_CALL),
    {"__ia32_compat_sys_execve", TABLE_CALL, PROBE_CALL},
    {"__ia32_compat_sys_execveat", TABLE_CALL, PROBE_CALL},
    {"__x64_compat_sys_execve", TABLE_CALL, PROBE_CALL},
    {"__x64_compat_sys_execveat", TABLE_CALL, PROBE_CALL},
    SYSTEM_CALL("io_uring_enter", ENTRY | IN(PROBES_RING)),
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

bool probes_are_there(void)
{
    return access("/sys/bus/event_source/devices/kprobe", F_OK) == 0;
}

/* line: of /proc/kallsyms, "ffffffff81000000 T name", and "[module]" for a module's function. */
static void note_function(const char *line, bool there[static N_FUNCTIONS])
{
    const char *name = strchr(line, ' ');
    size_t len;

    if (!name || (name[1] | 0x20) != 't' || name[2] != ' ')
        return;
    name += 3;
    if (name[0] != '_' && name[0] != 'f' && name[0] != 'd') /* none of functions[] */
        return;
    len = strcspn(name, "\t\n");
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        if (strncmp(functions[i].name, name, len) == 0 && functions[i].name[len] == '\0')
            there[i] = true;
}

static const bool *find_functions(void)
{
    static bool there[N_FUNCTIONS];
    static bool known;
    FILE *symbols = known ? NULL : fopen("/proc/kallsyms", "re");
    char line[512];

    while (symbols && fgets(line, sizeof(line), symbols))
        note_function(line, there);
    if (symbols)
        fclose(symbols);
    known = true;
    return there;
}

struct bpf_link *probes_attach(const struct bpf_program *program, enum probes which)
{
    const bool *there = find_functions();
    const char *names[N_FUNCTIONS];
    __u64 cookies[N_FUNCTIONS];
    struct bpf_kprobe_multi_opts options = {
        .sz = sizeof(options),
        .syms = names,
        .cookies = cookies,
        .retprobe = which != PROBES_ENTRIES && which != PROBES_TABLE_CALLS,
    };

    for (size_t i = 0; i < N_FUNCTIONS; i++) {
        if (!there[i] || !(functions[i].which & IN(which)))
            continue;
        names[options.cnt] = functions[i].name;
        cookies[options.cnt++] = functions[i].cookie;
    }
    if (options.cnt > 0)
        return bpf_program__attach_kprobe_multi_opts(program, NULL, &options);
    errno = ENOENT;
    return NULL;
}

void probes_make_calls(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = dup(fd);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    char *const none[] = {NULL};

    dup2(fd, copy);
    dup3(fd, copy, O_CLOEXEC);
    close(copy);
    close(other);
    if (fd >= 0)
        syscall(SYS_close_range, fd, fd, 0);
    syscall(SYS_unshare, 0);
    execve("", none, none);
}

/* In a control message of its own size, SCM_RIGHTS has one descriptor. */
void probes_receive(void)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    char byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(sizeof(int)),
    };
    int ends[2], received;

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    memcpy(CMSG_DATA(&control.header), &ends[0], sizeof(int));
    if (sendmsg(ends[0], &message, MSG_DONTWAIT) == 1 &&
        recvmsg(ends[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1 &&
        CMSG_FIRSTHDR(&message)) {
        memcpy(&received, CMSG_DATA(&control.header), sizeof(int));
        close(received);
    }
    close(ends[0]);
    close(ends[1]);
}
