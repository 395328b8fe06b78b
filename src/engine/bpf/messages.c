/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/bpf/messages.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"

/* The last messages, printed if loading fails: the verifier's verdict is at the end. */
static char messages[1024];

static void keep_message(const char *text)
{
    size_t len = strlen(text), kept = strlen(messages);

    if (len >= sizeof(messages)) {
        text += len - sizeof(messages) + 1;
        len = sizeof(messages) - 1;
    }
    if (kept + len >= sizeof(messages)) {
        size_t gone = kept + len - sizeof(messages) + 1;

        memmove(messages, messages + gone, kept - gone + 1);
        kept -= gone;
    }
    memcpy(messages + kept, text, len + 1);
}

__attribute__((format(printf, 2, 0))) static int print_message(enum libbpf_print_level level,
                                                               const char *format, va_list args)
{
    char *text;

    if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    if (level == LIBBPF_WARN)
        keep_message(text);
    text[strcspn(text, "\n")] = '\0';
    diag(DIAG_VERBOSE, "%s", text);
    free(text);
    return 0;
}

void messages_keep(void)
{
    libbpf_set_print(print_message);
}

void messages_discard(void)
{
    messages[0] = '\0';
}

/* libbpf's words are "libbpf: prog 'on_leave': failed to load: -13". */
const char *messages_refused(void)
{
    static char name[64];
    const char *found = NULL;

    for (const char *at = messages; (at = strstr(at, "prog '")); at++)
        found = at;
    if (!found || sscanf(found, "prog '%63[^']'", name) != 1)
        name[0] = '\0';
    return name;
}

int messages_fail(int error, const char *what)
{
    char *rest = messages;

    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] != '\0')
            diag(DIAG_ERROR, "%s", line);
    messages[0] = '\0';
    diag(DIAG_ERROR, "%s: %s", what, strerror(-error));
    return error;
}
