/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "output/csv.h"
#include "output/human.h"
#include "output/json.h"
#include "output/replace.h"

/* How long output_reopen() waits for the reader of the old file. */
#define REOPEN_WAIT_MS 1000

#define CAPACITY_MIN 65536

/* The functions of a format.  record() writes at most bound() bytes. */
struct writer {
    size_t (*bound)(const struct event *event);
    size_t (*record)(char *buf, const struct event *event, const struct fields *fields,
                     const struct screen *screen);
    size_t (*header)(
        char *buf,
        const struct fields *fields); /* first line, at most HEADER_BOUND bytes; NULL: none */
    bool quotes;                      /* a newline between quotes does not end a record */
};

#define HEADER_BOUND CSV_HEADER_BOUND

struct output {
    const struct writer *writer;
    const struct fields *fields;
    char *file;   /* NULL: standard output */
    int fd;       /* -1: file is replaced */
    bool regular; /* fd is a regular file */
    bool mixes;   /* a pipe, terminal or socket: others may write to it at the same time */
    bool shared;  /* others may share the open file description, so O_NONBLOCK must not be set */
    bool begun;   /* no header is to be written any more */
    bool torn;    /* the file's last line, of an earlier run, has no newline */
    bool terminal;
    int error; /* first error of writing */
    char *buf; /* pending bytes are buf[start] to buf[end - 1] */
    size_t start, end, capacity;
};

static size_t record_json(char *buf, const struct event *event, const struct fields *fields,
                          const struct screen *screen)
{
    (void)screen;
    return json_record(buf, event, fields);
}

static size_t record_csv(char *buf, const struct event *event, const struct fields *fields,
                         const struct screen *screen)
{
    (void)screen;
    return csv_record(buf, event, fields);
}

static const struct writer writers[] = {
    [FORMAT_JSON] = {json_bound, record_json, NULL, false},
    [FORMAT_TEXT] = {human_bound, human_record, NULL, false},
    [FORMAT_CSV] = {csv_bound, record_csv, csv_header, true},
};

/*
 * Other processes may share the open file description of standard output, and O_NONBLOCK would
 * change it for them.  A pipe or terminal can be opened again, for a description of our own.  For
 * anything else, write_some() asks poll(2) before each write.
 */
static int open_stdout(bool *shared)
{
    struct stat status;
    int fd = -1, flags = fcntl(STDOUT_FILENO, F_GETFL);

    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
        errno = EBADF; /* it was closed at start, and main.c put /dev/null in its place */
        return -1;
    }
    if (isatty(STDOUT_FILENO) || (fstat(STDOUT_FILENO, &status) == 0 && S_ISFIFO(status.st_mode)))
        fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    *shared = fd < 0;
    return fd >= 0 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* O_NONBLOCK: neither opening a FIFO nor writing waits for a reader. */
static int open_file(const char *file, bool *shared)
{
    int fd = file == NULL
                 ? open_stdout(shared)
                 : open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                        0666);

    return fd >= 0 ? fd : -errno;
}

/* Another descriptor of the file, since fd is write-only. */
static int open_to_read(int fd)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Reads the last size bytes of a regular file.  Returns the length of the file; -1 if the bytes
 * cannot be read. */
static off_t read_tail(int fd, char *tail, size_t size)
{
    struct stat status;
    off_t length = -1;
    int reading = open_to_read(fd);

    if (reading < 0)
        return -1;
    if (fstat(reading, &status) == 0 && status.st_size >= (off_t)size &&
        pread(reading, tail, size, status.st_size - (off_t)size) == (ssize_t)size)
        length = status.st_size;
    close(reading);
    return length;
}

/* Whether the file does not end in a newline: an earlier run was killed within a line. */
static bool is_torn(int fd)
{
    char last;

    return (fcntl(fd, F_GETFL) & O_APPEND) && read_tail(fd, &last, 1) > 0 && last != '\n';
}

/* Whether the file, which an earlier run has written, begins with another header.  False if it
 * cannot be read. */
static bool has_other_header(const struct output *output, int fd)
{
    char header[HEADER_BOUND], found[HEADER_BOUND];
    size_t size = output->writer->header(header, output->fields);
    int reading = open_to_read(fd);
    ssize_t n;

    if (reading < 0)
        return false;
    n = pread(reading, found, size, 0);
    close(reading);
    return n >= 0 && ((size_t)n < size || memcmp(found, header, size) != 0);
}

static bool has_content(const struct output *output, const struct stat *status)
{
    return output->file != NULL && S_ISREG(status->st_mode) && status->st_size > 0;
}

/* 0, or -errno. */
static int check_fd(const struct output *output, int fd, struct stat *status)
{
    if (fstat(fd, status) != 0)
        return -errno;
    return output->writer->header != NULL && has_content(output, status) &&
                   has_other_header(output, fd)
               ? -EEXIST
               : 0;
}

/* Makes fd the descriptor of the output; closes it on failure. */
static int use_fd(struct output *output, int fd)
{
    struct stat status;
    int error = check_fd(output, fd, &status);

    if (error != 0) {
        close(fd);
        return error;
    }
    output->fd = fd;
    output->regular = S_ISREG(status.st_mode);
    output->terminal = isatty(fd);
    output->mixes = output->terminal || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
    output->torn = output->regular && is_torn(fd);
    output->begun = has_content(output, &status);
    return 0;
}

static void release(struct output *output)
{
    free(output->file);
    free(output->buf);
    free(output);
}

static int init(struct output *output, const char *file)
{
    int fd;

    if (file != NULL) {
        output->file = strdup(file);
        if (output->file == NULL)
            return -ENOMEM;
    }
    fd = open_file(file, &output->shared);
    return fd >= 0 ? use_fd(output, fd) : fd;
}

int output_open(struct output **output, const char *file, enum output_format format,
                const struct fields *fields)
{
    struct output *made = calloc(1, sizeof(*made));
    int error;

    if (made == NULL)
        return -ENOMEM;
    made->writer = &writers[format];
    made->fields = fields;
    error = init(made, file);
    if (error != 0) {
        release(made);
        return error;
    }
    *output = made;
    return 0;
}

int output_open_replaced(struct output **output, const char *file)
{
    struct output *made = calloc(1, sizeof(*made));
    int error = made != NULL ? replace_open(file, &made->file) : -ENOMEM;

    if (error < 0) {
        free(made);
        return error;
    }
    made->writer = &writers[FORMAT_JSON];
    made->fd = -1;
    *output = made;
    return 0;
}

/* Makes room for so many bytes after the pending ones. */
static int reserve(struct output *output, size_t bytes)
{
    size_t pending = output_pending(output), capacity = output->capacity;
    char *buf;

    if (capacity - output->end >= bytes)
        return 0;
    if (capacity - pending < bytes || output->start < pending) {
        capacity = 2 * capacity + bytes + CAPACITY_MIN;
        buf = realloc(output->buf, capacity);
        if (buf == NULL)
            return -ENOMEM;
        output->buf = buf;
        output->capacity = capacity;
        return 0;
    }
    memmove(output->buf, output->buf + output->start, pending);
    output->start = 0;
    output->end = pending;
    return 0;
}

/* Asks the terminal for each record, since its width can change. */
static struct screen screen_of_output(const struct output *output)
{
    return output->terminal ? screen_of(output->fd) : (struct screen){.columns = SIZE_MAX};
}

static int begin_line(struct output *output)
{
    int error = output->torn ? reserve(output, 1) : 0;

    if (error == 0 && output->torn) {
        output->buf[output->end++] = '\n';
        output->torn = false;
    }
    return error;
}

static int begin(struct output *output)
{
    int error;

    if (output->begun || output->writer->header == NULL)
        return 0;
    error = begin_line(output);
    if (error == 0)
        error = reserve(output, HEADER_BOUND);
    if (error == 0) {
        output->end += output->writer->header(output->buf + output->end, output->fields);
        output->begun = true;
    }
    return error;
}

int output_event(struct output *output, const struct event *event)
{
    struct screen screen = screen_of_output(output);
    int error = begin(output);

    if (error == 0)
        error = begin_line(output);
    if (error == 0)
        error = reserve(output, output->writer->bound(event));
    if (error == 0)
        output->end += output->writer->record(output->buf + output->end, event, output->fields,
                                              &screen);
    return error;
}

int output_bytes(struct output *output, const char *bytes, size_t size)
{
    int error = begin_line(output);

    if (output->fd < 0)
        output->start = output->end = 0;
    if (error == 0)
        error = reserve(output, size);
    if (error == 0) {
        memcpy(output->buf + output->end, bytes, size);
        output->end += size;
    }
    return error;
}

size_t output_pending(const struct output *output)
{
    return output->end - output->start;
}

size_t output_pending_lines(const struct output *output)
{
    size_t lines = 0;

    for (size_t i = output->start; i < output->end; i++)
        lines += output->buf[i] == '\n';
    return lines;
}

int output_fd(const struct output *output)
{
    return output->fd;
}

/* ECONNRESET: the reader closed the socket without reading everything, like EPIPE of a pipe. */
static int reader_error(int error)
{
    return error == ECONNRESET ? -EPIPE : -error;
}

int output_hangup(const struct output *output)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(output->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
        return reader_error(error);
    return -EPIPE; /* not a socket, or its reader read everything before closing */
}

/* How much to give to one write(2): whole lines, if they fit. */
static size_t chunk_size(const struct output *output)
{
    const char *from = output->buf + output->start, *newline;
    size_t pending = output_pending(output);

    if (pending <= PIPE_BUF || !output->mixes)
        return pending;
    newline = memrchr(from, '\n', PIPE_BUF);
    return newline != NULL ? (size_t)(newline + 1 - from) : PIPE_BUF;
}

/* 1 if the descriptor is ready or has an error, 0 after timeout_ms, -errno. */
static int wait_ready(const struct output *output, int timeout_ms)
{
    struct pollfd pollfd = {.fd = output->fd, .events = POLLOUT};
    int ready = poll(&pollfd, 1, timeout_ms);

    return ready >= 0 ? ready : -errno;
}

/* 1: call again, for there is more to write; 0: wait for POLLOUT, or nothing is left; -errno. */
static int write_some(struct output *output)
{
    int ready = output->shared ? wait_ready(output, 0) : 1;
    ssize_t written;

    if (ready <= 0)
        return ready;
    written = write(output->fd, output->buf + output->start, chunk_size(output));
    if (written < 0)
        return errno == EAGAIN ? 0 : reader_error(errno);
    output->start += (size_t)written;
    if (output->start == output->end)
        output->start = output->end = 0;
    return output_pending(output) != 0;
}

static int replace(struct output *output)
{
    int error = replace_file(output->file, output->buf + output->start, output_pending(output));

    output->start = output->end = 0;
    return error;
}

/* The beginning of the record that contains this place of buf.  buf begins with a whole record. */
static size_t record_start(const struct output *output, size_t place)
{
    size_t start = 0;
    bool quoted = false;

    for (size_t i = 0; i < place; i++) {
        quoted ^= output->writer->quotes && output->buf[i] == '"';
        if (output->buf[i] == '\n' && !quoted)
            start = i + 1;
    }
    return start;
}

/*
 * Removes a record that was written in part from the end of the file, where the next run would
 * continue the line.  Only if the file still ends with our bytes: another process may have appended
 * since.  For a regular file output_write() ends when all is written or a write failed, and nothing
 * moves in buf before: so the written part of the record is still there.
 */
static void cut_partial_record(const struct output *output)
{
    size_t begin = record_start(output, output->start), size = output->start - begin;
    char *tail = size > 0 ? malloc(size) : NULL;
    off_t length = tail != NULL ? read_tail(output->fd, tail, size) : -1;

    if (length >= 0 && memcmp(tail, output->buf + begin, size) == 0 &&
        ftruncate(output->fd, length - (off_t)size) == 0)
        lseek(output->fd, length - (off_t)size, SEEK_SET); /* for those who share standard output */
    free(tail);
}

int output_write(struct output *output)
{
    int more = output_pending(output) != 0;

    while (output->error == 0 && more != 0) {
        more = output->fd < 0 ? replace(output) : write_some(output);
        if (more < 0 && more != -EINTR)
            output->error = more;
        if (output->error != 0 && output->regular)
            cut_partial_record(output);
    }
    return output->error;
}

/* Writes all pending bytes: 0, the error of writing, or -ETIMEDOUT. */
static int drain(struct output *output, int timeout_ms)
{
    int64_t deadline = clock_ms() + timeout_ms;
    int error = output_write(output);

    while (error == 0 && output_pending(output) != 0) {
        int64_t left = deadline - clock_ms();

        if (left <= 0)
            return -ETIMEDOUT;
        wait_ready(output, (int)left);
        error = output_write(output);
    }
    return error;
}

int output_reopen(struct output *output)
{
    int old = output->fd, fd, error;

    if (output->file == NULL || output->fd < 0)
        return 0;
    fd = open_file(output->file, &output->shared);
    if (fd < 0)
        return fd;
    error = drain(output, REOPEN_WAIT_MS);
    if (error != 0) {
        close(fd);
        return error;
    }
    error = use_fd(output, fd);
    if (error == 0 && close(old) != 0)
        output->error = -errno; /* the next output_write() returns it: the new file is in use now */
    return error;
}

int output_close(struct output *output, int timeout_ms)
{
    int error = begin(output), draining = drain(output, timeout_ms);

    if (error == 0)
        error = draining;
    if (output->fd >= 0 && close(output->fd) != 0 && error == 0)
        error = -errno;
    release(output);
    return error;
}
