/* api/secrets.c: the operator's secrets (`secrets` of the configuration), as agents ask for them: with the session key of
 * the very sandbox, while it runs. No other key opens them. A value goes into its answer and nowhere else. */
#include "api/errors.h"
#include "api/routes.h"
#include "api/session.h"
#include "api/text.h"
#include "api/values.h"
#include "base/log.h"

#include <string.h>

/* NULL: it was answered. The words of the answers are those that the app server's clients know. */
static const struct sandbox *find_own(struct call *call)
{
    const struct sandbox *sandbox = session_running_sandbox(call);
    if (!sandbox)
        return NULL;
    if (strcmp(call->id, sandbox->id) != 0) {
        errors_reply(call, 403, "Session API key does not match sandbox");
        return NULL;
    }
    if (!sandbox->owner->name && http_config(call->request)->keys_len > 0) {
        session_reply_unauthorized(call, "Sandbox has no associated user");
        return NULL;
    }
    return sandbox;
}

static bool is_for(const struct config_secret *secret, const struct sandbox *sandbox)
{
    bool spec = secret->specs_len == 0;
    for (size_t i = 0; i < secret->specs_len && !spec; i++)
        spec = value_matches(secret->specs[i], sandbox->spec_id);
    return spec && config_is_for_user(secret->users, secret->users_len, sandbox->owner->name);
}

/* Of several with one name the first that is for the sandbox. NULL: there is none. */
static const struct config_secret *find(const struct config *config, const struct sandbox *sandbox,
                                        const char *name)
{
    for (size_t i = 0; i < config->secrets_len; i++)
        if (strcmp(config->secrets[i].name, name) == 0 && is_for(&config->secrets[i], sandbox))
            return &config->secrets[i];
    return NULL;
}

void secrets_list(struct call *call)
{
    const struct sandbox *sandbox = find_own(call);
    if (!sandbox)
        return;
    const struct config *config = http_config(call->request);
    struct json_object *list = json_object_new_array(), *value = json_object_new_object();
    for (size_t i = 0; i < config->secrets_len; i++) {
        const struct config_secret *secret = &config->secrets[i];
        if (find(config, sandbox, secret->name) != secret)
            continue;
        struct json_object *item = json_object_new_object();
        text_put(item, "name", text_string(secret->name));
        text_put(item, "description", text_string(secret->description));
        text_push(list, item);
    }
    text_put(value, "secrets", list);
    call_reply_json(call, 200, value);
}

void secrets_get(struct call *call)
{
    const struct sandbox *sandbox = find_own(call);
    if (!sandbox)
        return;
    const struct config_secret *secret = find(http_config(call->request), sandbox, call->item);
    if (!secret) {
        errors_reply(call, 404, "Secret not found");
        return;
    }
    log_line(LOG_INFO,
             &(struct log_context){.sandbox = sandbox->id, .request = http_request_id(call->request)},
             "secret '%s' was read with its session key", secret->name);
    http_add_header(call->request, "Cache-Control", "no-store");
    call_reply(call, 200, "text/plain; charset=utf-8", secret->value, strlen(secret->value));
}
