/* paths.c: see paths.h. Owns the one path. */
#include "paths.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *paths_default_plugin_dir(void)
{
    static char path[PATH_MAX + sizeof "/../" SANDBOXD_PLUGIN_SUBDIR];
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len < 0)
        len = 0;
    program[len] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    snprintf(path, sizeof path, "%s/../plugins", program);
    if (access(path, R_OK | X_OK) < 0)
        snprintf(path, sizeof path, "%s/../%s", program, SANDBOXD_PLUGIN_SUBDIR);
    return path;
}
