/* http/output.c: bytes on their way out. Replies go to the socket at once, in one system call; only what it
 * does not take waits in the bufferevent. Knows nothing of what it writes. */
#include "http/state.h"

#include <errno.h>
#include <event2/buffer.h>
#include <sys/socket.h>
#include <sys/uio.h>

size_t connection_unsent(const struct http_connection *connection)
{
    return evbuffer_get_length(bufferevent_get_output(connection->bev));
}

/* TLS goes through the bufferevent, and so does what comes after queued bytes. */
static bool may_write_now(const struct http_connection *connection)
{
    return !connection->ssl && connection_unsent(connection) == 0;
}

static size_t write_now(struct http_connection *connection, struct iovec *parts, size_t len)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = len};
    ssize_t sent;
    do
        sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        connection->broken = true;
    return 0;
}

void connection_send(struct http_connection *connection, struct iovec *parts, size_t len)
{
    if (connection->broken)
        return;
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    size_t sent = may_write_now(connection) ? write_now(connection, parts, len) : 0;
    if (connection->broken)
        return;
    size_t total = 0;
    for (size_t i = 0; i < len; i++)
        total += parts[i].iov_len;
    if (sent == total)
        return;
    /* One piece of memory is one TLS record. */
    evbuffer_expand(output, total - sent);
    for (size_t i = 0; i < len; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skip;
        if (evbuffer_add(output, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip) < 0)
            connection->broken = true;
        connection->queued += parts[i].iov_len - skip;
    }
}

void connection_send_buffer(struct http_connection *connection, struct evbuffer *buffer)
{
    if (!connection->broken && may_write_now(connection) && evbuffer_write(buffer, connection->fd) < 0 &&
        errno != EAGAIN && errno != EINTR)
        connection->broken = true;
    size_t rest = evbuffer_get_length(buffer);
    if (connection->broken) {
        evbuffer_drain(buffer, rest);
        return;
    }
    connection->queued += rest;
    if (rest > 0 && bufferevent_write_buffer(connection->bev, buffer) < 0)
        connection->broken = true;
}
