/* unit/http/rig.c: see rig.h. Owns the loop, the server and the client sockets of one test. */
#include "rig.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the handler ----------------------------------------------------------------------------- */

static void on_gone(void *arg, struct http_request *request)
{
    struct rig *rig = arg;
    rig->gone++;
    if (rig->pending == request)
        rig->pending = NULL;
}

static void echo(void *arg, struct http_request *request, const void *body, size_t len)
{
    struct rig *rig = arg;
    rig->bodies++;
    http_reply(request, 200, "application/octet-stream", body, len);
}

static void keep(void *arg, struct http_request *request, const void *body, size_t len)
{
    (void)body, (void)len;
    struct rig *rig = arg;
    rig->bodies++;
    rig->pending = request;
}

static bool take_piece(void *arg, struct http_request *request, const void *bytes, size_t len)
{
    struct rig *rig = arg;
    rig->pending = request;
    assert_true(len > 0);
    for (size_t i = 0; i < len; i++)
        rig->passed_sum ^= ((const unsigned char *)bytes)[i];
    rig->passed += len;
    return rig->hold_at == 0 || rig->passed < rig->hold_at;
}

static void all_pieces(void *arg, struct http_request *request)
{
    struct rig *rig = arg;
    rig->bodies++;
    rig->pending = NULL;
    char text[32];
    int size = snprintf(text, sizeof text, "%zu", rig->passed);
    http_reply(request, 200, "text/plain", text, (size_t)size);
}

/* Answers what it does not want to read on. */
static bool refuse_piece(void *arg, struct http_request *request, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    http_reply(request, 422, "text/plain", "no", 2);
    return false;
}

static void on_writable(void *arg, struct http_request *request)
{
    (void)request;
    struct rig *rig = arg;
    rig->writable++;
}

static void on_head(void *arg, struct http_request *request)
{
    struct rig *rig = arg;
    const char *path = http_path(request);
    rig->heads++;
    http_set_gone(request, on_gone, rig);
    if (strcmp(path, "/pending") == 0)
        rig->pending = request;
    else if (strcmp(path, "/early") == 0) {
        http_add_header(request, "X-Early", "kept");
        http_read_body(request, rig->config.max_body, echo, rig);
    } else if (strcmp(path, "/echo") == 0)
        http_read_body(request, rig->config.max_body, echo, rig);
    else if (strcmp(path, "/keep") == 0)
        http_read_body(request, rig->config.max_body, keep, rig);
    else if (strcmp(path, "/pieces") == 0)
        http_stream_body(request, 10 * UINT64_C(1000000), take_piece, all_pieces, rig);
    else if (strcmp(path, "/refused") == 0)
        http_stream_body(request, rig->config.max_body, refuse_piece, all_pieces, rig);
    else if (strcmp(path, "/stream") == 0) {
        rig->pending = request;
        http_stream_start(request, 200, "text/plain", on_writable, rig);
    } else if (strcmp(path, "/none") == 0) {
        http_reply(request, 204, NULL, NULL, 0);
    } else if (strcmp(path, "/big") == 0) {
        struct evbuffer *body = evbuffer_new();
        for (int i = 0; i < 200000; i++)
            evbuffer_add_printf(body, "%08x", (unsigned)i);
        http_reply_buffer(request, 200, "text/plain", body);
        assert_int_equal(evbuffer_get_length(body), 0);
        evbuffer_free(body);
    } else {
        http_add_header(request, "X-Path", path);
        http_reply(request, 200, "text/plain", path, strlen(path));
    }
}

/* ---- the server ------------------------------------------------------------------------------ */

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->loop = loop_create();
    rig->server = http_server_create(rig->loop, &(struct http_handler){.head = on_head, .arg = rig});
    rig->listen[0] = (struct config_address){.kind = ADDRESS_TCP, .text = "127.0.0.1:0", .host = "127.0.0.1"};
    rig->config = (struct config){.refs = 1,
                                  .listen = rig->listen,
                                  .listen_len = 1,
                                  .max_connections = RIG_CLIENTS,
                                  .max_body = 100000,
                                  .header_timeout_ms = 5000};
    config_problems_init(&rig->problems);
}

void rig_start(struct rig *rig)
{
    if (http_server_prepare(rig->server, &rig->config, &rig->problems) < 0)
        fail_msg("%s", rig->problems.list[0].text);
    http_server_commit(rig->server, &rig->config);
    const char *colon = strchr(http_server_addresses(rig->server), ':');
    rig->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

int rig_setup_only(void **state)
{
    struct rig *rig = malloc(sizeof *rig);
    rig_init(rig);
    *state = rig;
    return 0;
}

int rig_setup(void **state)
{
    rig_setup_only(state);
    rig_start(*state);
    return 0;
}

int rig_stop(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < rig->clients_len; i++)
        if (rig->clients[i] >= 0)
            close(rig->clients[i]);
    http_server_destroy(rig->server);
    loop_destroy(rig->loop);
    config_problems_finish(&rig->problems);
    /* Each generation and each request gave its reference back. */
    int result = rig->config.refs == 1 ? 0 : -1;
    free(rig);
    return result;
}

void rig_turn(struct rig *rig)
{
    event_base_loop(loop_base(rig->loop), EVLOOP_NONBLOCK);
    poll(NULL, 0, 1);
    event_base_loop(loop_base(rig->loop), EVLOOP_NONBLOCK);
}

/* ---- clients --------------------------------------------------------------------------------- */

int client_connect(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = connect(client, (struct sockaddr *)&address, sizeof address);
    assert_true(result == 0 || errno == EINPROGRESS);
    assert_in_range(rig->clients_len, 0, RIG_CLIENTS - 1);
    rig->clients[rig->clients_len++] = client;
    return client;
}

void client_close(struct rig *rig, int client)
{
    for (size_t i = 0; i < rig->clients_len; i++)
        if (rig->clients[i] == client)
            rig->clients[i] = -1;
    close(client);
}

void client_reset(struct rig *rig, int client)
{
    struct linger none = {.l_onoff = 1};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    client_close(rig, client);
}

void client_send_bytes(struct rig *rig, int client, const void *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t got = 0;
        rig_until(rig, (got = send(client, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL)) > 0 ||
                           (errno != EAGAIN && errno != ENOTCONN && errno != EWOULDBLOCK));
        if (got <= 0)
            return; /* what the server says to that is the test's to look at */
        sent += (size_t)got;
    }
}

void client_send(struct rig *rig, int client, const char *text)
{
    client_send_bytes(rig, client, text, strlen(text));
}

/* Waits for bytes; those that are looked at only stay in the socket. */
static ssize_t receive(struct rig *rig, int client, void *bytes, size_t len, int flags)
{
    ssize_t got = -1;
    rig_until(rig, (got = recv(client, bytes, len, flags)) >= 0 || (errno != EAGAIN && errno != ENOTCONN));
    return got;
}

/* Up to and with `end`, byte by byte, so that what follows stays in the socket. */
static size_t receive_until(struct rig *rig, int client, char *out, size_t size, const char *end)
{
    size_t len = 0;
    do {
        assert_in_range(len, 0, size - 2);
        ssize_t got = receive(rig, client, out + len, 1, 0);
        if (got != 1)
            fail_msg("the connection ended after <<%.*s>>", (int)len, out);
        out[++len] = '\0';
    } while (len < strlen(end) || strcmp(out + len - strlen(end), end) != 0);
    return len;
}

static void receive_exactly(struct rig *rig, int client, char *out, size_t len)
{
    while (len > 0) {
        ssize_t got = receive(rig, client, out, len, 0);
        assert_true(got > 0);
        out += got;
        len -= (size_t)got;
    }
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[256];
    value[0] = '\0';
    for (const char *line = strstr(reply->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        size_t len = strlen(name);
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + len + 4, "\r"), line + len + 4);
    }
    return value;
}

void client_reply(struct rig *rig, int client, struct reply *reply, bool no_body)
{
    receive_until(rig, client, reply->head, sizeof reply->head, "\r\n\r\n");
    assert_memory_equal(reply->head, "HTTP/1.1 ", 9);
    reply->status = (int)strtol(reply->head + 9, NULL, 10);
    reply->body_len = 0;
    if (no_body || reply->status == 204 || reply->status == 100)
        return;
    if (strcmp(reply_header(reply, "Transfer-Encoding"), "chunked") == 0) {
        for (;;) {
            char line[64];
            receive_until(rig, client, line, sizeof line, "\r\n");
            size_t len = strtoul(line, NULL, 16);
            assert_in_range(len, 0, sizeof reply->body - reply->body_len);
            receive_exactly(rig, client, reply->body + reply->body_len, len);
            reply->body_len += len;
            receive_until(rig, client, line, sizeof line, "\r\n");
            if (len == 0)
                return;
        }
    }
    const char *length = reply_header(reply, "Content-Length");
    if (*length) {
        reply->body_len = strtoul(length, NULL, 10);
        assert_in_range(reply->body_len, 0, sizeof reply->body - 1);
        receive_exactly(rig, client, reply->body, reply->body_len);
    } else {
        ssize_t got;
        while ((got = receive(rig, client, reply->body + reply->body_len,
                              sizeof reply->body - 1 - reply->body_len, 0)) > 0)
            reply->body_len += (size_t)got;
        assert_int_equal(got, 0);
    }
    reply->body[reply->body_len] = '\0';
}

void client_ask(struct rig *rig, int client, const char *request, int status)
{
    static struct reply reply;
    client_send(rig, client, request);
    client_reply(rig, client, &reply, false);
    if (reply.status != status)
        fail_msg("%d instead of %d: %s%s", reply.status, status, reply.head, reply.body);
}

int client_end(struct rig *rig, int client)
{
    char bytes[4096];
    ssize_t got;
    while ((got = receive(rig, client, bytes, sizeof bytes, 0)) > 0)
        continue;
    return got == 0 ? 0 : -1;
}

bool client_quiet(struct rig *rig, int client)
{
    char byte;
    rig_turn(rig);
    return recv(client, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}
