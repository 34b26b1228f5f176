/* output.c: see output.h. Owns the pipe and the log files; knows nothing of their readers. */
#include "output.h"

#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = sizeof WIRE_LOG_PREFIX + 16 };

static void segment_name(char name[NAME_SIZE], uint64_t start)
{
    snprintf(name, NAME_SIZE, WIRE_LOG_PREFIX "%016" PRIx64, start);
}

static int open_segment(struct output *output, uint64_t start)
{
    char name[NAME_SIZE];
    segment_name(name, start);
    return openat(output->dir, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void remove_segment(struct output *output, uint64_t start)
{
    char name[NAME_SIZE];
    segment_name(name, start);
    (void)unlinkat(output->dir, name, 0);
}

/* Finds the newest file and the one before; those older than that are left by a crash and removed. */
static int find_newest(struct output *output)
{
    int copy = openat(output->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    uint64_t found[3]; /* newest first; the third is one too many */
    unsigned count = 0;
    size_t prefix = strlen(WIRE_LOG_PREFIX);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (strncmp(entry->d_name, WIRE_LOG_PREFIX, prefix) != 0)
            continue;
        uint64_t start = strtoull(entry->d_name + prefix, NULL, 16);
        unsigned at = count;
        for (; at > 0 && found[at - 1] < start; at--)
            found[at] = found[at - 1];
        found[at] = start;
        if (++count == 3)
            remove_segment(output, found[--count]);
    }
    closedir(stream);
    output->start = count > 0 ? found[0] : 0;
    output->old_start = count > 1 ? found[1] : UINT64_MAX;
    return 0;
}

int output_init(struct output *output, int dir, int pipe, uint64_t log_size)
{
    *output = (struct output){
        .pipe = pipe, .dir = dir, .file = -1, .old_start = UINT64_MAX, .segment = log_size / 2};
    if (find_newest(output) != 0)
        return -1;
    output->file = open_segment(output, output->start);
    struct stat status;
    if (output->file < 0 || fstat(output->file, &status) != 0)
        return -1;
    output->position = output->start + (uint64_t)status.st_size;
    return 0;
}

static void next_segment(struct output *output)
{
    int file = open_segment(output, output->position);
    if (file < 0)
        return; /* a full disk: output is lost until there is room */
    close(output->file);
    output->file = file;
    if (output->old_start != UINT64_MAX)
        remove_segment(output, output->old_start);
    output->old_start = output->start;
    output->start = output->position;
}

static void append(struct output *output, const char *bytes, size_t len)
{
    while (len > 0) {
        if (output->position - output->start >= output->segment)
            next_segment(output);
        uint64_t used = output->position - output->start;
        uint64_t room = used < output->segment ? output->segment - used : 0;
        if (room == 0)
            return;
        ssize_t written = write(output->file, bytes, len < room ? len : (size_t)room);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        output->position += (uint64_t)written;
        bytes += written;
        len -= (size_t)written;
    }
}

void output_drain(struct output *output, uint64_t max)
{
    static char bytes[65536];
    for (uint64_t moved = 0; output->pipe >= 0 && moved < max;) {
        ssize_t len = read(output->pipe, bytes, sizeof bytes);
        if (len > 0) {
            append(output, bytes, (size_t)len);
            moved += (uint64_t)len;
        } else if (len == 0) {
            close(output->pipe);
            output->pipe = -1;
        } else if (errno != EINTR) {
            break;
        }
    }
}

void output_note(struct output *output, const char *text)
{
    append(output, text, strlen(text));
}
