/* api/events.c: reads of the events that agents reported. The store answers them on its thread, a bounded turn at a
 * time; each event's JSON goes out as it came. */
#include "api/errors.h"
#include "api/query.h"
#include "api/routes.h"
#include "base/clock.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 16 << 20 }; /* of one answer to GET /events?id= */

/* ---- filters ---------------------------------------------------------------------------------- */

static void read_time(struct params *params, const char *name, int64_t *us)
{
    const char *text = params_text(params, name);
    if (text && !clock_read_iso(text, us))
        params_problem_because(
            params, "datetime_from_date_parsing", name,
            "Input should be a valid datetime or date, in ISO 8601 since 1970: 2026-01-02T03:04:05.678901Z",
            "error", "in ISO 8601 since 1970: 2026-01-02T03:04:05.678901Z", text);
}

/* A filter of the whole request; what is wrong with it is in `params`. Its texts are the request's, and `id`. */
static void read_filter(struct params *params, struct store_event_filter *filter, char *id)
{
    const char *conversation = params_text(params, "conversation_id__eq");
    if (conversation && !mirror_conversation_id(conversation, id))
        params_problem_because(params, "uuid_parsing", "conversation_id__eq",
                               "Input should be a valid UUID, 32 hexadecimal digits with or without dashes",
                               "error", "32 hexadecimal digits with or without dashes", conversation);
    filter->kind = params_text(params, "kind__eq");
    read_time(params, "timestamp__gte", &filter->from_us);
    read_time(params, "timestamp__lt", &filter->until_us);
}

static bool read_newest_first(struct params *params)
{
    const char *order = params_text(params, "sort_order");
    bool newest_first = order && strcmp(order, "TIMESTAMP_DESC") == 0;
    if (order && !newest_first && strcmp(order, "TIMESTAMP") != 0)
        params_problem_because(params, "enum", "sort_order",
                               "Input should be 'TIMESTAMP' or 'TIMESTAMP_DESC'", "expected",
                               "'TIMESTAMP' or 'TIMESTAMP_DESC'", order);
    return newest_first;
}

/* "TIME-SEQ"; one that is not ours begins at the beginning. */
static bool read_place(const char *page_id, struct store_place *place)
{
    char *end;
    errno = 0;
    place->timestamp_us = page_id ? strtoll(page_id, &end, 10) : 0;
    if (!page_id || end == page_id || *end != '-')
        return false;
    const char *second = end + 1;
    place->seq = strtoll(second, &end, 10);
    return end != second && *end == '\0' && errno == 0;
}

/* NULL: the call was answered with what is wrong. */
static struct query *begin(struct params *params, const struct store_event_filter *filter,
                           const char *conversation_id)
{
    if (params_reject(params))
        return NULL;
    struct query *query = query_begin(params->call);
    query->filter.kind = filter->kind;
    query->filter.from_us = filter->from_us;
    query->filter.until_us = filter->until_us;
    query->filter.newest_first = filter->newest_first;
    query->filter.after = filter->after;
    query->filter.place = filter->place;
    if (conversation_id[0]) {
        memcpy(query->conversation_id, conversation_id, sizeof query->conversation_id);
        query->filter.conversation_id = query->conversation_id;
    }
    return query;
}

static struct store *store_of(const struct query *query)
{
    return query->call->api->deps.store;
}

/* ---- search ----------------------------------------------------------------------------------- */

static void search_found(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct query *query = arg;
    if (!query_goes_on(query, err))
        return;
    for (size_t i = 0; i < events->count; i++)
        query_add(query, events->rows[i].json, events->rows[i].json_len);
    query->filter.after = true;
    query->filter.place = events->place;
    /* A page ends early rather than being larger than the client, or this server, can bear. */
    if (events->more && query->found < query->limit && evbuffer_get_length(query->out) < REPORTS_BYTES) {
        store_events_search(store_of(query), &query->filter, query->limit - query->found, search_found,
                            query);
        return;
    }
    if (events->more)
        evbuffer_add_printf(query->out, "],\"next_page_id\":\"%" PRId64 "-%" PRId64 "\"}",
                            events->place.timestamp_us, events->place.seq);
    else
        evbuffer_add_printf(query->out, "],\"next_page_id\":null}");
    query_reply(query);
}

void events_search(struct call *call)
{
    struct params params = params_of(call);
    struct store_event_filter filter = {.from_us = INT64_MIN, .until_us = INT64_MAX};
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE] = "";
    read_filter(&params, &filter, conversation_id);
    filter.newest_first = read_newest_first(&params);
    filter.after = read_place(params_text(&params, "page_id"), &filter.place);
    size_t limit = params_integer(&params, "limit", 1, PAGE_MAX, PAGE_MAX);
    struct query *query = begin(&params, &filter, conversation_id);
    if (!query)
        return;
    query->limit = limit;
    evbuffer_add_printf(query->out, "{\"items\":[");
    store_events_search(store_of(query), &query->filter, limit, search_found, query);
}

/* ---- count ------------------------------------------------------------------------------------ */

static void count_found(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct query *query = arg;
    if (!query_goes_on(query, err))
        return;
    query->found += events->count;
    if (events->more) {
        query->filter.after = true;
        query->filter.place = events->place;
        store_events_count(store_of(query), &query->filter, count_found, query);
        return;
    }
    evbuffer_add_printf(query->out, "%zu", query->found);
    query_reply(query);
}

void events_count(struct call *call)
{
    struct params params = params_of(call);
    struct store_event_filter filter = {.from_us = INT64_MIN, .until_us = INT64_MAX};
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE] = "";
    read_filter(&params, &filter, conversation_id);
    struct query *query = begin(&params, &filter, conversation_id);
    if (query)
        store_events_count(store_of(query), &query->filter, count_found, query);
}

/* ---- batch ------------------------------------------------------------------------------------ */

static void ask_next(struct query *query);

static void batch_found(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct query *query = arg;
    if (!query_goes_on(query, err))
        return;
    bool look_on = events->count == 0 && events->more;
    query->filter.after = look_on;
    query->filter.place = events->place;
    if (events->count)
        query_add(query, events->rows[0].json, events->rows[0].json_len);
    else if (!look_on)
        query_add(query, "null", 4);
    if (evbuffer_get_length(query->out) > BATCH_BYTES)
        errors_reply(query_end(query), 400,
                     "these events are more than 16 MiB: ask for fewer of them at once");
    else
        ask_next(query);
}

/* One after the other: what is in memory is then one event and what was found. */
static void ask_next(struct query *query)
{
    char id[REPORTS_ID_SIZE];
    while (query->found < query->limit && !mirror_event_id(query->ids[query->found], id))
        query_add(query, "null", 4);
    if (query->found < query->limit) {
        store_events_get(store_of(query), &query->filter, id, batch_found, query);
        return;
    }
    evbuffer_add(query->out, "]", 1);
    query_reply(query);
}

void events_batch(struct call *call)
{
    struct params params = params_of(call);
    const char *ids[PAGE_MAX];
    size_t count = params_ids(&params, "events", ids);
    if (count == 0)
        return;
    struct query *query = query_begin(call);
    memcpy(query->ids, ids, count * sizeof *ids);
    query->limit = count;
    evbuffer_add(query->out, "[", 1);
    ask_next(query);
}
