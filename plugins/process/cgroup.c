/* cgroup.c: see cgroup.h. Holds no state; knows no sandbox. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int open_in(const char *dir, const char *file, int flags)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", dir, file);
    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW);
}

int cgroup_write(const char *dir, const char *file, const char *text)
{
    int fd = open_in(dir, file, O_WRONLY);
    if (fd < 0)
        return -1;
    size_t len = strlen(text);
    ssize_t written = write(fd, text, len);
    int error = errno;
    close(fd);
    errno = error;
    return written == (ssize_t)len ? 0 : -1;
}

/* The number after `key` at the start of a line of a file such as memory.events; -1: not there. */
static long read_key(const char *dir, const char *file, const char *key)
{
    int fd = open_in(dir, file, O_RDONLY);
    if (fd < 0)
        return -1;
    char text[1024];
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return -1;
    text[len] = '\0';
    size_t key_len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, key, key_len) == 0 && line[key_len] == ' ')
            return strtol(line + key_len + 1, NULL, 10);
    }
    return -1;
}

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static int write_freeze(const char *dir, unsigned version, bool freeze)
{
    if (version == 1)
        return cgroup_write(dir, "freezer.state", freeze ? "FROZEN" : "THAWED");
    return cgroup_write(dir, "cgroup.freeze", freeze ? "1" : "0");
}

/* 1: all of it stands still. 0: not yet, or not any more. -1: it can't be read. */
static long read_frozen(const char *dir, unsigned version)
{
    if (version == 2)
        return read_key(dir, "cgroup.events", "frozen");
    char text[32] = "";
    int fd = open_in(dir, "freezer.state", O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    return len <= 0 ? -1 : strcmp(text, "FROZEN\n") == 0;
}

int cgroup_freeze(const char *dir, unsigned version, bool freeze, unsigned timeout_ms)
{
    if (write_freeze(dir, version, freeze) != 0)
        return -1;
    long waited_us = 0;
    for (long step = 50;; step = step < 2000 ? step * 2 : step) {
        long frozen = read_frozen(dir, version);
        if (frozen == (freeze ? 1 : 0))
            return 0;
        if (frozen < 0)
            break;
        if (waited_us >= (long)timeout_ms * 1000) {
            errno = ETIMEDOUT;
            break;
        }
        pause_us(step);
        waited_us += step;
    }
    int error = errno;
    if (freeze) /* who takes another way then must not be met by half a freeze */
        (void)write_freeze(dir, version, false);
    errno = error;
    return -1;
}

/* Frozen, none of them can fork, and no pid in there is used anew. The signal ends them when they are set free. */
static int kill_frozen(const char *dir)
{
    int error = cgroup_freeze(dir, 1, true, 20) == 0 ? 0 : errno;
    int fd = error == 0 ? open_in(dir, "cgroup.procs", O_RDONLY) : -1;
    FILE *pids = fd >= 0 ? fdopen(fd, "r") : NULL;
    int pid;
    while (pids && fscanf(pids, "%d", &pid) == 1)
        if (pid > 1 && pid != getpid())
            (void)kill(pid, SIGKILL);
    if (pids)
        fclose(pids);
    else if (fd >= 0)
        close(fd);
    if (write_freeze(dir, 1, false) != 0 && error == 0)
        error = errno;
    errno = error;
    return error == 0 && pids ? 0 : -1;
}

int cgroup_kill(const char *dir, unsigned version)
{
    return version == 1 ? kill_frozen(dir) : cgroup_write(dir, "cgroup.kill", "1");
}

long cgroup_memory_kills(const char *dir)
{
    long kills = read_key(dir, "memory.events", "oom_kill");
    if (kills < 0)
        kills = read_key(dir, "memory.oom_control", "oom_kill");
    return kills < 0 ? 0 : kills;
}

/* Groups inside hold no processes of their own that could be lost: all that was in them has ended. */
static void remove_inner(const char *dir, unsigned depth)
{
    DIR *stream = depth < 16 ? opendir(dir) : NULL;
    if (!stream)
        return;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        char path[4096];
        int len = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof path)
            continue;
        remove_inner(path, depth + 1);
        (void)rmdir(path);
    }
    closedir(stream);
}

int cgroup_remove(const char *dir, unsigned timeout_ms)
{
    long waited_us = 0;
    for (long step = 100;; step = step < 5000 ? step * 2 : step) {
        if (rmdir(dir) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY || waited_us >= (long)timeout_ms * 1000)
            return -1;
        if (waited_us == 0)
            remove_inner(dir, 0);
        pause_us(step);
        waited_us += step;
    }
}
