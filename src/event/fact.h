/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The facts that engines add to an event only where -F asks for a key that needs them.  Included by
 * the eBPF programs, too, so without other headers; stap/facts.h has the same numbers.
 */
#ifndef FILEMON_FACT_H
#define FILEMON_FACT_H

enum event_fact {
    FACT_USER,       /* the effective user of the thread */
    FACT_MOUNTS,     /* its mount namespace */
    FACT_GROUP,      /* its control group */
    FACT_FILE,       /* device and inode of the file */
    FACT_EXECUTABLE, /* the executable of the process */
    FACT_GIVEN,      /* the name that the program gave the call */
    FACT_ARGUMENTS,  /* the command line of the process */
    FACT_BYTES,      /* what was read and written through a descriptor */
    FACT_RESULT,     /* the error of a close(2) */
};

/* In a set of facts. */
#define FACT(name) (1u << FACT_##name)

/* Facts about the program that a process executes, which records have by its number. */
#define FACTS_OF_PROGRAM (FACT(EXECUTABLE) | FACT(ARGUMENTS))

/* The longest command line that is not cut. */
#define ARGUMENTS_BYTES 4096

#endif
