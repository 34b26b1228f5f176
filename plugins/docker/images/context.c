/* context.c: see context.h. Names are sorted by their bytes, folder by folder: the order of the disk is not the same on
 * two of them. */
#include "images/context.h"

#include "common/failure.h"
#include "images/pull_failure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, NAME_MAX_BYTES = 100, PREFIX_MAX = 155, PATH_SIZE = NAME_MAX_BYTES + PREFIX_MAX + 3 };

/* Each text but the last of its kind may fill its field. */
struct header {
    char name[NAME_MAX_BYTES], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type,
        link[NAME_MAX_BYTES], magic[6], version[2], user[32], group[32], major[8], minor[8],
        prefix[PREFIX_MAX], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

struct packing {
    const char *folder;
    int fd;
    struct sha256 *hash;
    struct sbx_error *err;
    unsigned entries, depth;
    uint64_t bytes;
    char path[PATH_SIZE]; /* of the entry at hand, below the folder */
};

static int refuse(const struct packing *packing, const char *why)
{
    return failure_set(packing->err, SBX_ERR_REFUSED, CODE_BUILD_FAILED,
                       "%.200s/%.150s of the build context %s", packing->folder, packing->path, why);
}

static int fail(const struct packing *packing, int error)
{
    return failure_errno(packing->err, error, "%.200s/%.150s of the build context can't be read",
                         packing->folder, packing->path);
}

/* ---- the tar ---- */

static int put(struct packing *packing, const void *data, size_t len)
{
    const char *at = data;
    sha256_add(packing->hash, data, len);
    packing->bytes += len;
    if (packing->bytes > CONTEXT_BYTES_MAX)
        return failure_set(packing->err, SBX_ERR_REFUSED, CODE_BUILD_FAILED,
                           "the build context %.300s is over %d MiB", packing->folder,
                           CONTEXT_BYTES_MAX / (1 << 20));
    while (packing->fd >= 0 && len > 0) {
        ssize_t written = write(packing->fd, at, len);
        if (written < 0 && errno != EINTR)
            return failure_errno(packing->err, errno, "the build context %.300s can't be packed",
                                 packing->folder);
        at += written > 0 ? written : 0;
        len -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* Up to the next block. */
static int fill(struct packing *packing)
{
    static const char zeros[BLOCK];
    return put(packing, zeros, (BLOCK - packing->bytes % BLOCK) % BLOCK);
}

static void octal(char *field, size_t size, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)number);
    memcpy(field, text, size); /* the bounds keep it within */
}

/* A long path is cut at a slash. */
static int set_name(struct packing *packing, struct header *header)
{
    const char *path = packing->path, *cut = path;
    size_t len = strlen(path);
    if (len > NAME_MAX_BYTES) {
        cut = strchr(path + len - NAME_MAX_BYTES - 1, '/');
        if (!cut || cut[1] == '\0' || cut - path > PREFIX_MAX)
            return refuse(packing, "has too long a path for a tar");
        memcpy(header->prefix, path, (size_t)(cut - path));
        cut++;
    }
    memcpy(header->name, cut, strlen(cut));
    return 0;
}

static int put_header(struct packing *packing, char type, const struct stat *info, const char *link)
{
    struct header header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    if (set_name(packing, &header) != 0)
        return -1;
    if (strlen(link) > sizeof header.link)
        return refuse(packing, "is a symbolic link to too long a path for a tar");
    memcpy(header.link, link, strlen(link));
    octal(header.mode, sizeof header.mode, type == '2' ? 0777 : info->st_mode & 07777);
    octal(header.uid, sizeof header.uid, 0);
    octal(header.gid, sizeof header.gid, 0);
    octal(header.size, sizeof header.size, type == '0' ? (uint64_t)info->st_size : 0);
    octal(header.mtime, sizeof header.mtime, 0);
    octal(header.major, sizeof header.major, 0);
    octal(header.minor, sizeof header.minor, 0);
    memset(header.sum, ' ', sizeof header.sum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++)
        sum += ((const unsigned char *)&header)[i];
    octal(header.sum, sizeof header.sum - 1, sum);
    return put(packing, &header, sizeof header);
}

/* ---- one entry ---- */

static int pack_folder(struct packing *packing, int fd);

static int pack_content(struct packing *packing, int fd, const struct stat *info)
{
    char buffer[32 * 1024];
    uint64_t left = (uint64_t)info->st_size;
    while (left > 0) {
        ssize_t got = read(fd, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(packing, errno);
        if (got == 0)
            return refuse(packing, "became shorter while it was read");
        if (put(packing, buffer, (size_t)got) != 0)
            return -1;
        left -= (uint64_t)got;
    }
    return fill(packing);
}

static int pack_open(struct packing *packing, int parent, const char *name, bool folder)
{
    struct stat info;
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), result;
    if (fd < 0)
        return fail(packing, errno);
    if (fstat(fd, &info) != 0)
        result = fail(packing, errno);
    else if (folder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))
        result = refuse(packing, "became something else while it was read");
    else if (!folder && packing->bytes + (uint64_t)info.st_size > CONTEXT_BYTES_MAX)
        result = refuse(packing, "is too large: all of it must be within 1 GiB"); /* before it is read */
    else if (put_header(packing, folder ? '5' : '0', &info, "") != 0)
        result = -1;
    else
        result = folder ? pack_folder(packing, fd) : pack_content(packing, fd, &info);
    close(fd);
    return result;
}

static int pack_link(struct packing *packing, int parent, const char *name, const struct stat *info)
{
    char target[NAME_MAX_BYTES + 2];
    ssize_t len = readlinkat(parent, name, target, sizeof target - 1);
    if (len < 0)
        return fail(packing, errno);
    target[len] = '\0';
    return put_header(packing, '2', info, target);
}

static int pack_entry(struct packing *packing, int parent, const char *name)
{
    struct stat info;
    if (++packing->entries > CONTEXT_ENTRIES_MAX)
        return failure_set(packing->err, SBX_ERR_REFUSED, CODE_BUILD_FAILED,
                           "the build context %.300s has more than %d files and folders", packing->folder,
                           CONTEXT_ENTRIES_MAX);
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(packing, errno);
    if (S_ISLNK(info.st_mode))
        return pack_link(packing, parent, name, &info);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return refuse(packing, "is neither a file nor a folder nor a symbolic link");
    return pack_open(packing, parent, name, S_ISDIR(info.st_mode));
}

/* ---- a folder ---- */

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

/* The entry's path is `packing->path` while it is packed; a name that does not fit is refused. */
static int pack_named(struct packing *packing, int fd, const char *name)
{
    size_t len = strlen(packing->path), more = strlen(name), slash = len > 0;
    if (len + slash + more >= sizeof packing->path)
        return refuse(packing, "has an entry with too long a path for a tar");
    if (slash)
        packing->path[len] = '/';
    memcpy(packing->path + len + slash, name, more + 1);
    int result = pack_entry(packing, fd, name);
    packing->path[len] = '\0';
    return result;
}

static int pack_folder(struct packing *packing, int fd)
{
    struct dirent **entries = NULL;
    if (++packing->depth > CONTEXT_DEPTH_MAX)
        return refuse(packing, "is too deep a folder");
    int count = scandirat(fd, ".", &entries, not_dots, by_bytes);
    int result = count < 0 ? fail(packing, errno) : 0;
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = pack_named(packing, fd, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    packing->depth--;
    return result;
}

int context_pack(const char *folder, int fd, struct sha256 *hash, struct sbx_error *err)
{
    static const char end[2 * BLOCK];
    struct packing packing = {.folder = folder, .fd = fd, .hash = hash, .err = err};
    int top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return failure_errno(err, errno, "the build context %.300s can't be read", folder);
    int result = pack_folder(&packing, top);
    close(top);
    return result == 0 ? put(&packing, end, sizeof end) : -1;
}
