/* api/errors.c: see errors.h. The only place that knows which status and shape a failure gets. */
#include "api/errors.h"

#include "api/render.h"
#include "api/text.h"
#include "base/error.h"
#include "sandbox/table.h"

#include <string.h>

static const char retry_after[] = "5"; /* seconds: about what a reconnect or a restart takes */

static int status_of(const struct sbx_error *err)
{
    /* A client sees it only when the daemon, and not the client, gave the operation up. */
    return err->kind == SBX_ERR_CANCELLED ? 503 : error_http_status(err);
}

/* Takes both values. `extra_key` NULL: there is nothing beside the detail. */
static void reply(struct call *call, int status, struct json_object *detail, const char *extra_key,
                  struct json_object *extra)
{
    struct json_object *body = json_object_new_object();
    text_put(body, "detail", detail);
    if (extra_key)
        text_put(body, extra_key, extra);
    if (status == 503)
        http_add_header(call->request, "Retry-After", retry_after);
    call_reply_json(call, status, body);
}

void errors_reply(struct call *call, int status, const char *detail)
{
    reply(call, status, text_string(detail), NULL, NULL);
}

void errors_reply_official(struct call *call, int status, const char *reason)
{
    const char *words = status == 401 ? "Unauthorized" : status == 404 ? "Not Found" : "Method Not Allowed";
    reply(call, status, text_string(words), "reason", text_string(reason));
}

void errors_reply_refusal(struct call *call, const struct sbx_error *err)
{
    switch (err->kind) {
    case SBX_ERR_LIMIT: {
        /* The app server's clients look for this object. */
        struct json_object *detail = json_object_new_object();
        text_put(detail, "error", text_string("CONCURRENCY_LIMIT_REACHED"));
        text_put(detail, "message", text_string(err->message));
        reply(call, 429, detail, NULL, NULL);
        return;
    }
    case SBX_ERR_NOT_FOUND:
        if (strcmp(err->code, "NOT_FOUND") == 0) /* the sandbox, not a spec */
            errors_reply_official(call, 404, err->message);
        else
            errors_reply(call, 404, err->message);
        return;
    case SBX_ERR_INVALID:
    case SBX_ERR_CONFLICT: errors_reply(call, status_of(err), err->message); return;
    default: errors_reply_failure(call, err); return;
    }
}

/* The end that this failure tells of, where the call is about a sandbox that is in ERROR for it; NULL: none. */
static const struct sandbox_failure *end_of(const struct call *call, const struct sbx_error *err)
{
    const struct sandbox *sandbox =
        call->id[0] ? table_get(service_table(call->api->deps.service), &call->viewer, call->id) : NULL;
    const struct sandbox_failure *failure =
        sandbox && sandbox->status == SANDBOX_ERROR ? sandbox->failure : NULL;
    bool same = failure && strcmp(failure->error.code, err->code) == 0 &&
                strcmp(failure->error.message, err->message) == 0;
    return same ? failure : NULL;
}

void errors_reply_failure(struct call *call, const struct sbx_error *err)
{
    const struct sandbox_failure *end = end_of(call, err);
    errors_reply_end(call, err, end ? end->exit_code : -1, end ? end->log_tail : NULL);
}

void errors_reply_end(struct call *call, const struct sbx_error *err, int exit_code, const char *log_tail)
{
    reply(call, status_of(err), text_string(err->message), "error", render_error(err, exit_code, log_tail));
}

void errors_reply_no_sandbox(struct call *call)
{
    errors_reply_official(call, 404, "there is no such sandbox");
}

void errors_reply_draining(struct call *call)
{
    errors_reply(call, 503, "the daemon is shutting down");
}

void errors_reply_not_ready(struct call *call, const char *detail, struct json_object *backends)
{
    reply(call, 503, text_string(detail), "backends", backends);
}

void errors_reply_no_key(struct call *call, const char *reason)
{
    http_add_header(call->request, "WWW-Authenticate", "Bearer");
    errors_reply_official(call, 401, reason);
}

void errors_reply_unauthorized(struct call *call, const char *challenge, const char *detail)
{
    http_add_header(call->request, "WWW-Authenticate", challenge);
    errors_reply(call, 401, detail);
}

void errors_reply_parameters(struct call *call, struct json_object *problems)
{
    reply(call, 422, problems, NULL, NULL);
}
