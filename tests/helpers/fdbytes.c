/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads, writes and maps files of a directory in every way that -b counts, and
 * prints what the close of each descriptor must have:
 *
 *   fdbytes DIRECTORY [WAY...]
 *
 *   PATH leidos escritos lecturas escrituras mapeado       separated by tabs,
 * for each close
 *
 * Each way has files of its own, named after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 10000

static char buffer[4 << 20];
static char *const unmapped = (char *)1;

/* A descriptor, and what its close must have. */
struct counted {
    int fd;
    char name[64];
    long long read, written, reads, writes;
    bool mapped;
};

static void must(bool yes, const char *what)
{
    if (yes)
        return;
    fprintf(stderr, "fdbytes: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct counted open_as(const char *name, int flags)
{
    struct counted file = {.fd = open(name, flags, 0644)};

    must(file.fd >= 0, name);
    snprintf(file.name, sizeof(file.name), "%s", name);
    return file;
}

static struct counted make(const char *name)
{
    return open_as(name, O_RDWR | O_CREAT);
}

/* A file of SIZE bytes, opened for reading; the writer that makes it is a
 * descriptor of its own. */
static struct counted filled(const char *name);

static void has_read(struct counted *file, ssize_t result, ssize_t wanted)
{
    must(result == wanted, file->name);
    file->read += wanted;
    file->reads++;
}

static void has_written(struct counted *file, ssize_t result, ssize_t wanted)
{
    must(result == wanted, file->name);
    file->written += wanted;
    file->writes++;
}

/* Prints what the close must have. */
static void expect(const struct counted *file)
{
    char directory[4096];

    must(getcwd(directory, sizeof(directory)) != NULL, "getcwd");
    printf("%s/%s\t%lld\t%lld\t%lld\t%lld\t%s\n", directory, file->name, file->read, file->written,
           file->reads, file->writes, file->mapped ? "true" : "false");
    fflush(stdout);
}

static void end(const struct counted *file)
{
    expect(file);
    must(close(file->fd) == 0, "close");
}

static struct counted filled(const char *name)
{
    struct counted file = open_as(name, O_WRONLY | O_CREAT);

    has_written(&file, write(file.fd, buffer, SIZE), SIZE);
    end(&file);
    return open_as(name, O_RDONLY);
}

/* ---- The ways ------------------------------------------------------------------------------- */

static void way_read(void)
{
    struct counted file = filled("read");

    has_read(&file, read(file.fd, buffer, 4096), 4096);
    has_read(&file, read(file.fd, buffer, 4096), 4096);
    has_read(&file, read(file.fd, buffer, 4096), SIZE - 8192);
    has_read(&file, read(file.fd, buffer, 4096), 0); /* the end of the file */
    end(&file);
}

static void way_nothing(void)
{
    struct counted file = make("nothing");

    end(&file);
}

static void way_failed(void)
{
    struct counted file = filled("failed");

    must(write(file.fd, buffer, 1) < 0 && errno == EBADF, "write");
    must(syscall(SYS_read, file.fd, unmapped, 1) < 0 && errno == EFAULT, "read");
    must(read(-1, buffer, 1) < 0 && errno == EBADF, "read of no descriptor");
    must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0) == MAP_FAILED, "mmap");
    end(&file);
}

static void way_positioned(void)
{
    struct counted file = make("positioned");

    has_written(&file, pwrite(file.fd, buffer, SIZE, 5), SIZE);
    has_read(&file, pread(file.fd, buffer, 100, 5), 100);
    end(&file);
}

static void way_vectors(void)
{
    struct counted file = make("vectors");
    struct iovec two[] = {{buffer, 1000}, {buffer + 1000, 234}};

    has_written(&file, writev(file.fd, two, 2), 1234);
    has_written(&file, pwritev(file.fd, two, 2, 10), 1234);
    has_written(&file, pwritev2(file.fd, two, 2, 20, RWF_DSYNC), 1234);
    has_read(&file, preadv(file.fd, two, 2, 0), 1234);
    has_read(&file, preadv2(file.fd, two, 2, 254, 0), 1000);
    must(lseek(file.fd, 0, SEEK_SET) == 0, "lseek");
    has_read(&file, readv(file.fd, two, 1), 1000);
    end(&file);
}

static void way_large(void)
{
    struct counted file = make("large");

    for (int i = 0; i < 3; i++)
        has_written(&file, write(file.fd, buffer, sizeof(buffer)), sizeof(buffer));
    has_read(&file, pread(file.fd, buffer, sizeof(buffer), 0), sizeof(buffer));
    end(&file);
}

/* One descriptor is read, the other written. */
static void way_sendfile(void)
{
    struct counted from = filled("sendfile"), to = make("sendfile-to");

    has_read(&from, sendfile(to.fd, from.fd, NULL, 7000), 7000);
    has_written(&to, 7000, 7000);
    end(&from);
    end(&to);
}

static void way_copy_file_range(void)
{
    struct counted from = filled("copy"), to = make("copy-to");
    off64_t at = 0;

    has_read(&from, copy_file_range(from.fd, &at, to.fd, NULL, 6000, 0), 6000);
    has_written(&to, 6000, 6000);
    end(&from);
    end(&to);
}

/* Of the pipe, which no open has made, nothing is reported. */
static void way_splice(void)
{
    struct counted from = filled("splice"), to = make("splice-to");
    int ends[2];

    must(pipe(ends) == 0, "pipe");
    has_read(&from, splice(from.fd, NULL, ends[1], NULL, 4096, 0), 4096);
    has_written(&to, splice(ends[0], NULL, to.fd, NULL, 4096, 0), 4096);
    close(ends[0]);
    close(ends[1]);
    end(&from);
    end(&to);
}

/* Pipes with names: both ends are files that were opened. */
static void way_fifo(void)
{
    struct counted one, other, to = make("fifo-to");
    struct iovec bytes = {buffer, 3000};

    must(mkfifo("fifo", 0600) == 0 && mkfifo("fifo-other", 0600) == 0, "mkfifo");
    one = open_as("fifo", O_RDWR);
    other = open_as("fifo-other", O_RDWR);
    has_written(&one, vmsplice(one.fd, &bytes, 1, 0), 3000);
    has_read(&one, tee(one.fd, other.fd, 3000, 0), 3000);
    has_written(&other, 3000, 3000);
    has_read(&one, splice(one.fd, NULL, to.fd, NULL, 3000, 0), 3000);
    has_written(&to, 3000, 3000);
    has_read(&other, read(other.fd, buffer, 5000), 3000);
    end(&one);
    end(&other);
    end(&to);
}

static void way_mmap(void)
{
    struct counted file = filled("mmap"), other = filled("mmap-not");
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file.fd, 4096);

    must(memory != MAP_FAILED, "mmap");
    file.mapped = true;
    end(&file);
    /* The descriptor is not looked at. */
    memory = mmap(memory, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, other.fd, 0);
    must(memory != MAP_FAILED && munmap(memory, 4096) == 0, "mmap");
    end(&other);
}

/* Each descriptor counts for itself. */
static void way_dup(void)
{
    struct counted file = filled("dup"), copy = file;

    has_read(&file, read(file.fd, buffer, 10), 10);
    copy.fd = dup(file.fd);
    has_read(&copy, read(copy.fd, buffer, 200), 200);
    has_read(&file, read(file.fd, buffer, 3000), 3000);
    end(&file);
    end(&copy);
}

/* The child's inherited descriptor has no record, and so its reads have none.
 */
static void way_fork(void)
{
    struct counted file = filled("fork");
    pid_t child;
    int status;

    has_read(&file, read(file.fd, buffer, 10), 10);
    child = fork();
    if (child == 0) {
        struct counted own = open_as("fork", O_RDONLY);

        must(read(file.fd, buffer, 500) == 500, "fork");
        has_read(&own, read(own.fd, buffer, 77), 77);
        expect(&own);
        _exit(0); /* closes it */
    }
    must(waitpid(child, &status, 0) == child && status == 0, "fork");
    has_read(&file, read(file.fd, buffer, 20), 20);
    end(&file);
}

/* The number of the first file is reused: the second one begins at 0. */
static void way_reuse(void)
{
    struct counted first = filled("reuse"), second;

    has_read(&first, read(first.fd, buffer, 10), 10);
    end(&first);
    second = open_as("reuse", O_RDONLY);
    must(second.fd == first.fd, "the number");
    has_read(&second, read(second.fd, buffer, 300), 300);
    end(&second);
}

/* What closes the files: dup2, close_range. */
static void way_closes(void)
{
    struct counted replaced = filled("closes"), by = filled("closes-by"), copy = by;
    struct counted high = open_as("closes", O_RDONLY), higher = open_as("closes", O_RDONLY);

    has_read(&replaced, read(replaced.fd, buffer, 11), 11);
    has_read(&by, read(by.fd, buffer, 22), 22);
    expect(&replaced);
    copy.fd = replaced.fd;
    must(dup2(by.fd, replaced.fd) == replaced.fd, "dup2");
    copy.read = copy.reads = 0;
    has_read(&copy, read(copy.fd, buffer, 33), 33);
    must(fcntl(high.fd, F_DUPFD, 200) == 200, "fcntl");
    expect(&high);
    close(high.fd);
    high.fd = 200;
    has_read(&high, read(high.fd, buffer, 44), 44);
    must(fcntl(higher.fd, F_DUPFD, 300) == 300, "fcntl");
    expect(&higher);
    close(higher.fd);
    higher.fd = 300;
    has_read(&higher, read(higher.fd, buffer, 55), 55);
    expect(&high);
    expect(&higher);
    must(syscall(SYS_close_range, 200, 1000, 0) == 0, "close_range");
    end(&by);
    end(&copy);
}

/* exec closes what is close-on-exec; the rest is closed at the exit of the new
 * program. */
static void way_exec(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct counted kept = filled("exec"), closed = open_as("exec", O_RDONLY | O_CLOEXEC);

        has_read(&kept, read(kept.fd, buffer, 5), 5);
        has_read(&closed, read(closed.fd, buffer, 60), 60);
        expect(&kept);
        expect(&closed);
        execl("/proc/self/exe", "fdbytes", ".", "none", NULL);
        _exit(1);
    }
    must(waitpid(child, &status, 0) == child && status == 0, "exec");
}

#define THREADS 4
#define READS 2000

static void *read_often(void *argument)
{
    const struct counted *file = argument;
    char byte;

    for (int i = 0; i < READS; i++)
        must(pread(file->fd, &byte, 1, i) == 1, "threads");
    return NULL;
}

/* Several threads read one descriptor at the same time: no count is lost. */
static void way_threads(void)
{
    struct counted file = filled("threads");
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, read_often, &file) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    file.read = file.reads = THREADS * READS;
    end(&file);
}

static void *read_pipe(void *argument)
{
    char byte;

    __atomic_store_n((pid_t *)argument, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    must(read(100, &byte, 1) == 1, "race");
    return NULL;
}

/* Waits until the thread waits. */
static void await_sleep(const pid_t *thread)
{
    char path[64], line[256] = "";

    do {
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
                 __atomic_load_n(thread, __ATOMIC_ACQUIRE));
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        must(fgets(line, sizeof(line), file) != NULL, path);
        fclose(file);
    } while (strstr(line, ") S ") == NULL);
}

/* While a thread waits in read(2), another one puts another file in place of
 * the descriptor: what the first one reads then is not of that file. */
static void way_race(void)
{
    struct counted writer, waits, other, copy;
    pthread_t thread;
    pid_t tid = 0;

    must(mkfifo("race", 0600) == 0, "mkfifo");
    writer = open_as("race", O_RDWR);
    waits = open_as("race", O_RDONLY);
    must(fcntl(waits.fd, F_DUPFD, 100) == 100, "fcntl");
    end(&waits);
    copy = other = filled("race-other");
    must(pthread_create(&thread, NULL, read_pipe, &tid) == 0, "pthread_create");
    await_sleep(&tid);
    expect(&waits); /* of 100, whose read has not returned */
    copy.fd = dup2(other.fd, 100);
    has_written(&writer, write(writer.fd, "x", 1), 1);
    pthread_join(thread, NULL);
    has_read(&copy, read(copy.fd, buffer, 9), 9);
    end(&other);
    end(&copy);
    end(&writer);
}

/* A seccomp filter answers pread64(2) with 0: the program sees the end of the file, but nothing was
 * read. */
static void refuse_pread(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
             prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
         "seccomp");
}

static void way_seccomp(void)
{
    struct counted file = filled("seccomp");
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct counted own = open_as("seccomp", O_RDONLY);

        refuse_pread();
        must(pread(own.fd, buffer, 100, 0) == 0, "pread");
        has_read(&own, read(own.fd, buffer, 30), 30);
        must(pread(own.fd, buffer, 100, 0) == 0, "pread");
        expect(&own);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0, "seccomp");
    end(&file);
}

static int answer_fd;

static void answer(int signal)
{
    (void)signal;
    if (answer_fd >= 0)
        must(write(answer_fd, "x", 1) == 1, "write");
}

static void set_alarm(int flags)
{
    struct sigaction action = {.sa_handler = answer, .sa_flags = flags};
    struct itimerval soon = {.it_value.tv_usec = 20000};

    must(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0,
         "setitimer");
}

/* A read that a signal interrupts has failed, or goes on after the handler, as one call. */
static void way_interrupted(void)
{
    struct counted file;
    char byte;

    must(mkfifo("interrupted", 0600) == 0, "mkfifo");
    file = open_as("interrupted", O_RDWR);
    answer_fd = -1;
    set_alarm(0);
    must(read(file.fd, &byte, 1) < 0 && errno == EINTR, "a read that is interrupted");
    answer_fd = file.fd;
    set_alarm(SA_RESTART);
    has_read(&file, read(file.fd, &byte, 1), 1);
    has_written(&file, 1, 1);
    end(&file);
}

/* AIO: requests that are submitted at once, and their results. */
static void way_aio(void)
{
    struct counted file = make("aio");
    struct iovec vector = {buffer, 700};
    struct iocb requests[3] = {
        {.aio_lio_opcode = IOCB_CMD_PWRITE,
         .aio_fildes = (uint32_t)file.fd,
         .aio_buf = (uintptr_t)buffer,
         .aio_nbytes = 5000},
        {.aio_lio_opcode = IOCB_CMD_PREAD,
         .aio_fildes = (uint32_t)file.fd,
         .aio_buf = (uintptr_t)buffer,
         .aio_nbytes = 400},
        {.aio_lio_opcode = IOCB_CMD_PWRITEV,
         .aio_fildes = (uint32_t)file.fd,
         .aio_buf = (uintptr_t)&vector,
         .aio_nbytes = 1},
    };
    aio_context_t context = 0;

    must(syscall(SYS_io_setup, 8, &context) == 0, "io_setup");
    for (int i = 0; i < 3; i++) {
        struct iocb *one = &requests[i];
        struct io_event event;

        must(syscall(SYS_io_submit, context, 1, &one) == 1, "io_submit");
        must(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents");
        if (one->aio_lio_opcode == IOCB_CMD_PREAD)
            has_read(&file, event.res, 400);
        else
            has_written(&file, event.res, i == 0 ? 5000 : 700);
    }
    syscall(SYS_io_destroy, context);
    end(&file);
}

/* A ring of io_uring with room for one request at a time. */
struct ring {
    int fd;
    unsigned int *sq_tail, *cq_head;
    struct io_uring_sqe *request;
    struct io_uring_cqe *completions;
    unsigned int mask;
};

static struct ring make_ring(void)
{
    struct io_uring_params params = {0};
    struct ring ring = {.fd = (int)syscall(SYS_io_uring_setup, 1, &params)};
    char *sq, *cq;

    must(ring.fd >= 0, "io_uring_setup");
    sq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
    cq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
    ring.request = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
    must(sq != MAP_FAILED && cq != MAP_FAILED && ring.request != MAP_FAILED, "mmap of the ring");
    ring.sq_tail = (unsigned int *)(void *)(sq + params.sq_off.tail);
    ring.cq_head = (unsigned int *)(void *)(cq + params.cq_off.head);
    ring.completions = (struct io_uring_cqe *)(void *)(cq + params.cq_off.cqes);
    ring.mask = params.cq_entries - 1;
    return ring;
}

/* Returns its result. */
static int request(struct ring *ring, int operation, int flags, const struct counted *file,
                   void *address, unsigned int length)
{
    unsigned int head = *ring->cq_head;

    *ring->request = (struct io_uring_sqe){.opcode = (unsigned char)operation,
                                           .flags = (unsigned char)flags,
                                           .fd = file->fd,
                                           .addr = (uintptr_t)address,
                                           .len = length};
    __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
    must(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1,
         "io_uring_enter");
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return ring->completions[head & ring->mask].res;
}

/* At once, and by a worker. */
static void way_uring(void)
{
    struct counted file = make("uring");
    struct ring ring = make_ring();
    struct iovec vector = {buffer, 300};

    for (int flags = 0; flags <= (int)IOSQE_ASYNC; flags += (int)IOSQE_ASYNC) {
        has_written(&file, request(&ring, IORING_OP_WRITE, flags, &file, buffer, 5000), 5000);
        has_read(&file, request(&ring, IORING_OP_READ, flags, &file, buffer, 20), 20);
        has_read(&file, request(&ring, IORING_OP_READV, flags, &file, &vector, 1), 300);
        has_written(&file, request(&ring, IORING_OP_WRITEV, flags, &file, &vector, 1), 300);
        must(request(&ring, IORING_OP_READ, flags, &file, unmapped, 20) < 0, "a failing read");
    }
    close(ring.fd);
    end(&file);
}

/* At the exit of the process. */
static void way_exit(void)
{
    struct counted file = filled("exit");

    has_read(&file, read(file.fd, buffer, 123), 123);
    expect(&file);
}

static const struct {
    const char *name;
    void (*play)(void);
} ways[] = {
    {"nothing", way_nothing},   {"read", way_read},
    {"failed", way_failed},     {"positioned", way_positioned},
    {"vectors", way_vectors},   {"large", way_large},
    {"sendfile", way_sendfile}, {"copy_file_range", way_copy_file_range},
    {"splice", way_splice},     {"fifo", way_fifo},
    {"mmap", way_mmap},         {"dup", way_dup},
    {"fork", way_fork},         {"reuse", way_reuse},
    {"closes", way_closes},     {"exec", way_exec},
    {"threads", way_threads},   {"race", way_race},
    {"seccomp", way_seccomp},   {"interrupted", way_interrupted},
    {"aio", way_aio},           {"exit", way_exit},
    {"uring", way_uring}, /* only if it is asked for */
};

static bool is_asked(const char *way, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], way) == 0)
            return true;
    return argc == 2 && strcmp(way, "uring") != 0;
}

int main(int argc, char **argv)
{
    must(argc > 1 && chdir(argv[1]) == 0, "usage: fdbytes DIRECTORY [WAY...]");
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        if (is_asked(ways[i].name, argc, argv))
            ways[i].play();
    return 0;
}
