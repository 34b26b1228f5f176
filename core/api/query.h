/* api/query.h: a question to the store that takes several turns of it (store/reports.h), on behalf of a call that may
 * end meanwhile. */
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/params.h"
#include "mirror/mirror.h"
#include "store/reports.h"

struct evbuffer;

struct query {
    struct call *call;                /* NULL: its client left, and the next answer ends it */
    struct store_event_filter filter; /* texts: the request's, or those below */
    const char *sandbox_id; /* of a search for conversations: in that one; NULL: in all; the request's */
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE];
    size_t limit, found;
    const char *ids[PAGE_MAX]; /* of a batch: `limit` of them, the request's */
    struct evbuffer *out;      /* the answer, as far as it is known */
};

/* Holds the call. What it shows is what the call's viewer may see. */
struct query *query_begin(struct call *call);
/* At the head of an answer: true when the question goes on. Else it is over: nobody waits, or a failure was
 * answered. */
bool query_goes_on(struct query *query, const struct sbx_error *err);
/* Adds an element: a comma where it is not the first. */
void query_add(struct query *query, const char *json, size_t len);
/* Ends it, and answers with what is in `out`. */
void query_reply(struct query *query);
/* Ends it, and returns the call, to be answered otherwise. */
struct call *query_end(struct query *query);

#endif
