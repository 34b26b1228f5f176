/* api/auth.c: see auth.h. A key is compared as its SHA-256, in constant time and with every configured one, so
 * that neither how much of it is right nor whose it is shows in the time that this takes. */
#include "api/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

/* The key in `Authorization: Bearer KEY` (RFC 6750, 2.1); NULL: absent, or another scheme. */
static const char *bearer_key(const struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *value = http_header(request, "Authorization");
    if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return NULL;
    value += sizeof scheme - 1;
    return value + strspn(value, " ");
}

static const struct config_key *find_key(const struct config *config, const char *key)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)key, strlen(key), digest);
    const struct config_key *found = NULL;
    for (size_t i = 0; i < config->keys_len; i++)
        if (CRYPTO_memcmp(config->keys[i].sha256, digest, sizeof digest) == 0)
            found = &config->keys[i];
    return found;
}

const char *auth_identify(struct call *call)
{
    const struct config *config = http_config(call->request);
    if (config->keys_len == 0) {
        call->viewer = (struct viewer){.user = NULL, .everything = true};
        return NULL;
    }
    const char *bearer = bearer_key(call->request);
    const char *header = http_header(call->request, "X-API-Key");
    if (!bearer && !header)
        return "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY";
    if (bearer && header && strcmp(bearer, header) != 0)
        return "Authorization and X-API-Key hold two different keys";
    const struct config_key *key = find_key(config, bearer ? bearer : header);
    if (!key)
        return "invalid API key";
    call->viewer = (struct viewer){.user = key->user, .everything = key->admin};
    return NULL;
}
