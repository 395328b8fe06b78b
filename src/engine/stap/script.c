/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/script.h"

/* The assembler reads the file as it is, from where headers are looked for; both compilers' have
 * .incbin. */
__asm__(
    ".pushsection .rodata\n"
    ".global script_text\n"
    "script_text:\n"
    ".incbin \"monitorFicheros.stp\"\n"
    ".byte 0\n"
    ".popsection\n");
