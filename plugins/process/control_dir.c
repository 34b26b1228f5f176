/* control_dir.c: see control_dir.h. */
#include "control_dir.h"

#include "common/tree.h"
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Held shared between a directory's making and its locking, exclusive while leftovers are looked for. */
#define MAKERS_NAME ".making"

int control_dir_open(int state_dir, const char *sandbox_id)
{
    return openat(state_dir, sandbox_id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_lock(int dir, int flags)
{
    return openat(dir, WIRE_LOCK_NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

int control_dir_lock(int dir)
{
    int fd = open_lock(dir, O_CREAT);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        int error = errno;
        close(fd);
        errno = error == EACCES ? EAGAIN : error;
        return -1;
    }
    return fd;
}

bool control_dir_locked(int dir)
{
    int fd = open_lock(dir, 0);
    if (fd < 0)
        return false;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool locked = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    close(fd);
    return locked;
}

int control_dir_make(int state_dir, const char *sandbox_id, int *lock)
{
    int makers = openat(state_dir, MAKERS_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (makers < 0 || flock(makers, LOCK_SH) != 0) {
        int error = errno;
        if (makers >= 0)
            close(makers);
        errno = error;
        return -1;
    }
    int dir = mkdirat(state_dir, sandbox_id, 0700) == 0 ? control_dir_open(state_dir, sandbox_id) : -1;
    *lock = dir < 0 ? -1 : control_dir_lock(dir);
    int error = errno;
    close(makers);
    if (*lock >= 0)
        return dir;
    if (dir >= 0)
        close(dir);
    errno = error;
    return -1;
}

bool control_dir_read_exit(int dir, uint64_t incarnation, struct wire_status *exit)
{
    int fd = openat(dir, WIRE_EXIT_NAME, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    *exit = (struct wire_status){0};
    ssize_t len = read(fd, exit, sizeof *exit);
    close(fd);
    return len >= (ssize_t)WIRE_STATUS_LEAST && exit->size >= WIRE_STATUS_LEAST &&
           exit->incarnation == incarnation && (exit->phase == WIRE_EXITED || exit->phase == WIRE_FAILED);
}

int control_dir_write_exit(int dir, const struct wire_status *exit)
{
    int fd = openat(dir, WIRE_EXIT_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    bool written = write(fd, exit, sizeof *exit) == (ssize_t)sizeof *exit;
    close(fd);
    return written ? renameat(dir, WIRE_EXIT_NAME ".new", dir, WIRE_EXIT_NAME) : -1;
}

void control_dir_clean(int state_dir)
{
    int makers = openat(state_dir, MAKERS_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int copy = makers >= 0 && flock(makers, LOCK_EX | LOCK_NB) == 0
                   ? openat(state_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                   : -1;
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (!stream && copy >= 0)
        close(copy);
    for (const struct dirent *entry; stream && (entry = readdir(stream));) {
        int dir = entry->d_name[0] == '.' ? -1 : control_dir_open(state_dir, entry->d_name);
        if (dir < 0)
            continue;
        if (faccessat(dir, WIRE_RECORD_NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT &&
            !control_dir_locked(dir))
            (void)tree_remove(state_dir, entry->d_name, NULL);
        close(dir);
    }
    if (stream)
        closedir(stream);
    if (makers >= 0)
        close(makers);
}
