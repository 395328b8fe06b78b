/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changes DIRECTORY JOURNAL
 *
 * Makes every call that filemon's -t names and -t attributes are about, by each number that it has,
 * some of which fail; and writes to JOURNAL.given and JOURNAL.resolved what filemon must report:
 * with the paths as they are given here, made absolute, or as the kernel resolves them.  One record
 * on each line, with the keys codigo, fichero, modo, errno, destino and llamada.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define EXCHANGE 2 /* RENAME_EXCHANGE of linux/fs.h */
#define NOREPLACE 1

/* "link" is a symbolic link to it. */
#define REAL "real"

static const char *directory;
static FILE *given, *resolved;

/* What a call was made with.  Names are relative to the directory. */
struct made {
    const char *code, *call;
    const char *name, *destination;
    bool is_text;  /* destination is the text of a symbolic link */
    bool is_given; /* no engine resolves its path */
    bool has_mode;
    int mode;
};

static void put_name(FILE *out, const char *key, const char *name, bool resolves)
{
    const char *rest = strncmp(name, "link/", 5) == 0 && resolves ? name + 4 : NULL;

    fprintf(out, ",\"%s\":\"%s/%s%s\"", key, directory, rest != NULL ? REAL : "",
            rest != NULL ? rest : name);
}

static void put_error(FILE *out, int error)
{
    fprintf(out, ",\"errno\":\"%s\"", strerrorname_np(error));
}

static void put(FILE *out, const struct made *made, int error, bool resolves)
{
    resolves = resolves && error == 0 && !made->is_given;
    fprintf(out, "{\"codigo\":\"%s\"", error != 0 ? "fail" : made->code);
    put_name(out, "fichero", made->name, resolves);
    if (error == 0 && made->has_mode)
        fprintf(out, ",\"modo\":\"0%03o\"", (unsigned int)made->mode);
    if (error != 0)
        put_error(out, error);
    if (made->is_text)
        fprintf(out, ",\"destino\":\"%s\"", made->destination);
    else if (made->destination != NULL)
        put_name(out, "destino", made->destination, resolves);
    if (error != 0)
        fprintf(out, ",\"llamada\":\"%s\"", made->call);
    fputs("}\n", out);
}

static void journal(long result, struct made made)
{
    int error = result < 0 ? errno : 0;

    put(given, &made, error, false);
    put(resolved, &made, error, true);
}

/* Each is called by its own number.  MADE(chmod, CHMOD...): see struct made. */
#define MADE(call_name, record, ...)                                                               \
    (struct made)                                                                                  \
    {                                                                                              \
        .code = #record, .call = #call_name, __VA_ARGS__                                           \
    }
#define NAME(path) .name = (path)
#define TO(path) .destination = (path)
#define TEXT(text) .destination = (text), .is_text = true
#define MODE(bits) .mode = (bits), .has_mode = true
#define GIVEN .is_given = true
#define CALL(call_name, ...) syscall(SYS_##call_name, __VA_ARGS__)

static int open_or_die(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC);

    if (fd < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

/* ---- Names ----------------------------------------------------------------------------------- */

#ifdef SYS_rename
static void change_names_of_cwd(void)
{
    journal(CALL(mkdir, "link/d", 0750), MADE(mkdir, mkdir, NAME("link/d"), MODE(0750)));
    journal(CALL(mkdir, "link/d", 0750), MADE(mkdir, mkdir, NAME("link/d")));
    journal(CALL(mknod, "link/f", S_IFREG | 0640, 0),
            MADE(mknod, mknod, NAME("link/f"), MODE(0640)));
    journal(CALL(link, "link/f", "link/g"), MADE(link, link, NAME("link/f"), TO("link/g")));
    journal(CALL(symlink, "../x", "link/s"), MADE(symlink, symlink, NAME("link/s"), TEXT("../x")));
    journal(CALL(rename, "link/g", "link/d/g"),
            MADE(rename, rename, NAME("link/g"), TO("link/d/g")));
    journal(CALL(rename, "link/none", "link/x"),
            MADE(rename, rename, NAME("link/none"), TO("link/x")));
    journal(CALL(unlink, "link/d/g"), MADE(unlink, unlink, NAME("link/d/g")));
    journal(CALL(unlink, "link/s"), MADE(unlink, unlink, NAME("link/s")));
    journal(CALL(unlink, "link/none"), MADE(unlink, unlink, NAME("link/none")));
    journal(CALL(rmdir, "link"), MADE(rmdir, rmdir, NAME("link")));
    journal(CALL(rmdir, "link/d"), MADE(rmdir, rmdir, NAME("link/d")));
    journal(CALL(unlink, "link/f"), MADE(unlink, unlink, NAME("link/f")));
}
#else
static void change_names_of_cwd(void)
{
}
#endif

static void change_names_at(int real)
{
    int fd;

    journal(CALL(mkdirat, AT_FDCWD, "link/d", 0700),
            MADE(mkdirat, mkdir, NAME("link/d"), MODE(0700)));
    journal(CALL(mknodat, real, "f", S_IFREG | 0600, 0),
            MADE(mknodat, mknod, NAME(REAL "/f"), MODE(0600)));
    journal(CALL(mknodat, real, "p", S_IFIFO | 0600, 0),
            MADE(mknodat, mknod, NAME(REAL "/p"), MODE(0600)));
    journal(CALL(linkat, real, "f", AT_FDCWD, "link/g", 0),
            MADE(linkat, link, NAME(REAL "/f"), TO("link/g")));
    fd = open_or_die("link/f", O_RDONLY);
    journal(CALL(linkat, fd, "", real, "h", AT_EMPTY_PATH),
            MADE(linkat, link, NAME(REAL "/f"), TO(REAL "/h")));
    close(fd);
    journal(CALL(symlinkat, "/absolute", real, "s"),
            MADE(symlinkat, symlink, NAME(REAL "/s"), TEXT("/absolute")));
#ifdef SYS_renameat
    journal(CALL(renameat, real, "g", AT_FDCWD, "link/d/g"),
            MADE(renameat, rename, NAME(REAL "/g"), TO("link/d/g")));
    journal(CALL(renameat, AT_FDCWD, "link/d/g", real, "g"),
            MADE(renameat, rename, NAME("link/d/g"), TO(REAL "/g")));
#endif
    journal(CALL(renameat2, real, "p", real, "f", NOREPLACE),
            MADE(renameat2, rename, NAME(REAL "/p"), TO(REAL "/f")));
    journal(CALL(renameat2, real, "p", AT_FDCWD, "link/d", EXCHANGE),
            MADE(renameat2, rename, NAME(REAL "/p"), TO("link/d")));
    journal(CALL(renameat2, real, "p", real, "d", EXCHANGE),
            MADE(renameat2, rename, NAME(REAL "/p"), TO(REAL "/d")));
    journal(CALL(unlinkat, real, "h", 0), MADE(unlinkat, unlink, NAME(REAL "/h")));
    journal(CALL(unlinkat, real, "d", 0), MADE(unlinkat, unlink, NAME(REAL "/d")));
    journal(CALL(unlinkat, AT_FDCWD, "link/s", 0), MADE(unlinkat, unlink, NAME("link/s")));
    journal(CALL(unlinkat, real, "d", AT_REMOVEDIR), MADE(unlinkat, rmdir, NAME(REAL "/d")));
    journal(CALL(unlinkat, real, "p", 0), MADE(unlinkat, unlink, NAME(REAL "/p")));
}

/* ---- Attributes ------------------------------------------------------------------------------ */

#define XATTR "trusted.filemon"

#ifdef SYS_chmod
static void set_attributes_of_cwd(void)
{
    journal(CALL(chmod, "link/f", 0604), MADE(chmod, chmod, NAME("link/f"), MODE(0604)));
    journal(CALL(chmod, "link/none", 0604), MADE(chmod, chmod, NAME("link/none")));
    journal(CALL(chown, "link/f", 1, 1), MADE(chown, chown, NAME("link/f")));
    journal(CALL(lchown, "link/f", 0, 0), MADE(lchown, chown, NAME("link/f")));
    journal(CALL(utime, "link/f", NULL), MADE(utime, utimes, NAME("link/f")));
    journal(CALL(utimes, "link/f", NULL), MADE(utimes, utimes, NAME("link/f")));
    journal(CALL(futimesat, AT_FDCWD, "link/f", NULL), MADE(futimesat, utimes, NAME("link/f")));
}
#else
static void set_attributes_of_cwd(void)
{
}
#endif

/* Since Linux 6.6. */
static bool has_fchmodat2(void)
{
    unsigned int major = 0, minor = 0;
    struct utsname kernel;

    uname(&kernel);
    sscanf(kernel.release, "%u.%u", &major, &minor);
    return major > 6 || (major == 6 && minor >= 6);
}

static void set_attributes_at(int real)
{
    journal(CALL(fchmodat, real, "f", 0600), MADE(fchmodat, chmod, NAME(REAL "/f"), MODE(0600)));
    if (has_fchmodat2())
        journal(CALL(fchmodat2, AT_FDCWD, "link/f", 0644, 0),
                MADE(fchmodat2, chmod, NAME("link/f"), MODE(0644)));
    journal(CALL(fchownat, real, "f", 1, 1, 0), MADE(fchownat, chown, NAME(REAL "/f")));
    journal(CALL(utimensat, real, "f", NULL, 0), MADE(utimensat, utimes, NAME(REAL "/f")));
    journal(CALL(utimensat, AT_FDCWD, "link/none", NULL, 0),
            MADE(utimensat, utimes, NAME("link/none")));
    journal(CALL(truncate, "link/f", 10), MADE(truncate, truncate, NAME("link/f")));
    journal(CALL(setxattr, "link/f", XATTR, "1", 1, 0),
            MADE(setxattr, setxattr, NAME("link/f"), GIVEN));
    journal(CALL(lsetxattr, "link/f", XATTR, "2", 1, 0),
            MADE(lsetxattr, setxattr, NAME("link/f"), GIVEN));
    journal(CALL(removexattr, "link/f", XATTR), MADE(removexattr, setxattr, NAME("link/f"), GIVEN));
    journal(CALL(lremovexattr, "link/f", XATTR),
            MADE(lremovexattr, setxattr, NAME("link/f"), GIVEN));
}

static void set_attributes_of_descriptor(int fd)
{
    journal(CALL(fchmod, fd, 0640), MADE(fchmod, chmod, NAME(REAL "/f"), MODE(0640)));
    journal(CALL(fchown, fd, 0, 0), MADE(fchown, chown, NAME(REAL "/f")));
    journal(CALL(fchownat, fd, "", 0, 0, AT_EMPTY_PATH), MADE(fchownat, chown, NAME(REAL "/f")));
    journal(CALL(utimensat, fd, NULL, NULL, 0), MADE(utimensat, utimes, NAME(REAL "/f")));
    journal(CALL(ftruncate, fd, 5), MADE(ftruncate, truncate, NAME(REAL "/f")));
    journal(CALL(fsetxattr, fd, XATTR, "1", 1, 0), MADE(fsetxattr, setxattr, NAME(REAL "/f")));
    journal(CALL(fremovexattr, fd, XATTR), MADE(fremovexattr, setxattr, NAME(REAL "/f")));
    journal(CALL(fremovexattr, fd, XATTR), MADE(fremovexattr, setxattr, NAME(REAL "/f")));
}

#ifdef SYS_truncate64
/* Calls of 32-bit programs. */
static void set_attributes_of_32_bits(int fd)
{
    journal(CALL(chown32, "link/f", 1, 1), MADE(chown32, chown, NAME("link/f")));
    journal(CALL(lchown32, "link/f", 0, 0), MADE(lchown32, chown, NAME("link/f")));
    journal(CALL(fchown32, fd, 1, 1), MADE(fchown32, chown, NAME(REAL "/f")));
    journal(CALL(truncate64, "link/f", 20, 0), MADE(truncate64, truncate, NAME("link/f")));
    journal(CALL(ftruncate64, fd, 30, 0), MADE(ftruncate64, truncate, NAME(REAL "/f")));
    journal(CALL(utimensat_time64, fd, NULL, NULL, 0),
            MADE(utimensat_time64, utimes, NAME(REAL "/f")));
}
#else
static void set_attributes_of_32_bits(int fd)
{
    (void)fd;
}
#endif

/* ---- All ------------------------------------------------------------------------------------- */

static FILE *open_journal(const char *name, const char *suffix)
{
    char file[4096];
    FILE *stream;

    snprintf(file, sizeof(file), "%s.%s", name, suffix);
    stream = fopen(file, "we");
    if (stream == NULL) {
        perror(file);
        exit(1);
    }
    return stream;
}

int main(int argc, char **argv)
{
    int real, fd;

    if (argc != 3 || chdir(argv[1]) != 0) {
        fputs("usage: changes DIRECTORY JOURNAL\n", stderr);
        return 2;
    }
    directory = argv[1];
    given = open_journal(argv[2], "given");
    resolved = open_journal(argv[2], "resolved");
    umask(0);
    journal(CALL(mkdirat, AT_FDCWD, REAL, 0755), MADE(mkdirat, mkdir, NAME(REAL), MODE(0755)));
    journal(CALL(symlinkat, REAL, AT_FDCWD, "link"),
            MADE(symlinkat, symlink, NAME("link"), TEXT(REAL)));
    real = open_or_die("link", O_PATH | O_DIRECTORY);
    change_names_of_cwd();
    change_names_at(real);
    fd = open_or_die(REAL "/f", O_RDWR);
    set_attributes_of_cwd();
    set_attributes_at(real);
    set_attributes_of_descriptor(fd);
    set_attributes_of_32_bits(fd);
    return fclose(given) != 0 || fclose(resolved) != 0;
}
