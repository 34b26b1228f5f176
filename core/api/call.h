/* api/call.h: one request on its way through the API.
 *
 * A call lives from the request's head until it was answered, or until its client is gone: then its `gone`
 * is called, to take back what the call began. Each of the functions below that answers frees it.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct json_object;
struct route;
struct log_stream;
struct sandbox_wait;
struct sbx_error;

enum {
    CALL_ID_SIZE = 128, /* the longest id (sandboxd/backend.h) and the zero byte */
    PAGE_MAX = 100      /* sandboxes or specs in one answer */
};

extern const char call_json_type[];

struct api {
    struct api_deps deps;
    const struct http_server *server;
    struct evbuffer *out;           /* empty between two turns: an answer is put together in it */
    struct log_stream *log_streams; /* that are open (logs.c) */
    uint64_t answers[6];            /* by the first digit of their status */
    uint64_t cancelled;             /* clients that did not wait for their answer */
    bool draining;
};

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route; /* NULL: there is none */
    struct viewer viewer;      /* who asks; its text belongs to the request's generation */
    char id[CALL_ID_SIZE];     /* the {id} of the path; for a start that of the new sandbox; "": none */
    char item[CALL_ID_SIZE];   /* the other that the path names: a conversation; "": none */
    uint64_t began_us;         /* 0: nobody wants to know */
    const char *body;          /* where the route takes one; NULL: it has none */
    size_t body_len;

    void (*gone)(struct call *call); /* while it is pending: ends what `state` is about */
    void *state;                     /* the handler's */
};

/* Leaves the call pending. `gone` may be NULL. */
void call_hold(struct call *call, void (*gone)(struct call *call), void *state);
/* Leaves it pending until the service answers; a client that leaves first gives up the answer, not what was begun.
 * `wait` NULL: the service refused at once, which is the answer. */
void call_hold_wait(struct call *call, struct sandbox_wait *wait, const struct sbx_error *refusal);

/* Whether a body is blank, an empty object or null, which some clients send with every request. */
bool call_says_nothing(const char *body, size_t len);

void call_reply(struct call *call, int status, const char *content_type, const void *body, size_t len);
/* The text that is in api->out. */
void call_reply_out(struct call *call, int status, const char *content_type);
/* Takes the value. */
void call_reply_json(struct call *call, int status, struct json_object *value);
void call_reply_success(struct call *call); /* {"success": true} */
void call_reply_sandbox(struct call *call, const struct sandbox *sandbox);
/* For a reply that the handler streamed to its end, or broke off: counts it, logs it and frees the call. To
 * be called before http_stream_end() or _abort(), since it reads the request. */
void call_close(struct call *call, int status);

#endif
