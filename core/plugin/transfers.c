/* plugin/transfers.c: HTTP requests of plugins, on the daemon's client. Owns each until its last call. */
#include "base/error.h"
#include "plugin/instance.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TRANSFERS = 1024, MAX_HEADERS = 100, MAX_HEADER = 16 * 1024, MAX_COLLECTED = 64 * 1024 * 1024 };

struct transfer {
    struct backend *backend;
    sbx_transfer id;
    struct client_transfer *running;
    struct sbx_http_handler handler;
    void *arg;
};

static void end(struct transfer *transfer)
{
    handles_remove(&transfer->backend->handles, transfer->id);
    free(transfer);
}

static void on_head(void *arg, int status, const char *const *headers)
{
    struct transfer *transfer = arg;
    transfer->handler.head(transfer->id, status, headers, transfer->arg);
}

static bool on_data(void *arg, const void *bytes, size_t len)
{
    struct transfer *transfer = arg;
    return transfer->handler.data(transfer->id, bytes, len, transfer->arg) != SBX_STREAM_STOP;
}

static void on_done(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    struct transfer *transfer = arg;
    struct sbx_http_handler handler = transfer->handler;
    sbx_transfer id = transfer->id;
    void *its = transfer->arg;
    end(transfer);
    handler.done(id, err, status, body, len, its);
}

static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
            return true;
    return false;
}

/* A header with a line break in it would be two, or the end of the head. */
static const char *check_headers(const char *const *headers)
{
    for (size_t i = 0; headers && headers[i]; i++) {
        if (i >= MAX_HEADERS)
            return "it has more than 100 headers";
        if (strnlen(headers[i], MAX_HEADER) == MAX_HEADER)
            return "a header is over 16 KiB";
        if (!strchr(headers[i], ':') || has_control(headers[i]))
            return "a header is not \"Name: value\" on one line";
    }
    return NULL;
}

static const char *check_request(const struct sbx_http_request *request,
                                 const struct sbx_http_handler *handler)
{
    if (!request || request->size < offsetof(struct sbx_http_request, key_file) + sizeof request->key_file)
        return "no struct sbx_http_request of this version";
    if (!handler || !SBX_HAS(handler, done))
        return "its handler has no done()";
    if (!request->url)
        return "it has no URL";
    if (!request->method || !request->method[0] ||
        strspn(request->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(request->method))
        return "its method is not in capital letters";
    if (request->body && SBX_HAS(request, body_file))
        return "it has a body and a body_file";
    if (!request->body && request->body_len > 0)
        return "it gives the length of a body and no body";
    if (request->max_body > MAX_COLLECTED)
        return "its max_body is over 64 MiB";
    return check_headers(request->headers);
}

static struct client_transfer *begin(struct transfer *transfer, const struct sbx_http_request *request,
                                     struct sbx_error *err)
{
    struct client_request mine = {
        .method = request->method,
        .url = request->url,
        .unix_socket = request->unix_socket,
        .headers = request->headers,
        .body = request->body,
        .body_len = request->body_len,
        .body_file = SBX_HAS(request, body_file) ? request->body_file : NULL,
        .connect_timeout_ms = request->connect_timeout_ms,
        .timeout_ms = request->timeout_ms,
        .idle_timeout_ms = request->idle_timeout_ms,
        .max_body = request->max_body,
        .ca_file = request->ca_file,
        .cert_file = request->cert_file,
        .key_file = request->key_file,
    };
    struct client_handler handler = {
        .head = transfer->handler.head ? on_head : NULL,
        .data = transfer->handler.data ? on_data : NULL,
        .done = on_done,
    };
    return client_start(transfer->backend->env->client, &mine, &handler, transfer, err);
}

sbx_transfer transfers_start(struct sbx_backend *abi, const struct sbx_http_request *request,
                             const struct sbx_http_handler *handler, void *arg, struct sbx_error *err)
{
    struct backend *backend = host_enter(abi, "http_start");
    const char *why = backend ? check_request(request, handler) : "it may not be called here";
    if (why) {
        error_set(err, SBX_ERR_INVALID, SBX_CODE_INTERNAL, "the plugin's http_start() is wrong: %s", why);
        return 0;
    }
    if (!backend->env->client || backend->handles.counts[HANDLE_TRANSFER] >= MAX_TRANSFERS) {
        error_set(err, SBX_ERR_LIMIT, SBX_CODE_BACKEND_UNAVAILABLE,
                  "the plugin has %d HTTP requests under way and may begin no more", MAX_TRANSFERS);
        return 0;
    }
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        abort();
    transfer->backend = backend;
    transfer->arg = arg;
    memcpy(&transfer->handler, handler,
           handler->size < sizeof transfer->handler ? handler->size : sizeof transfer->handler);
    transfer->id = handles_add(&backend->handles, HANDLE_TRANSFER, transfer);
    if (transfer->id == 0)
        error_set(err, SBX_ERR_LIMIT, SBX_CODE_BACKEND_UNAVAILABLE, "the plugin has too much open");
    else
        transfer->running = begin(transfer, request, err);
    if (transfer->running)
        return transfer->id;
    end(transfer);
    return 0;
}

static struct transfer *find(struct sbx_backend *abi, sbx_transfer id, const char *service)
{
    struct backend *backend = host_enter(abi, service);
    return backend ? handles_get(&backend->handles, HANDLE_TRANSFER, id) : NULL;
}

void transfers_resume(struct sbx_backend *abi, sbx_transfer id)
{
    struct transfer *transfer = find(abi, id, "http_resume");
    if (transfer)
        client_resume(transfer->running);
}

void transfers_cancel(struct sbx_backend *abi, sbx_transfer id)
{
    struct transfer *transfer = find(abi, id, "http_cancel");
    if (!transfer)
        return;
    client_cancel(transfer->running);
    end(transfer);
}

void transfers_end(struct backend *backend)
{
    unsigned count = backend->handles.counts[HANDLE_TRANSFER];
    if (count > 0)
        instance_complain(backend, NULL,
                          "the plugin left %u HTTP requests open at close(); they are cancelled", count);
    struct transfer *transfer;
    for (size_t i = 0; (transfer = handles_next(&backend->handles, HANDLE_TRANSFER, &i));) {
        client_cancel(transfer->running);
        end(transfer);
    }
}
