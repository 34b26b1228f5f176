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

enum http_progress body_take(struct http_connection *connection, struct buffer *sink,
                             struct http_fault *fault)
{
    struct http_body *body = &connection->body;
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    struct evbuffer_iovec piece;
    if (sink && body->left > sink->max - sink->len)
        return over_bound(connection, sink->max, fault);
    while (!body_complete(body)) {
        if (evbuffer_get_length(input) == 0 || evbuffer_peek(input, -1, NULL, &piece, 1) < 1)
            return HTTP_MORE;
        body->awaits_continue = false;
        const char *data = piece.iov_base;
        size_t used = piece.iov_len < body->left ? piece.iov_len : (size_t)body->left;
        size_t len = used;
        enum http_progress progress = HTTP_MORE;
        if (body->chunked) {
            progress =
                http_chunked_next(&body->decoder, piece.iov_base, piece.iov_len, &used, &data, &len, fault);
            body->chunked = progress == HTTP_MORE;
        } else
            body->left -= used;
        if (progress != HTTP_FAULT)
            progress = keep(connection, sink, data, len, fault);
        if (progress == HTTP_FAULT)
            return progress;
        evbuffer_drain(input, used);
    }
    return HTTP_DONE;
}
