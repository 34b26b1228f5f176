/* api/router.c: see router.h. The first pattern that matches is the path's: an element that is written out
 * stands above one that is not. */
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
    {"POST", "/api/v1/webhooks/conversations", ACCESS_OPEN, false, webhooks_conversations},
    {"POST", "/api/v1/webhooks/events/{conversation_id}", ACCESS_OPEN, false, webhooks_events},
    {"POST", "/api/v1/webhooks/{id}/conversations", ACCESS_OPEN, false, webhooks_conversations},
    {"POST", "/api/v1/webhooks/{id}/events/{conversation_id}", ACCESS_OPEN, false, webhooks_events},
    {"GET", "/api/v1/conversations/search", ACCESS_USER, false, conversations_search},
    {"GET", "/api/v1/events/search", ACCESS_USER, false, events_search},
    {"GET", "/api/v1/events/count", ACCESS_USER, false, events_count},
    {"GET", "/api/v1/events", ACCESS_USER, false, events_batch},
    {"GET", "/api/v1/backends", ACCESS_ADMIN, false, backends_list},
    {"POST", "/runtime-api/start", ACCESS_RUNTIME, true, runtime_start},
    {"GET", "/runtime-api/sessions/batch", ACCESS_RUNTIME, false, runtime_sessions},
    {"GET", "/runtime-api/sessions/{id}", ACCESS_RUNTIME, false, runtime_session},
    {"GET", "/runtime-api/runtime/{id}", ACCESS_RUNTIME, false, runtime_get},
    {"GET", "/runtime-api/list", ACCESS_RUNTIME, false, runtime_list},
    {"POST", "/runtime-api/pause", ACCESS_RUNTIME, true, runtime_pause},
    {"POST", "/runtime-api/resume", ACCESS_RUNTIME, true, runtime_resume},
    {"POST", "/runtime-api/stop", ACCESS_RUNTIME, true, runtime_stop},
    {"GET", "/runtime-api/registry_prefix", ACCESS_RUNTIME, false, runtime_registry_prefix},
    {"GET", "/runtime-api/image_exists", ACCESS_RUNTIME, false, runtime_image_exists},
    {"POST", "/runtime-api/build", ACCESS_RUNTIME, false, runtime_no_builds},
    {"GET", "/runtime-api/build_status", ACCESS_RUNTIME, false, runtime_no_builds},
    {"GET", "/health", ACCESS_OPEN, false, system_health},
    {"GET", "/alive", ACCESS_OPEN, false, system_health},
    {"GET", "/ready", ACCESS_OPEN, false, system_ready},
    {"GET", "/metrics", ACCESS_ADMIN, false, metrics_get},
    {"GET", "/openapi.json", ACCESS_OPEN, false, openapi_get},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

static bool matches(const char *pattern, const char *path, struct router_names *names)
{
    static const char id[] = "{id}";
    names->id[0] = names->item[0] = '\0';
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        char *name = strncmp(pattern, id, sizeof id - 1) == 0 ? names->id : names->item;
        size_t len = strcspn(path, "/");
        if (len == 0 || len >= CALL_ID_SIZE)
            return false;
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        pattern = strchr(pattern, '}') + 1;
    }
    return *path == '\0';
}

/* The pattern of a path, the first that matches; NULL: there is none. */
static const char *pattern_of(const char *path, struct router_names *names)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (matches(routes[i].pattern, path, names))
            return routes[i].pattern;
    return NULL;
}

enum router_result router_find(const char *method, const char *path, const struct route **route,
                               struct router_names *names)
{
    const char *pattern = pattern_of(path, names);
    if (!pattern)
        return ROUTER_NO_PATH;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].pattern, pattern) == 0 && strcmp(routes[i].method, method) == 0) {
            *route = &routes[i];
            return ROUTER_FOUND;
        }
    return ROUTER_NO_METHOD;
}

void router_allow(const char *path, char out[ROUTER_ALLOW_SIZE])
{
    struct router_names names;
    const char *pattern = pattern_of(path, &names);
    size_t used = 0;
    for (size_t i = 0; pattern && i < ROUTES; i++)
        if (strcmp(routes[i].pattern, pattern) == 0) {
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
