/* See server.h. */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 4096 };

struct connection {
    struct server *server;
    int fd;
    SSL *ssl;
    char head[16384];
    const char *body;
    size_t body_len;
};

struct server {
    int listener, port;
    SSL_CTX *tls;
    pthread_t acceptor;
    pthread_mutex_t lock; /* guards what follows */
    bool stopping;
    int accepted, open, requests;
    pthread_t threads[MAX_CONNECTIONS];
    int fds[MAX_CONNECTIONS]; /* -1: closed */
};

char server_stream_byte(size_t position)
{
    return (char)('a' + (position * 7 + position / 4096) % 26);
}

/* ---- one connection ------------------------------------------------------------------------- */

static ssize_t receive(struct connection *c, void *bytes, size_t len)
{
    return c->ssl ? SSL_read(c->ssl, bytes, (int)len) : recv(c->fd, bytes, len, 0);
}

static bool reply(struct connection *c, const void *bytes, size_t len)
{
    const char *next = bytes;
    while (len > 0) {
        ssize_t sent = c->ssl ? SSL_write(c->ssl, next, (int)len) : send(c->fd, next, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        next += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool reply_text(struct connection *c, const char *text)
{
    return reply(c, text, strlen(text));
}

static bool reply_body(struct connection *c, const void *body, size_t len)
{
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    return reply_text(c, head) && reply(c, body, len);
}

/* Until the client, or the end of the test, closes the connection. */
static bool wait_for_close(struct connection *c)
{
    char bytes[256];
    while (receive(c, bytes, sizeof bytes) > 0)
        continue;
    return false;
}

static bool serve_stream(struct connection *c, bool chunked)
{
    static const size_t piece = 10000;
    char bytes[10000 + 16];
    if (!reply_text(c, chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               : "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
        return false;
    for (size_t sent = 0; sent < SERVER_STREAM_BYTES;) {
        size_t len = SERVER_STREAM_BYTES - sent < piece ? SERVER_STREAM_BYTES - sent : piece, at = 0;
        if (chunked)
            at = (size_t)snprintf(bytes, sizeof bytes, "%zx\r\n", len);
        for (size_t i = 0; i < len; i++)
            bytes[at++] = server_stream_byte(sent++);
        if (chunked) {
            bytes[at++] = '\r';
            bytes[at++] = '\n';
        }
        if (!reply(c, bytes, at))
            return false;
    }
    return chunked && reply_text(c, "0\r\nX-Trailer: t\r\n\r\n");
}

static bool serve_dribble(struct connection *c)
{
    if (!reply_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
        return false;
    while (reply_text(c, "x"))
        usleep(2000);
    return false;
}

static bool serve_echo(struct connection *c)
{
    size_t head = strlen(c->head), len = head + c->body_len;
    char *all = malloc(len);
    memcpy(all, c->head, head);
    memcpy(all + head, c->body, c->body_len);
    bool kept = reply_body(c, all, len);
    free(all);
    return kept;
}

static bool serve_filled(struct connection *c, size_t len)
{
    char *all = malloc(len);
    memset(all, 'x', len);
    bool kept = reply_body(c, all, len);
    free(all);
    return kept;
}

static bool serve_large_head(struct connection *c)
{
    char line[1024];
    memset(line, 'h', sizeof line);
    memcpy(line, "X-Large: ", 9);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    reply_text(c, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; i++)
        if (!reply_text(c, line))
            return false;
    return reply_text(c, "Content-Length: 0\r\n\r\n");
}

static bool serve_reset(struct connection *c)
{
    struct linger hard = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return false;
}

/* Returns whether the connection is kept. */
static bool serve(struct connection *c)
{
    char path[256] = "", method[16] = "";
    sscanf(c->head, "%15s %255s", method, path);
    if (!strcmp(path, "/ok"))
        return reply_text(c, !strcmp(method, "HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                                                     : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (!strcmp(path, "/echo"))
        return serve_echo(c);
    if (!strcmp(path, "/204"))
        return reply_text(c, "HTTP/1.1 204 No Content\r\nX-One: 1\r\nx-two:2\r\nX-Empty:\r\n\r\n");
    if (!strcmp(path, "/interim"))
        return reply_text(c, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                             "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n");
    if (!strcmp(path, "/redirect"))
        return reply_text(c, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    if (!strcmp(path, "/500"))
        return reply_text(c, "HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nfail");
    if (!strcmp(path, "/mib"))
        return serve_filled(c, 1024 * 1024);
    if (!strcmp(path, "/mib-and-1"))
        return serve_filled(c, 1024 * 1024 + 1);
    if (!strcmp(path, "/stream") || !strcmp(path, "/stream-chunked"))
        return serve_stream(c, path[7] == '-');
    if (!strcmp(path, "/dribble"))
        return serve_dribble(c);
    if (!strcmp(path, "/silent"))
        return wait_for_close(c);
    if (!strcmp(path, "/hang-in-head"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nX-Ha") && wait_for_close(c);
    if (!strcmp(path, "/hang-in-body"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab") && wait_for_close(c);
    if (!strcmp(path, "/cut-in-head"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nX-Ha") && false;
    if (!strcmp(path, "/cut-in-body"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab") && false;
    if (!strcmp(path, "/cut-in-chunk"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab") && false;
    if (!strcmp(path, "/bad-chunk"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab") && false;
    if (!strcmp(path, "/bad-length"))
        return reply_text(c, "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nab") && false;
    if (!strcmp(path, "/not-http"))
        return reply_text(c, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n") && wait_for_close(c);
    if (!strcmp(path, "/binary"))
        return reply(c, "\0\1\2\3\377\376\0\0\n\n\0", 11) && false;
    if (!strcmp(path, "/close"))
        return false;
    if (!strcmp(path, "/reset"))
        return serve_reset(c);
    if (!strcmp(path, "/large-head"))
        return serve_large_head(c);
    return reply_text(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

/* Reads one request, its body included. */
static bool read_request(struct connection *c)
{
    static const char end[] = "\r\n\r\n";
    size_t len = 0;
    char *body = NULL;
    free((void *)c->body);
    c->body = NULL;
    while (!body) {
        ssize_t got = receive(c, c->head + len, sizeof c->head - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        c->head[len] = '\0';
        body = strstr(c->head, end);
    }
    body += 4;
    char *length = strcasestr(c->head, "\r\nContent-Length:");
    c->body_len = length && length < body ? strtoul(length + 17, NULL, 10) : 0;
    char *bytes = malloc(c->body_len + 1);
    size_t have = len - (size_t)(body - c->head);
    memcpy(bytes, body, have);
    *body = '\0';
    c->body = bytes;
    while (have < c->body_len) {
        ssize_t got = receive(c, bytes + have, c->body_len - have);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    pthread_mutex_lock(&c->server->lock);
    c->server->requests++;
    pthread_mutex_unlock(&c->server->lock);
    return true;
}

static void *run_connection(void *arg)
{
    struct connection *c = arg;
    struct server *server = c->server;
    bool ready = true;
    if (server->tls) {
        c->ssl = SSL_new(server->tls);
        SSL_set_fd(c->ssl, c->fd);
        ready = SSL_accept(c->ssl) == 1;
    }
    while (ready && read_request(c) && serve(c))
        continue;
    SSL_free(c->ssl);
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < server->accepted; i++)
        if (server->fds[i] == c->fd)
            server->fds[i] = -1;
    server->open--;
    close(c->fd);
    pthread_mutex_unlock(&server->lock);
    free((void *)c->body);
    free(c);
    return NULL;
}

/* ---- the server ----------------------------------------------------------------------------- */

static void *run_server(void *arg)
{
    struct server *server = arg;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EMFILE) /* a test takes the process's descriptors away */
            continue;
        if (fd < 0)
            return NULL;
        struct connection *c = calloc(1, sizeof *c);
        c->server = server;
        c->fd = fd;
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 256 * 1024);
        pthread_mutex_lock(&server->lock);
        if (server->accepted == MAX_CONNECTIONS)
            abort();
        server->fds[server->accepted] = fd;
        server->open++;
        if (pthread_create(&server->threads[server->accepted++], &small, run_connection, c))
            abort();
        pthread_mutex_unlock(&server->lock);
        pthread_attr_destroy(&small);
    }
}

static struct server *start(int family, const struct sockaddr *address, socklen_t len, SSL_CTX *tls)
{
    struct server *server = calloc(1, sizeof *server);
    server->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->tls = tls;
    pthread_mutex_init(&server->lock, NULL);
    if (bind(server->listener, address, len) || listen(server->listener, 1024)) {
        close(server->listener);
        free(server);
        return NULL;
    }
    struct sockaddr_in6 bound; /* the port stands in the same place for both families */
    socklen_t bound_len = sizeof bound;
    getsockname(server->listener, (struct sockaddr *)&bound, &bound_len);
    server->port = family == AF_UNIX ? 0 : ntohs(bound.sin6_port);
    pthread_create(&server->acceptor, NULL, run_server, server);
    return server;
}

struct server *server_start_tcp(bool v6, SSL_CTX *tls)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return v6 ? start(AF_INET6, (struct sockaddr *)&six, sizeof six, tls)
              : start(AF_INET, (struct sockaddr *)&four, sizeof four, tls);
}

struct server *server_start_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return start(AF_UNIX, (struct sockaddr *)&address, sizeof address, NULL);
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < server->accepted; i++)
        if (server->fds[i] >= 0)
            shutdown(server->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < server->accepted; i++)
        pthread_join(server->threads[i], NULL);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int server_port(const struct server *server)
{
    return server->port;
}

static int locked(struct server *server, const int *number)
{
    pthread_mutex_lock(&server->lock);
    int value = *number;
    pthread_mutex_unlock(&server->lock);
    return value;
}

int server_connections(struct server *server)
{
    return locked(server, &server->accepted);
}

int server_open(struct server *server)
{
    return locked(server, &server->open);
}

int server_requests(struct server *server)
{
    return locked(server, &server->requests);
}
