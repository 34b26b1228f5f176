/* api/api.c: see api.h. The way of a request from its head to its handler: route, guard, key, drain, body. */
#include "api/api.h"

#include "api/auth.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/guard.h"
#include "api/params.h"
#include "api/router.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

struct api *api_create(const struct api_deps *deps)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        abort();
    api->deps = *deps;
    api->out = evbuffer_new();
    if (!api->out)
        abort();
    return api;
}

void api_set_server(struct api *api, const struct http_server *server)
{
    api->server = server;
}

void api_drain(struct api *api)
{
    api->draining = true;
    logs_end_all(api);
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    evbuffer_free(api->out);
    free(api);
}

static void reply_wrong_method(struct call *call)
{
    char allow[ROUTER_ALLOW_SIZE];
    router_allow(http_path(call->request), allow);
    http_add_header(call->request, "Allow", allow);
    if (strcmp(http_method(call->request), "OPTIONS") == 0)
        call_reply(call, 204, NULL, NULL, 0);
    else
        errors_reply_official(call, 405, "this path does not have that method: see Allow");
}

static void reply_unasked_body(struct call *call)
{
    struct params params = {.call = call, .place = "body"};
    params_problem(&params, "extra_forbidden", NULL,
                   "Extra inputs are not permitted: this method takes no body here, only parameters, if any",
                   NULL);
    params_reject(&params);
}

/* Taken in whole also where the route takes none, so that one over max_body, or with something in it, is told so
 * before anything was changed. */
static void body_is_here(void *arg, struct http_request *request, const void *body, size_t len)
{
    (void)request;
    struct call *call = arg;
    call->body = body;
    call->body_len = len;
    if (call->route->changes && call->api->draining)
        errors_reply_draining(call);
    else if (len > 0 && !guard_admit_body(call))
        return;
    else if (call->route->body == BODY_NONE && !call_says_nothing(body, len))
        reply_unasked_body(call);
    else
        call->route->handle(call);
}

void api_head(void *arg, struct http_request *request)
{
    struct api *api = arg;
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->api = api;
    call->request = request;
    if (log_enabled(LOG_INFO))
        call->began_us = clock_us();

    struct router_names names;
    enum router_result found = router_find(http_method(request), http_path(request), &call->route, &names);
    memcpy(call->id, names.id, sizeof call->id);
    memcpy(call->item, names.item, sizeof call->item);
    if (!guard_admit(call, call->route ? call->route->access : router_access(http_path(request))))
        return;
    switch (found) {
    case ROUTER_NO_PATH: errors_reply_official(call, 404, "there is nothing at this path"); return;
    case ROUTER_NO_METHOD: reply_wrong_method(call); return;
    case ROUTER_FOUND: break;
    }
    if (call->route->access == ACCESS_RUNTIME && !http_config(request)->runtime_api_enabled) {
        errors_reply(call, 404, "the runtime API is not enabled here (runtime_api.enabled)");
        return;
    }
    if (call->route->access >= ACCESS_USER) {
        const char *why_not = auth_identify(call);
        if (why_not) {
            errors_reply_no_key(call, why_not);
            return;
        }
        if (call->route->access == ACCESS_ADMIN && !call->viewer.everything) {
            errors_reply(call, 403, "only an admin may see this");
            return;
        }
    }
    if (call->route->changes && api->draining) {
        errors_reply_draining(call);
        return;
    }
    if (!params_known(call))
        return;
    if (call->route->body != BODY_OWN && http_has_body(request)) {
        call_hold(call, NULL, NULL);
        http_read_body(request, http_config(request)->max_body, body_is_here, call);
        return;
    }
    call->route->handle(call);
}
