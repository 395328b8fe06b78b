/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/probes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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
#define TRANSFER (IN(PROBES_TRANSFERS) | IN(PROBES_TRANSFER_RETURNS))
#define SYSTEM_CALL(name, which)                                                                   \
    {"__x64_sys_" name, which, 0},                                                                 \
    {                                                                                              \
        "__ia32_sys_" name, which, 0                                                               \
    }

#define COMPAT_CALL(name, which)                                                                   \
    {"__x64_compat_sys_" name, which, 0},                                                          \
    {                                                                                              \
        "__ia32_compat_sys_" name, which, 0                                                        \
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
    COMPAT_CALL("execve", TABLE_CALL),
    COMPAT_CALL("execveat", TABLE_CALL),
    SYSTEM_CALL("io_uring_enter", ENTRY | IN(PROBES_RING)),
    SYSTEM_CALL("readv", TRANSFER),
    SYSTEM_CALL("writev", TRANSFER),
    SYSTEM_CALL("preadv", TRANSFER),
    SYSTEM_CALL("pwritev", TRANSFER),
    SYSTEM_CALL("preadv2", TRANSFER),
    SYSTEM_CALL("pwritev2", TRANSFER),
    COMPAT_CALL("preadv", TRANSFER),
    COMPAT_CALL("pwritev", TRANSFER),
    COMPAT_CALL("preadv2", TRANSFER),
    COMPAT_CALL("pwritev2", TRANSFER),
    COMPAT_CALL("preadv64", TRANSFER),
    COMPAT_CALL("pwritev64", TRANSFER),
    COMPAT_CALL("preadv64v2", TRANSFER),
    COMPAT_CALL("pwritev64v2", TRANSFER),
    SYSTEM_CALL("sendfile", TRANSFER),
    SYSTEM_CALL("sendfile64", TRANSFER),
    COMPAT_CALL("sendfile", TRANSFER),
    COMPAT_CALL("sendfile64", TRANSFER),
    SYSTEM_CALL("splice", TRANSFER),
    SYSTEM_CALL("tee", TRANSFER),
    SYSTEM_CALL("vmsplice", TRANSFER),
    SYSTEM_CALL("copy_file_range", TRANSFER),
    SYSTEM_CALL("mmap", TRANSFER),
    SYSTEM_CALL("mmap_pgoff", TRANSFER),
    COMPAT_CALL("ia32_mmap", TRANSFER),
    SYSTEM_CALL("io_getevents", TRANSFER),
    SYSTEM_CALL("io_getevents_time32", TRANSFER),
    SYSTEM_CALL("io_pgetevents", TRANSFER),
    COMPAT_CALL("io_pgetevents", TRANSFER),
    COMPAT_CALL("io_pgetevents_time64", TRANSFER),
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

bool probes_are_there(void)
{
    return access("/sys/bus/event_source/devices/kprobe", F_OK) == 0;
}

/* What /proc/kallsyms has of what is looked for. */
static struct symbols {
    bool known; /* it was read */
    bool there[N_FUNCTIONS];
    __u64 preemption;
} symbols;

/* line: of /proc/kallsyms, "ffffffff81000000 T name", and "[module]" for a module's function. */
static void note_symbol(const char *line)
{
    const char *name = strchr(line, ' ');
    size_t len;

    if (!name || strlen(name) < 4)
        return;
    if (strcmp(name + 3, "preempt_dynamic_mode\n") == 0)
        symbols.preemption = strtoull(line, NULL, 16);
    if ((name[1] | 0x20) != 't' || name[2] != ' ')
        return;
    name += 3;
    if (name[0] != '_' && name[0] != 'f' && name[0] != 'd') /* none of functions[] */
        return;
    len = strcspn(name, "\t\n");
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        if (strncmp(functions[i].name, name, len) == 0 && functions[i].name[len] == '\0')
            symbols.there[i] = true;
}

static void read_symbols(void)
{
    FILE *file = symbols.known ? NULL : fopen("/proc/kallsyms", "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file))
        note_symbol(line);
    if (file)
        fclose(file);
    symbols.known = true;
}

__u64 probes_preemption(void)
{
    read_symbols();
    return symbols.preemption;
}

struct bpf_link *probes_attach(const struct bpf_program *program, enum probes which)
{
    const char *names[N_FUNCTIONS];
    __u64 cookies[N_FUNCTIONS];
    struct bpf_kprobe_multi_opts options = {
        .sz = sizeof(options),
        .syms = names,
        .cookies = cookies,
        .retprobe = which != PROBES_ENTRIES && which != PROBES_TABLE_CALLS &&
                    which != PROBES_TRANSFERS,
    };

    read_symbols();
    for (size_t i = 0; i < N_FUNCTIONS; i++) {
        if (!symbols.there[i] || !(functions[i].which & IN(which)))
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
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), copy = dup(fd);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    char *const none[] = {NULL};
    char byte = 0;

    (void)!read(fd, &byte, 1);
    (void)!write(fd, &byte, 1);
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
