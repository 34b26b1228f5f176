/* working_dir.c: see working_dir.h. */
#include "working_dir.h"

#include "common/failure.h"

#include <string.h>

enum { PART_MAX = 255 }; /* NAME_MAX of every file system that matters */

static bool stays_inside(const char *path)
{
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (len > PART_MAX || (len == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += at[len] ? len + 1 : len;
    }
    return true;
}

/* What is left of an absolute path below a folder; NULL: it is not in there. */
static const char *below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    while (len > 0 && folder[len - 1] == '/')
        len--;
    if (strncmp(path, folder, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path + len + strspn(path + len, "/");
}

int working_dir_find(struct working_dir *dir, const struct options *options, const char *text,
                     struct sbx_error *err)
{
    *dir = (struct working_dir){.inner = ""};
    if (!text || text[strspn(text, "/")] == '\0')
        return 0;
    if (!stays_inside(text))
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "working_dir: %.200s does not stay within the sandbox's directory", text);
    dir->inner = text;
    if (*text != '/')
        return 0;
    for (uint32_t i = 0; i < options->shared_dirs_len; i++) {
        dir->inner = below(text, options->shared_dirs[i]);
        if (dir->inner) {
            dir->shared = options->shared_dirs[i];
            return 0;
        }
    }
    return failure_set(
        err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
        "working_dir: %.200s is a folder of this host, which all sandboxes would share: make it "
        "relative (\"%.200s\"), which is in the sandbox's own folder, or have the operator allow "
        "it with the option shared_dirs",
        text, text + strspn(text, "/"));
}
