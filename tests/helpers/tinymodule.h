/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As little as a kernel module's file can have: an ELF object that says which kernel it is for. */
#ifndef FILEMON_TESTS_TINYMODULE_H
#define FILEMON_TESTS_TINYMODULE_H

#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct tinymodule {
    Elf64_Ehdr header;
    char info[256], names[24];
    Elf64_Shdr sections[3];
};

static inline void tinymodule_make(struct tinymodule *module, const char *release)
{
    static const char names[] = "\0.modinfo\0.shstrtab";
    size_t used;

    memset(module, 0, sizeof(*module));
    module->header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
        .e_type = ET_REL,
        .e_shoff = offsetof(struct tinymodule, sections),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 3,
        .e_shstrndx = 2,
    };
    used = (size_t)snprintf(module->info, sizeof(module->info),
                            "license=GPL%cvermagic=%s SMP mod_unload ", '\0', release) +
           1;
    memcpy(module->names, names, sizeof(names));
    module->sections[1] = (Elf64_Shdr){.sh_name = 1,
                                       .sh_type = SHT_PROGBITS,
                                       .sh_offset = offsetof(struct tinymodule, info),
                                       .sh_size = used};
    module->sections[2] = (Elf64_Shdr){.sh_name = 10,
                                       .sh_type = SHT_STRTAB,
                                       .sh_offset = offsetof(struct tinymodule, names),
                                       .sh_size = sizeof(names)};
}

#endif
