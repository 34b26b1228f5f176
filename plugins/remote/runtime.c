/* runtime.c: see runtime.h. Whatever comes from the API is taken for hostile here: checked for type, length and form. */
#include "runtime.h"

#include "common/failure.h"
#include "refusal.h"
#include "urls.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct mapping {
    const char *word;
    enum sbx_state state;
};

static const struct mapping pod_statuses[] = {
    {"ready", SBX_STATE_RUNNING}, {"pending", SBX_STATE_STARTING}, {"running", SBX_STATE_STARTING},
    {"failed", SBX_STATE_FAILED}, {"unknown", SBX_STATE_FAILED},   {"crashloopbackoff", SBX_STATE_FAILED},
};
static const struct mapping statuses[] = {
    {"running", SBX_STATE_RUNNING},   {"paused", SBX_STATE_PAUSED}, {"stopped", SBX_STATE_GONE},
    {"starting", SBX_STATE_STARTING}, {"error", SBX_STATE_FAILED},
};

/* ---- members ---- */

static int wrong(struct sbx_error *err, const char *why)
{
    return failure_set(err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                       "what the runtime API answers about it makes no sense: %s", why);
}

/* A text, or NULL for null and for none. False for another type. */
static bool read_text(const char **to, const struct sbx_json_api *json, const sbx_json *value,
                      const char *name)
{
    const sbx_json *member = json->get(value, name);
    *to = json->string(member, NULL);
    return *to || json->type(member) == SBX_JSON_NULL;
}

/* Printable ASCII, as what goes into URLs and headers is. */
static bool is_word(const char *text)
{
    size_t len = 0;
    for (; text[len]; len++)
        if (text[len] <= ' ' || text[len] > '~' || len == RUNTIME_TEXT_MAX)
            return false;
    return len > 0;
}

static bool is_url(const char *text)
{
    struct url url;
    return url_split(&url, text);
}

static const char *check_texts(struct runtime *runtime, const struct sbx_json_api *json,
                               const sbx_json *value, const char *session_id)
{
    const char *session;
    if (json->type(value) != SBX_JSON_OBJECT)
        return "it is no object";
    if (!read_text(&runtime->runtime_id, json, value, "runtime_id") || !runtime->runtime_id ||
        !is_word(runtime->runtime_id))
        return "its runtime_id is no text of 1 to 255 characters without blanks";
    if (!read_text(&session, json, value, "session_id") || (session && strcmp(session, session_id) != 0))
        return "its session_id is another one's";
    if (!read_text(&runtime->url, json, value, "url"))
        return "its url is no text";
    if (runtime->url && !*runtime->url)
        runtime->url = NULL;
    if (runtime->url && !is_url(runtime->url))
        return "its url is not one of http or https, with at most 2048 bytes";
    if (!read_text(&runtime->key, json, value, "session_api_key"))
        return "its session_api_key is no text";
    if (runtime->key && !*runtime->key)
        runtime->key = NULL;
    if (runtime->key && !is_word(runtime->key))
        return "its session_api_key is no text of 1 to 255 characters without blanks";
    if (!read_text(&runtime->status, json, value, "status") ||
        !read_text(&runtime->pod_status, json, value, "pod_status"))
        return "its status or pod_status is no text";
    return NULL;
}

/* {url: port inside} */
static void read_workers(struct runtime *runtime, const struct sbx_json_api *json, const sbx_json *hosts)
{
    if (json->type(hosts) != SBX_JSON_OBJECT)
        return;
    for (size_t i = 0, count = json->length(hosts); i < count && i < 16; i++) {
        const sbx_json *port;
        const char *url = json->member(hosts, i, &port);
        int64_t number = json->integer(port, 0);
        if ((number == WORKER_1_PORT || number == WORKER_2_PORT) && is_url(url))
            runtime->worker[number - WORKER_1_PORT] = url;
    }
}

static bool says_out_of_memory(const struct sbx_json_api *json, const sbx_json *reasons)
{
    bool found = strcasestr(json->string(reasons, ""), "oomkilled") != NULL;
    for (size_t i = 0, count = json->length(reasons); json->type(reasons) == SBX_JSON_ARRAY && i < count; i++)
        found |= strcasestr(json->string(json->at(reasons, i), ""), "oomkilled") != NULL;
    return found;
}

/* ---- the whole ---- */

static bool look_up(const struct mapping *table, size_t count, const char *word, enum sbx_state *state)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(table[i].word, word) == 0) {
            *state = table[i].state;
            return true;
        }
    return false;
}

int runtime_read(struct runtime *runtime, const struct sbx_json_api *json, const sbx_json *value,
                 const char *session_id, struct sbx_error *err)
{
    *runtime = (struct runtime){.state = SBX_STATE_GONE};
    const char *why = check_texts(runtime, json, value, session_id);
    if (why)
        return wrong(err, why);
    if (!runtime->status)
        runtime->status = "";
    if (!runtime->pod_status)
        runtime->pod_status = "";
    read_text(&runtime->detail, json, value, "status_detail");
    read_text(&runtime->logs, json, value, "pod_logs");
    runtime->code = refusal_code(json, value);
    runtime->reason = json->string(json->get(json->get(value, "error"), "message"), NULL);
    read_workers(runtime, json, json->get(value, "work_hosts"));
    if (!look_up(pod_statuses, sizeof pod_statuses / sizeof *pod_statuses, runtime->pod_status,
                 &runtime->state))
        look_up(statuses, sizeof statuses / sizeof *statuses, runtime->status, &runtime->state);
    runtime->ready = strcasecmp(runtime->pod_status, "ready") == 0;
    runtime->stopped = strcasecmp(runtime->status, "stopped") == 0;
    runtime->crashed = strcasecmp(runtime->pod_status, "crashloopbackoff") == 0;
    runtime->out_of_memory = says_out_of_memory(json, json->get(value, "restart_reasons"));
    runtime->restart_count = json->integer(json->get(value, "restart_count"), 0);
    return 0;
}

/* FNV-1a, with an end after each text. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

uint64_t runtime_incarnation(const struct runtime *runtime)
{
    const char *const texts[] = {runtime->runtime_id, runtime->url ? runtime->url : "",
                                 runtime->key ? runtime->key : ""};
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = mix(hash, texts[i], strlen(texts[i]));
    return mix(hash, &runtime->restart_count, sizeof runtime->restart_count);
}
