/* api/sandboxes.c: reads of sandboxes, answered from the table alone: nothing here waits for a backend. */
#include "api/errors.h"
#include "api/params.h"
#include "api/render.h"
#include "api/routes.h"
#include "api/text.h"

#include <event2/buffer.h>
#include <string.h>

enum { TYPICAL_SANDBOX = 768 }; /* bytes of JSON: what is made room for at once */

static void add_text(struct evbuffer *out, const char *text)
{
    evbuffer_add(out, text, strlen(text));
}

static void add_sandbox(struct evbuffer *out, const struct sandbox *sandbox)
{
    size_t len;
    const char *json = render_sandbox(sandbox, &len);
    evbuffer_add(out, json, len);
}

void sandboxes_search(struct call *call)
{
    struct params params = params_of(call);
    const char *page_id = params_text(&params, "page_id");
    size_t limit = params_integer(&params, "limit", 1, PAGE_MAX, PAGE_MAX);
    if (params_reject(&params))
        return;
    const struct sandbox *found[PAGE_MAX];
    char next[TABLE_PAGE_ID_SIZE];
    size_t count =
        table_search(service_table(call->api->deps.service), &call->viewer, page_id, limit, found, next);

    struct evbuffer *out = call->api->out;
    evbuffer_expand(out, (count + 1) * TYPICAL_SANDBOX);
    add_text(out, "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            add_text(out, ",");
        add_sandbox(out, found[i]);
    }
    add_text(out, "],\"next_page_id\":");
    struct json_object *next_page_id = next[0] ? text_string(next) : NULL;
    size_t len;
    add_text(out, text_of(next_page_id, &len));
    json_object_put(next_page_id);
    add_text(out, "}");
    call_reply_out(call, 200, call_json_type);
}

void sandboxes_batch(struct call *call)
{
    struct params params = params_of(call);
    const char *ids[PAGE_MAX];
    size_t count = params_ids(&params, "sandboxes", ids);
    if (count == 0)
        return;
    const struct table *table = service_table(call->api->deps.service);
    struct evbuffer *out = call->api->out;
    evbuffer_expand(out, (count + 1) * TYPICAL_SANDBOX);
    for (size_t i = 0; i < count; i++) {
        add_text(out, i > 0 ? "," : "[");
        const struct sandbox *sandbox = table_get(table, &call->viewer, ids[i]);
        if (sandbox)
            add_sandbox(out, sandbox);
        else
            add_text(out, "null");
    }
    add_text(out, "]");
    call_reply_out(call, 200, call_json_type);
}

void sandboxes_get(struct call *call)
{
    const struct sandbox *sandbox =
        table_get(service_table(call->api->deps.service), &call->viewer, call->id);
    if (!sandbox) {
        errors_reply_no_sandbox(call);
        return;
    }
    call_reply_sandbox(call, sandbox);
}
