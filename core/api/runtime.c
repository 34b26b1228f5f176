/* api/runtime.c: the reads of the runtime API, answered from the table, and which images may be started on what.
 * Nothing here changes a sandbox. */
#include "api/runtime.h"

#include "api/errors.h"
#include "api/routes.h"
#include "api/text.h"
#include "api/values.h"
#include "build/image_name.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

enum { IDS_MAX = 500, IMAGE_TIMEOUT_MS = 10000 };

/* ---- runtimes ---- */

static const struct table *table_of(const struct call *call)
{
    return service_table(call->api->deps.service);
}

static void reply_found(struct call *call, const struct sandbox *sandbox)
{
    if (sandbox)
        runtime_reply(call, sandbox);
    else
        errors_reply(call, 404, "there is no such runtime");
}

void runtime_session(struct call *call)
{
    const struct sandbox *sandbox = table_get_session(table_of(call), &call->viewer, call->id);
    snprintf(call->id, sizeof call->id, "%s", sandbox ? sandbox->id : ""); /* for the log */
    reply_found(call, sandbox);
}

void runtime_get(struct call *call)
{
    reply_found(call, table_get(table_of(call), &call->viewer, call->id));
}

static void add(struct evbuffer *out, size_t *count, const struct sandbox *sandbox)
{
    size_t len = 4;
    const char *text = sandbox ? runtime_text(sandbox, &len) : "null";
    if ((*count)++ > 0)
        evbuffer_add(out, ",", 1);
    evbuffer_add(out, text, len);
}

void runtime_sessions(struct call *call)
{
    const struct params params = params_of(call);
    const char *ids[IDS_MAX];
    size_t asked = params_list(&params, ids, IDS_MAX), count = 0;
    if (asked > IDS_MAX) {
        errors_reply(call, 400, "at most 500 ids may be asked for at once");
        return;
    }
    struct evbuffer *out = call->api->out;
    evbuffer_add(out, "[", 1);
    while (count < asked)
        add(out, &count, table_get_session(table_of(call), &call->viewer, ids[count]));
    evbuffer_add(out, "]", 1);
    call_reply_out(call, 200, call_json_type);
}

/* Those that run, or will. */
void runtime_list(struct call *call)
{
    struct evbuffer *out = call->api->out;
    const struct sandbox *found[PAGE_MAX];
    char page[TABLE_PAGE_ID_SIZE] = "";
    size_t count = 0;
    evbuffer_add_printf(out, "{\"runtimes\":[");
    do {
        size_t len =
            table_search(table_of(call), &call->viewer, page[0] ? page : NULL, PAGE_MAX, found, page);
        for (size_t i = 0; i < len; i++)
            if (found[i]->status == SANDBOX_STARTING || found[i]->status == SANDBOX_RUNNING)
                add(out, &count, found[i]);
    } while (page[0]);
    evbuffer_add_printf(out, "],\"total\":%zu}", count);
    call_reply_out(call, 200, call_json_type);
}

/* ---- images ---- */

bool runtime_image_allowed(const struct config *config, const char *image)
{
    for (size_t i = 0; i < config->runtime_api_images_len; i++)
        if (value_matches(config->runtime_api_images[i], image))
            return true;
    return false;
}

/* The backend that has it; NULL: the caller has built none of that name. */
static const char *built_on(const struct call *call, const char *image)
{
    char full[BUILD_NAME_SIZE];
    const struct build *build =
        image_name_full(image, full) ? builds_of_image(call->api->deps.builds, &call->viewer, full) : NULL;
    return build && config_find_backend(http_config(call->request), build->backend) ? build->backend : NULL;
}

bool runtime_find_image(struct call *call, const char *image, const struct config_spec **spec,
                        const char **backend)
{
    const struct config *config = http_config(call->request);
    *spec = service_spec_find(call->api->deps.service, config, image);
    const char *built = *spec ? NULL : built_on(call, image);
    *backend = *spec ? (*spec)->backend : built ? built : config->runtime_api_backend;
    bool allowed = *spec || built || runtime_image_allowed(config, image);
    if (!allowed) {
        char detail[768];
        snprintf(
            detail, sizeof detail,
            "the image '%.512s' may not be started here: it is no spec's, and runtime_api.images does not "
            "allow it",
            image);
        errors_reply(call, 403, detail);
    }
    return allowed;
}

struct backend *runtime_backend(const struct call *call, const char *name)
{
    const struct service *service = call->api->deps.service;
    size_t count = service_backends_count(service);
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(service, i);
        if (strcmp(backend.name, name) == 0)
            return backend.backend;
    }
    return NULL;
}

/* Clients divide the size, and print the time: both are there where the image is. */
static void reply_image(struct call *call, bool exists, struct json_object *facts)
{
    struct json_object *value = json_object_new_object(), *image = NULL;
    text_put(value, "exists", json_object_new_boolean(exists));
    if (exists) {
        const char *time = json_object_get_string(json_object_object_get(facts, "upload_time"));
        image = json_object_new_object();
        text_put(image, "upload_time", text_string(time));
        text_put(
            image, "image_size_bytes",
            json_object_new_int64(json_object_get_int64(json_object_object_get(facts, "image_size_bytes"))));
    }
    text_put(value, "image", image);
    call_reply_json(call, 200, value);
}

static void looked(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    struct call *call = arg;
    struct json_object *facts = result ? text_parse_object(result, len) : NULL;
    struct params params = params_of(call);
    if (err && err->kind == SBX_ERR_REFUSED && runtime_may_build(call, params_text(&params, "image")))
        reply_image(call, false, NULL); /* its registry may be a mere name: clients build it then */
    else if (err && err->kind == SBX_ERR_UNSUPPORTED) /* its images are names: what may be started is there */
        reply_image(call, true, NULL);
    else if (err)
        errors_reply_failure(call, err);
    else
        reply_image(call, json_object_get_boolean(json_object_object_get(facts, "exists")), facts);
    json_object_put(facts);
}

static void give_up(struct call *call)
{
    backend_cancel(call->state, true);
}

void runtime_image_exists(struct call *call)
{
    struct params params = params_of(call);
    const char *image = params_text(&params, "image"), *backend_name;
    const struct config_spec *spec;
    if (!image || !*image)
        params_problem(&params, "missing", "image", "Field required", image);
    if (params_reject(&params) || !image)
        return;
    backend_name = http_config(call->request)->runtime_api_backend;
    bool buildable = runtime_may_build(call, image); /* asked before it is built */
    if (!buildable && !runtime_find_image(call, image, &spec, &backend_name))
        return;
    struct backend *backend = runtime_backend(call, backend_name);
    const struct sbx_error *why = backend ? backend_unavailable(backend) : NULL;
    if (!backend)
        errors_reply(call, 503, "its backend is not in the configuration any more");
    else if (why)
        errors_reply_failure(call, why);
    else
        call_hold(call, give_up, backend_image(backend, image, IMAGE_TIMEOUT_MS, looked, call));
}

/* ---- what the operator set ---- */

void runtime_registry_prefix(struct call *call)
{
    struct buffer prefix = buffer_init(8192);
    runtime_prefix(call, &prefix);
    struct json_object *value = json_object_new_object();
    text_put(value, "registry_prefix", text_string(buffer_text(&prefix)));
    buffer_finish(&prefix);
    call_reply_json(call, 200, value);
}
