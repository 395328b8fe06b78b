/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libbpf's messages.  Nobody needs them while an attempt may fail and another one follows: the last
 * ones are kept, and printed when starting fails for good.
 */
#ifndef FILEMON_BPF_MESSAGES_H
#define FILEMON_BPF_MESSAGES_H

/* From now on, keeps the warnings of libbpf.  With -v each of them is printed at once, too. */
void messages_keep(void);

/* Forgets the messages of an attempt that failed. */
void messages_discard(void);

/* The name of the last program of which libbpf has said that the kernel refused it; "" if that was
 * none.  Valid until the next call. */
const char *messages_refused(void);

/*
 * Prints and forgets the kept messages, and then "WHAT: ERROR".  error is a -errno, and is
 * returned.
 */
int messages_fail(int error, const char *what);

#endif
