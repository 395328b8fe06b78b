/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * To be preloaded (ld.so(8)): the allocation by the program's own code with the number SHORTAGE,
 * counted from 1, fails, which is reported on standard error.  Does not affect child processes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uintptr_t first, last; /* of the program's code */
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
    return 1; /* the program comes first */
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
    static const char said[] = "shortage\n";
    uintptr_t at = (uintptr_t)caller;

    if (at < first || at >= last || --countdown != 0)
        return 0;
    errno = ENOMEM;
    return write(STDERR_FILENO, said, sizeof(said) - 1) > 0;
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

/* dlsym() itself calls it. */
extern void *__libc_calloc(size_t n, size_t size);

void *calloc(size_t n, size_t size)
{
    return FAILS ? NULL : __libc_calloc(n, size);
}
