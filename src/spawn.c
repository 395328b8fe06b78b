/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As filemon was started. */
static struct {
    sigset_t mask;
    struct sigaction chld, xfsz;
} saved;

void spawn_save_signals(void)
{
    sigprocmask(SIG_SETMASK, NULL, &saved.mask);
    sigaction(SIGCHLD, NULL, &saved.chld);
    sigaction(SIGXFSZ, NULL, &saved.xfsz);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN);
}

int spawn_find(const char *program, char path[static PATH_MAX])
{
    const char *dirs = getenv("PATH");
    int result = -ENOENT;

    while (dirs && *dirs) {
        int len = (int)strcspn(dirs, ":");

        if (snprintf(path, PATH_MAX, "%.*s/%s", len, dirs, program) < PATH_MAX) {
            if (access(path, X_OK) == 0)
                return 0;
            if (access(path, F_OK) == 0)
                result = -EACCES;
        }
        dirs += len + (dirs[len] == ':');
    }
    return result;
}

static char **environment_with(char *const *more)
{
    size_t n = 0, n_more = 0, used = 0;
    char **env;

    while (environ[n])
        n++;
    while (more && more[n_more])
        n_more++;
    env = calloc(n + n_more + 1, sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;

        for (size_t j = 0; j < n_more; j++)
            replaced |= !strncmp(environ[i], more[j], strcspn(more[j], "=") + 1);
        if (!replaced)
            env[used++] = environ[i];
    }
    for (size_t j = 0; j < n_more; j++)
        env[used++] = more[j];
    return env;
}

/* The child of fork(2): from here to exec only calls that signal-safety(7) allows. */

static int put(int fd, int standard)
{
    if (fd < 0)
        return 0;
    if (fd == standard)
        return fcntl(fd, F_SETFD, 0);
    return dup2(fd, standard) < 0 ? -1 : 0;
}

/* The command gets the signals that filemon was started with; stap and staprun must not inherit
 * blocked or ignored signals, by which filemon stops them. */
static void reset_signals(const struct spawn *spawn)
{
    sigset_t none;

    sigaction(SIGXFSZ, &saved.xfsz, NULL);
    if (!spawn->group) {
        sigaction(SIGCHLD, &saved.chld, NULL);
        sigprocmask(SIG_SETMASK, &saved.mask, NULL);
        return;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void mount_over(const struct spawn *spawn)
{
    if (spawn->mount_file && unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        mount(spawn->mount_file, spawn->mount_over, NULL, MS_BIND, NULL);
}

/* Where PATH has the program, so that the child need not try every directory: such a failed
 * execution would be reported as the program's.  NULL: execvp(3) is to look for it. */
static const char *find_file(const struct spawn *spawn, char path[static PATH_MAX])
{
    const char *program = spawn->argv[0];
    bool found = strchr(program, '/') == NULL && spawn_find(program, path) == 0;

    return found && strrchr(path, '/') > path ? path : NULL; /* "/program": an empty part of PATH */
}

static void child(const struct spawn *spawn, const char *file, char **env, int hold, int failure,
                  pid_t parent)
{
    char go;
    int error;

    if (spawn->group) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
    }
    if (hold >= 0 && read(hold, &go, 1) != 1)
        _exit(1);
    reset_signals(spawn);
    environ = env;
    if (put(spawn->in, 0) == 0 && put(spawn->out, 1) == 0 && put(spawn->err, 2) == 0 &&
        (!spawn->dir || chdir(spawn->dir) == 0)) {
        mount_over(spawn);
        if (file)
            execv(file, spawn->argv);
        execvp(spawn->argv[0], spawn->argv);
    }
    error = errno;
    if (write(failure, &error, sizeof(error)) != sizeof(error))
        _exit(126);
    _exit(127);
}

static int read_failure(struct spawned *spawned)
{
    int error = 0;
    ssize_t n;

    do
        n = read(spawned->failure, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    close(spawned->failure);
    spawned->failure = -1;
    if (n != sizeof(error))
        return 0;
    waitpid(spawned->pid, NULL, 0);
    return -error;
}

int spawn_start(const struct spawn *spawn, struct spawned *spawned)
{
    int hold[2] = {-1, -1}, failure[2] = {-1, -1}, result = 0;
    char **env = environment_with(spawn->env), path[PATH_MAX];
    const char *file = find_file(spawn, path);
    pid_t parent = getpid();

    if (!env)
        return -ENOMEM;
    if (pipe2(failure, O_CLOEXEC) < 0 || (spawn->hold && pipe2(hold, O_CLOEXEC) < 0)) {
        result = -errno;
    } else {
        spawned->pid = fork();
        if (spawned->pid < 0)
            result = -errno;
        if (spawned->pid == 0) {
            /* Only the parent keeps the pipe open: if the parent dies, read(2) in the child gets
             * EOF, and the child exits. */
            if (hold[1] >= 0)
                close(hold[1]);
            child(spawn, file, env, hold[0], failure[1], parent);
        }
    }
    free(env);
    if (hold[0] >= 0)
        close(hold[0]);
    if (failure[1] >= 0)
        close(failure[1]);
    spawned->hold = hold[1];
    spawned->failure = failure[0];
    if (result < 0) {
        if (hold[1] >= 0)
            close(hold[1]);
        if (failure[0] >= 0)
            close(failure[0]);
        return result;
    }
    return spawn->hold ? 0 : read_failure(spawned);
}

int spawn_release(struct spawned *spawned)
{
    ssize_t n = write(spawned->hold, "", 1);

    close(spawned->hold);
    spawned->hold = -1;
    return n == 1 ? read_failure(spawned) : -EIO;
}

void spawn_cancel(struct spawned *spawned)
{
    close(spawned->hold);
    close(spawned->failure);
    if (spawned->pid > 0) /* 0: it was killed, and command_reap() has waited for it */
        waitpid(spawned->pid, NULL, 0);
    spawned->hold = spawned->failure = -1;
}
