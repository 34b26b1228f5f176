/* mirror/signature.h: how a receiver of callbacks can tell that a message is ours. From any thread. */
#ifndef MIRROR_SIGNATURE_H
#define MIRROR_SIGNATURE_H

#include <stddef.h>

enum { SIGNATURE_SIZE = 72 }; /* "sha256=", 64 hexadecimal digits and the zero byte */

/* HMAC-SHA256 (RFC 2104) of the body with the bytes of the secret as key, as the value of a header. */
void signature_make(const char *secret, const void *body, size_t len, char out[SIGNATURE_SIZE]);

#endif
