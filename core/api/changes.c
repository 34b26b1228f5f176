/* api/changes.c: start, pause, resume and delete. Each asks the service, and holds its call until it answers. */
#include "api/errors.h"
#include "api/params.h"
#include "api/routes.h"
#include "api/text.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_MOST_MS = 60 * 60 * 1000 }; /* whatever startup_timeout is: clients don't know it */

static void started(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    struct call *call = arg;
    if (err) {
        errors_reply_failure(call, err);
        return;
    }
    snprintf(call->id, sizeof call->id, "%s", sandbox->id);
    call_reply_sandbox(call, sandbox);
}

/* ---- start ---- */

static const char *const start_members[] = {"sandbox_spec_id", "wait", NULL};

/* What a start asks for, in its query or its body. */
struct start_asked {
    const char *spec_id; /* NULL: the default */
    uint32_t wait_ms;
    bool waits; /* `wait` is given */
};

static void refuse_difference(struct params *params, const char *name)
{
    params_problem(params, "value_error", name,
                   "must be what the parameter of that name says, or be left out", NULL);
}

static void take_spec_id(struct params *params, struct json_object *value, struct start_asked *asked)
{
    if (!value)
        return;
    if (!json_object_is_type(value, json_type_string)) {
        params_problem(params, "string_type", "sandbox_spec_id", "Input should be a valid string", NULL);
        return;
    }
    const char *id = json_object_get_string(value);
    if (asked->spec_id && strcmp(asked->spec_id, id) != 0)
        refuse_difference(params, "sandbox_spec_id");
    asked->spec_id = id;
}

static void take_wait(struct params *params, struct json_object *value, struct start_asked *asked)
{
    uint32_t ms;
    if (!value)
        return;
    bool text = json_object_is_type(value, json_type_string) || json_object_is_type(value, json_type_int);
    if (!params_read_duration(params, "wait", text ? json_object_get_string(value) : "", WAIT_MOST_MS, &ms))
        return;
    if (asked->waits && asked->wait_ms != ms)
        refuse_difference(params, "wait");
    asked->wait_ms = ms;
    asked->waits = true;
}

/* The body's members say the same as the parameters of those names. The object, which holds the texts of `asked`;
 * NULL: there is none. */
static struct json_object *take_body(struct call *call, struct params *params, struct start_asked *asked)
{
    if (!call->body || call_says_nothing(call->body, call->body_len))
        return NULL;
    params->place = "body";
    struct json_object *body = text_parse_object(call->body, call->body_len);
    if (!body) {
        params_problem_because(params, "json_invalid", NULL, "JSON decode error", "error",
                               "the body must be one JSON object, such as {\"sandbox_spec_id\": \"ID\"}",
                               NULL);
        return NULL;
    }
    json_object_object_foreach(body, name, value)
    {
        if (strcmp(name, start_members[0]) == 0)
            take_spec_id(params, value, asked);
        else if (strcmp(name, start_members[1]) == 0)
            take_wait(params, value, asked);
        else
            params_refuse_unknown(params, start_members, name);
    }
    return body;
}

void changes_start(struct call *call)
{
    struct params params = params_of(call);
    struct start_asked asked = {.spec_id = params_text(&params, "sandbox_spec_id")};
    const char *wait_text = params_text(&params, "wait");
    if (wait_text)
        asked.waits = params_read_duration(&params, "wait", wait_text, WAIT_MOST_MS, &asked.wait_ms);
    struct json_object *body = take_body(call, &params, &asked);
    if (!params_reject(&params)) {
        struct sbx_error err;
        struct sandbox_wait *wait =
            service_start(call->api->deps.service, http_config(call->request), &call->viewer, asked.spec_id,
                          asked.wait_ms, started, call, &err);
        call_hold_wait(call, wait, &err);
    }
    json_object_put(body);
}

/* ---- pause, resume and delete ---- */

static void done(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    (void)sandbox;
    struct call *call = arg;
    if (err)
        errors_reply_failure(call, err);
    else
        call_reply_success(call);
}

void changes_pause(struct call *call)
{
    struct sbx_error err;
    call_hold_wait(call, service_pause(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}

void changes_resume(struct call *call)
{
    struct sbx_error err;
    call_hold_wait(call, service_resume(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}

/* The app server's published document wants the id a second time, as the parameter `sandbox_id`. */
void changes_delete(struct call *call)
{
    struct params params = params_of(call);
    const char *value;
    for (size_t i = 0; (value = http_query(call->request, "sandbox_id", i)); i++)
        if (strcmp(value, call->id) != 0)
            params_problem(&params, "value_error", "sandbox_id", "must be left out, or be the id in the path",
                           value);
    if (params_reject(&params))
        return;
    struct sbx_error err;
    call_hold_wait(call, service_delete(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}
