/* engine.h: calls of the Docker Engine API (1.41 and later), over the host's HTTP client.
 *
 * Each call has one answer, on the loop thread and never before the call returned, unless it is cancelled:
 * then none. What the engine refuses comes as an error in its own words (refusal.h).
 */
#ifndef DOCKER_ENGINE_H
#define DOCKER_ENGINE_H

#include "options/options.h"

struct engine {
    struct sbx_backend *public;
    const struct sbx_host *host;
    const struct options *options; /* borrowed: host and TLS */
    char *base;                    /* "http://localhost" or "https://HOST:PORT" */
    char *socket;                  /* path; NULL: TCP */
    char version[16];          /* spoken, "1.41": put in front of each path once engine_agree() was called */
    struct engine_call *calls; /* not answered yet */
    uint64_t answered_ms;      /* host->now_ms() when it began its last answer; 0: it gave none */
    int64_t date_s; /* the engine's clock when it began its last answer, in seconds since 1970-01-01
                                * UTC (RFC 9110, section 6.6.1); 0: it never said */
};

void engine_init(struct engine *engine, struct sbx_backend *public, const struct options *options);
void engine_finish(struct engine *engine); /* cancels what is not answered */
/* Takes the answer of GET /version: speaks 1.41, or the least that a newer engine still speaks. -1 with err
 * when that engine is too old. */
int engine_agree(struct engine *engine, const struct sbx_json *version, struct sbx_error *err);

/* Percent-encodes `text` for a path segment or a query value (RFC 3986, unreserved characters stay). False, and
 * an empty text, when it does not fit. */
bool engine_encode(char *to, size_t size, const char *text);

struct engine_request {
    const char *method;
    const char *path;            /* encoded, with its query, without the version: "/containers/json?all=1" */
    const struct sbx_json *body; /* borrowed for the call; NULL: none */
    const char *body_file;       /* a file instead, whose type `header` says; NULL: none */
    const char *header;          /* one more header, "X-Registry-Auth: …"; NULL: none */
    uint32_t timeout_ms;         /* whole answers: of the call, 0: 30 s. Streams: without a byte, 0: never */
    bool cut_short;    /* timeout_ms is what was left for more than this call: an error does not name it */
    uint32_t max_body; /* of a whole answer; 0: 1 MiB */
    bool unversioned;  /* no version in front: for GET /version and GET /_ping */
};

/* `error` NULL: the status was 2xx or 304. `body` is the JSON answer; NULL where there was none, or another
 * sort of body. Borrowed for the callback. `status` 0: there was no answer. Where there was none, or none that makes
 * sense, the error is BACKEND_UNAVAILABLE or BACKEND_TIMEOUT and names the method and the path. */
typedef void (*engine_done)(void *arg, const struct sbx_error *error, int status,
                            const struct sbx_json *body);

/* An unanswered call, to be cancelled with; never NULL. */
struct engine_call *engine_call(struct engine *engine, const struct engine_request *request, engine_done done,
                                void *arg);

/* Streams: `head` (may be NULL) when a 2xx answer has begun, then `data` for each piece, which answers as in
 * host.h; `done` at the end, with an error where it was refused, cut or fell silent. */
struct engine_stream {
    void (*head)(void *arg);
    enum sbx_stream (*data)(void *arg, const void *bytes, size_t len);
    void (*done)(void *arg, const struct sbx_error *error, int status);
};
struct engine_call *engine_open(struct engine *engine, const struct engine_request *request,
                                const struct engine_stream *stream, void *arg);
void engine_resume(struct engine_call *call); /* a stream that was told to stop goes on */
void engine_cancel(struct engine_call *call); /* NULL is allowed. It is gone afterwards */

#endif
