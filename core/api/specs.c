/* api/specs.c: the specs that the request's generation offers. A page's id is that of its last spec. */
#include "api/errors.h"
#include "api/params.h"
#include "api/render.h"
#include "api/routes.h"
#include "api/text.h"

#include <string.h>

void specs_search(struct call *call)
{
    struct params params = params_of(call);
    const char *page_id = params_text(&params, "page_id");
    size_t limit = params_integer(&params, "limit", 1, PAGE_MAX, PAGE_MAX);
    if (params_reject(&params))
        return;
    const struct service *service = call->api->deps.service;
    const struct config *config = http_config(call->request);
    size_t count = service_specs_count(service, config), first = 0;
    for (size_t i = 0; page_id && i < count; i++)
        if (strcmp(service_spec_at(service, config, i)->id, page_id) == 0)
            first = i + 1;

    int64_t created_at_us = service_specs_created_at_us(service);
    struct json_object *items = json_object_new_array();
    size_t end = count - first > limit ? first + limit : count;
    for (size_t i = first; i < end; i++)
        text_push(items, render_spec(service_spec_at(service, config, i), created_at_us));
    struct json_object *page = json_object_new_object();
    text_put(page, "items", items);
    text_put(page, "next_page_id",
             end < count ? text_string(service_spec_at(service, config, end - 1)->id) : NULL);
    call_reply_json(call, 200, page);
}

void specs_batch(struct call *call)
{
    struct params params = params_of(call);
    const char *ids[PAGE_MAX];
    size_t count = params_ids(&params, "sandbox specs", ids);
    if (count == 0)
        return;
    const struct service *service = call->api->deps.service;
    int64_t created_at_us = service_specs_created_at_us(service);
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        const struct config_spec *spec = service_spec_find(service, http_config(call->request), ids[i]);
        text_push(list, spec ? render_spec(spec, created_at_us) : NULL);
    }
    call_reply_json(call, 200, list);
}
