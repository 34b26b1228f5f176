/* api/webhooks.c: what agent servers report, with the session key of their sandbox. The mirror (mirror/mirror.h) checks
 * and stores it; here is who may, how much, and what is answered. */
#include "api/errors.h"
#include "api/guard.h"
#include "api/routes.h"
#include "api/session.h"
#include "api/text.h"
#include "mirror/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A report whose call is pending. */
struct webhook {
    struct call *call;
    struct mirror_report *report;
    bool of_events;
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE];
};

enum { TELL_REJECTED = 100 }; /* events that an answer names; it counts them all */

/* `loc` is taken. `because` NULL: the app server gives no reason for this type. */
static void reply_wrong(struct call *call, const char *type, struct json_object *loc, const char *msg,
                        const char *input, const char *because)
{
    struct json_object *problem = json_object_new_object();
    text_put(problem, "type", text_string(type));
    text_put(problem, "loc", loc);
    text_put(problem, "msg", text_string(msg));
    text_put(problem, "input", text_string(input));
    if (because) {
        struct json_object *ctx = json_object_new_object();
        text_put(ctx, "error", text_string(because));
        text_put(problem, "ctx", ctx);
    }
    struct json_object *problems = json_object_new_array();
    text_push(problems, problem);
    errors_reply_parameters(call, problems);
}

static void reply_wrong_body(struct call *call, const struct mirror_outcome *outcome, const char *msg)
{
    struct json_object *loc = json_object_new_array();
    text_push(loc, text_string("body"));
    if (outcome->event != MIRROR_WHERE_NOTHING)
        text_push(loc, json_object_new_int64(outcome->event));
    if (outcome->member)
        text_push(loc, text_string(outcome->member));
    reply_wrong(call, "value_error", loc, msg, NULL, NULL);
}

/* The agent server sends a batch again as a whole until it is taken: what is right is stored, and the answer is a
 * success that tells what is not. */
static void reply_rejected(struct call *call, const struct mirror_outcome *outcome)
{
    struct json_object *value = json_object_new_object(), *list = json_object_new_array();
    for (size_t i = 0; i < outcome->rejected_len && i < TELL_REJECTED; i++) {
        const struct mirror_rejected *rejected = &outcome->rejected[i];
        struct json_object *item = json_object_new_object();
        text_put(item, "index", json_object_new_int64(rejected->event));
        text_put(item, "member", text_string(rejected->member));
        text_put(item, "msg", text_string(rejected->why));
        text_push(list, item);
    }
    text_put(value, "success", json_object_new_boolean(1));
    text_put(value, "rejected", list);
    text_put(value, "rejected_count", json_object_new_int64((int64_t)outcome->rejected_len));
    call_reply_json(call, 200, value);
}

static void reply_wrong_conversation(struct call *call)
{
    struct json_object *loc = json_object_new_array();
    text_push(loc, text_string("path"));
    text_push(loc, text_string("conversation_id"));
    reply_wrong(call, "uuid_parsing", loc,
                "Input should be a valid UUID, 32 hexadecimal digits with or without dashes", call->item,
                "32 hexadecimal digits with or without dashes");
}

static void reported(void *arg, const struct sbx_error *err, const struct mirror_outcome *outcome)
{
    struct webhook *webhook = arg;
    struct call *call = webhook->call;
    free(webhook);
    if (!err && outcome->rejected_len > 0)
        reply_rejected(call, outcome);
    else if (!err)
        call_reply_success(call);
    else if (err->kind == SBX_ERR_INVALID)
        reply_wrong_body(call, outcome, err->message);
    else
        errors_reply_failure(call, err);
}

static void body_is_here(void *arg, struct http_request *request, const void *body, size_t len)
{
    (void)request;
    struct webhook *webhook = arg;
    if (webhook->of_events)
        mirror_report_events(webhook->report, webhook->conversation_id, body, len, reported, webhook);
    else
        mirror_report_conversation(webhook->report, body, len, reported, webhook);
}

/* The client left, or its body was not what the front end takes. What is here whole is stored all the same. */
static void gone(struct call *call)
{
    struct webhook *webhook = call->state;
    mirror_report_close(webhook->report);
    free(webhook);
}

/* The bytes that room is made for: what the client says, or the most that it may send. */
static size_t size_of_body(const struct http_request *request)
{
    if (!http_has_body(request))
        return 0;
    const char *length = http_header(request, "Content-Length");
    unsigned long long size = length ? strtoull(length, NULL, 10) : MIRROR_MAX_REPORT;
    return size < MIRROR_MAX_REPORT ? (size_t)size : MIRROR_MAX_REPORT;
}

/* NULL: it was answered. */
static const struct sandbox *find_reporter(struct call *call)
{
    const struct sandbox *sandbox = session_reporter(call);
    if (sandbox && call->id[0] && strcmp(call->id, sandbox->id) != 0) {
        session_reply_invalid(call);
        return NULL;
    }
    if (sandbox)
        snprintf(call->id, sizeof call->id, "%s", sandbox->id); /* for the log */
    return sandbox;
}

static void begin(struct call *call, bool of_events)
{
    const struct sandbox *sandbox = find_reporter(call);
    if (!sandbox || (http_has_body(call->request) && !guard_admit_body(call)))
        return;
    struct webhook *webhook = calloc(1, sizeof *webhook);
    if (!webhook)
        abort();
    webhook->call = call;
    webhook->of_events = of_events;
    if (of_events && !mirror_conversation_id(call->item, webhook->conversation_id)) {
        free(webhook);
        reply_wrong_conversation(call);
        return;
    }
    struct sbx_error err;
    webhook->report = mirror_report_open(call->api->deps.mirror, sandbox, size_of_body(call->request), &err);
    if (!webhook->report) {
        free(webhook);
        errors_reply_failure(call, &err);
        return;
    }
    call_hold(call, gone, webhook);
    if (http_has_body(call->request))
        http_read_body(call->request, MIRROR_MAX_REPORT, body_is_here, webhook);
    else
        body_is_here(webhook, call->request, "", 0);
}

void webhooks_conversations(struct call *call)
{
    begin(call, false);
}

void webhooks_events(struct call *call)
{
    begin(call, true);
}
