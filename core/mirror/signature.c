/* mirror/signature.c: see signature.h. */
#include "mirror/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void signature_make(const char *secret, const void *body, size_t len, char out[SIGNATURE_SIZE])
{
    unsigned char digest[32];
    unsigned int digest_len = sizeof digest;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), body, len, digest, &digest_len))
        abort();
    int used = snprintf(out, SIGNATURE_SIZE, "sha256=");
    for (size_t i = 0; i < sizeof digest; i++)
        used += snprintf(out + used, SIGNATURE_SIZE - (size_t)used, "%02x", digest[i]);
}
