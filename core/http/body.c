/* http/body.c: takes the body of a request off the input, for its handler or to be rid of it. */
#include "http/state.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>

void body_begin(struct http_connection *connection, const struct http_head *head)
{
    connection->received = 0;
    connection->body = (struct http_body){.chunked = head->chunked, .left = head->content_length};
    connection->body.awaits_continue = head->expect_continue && !body_complete(&connection->body);
}

bool body_complete(const struct http_body *body)
{
    return !body->chunked && body->left == 0;
}

bool body_skippable(const struct http_connection *connection)
{
    /* After an early answer a client may or may not send what it held back: RFC 9110, section 10.1.1. */
    return !connection->body.awaits_continue &&
           (connection->body.chunked || connection->body.left <= HTTP_SKIP_MAX);
}

static enum http_progress over_bound(struct http_connection *connection, uint64_t max,
                                     struct http_fault *fault)
{
    struct http_server *server = connection->server;
    snprintf(server->detail, sizeof server->detail, "the request body must be at most %" PRIu64 " bytes",
             max);
    *fault = (struct http_fault){.status = 413, .detail = server->detail};
    return HTTP_FAULT;
}

static enum http_progress keep(struct http_connection *connection, struct buffer *sink, const char *data,
                               size_t len, struct http_fault *fault)
{
    connection->received += len;
    if (!sink || buffer_add(sink, data, len) == 0)
        return HTTP_MORE;
    if (len > sink->max - sink->len)
        return over_bound(connection, sink->max, fault);
    *fault = (struct http_fault){.status = 503, .detail = "no memory is left for the request body"};
    return HTTP_FAULT;
}

/* At the front of the input. */
struct piece {
    const char *data; /* of the body; stays there until `used` bytes are drained */
    size_t len, used; /* used 0: nothing has arrived */
};

/* Takes note of the next piece as read. */
static enum http_progress next_piece(struct http_connection *connection, struct piece *piece,
                                     struct http_fault *fault)
{
    struct http_body *body = &connection->body;
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    struct evbuffer_iovec front;
    *piece = (struct piece){0};
    if (evbuffer_get_length(input) == 0 || evbuffer_peek(input, -1, NULL, &front, 1) < 1)
        return HTTP_MORE;
    body->awaits_continue = false;
    piece->data = front.iov_base;
    if (body->chunked) {
        enum http_progress progress = http_chunked_next(&body->decoder, front.iov_base, front.iov_len,
                                                        &piece->used, &piece->data, &piece->len, fault);
        body->chunked = progress == HTTP_MORE;
        return progress;
    }
    piece->len = piece->used = front.iov_len < body->left ? front.iov_len : (size_t)body->left;
    body->left -= piece->used;
    return HTTP_MORE;
}

enum http_progress body_take(struct http_connection *connection, struct buffer *sink,
                             struct http_fault *fault)
{
    struct http_body *body = &connection->body;
    if (sink && body->left > sink->max - sink->len)
        return over_bound(connection, sink->max, fault);
    while (!body_complete(body)) {
        struct piece piece;
        enum http_progress progress = next_piece(connection, &piece, fault);
        if (progress != HTTP_FAULT && piece.used == 0)
            return HTTP_MORE;
        if (progress != HTTP_FAULT)
            progress = keep(connection, sink, piece.data, piece.len, fault);
        if (progress == HTTP_FAULT)
            return progress;
        evbuffer_drain(bufferevent_get_input(connection->bev), piece.used);
    }
    return HTTP_DONE;
}

enum http_progress body_pass(struct http_connection *connection, bool *moved, struct http_fault *fault)
{
    struct http_body *body = &connection->body;
    struct http_request *request = connection->request;
    uint64_t max = request->body_max;
    struct piece piece;
    *moved = false;
    if (body->left > max - connection->received)
        return over_bound(connection, max, fault);
    if (body_complete(body))
        return HTTP_DONE;
    if (next_piece(connection, &piece, fault) == HTTP_FAULT)
        return HTTP_FAULT;
    if (piece.len > max - connection->received)
        return over_bound(connection, max, fault);
    connection->received += piece.len;
    *moved = piece.used > 0;
    body->held = piece.len > 0; /* for a handler that asks for more before it has returned */
    if (piece.len > 0 && request->piece(request->whole_arg, request, piece.data, piece.len))
        body->held = false;
    evbuffer_drain(bufferevent_get_input(connection->bev), piece.used);
    return HTTP_MORE;
}
