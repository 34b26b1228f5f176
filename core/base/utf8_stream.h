/* base/utf8_stream.h: makes UTF-8 of bytes that come in pieces. Any thread. */
#ifndef BASE_UTF8_STREAM_H
#define BASE_UTF8_STREAM_H

#include "base/utf8.h"

/* All zero at the start. Owns nothing. */
struct utf8_stream {
    char held[UTF8_MAX]; /* the begin of a character whose rest is to come */
    size_t held_len;
};

/* At most so many bytes come of `len` bytes more, or of the end (0). */
#define UTF8_STREAM_ROOM(len) (3 * ((len) + UTF8_MAX))

/* Writes to `out` what the next `len` bytes come to: each byte that is part of no character becomes U+FFFD. A character
 * that is split between two pieces is held until the second. Returns the number of bytes written. */
size_t utf8_stream_add(struct utf8_stream *stream, const char *bytes, size_t len, char *out);
/* Nothing more comes: what is held is part of no character. */
size_t utf8_stream_end(struct utf8_stream *stream, char *out);

#endif
