/* config/text.c: see text.h. */
#include "config/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

size_t text_decode(const char *bytes, size_t len, uint32_t *character)
{
    const unsigned char *s = (const unsigned char *)bytes;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) {
        *character = s[0];
        return 1;
    }
    size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
    if (need == 0 || s[0] > 0xf4 || need > len)
        return 0;
    uint32_t value = s[0] & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < least[need] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *character = value;
    return need;
}

static bool is_printable(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0x7e) || c == 0x85 ||
           (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000;
}

bool text_check(const char *bytes, size_t len, unsigned *line, unsigned *column, const char **why)
{
    *line = *column = 1;
    for (size_t at = 0; at < len;) {
        uint32_t c;
        size_t step = text_decode(bytes + at, len - at, &c);
        if (step == 0 || !is_printable(c)) {
            *why = step == 0 ? "this is not UTF-8 text" : "this is not text: it has a control character";
            return false;
        }
        if (c == '\n') {
            ++*line;
            *column = 1;
        } else
            ++*column;
        at += step;
    }
    return true;
}

static const char *why_not_open(int number)
{
    const char *text = strerrordesc_np(number);
    switch (number) {
    case ENOENT: return "there is no such file";
    case EACCES: return "there is no permission to read it";
    default: return text ? text : "it can't be opened";
    }
}

/* Fills `bytes` from `fd` until its end. The number of bytes, or -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, bytes + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* The whole of an open file, or NULL with a sentence. */
static char *read_regular(int fd, const struct stat *stat, size_t max, size_t *len, char *why,
                          size_t why_size)
{
    if (!S_ISREG(stat->st_mode)) {
        snprintf(why, why_size, "it is %s",
                 S_ISDIR(stat->st_mode) ? "a directory, and must be a regular file" : "not a regular file");
        return NULL;
    }
    /* It may grow while it is read: a byte more than allowed shows that. */
    bool fits = stat->st_size <= (off_t)max;
    char *bytes = fits ? malloc(max + 2) : NULL;
    ssize_t got = bytes ? read_all(fd, bytes, max + 1) : -1;
    if (got >= 0 && (size_t)got <= max) {
        bytes[got] = '\0';
        *len = (size_t)got;
        return bytes;
    }
    if (!fits || got >= 0)
        snprintf(why, why_size, "it is larger than %zu KiB", max / 1024);
    else
        snprintf(why, why_size, "it can't be read: %s", why_not_open(bytes ? errno : ENOMEM));
    text_free(bytes, max);
    return NULL;
}

char *text_read_file(const char *file, size_t max, size_t *len, bool *world_readable, char *why,
                     size_t why_size)
{
    /* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. */
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat stat;
    char *bytes = NULL;
    if (fd < 0 || fstat(fd, &stat) < 0)
        snprintf(why, why_size, "%s", why_not_open(errno));
    else {
        bytes = read_regular(fd, &stat, max, len, why, why_size);
        *world_readable = (stat.st_mode & S_IROTH) != 0;
    }
    if (fd >= 0)
        close(fd);
    return bytes;
}

void text_free(char *bytes, size_t len)
{
    if (!bytes)
        return;
    OPENSSL_cleanse(bytes, len);
    free(bytes);
}
