/* http/chunked.h: the decoder of chunked bodies (RFC 9112, section 7.1). Pure; owns nothing.
 *
 * Chunk extensions are checked and dropped, trailers too; both are bounded.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "http/parser.h"

enum {
    CHUNKED_LINE_MAX = 1024,         /* a size with its extensions, or one line of the trailer */
    CHUNKED_OVERHEAD_MAX = 16 * 1024 /* extensions and trailers of one body */
};

/* All zero to begin with. */
struct http_chunked {
    uint8_t state;
    uint8_t digits;
    uint16_t line;     /* bytes of the line at hand */
    uint16_t overhead; /* bytes of extensions and trailers so far */
    uint64_t left;     /* bytes of the chunk that are still to come */
};

/* Decodes up to the end of the next piece of data. *used: the bytes of the input that are done with. When there
 * was data, *data of *data_len bytes points into the input; else *data_len is 0. HTTP_MORE: call again
 * with what follows (at once where *used < len). HTTP_DONE: the body and its trailer are complete. */
enum http_progress http_chunked_next(struct http_chunked *decoder, const char *bytes, size_t len,
                                     size_t *used, const char **data, size_t *data_len,
                                     struct http_fault *fault);

#endif
