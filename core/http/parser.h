/* http/parser.h: the head of a request, from bytes to checked fields. Pure: no I/O, nothing is kept.
 *
 * Two steps. http_scan() finds where a head ends as its bytes arrive, in pieces of any size, and refuses at
 * once what no later byte could mend. http_head_parse() then takes the whole head apart, in place. RFC 9112
 * is read strictly: what two parsers might read differently is refused, not mended.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_MAX = 32 * 1024, /* request line and headers with all line ends: 431 above; fits the offsets */
    HTTP_TARGET_MAX = 24 * 1024, /* 500 ids of the runtime API's batch, as long as they come */
    HTTP_METHOD_MAX = 16,
    HTTP_FIELDS_MAX = 100,
    HTTP_PARAMS_MAX = 512 /* in a query */
};

/* Why a request is refused: a status and a sentence (a constant, without quotes and backslashes). */
struct http_fault {
    int status;
    const char *detail;
};

enum http_progress { HTTP_MORE, HTTP_DONE, HTTP_FAULT };

/* How far a head was looked at. All zero to begin with. */
struct http_scan {
    uint16_t skipped; /* bytes of an empty line before the request line (RFC 9112, section 2.2) */
    uint16_t len;     /* bytes of the head after them */
    uint16_t line;    /* bytes of the line at hand, without its CR */
    bool headers;     /* the request line is complete */
    bool cr;          /* the last byte was a CR */
};

/* Looks at the next `len` bytes. HTTP_DONE: the head is scan->len bytes after scan->skipped ones; what
 * follows it was not looked at. The verdict does not depend on how the bytes were cut. */
enum http_progress http_scan(struct http_scan *scan, const char *bytes, size_t len, struct http_fault *fault);

/* Offsets into the text of a head, of zero-terminated texts. */
struct http_field {
    uint16_t name, value;
};

struct http_head {
    char *text; /* the caller's */
    uint16_t method, path;
    uint8_t minor; /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;
    bool expect_continue;
    bool chunked;
    uint64_t content_length; /* 0 with chunked */
    uint16_t fields_len, params_len;
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_field params[HTTP_PARAMS_MAX]; /* of the query, decoded, in order */
};

/* Takes a head apart that http_scan() found: `text` of `len` bytes is written to, and must stay as long as
 * `head` is used. HTTP_DONE or HTTP_FAULT. On a fault the fields of *head mean nothing. */
enum http_progress http_head_parse(struct http_head *head, char *text, size_t len, struct http_fault *fault);

#endif
