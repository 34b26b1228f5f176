/* api/session.c: what is asked with the session key of a sandbox instead of a user's API key. */
#include "api/errors.h"
#include "api/routes.h"

/* The words of both 401s are those that the app server's clients know. */
void session_get(struct call *call)
{
    static const char challenge[] = "APIKey";
    const char *key = http_header(call->request, "X-Session-API-Key");
    if (!key || !*key) {
        errors_reply_unauthorized(call, challenge, "X-Session-API-Key header is required");
        return;
    }
    const struct sandbox *sandbox = table_get_by_key(service_table(call->api->deps.service), key);
    if (sandbox)
        call_reply_sandbox(call, sandbox);
    else
        errors_reply_unauthorized(call, challenge, "Invalid session API key");
}
