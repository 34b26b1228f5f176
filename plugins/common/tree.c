/* tree.c: see tree.h. Knows neither sandboxes nor what they are for. */
#include "common/tree.h"

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

/* A directory of ours may have any mode: it is opened by its inode, without following a link, and given
 * the mode that emptying it needs. */
static int open_to_empty(int parent, const char *name)
{
    int fd = openat(parent, name, OPEN_DIRECTORY);
    if (fd < 0 && errno == EACCES) {
        char self[64];
        int path = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (path < 0)
            return -1;
        snprintf(self, sizeof self, "/proc/self/fd/%d", path);
        (void)chmod(self, 0700);
        close(path);
        fd = openat(parent, name, OPEN_DIRECTORY);
    } else if (fd >= 0) {
        (void)fchmod(fd, 0700);
    }
    return fd;
}

/* Removes `name` from `dir`, or moves it to `top` when it is a directory that is not empty: so that no
 * path gets deeper than two and nothing is remembered on the way down. Counts what it did in `done`. */
static int take_out(int dir, int top, const char *name, uint64_t *next_name, uint64_t *done)
{
    if (unlinkat(dir, name, 0) == 0)
        return ++*done, 0;
    if (errno != EISDIR && errno != EPERM)
        return errno == ENOENT ? 0 : -1;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return ++*done, 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return errno == ENOENT ? 0 : -1;
    if (dir == top)
        return 0;
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        char moved[32];
        snprintf(moved, sizeof moved, ".removing-%llu", (unsigned long long)(*next_name)++);
        if (renameat(dir, name, top, moved) == 0)
            return ++*done, 0;
        if (errno == EACCES) { /* its own mode has to let its ".." be changed */
            int fd = open_to_empty(dir, name);
            if (fd < 0)
                return -1;
            close(fd);
        } else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) {
            return errno == ENOENT ? 0 : -1;
        }
    }
    return -1;
}

/* One pass over the entries of `dir`, which is closed. */
static int empty_once(int dir, int top, uint64_t *next_name, uint64_t *done, bool *any)
{
    DIR *stream = fdopendir(dir);
    if (!stream) {
        close(dir);
        return -1;
    }
    int result = 0, error = 0;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *any = true;
        if (take_out(dirfd(stream), top, entry->d_name, next_name, done) != 0) {
            result = -1;
            error = errno;
        }
    }
    closedir(stream);
    errno = error;
    return result;
}

/* One pass over `top`: files go, and each directory in it is emptied, its inner ones coming up here. */
static int empty_top(int top, uint64_t *next_name, uint64_t *done, bool *any)
{
    int again = openat(top, ".", OPEN_DIRECTORY);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    if (!stream) {
        if (again >= 0)
            close(again);
        return -1;
    }
    int result = 0, error = 0;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        *any = true;
        uint64_t before = *done;
        int failed = take_out(top, top, name, next_name, done);
        if (failed == 0 && *done == before) { /* a directory that is not empty */
            bool inside = false;
            int dir = open_to_empty(top, name);
            if (dir >= 0)
                failed = empty_once(dir, top, next_name, done, &inside);
            else
                failed = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
            if (failed == 0)
                failed = take_out(top, top, name, next_name, done);
        }
        if (failed != 0) {
            result = -1;
            error = errno;
        }
    }
    closedir(stream);
    errno = error;
    return result;
}

int tree_remove(int parent, const char *name, struct sbx_error *err)
{
    uint64_t next_name = 0;
    for (unsigned idle = 0; idle < 100;) {
        uint64_t done = 0;
        if (take_out(parent, parent, name, &next_name, &done) != 0)
            return failure_errno(err, errno, "%.200s can't be removed", name);
        if (done > 0 || (faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT))
            return 0;
        int top = open_to_empty(parent, name);
        if (top < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
            idle++;
            continue;
        }
        if (top < 0)
            return failure_errno(err, errno, "%.200s can't be removed", name);
        bool any = false;
        int failed = empty_top(top, &next_name, &done, &any), error = errno;
        close(top);
        if (failed != 0 && done == 0)
            return failure_errno(err, error, "what is in %.200s can't be removed", name);
        if (done == 0)
            idle++;
    }
    return failure_set(err, SBX_ERR_CONFLICT, SBX_CODE_INTERNAL, "%.200s is being filled while it is removed",
                       name);
}
