/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stap/script.h"

/* The assembler searches the include path for the file, and copies it unchanged.  The assemblers of
 * gcc and clang both have .incbin. */
__asm__(
    ".pushsection .rodata\n"
    ".global script_text\n"
    "script_text:\n"
    ".incbin \"monitorFicheros.stp\"\n"
    ".byte 0\n"
    ".popsection\n");
