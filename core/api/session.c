/* api/session.c: what is asked with the session key of a sandbox instead of a user's API key. */
#include "api/session.h"

#include "api/errors.h"
#include "api/routes.h"

/* The words of both 401s are those that the app server's clients know. */
static const char challenge[] = "APIKey";

void session_reply_unauthorized(struct call *call, const char *detail)
{
    errors_reply_unauthorized(call, challenge, detail);
}

void session_reply_invalid(struct call *call)
{
    session_reply_unauthorized(call, "Invalid session API key");
}

static const struct sandbox *find(struct call *call,
                                  const struct sandbox *(*get)(const struct table *, const char *))
{
    const char *key = http_header(call->request, "X-Session-API-Key");
    if (!key || !*key) {
        session_reply_unauthorized(call, "X-Session-API-Key header is required");
        return NULL;
    }
    const struct sandbox *sandbox = get(service_table(call->api->deps.service), key);
    if (!sandbox)
        session_reply_invalid(call);
    return sandbox;
}

const struct sandbox *session_sandbox(struct call *call)
{
    return find(call, table_get_by_key);
}

const struct sandbox *session_reporter(struct call *call)
{
    return find(call, table_get_reporter);
}

/* A key that leaked is of no use once its sandbox was paused, or has ended. */
const struct sandbox *session_running_sandbox(struct call *call)
{
    const struct sandbox *sandbox = session_sandbox(call);
    if (!sandbox || sandbox->status == SANDBOX_RUNNING)
        return sandbox;
    session_reply_unauthorized(call, "Sandbox is not running");
    return NULL;
}

void session_get(struct call *call)
{
    const struct sandbox *sandbox = session_sandbox(call);
    if (sandbox)
        call_reply_sandbox(call, sandbox);
}
