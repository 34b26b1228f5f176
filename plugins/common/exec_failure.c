/* exec_failure.c: see exec_failure.h. Pure. */
#include "common/exec_failure.h"

#include <string.h>

const char *exec_failure_hint(const char *words)
{
    /* What looked for the file, by its path or in $PATH, did not come to its interpreter. */
    if (!strcasestr(words, "no such file or directory") || strstr(words, "stat /") ||
        strstr(words, "in $PATH"))
        return "";
    return ": it " EXEC_MISSING;
}
