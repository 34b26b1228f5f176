/* http/connection.c: one connection, stage by stage: when it reads, for how long, and how it ends.
 *
 * All decisions are taken in connection_process(); callbacks note what happened and call it, answers given
 * outside of it queue it. It never frees a connection: that is for the server's reap.
 */
#include "base/clock.h"
#include "http/state.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* A head always fits; what is pipelined behind it waits in the kernel. */
    INPUT_MAX = HTTP_HEAD_MAX + 1024,
    REQUESTS_A_TURN = 32 /* of one client that pipelines, before others have their turn */
};

/* ---- deadlines ------------------------------------------------------------------------------- */

static uint64_t bytes_written(const struct http_connection *connection)
{
    return connection->queued - connection_unsent(connection);
}

/* The timer is only touched when it would come too late: most requests leave it alone. */
void connection_set_deadline(struct http_connection *connection, uint32_t delay_ms)
{
    if (delay_ms == 0) {
        connection->deadline = 0;
        return;
    }
    uint64_t now = clock_ms();
    connection->deadline = now + delay_ms;
    connection->progress = connection->stage == STAGE_BODY ? connection->received : bytes_written(connection);
    if (connection->armed == 0 || connection->armed > connection->deadline) {
        connection->armed = connection->deadline;
        loop_arm_ms(&connection->timer, delay_ms);
    }
}

static void time_out(struct http_connection *connection, const char *detail)
{
    reply_fault(connection, &(struct http_fault){.status = 408, .detail = detail});
}

static void expire(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    uint32_t header_timeout = server->config->header_timeout_ms;
    switch (connection->stage) {
    case STAGE_HEAD:
        time_out(connection, "the request head did not arrive within server.header_timeout");
        break;
    case STAGE_BODY:
        if (connection->received - connection->progress >= (uint64_t)HTTP_BODY_RATE * header_timeout / 1000)
            connection_set_deadline(connection, header_timeout);
        else
            time_out(connection, "the request body arrives at less than 1024 bytes a second");
        break;
    case STAGE_PENDING: /* streaming */
    case STAGE_FLUSH:
        if (connection_unsent(connection) == 0 && connection->stage == STAGE_PENDING)
            break;
        if (connection_unsent(connection) > 0 && bytes_written(connection) > connection->progress) {
            connection_set_deadline(connection, server->times.write_stall);
            break;
        }
        server->stats.timeouts++;
        connection_abort(connection);
        break;
    case STAGE_HANDSHAKE:
        server->stats.timeouts++;
        connection_close(connection);
        break;
    case STAGE_IDLE:
    case STAGE_LINGER: connection_close(connection); break;
    case STAGE_CLOSED: break;
    }
    connection_process(connection);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct http_connection *connection = arg;
    connection->armed = 0;
    if (connection->deadline == 0)
        return;
    uint64_t now = clock_ms();
    if (now < connection->deadline) {
        connection->armed = connection->deadline;
        loop_arm_ms(&connection->timer, connection->deadline - now);
        return;
    }
    connection->deadline = 0;
    expire(connection);
}

/* ---- stages ---------------------------------------------------------------------------------- */

void connection_set_idle(struct http_connection *connection, bool idle)
{
    struct http_server *server = connection->server;
    if (idle == (connection->idle_prev != NULL))
        return;
    if (idle) {
        connection->idle_since = clock_ms();
        connection->idle_next = NULL;
        connection->idle_prev = server->idle_last;
        *server->idle_last = connection;
        server->idle_last = &connection->idle_next;
    } else {
        *connection->idle_prev = connection->idle_next;
        if (connection->idle_next)
            connection->idle_next->idle_prev = connection->idle_prev;
        else
            server->idle_last = connection->idle_prev;
        connection->idle_prev = NULL;
    }
    if (server->stats.connections >= server->most - server->reserve)
        server_update_admission(server);
}

static void begin_idle(struct http_connection *connection)
{
    connection->stage = STAGE_IDLE;
    connection_set_idle(connection, true);
    const struct http_server *server = connection->server;
    connection_set_deadline(connection, server->draining ? server->times.idle_grace : server->times.idle);
}

static void begin_linger(struct http_connection *connection)
{
    if (connection->eof) {
        connection_close(connection);
        return;
    }
    /* Closing with unread input would reset the connection, and the client might not see the reply. */
    if (connection->ssl) {
        SSL_shutdown(connection->ssl);
        ERR_clear_error();
    }
    shutdown(connection->fd, SHUT_WR);
    connection->stage = STAGE_LINGER;
    connection->received = 0;
    connection_set_deadline(connection, connection->server->times.linger);
}

static enum http_progress scan_input(struct http_connection *connection, struct http_fault *fault)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    enum http_progress progress = HTTP_MORE;
    for (;;) {
        struct evbuffer_ptr at;
        struct evbuffer_iovec piece;
        size_t seen = (size_t)connection->scan.skipped + connection->scan.len;
        if (progress != HTTP_MORE || seen >= evbuffer_get_length(input) ||
            evbuffer_ptr_set(input, &at, seen, EVBUFFER_PTR_SET) < 0 ||
            evbuffer_peek(input, -1, &at, &piece, 1) < 1)
            return progress;
        progress = http_scan(&connection->scan, piece.iov_base, piece.iov_len, fault);
    }
}

/* Each step returns whether there may be more to do at once. */
static bool step_head(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_fault fault;
    enum http_progress progress = scan_input(connection, &fault);
    if (progress == HTTP_MORE) {
        bool begun = connection->scan.len > 0;
        if (begun && connection->stage == STAGE_IDLE) {
            connection->stage = STAGE_HEAD;
            connection_set_deadline(connection, server->config->header_timeout_ms);
        } else if (!begun && connection->stage == STAGE_HEAD)
            begin_idle(connection); /* it was only an empty line */
        if (connection->eof)
            connection_close(connection);
        return false;
    }
    connection_set_idle(connection, false);
    struct http_request *request = progress == HTTP_DONE ? request_create(connection, &fault) : NULL;
    connection->scan = (struct http_scan){0};
    if (!request) {
        reply_fault(connection, &fault);
        return true;
    }
    connection->request = request;
    connection->stage = STAGE_PENDING;
    connection_set_deadline(connection, 0);
    body_begin(connection, &request->head);
    server->stats.requests_total++;
    server->handler.head(server->handler.arg, request);
    if (connection->eof && connection->stage == STAGE_PENDING)
        connection_set_idle(connection, true); /* its client may be gone */
    return true;
}

/* A body that goes to its handler in pieces. */
static bool step_pieces(struct http_connection *connection)
{
    struct http_request *request = connection->request;
    struct http_fault fault;
    bool moved;
    if (connection->body.held)
        return false;
    switch (body_pass(connection, &moved, &fault)) {
    case HTTP_MORE:
        if (!moved && connection->stage == STAGE_BODY && connection->eof)
            connection_close(connection);
        else if (connection->stage == STAGE_BODY && connection->body.held)
            connection_set_deadline(connection, 0);
        return moved;
    case HTTP_FAULT: reply_fault(connection, &fault); return true;
    default: break;
    }
    connection->stage = STAGE_PENDING;
    connection_set_deadline(connection, 0);
    request->streamed(request->whole_arg, request);
    return true;
}

static bool step_body(struct http_connection *connection)
{
    struct http_request *request = connection->request;
    struct http_fault fault;
    if (request->piece)
        return step_pieces(connection);
    switch (body_take(connection, &request->body, &fault)) {
    case HTTP_MORE:
        if (connection->eof)
            connection_close(connection);
        return false;
    case HTTP_FAULT: reply_fault(connection, &fault); return true;
    default: break;
    }
    connection->stage = STAGE_PENDING;
    connection_set_deadline(connection, 0);
    request->whole(request->whole_arg, request, buffer_text(&request->body), request->body.len);
    return true;
}

static bool step_flush(struct http_connection *connection)
{
    struct http_fault fault;
    if (!body_complete(&connection->body) &&
        (body_take(connection, NULL, &fault) == HTTP_FAULT || connection->received > HTTP_SKIP_MAX))
        connection->keep_alive = false;
    if (connection_unsent(connection) > 0) {
        /* Else a few who take their answers slowly, for which no key is needed, would have all places. */
        connection_set_idle(connection, true);
        return false;
    }
    if (!connection->keep_alive || connection->server->draining) {
        connection_set_idle(connection, false);
        begin_linger(connection);
        return true;
    }
    if (!body_complete(&connection->body)) {
        /* It was answered, and owes what nobody waits for. */
        connection_set_idle(connection, true);
        if (connection->eof)
            connection_close(connection);
        return false;
    }
    connection_set_idle(connection, false); /* from now on */
    begin_idle(connection);
    return true;
}

static bool step_linger(struct http_connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    size_t len = evbuffer_get_length(input);
    connection->received += len;
    evbuffer_drain(input, len);
    if (connection->eof || connection->received > HTTP_LINGER_MAX)
        connection_close(connection);
    return false;
}

static bool step(struct http_connection *connection)
{
    if (connection->broken && connection->stage != STAGE_CLOSED)
        connection_close(connection);
    switch (connection->stage) {
    case STAGE_IDLE:
    case STAGE_HEAD: return step_head(connection);
    case STAGE_BODY: return step_body(connection);
    case STAGE_FLUSH: return step_flush(connection);
    case STAGE_LINGER: return step_linger(connection);
    case STAGE_PENDING:
        if (connection->hung_up)
            connection_close(connection);
        return false;
    default: return false;
    }
}

/* Reading stops while more waits than is looked at before the request at hand has its reply. */
static void pace_input(struct http_connection *connection)
{
    bool full = evbuffer_get_length(bufferevent_get_input(connection->bev)) >= INPUT_MAX;
    if (full != connection->read_paused) {
        /* The high-water mark alone does not do: while input is above it, libevent calls the read callback
         * again on each turn (bufferevent.c of 2.1.12, bufferevent_inbuf_wm_check()). */
        connection->read_paused = full;
        if (full)
            bufferevent_disable(connection->bev, EV_READ);
        else
            bufferevent_enable(connection->bev, EV_READ);
    }
    /* What OpenSSL has decrypted already makes no descriptor readable, and libevent does not look for it again
     * after its high-water mark (bufferevent_openssl.c of 2.1.12, consider_reading()). */
    if (!full && connection->ssl && SSL_pending(connection->ssl) > 0)
        event_active(&connection->bev->ev_read, EV_READ, 1);
}

void connection_process(struct http_connection *connection)
{
    if (connection->processing)
        return;
    loop_undefer(connection->server->loop, &connection->task);
    connection->processing = true;
    uint64_t last = connection->server->stats.requests_total + REQUESTS_A_TURN;
    bool more = true;
    while (more && connection->server->stats.requests_total < last)
        more = step(connection);
    connection->processing = false;
    if (more)
        connection_continue(connection);
    if (connection->stage != STAGE_CLOSED)
        pace_input(connection);
}

void connection_continue(struct http_connection *connection)
{
    if (!connection->processing && connection->stage != STAGE_CLOSED)
        loop_defer(connection->server->loop, &connection->task);
}

/* ---- what happens to it ---------------------------------------------------------------------- */

static void on_readable(struct bufferevent *bev, void *arg)
{
    (void)bev;
    connection_process(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct http_connection *connection = arg;
    struct http_request *request = connection->request;
    if (connection_unsent(connection) == 0 && connection->stage == STAGE_PENDING)
        connection_set_deadline(connection, 0);
    if (request && request->stream_blocked && connection_unsent(connection) <= HTTP_STREAM_LOW) {
        request->stream_blocked = false;
        if (request->writable)
            request->writable(request->writable_arg, request);
    }
    connection_process(connection);
}

/* A client that ends its side may wait for its answer, or may be gone: both send the same. The kernel asks from time
 * to time; once that of a client that is gone has forgotten the connection (tcp_fin_timeout), it answers with a
 * reset. TCP only: that of a unix socket tells the two apart. */
static void note_eof(struct http_connection *connection)
{
    int seconds = (int)connection->server->times.half_closed_s;
    connection->eof = true;
    if (connection->stage == STAGE_PENDING)
        connection_set_idle(connection, true);
    /* At close_notify libevent stops writing, too (bufferevent_openssl.c of 2.1.12, conn_closed()). */
    if (connection->ssl && connection_unsent(connection) > 0)
        bufferevent_enable(connection->bev, EV_WRITE);
    if (connection->peer == PEER_UNIX)
        return;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct http_connection *connection = arg;
    if (what & BEV_EVENT_CONNECTED)
        begin_idle(connection);
    if (what & BEV_EVENT_EOF)
        note_eof(connection);
    if (what & BEV_EVENT_ERROR)
        connection->broken = true;
    if (connection->eof && connection->stage == STAGE_HANDSHAKE)
        connection->broken = true;
    connection_process(connection);
}

void connection_hung_up(struct http_connection *connection)
{
    connection->hung_up = true;
    if (connection->stage == STAGE_PENDING)
        connection_process(connection);
}

static void run_process(void *arg)
{
    connection_process(arg);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static bool create_bufferevent(struct http_connection *connection, int fd)
{
    struct http_server *server = connection->server;
    struct event_base *base = loop_base(server->loop);
    if (server->tls) {
        connection->ssl = SSL_new(server->tls);
        if (!connection->ssl)
            return false;
        connection->bev = bufferevent_openssl_socket_new(base, fd, connection->ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                         BEV_OPT_CLOSE_ON_FREE);
        if (!connection->bev)
            SSL_free(connection->ssl);
    } else
        connection->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    return connection->bev != NULL;
}

void connection_open(struct http_server *server, struct http_listener *listener, int fd, enum http_peer peer)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    connection->server = server;
    connection->listener = listener;
    connection->fd = fd;
    connection->peer = peer;
    connection->task = (struct loop_task){.run = run_process, .arg = connection};
    if (watch_add(&server->watch, fd, connection) < 0 || !create_bufferevent(connection, fd)) {
        close(fd);
        free(connection);
        return;
    }
    evtimer_assign(&connection->timer, loop_base(server->loop), on_timer, connection);
    connection->next = server->connections;
    connection->prev = &server->connections;
    if (connection->next)
        connection->next->prev = &connection->next;
    server->connections = connection;
    server->stats.connections++;
    server->stats.connections_total++;

    bufferevent_setcb(connection->bev, on_readable, on_written, on_event, connection);
    bufferevent_setwatermark(connection->bev, EV_READ, 0, INPUT_MAX);
    bufferevent_enable(connection->bev, EV_READ | EV_WRITE);
    if (connection->ssl) {
        connection->stage = STAGE_HANDSHAKE;
        connection_set_idle(connection, true);
        connection_set_deadline(connection, server->config->header_timeout_ms);
    } else
        begin_idle(connection);
    server_update_admission(server);
}

static void end_request(struct http_connection *connection)
{
    struct http_request *request = connection->request;
    if (!request)
        return;
    connection->request = NULL;
    if (request->gone)
        request->gone(request->gone_arg, request);
    request_destroy(request);
}

static void close_now(struct http_connection *connection, bool reset)
{
    if (connection->stage == STAGE_CLOSED)
        return;
    bool handshaken = connection->stage != STAGE_HANDSHAKE;
    connection->stage = STAGE_CLOSED;
    connection_set_idle(connection, false);
    watch_remove(&connection->server->watch, connection->fd);
    event_del(&connection->timer);
    loop_undefer(connection->server->loop, &connection->task);
    bufferevent_setcb(connection->bev, NULL, NULL, NULL, NULL);
    bufferevent_disable(connection->bev, EV_READ | EV_WRITE);
    if (reset) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    } else if (connection->ssl && handshaken && !connection->broken) {
        SSL_shutdown(connection->ssl);
        ERR_clear_error();
    }
    end_request(connection);
    server_connection_dead(connection);
}

void connection_close(struct http_connection *connection)
{
    close_now(connection, false);
}

void connection_abort(struct http_connection *connection)
{
    close_now(connection, true);
}
