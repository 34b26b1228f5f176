/* net/transfer.h: one request and its answer, from client_start() to done(). Private to the client. */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H

#include "base/buffer.h"
#include "net/client.h"
#include "net/multi.h"
#include "net/request.h"
#include "net/resolver.h"
#include "net/upload.h"

enum {
    TRANSFER_HEAD_MAX = 64 * 1024,  /* of an answer, all its heads and trailers together */
    TRANSFER_HIGH_WATER = 64 * 1024 /* of a stream: as much waits here before curl is held back */
};

/* Failures that curl doesn't know of. */
enum transfer_failure {
    FAILURE_NONE,
    FAILURE_LOOKUP,         /* the name has no address; `why` says more */
    FAILURE_LOOKUP_TIMEOUT, /* nor an answer */
    FAILURE_START,          /* curl would not take the transfer */
    FAILURE_HEAD_TOO_LARGE,
    FAILURE_BODY_TOO_LARGE,
    FAILURE_IDLE
};

struct client {
    struct loop *loop;
    struct multi *multi;
    struct resolver *resolver; /* made with the first name */
    struct client_transfer *transfers;
    size_t count, most;    /* of them now, and at most since memory was given back */
    struct event trim;     /* gives it back, soon after a burst of them */
    struct buffer scratch; /* what is being delivered, swapped with a transfer's body */
};

struct client_transfer {
    struct client *client;
    struct client_transfer *next, **prev; /* among the client's */
    struct client_handler handler;
    void *arg;

    CURL *easy;
    bool in_curl; /* added to the multi handle */
    struct curl_slist *headers, *addresses;
    struct upload upload;
    struct resolver_query query;
    struct loop_task task; /* tells the handler what has come */
    struct event timer;    /* the deadline of the lookup, later the idle timeout */

    uint32_t timeout_ms, connect_timeout_ms, idle_timeout_ms;
    size_t max_body;
    bool discard_body, cut_short;

    /* The answer so far. Written in curl's callbacks, told by `task`. */
    struct buffer head; /* the header lines, each with its zero byte; kept only where wanted */
    struct buffer body; /* collected, or the piece of a stream that was not handed over yet */
    size_t head_len;
    uint64_t last_byte_ms;
    int status;
    bool head_complete;
    bool paused; /* curl is held back */
    bool ended;  /* nothing more comes: `result` and `failure` say how it went */
    CURLcode result;
    enum transfer_failure failure;
    int socket_errno; /* of socket(2) */
    const char *why;

    /* The handler. */
    bool head_told;
    bool stopped; /* it wants to be left alone */
    bool resumed; /* client_resume() came while it was being called */
    bool busy;    /* it is being called */
    bool cancelled;

    char curl_says[CURL_ERROR_SIZE];
    char name[]; /* for error texts: host:port or the path of the unix socket */
};

/* Says in a sentence why an ended transfer failed; false when it did not. In failure.c. */
bool transfer_failure(const struct client_transfer *transfer, struct sbx_error *err);

#endif
