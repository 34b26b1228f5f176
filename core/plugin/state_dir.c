/* plugin/state_dir.c: see state_dir.h. Owns nothing; removes nothing. */
#include "plugin/state_dir.h"

#include "base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static int make_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST || stat(path, &info) < 0)
        return -1;
    errno = ENOTDIR;
    return S_ISDIR(info.st_mode) ? 0 : -1;
}

char *state_dir_make(const char *state_dir, const char *name)
{
    char absolute[PATH_BYTES];
    if (make_folder(state_dir) < 0 || !realpath(state_dir, absolute))
        return NULL;
    struct buffer path = buffer_init(PATH_BYTES);
    buffer_add_format(&path, "%s/backends", absolute);
    int result = make_folder(buffer_text(&path));
    buffer_add_format(&path, "/%s", name);
    if (path.failed)
        errno = ENAMETOOLONG;
    else if (result == 0 && make_folder(path.data) == 0)
        return buffer_take(&path);
    int number = errno;
    buffer_finish(&path);
    errno = number;
    return NULL;
}
