/* store/directory.c: see directory.h. Owns the rules on who may own and write the state directory, and the
 * lock that keeps a second daemon out. It never opens the store's file while SQLite has it: closing any
 * descriptor of it would drop SQLite's locks (fcntl(2)). */
#include "store/directory.h"

#include "base/clock.h"
#include "base/error.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE "sandboxd.lock"
enum { LOCK_PATIENCE_MS = 2000, LOCK_PAUSE_MS = 5 };

#define refuse(err, ...) error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED, __VA_ARGS__)

bool directory_is_full(int saved_errno)
{
    return saved_errno == ENOSPC || saved_errno == EDQUOT;
}

bool directory_takes_no_file(const char *path)
{
    char *probe = NULL;
    if (asprintf(&probe, "%s.XXXXXX", path) < 0)
        abort();
    int fd = mkostemp(probe, O_CLOEXEC), number = errno;
    if (fd >= 0) {
        unlink(probe);
        close(fd);
    }
    free(probe);
    return fd < 0 && directory_is_full(number);
}

/* What to do about the failure of a system call, in words. */
static int refuse_errno(struct sbx_error *err, int number, const char *what, const char *path)
{
    const char *advice = "";
    if (directory_is_full(number))
        advice = ": free some, then start again";
    else if (number == EROFS)
        advice = ": set state_dir to a directory that can be written to";
    else if (number == EACCES || number == EPERM)
        advice = ": give it to the user that sandboxd runs as, or set another state_dir";
    return refuse(err, "%s %s: %s%s", what, path, strerrordesc_np(number), advice);
}

/* The directory above, so that a directory just made survives a loss of power. */
static void sync_above(const char *path)
{
    char above[4096];
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) : 0;
    snprintf(above, sizeof above, "%.*s", len ? len : 1, len ? path : slash ? "/" : ".");
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* it may be closed to us; the directory itself is there */
    fsync(fd);
    close(fd);
}

static int make(const char *path, struct sbx_error *err)
{
    if (mkdir(path, 0700) == 0) {
        sync_above(path);
        return 0;
    }
    int number = errno;
    if (number == EEXIST)
        return 0;
    if (number == ENOENT)
        return refuse(
            err,
            "the state directory %s can't be made: the directory above it does not exist; make that, "
            "or set another state_dir",
            path);
    return refuse_errno(err, number, "can't make the state directory", path);
}

static int check(int fd, const char *path, struct sbx_error *err)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return refuse_errno(err, errno, "can't look at the state directory", path);
    if (info.st_uid != geteuid())
        return refuse(
            err,
            "the state directory %s belongs to user %u, but sandboxd runs as user %u: chown it, or set "
            "another state_dir",
            path, info.st_uid, geteuid());
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return refuse(err, "the state directory %s can be written to by others (mode %04o): chmod 0700 it",
                      path, info.st_mode & 07777);
    return 0;
}

static int open_directory(const char *path, struct sbx_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (fd >= 0)
        return fd;
    int number = errno;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        return refuse(err, "the state directory %s is a symbolic link: set state_dir to what it points to",
                      path);
    if (number == ENOTDIR)
        return refuse(err, "%s is not a directory: move it away, or set another state_dir", path);
    return refuse_errno(err, number, "can't open the state directory", path);
}

/* The other's number stands in the lock file; 0 when it can't be read. */
static long holder(int fd)
{
    char text[32] = "";
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    return len > 0 ? strtol(text, NULL, 10) : 0;
}

/* A daemon that is killed while it starts a child leaves that child with the lock, until it has begun its program
 * (vfork(2)): on a busy machine for a moment after the daemon's own end. */
static int lock_patiently(int fd)
{
    uint64_t until = clock_ms() + LOCK_PATIENCE_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_ms() >= until)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
    }
    return 0;
}

/* Holds nothing but the lock: never removed, since another may have opened it meanwhile. */
static int take_lock(int dir, const char *path, struct sbx_error *err)
{
    int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse_errno(err, errno, "can't make " LOCK_FILE " in", path);
    if (lock_patiently(fd) < 0) {
        int number = errno;
        if (number == EWOULDBLOCK)
            error_set(
                err, SBX_ERR_CONFLICT, STORE_FAILED,
                "the state directory %s is in use by another sandboxd (process %ld): stop that one, or set "
                "another state_dir",
                path, holder(fd));
        else
            refuse_errno(err, number, "can't lock", path);
        close(fd);
        return -1;
    }
    /* Only for the sentence above: a full disk is no reason to fail. */
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%ld\n", (long)getpid());
    return fd;
}

/* SQLite gives its other files the mode of this one. */
static int make_file(int dir, const char *path, struct sbx_error *err)
{
    int fd = openat(dir, STORE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EISDIR || errno == ELOOP))
        return refuse(err, "%s/" STORE_FILE " is not a file: move it away", path);
    if (fd < 0)
        return refuse_errno(err, errno, "can't open " STORE_FILE " in", path);
    struct stat info;
    int result = 0;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        result = refuse(err, "%s/" STORE_FILE " is not a file: move it away", path);
    else if (info.st_uid != geteuid() || fchmod(fd, 0600) < 0)
        result = refuse(err, "%s/" STORE_FILE " belongs to user %u, but sandboxd runs as user %u: chown it",
                        path, info.st_uid, geteuid());
    close(fd);
    /* The log of a daemon that was killed. */
    if (result == 0 && fchmodat(dir, STORE_FILE "-wal", 0600, 0) < 0 && errno != ENOENT)
        result = refuse_errno(err, errno, "can't close " STORE_FILE "-wal to others in", path);
    fsync(dir);
    return result;
}

int directory_open(const char *path, struct sbx_error *err)
{
    if (make(path, err))
        return -1;
    int dir = open_directory(path, err);
    if (dir < 0)
        return -1;
    int lock = check(dir, path, err) ? -1 : take_lock(dir, path, err);
    if (lock >= 0 && make_file(dir, path, err)) {
        close(lock);
        lock = -1;
    }
    close(dir);
    return lock;
}
