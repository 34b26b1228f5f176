/* sandbox/record.c: what is kept of a sandbox on disk, and how it comes back. */
#include "sandbox/internal.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Only a failed start has an error that no backend could report again. */
static struct json_object *error_to_json(const struct sandbox_failure *failure)
{
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "kind", json_object_new_int(failure->error.kind));
    json_object_object_add(json, "retryable", json_object_new_boolean(failure->error.retryable != 0));
    json_object_object_add(json, "code", json_object_new_string(failure->error.code));
    json_object_object_add(json, "message", json_object_new_string(failure->error.message));
    return json;
}

static void error_from_json(struct sandbox *sandbox, const char *text)
{
    struct json_object *json = json_tokener_parse(text);
    struct json_object *value = NULL;
    if (!json)
        return;
    json_object_object_get_ex(json, "kind", &value);
    enum sbx_error_kind kind = (enum sbx_error_kind)json_object_get_int(value);
    value = NULL;
    json_object_object_get_ex(json, "code", &value);
    const char *code = value ? json_object_get_string(value) : SBX_CODE_START_FAILED;
    value = NULL;
    json_object_object_get_ex(json, "message", &value);
    struct sbx_error error;
    error_set(&error, kind, code, "%s", value ? json_object_get_string(value) : "its start failed");
    value = NULL;
    json_object_object_get_ex(json, "retryable", &value);
    error.retryable = json_object_get_boolean(value) != 0;
    sandbox_set_failure(sandbox, &error, -1, NULL);
    json_object_put(json);
}

void record_put(struct sandbox *sandbox, store_done done, void *arg)
{
    if (sandbox->adopted && !sandbox->deleting)
        return; /* its backend is the truth about it */
    struct json_object *error = NULL;
    if (!sandbox->begun && sandbox->failure)
        error = error_to_json(sandbox->failure);
    struct store_sandbox record = {.id = sandbox->id,
                                   .backend = sandbox->home->name,
                                   .owner = sandbox->owner->name,
                                   .spec_id = sandbox->spec_id,
                                   .session_key = sandbox->session_key,
                                   .sequence = sandbox->sequence,
                                   .created_at_us = sandbox->created_at_us,
                                   .begun = sandbox->begun,
                                   .deleting = sandbox->deleting,
                                   .error_json = error ? json_object_to_json_string(error) : NULL,
                                   .session_id = sandbox->session_id,
                                   .spec_json = sandbox->own_spec,
                                   .pause_reason = sandbox->pause_reason};
    store_put_sandbox(sandbox->service->deps.store, &record, done, arg);
    json_object_put(error);
}

static void saved(void *arg, const struct sbx_error *err)
{
    struct sandbox *sandbox = arg; /* there still: its deletion is answered after this */
    sandbox->unsaved = err != NULL;
}

void record_save(struct sandbox *sandbox)
{
    record_put(sandbox, saved, sandbox);
}

static void load(void *arg, const struct store_sandbox *record)
{
    struct service *service = arg;
    struct home *home = home_get(service, record->backend);
    struct sandbox *sandbox = service_new_sandbox(service, home, record->id, record->owner, record->spec_id);
    sandbox->created_at_us = record->created_at_us;
    sandbox->sequence = record->sequence;
    if (service->last_sequence < record->sequence)
        service->last_sequence = record->sequence;
    if (record->pause_reason && !(sandbox->pause_reason = strdup(record->pause_reason)))
        abort();
    sandbox->begun = record->begun;
    sandbox->deleting = record->deleting;
    sandbox->answered = true;
    if (record->spec_json && !(sandbox->own_spec = strdup(record->spec_json)))
        abort();
    if (!record->deleting)
        table_set_session(sandbox, record->session_id);
    table_set_key(&service->table, sandbox, record->session_key);
    if (sandbox->deleting) {
        sandbox->wants = WANT_REMOVE;
    } else {
        table_show(&service->table, sandbox);
        if (!sandbox->begun && record->error_json) {
            error_from_json(sandbox, record->error_json);
        } else if (!sandbox->begun) {
            sandbox->wants = WANT_START;
            sandbox->again = true;
        }
    } /* its status follows when its backend is there: service_commit() */
}

int record_load_all(struct service *service, struct sbx_error *err)
{
    return store_load_sandboxes(service->deps.store, load, service, err);
}
