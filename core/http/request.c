/* http/request.c: a request as its handler sees it: what its head says, and its body. Answers nothing. */
#include "http/state.h"
#include "http/syntax.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

/* Several headers of one name as one value. */
struct http_joined {
    struct http_joined *next;
    const char *name; /* of the first of them */
    char value[];
};

static const char *field_name(const struct http_request *request, size_t index)
{
    return request->text + request->head.fields[index].name;
}

static const char *field_value(const struct http_request *request, size_t index)
{
    return request->text + request->head.fields[index].value;
}

/* A client's own id is taken where it can stand in a log line and in a header as it is. */
static void choose_id(struct http_request *request)
{
    const char *id = http_header(request, "X-Request-ID");
    size_t len = id ? strlen(id) : 0;
    if (len > 0 && len <= HTTP_REQUEST_ID_MAX && syntax_all(id, len, CHAR_VISIBLE)) {
        request->id = id;
        return;
    }
    server_random_id(request->connection->server, request->own_id);
    request->id = request->own_id;
}

struct http_request *request_create(struct http_connection *connection, struct http_fault *fault)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    size_t len = connection->scan.len;
    struct http_request *request = malloc(sizeof *request + len);
    if (!request) {
        *fault = (struct http_fault){.status = 503, .detail = "no memory is left for the request"};
        return NULL;
    }
    evbuffer_drain(input, connection->scan.skipped);
    evbuffer_remove(input, request->text, len);
    if (http_head_parse(&request->head, request->text, len, fault) == HTTP_FAULT) {
        free(request);
        return NULL;
    }
    request->connection = connection;
    request->config = config_ref(connection->server->config);
    request->body = buffer_init(0);
    request->body_wanted = request->streaming = request->stream_blocked = request->stream_chunked = false;
    request->is_head = strcmp(http_method(request), "HEAD") == 0;
    request->whole = NULL;
    request->piece = NULL;
    request->streamed = NULL;
    request->body_max = 0;
    request->gone = NULL;
    request->writable = NULL;
    request->extra = buffer_init(HTTP_EXTRA_MAX);
    request->joined = NULL;
    choose_id(request);
    return request;
}

void request_destroy(struct http_request *request)
{
    for (struct http_joined *joined = request->joined, *next; joined; joined = next) {
        next = joined->next;
        free(joined);
    }
    buffer_finish(&request->body);
    buffer_finish(&request->extra);
    config_unref(request->config);
    free(request);
}

const char *http_method(const struct http_request *request)
{
    return request->text + request->head.method;
}

const char *http_path(const struct http_request *request)
{
    return request->text + request->head.path;
}

/* `first` and those of the same name after it. */
static const char *join(struct http_request *request, size_t first)
{
    const char *name = field_name(request, first);
    for (struct http_joined *joined = request->joined; joined; joined = joined->next)
        if (joined->name == name)
            return joined->value;
    size_t size = 1;
    for (size_t i = first; i < request->head.fields_len; i++)
        if (strcasecmp(field_name(request, i), name) == 0)
            size += strlen(field_value(request, i)) + 2;
    struct http_joined *joined = malloc(sizeof *joined + size); /* at most the size of a head */
    if (!joined)
        abort();
    joined->name = name;
    joined->next = request->joined;
    request->joined = joined;
    size_t len = 0;
    for (size_t i = first; i < request->head.fields_len; i++)
        if (strcasecmp(field_name(request, i), name) == 0)
            len += (size_t)snprintf(joined->value + len, size - len, "%s%s", i > first ? ", " : "",
                                    field_value(request, i));
    return joined->value;
}

const char *http_header(const struct http_request *request, const char *name)
{
    size_t count = request->head.fields_len;
    size_t first = 0;
    while (first < count && strcasecmp(field_name(request, first), name) != 0)
        first++;
    if (first == count)
        return NULL;
    for (size_t i = first + 1; i < count; i++)
        if (strcasecmp(field_name(request, i), name) == 0)
            return join((struct http_request *)request, first); /* only what is cached changes */
    return field_value(request, first);
}

bool http_query_at(const struct http_request *request, size_t index, const char **name, const char **value)
{
    if (index >= request->head.params_len)
        return false;
    *name = request->text + request->head.params[index].name;
    *value = request->text + request->head.params[index].value;
    return true;
}

const char *http_query(const struct http_request *request, const char *name, size_t index)
{
    const char *found, *value;
    for (size_t i = 0; http_query_at(request, i, &found, &value); i++)
        if (strcmp(found, name) == 0 && index-- == 0)
            return value;
    return NULL;
}

const char *http_request_id(const struct http_request *request)
{
    return request->id;
}

struct config *http_config(const struct http_request *request)
{
    return request->config;
}

bool http_has_body(const struct http_request *request)
{
    return request->head.chunked || request->head.content_length > 0;
}

bool http_is_loopback(const struct http_request *request)
{
    return request->connection->peer != PEER_REMOTE;
}

bool http_is_unix(const struct http_request *request)
{
    return request->connection->peer == PEER_UNIX;
}

bool http_is_tls(const struct http_request *request)
{
    return request->connection->ssl != NULL;
}

static void begin_body(struct http_request *request, uint64_t max)
{
    struct http_connection *connection = request->connection;
    if (request->body_wanted || request->streaming)
        abort();
    request->body_wanted = true;
    struct http_body *body = &connection->body;
    bool fits = body->chunked || body->left <= max;
    if (body->awaits_continue && fits && evbuffer_get_length(bufferevent_get_input(connection->bev)) == 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        connection_send(connection, &(struct iovec){.iov_base = (void *)go_on, .iov_len = sizeof go_on - 1},
                        1);
        body->awaits_continue = false;
    }
    connection->stage = STAGE_BODY;
    connection_set_deadline(connection, request->config->header_timeout_ms);
    connection_continue(connection);
}

void http_read_body(struct http_request *request, uint64_t max,
                    void (*whole)(void *arg, struct http_request *request, const void *body, size_t len),
                    void *arg)
{
    request->body = buffer_init((size_t)max);
    request->whole = whole;
    request->whole_arg = arg;
    begin_body(request, max);
}

void http_stream_body(struct http_request *request, uint64_t max,
                      bool (*piece)(void *arg, struct http_request *request, const void *bytes, size_t len),
                      void (*whole)(void *arg, struct http_request *request), void *arg)
{
    request->body_max = max;
    request->piece = piece;
    request->streamed = whole;
    request->whole_arg = arg;
    begin_body(request, max);
}

void http_resume_body(struct http_request *request)
{
    struct http_connection *connection = request->connection;
    if (connection->stage != STAGE_BODY || !connection->body.held)
        return;
    connection->body.held = false;
    connection_set_deadline(connection, request->config->header_timeout_ms);
    connection_continue(connection);
}

void http_set_gone(struct http_request *request, void (*gone)(void *arg, struct http_request *request),
                   void *arg)
{
    request->gone = gone;
    request->gone_arg = arg;
}
