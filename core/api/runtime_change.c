/* api/runtime_change.c: pause, resume and stop of a runtime. Each asks the service, as changes.c does. */
#include "api/runtime.h"

#include "api/errors.h"
#include "api/routes.h"
#include "api/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_object *runtime_body(struct call *call)
{
    struct json_object *body = call->body ? text_parse_object(call->body, call->body_len) : NULL;
    struct params params = runtime_params(call);
    if (!body)
        params_problem(&params, "json_invalid", NULL, "must be one JSON object, without NUL in its texts",
                       NULL);
    params_reject(&params);
    return body;
}

static void done(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    struct call *call = arg;
    if (err)
        errors_reply_failure(call, err);
    else
        runtime_reply(call, sandbox);
}

/* The runtime that the body names, as call->id. False: it was answered. */
static bool take_id(struct call *call)
{
    struct json_object *body = runtime_body(call);
    if (!body)
        return false;
    struct params params = runtime_params(call);
    struct json_object *id = json_object_object_get(body, "runtime_id");
    const char *text = json_object_is_type(id, json_type_string) ? json_object_get_string(id) : NULL;
    if (!text)
        params_problem(&params, "string_type", "runtime_id", "must be the runtime_id, a text", NULL);
    else if (strlen(text) < sizeof call->id) /* else there is no such runtime */
        snprintf(call->id, sizeof call->id, "%s", text);
    json_object_put(body);
    return !params_reject(&params);
}

void runtime_pause(struct call *call)
{
    struct sbx_error err;
    if (take_id(call))
        call_hold_wait(
            call, service_pause(call->api->deps.service, &call->viewer, call->id, done, call, &err), &err);
}

void runtime_resume(struct call *call)
{
    struct sbx_error err;
    if (take_id(call))
        call_hold_wait(
            call, service_resume(call->api->deps.service, &call->viewer, call->id, done, call, &err), &err);
}

/* ---- stop: the sandbox is deleted, and what it was is the answer ---- */

struct stop {
    struct call *call;
    struct sandbox_wait *wait;
    struct json_object *runtime;
};

static void stopped(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    (void)sandbox;
    struct stop *stop = arg;
    if (err) {
        errors_reply_failure(stop->call, err);
        json_object_put(stop->runtime);
    } else {
        call_reply_json(stop->call, 200, stop->runtime);
    }
    free(stop);
}

static void give_up_stop(struct call *call)
{
    struct stop *stop = call->state;
    service_give_up(stop->wait);
    json_object_put(stop->runtime);
    free(stop);
}

void runtime_stop(struct call *call)
{
    if (!take_id(call))
        return;
    struct service *service = call->api->deps.service;
    const struct sandbox *sandbox = table_get(service_table(service), &call->viewer, call->id);
    struct stop *stop = calloc(1, sizeof *stop);
    struct sbx_error err;
    if (!stop)
        abort();
    *stop = (struct stop){.call = call, .runtime = sandbox ? runtime_stopped(sandbox) : NULL};
    stop->wait = service_delete(service, &call->viewer, call->id, stopped, stop, &err);
    if (stop->wait) {
        call_hold(call, give_up_stop, stop);
        return;
    }
    json_object_put(stop->runtime);
    free(stop);
    errors_reply_refusal(call, &err);
}
