/* api/system.c: is the daemon alive, and may clients be sent to it? */
#include "api/errors.h"
#include "api/routes.h"
#include "api/text.h"
#include "base/buffer.h"

enum { DETAIL_MAX = 1024 };

static void reply_status(struct call *call, const char *status)
{
    struct json_object *value = json_object_new_object();
    text_put(value, "status", text_string(status));
    call_reply_json(call, 200, value);
}

void system_health(struct call *call)
{
    reply_status(call, "ok");
}

/* Why a backend is not ready; NULL: it is. */
static const char *reason_of(const struct service_backend *backend)
{
    if (backend->unavailable)
        return backend->unavailable->message;
    return backend->listed ? NULL : "its sandboxes are not listed yet";
}

void system_ready(struct call *call)
{
    if (call->api->draining) {
        errors_reply_draining(call);
        return;
    }
    const struct service *service = call->api->deps.service;
    struct json_object *not_ready = json_object_new_array();
    struct buffer detail = buffer_init(DETAIL_MAX);
    bool full = store_stats(call->api->deps.store).full;
    if (full)
        buffer_add_format(
            &detail,
            "the disk of state_dir (%.512s) is full: sandboxes can be deleted, and nothing new is stored",
            store_directory(call->api->deps.store));
    bool first = true;
    size_t count = service_backends_count(service);
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(service, i);
        const char *reason = reason_of(&backend);
        if (!reason)
            continue;
        struct json_object *value = json_object_new_object();
        text_put(value, "name", text_string(backend.name));
        text_put(value, "reason", text_string(reason));
        text_push(not_ready, value);
        buffer_add_format(&detail, "%s%s%s", first && full ? "; " : "", first ? "not open: " : ", ",
                          backend.name);
        first = false;
    }
    if (full || json_object_array_length(not_ready) > 0) {
        errors_reply_not_ready(call, buffer_text(&detail), not_ready);
    } else {
        json_object_put(not_ready);
        reply_status(call, "ready");
    }
    buffer_finish(&detail);
}
