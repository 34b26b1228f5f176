/* api.h: calls of the runtime API, over the host's HTTP client.
 *
 * At most max_in_flight requests are under way; the others wait in order. What fails in a way that may pass is tried
 * again until the call's deadline. Each call has one answer, on the loop thread and never before api_call() has
 * returned, unless it is cancelled: then none.
 */
#ifndef REMOTE_API_H
#define REMOTE_API_H

#include "options.h"

#include <stddef.h>

struct api_call;

struct api {
    struct sbx_backend *public;
    const struct sbx_host *host;
    const struct options *options; /* borrowed */
    void (*unanswered)(void *arg); /* a request had no answer at all: is the API still there? */
    void *arg;
    char *key_header;       /* NULL: no key */
    struct api_call *calls; /* not answered yet, in whatever state */
    struct api_call *queue, **queue_end;
    unsigned running, queued;
};

void api_init(struct api *api, struct sbx_backend *public, const struct options *options,
              void (*unanswered)(void *arg), void *arg);
void api_finish(struct api *api); /* cancels what is not answered */

struct api_request {
    const char *method; /* a constant */
    const char *path;   /* with its query, below api_url; copied. It is in messages, the query is not */
    const char *body;   /* JSON text, copied; NULL: none */
    uint64_t
        deadline_ms;   /* on host->now_ms()'s clock, for everything: waiting, requests, pauses between them */
    uint32_t max_body; /* of the answer; 0: 4 MiB */
    bool once;         /* is not tried again: the caller does that */
    bool urgent;       /* before those that wait, and no failure of it is told to unanswered() */
};

struct api_answer {
    const struct sbx_error *error; /* NULL: the status was 2xx, and the body JSON or empty */
    int status;                    /* 0: there was no answer */
    const sbx_json *body;          /* borrowed for the callback; NULL: there was none */
    bool may_pass;                 /* `error` may be gone when it is tried again */
    bool too_large;                /* it came with 2xx, but is over max_body, or can't be unpacked */
    bool cut_short;                /* `error` says no more than that its deadline came */
    uint64_t retry_after_ms;       /* what the API asked for; 0: nothing */
};

typedef void (*api_done)(void *arg, const struct api_answer *answer);

/* An unanswered call, to be cancelled with; never NULL. */
struct api_call *api_call(struct api *api, const struct api_request *request, api_done done, void *arg);
void api_cancel(struct api_call *call); /* NULL is allowed. It is gone afterwards */

/* How long to wait before attempt number `attempt` + 1 (from 1): 200 ms, doubled each time up to 5 s, less up to half so
 * that many do not come back at once; never less than the API asked for. */
uint64_t api_backoff_ms(const struct api *api, unsigned attempt, uint64_t retry_after_ms);

#endif
