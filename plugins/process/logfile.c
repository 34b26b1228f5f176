/* logfile.c: see logfile.h. */
#include "logfile.h"

#include "wire.h"

#include <sandboxd/backend.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENTS = 3,
    LAST_LINES = 20,
    LOOK_BACK = 256 * 1024
}; /* two files, and one more while they change */

struct segments {
    unsigned count;
    uint64_t start[SEGMENTS]; /* oldest first */
};

static void find_segments(int dir, struct segments *segments)
{
    segments->count = 0;
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return;
    }
    for (const struct dirent *entry; segments->count < SEGMENTS && (entry = readdir(stream));) {
        if (strncmp(entry->d_name, WIRE_LOG_PREFIX, sizeof WIRE_LOG_PREFIX - 1) != 0)
            continue;
        uint64_t start = strtoull(entry->d_name + sizeof WIRE_LOG_PREFIX - 1, NULL, 16);
        unsigned at = segments->count++;
        for (; at > 0 && segments->start[at - 1] > start; at--)
            segments->start[at] = segments->start[at - 1];
        segments->start[at] = start;
    }
    closedir(stream);
}

static int open_segment(int dir, uint64_t start)
{
    char name[sizeof WIRE_LOG_PREFIX + 16];
    snprintf(name, sizeof name, WIRE_LOG_PREFIX "%016" PRIx64, start);
    return openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

static uint64_t file_size(int fd)
{
    struct stat status;
    return fd >= 0 && fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Looks back through one file for the newline before the wanted lines; true when it is found. */
static bool look_back(int fd, uint64_t size, uint32_t *lines, uint64_t *left, uint64_t *offset)
{
    char bytes[8192];
    for (uint64_t end = size; end > 0 && *left > 0;) {
        uint64_t len = end < sizeof bytes ? end : sizeof bytes;
        len = len < *left ? len : *left;
        if (pread(fd, bytes, (size_t)len, (off_t)(end - len)) != (ssize_t)len)
            return false;
        for (uint64_t i = len; i > 0; i--)
            if (bytes[i - 1] == '\n' && (*lines)-- == 0) {
                *offset = end - len + i;
                return true;
            }
        end -= len;
        *left -= len;
        *offset = end;
    }
    return *left == 0;
}

uint64_t logfile_tail(int control_dir, uint32_t lines, uint64_t max_bytes)
{
    struct segments segments;
    find_segments(control_dir, &segments);
    uint64_t position = 0, left = max_bytes;
    bool found = lines == 0, newest = true;
    if (found && segments.count > 0) {
        int fd = open_segment(control_dir, segments.start[segments.count - 1]);
        position = segments.start[segments.count - 1] + file_size(fd);
        if (fd >= 0)
            close(fd);
    }
    for (unsigned i = segments.count; i > 0 && !found; i--) {
        int fd = open_segment(control_dir, segments.start[i - 1]);
        uint64_t size = file_size(fd), offset = size;
        char last = '\n';
        if (newest && size > 0 && pread(fd, &last, 1, (off_t)size - 1) == 1 && last != '\n')
            lines--; /* a line that has no end yet is one too */
        newest = false;
        found = fd < 0 || look_back(fd, size, &lines, &left, &offset);
        if (fd >= 0)
            close(fd);
        position = segments.start[i - 1] + offset;
    }
    return position;
}

size_t logfile_read(int control_dir, uint64_t *position, char *bytes, size_t size)
{
    struct segments segments;
    find_segments(control_dir, &segments);
    for (unsigned i = 0; i < segments.count; i++) {
        if (i + 1 < segments.count && segments.start[i + 1] <= *position)
            continue;
        if (segments.start[i] > *position)
            *position = segments.start[i];
        int fd = open_segment(control_dir, segments.start[i]);
        ssize_t len = fd >= 0 ? pread(fd, bytes, size, (off_t)(*position - segments.start[i])) : 0;
        if (fd >= 0)
            close(fd);
        if (len > 0) {
            *position += (uint64_t)len;
            return (size_t)len;
        }
    }
    return 0;
}

/* Reads the last `lines` lines, of `size` bytes at most, and answers how many bytes they have. */
static size_t read_last(int control_dir, uint32_t lines, char *text, size_t size)
{
    uint64_t position = logfile_tail(control_dir, lines, size);
    size_t len = 0;
    for (size_t got; len < size && (got = logfile_read(control_dir, &position, text + len, size - len)) > 0;)
        len += got;
    return len;
}

/* Where the last lines of a text begin, of `most` bytes at most. */
static size_t last_lines(const char *text, size_t len, size_t most)
{
    size_t lines = len > 0 && text[len - 1] != '\n', at = len;
    for (; at > 0 && len - at < most; at--)
        if (text[at - 1] == '\n' && lines++ == LAST_LINES)
            break;
    return at;
}

void logfile_last(int control_dir, struct sbx_backend *public, char *text, size_t size)
{
    const struct sbx_host *host = public ? public->host : NULL;
    bool drops = host && SBX_HAS(host, drop_health_checks);
    char *more = NULL, *from = text;
    size_t had = read_last(control_dir, LAST_LINES, text, size - 1);
    size_t len = drops ? host->drop_health_checks(public, text, had) : had;
    if (len < had && (more = malloc(LOOK_BACK))) {
        had = read_last(control_dir, UINT32_MAX, more, LOOK_BACK);
        len = host->drop_health_checks(public, more, had);
        size_t at = last_lines(more, len, size - 1);
        from = more + at;
        len -= at;
    }
    memmove(text, from, len);
    free(more);
    for (char *zero; (zero = memchr(text, '\0', len));)
        *zero = '?';
    text[len] = '\0';
}
