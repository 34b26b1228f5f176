/* directory.c: see directory.h. Knows no sandbox. */
#include "directory.h"

#include "common/failure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* ---- the base -------------------------------------------------------------------------------- */

/* Makes the missing parents of a path; that of the last part is left to the caller. */
static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
}

static bool may_pass(const struct stat *status, uid_t uid, gid_t gid)
{
    if (uid == 0)
        return true;
    mode_t needed = status->st_uid == uid ? S_IXUSR : status->st_gid == gid ? S_IXGRP : S_IXOTH;
    return status->st_mode & needed;
}

/* Can that user get to the directory from the root? */
static int check_passage(const char *path, uid_t uid, gid_t gid, struct sbx_error *err)
{
    char part[1200];
    snprintf(part, sizeof part, "%.1150s/", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct stat status;
        *slash = '\0';
        if (stat(part, &status) == 0 && !may_pass(&status, uid, gid))
            return failure_set(
                err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                "base_working_dir: %.200s can't be passed by the user of run_as; give it mode 0711", part);
        *slash = '/';
    }
    return 0;
}

int directory_check_base(const char *path, const struct stat *status, struct sbx_error *err)
{
    if (!S_ISDIR(status->st_mode))
        return failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                           "base_working_dir: %.200s is not a directory, or is a symbolic link", path);
    if (status->st_uid != geteuid())
        return failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                           "base_working_dir: %.200s belongs to another user (uid %u)", path,
                           (unsigned)status->st_uid);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                           "base_working_dir: %.200s may be written to by others; give it mode 0711", path);
    return 0;
}

int directory_open_base(const char *path, uid_t uid, gid_t gid, struct sbx_error *err)
{
    char text[1100];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", path);
    while (len > 1 && len < sizeof text && text[len - 1] == '/')
        text[--len] = '\0'; /* or O_NOFOLLOW would follow */
    make_parents(text);
    bool made = mkdir(text, 0700) == 0;
    int not_made = made ? 0 : errno;
    int fd = open(text, OPEN_DIRECTORY);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return failure_set(err, SBX_ERR_REFUSED, "INVALID_OPTIONS",
                           "base_working_dir: %.200s is not a directory, or is a symbolic link", text);
    if (fd < 0)
        return failure_errno(err, errno == ENOENT ? not_made : errno,
                             "base_working_dir: %.200s can't be opened or made", text);
    if (made)
        (void)fchmod(fd, 0711);
    struct stat status;
    if (fstat(fd, &status) != 0)
        failure_errno(err, errno, "base_working_dir: %.200s", text);
    else if (directory_check_base(text, &status, err) == 0 && check_passage(text, uid, gid, err) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- a sandbox's own ------------------------------------------------------------------------- */

int directory_enter(int fd, const char *inner, bool make, uid_t uid, gid_t gid, struct sbx_error *err)
{
    char part[256];
    for (const char *at = inner ? inner : ""; *at;) {
        size_t len = strcspn(at, "/");
        bool skip = len == 0 || (len == 1 && *at == '.');
        if (len >= sizeof part || (len == 2 && at[0] == '.' && at[1] == '.')) {
            close(fd);
            return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                               "working_dir: %.200s does not stay within the sandbox's directory", inner);
        }
        memcpy(part, at, len);
        part[len] = '\0';
        at += at[len] ? len + 1 : len;
        if (skip)
            continue;
        bool made = make && mkdirat(fd, part, 0700) == 0;
        int next = openat(fd, part, OPEN_DIRECTORY);
        if (next < 0 || (made && fchown(next, uid, gid) != 0)) {
            failure_errno(err, errno, "working_dir: %.200s", inner);
            close(fd);
            if (next >= 0)
                close(next);
            return -1;
        }
        close(fd);
        fd = next;
    }
    return fd;
}

int directory_make(int base, const char *name, const char *inner, uid_t uid, gid_t gid, struct sbx_error *err)
{
    if (mkdirat(base, name, 0700) != 0)
        return failure_errno(err, errno, "the sandbox's directory can't be made");
    int fd = openat(base, name, OPEN_DIRECTORY);
    if (fd < 0 || fchown(fd, uid, gid) != 0) {
        failure_errno(err, errno, "the sandbox's directory can't be made");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return directory_enter(fd, inner, true, uid, gid, err);
}

int directory_open(int base, const char *name, const char *inner, struct sbx_error *err)
{
    int fd = openat(base, name, OPEN_DIRECTORY);
    if (fd < 0)
        return failure_errno(err, errno, "the sandbox's directory can't be opened");
    return directory_enter(fd, inner, false, 0, 0, err);
}
