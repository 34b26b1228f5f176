/* registry_auth.c: see registry_auth.h. What it allocates for a secret it wipes; the JSON library's own memory is out
 * of its reach, and is freed at once. */
#include "images/registry_auth.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one registry: borrowed texts, "" where there is none. */
struct login {
    const char *username, *password, *identity_token, *registry_token;
};

__attribute__((format(printf, 2, 3))) static void problem(struct registry_auth *auth, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(auth->problem, sizeof auth->problem, format, args);
    va_end(args);
}

static void wipe(char *bytes, size_t size)
{
    if (bytes)
        explicit_bzero(bytes, size);
    free(bytes);
}

/* ---- base64 (RFC 4648) ----------------------------------------------------------------------- */

static int sextet(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

static size_t decoded_size(const char *text)
{
    return strlen(text) / 4 * 3 + 4;
}

/* Owned, with a zero byte at its end; NULL when it is no base64. */
static char *decode(const char *text)
{
    size_t len = strlen(text), out = 0;
    while (len > 0 && text[len - 1] == '=')
        len--;
    char *bytes = calloc(decoded_size(text), 1);
    if (!bytes)
        abort();
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int value = sextet(text[i]);
        if (value < 0 || len % 4 == 1) {
            wipe(bytes, out);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 > 0)
            bytes[out++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
    }
    return bytes;
}

/* Section 5, the alphabet for URLs, padded: what the engine decodes. */
static void encode(char *to, const char *from, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < len ? (unsigned char)from[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            *to++ = j <= len - i ? alphabet[bits >> (18 - 6 * j) & 63] : '=';
    }
    *to = '\0';
}

/* ---- the header ------------------------------------------------------------------------------ */

static void set_text(const struct sbx_json_api *json, sbx_json *object, const char *key, const char *text)
{
    if (*text)
        json->set(object, key, json->new_string(text));
}

static void make_header(struct registry_auth *auth, const struct sbx_json_api *json,
                        const struct login *login, const char *registry)
{
    static const char name[] = "X-Registry-Auth: ";
    if (!*login->username && !*login->identity_token && !*login->registry_token)
        return;
    sbx_json *object = json->new_object();
    set_text(json, object, "username", login->username);
    set_text(json, object, "password", login->password);
    set_text(json, object, "identitytoken", login->identity_token);
    set_text(json, object, "registrytoken", login->registry_token);
    set_text(json, object, "serveraddress", registry);
    size_t len;
    const char *text = json->text(object, &len);
    size_t size = sizeof name + (len + 2) / 3 * 4;
    if (size > AUTH_HEADER_MAX) {
        problem(auth, "the credentials of %.100s are longer than the engine takes", registry);
    } else {
        auth->header = malloc(size);
        if (!auth->header)
            abort();
        memcpy(auth->header, name, sizeof name);
        encode(auth->header + sizeof name - 1, text, len);
    }
    json->free(object);
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* "https://registry.example/v1/" as a key means "registry.example" (the Docker client's ConvertToHostname). */
static bool is_key_of(const char *key, const char *registry)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < 2; i++)
        if (strncmp(key, schemes[i], strlen(schemes[i])) == 0) {
            key += strlen(schemes[i]);
            break;
        }
    size_t len = strcspn(key, "/");
    return len == strlen(registry) && memcmp(key, registry, len) == 0;
}

/* The registry's member of a map; exactly its key goes before one that means the same. */
static const sbx_json *find(const struct sbx_json_api *json, const sbx_json *map, const char *registry)
{
    const sbx_json *value = json->get(map, registry);
    const char *key;
    for (size_t i = 0; !value && (key = json->member(map, i, NULL)); i++)
        if (is_key_of(key, registry))
            json->member(map, i, &value);
    return value;
}

/* `auth` is base64 of "user:password", and goes before the two by themselves. Its text is in `*decoded`. */
static bool read_entry(const struct sbx_json_api *json, const sbx_json *entry, struct login *login,
                       char **decoded)
{
    const char *encoded = json->string(json->get(entry, "auth"), "");
    login->username = json->string(json->get(entry, "username"), "");
    login->password = json->string(json->get(entry, "password"), "");
    login->identity_token = json->string(json->get(entry, "identitytoken"), "");
    login->registry_token = json->string(json->get(entry, "registrytoken"), "");
    if (!*encoded)
        return true;
    *decoded = decode(encoded);
    char *colon = *decoded ? strchr(*decoded, ':') : NULL;
    if (!colon || colon == *decoded)
        return false;
    *colon = '\0';
    login->username = *decoded;
    login->password = colon + 1;
    return true;
}

static void from_entry(struct registry_auth *auth, const struct sbx_json_api *json, const sbx_json *entry,
                       const char *registry)
{
    struct login login;
    char *decoded = NULL;
    if (read_entry(json, entry, &login, &decoded))
        make_header(auth, json, &login, registry);
    else
        problem(auth, "auths[\"%.100s\"].auth must be the base64 of user:password", registry);
    wipe(decoded, decoded_size(json->string(json->get(entry, "auth"), "")));
}

/* The name becomes part of a file's. */
static bool is_helper_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= AUTH_HELPER_MAX && !strchr(name, '/');
}

void registry_auth_from_config(struct registry_auth *auth, const struct sbx_json_api *json, const char *text,
                               size_t len, const char *registry)
{
    *auth = (struct registry_auth){0};
    const char *why;
    sbx_json *config = json->parse(text, len, &why);
    const sbx_json *helper = find(json, json->get(config, "credHelpers"), registry);
    const char *place = "credHelpers";
    if (!helper) {
        helper = json->get(config, "credsStore");
        place = "credsStore";
    }
    const char *name = json->string(helper, NULL);
    if (!config) {
        problem(auth, "it is not valid JSON: %s", why);
    } else if (json->type(config) != SBX_JSON_OBJECT) {
        problem(auth, "it must be a JSON object");
    } else if (name && is_helper_name(name)) {
        memcpy(auth->helper, name, strlen(name) + 1);
    } else if (name ? *name != '\0' : json->type(helper) != SBX_JSON_NULL) {
        problem(auth, "%s must name a program docker-credential-NAME, without a slash, in 1 to %d bytes",
                place, AUTH_HELPER_MAX);
    } else {
        from_entry(auth, json, find(json, json->get(config, "auths"), registry), registry);
    }
    json->free(config);
}

/* ---- a helper's answer ----------------------------------------------------------------------- */

void registry_auth_from_helper(struct registry_auth *auth, const struct sbx_json_api *json, const char *text,
                               size_t len, const char *registry)
{
    *auth = (struct registry_auth){0};
    sbx_json *answer = json->parse(text, len, NULL);
    const char *username = json->string(json->get(answer, "Username"), "");
    const char *secret = json->string(json->get(answer, "Secret"), "");
    struct login login = {"", "", "", ""};
    if (strcmp(username, "<token>") == 0) {
        login.identity_token = secret;
    } else {
        login.username = username;
        login.password = secret;
    }
    if (!*username || !*secret)
        problem(auth, "its answer must be a JSON object with Username and Secret");
    else
        make_header(auth, json, &login, registry);
    json->free(answer);
}

void registry_auth_finish(struct registry_auth *auth)
{
    wipe(auth->header, auth->header ? strlen(auth->header) : 0);
    auth->header = NULL;
}
