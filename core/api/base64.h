/* api/base64.h: the decoder of base64 text (RFC 4648, section 4), in pieces of any size. Pure. */
#ifndef API_BASE64_H
#define API_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero to begin with. */
struct base64 {
    uint32_t bits;   /* of the group at hand */
    uint8_t digits;  /* that it has, padding among them */
    uint8_t padding; /* nothing may follow the group */
};

/* Decodes into `out`, which has room for base64_room(len) bytes; line breaks are skipped. `*out_len` is what was written.
 * False: there is something else in the text. */
static inline size_t base64_room(size_t len)
{
    return len / 4 * 3 + 3;
}
bool base64_decode(struct base64 *base64, const char *text, size_t len, uint8_t *out, size_t *out_len);
/* The text has ended: was its last group whole? */
static inline bool base64_is_whole(const struct base64 *base64)
{
    return base64->digits == 0 || base64->digits == 4;
}

#endif
