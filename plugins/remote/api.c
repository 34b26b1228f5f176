/* api.c: see api.h. Owns each call from api_call() until its answer or its cancelling. It looks into an answer only as
 * far as to tell JSON from the rest and a refusal from success: what either means to a sandbox is for those who ask.
 *
 * Errors name the method and the path of what was asked, never its query, its body or its headers.
 */
#include "api.h"

#include "common/document.h"
#include "common/failure.h"
#include "refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    DEFAULT_MAX_BODY = 4 * 1024 * 1024,
    PARSE_INLINE_MAX = 128 * 1024, /* more takes the loop milliseconds: it is parsed on the pool */
    LEAST_ATTEMPT_MS = 50,         /* less time than that is as good as none */
    BACKOFF_MS = 200,
    BACKOFF_MAX_MS = 5000,
    RETRY_AFTER_MAX_S = 3600
};

enum stage {
    STAGE_QUEUED,  /* `timer` is its deadline */
    STAGE_RUNNING, /* `transfer` */
    STAGE_BACKOFF, /* `timer` is its next attempt */
    STAGE_PARSING, /* on the pool, which can't be stopped */
    STAGE_FAILING  /* `error` is on its way */
};

struct api_call {
    struct api_call *next, **prev; /* api->calls */
    struct api_call *queue_next;
    struct api *api;
    enum stage stage;
    sbx_transfer transfer;
    sbx_timer timer;
    const char *method;
    char *path, *body;
    char what[160];
    uint64_t deadline_ms;
    uint32_t max_body;
    bool once, urgent;
    bool answered; /* its callback runs */
    bool too_large;
    bool dropped; /* cancelled while it was parsed or failing, which frees it */
    unsigned attempts;
    uint32_t timeout_ms; /* of this attempt */
    bool cut_short;      /* it ends with the call's deadline, before the option `timeout` would end it */
    int status;
    uint64_t retry_after_ms;
    struct sbx_error error;
    char content_type[48]; /* "": none */
    char came[160];        /* the answer's content type and beginning, for a message */
    char *text;            /* to be parsed on the pool */
    size_t text_len;
    sbx_json *document;
    api_done done;
    void *arg;
};

static void pump(struct api *api);

/* ---- a call's life ---- */

static void wipe(char *text, size_t len)
{
    if (text)
        explicit_bzero(text, len);
    free(text);
}

static void unlink_call(struct api_call *call)
{
    if (!call->prev)
        return;
    *call->prev = call->next;
    if (call->next)
        call->next->prev = call->prev;
    call->prev = NULL;
}

/* What an attempt was answered with. */
static void drop_body(struct api_call *call)
{
    call->api->host->json->free(call->document);
    wipe(call->text, call->text_len);
    call->document = NULL;
    call->text = NULL;
}

static void free_call(struct api_call *call)
{
    unlink_call(call);
    call->api->host->timer_cancel(call->api->public, call->timer);
    drop_body(call);
    wipe(call->body, call->body ? strlen(call->body) : 0);
    free(call->path);
    free(call);
}

/* The last thing that happens to a call. */
static void answer(struct api_call *call, const struct sbx_error *error, const sbx_json *body)
{
    struct api_answer result = {.error = error,
                                .status = call->status,
                                .body = body,
                                .may_pass = error && error->retryable,
                                .too_large = call->too_large,
                                .cut_short = error && error->kind == SBX_ERR_TIMEOUT && call->cut_short,
                                .retry_after_ms = call->retry_after_ms};
    unlink_call(call);
    call->answered = true;
    call->done(call->arg, &result);
    free_call(call);
}

static void on_failing(void *arg)
{
    struct api_call *call = arg;
    if (call->dropped)
        free_call(call);
    else
        answer(call, &call->error, NULL);
}

/* Answers with `error` in a turn of its own: nobody is called back from inside a call of theirs. */
static void fail_soon(struct api_call *call)
{
    call->stage = STAGE_FAILING;
    call->api->host->post(call->api->public, on_failing, call);
}

/* ---- trying again ---- */

uint64_t api_backoff_ms(const struct api *api, unsigned attempt, uint64_t retry_after_ms)
{
    uint64_t delay = attempt < 6 ? (uint64_t)BACKOFF_MS << (attempt - 1) : BACKOFF_MAX_MS;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    uint32_t random;
    api->host->random(&random, sizeof random);
    delay -= random % (delay / 2);
    return delay > retry_after_ms ? delay : retry_after_ms;
}

static void enqueue(struct api_call *call);

static void on_backoff_over(void *arg)
{
    struct api_call *call = arg;
    call->timer = 0;
    enqueue(call);
    pump(call->api);
}

/* The end of an attempt that came to nothing. */
static void attempt_failed(struct api_call *call)
{
    struct api *api = call->api;
    uint64_t delay = api_backoff_ms(api, call->attempts, call->retry_after_ms);
    bool in_time = api->host->now_ms() + delay + LEAST_ATTEMPT_MS < call->deadline_ms;
    if (call->error.retryable && !call->once && in_time) {
        drop_body(call);
        call->stage = STAGE_BACKOFF;
        call->timer = api->host->timer_start(api->public, delay * 1000, on_backoff_over, call);
        return;
    }
    if (call->attempts > 1) {
        size_t len = strlen(call->error.message);
        snprintf(call->error.message + len, sizeof call->error.message - len, " (tried %u times)",
                 call->attempts);
    }
    answer(call, &call->error, NULL);
}

/* ---- answers ---- */

static void parsed(struct api_call *call)
{
    const struct sbx_json_api *json = call->api->host->json;
    bool success = call->status >= 200 && call->status < 300;
    bool none = call->text_len == 0;
    if (success && (call->document || none)) {
        answer(call, NULL, call->document);
        return;
    }
    if (success)
        failure_set(&call->error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the runtime API's answer to %s makes no sense: it is no JSON, but has status %d%s",
                    call->what, call->status, call->came);
    else
        refusal_of(&call->error, json, call->status, call->document, call->came, call->what,
                   call->api->options->api_key);
    attempt_failed(call);
}

static void parse_run(void *arg)
{
    struct api_call *call = arg;
    call->document = document_parse(call->api->host->json, call->text, call->text_len);
}

static void parse_done(void *arg)
{
    struct api_call *call = arg;
    if (call->dropped)
        free_call(call);
    else
        parsed(call);
}

static void describe_body(struct api_call *call, const void *body, size_t len)
{
    char quote[QUOTE_SIZE];
    const char *type = *call->content_type ? call->content_type : "no content type";
    refusal_quote(quote, body, len, call->api->options->api_key);
    if (len > 0)
        snprintf(call->came, sizeof call->came, " (%s: '%s')", type, quote);
    else
        snprintf(call->came, sizeof call->came, " (%s, and no body)", type);
}

static void take_body(struct api_call *call, const void *body, size_t len)
{
    const struct sbx_host *host = call->api->host;
    call->text_len = len;
    describe_body(call, body, len);
    if (len > PARSE_INLINE_MAX && (call->text = malloc(len))) {
        memcpy(call->text, body, len);
        call->stage = STAGE_PARSING;
        host->work(call->api->public, parse_run, parse_done, call);
        return;
    }
    call->document = document_parse(host->json, body, len);
    parsed(call);
}

/* The host's client says what happened to the connection, and begins with the API's address. */
static void take_failure(struct api_call *call, const struct sbx_error *why)
{
    struct sbx_error *error = &call->error;
    bool cut_short = why->kind == SBX_ERR_TIMEOUT && call->cut_short;
    if (cut_short && call->attempts == 1)
        failure_set(error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the runtime API did not answer %s in the time that was left for it", call->what);
    else if (cut_short)
        (void)error; /* it stays: what an attempt that had its time met with says more */
    else if (why->kind == SBX_ERR_TIMEOUT)
        failure_set(error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the runtime API did not answer %s within %" PRIu32 " ms", call->what, call->timeout_ms);
    else if (why->kind == SBX_ERR_REFUSED)
        failure_set(error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the runtime API's answer to %s makes no sense: %.280s", call->what, why->message);
    else
        failure_set(error, SBX_ERR_UNAVAILABLE,
                    strcmp(why->code, SBX_CODE_INTERNAL) == 0 ? SBX_CODE_INTERNAL
                                                              : SBX_CODE_BACKEND_UNAVAILABLE,
                    "the runtime API did not answer %s: %.280s", call->what, why->message);
    error->retryable = why->kind == SBX_ERR_TIMEOUT || (why->kind == SBX_ERR_UNAVAILABLE && why->retryable);
    call->too_large = why->kind == SBX_ERR_REFUSED && call->status >= 200 && call->status < 300;
    if (!call->too_large)
        call->status = 0;
    struct api *api = call->api;
    bool tell = !call->urgent && why->kind != SBX_ERR_REFUSED;
    attempt_failed(call);
    if (tell)
        api->unanswered(api->arg);
}

/* Of a header "Retry-After: …" (RFC 9110, section 10.2.3: seconds, or a date), how long that is from now, an hour at
 * most; 0 for what is neither, for one that is over, and for every other header. */
static uint64_t retry_after_ms(const char *header, int64_t now_us)
{
    static const char name[] = "Retry-After:";
    if (strncasecmp(header, name, strlen(name)) != 0)
        return 0;
    const char *text = header + strlen(name);
    text += strspn(text, " \t");
    struct tm when = {0};
    int64_t seconds = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0')
        seconds = digits > 9 ? RETRY_AFTER_MAX_S : strtol(text, NULL, 10);
    else if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when))
        seconds = (int64_t)timegm(&when) - now_us / 1000000;
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* Of a header "Content-Type: …", without its parameters. */
static void read_content_type(struct api_call *call, const char *header)
{
    static const char name[] = "Content-Type:";
    if (strncasecmp(header, name, strlen(name)) != 0)
        return;
    const char *text = header + strlen(name);
    text += strspn(text, " \t");
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.+-");
    snprintf(call->content_type, sizeof call->content_type, "%.*s", len < 47 ? (int)len : 47, text);
}

static void on_head(sbx_transfer transfer, int status, const char *const *headers, void *arg)
{
    (void)transfer;
    (void)status;
    struct api_call *call = arg;
    int64_t now_us = call->api->host->now_us();
    for (; *headers; headers++) {
        uint64_t asked_ms = retry_after_ms(*headers, now_us);
        if (asked_ms > 0)
            call->retry_after_ms = asked_ms;
        read_content_type(call, *headers);
    }
}

static void on_done(sbx_transfer transfer, const struct sbx_error *why, int status, const void *body,
                    size_t len, void *arg)
{
    (void)transfer;
    struct api_call *call = arg;
    struct api *api = call->api;
    call->transfer = 0;
    call->status = status;
    api->running--;
    if (why)
        take_failure(call, why);
    else
        take_body(call, body, len);
    pump(api);
}

/* ---- the queue ---- */

static void leave_queue(struct api_call *call)
{
    struct api *api = call->api;
    struct api_call **at = &api->queue;
    while (*at != call)
        at = &(*at)->queue_next;
    *at = call->queue_next;
    if (api->queue_end == &call->queue_next)
        api->queue_end = at;
    api->queued--;
    api->host->timer_cancel(api->public, call->timer);
    call->timer = 0;
}

static void on_queued_too_long(void *arg)
{
    struct api_call *call = arg;
    call->timer = 0;
    leave_queue(call);
    if (call->attempts == 0) /* else it is told what the last attempt met with */
        failure_set(&call->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "%s was not sent in time: all %" PRIu64
                    " requests that max_in_flight allows were under way",
                    call->what, call->api->options->max_in_flight);
    call->error.retryable = 1;
    answer(call, &call->error, NULL);
}

static void enqueue(struct api_call *call)
{
    struct api *api = call->api;
    uint64_t now = api->host->now_ms(), left = call->deadline_ms > now ? call->deadline_ms - now : 0;
    call->stage = STAGE_QUEUED;
    call->timer = api->host->timer_start(api->public, left * 1000, on_queued_too_long, call);
    call->queue_next = NULL;
    if (call->urgent) {
        call->queue_next = api->queue;
        if (!api->queue)
            api->queue_end = &call->queue_next;
        api->queue = call;
    } else {
        *api->queue_end = call;
        api->queue_end = &call->queue_next;
    }
    api->queued++;
}

static void begin(struct api_call *call)
{
    struct api *api = call->api;
    const struct options *options = api->options;
    uint64_t now = api->host->now_ms(), left = call->deadline_ms > now ? call->deadline_ms - now : 0;
    uint64_t timeout = left < options->timeout_ms ? left : options->timeout_ms;
    call->cut_short = left < options->timeout_ms;
    call->timeout_ms = timeout > LEAST_ATTEMPT_MS ? (uint32_t)timeout : LEAST_ATTEMPT_MS;
    call->stage = STAGE_RUNNING;
    call->attempts++;
    call->status = 0;
    call->too_large = false;
    call->retry_after_ms = 0;
    call->content_type[0] = call->came[0] = '\0';
    size_t size = strlen(options->api_url) + strlen(call->path) + 1;
    char *url = malloc(size);
    if (!url)
        abort(); /* its path has at most some 24 KiB */
    snprintf(url, size, "%s%s", options->api_url, call->path);
    const char *headers[4] = {"Accept: application/json"};
    size_t count = 1;
    if (api->key_header)
        headers[count++] = api->key_header;
    if (call->body)
        headers[count++] = "Content-Type: application/json";
    const struct sbx_http_request http = {
        .size = sizeof http,
        .max_body = call->max_body,
        .method = call->method,
        .url = url,
        .headers = headers,
        .body = call->body,
        .body_len = call->body ? strlen(call->body) : 0,
        .connect_timeout_ms = call->timeout_ms, /* one limit, which the error can name */
        .timeout_ms = call->timeout_ms,
        .ca_file = options->tls_ca,
        .cert_file = options->tls_cert,
        .key_file = options->tls_key,
    };
    const struct sbx_http_handler handler = {.size = sizeof handler, .head = on_head, .done = on_done};
    struct sbx_error why;
    call->transfer = api->host->http_start(api->public, &http, &handler, call, &why);
    free(url);
    if (call->transfer != 0) {
        api->running++;
        return;
    }
    failure_set(&call->error, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL,
                "the runtime API could not be asked for %s: %.280s", call->what, why.message);
    fail_soon(call);
}

static void pump(struct api *api)
{
    while (api->queue && api->running < api->options->max_in_flight) {
        struct api_call *call = api->queue;
        leave_queue(call);
        begin(call);
    }
}

/* ---- calls ---- */

static char *copy(const char *text)
{
    char *result = text ? strdup(text) : NULL;
    if (text && !result)
        abort(); /* a spec has at most the host's bound, a path some 24 KiB */
    return result;
}

struct api_call *api_call(struct api *api, const struct api_request *request, api_done done, void *arg)
{
    struct api_call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->api = api;
    call->method = request->method;
    call->path = copy(request->path);
    call->body = copy(request->body);
    call->deadline_ms = request->deadline_ms;
    call->max_body = request->max_body ? request->max_body : DEFAULT_MAX_BODY;
    call->once = request->once;
    call->urgent = request->urgent;
    call->done = done;
    call->arg = arg;
    snprintf(call->what, sizeof call->what, "%s %.*s", request->method, (int)strcspn(request->path, "?"),
             request->path);
    call->next = api->calls;
    call->prev = &api->calls;
    if (call->next)
        call->next->prev = &call->next;
    api->calls = call;
    enqueue(call);
    pump(api);
    return call;
}

void api_cancel(struct api_call *call)
{
    if (!call || call->answered)
        return;
    struct api *api = call->api;
    switch (call->stage) {
    case STAGE_QUEUED:
        leave_queue(call);
        free_call(call);
        break;
    case STAGE_RUNNING:
        api->host->http_cancel(api->public, call->transfer);
        api->running--;
        free_call(call);
        pump(api);
        break;
    case STAGE_BACKOFF: free_call(call); break;
    case STAGE_PARSING:
    case STAGE_FAILING:
        unlink_call(call);
        call->dropped = true;
        break;
    }
}

/* ---- the API ---- */

void api_init(struct api *api, struct sbx_backend *public, const struct options *options,
              void (*unanswered)(void *arg), void *arg)
{
    *api = (struct api){
        .public = public, .host = public->host, .options = options, .unanswered = unanswered, .arg = arg};
    api->queue_end = &api->queue;
    if (!options->api_key)
        return;
    size_t size = strlen(options->api_key) + sizeof "X-API-Key: ";
    if (!(api->key_header = malloc(size)))
        abort();
    snprintf(api->key_header, size, "X-API-Key: %s", options->api_key);
}

void api_finish(struct api *api)
{
    struct api_call *call = api->calls;
    while (call) { /* none that waits begins when another one goes */
        struct api_call *next = call->next;
        if (call->stage == STAGE_QUEUED)
            api_cancel(call);
        call = next;
    }
    while (api->calls)
        api_cancel(api->calls);
    wipe(api->key_header, api->key_header ? strlen(api->key_header) : 0);
    api->key_header = NULL;
}
