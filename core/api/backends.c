/* api/backends.c: the configured backends, with what their plugins tell of the technology. All are asked at
 * once, and the answer goes out when the last has answered or its time is over. */
#include "api/routes.h"

#include "api/call.h"
#include "api/render.h"
#include "api/text.h"

#include <stdlib.h>

enum { DESCRIBE_TIMEOUT_MS = 2000 };

struct survey;

struct question {
    struct survey *survey;
    struct backend_operation *operation; /* NULL: answered, or never asked */
    struct json_object *backend;         /* borrowed from the list */
};

struct survey {
    struct call *call;
    struct json_object *list;
    size_t pending, count;
    struct question questions[];
};

static struct json_object *counts_of(const struct table *table, const struct home *home)
{
    size_t counts[SANDBOX_STATUSES];
    table_count(table, home, counts);
    struct json_object *value = json_object_new_object();
    for (int status = 0; status < SANDBOX_STATUSES; status++)
        text_put(value, sandbox_status_name(status), json_object_new_int64((int64_t)counts[status]));
    return value;
}

static struct json_object *facts_of(const struct call *call, const struct service_backend *backend)
{
    const struct sbx_error *why_not = backend->unavailable;
    struct json_object *value = json_object_new_object();
    text_put(value, "name", text_string(backend->name));
    text_put(value, "plugin", text_string(backend->plugin));
    text_put(value, "version", text_string(backend->version));
    text_put(value, "state", text_string(why_not ? "unavailable" : "open"));
    text_put(value, "error", why_not ? render_error(why_not, -1, NULL) : NULL);
    text_put(value, "listed", json_object_new_boolean(backend->listed));
    text_put(value, "counts", counts_of(service_table(call->api->deps.service), backend->home));
    text_put(value, "generation", json_object_new_int64((int64_t)http_config(call->request)->number));
    return value;
}

static void finish(struct survey *survey)
{
    struct call *call = survey->call;
    struct json_object *list = survey->list;
    free(survey);
    call_reply_json(call, 200, list);
}

static void described(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    struct question *question = arg;
    question->operation = NULL;
    text_put(question->backend, "description", err || !result ? NULL : text_parse_object(result, len));
    if (--question->survey->pending == 0)
        finish(question->survey);
}

static void client_gone(struct call *call)
{
    struct survey *survey = call->state;
    for (size_t i = 0; i < survey->count; i++)
        if (survey->questions[i].operation)
            backend_cancel(survey->questions[i].operation, true);
    json_object_put(survey->list);
    free(survey);
}

void backends_list(struct call *call)
{
    const struct service *service = call->api->deps.service;
    size_t count = service_backends_count(service);
    struct survey *survey = calloc(1, sizeof *survey + count * sizeof survey->questions[0]);
    if (!survey)
        abort();
    *survey = (struct survey){.call = call, .list = json_object_new_array(), .count = count};
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(service, i);
        struct question *question = &survey->questions[i];
        *question = (struct question){.survey = survey, .backend = facts_of(call, &backend)};
        text_push(survey->list, question->backend);
        if (backend.unavailable) {
            text_put(question->backend, "description", NULL);
        } else {
            survey->pending++;
            question->operation = backend_describe(backend.backend, DESCRIBE_TIMEOUT_MS, described, question);
        }
    }
    if (survey->pending == 0)
        finish(survey);
    else
        call_hold(call, client_gone, survey);
}
