/* sha256.h: SHA-256 (FIPS 180-4) of what comes piece by piece. For names of what is kept, not for secrets.
 */
#ifndef PLUGINS_SHA256_H
#define PLUGINS_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_HEX_SIZE = 65 };

struct sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t len);
/* In lower case, with its zero byte. Nothing may be added afterwards. */
void sha256_end(struct sha256 *hash, char hex[SHA256_HEX_SIZE]);

#endif
