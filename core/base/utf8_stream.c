/* base/utf8_stream.c: see utf8_stream.h. */
#include "base/utf8_stream.h"

#include <stdbool.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { REPLACEMENT = sizeof replacement - 1 };

/* Could these bytes, which are no character yet, begin one? */
static bool is_begin(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];
    if (len == 1)
        return first >= 0xc2 && first <= 0xf4;
    if (len >= UTF8_MAX)
        return false;
    char padded[UTF8_MAX] = {'\x80', '\x80', '\x80', '\x80'};
    memcpy(padded, text, len);
    return utf8_length(padded, UTF8_MAX) > len;
}

/* Takes characters from the front; false: the rest is the begin of one. */
static bool take(const char **at, size_t *left, char **out)
{
    size_t len = utf8_length(*at, *left);
    if (len == 0 && is_begin(*at, *left))
        return false;
    if (len > 0) {
        memcpy(*out, *at, len);
        *out += len;
    } else {
        memcpy(*out, replacement, REPLACEMENT);
        *out += REPLACEMENT;
        len = 1;
    }
    *at += len;
    *left -= len;
    return true;
}

size_t utf8_stream_add(struct utf8_stream *stream, const char *bytes, size_t len, char *out)
{
    char *end = out;
    while (stream->held_len > 0 && len > 0) {
        stream->held[stream->held_len++] = *bytes++;
        len--;
        const char *at = stream->held;
        size_t left = stream->held_len;
        while (left > 0 && take(&at, &left, &end))
            continue;
        memmove(stream->held, at, left);
        stream->held_len = left;
    }
    while (len > 0 && take(&bytes, &len, &end))
        continue;
    if (len > 0) {
        memcpy(stream->held, bytes, len);
        stream->held_len = len;
    }
    return (size_t)(end - out);
}

size_t utf8_stream_end(struct utf8_stream *stream, char *out)
{
    char *end = out;
    for (; stream->held_len > 0; stream->held_len--, end += REPLACEMENT)
        memcpy(end, replacement, REPLACEMENT);
    return (size_t)(end - out);
}
