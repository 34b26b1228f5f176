/* sandbox/readiness.h: does the body of a 2xx answer to a health check say that the agent server is ready?
 *
 * A pure function over two JSON texts. Knows nothing of sandboxes, transfers and timers (health.c).
 */
#ifndef SANDBOX_READINESS_H
#define SANDBOX_READINESS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    READINESS_BODY_MAX = 64 * 1024, /* of an answer that is looked at */
    READINESS_WHY_SIZE = 256
};

/* `wanted`: a JSON object of scalars. True when `body` (any bytes) is a JSON object that has all members of `wanted`
 * with equal values; further ones don't count. Else false, and `why` has READINESS_WHY_SIZE bytes with a sentence
 * that quotes the beginning of the body and names no wanted value, since that may be a secret. */
bool readiness_holds(const char *wanted, const void *body, size_t len, char *why);

#endif
