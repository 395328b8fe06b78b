/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library for LD_PRELOAD (ld.so(8)).  Counts the allocations that the program's own code makes,
 * lets number $SHORTAGE of them (from 1) fail, and then prints "shortage" on standard error.  Child
 * processes are not affected.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uintptr_t first, last; /* address range of the program's code */
static long countdown;

static int find_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            last = first + info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* stop: the program is the first object */
}

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("SHORTAGE");

    dl_iterate_phdr(find_program, NULL);
    unsetenv("LD_PRELOAD");
    countdown = number ? strtol(number, NULL, 10) : 0;
}

static int fails(const void *caller)
{
    static const char message[] = "shortage\n";
    uintptr_t at = (uintptr_t)caller;

    if (at < first || at >= last || --countdown != 0)
        return 0;
    errno = ENOMEM;
    return write(STDERR_FILENO, message, sizeof(message) - 1) > 0;
}

#define FAILS fails(__builtin_return_address(0))
#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

void *malloc(size_t size)
{
    return FAILS ? NULL : NEXT(malloc)(size);
}

void *realloc(void *old, size_t size)
{
    return FAILS ? NULL : NEXT(realloc)(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
    return FAILS ? NULL : NEXT(reallocarray)(old, n, size);
}

char *strdup(const char *text)
{
    return FAILS ? NULL : NEXT(strdup)(text);
}

char *strndup(const char *text, size_t size)
{
    return FAILS ? NULL : NEXT(strndup)(text, size);
}

/* dlsym() calls calloc(), so calloc() cannot use it. */
extern void *__libc_calloc(size_t n, size_t size);

void *calloc(size_t n, size_t size)
{
    return FAILS ? NULL : __libc_calloc(n, size);
}
