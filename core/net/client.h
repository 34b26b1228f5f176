/* net/client.h: the one HTTP client, on libcurl's multi interface and the loop.
 *
 * HTTP/1.1 (HTTP/2 over TLS where the server has it and nothing is streamed), over TCP or a unix socket; no
 * proxy, no redirects, no schemes but http and https; peers are always verified. Loop thread only. Names are
 * resolved off the loop.
 * The program ignores SIGPIPE (a TLS connection that was closed raises it).
 *
 * A request on a kept connection that turns out to be closed, before a byte of the answer has come, is
 * sent again on a new one: `no_reuse` where it must not reach the server twice.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/loop.h"

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct client_transfer;

struct client_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *unix_socket;    /* NULL: TCP */
    const char *const *headers; /* "Name: value", ends in NULL; NULL: none */
    const char *purpose; /* a constant for the User-Agent: "sandboxd/VERSION (PURPOSE)"; NULL: "sandboxd" */
    const void *body;    /* copied; NULL: none */
    size_t body_len;
    const char *body_file; /* instead of `body`: a regular file, sent as it is, by any method but HEAD */
    uint32_t connect_timeout_ms; /* 0: 5 s */
    uint32_t timeout_ms;         /* whole call; 0: 30 s, or none when streamed */
    bool cut_short;           /* timeout_ms is what was left of a longer limit: a failure does not name it */
    uint32_t idle_timeout_ms; /* streamed: no byte for so long fails; 0: never */
    size_t max_body;          /* collected answers; 0: 1 MiB. More is a failure */
    bool no_reuse;            /* a connection of its own, closed after (health checks) */
    bool discard_body;        /* only the status matters: done() at once after the head */
    const char *ca_file, *cert_file, *key_file; /* NULL: system's trust, no client certificate */
};

struct client_handler {
    /* NULL: not wanted. Headers as "Name: value", in order, NULL at the end. */
    void (*head)(void *arg, int status, const char *const *headers);
    /* NULL: the body is collected for done(). Returns false to be left alone until client_resume(). The piece
     * that came with it counts as taken. */
    bool (*data)(void *arg, const void *bytes, size_t len);
    /* Last call, exactly once unless cancelled. `err` is NULL when a whole answer came. Failures:
     * SBX_ERR_UNAVAILABLE (no connection, cut off; not retryable: a peer that isn't trusted; with
     * SBX_CODE_INTERNAL: this process has no descriptor or memory for it, and the peer was not asked),
     * SBX_ERR_TIMEOUT, SBX_ERR_REFUSED (not HTTP, too large; a head may have 64 KiB), SBX_ERR_INVALID (a
     * certificate file that can't be read), with a message that begins with "host:port: " and has no secret. `status` is 0 where no
     * whole head came, `body` NULL on failure. */
    void (*done)(void *arg, const struct sbx_error *err, int status, const void *body, size_t len);
};

/* Aborts when libcurl can't be initialised at all. */
struct client *client_create(struct loop *loop);
void client_destroy(struct client *client); /* cancels what is under way; not inside a callback */

/* Begins a transfer. No callback comes before this has returned. NULL when what is asked for is not valid
 * (SBX_ERR_INVALID). */
struct client_transfer *client_start(struct client *client, const struct client_request *request,
                                     const struct client_handler *handler, void *arg, struct sbx_error *err);
void client_resume(struct client_transfer *transfer);
/* No callback comes any more; may be called inside one. The transfer is freed. NULL is allowed. */
void client_cancel(struct client_transfer *transfer);
/* A transfer is valid until done() has returned or it was cancelled. */

#endif
