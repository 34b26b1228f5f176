/* overlay.c: the folders of a sandbox's private layers: OVERLAY_BASE/ID/INDEX/{upper,work}; see create.h. The mount
 * itself is made by the engine, from the volume that create.c asks for. Blocks; follows no link below the base.
 */
#include "common/failure.h"
#include "common/tree.h"
#include "operations/create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    NAME_MAX_LEN = 127,
    PATH_SIZE = 1100
};

/* It is a folder's name: nothing that leads elsewhere. */
static bool is_id(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return len > 0 && len <= NAME_MAX_LEN && id[len] == '\0' && *id != '.';
}

static int wrong_id(struct sbx_error *err)
{
    return failure_set(err, SBX_ERR_INVALID, SBX_CODE_INTERNAL, "the sandbox's id is no name of a folder");
}

/* The base, made where it is missing. Whoever can write to it could put a link in the place of a sandbox's folder. */
static int open_base(const char *path, struct sbx_error *err)
{
    char text[PATH_SIZE];
    snprintf(text, sizeof text, "%s/", path);
    for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(text, slash[1] ? 0755 : 0700); /* what fails here is found in the end */
        if (slash[1])
            *slash = '/';
    }
    int fd = open(text, OPEN_DIRECTORY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        failure_errno(err, errno, "overlay_base: %.200s can't be opened or made", text);
    else if (status.st_uid != geteuid())
        failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                    "overlay_base: %.200s belongs to another user (uid %u)", text, (unsigned)status.st_uid);
    else if (status.st_mode & (S_IWGRP | S_IWOTH))
        failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                    "overlay_base: %.200s may be written to by others; give it mode 0700", text);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A new folder, opened. */
static int make(int parent, const char *name, struct sbx_error *err)
{
    int fd = mkdirat(parent, name, 0700) == 0 ? openat(parent, name, OPEN_DIRECTORY) : -1;
    if (fd < 0)
        failure_errno(err, errno, "the folder %.130s for an overlay can't be made", name);
    return fd;
}

/* The top of what a sandbox sees has the owner and the mode of the upper layer: those of the folder below, then. */
static int make_upper(int dir, const char *lower, struct sbx_error *err)
{
    struct stat status;
    if (stat(lower, &status) != 0)
        return failure_errno(err, errno, "the folder %.200s, which an overlay is to be over", lower);
    if (!S_ISDIR(status.st_mode))
        return failure_set(err, SBX_ERR_REFUSED, SBX_CODE_START_FAILED,
                           "%.200s, which an overlay is to be over, is not a folder", lower);
    int fd = make(dir, "upper", err);
    if (fd < 0)
        return -1;
    int result = 0;
    if (fchown(fd, status.st_uid, status.st_gid) != 0 || fchmod(fd, status.st_mode & 07777) != 0)
        result = failure_errno(err, errno, "the upper folder of an overlay can't be given away");
    close(fd);
    return result;
}

static int make_layers(int parent, uint32_t index, const char *lower, struct sbx_error *err)
{
    char name[16];
    snprintf(name, sizeof name, "%u", (unsigned)index);
    int dir = make(parent, name, err);
    if (dir < 0)
        return -1;
    int result = make_upper(dir, lower, err);
    int work = result == 0 ? make(dir, "work", err) : -1;
    if (work >= 0)
        close(work);
    close(dir);
    return work >= 0 ? 0 : -1;
}

int overlay_make(const struct options *options, const char *sandbox_id, struct sbx_error *err)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < options->mounts_len; i++)
        wanted += options->mounts[i].kind == MOUNT_OVERLAY;
    if (wanted == 0)
        return 0;
    if (!is_id(sandbox_id))
        return wrong_id(err);
    int base = open_base(options->overlay_base, err);
    if (base < 0)
        return -1;
    int dir = make(base, sandbox_id, err), result = dir >= 0 ? 0 : -1;
    for (uint32_t i = 0; result == 0 && i < options->mounts_len; i++)
        if (options->mounts[i].kind == MOUNT_OVERLAY)
            result = make_layers(dir, i, options->mounts[i].source, err);
    if (dir >= 0) {
        close(dir);
        if (result != 0)
            (void)tree_remove(base, sandbox_id, NULL); /* why it failed is what the caller wants to know */
    }
    close(base);
    return result;
}

int overlay_remove(const struct options *options, const char *sandbox_id, struct sbx_error *err)
{
    if (!options->overlay_base)
        return 0;
    if (!is_id(sandbox_id))
        return wrong_id(err);
    int base = open(options->overlay_base, OPEN_DIRECTORY);
    if (base < 0 && errno == ENOENT)
        return 0;
    if (base < 0)
        return failure_errno(err, errno, "overlay_base: %.200s can't be opened", options->overlay_base);
    int result = tree_remove(base, sandbox_id, err);
    close(base);
    return result;
}

char *overlay_mount_options(const struct options *options, const char *sandbox_id, uint32_t index)
{
    char *text = NULL;
    const char *base = options->overlay_base;
    int len = asprintf(&text, "lowerdir=%s,upperdir=%s/%s/%u/upper,workdir=%s/%s/%u/work",
                       options->mounts[index].source, base, sandbox_id, (unsigned)index, base, sandbox_id,
                       (unsigned)index);
    if (len < 0)
        abort();
    return text;
}
