/* See front.h. What the real front end forbids is asserted here. */
#include "front.h"

#include "world.h"

#include "plugin/json_syntax.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void front_deliver_body(struct http_request *request, const char *body)
{
    assert_non_null(request->whole);
    request->whole(request->whole_arg, request, body, strlen(body));
}

void front_disconnect(struct http_request *request)
{
    assert_true(request->status == 0 || (request->streaming && !request->ended));
    assert_non_null(request->gone);
    request->gone(request->gone_arg, request);
}

void front_client_reads(struct http_request *request)
{
    request->stream_room = 256 * 1024;
    request->writable(request->writable_arg, request);
}

struct json_object *front_json(const struct http_request *request)
{
    const char *why = NULL;
    if (!json_syntax(request->body, request->len, &why))
        fail_msg("%s: %.*s", why, (int)request->len, request->body);
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *value = json_tokener_parse_ex(tokener, request->body, (int)request->len);
    assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
    assert_int_equal(json_tokener_get_parse_end(tokener), request->len);
    json_tokener_free(tokener);
    return value;
}

const char *front_detail(const struct http_request *request)
{
    static char detail[512];
    struct json_object *value = front_json(request);
    snprintf(detail, sizeof detail, "%s", json_object_get_string(json_object_object_get(value, "detail")));
    json_object_put(value);
    return detail;
}

void front_free(struct http_request *request)
{
    free(request->body);
    *request = (struct http_request){0};
}

void front_pass_body(struct http_request *request, const char *body, size_t len, size_t piece)
{
    assert_non_null(request->piece);
    for (size_t at = 0; at < len && request->status == 0; at += piece)
        request->held =
            !request->piece(request->whole_arg, request, body + at, len - at < piece ? len - at : piece);
    bool whole = len == 0 || (len > 4 && memcmp(body + len - 4, "--\r\n", 4) == 0);
    if (request->status == 0 && (whole || memcmp(body, "--", 2) != 0))
        request->streamed(request->whole_arg, request);
}

/* ---- http/server.h ---- */

void http_stream_body(struct http_request *request, uint64_t max,
                      bool (*piece)(void *arg, struct http_request *request, const void *bytes, size_t len),
                      void (*whole)(void *arg, struct http_request *request), void *arg)
{
    assert_int_equal(max, world.config.runtime_api_max_build_context);
    request->piece = piece;
    request->streamed = whole;
    request->whole_arg = arg;
}

void http_resume_body(struct http_request *request)
{
    request->held = false;
}

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < 8 && request->headers[i].name; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    if (request->has_body && !request->no_type && strcasecmp(name, "Content-Type") == 0)
        return "application/json";
    return NULL;
}

const char *http_query(const struct http_request *request, const char *name, size_t index)
{
    for (size_t i = 0; i < FRONT_MANY && request->query[i].name; i++)
        if (strcmp(request->query[i].name, name) == 0 && index-- == 0)
            return request->query[i].value;
    return NULL;
}

bool http_query_at(const struct http_request *request, size_t index, const char **name, const char **value)
{
    if (index >= FRONT_MANY || !request->query[index].name)
        return false;
    *name = request->query[index].name;
    *value = request->query[index].value;
    return true;
}

const char *http_request_id(const struct http_request *request)
{
    (void)request;
    return "r-1";
}

struct config *http_config(const struct http_request *request)
{
    return request->config;
}

bool http_is_unix(const struct http_request *request)
{
    return request->unix_socket;
}

bool http_is_tls(const struct http_request *request)
{
    return request->tls;
}

bool http_has_body(const struct http_request *request)
{
    return request->has_body;
}

void http_read_body(struct http_request *request, uint64_t max,
                    void (*whole)(void *arg, struct http_request *request, const void *body, size_t len),
                    void *arg)
{
    assert_true(max == world.config.max_body || max == MIRROR_MAX_REPORT);
    request->whole = whole;
    request->whole_arg = arg;
}

void http_set_gone(struct http_request *request, void (*gone)(void *arg, struct http_request *request),
                   void *arg)
{
    request->gone = gone;
    request->gone_arg = arg;
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
    size_t used = strlen(request->reply_headers);
    snprintf(request->reply_headers + used, sizeof request->reply_headers - used, "%s: %s\n", name, value);
}

static void append(struct http_request *request, const void *bytes, size_t len)
{
    request->body = realloc(request->body, request->len + len + 1);
    assert_non_null(request->body);
    if (len > 0)
        memcpy(request->body + request->len, bytes, len);
    request->len += len;
    request->body[request->len] = '\0';
}

static void begin(struct http_request *request, int status, const char *type)
{
    assert_int_equal(request->status, 0);
    request->status = status;
    snprintf(request->type, sizeof request->type, "%s", type ? type : "");
}

void http_reply(struct http_request *request, int status, const char *content_type, const void *body,
                size_t len)
{
    begin(request, status, content_type);
    append(request, body, len);
    request->ended = true;
}

void http_reply_buffer(struct http_request *request, int status, const char *content_type,
                       struct evbuffer *body)
{
    size_t len = evbuffer_get_length(body);
    http_reply(request, status, content_type, evbuffer_pullup(body, -1), len);
    evbuffer_drain(body, len);
}

void http_stream_start(struct http_request *request, int status, const char *content_type,
                       void (*writable)(void *arg, struct http_request *request), void *arg)
{
    begin(request, status, content_type);
    request->streaming = true;
    request->writable = writable;
    request->writable_arg = arg;
}

bool http_stream_write(struct http_request *request, const void *bytes, size_t len)
{
    assert_true(request->streaming && !request->ended);
    append(request, bytes, len);
    request->stream_room = len < request->stream_room ? request->stream_room - len : 0;
    return request->stream_room > 0;
}

void http_stream_end(struct http_request *request)
{
    assert_true(request->streaming && !request->ended);
    request->ended = true;
}

void http_stream_abort(struct http_request *request)
{
    assert_true(request->streaming && !request->ended);
    assert_null(request->gone);
    request->ended = request->aborted = true;
}

struct http_stats http_server_stats(const struct http_server *server)
{
    (void)server;
    return (struct http_stats){.requests_total = 7, .connections = 3};
}
