/* http/server.h: the HTTP/1.1 front end as the rest of the daemon sees it.
 *
 * Strict (RFC 9112): what is ambiguous is refused. A connection answers one request at a time, in
 * order; what a client pipelines waits in its buffer. Loop thread only.
 *
 * Life of a request: `head` is called when its head is complete and valid, before any body is read.
 * The handler answers (http_reply…), or asks for the body (http_read_body), or leaves the request
 * pending and answers later. A request ends when its reply is written out, or when its client is
 * gone: then `gone` is called (see http_set_gone), and the request may not be touched afterwards. A
 * handler that replied need do nothing more: `gone` is not called after a complete reply was given.
 *
 * A client that ends its sending side (a FIN, TLS's close_notify) still gets its answers. One that closed its
 * socket for good sends the same FIN, so both count as waiting until the difference shows: `gone` is called when the
 * connection is reset, which writing to it brings about; when a unix socket is closed; when TLS ends without
 * close_notify; else within about 75 s, by keep-alive probes. A body that is not whole at the FIN can't become so:
 * that client is gone at once.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/loop.h"
#include "config/config.h"

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_request;
struct evbuffer;

/* ---- the server ------------------------------------------------------------------------------ */

struct http_handler {
    void (*head)(void *arg, struct http_request *request);
    void *arg;
};

/* `handler` is copied. The process ignores SIGPIPE from then on, and so do its children unless they are
 * given the default back. */
struct http_server *http_server_create(struct loop *loop, const struct http_handler *handler);

/* A reload part, in three steps (see config/reload.h): binds listeners that are new and loads the TLS
 * files, then takes them over, or lets go of them. Listeners whose address stays keep their socket and
 * connections; those that go away take in who waits already and stop accepting, and their connections end
 * after the request at hand or, when idle, the next one. A unix socket path that a dead daemon left is
 * replaced; one that answers is an error. A host must be an IP address or "localhost". Limits and timeouts
 * of `next` count from the next request or connection on; clients get three quarters of RLIMIT_NOFILE at most.
 * At the limit the connection that is longest without a request makes room for another, after a second,
 * and where there is none a client that ended its side, or takes its answer slowly; the last few are for loopback and unix sockets
 * alone.
 * Problems are about server.listen[i] and server.tls. */
int http_server_prepare(struct http_server *server, struct config *next, struct config_problems *problems);
void http_server_commit(struct http_server *server, struct config *next);
void http_server_rollback(struct http_server *server);

/* --check: what can be checked of a configuration without binding anything: the TLS files. */
void http_server_check(const struct config *config, struct config_problems *problems);

/* The addresses that are bound, with the port that port 0 became, separated by ", ". */
const char *http_server_addresses(const struct http_server *server);

/* Takes in who waits already and stops accepting, closes connections that have been idle for a second, lets
 * each other end after its request, and calls `drained` once none is left, or after `timeout_ms` with the rest cut off: 503 where no reply was begun. */
void http_server_drain(struct http_server *server, uint32_t timeout_ms, void (*drained)(void *arg),
                       void *arg);
bool http_server_draining(const struct http_server *server);
/* Requests at hand are gone first. Not inside a callback of the server, but in `drained`. NULL is allowed. */
void http_server_destroy(struct http_server *server);

struct http_stats {
    uint64_t connections_total, requests_total;
    uint64_t bad_requests; /* refused by the front end, but for timeouts */
    uint64_t timeouts;     /* connections that missed a deadline, idle ones aside */
    uint64_t over_limit;   /* times that accepting stopped at max_connections */
    unsigned connections;  /* now */
};
struct http_stats http_server_stats(const struct http_server *server);

/* ---- a request ------------------------------------------------------------------------------- */

const char *http_method(const struct http_request *request); /* "GET", …: a token, at most 16 bytes */
/* The path, percent-decoded, valid UTF-8, without NUL, starts with "/"; the query is cut off. */
const char *http_path(const struct http_request *request);
/* The value of a header, whatever its case, without the space around it. NULL: absent. Several of one name
 * are refused by the parser where they may not be joined, and joined by ", " where they may. */
const char *http_header(const struct http_request *request, const char *name);
/* The index-th value of a query parameter, decoded; NULL: there are no more. */
const char *http_query(const struct http_request *request, const char *name, size_t index);
/* The index-th parameter of the query, in order; false: there are no more. */
bool http_query_at(const struct http_request *request, size_t index, const char **name, const char **value);
/* 1 to 128 printable ASCII bytes: the client's X-Request-ID where it is such, else one of ours. */
const char *http_request_id(const struct http_request *request);
/* The generation this request is pinned to, until it ends. */
struct config *http_config(const struct http_request *request);
bool http_has_body(const struct http_request *request);    /* Content-Length above 0, or chunked */
bool http_is_loopback(const struct http_request *request); /* came over loopback or a unix socket */
bool http_is_unix(const struct http_request *request);     /* came over a unix socket */
bool http_is_tls(const struct http_request *request);

/* Reads the body (sending 100 Continue where the client waits for it), then calls `whole` with it; the bytes
 * are valid until the request ends. A body over `max` is answered 413 by the front end, one that dawdles
 * 408; `whole` is not called then, and `gone` is. Neither is called before this returns. At most once a
 * request, and before any reply. */
void http_read_body(struct http_request *request, uint64_t max,
                    void (*whole)(void *arg, struct http_request *request, const void *body, size_t len),
                    void *arg);

/* The same for a body that is too large to be held: `piece` gets it as it comes, at most some 64 KiB at once, and may
 * answer the request, which ends the reading. False from it: no more is read from the client until
 * http_resume_body(); the piece counts as taken. `whole` comes after the last piece. */
void http_stream_body(struct http_request *request, uint64_t max,
                      bool (*piece)(void *arg, struct http_request *request, const void *bytes, size_t len),
                      void (*whole)(void *arg, struct http_request *request), void *arg);
void http_resume_body(struct http_request *request);

/* One handler-owned pointer, and what is called when the client is gone before a reply was complete. */
void http_set_gone(struct http_request *request, void (*gone)(void *arg, struct http_request *request),
                   void *arg);

/* ---- its reply ------------------------------------------------------------------------------- */

/* Adds a header to the reply to come, also where the front end gives it (a body over its bound); name and value are ours: a line break in one aborts, and so does more
 * than 4 KiB of them. */
void http_add_header(struct http_request *request, const char *name, const char *value);

/* The whole reply at once. Date, Content-Length, X-Request-ID and Connection are added. A HEAD request gets no
 * body. `content_type` may be NULL where len is 0. After it the request may not be touched. */
void http_reply(struct http_request *request, int status, const char *content_type, const void *body,
                size_t len);
/* The same, and takes what is in `body` (which stays the caller's, empty). */
void http_reply_buffer(struct http_request *request, int status, const char *content_type,
                       struct evbuffer *body);

/* A reply in pieces (chunked; until close for HTTP/1.0). http_stream_write() returns false when more than
 * 256 KiB wait for the client: write no more until `writable` is called (NULL: the reply is small).
 * http_stream_end() completes it; after it the request may not be touched. */
void http_stream_start(struct http_request *request, int status, const char *content_type,
                       void (*writable)(void *arg, struct http_request *request), void *arg);
bool http_stream_write(struct http_request *request, const void *bytes, size_t len);
void http_stream_end(struct http_request *request);
/* Breaks a streamed reply off, so that the client sees that it is not whole. */
void http_stream_abort(struct http_request *request);

#endif
