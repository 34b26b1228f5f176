/* store/identity.c: see identity.h. Owns the file `sandboxd.id`, and the name by which a state that is served is
 * known on this machine.
 *
 * A folder that was copied has the original's id, and names the original's folder. So it is known as a copy for as long
 * as that folder is there with the same id. A folder that was moved, or put back from a backup, finds nothing there.
 */
#include "store/identity.h"

#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_NEW IDENTITY_FILE ".new"
#define BASE62 "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* What is written down of a state. */
struct written {
    char id[BASE62_SIZE_16];
    char *folder; /* in the text that it was read from */
    unsigned long long device, inode;
};

/* ---- the text ---- */

/* The end of a line, which becomes the end of a text. NULL: there is none. */
static char *cut_line(char *text)
{
    char *end = text ? strchr(text, '\n') : NULL;
    if (end)
        *end = '\0';
    return end;
}

/* `text` is changed. The folder comes last, since its name may hold a line's end. */
static bool parse(char *text, struct written *written)
{
    char *id = strncmp(text, "id ", 3) == 0 ? text + 3 : NULL, *end = cut_line(id);
    if (!end || strlen(id) != BASE62_SIZE_16 - 1 || strspn(id, BASE62) != BASE62_SIZE_16 - 1)
        return false;
    char *numbers = end + 1, *at;
    if (strncmp(numbers, "inode ", 6) != 0 || !(end = cut_line(numbers)))
        return false;
    written->device = strtoull(numbers + 6, &at, 10);
    written->inode = strtoull(at, &at, 10);
    char *folder = end + 1;
    size_t len = strlen(folder);
    if (*at || strncmp(folder, "folder /", 8) != 0 || folder[len - 1] != '\n')
        return false;
    folder[len - 1] = '\0';
    written->folder = folder + 7;
    memcpy(written->id, id, sizeof written->id);
    return true;
}

size_t identity_text(const struct identity *identity, char *text)
{
    int len = snprintf(text, IDENTITY_TEXT_MAX, "id %s\ninode %llu %llu\nfolder %s\n", identity->id,
                       identity->device, identity->inode, identity->folder);
    return (size_t)len; /* realpath(3) gives at most 4,096 bytes */
}

/* The file in that folder: its text with a zero byte behind it. -1 with errno. */
static ssize_t read_text(int folder, char *text)
{
    int fd = openat(folder, IDENTITY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, text, IDENTITY_TEXT_MAX - 1);
    int number = errno;
    close(fd);
    errno = number;
    text[len > 0 ? len : 0] = '\0';
    return len;
}

/* ---- is it a copy? ---- */

/* Does the folder `path` hold a state of that id, and is it another folder than ours? */
static bool is_other_home(const struct identity *identity, const char *path, const char *id)
{
    char text[IDENTITY_TEXT_MAX];
    struct written written;
    struct stat info;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && errno != ENOENT && errno != ENOTDIR)
        log_warn("state_dir: it was last served at %s, and whether that is still there can't be seen: %s",
                 path, strerrordesc_np(errno));
    if (folder < 0)
        return false;
    bool same =
        fstat(folder, &info) == 0 && info.st_dev == identity->device && info.st_ino == identity->inode;
    bool other = !same && read_text(folder, text) > 0 && parse(text, &written) && strcmp(written.id, id) == 0;
    close(folder);
    return other;
}

static int check_copy(const struct identity *identity, const struct written *written, struct sbx_error *err)
{
    if (strcmp(written->folder, identity->folder) == 0)
        return 0;
    if (is_other_home(identity, written->folder, written->id))
        return error_set(
            err, SBX_ERR_CONFLICT, STORE_FAILED,
            "the state in %.120s is a copy of the one in %.120s, which is still there: two daemons would "
            "act on the same sandboxes. To move the state, remove or rename %.60s; for a second daemon, "
            "begin "
            "with an empty state_dir",
            identity->folder, written->folder, written->folder);
    return 0;
}

/* ---- is it served? ---- */

static socklen_t address_of(struct sockaddr_un *address, const char *id)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* A name that begins with a zero byte is no file, and goes with its process: unix(7). */
    int len = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "sandboxd/%s", id);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

void identity_answer(const struct identity *identity)
{
    /* That they were connected was the answer. */
    for (int fd; (fd = accept4(identity->alive_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
}

/* Whoever asks is on the line at once, or where it is full: waits for a place there. */
enum asking { ASK_AT_ONCE, ASK_PATIENTLY };

/* The process that has the name, where it is root's or of our own user: others may take any name.
 * 0: none of those. A line that is full is somebody's who is stuck: whose can't be seen. */
static bool is_served(const struct sockaddr_un *address, socklen_t len, enum asking how, long *process)
{
    const struct timeval patience = {.tv_sec = 2};
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (how == ASK_AT_ONCE ? SOCK_NONBLOCK : 0), 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool connected = fd >= 0 && connect(fd, (const struct sockaddr *)address, len) == 0;
    bool stuck = fd >= 0 && !connected && errno == EAGAIN && how == ASK_AT_ONCE;
    bool is = connected && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
              (peer.uid == 0 || peer.uid == geteuid());
    if (fd >= 0)
        close(fd);
    *process = (long)peer.pid;
    return is || stuck;
}

bool identity_is_served(const char *id)
{
    struct sockaddr_un address;
    long process;
    if (strlen(id) != BASE62_SIZE_16 - 1 || strspn(id, BASE62) != BASE62_SIZE_16 - 1)
        return false;
    socklen_t len = address_of(&address, id);
    return is_served(&address, len, ASK_AT_ONCE, &process);
}

static int tell_alive(struct identity *identity, struct sbx_error *err)
{
    struct sockaddr_un address;
    socklen_t len = address_of(&address, identity->id);
    long process;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, 64) == 0) {
        identity->alive_fd = fd;
        return 0;
    }
    bool taken = errno == EADDRINUSE;
    if (fd >= 0)
        close(fd);
    if (taken && is_served(&address, len, ASK_PATIENTLY, &process))
        return error_set(
            err, SBX_ERR_CONFLICT, STORE_FAILED,
            "the state in %.150s is a copy of one that another sandboxd (process %ld) serves now: two "
            "daemons "
            "would act on the same sandboxes. Stop that one and remove its state, or begin with an empty "
            "state_dir",
            identity->folder, process);
    log_warn("state_dir: a second daemon on a copy of %s would not be noticed by its name: %s",
             identity->folder, taken ? "another user's program has it" : strerrordesc_np(errno));
    return 0;
}

/* ---- from the beginning to the end ---- */

static void take(struct identity *identity, const struct written *written)
{
    memcpy(identity->id, written->id, sizeof identity->id);
    identity->file_is_old = identity->record_is_old = strcmp(written->folder, identity->folder) != 0 ||
                                                      written->device != identity->device ||
                                                      written->inode != identity->inode;
}

int identity_read_file(struct identity *identity, const char *path, struct sbx_error *err)
{
    char text[IDENTITY_TEXT_MAX];
    struct written written;
    struct stat info;
    *identity = (struct identity){.alive_fd = -1, .file_is_old = true, .record_is_old = true};
    if (!(identity->folder = realpath(path, NULL)))
        return error_errno(err, errno, "the state directory %.300s has no path without symbolic links", path);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &info) < 0)
        return error_errno(err, errno, "can't look at the state directory %.300s", path);
    identity->device = info.st_dev;
    identity->inode = info.st_ino;
    ssize_t len = read_text(folder, text);
    int number = errno;
    close(folder);
    if (len < 0 && number == ENOENT)
        return 0;
    if (len < 0)
        return error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED, "%.300s/" IDENTITY_FILE " can't be read: %s",
                         path, strerrordesc_np(number));
    if (!parse(text, &written))
        return error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED,
                         "%.300s/" IDENTITY_FILE
                         " does not say which state this is: put it back from a backup, "
                         "or remove it if no copy of this folder is in use",
                         path);
    if (check_copy(identity, &written, err) < 0)
        return -1;
    take(identity, &written);
    return 0;
}

int identity_settle(struct identity *identity, const char *record, size_t len, struct sbx_error *err)
{
    char text[IDENTITY_TEXT_MAX] = "";
    struct written written;
    if (record && len < sizeof text)
        memcpy(text, record, len);
    bool known = record && parse(text, &written);
    if (known && check_copy(identity, &written, err) < 0)
        return -1;
    if (known && strcmp(written.folder, identity->folder) != 0)
        log_info("state_dir: this state was last served at %s, which is no copy of it: it was moved, or put "
                 "back from a "
                 "backup",
                 written.folder);
    if (known) {
        bool file_is_old = identity->file_is_old || strcmp(identity->id, written.id) != 0;
        take(identity, &written);
        identity->file_is_old = file_is_old || identity->record_is_old;
    } else {
        identity->record_is_old = true;
    }
    if (!*identity->id) {
        uint8_t random[16];
        random_fill(random, sizeof random);
        base62_encode(random, sizeof random, identity->id);
    }
    return tell_alive(identity, err);
}

/* Whole or not at all, also when the power fails. */
static bool replace_file(int folder, const char *text, size_t len)
{
    int fd = openat(folder, FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool done = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    int number = errno ? errno : ENOSPC;
    close(fd);
    if (done && renameat(folder, FILE_NEW, folder, IDENTITY_FILE) == 0) {
        fsync(folder);
        return true;
    }
    unlinkat(folder, FILE_NEW, 0);
    errno = number;
    return false;
}

void identity_write_file(const struct identity *identity)
{
    char text[IDENTITY_TEXT_MAX];
    size_t len = identity_text(identity, text);
    if (!identity->file_is_old)
        return;
    int folder = open(identity->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    errno = 0;
    if (folder < 0 || !replace_file(folder, text, len))
        log_warn("state_dir: %s/" IDENTITY_FILE
                 " can't be written, so that a copy of this state would not be "
                 "known as one: %s",
                 identity->folder, strerrordesc_np(errno));
    if (folder >= 0)
        close(folder);
}

void identity_finish(struct identity *identity)
{
    if (identity->alive_fd >= 0)
        close(identity->alive_fd);
    free(identity->folder);
    *identity = (struct identity){.alive_fd = -1};
}
