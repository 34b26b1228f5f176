/* api/call.c: answering a call, and its line in the log. Knows no route's meaning. */
#include "api/call.h"

#include "api/errors.h"
#include "api/render.h"
#include "api/router.h"
#include "api/text.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

const char call_json_type[] = "application/json";

/* What changes something is told at info, all else at debug. The query is left out: it may hold secrets. */
static void log_call(const struct call *call, int status)
{
    enum log_level level = call->route && call->route->changes && status != 401 ? LOG_INFO : LOG_DEBUG;
    if (!log_enabled(level))
        return;
    const struct log_context about = {.sandbox = call->id[0] ? call->id : NULL,
                                      .request = http_request_id(call->request)};
    uint64_t took_us = call->began_us ? clock_us() - call->began_us : 0;
    if (status)
        log_line(level, &about, "%s %s: %d in %llu us%s%s", http_method(call->request),
                 http_path(call->request), status, (unsigned long long)took_us,
                 call->viewer.user ? ", user " : "", call->viewer.user ? call->viewer.user : "");
    else
        log_line(level, &about, "%s %s: the client left, or was cut off, after %llu us",
                 http_method(call->request), http_path(call->request), (unsigned long long)took_us);
}

void call_close(struct call *call, int status)
{
    log_call(call, status);
    if (status >= 100 && status < 600)
        call->api->answers[status / 100]++;
    else
        call->api->cancelled++;
    free(call);
}

static void client_gone(void *arg, struct http_request *request)
{
    (void)request;
    struct call *call = arg;
    if (call->gone)
        call->gone(call);
    call_close(call, 0);
}

void call_hold(struct call *call, void (*gone)(struct call *call), void *state)
{
    call->gone = gone;
    call->state = state;
    http_set_gone(call->request, client_gone, call);
}

static void give_up(struct call *call)
{
    service_give_up(call->state);
}

void call_hold_wait(struct call *call, struct sandbox_wait *wait, const struct sbx_error *refusal)
{
    if (wait)
        call_hold(call, give_up, wait);
    else
        errors_reply_refusal(call, refusal);
}

bool call_says_nothing(const char *body, size_t len)
{
    static const char blanks[] = " \t\r\n";
    while (len > 0 && strchr(blanks, body[len - 1]))
        len--;
    size_t begin = 0;
    while (begin < len && strchr(blanks, body[begin]))
        begin++;
    body += begin;
    len -= begin;
    if (len < 2 || body[0] != '{' || body[len - 1] != '}')
        return len == 0 || (len == 4 && memcmp(body, "null", 4) == 0);
    for (size_t i = 1; i < len - 1; i++)
        if (!strchr(blanks, body[i]))
            return false;
    return true;
}

void call_reply(struct call *call, int status, const char *content_type, const void *body, size_t len)
{
    struct http_request *request = call->request;
    call_close(call, status);
    http_reply(request, status, content_type, body, len);
}

void call_reply_out(struct call *call, int status, const char *content_type)
{
    struct http_request *request = call->request;
    struct evbuffer *out = call->api->out;
    call_close(call, status);
    http_reply_buffer(request, status, content_type, out);
}

void call_reply_json(struct call *call, int status, struct json_object *value)
{
    size_t len;
    const char *text = text_of(value, &len);
    call_reply(call, status, call_json_type, text, len);
    json_object_put(value);
}

void call_reply_success(struct call *call)
{
    static const char text[] = "{\"success\":true}";
    call_reply(call, 200, call_json_type, text, sizeof text - 1);
}

void call_reply_sandbox(struct call *call, const struct sandbox *sandbox)
{
    size_t len;
    const char *json = render_sandbox(sandbox, &len);
    call_reply(call, 200, call_json_type, json, len);
}
