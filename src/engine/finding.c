/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/finding.h"

#include <errno.h>

static void print(FILE *out, const struct finding *finding)
{
    if (finding->mend[0] == '\0')
        fprintf(out, "  ok       %s\n", finding->what);
    else
        fprintf(out, "  missing  %s\n           %s\n", finding->what, finding->mend);
}

int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *lack)
{
    int result = 0;

    for (size_t i = 0; i < n; i++) {
        if (findings[i].what[0] == '\0')
            continue;
        if (out)
            print(out, &findings[i]);
        if (findings[i].mend[0] == '\0' || result != 0)
            continue;
        result = -ENOSYS;
        if (lack)
            *lack = findings[i];
    }
    return result;
}
