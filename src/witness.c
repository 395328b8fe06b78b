/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "witness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"

/* Plenty for the answer of a process that is not stopped. */
#define ANSWER_MS 1000

#define FDS_AT_MOST 4096 /* filemon inherits and opens less */

/* Of the signal in question; number 0: the witness did not get it. */
struct answer {
    int number, code;
    pid_t sender;
};

static struct answer collect(int number)
{
    const struct timespec now = {0};
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    if (sigtimedwait(&set, &info, &now) != number)
        return (struct answer){0};
    return (struct answer){.number = number, .code = info.si_code, .sender = info.si_pid};
}

/* So that pkill(1) finds only filemon, by name and by command line.  The command line ends where
 * the environment begins, or without one, where AT_EXECFN is. */
static void rename_process(void)
{
    char *begin = program_invocation_name;
    char *end = environ[0] ? environ[0] : (char *)getauxval(AT_EXECFN);

    prctl(PR_SET_NAME, "signal-witness");
    if (end && begin < end)
        memset(begin, 0, (size_t)(end - begin));
}

/* The child.  It keeps no descriptor of filemon's open: a pipe must get EOF when filemon ends.  All
 * signals are blocked, so only SIGKILL ends it. */
static _Noreturn void be_witness(int socket)
{
    struct answer answer;
    sigset_t all;
    int number;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    dup2(socket, 0);
    if (syscall(SYS_close_range, 1, ~0u, 0) < 0) /* before Linux 5.9 */
        for (int fd = FDS_AT_MOST; fd > 0; fd--)
            close(fd);
    rename_process();
    while (read(0, &number, sizeof(number)) == sizeof(number)) {
        answer = collect(number);
        if (write(0, &answer, sizeof(answer)) != sizeof(answer))
            break;
    }
    _exit(0);
}

void witness_start(struct witness *witness)
{
    int ends[2];

    *witness = (struct witness){0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    witness->pid = fork();
    if (witness->pid == 0)
        be_witness(ends[1]);
    close(ends[1]);
    witness->socket = ends[0];
    if (witness->pid < 0) {
        close(ends[0]);
        witness->pid = 0;
    }
}

void witness_stop(struct witness *witness)
{
    if (witness->pid == 0)
        return;
    close(witness->socket);
    kill(witness->pid, SIGKILL);
    waitpid(witness->pid, NULL, 0);
    witness->pid = 0;
}

static bool ask(const struct witness *witness, int number, struct answer *answer)
{
    struct pollfd pollfd = {.fd = witness->socket, .events = POLLIN};

    return write(witness->socket, &number, sizeof(number)) == sizeof(number) &&
           poll(&pollfd, 1, ANSWER_MS) == 1 &&
           read(witness->socket, answer, sizeof(*answer)) == sizeof(*answer);
}

/* Code and sender must match: the witness alone could have been sent the same signal earlier. */
bool witness_has(struct witness *witness, const struct signalfd_siginfo *info)
{
    struct answer answer;

    if (info->ssi_code == SI_KERNEL)
        return true;
    if (witness->pid > 0 && !ask(witness, (int)info->ssi_signo, &answer))
        witness_stop(witness);
    if (witness->pid == 0)
        return false;
    return answer.number != 0 && answer.code == info->ssi_code &&
           answer.sender == (pid_t)info->ssi_pid;
}
