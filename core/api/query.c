/* api/query.c: see query.h. */
#include "api/query.h"

#include "api/errors.h"

#include <event2/buffer.h>
#include <stdlib.h>

static void gone(struct call *call)
{
    struct query *query = call->state;
    query->call = NULL;
}

struct query *query_begin(struct call *call)
{
    struct query *query = calloc(1, sizeof *query);
    if (!query)
        abort();
    query->out = evbuffer_new();
    if (!query->out)
        abort();
    query->call = call;
    query->filter = (struct store_event_filter){.all_owners = call->viewer.everything,
                                                .owner = call->viewer.user,
                                                .from_us = INT64_MIN,
                                                .until_us = INT64_MAX};
    call_hold(call, gone, query);
    return query;
}

struct call *query_end(struct query *query)
{
    struct call *call = query->call;
    evbuffer_free(query->out);
    free(query);
    return call;
}

bool query_goes_on(struct query *query, const struct sbx_error *err)
{
    if (query->call && !err)
        return true;
    struct call *call = query_end(query);
    if (call)
        errors_reply_failure(call, err);
    return false;
}

void query_add(struct query *query, const char *json, size_t len)
{
    if (query->found++ > 0)
        evbuffer_add(query->out, ",", 1);
    evbuffer_add(query->out, json, len);
}

void query_reply(struct query *query)
{
    struct evbuffer *out = query->call->api->out;
    evbuffer_add_buffer(out, query->out);
    call_reply_out(query_end(query), 200, call_json_type);
}
