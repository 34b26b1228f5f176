/* http/state.h: what the files of this folder share: the server, a connection, a request.
 *
 * Who owns what: the server owns its connections; a connection owns its bufferevent and the request at hand; a
 * request owns the bytes of its head and body. A connection is only ever freed from the server's reap task,
 * never inside a callback of libevent or of a handler.
 */
#ifndef HTTP_STATE_H
#define HTTP_STATE_H

#include "base/buffer.h"
#include "http/chunked.h"
#include "http/listener.h"
#include "http/parser.h"
#include "http/server.h"
#include "http/watch.h"

#include <event2/bufferevent.h>
#include <openssl/ssl.h>
#include <time.h>

enum {
    HTTP_STREAM_HIGH = 256 * 1024, /* a stream's writer is told to stop above it, */
    HTTP_STREAM_LOW = 64 * 1024,   /* and to go on at it */
    HTTP_SKIP_MAX = 64 * 1024,     /* so much of an unwanted body is read to keep a connection */
    HTTP_LINGER_MAX = 8 * 1024 * 1024,
    HTTP_BODY_RATE = 1024, /* bytes a second; a body that comes slower is cut off */
    HTTP_EXTRA_MAX = 4096, /* headers that a handler adds to one reply */
    HTTP_REQUEST_ID_MAX = 128
};

/* Milliseconds. Those that the configuration has no key for; constant but in tests. */
struct http_times {
    uint32_t idle;          /* a kept connection without a request */
    uint32_t idle_grace;    /* so long idle, it may be closed to make room for another, or in a drain */
    uint32_t write_stall;   /* a client takes nothing of its reply */
    uint32_t linger;        /* for the client to see a last reply */
    uint32_t accept_pause;  /* after accept() found no descriptor */
    uint32_t half_closed_s; /* seconds between two questions whether a client that ended its side is there */
};

enum http_stage {
    STAGE_HANDSHAKE, /* TLS */
    STAGE_IDLE,      /* no byte of a next request */
    STAGE_HEAD,      /* some of it */
    STAGE_PENDING,   /* the handler has the request */
    STAGE_BODY,      /* reading its body for the handler */
    STAGE_FLUSH,     /* the reply is complete, but not all of it is written, or its body not skipped */
    STAGE_LINGER,    /* our side is shut down: what comes is dropped until the client is done */
    STAGE_CLOSED     /* waits for the reap */
};

/* Where the client is. */
enum http_peer { PEER_REMOTE, PEER_LOOPBACK, PEER_UNIX };

/* What of the body at hand has not been taken off the input. */
struct http_body {
    bool chunked;         /* and not at its end */
    uint64_t left;        /* without chunked */
    bool awaits_continue; /* the client sends nothing of it before a 100 (Continue), perhaps */
    bool held;            /* the handler of a streamed body wants no more of it now */
    struct http_chunked decoder;
};

struct http_connection {
    struct http_server *server;
    struct http_listener *listener; /* NULL: it went away, this connection ends with its request */
    struct bufferevent *bev;
    SSL *ssl; /* the bufferevent's; NULL: plain */
    int fd;   /* the bufferevent's */
    enum http_stage stage;
    enum http_peer peer;
    bool keep_alive;  /* after the reply at hand */
    bool eof;         /* all that the client sent was read */
    bool hung_up;     /* seen by the watch */
    bool read_paused; /* input waits that is not looked at yet */
    bool broken;      /* writing failed */
    bool processing;  /* connection_process() is on the stack */
    struct http_scan scan;
    struct http_body body;
    struct http_request *request; /* NULL: none, or its reply is complete */
    uint64_t deadline, armed;     /* CLOCK_MONOTONIC ms; 0: none */
    uint64_t queued;              /* bytes ever put into the bufferevent's output */
    uint64_t progress;            /* what had been written, or read, when the deadline was last set */
    uint64_t received;            /* bytes of the body at hand, or dropped while lingering */
    uint64_t idle_since;
    struct event timer;
    struct loop_task task;                          /* connection_process() on the next turn */
    struct http_connection *next, **prev;           /* of all, or of the dead */
    struct http_connection *idle_next, **idle_prev; /* prev NULL: it may not be closed to make room */
};

struct http_request {
    struct http_connection *connection;
    struct config *config; /* one reference */
    struct http_head head;
    struct buffer body;
    bool body_wanted; /* http_read_body() was called */
    bool is_head;     /* the method is HEAD */
    bool streaming, stream_blocked, stream_chunked, stream_content;
    void (*whole)(void *arg, struct http_request *request, const void *body, size_t len);
    void *whole_arg;
    uint64_t body_max;
    bool (*piece)(void *arg, struct http_request *request, const void *bytes, size_t len); /* streamed */
    void (*streamed)(void *arg, struct http_request *request);
    void (*gone)(void *arg, struct http_request *request);
    void *gone_arg;
    void (*writable)(void *arg, struct http_request *request);
    void *writable_arg;
    struct buffer extra;        /* headers for the reply, each with its line end */
    struct http_joined *joined; /* what http_header() put together */
    const char *id;             /* in the head, or own_id */
    char own_id[12];
    char text[]; /* the head, zero-terminated texts */
};

struct http_server {
    struct loop *loop;
    struct http_handler handler;
    struct http_times times;
    struct config *config; /* one reference; NULL before the first commit */
    SSL_CTX *tls;          /* NULL: plain HTTP */
    struct http_listener *listeners;
    char *addresses;

    struct config *next; /* a reload between prepare and commit: one reference */
    SSL_CTX *next_tls;
    struct http_listener *next_listeners; /* those that are new */

    struct http_connection *connections, *dead;
    struct http_connection *idle_first, **idle_last; /* may be closed to make room: the longest idle first */
    struct loop_task reap;
    struct http_watch watch;
    unsigned most;             /* connections at once */
    unsigned reserve;          /* of these, so many for loopback and unix sockets alone */
    bool accept_paused;        /* no descriptors */
    uint64_t accept_warned;    /* CLOCK_MONOTONIC ms that the log said so; 0: never */
    struct event accept_timer; /* end of the pause, or an idle connection may make room */

    bool draining;
    struct event drain_timer;
    void (*drained)(void *arg);
    void *drained_arg;

    struct http_stats stats;
    time_t date;        /* that date_line is of */
    char date_line[48]; /* "Date: …" and CR LF */
    uint8_t random[256];
    size_t random_used;
    char detail[96]; /* of a fault whose sentence has a number in it */
};

/* ---- server.c -------------------------------------------------------------------------------- */

/* For tests. */
void server_set_times(struct http_server *server, const struct http_times *times);
/* Opens or shuts the listeners after the number of connections, or of idle ones, has changed. */
void server_update_admission(struct http_server *server);
void server_connection_dead(struct http_connection *connection); /* queues it for the reap */
void server_random_id(struct http_server *server, char *out);    /* 11 digits and a zero byte */

/* ---- connection.c ---------------------------------------------------------------------------- */

/* Takes `fd`. */
void connection_open(struct http_server *server, struct http_listener *listener, int fd, enum http_peer peer);
/* Does what can be done with what has arrived or was answered. */
void connection_process(struct http_connection *connection);
/* process() on this stack's way out, or on the next turn of the loop. */
void connection_continue(struct http_connection *connection);
/* The connection is gone in both directions: seen by the watch. */
void connection_hung_up(struct http_connection *connection);
/* Ends it now; a request at hand is told that it is gone. */
void connection_close(struct http_connection *connection);
void connection_abort(struct http_connection *connection); /* the same, and the client gets a reset */
/* Whether it may be closed to make room for another: from when its request was answered (also while the
 * client takes the answer, or owes the rest of the body) until the head of the next one is whole, or
 * while its client may be gone. */
void connection_set_idle(struct http_connection *connection, bool idle);
/* Sets the deadline of the stage at hand, from now; 0: none. */
void connection_set_deadline(struct http_connection *connection, uint32_t delay_ms);

/* ---- output.c -------------------------------------------------------------------------------- */

struct iovec;
/* Writes the parts at once as far as the socket takes them; the rest is queued. A failure is noted in
 * `broken`. */
void connection_send(struct http_connection *connection, struct iovec *parts, size_t len);
void connection_send_buffer(struct http_connection *connection, struct evbuffer *buffer); /* empties it */
size_t connection_unsent(const struct http_connection *connection);

/* ---- body.c ---------------------------------------------------------------------------------- */

void body_begin(struct http_connection *connection, const struct http_head *head);
bool body_complete(const struct http_body *body);
/* Whether a reply given now may keep the connection: what is left of the body is small, and is coming. */
bool body_skippable(const struct http_connection *connection);
/* Moves what has arrived into `sink` (bounded by its max), or drops it (NULL). HTTP_FAULT: malformed, or over
 * the bound of the sink (413). */
enum http_progress body_take(struct http_connection *connection, struct buffer *sink,
                             struct http_fault *fault);

/* Hands the next piece that has arrived to the handler of a streamed body, which may end the request. `*moved`:
 * something was taken. */
enum http_progress body_pass(struct http_connection *connection, bool *moved, struct http_fault *fault);

/* ---- request.c ------------------------------------------------------------------------------- */

/* Takes the head that was scanned off the input. NULL: it is refused, and `fault` says why. */
struct http_request *request_create(struct http_connection *connection, struct http_fault *fault);
void request_destroy(struct http_request *request);

/* ---- reply.c --------------------------------------------------------------------------------- */

/* An answer of the front end itself: {"detail": …}; the connection ends. A request at hand is gone first. */
void reply_fault(struct http_connection *connection, const struct http_fault *fault);

#endif
