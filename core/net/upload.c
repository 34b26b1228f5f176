/* net/upload.c: see upload.h. Reads are of at most one buffer of curl's at a time, mostly from the page cache. */
#include "net/upload.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 128 * 1024 };

int upload_open(struct upload *upload, const char *path, struct sbx_error *err)
{
    struct stat info;
    *upload = (struct upload){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (upload->fd < 0)
        return error_set(err, SBX_ERR_INVALID, "INVALID_REQUEST", "the body can't be read from %s: %s", path,
                         strerrordesc_np(errno));
    if (fstat(upload->fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        upload_close(upload);
        return error_set(err, SBX_ERR_INVALID, "INVALID_REQUEST",
                         "the body can't be read from %s: it is not a regular file", path);
    }
    upload->size = info.st_size;
    upload->last_byte_ms = clock_ms();
    posix_fadvise(upload->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

void upload_close(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    upload->fd = -1;
}

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
    struct upload *upload = arg;
    curl_off_t left = upload->size - upload->at;
    size_t len = size * count;
    if ((curl_off_t)len > left)
        len = (size_t)left;
    ssize_t got = len > 0 ? pread(upload->fd, out, len, upload->at) : 0;
    if (got < 0 || (got == 0 && len > 0)) /* a shorter body would not be whole */
        return CURL_READFUNC_ABORT;
    upload->at += got;
    upload->last_byte_ms = clock_ms();
    return (size_t)got;
}

/* A kept connection turned out to be closed: it is sent again on another. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct upload *upload = arg;
    if (origin != SEEK_SET || offset < 0 || offset > upload->size)
        return CURL_SEEKFUNC_FAIL;
    upload->at = offset;
    return CURL_SEEKFUNC_OK;
}

void upload_apply(struct upload *upload, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, upload->size);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, upload);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, upload);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER);
}
