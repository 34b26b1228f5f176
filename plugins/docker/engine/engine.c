/* engine.c: see engine.h. Owns each call from engine_call() or engine_open() until its answer or its cancelling. It
 * looks into an answer only as far as to tell JSON from the rest and a refusal from success: what either means to a
 * sandbox is for those who ask.
 *
 * Errors name the method and the path of what was asked, never its query, its body or its headers.
 */
#include "engine/engine.h"
#include "common/bytes.h"
#include "common/document.h"
#include "common/failure.h"
#include "engine/refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { DEFAULT_TIMEOUT_MS = 30000, REFUSAL_MAX = 8 * 1024, LEAST_MAJOR = 1, LEAST_MINOR = 41 };

enum content { CONTENT_UNKNOWN, CONTENT_JSON, CONTENT_PLAIN, CONTENT_OTHER };

struct engine_call {
    struct engine_call *next, **prev; /* engine->calls */
    struct engine *engine;
    sbx_transfer transfer; /* 0: it could not begin, and `failure` is on its way */
    struct sbx_error failure;
    char what[160]; /* "POST /containers/create" */
    bool streamed;
    bool answered; /* its last callback runs */
    bool dropped;  /* cancelled while `failure` was on its way, which frees it */
    uint32_t timeout_ms;
    bool cut_short;
    int status;
    enum content content;
    struct bytes refusal; /* a stream's, when its status is none of success */
    engine_done done;
    struct engine_stream stream;
    void *arg;
};

/* ---- a call's life ---- */

static void call_unlink(struct engine_call *call)
{
    if (call->prev) {
        *call->prev = call->next;
        if (call->next)
            call->next->prev = call->prev;
        call->prev = NULL;
    }
}

static void call_free(struct engine_call *call)
{
    call_unlink(call);
    bytes_finish(&call->refusal);
    free(call);
}

/* The last thing that happens to a call. */
static void call_answer(struct engine_call *call, const struct sbx_error *error, const struct sbx_json *body)
{
    call_unlink(call);
    call->answered = true;
    if (!call->streamed)
        call->done(call->arg, error, call->status, body);
    else if (call->stream.done)
        call->stream.done(call->arg, error, call->status);
    call_free(call);
}

static bool is_success(int status)
{
    return (status >= 200 && status < 300) || status == 304; /* it is so already */
}

/* ---- what is wrong with an answer ---- */

static void timed_out(const struct engine_call *call, struct sbx_error *error, const char *words)
{
    uint32_t ms = call->timeout_ms;
    if (call->streamed)
        failure_set(error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    call->status ? "the engine's answer to %s did not go on: %s"
                                 : "the engine did not answer %s: %s",
                    call->what, words);
    else if (call->cut_short)
        failure_set(error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the engine did not answer %s in the time that was left for it", call->what);
    else
        failure_set(error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    ms % 1000 == 0 ? "the engine did not answer %s within %" PRIu32 " s"
                                   : "the engine did not answer %s within %" PRIu32 " ms",
                    call->what, ms % 1000 == 0 ? ms / 1000 : ms);
    error->retryable = 1;
}

/* The host's client says what happened to the connection, and begins with the engine's address. */
static void no_answer(const struct engine_call *call, struct sbx_error *error, const struct sbx_error *why)
{
    bool asked = strcmp(why->code, SBX_CODE_INTERNAL) != 0;
    if (why->kind == SBX_ERR_TIMEOUT)
        timed_out(call, error, why->message);
    else if (!asked)
        failure_set(error, SBX_ERR_UNAVAILABLE, SBX_CODE_INTERNAL, "the engine could not be asked for %s: %s",
                    call->what, why->message);
    else if (why->kind == SBX_ERR_REFUSED)
        failure_set(error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the engine's answer to %s makes no sense: %s", call->what, why->message);
    else
        failure_set(error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    call->status ? "the engine's answer to %s broke off: %s"
                                 : "the engine did not answer %s: %s",
                    call->what, why->message);
    error->retryable |= why->retryable;
}

/* A document that is one, or NULL. */
static sbx_json *parse(const struct engine_call *call, const void *body, size_t len)
{
    bool is_json = call->content == CONTENT_JSON ||
                   (call->content == CONTENT_UNKNOWN && len > 0 && memchr("{[", *(const char *)body, 2));
    return is_json ? document_parse(call->engine->host->json, body, len) : NULL;
}

/* What refuses with anything but JSON is no engine, or a very old one, or one that wants TLS (whose words come without
 * a type): its plain text says why, a page of HTML does not. */
static void refused(const struct engine_call *call, struct sbx_error *error, const void *body, size_t len)
{
    const struct sbx_json_api *json = call->engine->host->json;
    sbx_json *document = parse(call, body, len);
    const char *message = json->string(json->get(document, "message"), NULL);
    char plain[1024];
    if (!message && !document && (call->content == CONTENT_PLAIN || call->content == CONTENT_UNKNOWN)) {
        snprintf(plain, sizeof plain, "%.*s", len < sizeof plain ? (int)len : (int)sizeof plain - 1,
                 (const char *)body);
        message = plain;
    }
    refusal_of(error, call->status, message);
    if (!message || !*message) {
        struct sbx_error bare = *error;
        failure_set(error, (enum sbx_error_kind)bare.kind, bare.code,
                    "the engine answered %s with status %d and no reason", call->what, call->status);
        error->retryable = bare.retryable;
    }
    json->free(document);
}

/* ---- the host's client ---- */

/* "Sat, 21 Nov 2026 11:28:11 GMT" (RFC 9110, section 5.6.7); 0 for what is no such date. */
static int64_t http_date(const char *text)
{
    struct tm when = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when);
    time_t seconds = end && *end == '\0' ? timegm(&when) : -1;
    return seconds > 0 ? (int64_t)seconds : 0;
}

static const char *header_value(const char *header, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(header, name, len) != 0 || header[len] != ':')
        return NULL;
    return header + len + 1 + strspn(header + len + 1, " \t");
}

static void on_head(sbx_transfer transfer, int status, const char *const *headers, void *arg)
{
    (void)transfer;
    struct engine_call *call = arg;
    call->status = status;
    call->engine->answered_ms = call->engine->host->now_ms();
    for (; *headers; headers++) {
        const char *type = header_value(*headers, "Content-Type");
        const char *date = header_value(*headers, "Date");
        if (type)
            call->content = strncasecmp(type, "application/json", 16) == 0 ? CONTENT_JSON
                            : strncasecmp(type, "text/plain", 10) == 0     ? CONTENT_PLAIN
                                                                           : CONTENT_OTHER;
        if (date)
            call->engine->date_s = http_date(date);
    }
    if (call->streamed && is_success(status) && call->stream.head)
        call->stream.head(call->arg);
}

static enum sbx_stream on_data(sbx_transfer transfer, const void *bytes, size_t len, void *arg)
{
    (void)transfer;
    struct engine_call *call = arg;
    if (is_success(call->status))
        return call->stream.data(call->arg, bytes, len);
    size_t room = REFUSAL_MAX - call->refusal.len;
    bytes_add(&call->refusal, bytes, len < room ? len : room);
    if (call->refusal.len < REFUSAL_MAX)
        return SBX_STREAM_GO;
    /* Whatever goes on is no reason any more. */
    struct sbx_error error;
    call->engine->host->http_cancel(call->engine->public, call->transfer);
    refused(call, &error, call->refusal.data, call->refusal.len);
    call_answer(call, &error, NULL);
    return SBX_STREAM_GO;
}

static void stream_ended(struct engine_call *call)
{
    struct sbx_error error;
    if (is_success(call->status)) {
        call_answer(call, NULL, NULL);
        return;
    }
    refused(call, &error, call->refusal.data, call->refusal.len);
    call_answer(call, &error, NULL);
}

static void on_done(sbx_transfer transfer, const struct sbx_error *why, int status, const void *body,
                    size_t len, void *arg)
{
    (void)transfer;
    struct engine_call *call = arg;
    struct sbx_error error;
    call->status = status;
    if (why) {
        no_answer(call, &error, why);
        call_answer(call, &error, NULL);
    } else if (call->streamed) {
        stream_ended(call);
    } else if (!is_success(status)) {
        refused(call, &error, body, len);
        call_answer(call, &error, NULL);
    } else {
        sbx_json *document = parse(call, body, len);
        bool broken = !document && call->content == CONTENT_JSON && len > 0;
        if (broken)
            failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                        "the engine's answer to %s makes no sense: it is no JSON", call->what);
        const struct sbx_json_api *json = call->engine->host->json;
        call_answer(call, broken ? &error : NULL, document);
        json->free(document);
    }
}

/* ---- beginning ---- */

static void on_failure(void *arg)
{
    struct engine_call *call = arg;
    if (call->dropped)
        call_free(call);
    else
        call_answer(call, &call->failure, NULL);
}

/* It is a defect of ours, or the host has no room for one more: either way the engine was not asked. */
static void could_not_begin(struct engine_call *call, struct sbx_error *why)
{
    const struct engine *engine = call->engine;
    bool defect = why->kind == SBX_ERR_INVALID || why->kind == SBX_ERR_INTERNAL;
    failure_set(&call->failure, defect ? SBX_ERR_INTERNAL : SBX_ERR_UNAVAILABLE, SBX_CODE_INTERNAL,
                "the engine could not be asked for %s: %s", call->what, why->message);
    call->failure.retryable = !defect;
    engine->host->post(engine->public, on_failure, call);
}

static char *join(const char *a, const char *b, const char *c, const char *d)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = malloc(size);
    if (!text)
        abort();
    snprintf(text, size, "%s%s%s%s", a, b, c, d);
    return text;
}

static struct engine_call *call_new(struct engine *engine, const struct engine_request *request, void *arg)
{
    struct engine_call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->engine = engine;
    call->arg = arg;
    call->refusal.max = REFUSAL_MAX;
    snprintf(call->what, sizeof call->what, "%s %.*s", request->method, (int)strcspn(request->path, "?"),
             request->path);
    call->next = engine->calls;
    call->prev = &engine->calls;
    if (call->next)
        call->next->prev = &call->next;
    engine->calls = call;
    return call;
}

static void call_begin(struct engine_call *call, const struct engine_request *request)
{
    struct engine *engine = call->engine;
    const struct options *options = engine->options;
    bool versioned = engine->version[0] && !request->unversioned;
    char *url = join(engine->base, versioned ? "/v" : "", versioned ? engine->version : "", request->path);
    const char *headers[3] = {0};
    size_t count = 0;
    size_t body_len = 0;
    const char *body = request->body ? engine->host->json->text(request->body, &body_len) : NULL;
    if (body)
        headers[count++] = "Content-Type: application/json";
    if (request->header)
        headers[count++] = request->header;
    const struct sbx_http_request http = {
        .size = sizeof http,
        .max_body = request->max_body,
        .method = request->method,
        .url = url,
        .unix_socket = engine->socket,
        .headers = headers,
        .body = body,
        .body_len = body_len,
        .body_file = request->body_file,
        .connect_timeout_ms = call->streamed ? 0 : call->timeout_ms, /* one limit, which the error can name */
        .timeout_ms = call->streamed ? 0 : call->timeout_ms,
        .idle_timeout_ms = call->streamed ? call->timeout_ms : 0,
        .ca_file = options->tls ? options->tls_ca : NULL,
        .cert_file = options->tls ? options->tls_cert : NULL,
        .key_file = options->tls ? options->tls_key : NULL,
    };
    const struct sbx_http_handler handler = {
        .size = sizeof handler, .head = on_head, .data = call->streamed ? on_data : NULL, .done = on_done};
    struct sbx_error why;
    call->transfer = engine->host->http_start(engine->public, &http, &handler, call, &why);
    free(url);
    if (call->transfer == 0)
        could_not_begin(call, &why);
}

struct engine_call *engine_call(struct engine *engine, const struct engine_request *request, engine_done done,
                                void *arg)
{
    struct engine_call *call = call_new(engine, request, arg);
    call->done = done;
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
    call->cut_short = request->cut_short;
    call_begin(call, request);
    return call;
}

struct engine_call *engine_open(struct engine *engine, const struct engine_request *request,
                                const struct engine_stream *stream, void *arg)
{
    struct engine_call *call = call_new(engine, request, arg);
    call->stream = *stream;
    call->streamed = true;
    call->timeout_ms = request->timeout_ms;
    call_begin(call, request);
    return call;
}

void engine_resume(struct engine_call *call)
{
    if (call->transfer)
        call->engine->host->http_resume(call->engine->public, call->transfer);
}

void engine_cancel(struct engine_call *call)
{
    if (!call || call->answered)
        return;
    if (call->transfer) {
        call->engine->host->http_cancel(call->engine->public, call->transfer);
        call_free(call);
    } else {
        call_unlink(call);
        call->dropped = true;
    }
}

/* ---- the engine ---- */

/* `host` is "unix:///path" or "tcp://HOST:PORT" (options.c). */
void engine_init(struct engine *engine, struct sbx_backend *public, const struct options *options)
{
    *engine = (struct engine){.public = public, .host = public->host, .options = options};
    if (strncmp(options->host, "unix://", 7) == 0) {
        engine->socket = join(options->host + 7, "", "", "");
        engine->base = join("http://localhost", "", "", "");
    } else {
        engine->base = join(options->tls ? "https://" : "http://", strstr(options->host, "://") + 3, "", "");
    }
}

void engine_finish(struct engine *engine)
{
    while (engine->calls)
        engine_cancel(engine->calls);
    free(engine->base);
    free(engine->socket);
    engine->base = engine->socket = NULL;
}

static bool parse_version(const char *text, int *major, int *minor)
{
    int end = 0;
    return sscanf(text, "%4d.%4d%n", major, minor, &end) == 2 && text[end] == '\0' && *major >= 0 &&
           *minor >= 0;
}

static bool is_newer(int major, int minor, int than_major, int than_minor)
{
    return major > than_major || (major == than_major && minor > than_minor);
}

int engine_agree(struct engine *engine, const struct sbx_json *version, struct sbx_error *err)
{
    const struct sbx_json_api *json = engine->host->json;
    int major, minor;
    const char *text = json->string(json->get(version, "ApiVersion"), "");
    if (!parse_version(text, &major, &minor))
        return failure_set(
            err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
            "what answers at %s is no Docker Engine: its answer to GET /version has no ApiVersion",
            engine->options->host);
    if (is_newer(LEAST_MAJOR, LEAST_MINOR, major, minor))
        return failure_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                           "the engine speaks API %d.%d; %d.%d or newer (Docker 20.10) is needed", major,
                           minor, LEAST_MAJOR, LEAST_MINOR);
    text = json->string(json->get(version, "MinAPIVersion"), "");
    if (!parse_version(text, &major, &minor) || !is_newer(major, minor, LEAST_MAJOR, LEAST_MINOR)) {
        major = LEAST_MAJOR;
        minor = LEAST_MINOR;
    }
    snprintf(engine->version, sizeof engine->version, "%d.%d", major, minor);
    return 0;
}

bool engine_encode(char *to, size_t size, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t len = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = strchr(unreserved, *c) != NULL;
        if (len + (plain ? 1 : 3) >= size) {
            if (size > 0)
                *to = '\0';
            return false;
        }
        if (!plain) {
            to[len++] = '%';
            to[len++] = hex[*c >> 4];
            to[len++] = hex[*c & 15];
        } else {
            to[len++] = (char)*c;
        }
    }
    if (size == 0)
        return false;
    to[len] = '\0';
    return true;
}
