/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/modinfo.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (64 << 20) /* our module has a quarter of a megabyte */

struct elf {
    const unsigned char *bytes;
    size_t size;
    bool is_64;
    uint64_t table; /* offset of the section table */
    size_t entry;   /* size of one of its entries */
    size_t n_sections;
    size_t names; /* index of the section with the names of sections */
};

struct section {
    uint32_t name, type;
    uint64_t offset, size;
};

static bool lies_within(const struct elf *elf, uint64_t offset, uint64_t size)
{
    return offset <= elf->size && size <= elf->size - offset;
}

/* Copies the header, since structures in the file may not be aligned. */
#define READ_HEADER(elf, bits)                                                                     \
    do {                                                                                           \
        Elf##bits##_Ehdr header;                                                                   \
        if (!lies_within(elf, 0, sizeof(header)))                                                  \
            return false;                                                                          \
        memcpy(&header, (elf)->bytes, sizeof(header));                                             \
        (elf)->table = header.e_shoff;                                                             \
        (elf)->entry = header.e_shentsize;                                                         \
        (elf)->n_sections = header.e_shnum;                                                        \
        (elf)->names = header.e_shstrndx;                                                          \
        is_relocatable = header.e_type == ET_REL &&                                                \
                         header.e_shentsize == sizeof(Elf##bits##_Shdr);                           \
    } while (0)

static bool read_header(struct elf *elf)
{
    bool is_relocatable;

    if (!lies_within(elf, 0, EI_NIDENT) || memcmp(elf->bytes, ELFMAG, SELFMAG) != 0)
        return false;
    elf->is_64 = elf->bytes[EI_CLASS] == ELFCLASS64;
    if (elf->is_64)
        READ_HEADER(elf, 64);
    else
        READ_HEADER(elf, 32);
    return is_relocatable && elf->table != 0 && elf->names < elf->n_sections;
}

#define READ_SECTION(elf, i, to, bits)                                                             \
    do {                                                                                           \
        Elf##bits##_Shdr header;                                                                   \
        memcpy(&header, (elf)->bytes + (elf)->table + (i) * sizeof(header), sizeof(header));       \
        *(to) = (struct section){header.sh_name, header.sh_type, header.sh_offset,                 \
                                 header.sh_size};                                                  \
    } while (0)

/* is_whole() has checked that the table lies within the file. */
static struct section section_at(const struct elf *elf, size_t i)
{
    struct section section;

    if (elf->is_64)
        READ_SECTION(elf, i, &section, 64);
    else
        READ_SECTION(elf, i, &section, 32);
    return section;
}

/* Linkers write the section table last, so a truncated file has no complete table. */
static bool is_whole(const struct elf *elf)
{
    if (!lies_within(elf, elf->table, (uint64_t)elf->n_sections * elf->entry))
        return false;
    for (size_t i = 0; i < elf->n_sections; i++) {
        struct section section = section_at(elf, i);

        if (section.type != SHT_NOBITS && section.type != SHT_NULL &&
            !lies_within(elf, section.offset, section.size))
            return false;
    }
    return true;
}

static bool is_called(const struct elf *elf, const struct section *section, const char *name)
{
    struct section names = section_at(elf, elf->names);
    size_t size = strlen(name) + 1;

    return names.type != SHT_NOBITS && section->name <= names.size &&
           size <= names.size - section->name &&
           memcmp(elf->bytes + names.offset + section->name, name, size) == 0;
}

static bool find_section(const struct elf *elf, const char *name, struct section *section)
{
    for (size_t i = 1; i < elf->n_sections; i++) {
        *section = section_at(elf, i);
        if (section->type != SHT_NOBITS && is_called(elf, section, name))
            return true;
    }
    return false;
}

/* Section .modinfo contains NUL-terminated strings "key=value".  Returns the length of the value;
 * 0: not found. */
static size_t find_value(const struct elf *elf, const char *key, const char **value)
{
    struct section section;
    size_t key_len = strlen(key), len;
    const char *at, *end;

    if (!find_section(elf, ".modinfo", &section))
        return 0;
    at = (const char *)elf->bytes + section.offset;
    end = at + section.size;
    for (; at < end; at += len + 1) {
        len = strnlen(at, (size_t)(end - at));
        if (len > key_len && at[key_len] == '=' && memcmp(at, key, key_len) == 0) {
            *value = at + key_len + 1;
            return len - key_len - 1;
        }
    }
    return 0;
}

int modinfo_check_bytes(const unsigned char *bytes, size_t size, const char *release,
                        char fault[static MODINFO_FAULT_SIZE])
{
    struct elf elf = {.bytes = bytes, .size = size};
    const char *magic = NULL;
    size_t len, word;

    fault[0] = '\0';
    if (size == 0)
        snprintf(fault, MODINFO_FAULT_SIZE, "is empty");
    else if (!read_header(&elf))
        snprintf(fault, MODINFO_FAULT_SIZE, "is no kernel module");
    else if (!is_whole(&elf))
        snprintf(fault, MODINFO_FAULT_SIZE, "is truncated");
    if (fault[0])
        return -ENOEXEC;
    len = find_value(&elf, "vermagic", &magic);
    for (word = 0; word < len && magic[word] != ' ';)
        word++;
    if (len == 0)
        snprintf(fault, MODINFO_FAULT_SIZE, "is no kernel module");
    else if (word != strlen(release) || memcmp(magic, release, word) != 0)
        snprintf(fault, MODINFO_FAULT_SIZE, "is for kernel %.*s", (int)(word < 64 ? word : 64),
                 magic);
    return fault[0] ? -ENOEXEC : 0;
}

static int read_whole(int fd, unsigned char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, bytes + done, size - done, (off_t)done);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int modinfo_check(int fd, const char *release, char fault[static MODINFO_FAULT_SIZE])
{
    unsigned char *bytes;
    struct stat st;
    int result;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > SIZE_MAX_BYTES) {
        snprintf(fault, MODINFO_FAULT_SIZE, "is no kernel module");
        return -ENOEXEC;
    }
    bytes = malloc((size_t)st.st_size + 1);
    if (!bytes)
        return -ENOMEM;
    bytes[st.st_size] = '\0';
    result = read_whole(fd, bytes, (size_t)st.st_size);
    if (result == 0)
        result = modinfo_check_bytes(bytes, (size_t)st.st_size, release, fault);
    free(bytes);
    return result;
}
