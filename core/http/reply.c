/* http/reply.c: replies, whole and in pieces, and those of the front end itself. */
#include "base/log.h"
#include "http/state.h"
#include "http/syntax.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* ---- the head -------------------------------------------------------------------------------- */

enum {
    CONTENT_TYPE_MAX = 256,
    REPLY_HEAD_MAX = 512 + CONTENT_TYPE_MAX + HTTP_REQUEST_ID_MAX + HTTP_EXTRA_MAX
};

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_NONE };

struct reply_head {
    size_t len;
    char bytes[REPLY_HEAD_MAX];
};

/* Everything that is added is bounded by what REPLY_HEAD_MAX is the sum of. */
static void add(struct reply_head *head, const char *bytes, size_t len)
{
    if (len > sizeof head->bytes - head->len)
        abort();
    memcpy(head->bytes + head->len, bytes, len);
    head->len += len;
}

static void add_text(struct reply_head *head, const char *text)
{
    add(head, text, strlen(text));
}

static void add_number(struct reply_head *head, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    add(head, digits + at, sizeof digits - at);
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return ""; /* may be empty: RFC 9112, section 4 */
    }
}

/* Made once a second; in English whatever the locale (RFC 9110, section 5.6.7). */
static const char *date_line(struct http_server *server)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    if (now != server->date) {
        struct tm tm;
        gmtime_r(&now, &tm);
        snprintf(server->date_line, sizeof server->date_line,
                 "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday, tm.tm_mday % 100,
                 months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
                 tm.tm_sec % 100);
        server->date = now;
    }
    return server->date_line;
}

static void begin_head(struct reply_head *head, struct http_server *server, int status, const char *id)
{
    if (status < 100 || status > 999)
        abort();
    head->len = 0;
    add_text(head, "HTTP/1.1 ");
    add_number(head, (uint64_t)status);
    add_text(head, " ");
    add_text(head, reason(status));
    add_text(head, "\r\n");
    add_text(head, date_line(server));
    add_text(head, "X-Request-ID: ");
    add_text(head, id);
    add_text(head, "\r\n");
}

static void end_head(struct reply_head *head, const char *content_type, enum framing framing, uint64_t length,
                     const struct buffer *extra)
{
    if (content_type) {
        if (strlen(content_type) > CONTENT_TYPE_MAX)
            abort();
        add_text(head, "Content-Type: ");
        add_text(head, content_type);
        add_text(head, "\r\n");
    }
    if (framing == FRAMING_CHUNKED)
        add_text(head, "Transfer-Encoding: chunked\r\n");
    else if (framing == FRAMING_LENGTH) {
        add_text(head, "Content-Length: ");
        add_number(head, length);
        add_text(head, "\r\n");
    }
    if (extra)
        add(head, buffer_text(extra), extra->len);
    add_text(head, "\r\n");
}

static void add_connection(struct reply_head *head, const struct http_connection *connection, unsigned minor)
{
    if (!connection->keep_alive)
        add_text(head, "Connection: close\r\n");
    else if (minor == 0)
        add_text(head, "Connection: keep-alive\r\n");
}

/* ---- of a request ---------------------------------------------------------------------------- */

static bool has_content(const struct http_request *request, int status)
{
    return !request->is_head && status != 204 && status != 304 && status >= 200;
}

/* The head of a reply to `request`; decides whether its connection is kept. */
static void make_head(struct reply_head *head, struct http_request *request, int status,
                      const char *content_type, enum framing framing, uint64_t length)
{
    struct http_connection *connection = request->connection;
    if (request->streaming)
        abort(); /* two replies to one request */
    connection->keep_alive = request->head.keep_alive && framing != FRAMING_CLOSE && connection->listener &&
                             !connection->server->draining && body_skippable(connection);
    begin_head(head, connection->server, status, request->id);
    add_connection(head, connection, request->head.minor);
    if (status == 204 || status == 304)
        framing = FRAMING_NONE;
    end_head(head, content_type, framing, length, &request->extra);
}

/* The reply is complete: the request ends, and the connection goes on when it is written. */
static void finish(struct http_connection *connection)
{
    request_destroy(connection->request);
    connection->request = NULL;
    connection->stage = STAGE_FLUSH;
    connection->received = 0;
    if (connection_unsent(connection) > 0 || !body_complete(&connection->body))
        connection_set_deadline(connection, connection->server->times.write_stall);
    else
        connection_set_deadline(connection, 0);
    connection_continue(connection);
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
    size_t name_len = strlen(name);
    if (name_len == 0 || !syntax_all(name, name_len, CHAR_TOKEN) ||
        !syntax_all(value, strlen(value), CHAR_VALUE))
        abort();
    buffer_add_format(&request->extra, "%s: %s\r\n", name, value);
    if (request->extra.failed)
        abort();
}

void http_reply(struct http_request *request, int status, const char *content_type, const void *body,
                size_t len)
{
    struct http_connection *connection = request->connection;
    struct reply_head head;
    make_head(&head, request, status, content_type, FRAMING_LENGTH, len);
    struct iovec parts[] = {{.iov_base = head.bytes, .iov_len = head.len},
                            {.iov_base = (void *)body, .iov_len = len}};
    connection_send(connection, parts, len > 0 && has_content(request, status) ? 2 : 1);
    finish(connection);
}

void http_reply_buffer(struct http_request *request, int status, const char *content_type,
                       struct evbuffer *body)
{
    struct http_connection *connection = request->connection;
    struct reply_head head;
    make_head(&head, request, status, content_type, FRAMING_LENGTH, evbuffer_get_length(body));
    if (!has_content(request, status))
        evbuffer_drain(body, evbuffer_get_length(body));
    if (evbuffer_prepend(body, head.bytes, head.len) < 0)
        connection->broken = true;
    connection_send_buffer(connection, body);
    finish(connection);
}

/* ---- in pieces ------------------------------------------------------------------------------- */

void http_stream_start(struct http_request *request, int status, const char *content_type,
                       void (*writable)(void *arg, struct http_request *request), void *arg)
{
    struct http_connection *connection = request->connection;
    struct reply_head head;
    bool chunked = request->head.minor >= 1;
    make_head(&head, request, status, content_type, chunked ? FRAMING_CHUNKED : FRAMING_CLOSE, 0);
    request->streaming = true;
    request->stream_content = has_content(request, status);
    request->stream_chunked = chunked;
    request->writable = writable;
    request->writable_arg = arg;
    bufferevent_setwatermark(connection->bev, EV_WRITE, HTTP_STREAM_LOW, 0);
    connection_send(connection, &(struct iovec){.iov_base = head.bytes, .iov_len = head.len}, 1);
    if (connection->broken)
        connection_continue(connection);
}

bool http_stream_write(struct http_request *request, const void *bytes, size_t len)
{
    struct http_connection *connection = request->connection;
    if (len == 0 || !request->stream_content)
        return !request->stream_blocked;
    char size[24];
    int size_len = snprintf(size, sizeof size, "%zx\r\n", len);
    struct iovec parts[] = {{.iov_base = size, .iov_len = (size_t)size_len},
                            {.iov_base = (void *)bytes, .iov_len = len},
                            {.iov_base = (void *)"\r\n", .iov_len = 2}};
    if (request->stream_chunked)
        connection_send(connection, parts, 3);
    else
        connection_send(connection, parts + 1, 1);
    if (connection->broken)
        connection_continue(connection);
    size_t unsent = connection_unsent(connection);
    if (unsent > 0 && connection->deadline == 0)
        connection_set_deadline(connection, connection->server->times.write_stall);
    request->stream_blocked = connection->broken || unsent > HTTP_STREAM_HIGH;
    return !request->stream_blocked;
}

void http_stream_end(struct http_request *request)
{
    struct http_connection *connection = request->connection;
    if (request->stream_chunked && request->stream_content)
        connection_send(connection, &(struct iovec){.iov_base = (void *)"0\r\n\r\n", .iov_len = 5}, 1);
    bufferevent_setwatermark(connection->bev, EV_WRITE, 0, 0);
    finish(connection);
}

void http_stream_abort(struct http_request *request)
{
    struct http_connection *connection = request->connection;
    connection->keep_alive = false;
    bool until_close = !request->stream_chunked;
    bufferevent_setwatermark(connection->bev, EV_WRITE, 0, 0);
    finish(connection);
    /* Without chunks only a reset tells this end from the proper one. */
    if (until_close)
        connection_abort(connection);
}

/* ---- of the front end itself ----------------------------------------------------------------- */

void reply_fault(struct http_connection *connection, const struct http_fault *fault)
{
    struct http_server *server = connection->server;
    struct http_request *request = connection->request;
    char id[HTTP_REQUEST_ID_MAX + 1];
    bool content = true;
    if (request) {
        snprintf(id, sizeof id, "%s", request->id);
        content = !request->is_head;
        connection->request = NULL;
        if (request->gone)
            request->gone(request->gone_arg, request);
    } else
        server_random_id(server, id);
    if (fault->status == 408)
        server->stats.timeouts++;
    else
        server->stats.bad_requests++;
    log_line(LOG_DEBUG, &(struct log_context){.request = id}, "http: answered %d: %s", fault->status,
             fault->detail);

    char body[256];
    int len = snprintf(body, sizeof body, "{\"detail\": \"%s\"}", fault->detail);
    connection->keep_alive = false;
    struct reply_head head;
    begin_head(&head, server, fault->status, id);
    add_connection(&head, connection, 1);
    if (fault->status == 503)
        add_text(&head, "Retry-After: 5\r\n");
    end_head(&head, "application/json", FRAMING_LENGTH, (uint64_t)len, request ? &request->extra : NULL);
    if (request)
        request_destroy(request);
    struct iovec parts[] = {{.iov_base = head.bytes, .iov_len = head.len},
                            {.iov_base = body, .iov_len = (size_t)len}};
    connection_send(connection, parts, content ? 2 : 1);
    connection->stage = STAGE_FLUSH;
    connection->body = (struct http_body){0};
    connection_set_deadline(connection, server->times.write_stall);
}
