/* api/multipart.h: the decoder of multipart/form-data bodies (RFC 7578; RFC 2046, section 5.1.1), in pieces of any
 * size. Pure; owns nothing, and holds no more than one part's head.
 *
 * Strict: nothing stands before the first boundary or after the last, lines end in CR LF, and each part has one
 * Content-Disposition with a plain name. A file's name and type are of no interest.
 */
#ifndef API_MULTIPART_H
#define API_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046 */
    MULTIPART_HEAD_MAX = 2048,   /* of one part */
    MULTIPART_NAME_MAX = 63,
    MULTIPART_PARTS_MAX = 100
};

struct multipart {
    char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1]; /* CR LF "--" boundary */
    size_t delimiter_len;
    unsigned state;
    size_t matched; /* bytes of what is looked for that were seen */
    unsigned parts;
    size_t head_len;
    char head[MULTIPART_HEAD_MAX + 1];
};

/* Each returns NULL, or a constant sentence part that says what is wrong: the decoding ends there. */
struct multipart_handler {
    const char *(*part)(void *arg, const char *name); /* begins */
    const char *(*data)(void *arg, const char *bytes, size_t len);
    const char *(*end)(void *arg); /* of the part */
    void *arg;
};

/* Reads a Content-Type. False: it is no multipart/form-data with a boundary. NULL is allowed. */
bool multipart_begin(struct multipart *multipart, const char *content_type);
/* NULL, or what is wrong: "breaks off …", after "the body ". */
const char *multipart_feed(struct multipart *multipart, const char *bytes, size_t len,
                           const struct multipart_handler *handler);
/* The body has ended. NULL, or what is wrong. */
const char *multipart_end(const struct multipart *multipart);

#endif
