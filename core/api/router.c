/* api/router.c: see router.h. The table is searched from its top: an element that is written out comes
 * before {id}. */
#include "api/router.h"

#include "api/routes.h"

#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
    {"GET", "/api/v1/sandboxes/search", ACCESS_USER, false, sandboxes_search},
    {"GET", "/api/v1/sandboxes", ACCESS_USER, false, sandboxes_batch},
    {"GET", "/api/v1/sandboxes/{id}", ACCESS_USER, false, sandboxes_get},
    {"POST", "/api/v1/sandboxes", ACCESS_USER, true, changes_start},
    {"POST", "/api/v1/sandboxes/{id}/pause", ACCESS_USER, true, changes_pause},
    {"POST", "/api/v1/sandboxes/{id}/resume", ACCESS_USER, true, changes_resume},
    {"DELETE", "/api/v1/sandboxes/{id}", ACCESS_USER, true, changes_delete},
    {"GET", "/api/v1/sandboxes/{id}/logs", ACCESS_USER, false, logs_stream},
    {"GET", "/api/v1/sandbox", ACCESS_OPEN, false, session_get},
    {"GET", "/api/v1/sandbox-specs/search", ACCESS_USER, false, specs_search},
    {"GET", "/api/v1/sandbox-specs", ACCESS_USER, false, specs_batch},
    {"GET", "/api/v1/backends", ACCESS_ADMIN, false, backends_list},
    {"GET", "/health", ACCESS_OPEN, false, system_health},
    {"GET", "/alive", ACCESS_OPEN, false, system_health},
    {"GET", "/ready", ACCESS_OPEN, false, system_ready},
    {"GET", "/metrics", ACCESS_ADMIN, false, metrics_get},
    {"GET", "/openapi.json", ACCESS_OPEN, false, openapi_get},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

/* `id` may be NULL. */
static bool matches(const char *pattern, const char *path, size_t path_len, char *id)
{
    static const char variable[] = "{id}";
    const char *open = strchr(pattern, '{');
    if (!open)
        return strlen(pattern) == path_len && memcmp(pattern, path, path_len) == 0;
    size_t prefix = (size_t)(open - pattern);
    const char *suffix = open + sizeof variable - 1;
    size_t suffix_len = strlen(suffix);
    if (path_len <= prefix + suffix_len || memcmp(pattern, path, prefix) != 0 ||
        memcmp(suffix, path + path_len - suffix_len, suffix_len) != 0)
        return false;
    size_t id_len = path_len - prefix - suffix_len;
    if (id_len >= CALL_ID_SIZE || memchr(path + prefix, '/', id_len))
        return false;
    if (id) {
        memcpy(id, path + prefix, id_len);
        id[id_len] = '\0';
    }
    return true;
}

static size_t length_of(const char *path)
{
    size_t len = strlen(path);
    return len > 1 && path[len - 1] == '/' ? len - 1 : len;
}

enum router_result router_find(const char *method, const char *path, const struct route **route,
                               char id[CALL_ID_SIZE])
{
    size_t len = length_of(path);
    bool head = strcmp(method, "HEAD") == 0;
    enum router_result result = ROUTER_NO_PATH;
    id[0] = '\0';
    for (size_t i = 0; i < ROUTES; i++) {
        if (!matches(routes[i].pattern, path, len, id))
            continue;
        if (strcmp(routes[i].method, head ? "GET" : method) == 0) {
            *route = &routes[i];
            return ROUTER_FOUND;
        }
        result = ROUTER_NO_METHOD;
    }
    return result;
}

void router_allow(const char *path, char out[ROUTER_ALLOW_SIZE])
{
    size_t len = length_of(path), used = 0;
    for (size_t i = 0; i < ROUTES; i++)
        if (matches(routes[i].pattern, path, len, NULL)) {
            const char *method = routes[i].method;
            used += (size_t)snprintf(out + used, ROUTER_ALLOW_SIZE - used, "%s, ",
                                     strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
        }
    snprintf(out + used, ROUTER_ALLOW_SIZE - used, "OPTIONS");
}

const struct route *router_at(size_t index)
{
    return index < ROUTES ? &routes[index] : NULL;
}
