/* api/users.c: what a client is told of the user whose API key it has: the model that the operator lets their agents use
 * (`llms` of the configuration). The key of that model is shown only to who has the session key of a running sandbox of
 * that user too. */
#include "api/errors.h"
#include "api/params.h"
#include "api/routes.h"
#include "api/session.h"
#include "api/text.h"
#include "base/log.h"

#include <string.h>

static const char masked[] = "**********"; /* as the app server writes a secret that it does not show */

static bool is_for(const struct config_llm *llm, const struct call *call)
{
    return config_is_for_user(llm->users, llm->users_len, call->viewer.user);
}

/* The first that is for the user, and of that name (NULL: of none). NULL: there is none. */
static const struct config_llm *find(const struct call *call, const char *profile)
{
    const struct config *config = http_config(call->request);
    for (size_t i = 0; i < config->llms_len; i++) {
        const struct config_llm *llm = &config->llms[i];
        bool named = profile && llm->profile ? strcmp(profile, llm->profile) == 0 : profile == llm->profile;
        if (named && is_for(llm, call))
            return llm;
    }
    return NULL;
}

static struct json_object *key_of(const struct config_llm *llm, bool expose)
{
    return llm && llm->api_key ? text_string(expose ? llm->api_key : masked) : NULL;
}

/* In the words of the SDK's LLM. */
static struct json_object *llm_value(const struct config_llm *llm, bool expose)
{
    struct json_object *value = json_object_new_object();
    text_put(value, "model", text_string(llm->model));
    text_put(value, "api_key", key_of(llm, expose));
    text_put(value, "base_url", text_string(llm->base_url));
    return value;
}

static struct json_object *profiles_of(const struct call *call, bool expose)
{
    const struct config *config = http_config(call->request);
    struct json_object *profiles = json_object_new_object(), *value = json_object_new_object();
    for (size_t i = 0; i < config->llms_len; i++) {
        const struct config_llm *llm = &config->llms[i];
        if (llm->profile && find(call, llm->profile) == llm)
            json_object_object_add(profiles, llm->profile, llm_value(llm, expose));
    }
    text_put(value, "profiles", profiles);
    text_put(value, "active", NULL);
    return value;
}

/* True: the session key is that of a running sandbox of the very user. False: the call was answered. */
static bool may_expose(struct call *call)
{
    const struct sandbox *sandbox = session_running_sandbox(call);
    if (!sandbox)
        return false;
    const char *owner = sandbox->owner->name, *user = call->viewer.user;
    if (owner && user ? strcmp(owner, user) == 0 : owner == user) {
        if (http_config(call->request)->llms_len > 0)
            log_line(LOG_INFO,
                     &(struct log_context){.sandbox = sandbox->id, .request = http_request_id(call->request)},
                     "the keys of its user's models were read with its session key");
        return true;
    }
    errors_reply(call, 403, "Session API key does not belong to the authenticated user");
    return false;
}

void users_me(struct call *call)
{
    struct params params = params_of(call);
    bool expose = params_flag(&params, "expose_secrets");
    if (params_reject(&params) || (expose && !may_expose(call)))
        return;
    const struct config_llm *llm = find(call, NULL);
    struct json_object *agent = json_object_new_object(), *value = json_object_new_object();
    if (llm)
        text_put(agent, "llm", llm_value(llm, expose));
    text_put(value, "id", text_string(call->viewer.user));
    text_put(value, "llm_model", text_string(llm ? llm->model : NULL));
    text_put(value, "llm_api_key", key_of(llm, expose));
    text_put(value, "llm_base_url", text_string(llm ? llm->base_url : NULL));
    text_put(value, "agent_settings", agent);
    text_put(value, "llm_profiles", profiles_of(call, expose));
    text_put(value, "mcp_config", NULL);
    http_add_header(call->request, "Cache-Control", "no-store");
    call_reply_json(call, 200, value);
}
