/* store/ballast.c: see ballast.h. Owns the file.
 *
 * Its size was measured: a deletion writes three pages or so (the promise, a plugin's record, the end of the record), and
 * the log is moved into the file after 4 MiB of them. As that may make the file grow by as much, 8 MiB last for any number of
 * deletions, and 16 MiB leave the same again to others that write to the disk meanwhile. */
#include "store/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SIZE_MAX_BYTES = 16 << 20,
    SHARE = 16,           /* of the file system, where that is small */
    SIZE_MIN = 512 << 10, /* less would hold no slices to speak of */
    SLICES = 16,
    BLOCK = 4096
};

static uint64_t wanted_size(const char *path)
{
    struct statvfs disk;
    if (statvfs(path, &disk))
        return 0;
    uint64_t share = (uint64_t)disk.f_blocks * disk.f_frsize / SHARE;
    if (share > SIZE_MAX_BYTES)
        share = SIZE_MAX_BYTES;
    share -= share % (SLICES * BLOCK);
    return share < SIZE_MIN ? 0 : share;
}

/* The file, which must be ours and no link; -1: there is none, or it is something else. */
static int open_file(const struct ballast *ballast, int flags)
{
    int fd = open(ballast->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
    struct stat info;
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() && info.st_nlink == 1 &&
        fchmod(fd, 0600) == 0)
        return fd;
    close(fd);
    errno = EEXIST;
    return -1;
}

/* A copy of a state may have it with holes, which take up no room. */
static uint64_t size_on_disk(int fd)
{
    struct stat info;
    if (fstat(fd, &info))
        return 0;
    uint64_t blocks = (uint64_t)info.st_blocks * 512, size = (uint64_t)info.st_size;
    return blocks < size ? 0 : size;
}

void ballast_init(struct ballast *ballast, const char *directory)
{
    *ballast = (struct ballast){.size = wanted_size(directory)};
    ballast->slice = ballast->size / SLICES;
    if (asprintf(&ballast->path, "%s/" BALLAST_FILE, directory) < 0)
        abort();
    int fd = open_file(ballast, 0);
    if (fd < 0)
        return;
    ballast->held = size_on_disk(fd);
    close(fd);
}

void ballast_finish(struct ballast *ballast)
{
    free(ballast->path);
    ballast->path = NULL;
}

bool ballast_is_whole(const struct ballast *ballast)
{
    return ballast->held >= ballast->size;
}

uint64_t ballast_room(const struct ballast *ballast)
{
    char folder[4096];
    const char *slash = strrchr(ballast->path, '/');
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - ballast->path), ballast->path);
    struct statvfs disk;
    if (statvfs(folder, &disk))
        return UINT64_MAX;
    return (uint64_t)(geteuid() == 0 ? disk.f_bfree : disk.f_bavail) * disk.f_frsize;
}

bool ballast_fill(struct ballast *ballast)
{
    if (ballast_is_whole(ballast))
        return true;
    uint64_t missing = ballast->size - ballast->held;
    ballast->failure = 0;
    if (ballast_room(ballast) < missing + ballast->size / 2)
        return false;
    int fd = open_file(ballast, O_CREAT);
    if (fd < 0) {
        ballast->failure = errno;
        return false;
    }
    int number = posix_fallocate(fd, 0, (off_t)ballast->size);
    if (number == 0 && fsync(fd) < 0)
        number = errno;
    if (number == 0)
        ballast->held = ballast->size;
    else if (ftruncate(fd, (off_t)ballast->held) < 0) /* what it could not have is given back */
        ballast->held = 0;
    ballast->failure = number;
    close(fd);
    return number == 0;
}

bool ballast_give(struct ballast *ballast)
{
    if (ballast->held == 0)
        return false;
    uint64_t left = ballast->held > ballast->slice && ballast->slice > 0 ? ballast->held - ballast->slice : 0;
    int fd = left ? open_file(ballast, 0) : -1;
    /* A file system that lacks room for names gets one back, too. */
    bool given = fd >= 0 ? ftruncate(fd, (off_t)left) == 0 && fsync(fd) == 0 : unlink(ballast->path) == 0;
    if (fd >= 0)
        close(fd);
    ballast->held = given && fd >= 0 ? left : 0;
    return given;
}
