/* api/conversations.c: reads of the conversations that agents reported, each as it was reported last. */
#include "api/query.h"
#include "api/routes.h"
#include "api/values.h"

#include <event2/buffer.h>
#include <inttypes.h>

static void search_found(void *arg, const struct sbx_error *err, const struct store_conversations *found);

static void ask(struct query *query)
{
    store_conversations_search(query->call->api->deps.store, query->filter.all_owners, query->filter.owner,
                               query->sandbox_id, query->filter.place.seq, query->limit - query->found,
                               search_found, query);
}

static void search_found(void *arg, const struct sbx_error *err, const struct store_conversations *found)
{
    struct query *query = arg;
    if (!query_goes_on(query, err))
        return;
    for (size_t i = 0; i < found->count; i++)
        query_add(query, found->rows[i].json, found->rows[i].json_len);
    query->filter.place.seq = found->place;
    if (found->more && query->found < query->limit && evbuffer_get_length(query->out) < REPORTS_BYTES) {
        ask(query);
        return;
    }
    if (found->more)
        evbuffer_add_printf(query->out, "],\"next_page_id\":\"%" PRId64 "\"}", found->place);
    else
        evbuffer_add_printf(query->out, "],\"next_page_id\":null}");
    query_reply(query);
}

/* A page id is the number of the last conversation of the page before; one that is not ours begins at the newest. */
void conversations_search(struct call *call)
{
    struct params params = params_of(call);
    const char *page_id = params_text(&params, "page_id");
    const char *sandbox_id = params_text(&params, "sandbox_id__eq");
    size_t limit = params_integer(&params, "limit", 1, PAGE_MAX, PAGE_MAX);
    if (params_reject(&params))
        return;
    int64_t place;
    struct query *query = query_begin(call);
    if (page_id && value_integer(page_id, &place) && place > 0)
        query->filter.place.seq = place;
    query->sandbox_id = sandbox_id;
    query->limit = limit;
    evbuffer_add_printf(query->out, "{\"items\":[");
    ask(query);
}
