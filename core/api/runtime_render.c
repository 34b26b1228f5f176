/* api/runtime_render.c: a sandbox as the runtime API shows it. Knows no route. */
#include "api/runtime.h"

#include "api/render.h"
#include "api/text.h"

#include <stdlib.h>
#include <string.h>

/* What clients make of the second: "ready" is running; at "pending" and "not found" they go on looking; at
 * "failed" they give up. */
static const struct {
    const char *status, *pod_status;
} words[SANDBOX_STATUSES] = {
    [SANDBOX_STARTING] = {"starting", "pending"},  [SANDBOX_RUNNING] = {"running", "ready"},
    [SANDBOX_PAUSED] = {"paused", "not found"},    [SANDBOX_ERROR] = {"error", "failed"},
    [SANDBOX_DELETING] = {"stopped", "not found"}, [SANDBOX_MISSING] = {"stopped", "not found"},
};

const char *runtime_url(const struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->urls_len; i++)
        if (strcmp(sandbox->urls[i].name, "AGENT_SERVER") == 0)
            return sandbox->urls[i].url;
    return NULL;
}

/* Clients read it before a sandbox runs, too: while it starts, and before they resume it. */
static bool shows_key(enum sandbox_status status)
{
    return status == SANDBOX_STARTING || status == SANDBOX_RUNNING || status == SANDBOX_PAUSED;
}

/* The port inside that was asked for under this name; 0: none. */
static int port_inside(struct json_object *spec, const char *name)
{
    struct json_object *ports = json_object_object_get(spec, "ports");
    size_t count = ports ? json_object_array_length(ports) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        if (strcmp(json_object_get_string(json_object_object_get(port, "name")), name) == 0)
            return json_object_get_int(json_object_object_get(port, "container_port"));
    }
    return 0;
}

/* An agent is told to listen on these: their ports are those inside, where they are known. */
static struct json_object *work_hosts(const struct sandbox *sandbox)
{
    struct json_object *hosts = json_object_new_object();
    struct json_object *spec =
        sandbox->own_spec ? text_parse_object(sandbox->own_spec, strlen(sandbox->own_spec)) : NULL;
    for (size_t i = 0; i < sandbox->urls_len; i++) {
        const struct sandbox_url *url = &sandbox->urls[i];
        if (strncmp(url->name, "WORKER_", 7) != 0)
            continue;
        int inside = port_inside(spec, url->name);
        json_object_object_add(hosts, url->url, json_object_new_int(inside ? inside : url->port));
    }
    json_object_put(spec);
    return hosts;
}

/* Of one that does not stay up clients are told so. */
static const char *pod_status(enum sandbox_status status, const struct sandbox_failure *failure)
{
    bool loops = failure && strcmp(failure->error.code, SBX_CODE_CRASH_LOOP) == 0;
    return loops ? "crashloopbackoff" : words[status].pod_status;
}

/* Of the last restart alone: of those before nothing is kept. */
static struct json_object *restart_reasons(const struct sandbox *sandbox)
{
    struct json_object *reasons = json_object_new_array();
    if (sandbox->loops && sandbox->failure)
        text_push(reasons, text_string(sandbox->failure->error.message));
    return reasons;
}

static struct json_object *value_of(const struct sandbox *sandbox, enum sandbox_status status)
{
    const struct sandbox_failure *failure = status == SANDBOX_ERROR ? sandbox->failure : NULL;
    const char *detail = sandbox_status_detail(sandbox);
    if (!detail && failure)
        detail = failure->error.message;
    const char *log_tail = failure && failure->log_tail ? failure->log_tail : "";
    bool key = shows_key(status) && sandbox->session_key[0];
    struct json_object *value = json_object_new_object();
    text_put(value, "runtime_id", text_string(sandbox->id));
    text_put(value, "session_id", text_string(sandbox->session_id ? sandbox->session_id : sandbox->id));
    text_put(value, "url", text_string(runtime_url(sandbox)));
    text_put(value, "session_api_key", key ? text_string(sandbox->session_key) : NULL);
    text_put(value, "status", text_string(words[status].status));
    text_put(value, "pod_status", text_string(pod_status(status, failure)));
    text_put(value, "status_detail", text_string(detail));
    text_put(value, "restart_count", json_object_new_int64(sandbox->restart_count));
    text_put(value, "restart_reasons", restart_reasons(sandbox));
    text_put(value, "container_statuses", json_object_new_array());
    text_put(value, "events", json_object_new_array());
    text_put(value, "pod_logs", text_string(log_tail));
    text_put(value, "image", text_string(sandbox->spec_id));
    text_put(value, "work_hosts", work_hosts(sandbox));
    text_put(value, "created_at", text_time(sandbox->created_at_us));
    text_put(value, "error",
             failure ? render_error(&failure->error, failure->exit_code, failure->log_tail) : NULL);
    return value;
}

struct json_object *runtime_stopped(const struct sandbox *sandbox)
{
    return value_of(sandbox, SANDBOX_DELETING);
}

const char *runtime_text(const struct sandbox *sandbox, size_t *len)
{
    if (!sandbox->runtime_json) {
        struct sandbox *cache = (struct sandbox *)sandbox; /* as in render_sandbox() */
        struct json_object *value = value_of(sandbox, sandbox->status);
        const char *text = text_of(value, &cache->runtime_json_len);
        if (!(cache->runtime_json = malloc(cache->runtime_json_len)))
            abort();
        memcpy(cache->runtime_json, text, cache->runtime_json_len);
        json_object_put(value);
    }
    *len = sandbox->runtime_json_len;
    return sandbox->runtime_json;
}

void runtime_reply(struct call *call, const struct sandbox *sandbox)
{
    size_t len;
    const char *text = runtime_text(sandbox, &len);
    call_reply(call, 200, call_json_type, text, len);
}
