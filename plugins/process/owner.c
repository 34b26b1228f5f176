/* owner.c: see owner.h. Ends nothing and changes nothing on disk. */
#include "owner.h"

#include "common/failure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct owner owner_from(const struct stat *status)
{
    return (struct owner){.device = status->st_dev, .inode = status->st_ino};
}

bool owner_of(int control_dir, struct owner *owner)
{
    struct stat status;
    if (fstat(control_dir, &status) != 0)
        return false;
    *owner = owner_from(&status);
    return true;
}

void owner_mark(const struct owner *owner, char *mark)
{
    snprintf(mark, OWNER_MARK_SIZE, "%" PRIu64 ":%" PRIu64, owner->device, owner->inode);
}

/* The text that a link of /proc has; false: it can't be read, or is too long. */
static bool read_link(const char *link, char *path, size_t size)
{
    ssize_t len = readlink(link, path, size);
    if (len <= 0 || (size_t)len >= size)
        return false;
    path[len] = '\0';
    return true;
}

static bool path_of(int control_dir, char *path, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", control_dir);
    return read_link(link, path, size);
}

int owner_record(struct record *record, int control_dir)
{
    struct owner own;
    char mark[OWNER_MARK_SIZE], path[PATH_MAX];
    if (!owner_of(control_dir, &own) || !path_of(control_dir, path, sizeof path))
        return -1;
    owner_mark(&own, mark);
    record_set_owner(record, mark, path);
    return 0;
}

const char *owner_recorded(const struct record *record)
{
    const char *mark = record_text(record, RECORD_OWNER);
    return mark ? mark : "";
}

/* ---- supervisors of other directories -------------------------------------------------------- */

/* Is it a supervisor of that sandbox, of this user or root? Its command line says so: "process-supervisor", the id. */
static bool supervises(const char *pid, const char *sandbox_id)
{
    char path[300], text[320], wanted[320];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%s", pid);
    if (stat(path, &status) != 0 || (status.st_uid != geteuid() && status.st_uid != 0))
        return false;
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    int wanted_len = snprintf(wanted, sizeof wanted, "process-supervisor%c%s", '\0', sandbox_id) + 1;
    return len == wanted_len && memcmp(text, wanted, (size_t)len) == 0;
}

/* Where a supervisor has its control directory: that is its working directory. */
enum place { PLACE_OURS, PLACE_LEFT, PLACE_OTHER };

static enum place place_of(const char *pid, const char *folder, char *path, size_t size, struct owner *owner)
{
    char link[300];
    struct stat theirs, ours;
    snprintf(link, sizeof link, "/proc/%s/cwd", pid);
    if (!read_link(link, path, size) || stat(link, &theirs) != 0) {
        snprintf(path, size, "a folder that can't be looked at");
        return PLACE_OTHER;
    }
    *owner = owner_from(&theirs);
    if (stat(folder, &ours) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
        return PLACE_OURS;
    static const char deleted[] = " (deleted)";
    size_t len = strlen(folder);
    return theirs.st_nlink == 0 && strncmp(path, folder, len) == 0 && strcmp(path + len, deleted) == 0
               ? PLACE_LEFT
               : PLACE_OTHER;
}

bool owner_is_elsewhere(const char *folder, const char *sandbox_id, char *left, struct sbx_error *err)
{
    if (left)
        left[0] = '\0';
    bool found = false;
    DIR *processes = opendir("/proc");
    for (const struct dirent *entry; processes && !found && (entry = readdir(processes));) {
        char path[PATH_MAX];
        struct owner owner;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !supervises(entry->d_name, sandbox_id))
            continue;
        enum place place = place_of(entry->d_name, folder, path, sizeof path, &owner);
        if (place == PLACE_LEFT && left)
            owner_mark(&owner, left);
        found = place == PLACE_OTHER;
        if (found)
            failure_set(err, SBX_ERR_CONFLICT, OWNER_OTHER,
                        "the state of this sandbox is a copy: it runs under the supervisor (pid %s) of "
                        "%.300s, and belongs to the daemon there",
                        entry->d_name, path);
    }
    if (processes)
        closedir(processes);
    return found;
}

bool owner_is_other(const struct record *record, int control_dir, const char *sandbox_id,
                    struct sbx_error *err)
{
    struct owner own;
    struct stat status;
    char mark[OWNER_MARK_SIZE], path[PATH_MAX];
    const char *recorded = owner_recorded(record), *origin = record_text(record, RECORD_OWNER_PATH);
    if (!*recorded || !origin || !owner_of(control_dir, &own))
        return false;
    owner_mark(&own, mark);
    if (strcmp(mark, recorded) == 0)
        return false;
    if (stat(origin, &status) == 0) {
        own = owner_from(&status);
        owner_mark(&own, mark);
        if (strcmp(mark, recorded) == 0) {
            failure_set(err, SBX_ERR_CONFLICT, OWNER_OTHER,
                        "the state of this sandbox is a copy: it belongs to the daemon of %.300s, which is "
                        "still there; remove or rename that folder if this daemon is to have it",
                        origin);
            return true;
        }
    }
    return path_of(control_dir, path, sizeof path) && owner_is_elsewhere(path, sandbox_id, NULL, err);
}
