/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/finding.h"

#include <errno.h>
#include <string.h>

/* Whether the requirement is certainly or perhaps not met. */
static bool is_unmet(const struct finding *finding)
{
    return finding->what[0] && finding->fix[0];
}

static void print(FILE *out, const struct finding *finding)
{
    const char *unmet = finding->doubt ? "doubtful" : "missing";
    const char *mark = is_unmet(finding) ? unmet : "ok";

    fprintf(out, "  %-8s %s\n", mark, finding->what);
    if (is_unmet(finding))
        fprintf(out, "           %s\n", finding->fix);
}

static const struct finding *first_unmet(const struct finding *findings, size_t n, bool doubt)
{
    for (size_t i = 0; i < n; i++)
        if (is_unmet(&findings[i]) && findings[i].doubt == doubt)
            return &findings[i];
    return NULL;
}

int findings_report(const struct finding *findings, size_t n, FILE *out, struct finding *problem)
{
    const struct finding *missing = first_unmet(findings, n, false),
                         *doubt = first_unmet(findings, n, true);

    for (size_t i = 0; out && i < n; i++)
        if (findings[i].what[0])
            print(out, &findings[i]);
    if (problem && (missing || doubt))
        *problem = missing ? *missing : *doubt;
    return missing ? -ENOSYS : doubt ? -EAGAIN : 0;
}

void lockdown_level(const char *path, char level[static LOCKDOWN_LEVEL_SIZE])
{
    FILE *file = fopen(path, "re");
    char line[128] = "";
    const char *bracket = file && fgets(line, sizeof(line), file) ? strchr(line, '[') : NULL;

    if (!bracket || sscanf(bracket, "[%31[a-z]]", level) != 1)
        level[0] = '\0';
    if (file)
        fclose(file);
}
