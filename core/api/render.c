/* api/render.c: see render.h. */
#include "api/render.h"

#include "api/text.h"
#include "config/config.h"
#include "sandbox/table.h"

#include <stdlib.h>
#include <string.h>

struct json_object *render_error(const struct sbx_error *err, int exit_code, const char *log_tail)
{
    struct json_object *value = json_object_new_object();
    text_put(value, "code", text_string(err->code));
    text_put(value, "message", text_string(err->message));
    text_put(value, "retryable", json_object_new_boolean(err->retryable != 0));
    text_put(value, "exit_code", exit_code >= 0 ? json_object_new_int(exit_code) : NULL);
    text_put(value, "log_tail", text_string(log_tail));
    return value;
}

static struct json_object *urls_of(const struct sandbox *sandbox)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < sandbox->urls_len; i++) {
        const struct sandbox_url *url = &sandbox->urls[i];
        struct json_object *value = json_object_new_object();
        text_put(value, "name", text_string(url->name));
        text_put(value, "url", text_string(url->url));
        text_put(value, "port", json_object_new_int(url->port));
        text_push(list, value);
    }
    return list;
}

static struct json_object *sandbox_value(const struct sandbox *sandbox)
{
    bool running = sandbox->status == SANDBOX_RUNNING;
    const struct sandbox_failure *failure = sandbox->status == SANDBOX_ERROR ? sandbox->failure : NULL;
    struct json_object *value = json_object_new_object();
    text_put(value, "id", text_string(sandbox->id));
    text_put(value, "created_by_user_id", text_string(sandbox->owner->name));
    text_put(value, "sandbox_spec_id", text_string(sandbox->spec_id));
    text_put(value, "status", text_string(sandbox_status_name(sandbox->status)));
    text_put(value, "session_api_key",
             running && sandbox->session_key[0] ? text_string(sandbox->session_key) : NULL);
    text_put(value, "exposed_urls", running ? urls_of(sandbox) : NULL);
    text_put(value, "created_at", text_time(sandbox->created_at_us));
    text_put(value, "backend", text_string(sandbox_backend_name(sandbox)));
    text_put(value, "status_detail", text_string(sandbox_status_detail(sandbox)));
    text_put(value, "restart_count", json_object_new_int64(sandbox->restart_count));
    text_put(value, "error",
             failure ? render_error(&failure->error, failure->exit_code, failure->log_tail) : NULL);
    return value;
}

const char *render_sandbox(const struct sandbox *sandbox, size_t *len)
{
    if (!sandbox->json) {
        /* The cache is the API's, in an object that is otherwise the service's to change. */
        struct sandbox *cache = (struct sandbox *)sandbox;
        struct json_object *value = sandbox_value(sandbox);
        const char *text = text_of(value, &cache->json_len);
        cache->json = malloc(cache->json_len);
        if (!cache->json)
            abort();
        memcpy(cache->json, text, cache->json_len);
        json_object_put(value);
    }
    *len = sandbox->json_len;
    return sandbox->json;
}

struct json_object *render_spec(const struct config_spec *spec, int64_t created_at_us)
{
    struct json_object *command = NULL;
    if (spec->command) {
        command = json_object_new_array();
        for (size_t i = 0; i < spec->command_len; i++)
            text_push(command, text_string(spec->command[i]));
    }
    struct json_object *env = json_object_new_object();
    for (size_t i = 0; i < spec->initial_env_len; i++)
        json_object_object_add(env, spec->initial_env[i].name, text_string(spec->initial_env[i].value));
    struct json_object *value = json_object_new_object();
    text_put(value, "id", text_string(spec->id));
    text_put(value, "command", command);
    text_put(value, "created_at", text_time(created_at_us));
    text_put(value, "initial_env", env);
    text_put(value, "working_dir", text_string(spec->working_dir));
    text_put(value, "backend", text_string(spec->backend));
    return value;
}
