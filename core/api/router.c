/* api/router.c: see router.h. The first pattern that matches is the path's: an element that is written out
 * stands above one that is not. */
#include "api/router.h"

#include "api/routes.h"

#include <stdio.h>
#include <string.h>

const char *const router_any[] = {NULL};

/* A batch's ids, as clients spell them. */
static const char *const batch[] = {"id", "ids", "id[]", "ids[]", NULL};
static const char *const sessions[] = {"ids", "id", "ids[]", "id[]", NULL};
static const char *const page[] = {"page_id", "limit", NULL};
static const char *const conversations[] = {"page_id", "limit", "sandbox_id__eq", NULL};
static const char *const start[] = {"sandbox_spec_id", "wait", NULL};
static const char *const removal[] = {"sandbox_id", NULL};
static const char *const logs[] = {"tail", "follow", NULL};
static const char *const user[] = {"expose_secrets", NULL};
static const char *const image[] = {"image", NULL};
static const char *const build[] = {"build_id", NULL};
static const char *const count[] = {"conversation_id__eq", "kind__eq", "timestamp__gte", "timestamp__lt",
                                    NULL};
static const char *const events[] = {"conversation_id__eq", "kind__eq", "timestamp__gte", "timestamp__lt",
                                     "sort_order",          "page_id",  "limit",          NULL};

static const struct route routes[] = {
    {"GET", "/api/v1/sandboxes/search", ACCESS_USER, false, sandboxes_search, page, BODY_NONE},
    {"GET", "/api/v1/sandboxes", ACCESS_USER, false, sandboxes_batch, batch, BODY_NONE},
    {"GET", "/api/v1/sandboxes/{id}", ACCESS_USER, false, sandboxes_get, NULL, BODY_NONE},
    {"POST", "/api/v1/sandboxes", ACCESS_USER, true, changes_start, start, BODY_JSON},
    {"POST", "/api/v1/sandboxes/{id}/pause", ACCESS_USER, true, changes_pause, NULL, BODY_NONE},
    {"POST", "/api/v1/sandboxes/{id}/resume", ACCESS_USER, true, changes_resume, NULL, BODY_NONE},
    {"DELETE", "/api/v1/sandboxes/{id}", ACCESS_USER, true, changes_delete, removal, BODY_NONE},
    {"GET", "/api/v1/sandboxes/{id}/logs", ACCESS_USER, false, logs_stream, logs, BODY_NONE},
    {"GET", "/api/v1/sandboxes/{id}/settings/secrets", ACCESS_SESSION, false, secrets_list, NULL, BODY_NONE},
    {"GET", "/api/v1/sandboxes/{id}/settings/secrets/{name}", ACCESS_SESSION, false, secrets_get, NULL,
     BODY_NONE},
    {"GET", "/api/v1/sandbox", ACCESS_SESSION, false, session_get, NULL, BODY_NONE},
    {"GET", "/api/v1/users/me", ACCESS_USER, false, users_me, user, BODY_NONE},
    {"GET", "/api/v1/sandbox-specs/search", ACCESS_USER, false, specs_search, page, BODY_NONE},
    {"GET", "/api/v1/sandbox-specs", ACCESS_USER, false, specs_batch, batch, BODY_NONE},
    {"POST", "/api/v1/webhooks/conversations", ACCESS_SESSION, false, webhooks_conversations, NULL, BODY_OWN},
    {"POST", "/api/v1/webhooks/events/{conversation_id}", ACCESS_SESSION, false, webhooks_events, NULL,
     BODY_OWN},
    {"POST", "/api/v1/webhooks/{id}/conversations", ACCESS_SESSION, false, webhooks_conversations, NULL,
     BODY_OWN},
    {"POST", "/api/v1/webhooks/{id}/events/{conversation_id}", ACCESS_SESSION, false, webhooks_events, NULL,
     BODY_OWN},
    {"GET", "/api/v1/conversations/search", ACCESS_USER, false, conversations_search, conversations,
     BODY_NONE},
    {"GET", "/api/v1/events/search", ACCESS_USER, false, events_search, events, BODY_NONE},
    {"GET", "/api/v1/events/count", ACCESS_USER, false, events_count, count, BODY_NONE},
    {"GET", "/api/v1/events", ACCESS_USER, false, events_batch, batch, BODY_NONE},
    {"GET", "/api/v1/backends", ACCESS_ADMIN, false, backends_list, NULL, BODY_NONE},
    {"POST", "/runtime-api/start", ACCESS_RUNTIME, true, runtime_start, NULL, BODY_JSON},
    {"GET", "/runtime-api/sessions/batch", ACCESS_RUNTIME, false, runtime_sessions, sessions, BODY_NONE},
    {"GET", "/runtime-api/sessions/{id}", ACCESS_RUNTIME, false, runtime_session, NULL, BODY_NONE},
    {"GET", "/runtime-api/runtime/{id}", ACCESS_RUNTIME, false, runtime_get, NULL, BODY_NONE},
    {"GET", "/runtime-api/list", ACCESS_RUNTIME, false, runtime_list, NULL, BODY_NONE},
    {"POST", "/runtime-api/pause", ACCESS_RUNTIME, true, runtime_pause, NULL, BODY_JSON},
    {"POST", "/runtime-api/resume", ACCESS_RUNTIME, true, runtime_resume, NULL, BODY_JSON},
    {"POST", "/runtime-api/stop", ACCESS_RUNTIME, true, runtime_stop, NULL, BODY_JSON},
    {"GET", "/runtime-api/registry_prefix", ACCESS_RUNTIME, false, runtime_registry_prefix, NULL, BODY_NONE},
    {"GET", "/runtime-api/image_exists", ACCESS_RUNTIME, false, runtime_image_exists, image, BODY_NONE},
    {"POST", "/runtime-api/build", ACCESS_RUNTIME, true, runtime_build, NULL, BODY_OWN},
    {"GET", "/runtime-api/build_status", ACCESS_RUNTIME, false, runtime_build_status, build, BODY_NONE},
    {"GET", "/health", ACCESS_OPEN, false, system_health, router_any, BODY_OWN},
    {"GET", "/alive", ACCESS_OPEN, false, system_health, router_any, BODY_OWN},
    {"GET", "/ready", ACCESS_PROBE, false, system_ready, router_any, BODY_OWN},
    {"GET", "/metrics", ACCESS_ADMIN, false, metrics_get, router_any, BODY_OWN},
    {"GET", "/openapi.json", ACCESS_OPEN, false, openapi_get, router_any, BODY_OWN},
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

/* The first route whose pattern matches a path, which is that of the path; NULL: there is none. */
static const struct route *first_of(const char *path, struct router_names *names)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (matches(routes[i].pattern, path, names))
            return &routes[i];
    return NULL;
}

static const char *pattern_of(const char *path, struct router_names *names)
{
    const struct route *first = first_of(path, names);
    return first ? first->pattern : NULL;
}

enum route_access router_access(const char *path)
{
    struct router_names names;
    const struct route *first = first_of(path, &names);
    return first ? first->access : ACCESS_USER;
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
