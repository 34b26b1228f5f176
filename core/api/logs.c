/* api/logs.c: a sandbox's output, streamed from its backend to the client as fast as the client takes it.
 *
 * The reply begins with the first piece, so that a failure before it is an answer with a status of its
 * own; where the log is followed and nothing is in it yet, it begins after a short while without one. Programs print
 * bytes of any kind. What is no UTF-8 is replaced, so that what the reply says of itself is true.
 */
#include "api/errors.h"
#include "api/params.h"
#include "api/routes.h"
#include "base/utf8_stream.h"

#include <stdlib.h>
#include <string.h>

enum { TAIL_DEFAULT = 200, TAIL_MOST = 100000, BEGIN_FOLLOWING_MS = 200 };

static const char log_type[] = "text/plain; charset=utf-8";

struct log_stream {
    struct call *call;
    struct backend_operation *operation; /* NULL: it was answered */
    struct event begin;                  /* begins the reply of one that is followed */
    bool begun, follow;
    struct utf8_stream text;
    struct log_stream *next, **prev; /* among the API's streams */
};

static void destroy(struct log_stream *stream)
{
    if (stream->operation)
        backend_cancel(stream->operation, true);
    event_del(&stream->begin);
    *stream->prev = stream->next;
    if (stream->next)
        stream->next->prev = stream->prev;
    free(stream);
}

static void client_gone(struct call *call)
{
    destroy(call->state);
}

static void client_takes_more(void *arg, struct http_request *request)
{
    (void)request;
    struct log_stream *stream = arg;
    if (stream->operation)
        backend_stream_ready(stream->operation);
}

static void begin(struct log_stream *stream)
{
    if (stream->begun)
        return;
    stream->begun = true;
    event_del(&stream->begin);
    /* What a sandbox prints is not to be taken for a page by a browser. */
    http_add_header(stream->call->request, "X-Content-Type-Options", "nosniff");
    http_stream_start(stream->call->request, 200, log_type, client_takes_more, stream);
}

static void begin_following(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    begin(arg);
}

static bool data(void *arg, const void *bytes, size_t len)
{
    struct log_stream *stream = arg;
    begin(stream);
    char *out = malloc(UTF8_STREAM_ROOM(len));
    if (!out)
        abort();
    size_t out_len = utf8_stream_add(&stream->text, bytes, len, out);
    bool takes_more = out_len == 0 || http_stream_write(stream->call->request, out, out_len);
    free(out);
    return takes_more;
}

static void end(struct log_stream *stream)
{
    struct call *call = stream->call;
    struct http_request *request = call->request;
    begin(stream);
    char rest[UTF8_STREAM_ROOM(0)];
    size_t rest_len = utf8_stream_end(&stream->text, rest);
    if (rest_len > 0)
        (void)http_stream_write(request, rest, rest_len);
    destroy(stream);
    call_close(call, 200);
    http_stream_end(request);
}

/* The client has to see that it did not get all of it. */
static void break_off(struct log_stream *stream)
{
    struct call *call = stream->call;
    struct http_request *request = call->request;
    destroy(stream);
    call_close(call, 200);
    http_set_gone(request, NULL, NULL);
    http_stream_abort(request);
}

static void done(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct log_stream *stream = arg;
    stream->operation = NULL;
    if (!err) {
        end(stream);
    } else if (stream->begun) {
        break_off(stream);
    } else {
        struct call *call = stream->call;
        destroy(stream);
        errors_reply_failure(call, err);
    }
}

void logs_end_all(struct api *api)
{
    for (struct log_stream *stream = api->log_streams, *next; stream; stream = next) {
        next = stream->next;
        if (stream->follow)
            end(stream);
    }
}

/* HEAD: is there such a log? */
static void reply_head(struct call *call)
{
    if (table_get(service_table(call->api->deps.service), &call->viewer, call->id))
        call_reply(call, 200, log_type, NULL, 0);
    else
        errors_reply_no_sandbox(call);
}

void logs_stream(struct call *call)
{
    struct params params = params_of(call);
    uint32_t tail = params_integer(&params, "tail", 0, TAIL_MOST, TAIL_DEFAULT);
    bool follow = params_flag(&params, "follow");
    if (params_reject(&params))
        return;
    if (strcmp(http_method(call->request), "HEAD") == 0) {
        reply_head(call);
        return;
    }
    struct api *api = call->api;
    if (follow && api->draining) {
        errors_reply_draining(call);
        return;
    }
    struct log_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        abort();
    struct sbx_error err;
    stream->operation =
        service_logs(api->deps.service, &call->viewer, call->id, tail, follow, data, done, stream, &err);
    if (!stream->operation) {
        free(stream);
        errors_reply_refusal(call, &err);
        return;
    }
    stream->call = call;
    stream->follow = follow;
    stream->next = api->log_streams;
    stream->prev = &api->log_streams;
    if (stream->next)
        stream->next->prev = &stream->next;
    api->log_streams = stream;
    evtimer_assign(&stream->begin, loop_base(api->deps.loop), begin_following, stream);
    if (follow)
        loop_arm_ms(&stream->begin, BEGIN_FOLLOWING_MS);
    call_hold(call, client_gone, stream);
}
