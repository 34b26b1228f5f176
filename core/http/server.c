/* http/server.c: see server.h. Owns the listeners, the connections, and who may come in.
 *
 * Does not read or write on a connection: connection.c does.
 */
#include "base/clock.h"
#include "base/log.h"
#include "http/state.h"
#include "http/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct http_times default_times = {.idle = 60000,
                                                .idle_grace = 1000,
                                                .write_stall = 30000,
                                                .linger = 2000,
                                                .accept_pause = 100,
                                                .half_closed_s = 15};

enum {
    ACCEPT_WARN_MS = 60000, /* between two lines of log about it */
    RESERVE_MOST = 8,       /* connections that loopback alone may have, */
    RESERVE_SHARE = 8       /* and at most this part of all */
};

/* ---- who may come in ------------------------------------------------------------------------- */

/* Clients may take three quarters of the descriptors: sandboxes and their health checks need some, too. */
static void limit_connections(struct http_server *server)
{
    struct rlimit limit;
    server->most = server->config->max_connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur - limit.rlim_cur / 4 < server->most) {
        server->most = (unsigned)(limit.rlim_cur - limit.rlim_cur / 4);
        log_warn("http: server.max_connections is %u, but there may be only %llu open files: at most %u "
                 "connections",
                 server->config->max_connections, (unsigned long long)limit.rlim_cur, server->most);
    }
    server->reserve =
        server->most / RESERVE_SHARE < RESERVE_MOST ? server->most / RESERVE_SHARE : RESERVE_MOST;
}

/* Who makes room next: the longest idle. A client that ended its side may still wait for its answer, and
 * one that takes its answer slowly does take it, so that they go only where nobody is idle. */
static struct http_connection *next_to_go(const struct http_server *server)
{
    struct http_connection *found = server->idle_first;
    while (found && (found->request || connection_unsent(found) > 0))
        found = found->idle_next;
    return found ? found : server->idle_first;
}

static bool may_go(const struct http_server *server, const struct http_connection *connection, uint64_t now)
{
    return connection && now >= connection->idle_since + server->times.idle_grace;
}

static void make_room(const struct http_server *server)
{
    struct http_connection *next = next_to_go(server);
    if (may_go(server, next, clock_ms()))
        connection_close(next);
}

/* Those who come from elsewhere leave the reserve alone. */
static unsigned most_of(const struct http_server *server, bool local)
{
    return local ? server->most : server->most - server->reserve;
}

void server_update_admission(struct http_server *server)
{
    bool open = !server->draining && !server->accept_paused, shut = false;
    bool full[2], room[2]; /* for others, and for loopback */
    for (int local = 0; local < 2; local++)
        full[local] = server->config && server->stats.connections >= most_of(server, local != 0);
    /* At the limit a new connection is let in when an idle one can make room; others wait in the backlog. */
    uint64_t now = full[0] ? clock_ms() : 0;
    const struct http_connection *next = open && full[0] ? next_to_go(server) : NULL;
    bool makes_room = may_go(server, next, now);
    for (int local = 0; local < 2; local++)
        room[local] = open && (!full[local] || makes_room);
    if (next && !room[0] && !event_pending(&server->accept_timer, EV_TIMEOUT, NULL))
        loop_arm_ms(&server->accept_timer, next->idle_since + server->times.idle_grace - now);
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next) {
        shut |= listener->accepting && !room[listener->local];
        listener_enable(listener, room[listener->local], room[1]);
    }
    server->stats.over_limit += open && shut;
}

static void on_accept_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct http_server *server = arg;
    server->accept_paused = false;
    server_update_admission(server);
}

static enum http_peer peer_of(const struct sockaddr *peer)
{
    bool loopback = false;
    if (peer->sa_family == AF_UNIX)
        return PEER_UNIX;
    if (peer->sa_family == AF_INET)
        loopback = ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr) >> 24 == 127;
    else if (peer->sa_family == AF_INET6)
        loopback = IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)peer)->sin6_addr);
    return loopback ? PEER_LOOPBACK : PEER_REMOTE;
}

static void on_accepted(struct evconnlistener *socket, evutil_socket_t fd, struct sockaddr *peer, int len,
                        void *arg)
{
    (void)len;
    struct http_listener *listener = arg;
    struct http_server *server = listener->owner;
    if (server->stats.connections >= most_of(server, listener->local || socket == listener->loopback_socket))
        make_room(server);
    connection_open(server, listener, fd, peer_of(peer));
}

static void on_accept_failed(struct evconnlistener *socket, void *arg)
{
    (void)socket;
    int saved = errno;
    struct http_listener *listener = arg;
    struct http_server *server = listener->owner;
    uint64_t now = clock_ms();
    if (server->accept_warned == 0 || now - server->accept_warned >= ACCEPT_WARN_MS) {
        log_warn("http: can't accept connections on %s: %s; trying again every %u ms", listener->bound,
                 strerrordesc_np(saved), server->times.accept_pause);
        server->accept_warned = now;
    }
    server->accept_paused = true;
    make_room(server);
    loop_arm_ms(&server->accept_timer, server->times.accept_pause);
    server_update_admission(server);
}

/* ---- connections that end -------------------------------------------------------------------- */

static void free_connection(struct http_connection *connection)
{
    bufferevent_free(connection->bev);
    free(connection);
}

static void check_drained(struct http_server *server)
{
    void (*drained)(void *) = server->drained;
    if (!server->draining || server->stats.connections > 0 || !drained)
        return;
    server->drained = NULL;
    event_del(&server->drain_timer);
    drained(server->drained_arg);
}

static void reap(void *arg)
{
    struct http_server *server = arg;
    for (struct http_connection *connection; (connection = server->dead);) {
        server->dead = connection->next;
        free_connection(connection);
    }
    check_drained(server);
}

void server_connection_dead(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    *connection->prev = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    connection->next = server->dead;
    server->dead = connection;
    server->stats.connections--;
    loop_defer(server->loop, &server->reap);
    server_update_admission(server);
}

static void on_watch_closed(void *subject)
{
    connection_hung_up(subject);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct http_server *server = arg;
    log_warn("http: %u connections did not end within the drain timeout and are cut off",
             server->stats.connections);
    for (struct http_connection *connection; (connection = server->connections);) {
        /* Its client hears why, where nothing of a reply was sent yet. */
        if (connection->stage == STAGE_BODY ||
            (connection->stage == STAGE_PENDING && !connection->request->streaming)) {
            reply_fault(connection,
                        &(struct http_fault){.status = 503, .detail = "the daemon is shutting down"});
            connection_close(connection);
        } else
            connection_abort(connection);
    }
}

/* ---- creation and end ------------------------------------------------------------------------ */

struct http_server *http_server_create(struct loop *loop, const struct http_handler *handler)
{
    /* libevent and OpenSSL write with write(2): a client that is gone would end the daemon. */
    signal(SIGPIPE, SIG_IGN);
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->loop = loop;
    server->handler = *handler;
    server->times = default_times;
    server->idle_last = &server->idle_first;
    server->reap = (struct loop_task){.run = reap, .arg = server};
    server->random_used = sizeof server->random;
    watch_init(&server->watch, loop, on_watch_closed);
    evtimer_assign(&server->accept_timer, loop_base(loop), on_accept_timer, server);
    evtimer_assign(&server->drain_timer, loop_base(loop), on_drain_timer, server);
    return server;
}

void server_set_times(struct http_server *server, const struct http_times *times)
{
    server->times = *times;
}

static void destroy_listeners(struct http_listener **list)
{
    for (struct http_listener *listener; (listener = *list);) {
        *list = listener->next;
        listener_destroy(listener);
    }
}

void http_server_destroy(struct http_server *server)
{
    if (!server)
        return;
    server->draining = true;
    server->drained = NULL;
    http_server_rollback(server);
    destroy_listeners(&server->listeners);
    while (server->connections)
        connection_close(server->connections);
    loop_undefer(server->loop, &server->reap);
    reap(server);
    event_del(&server->accept_timer);
    event_del(&server->drain_timer);
    watch_finish(&server->watch);
    SSL_CTX_free(server->tls);
    config_unref(server->config);
    free(server->addresses);
    free(server);
}

/* Those who wait in its backlog came in time: they are let in before it goes. */
static void retire_listener(struct http_server *server, struct http_listener *listener)
{
    while (server->stats.connections < server->most) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof peer;
        int fd = listener_accept(listener, (struct sockaddr *)&peer, &len);
        if (fd < 0)
            break;
        connection_open(server, listener, fd, peer_of((struct sockaddr *)&peer));
    }
    for (struct http_connection *connection = server->connections; connection; connection = connection->next)
        if (connection->listener == listener)
            connection->listener = NULL;
    listener_destroy(listener);
}

void http_server_drain(struct http_server *server, uint32_t timeout_ms, void (*drained)(void *arg), void *arg)
{
    server->draining = true;
    server->drained = drained;
    server->drained_arg = arg;
    for (struct http_listener *listener; (listener = server->listeners);) {
        server->listeners = listener->next;
        retire_listener(server, listener);
    }
    /* A request may be on its way from those who were heard of lately. */
    uint64_t now = clock_ms();
    for (struct http_connection *connection = server->connections, *next; connection; connection = next) {
        next = connection->next;
        uint64_t until = server->times.idle_grace;
        if (connection->stage == STAGE_IDLE)
            until += connection->idle_since;
        else if (connection->stage == STAGE_HANDSHAKE)
            until += now;
        else
            continue;
        if (until > now)
            connection_set_deadline(connection, (uint32_t)(until - now));
        else
            connection_close(connection);
    }
    loop_arm_ms(&server->drain_timer, timeout_ms);
    loop_defer(server->loop, &server->reap); /* there may be none left already */
}

bool http_server_draining(const struct http_server *server)
{
    return server->draining;
}

/* ---- a reload -------------------------------------------------------------------------------- */

static struct http_listener *find_listener(struct http_listener *list, const char *text)
{
    while (list && strcmp(list->text, text) != 0)
        list = list->next;
    return list;
}

static void prepare_listeners(struct http_server *server, const struct config *next,
                              struct config_problems *problems)
{
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        listener->keep = false;
    /* All that stay are marked before the first new one is bound: it may take the place of one that does
     * not. */
    for (size_t i = 0; i < next->listen_len; i++) {
        struct http_listener *listener = find_listener(server->listeners, next->listen[i].text);
        if (listener)
            listener->keep = true;
    }
    for (size_t i = 0; i < next->listen_len; i++) {
        const struct config_address *address = &next->listen[i];
        if (find_listener(server->listeners, address->text) ||
            find_listener(server->next_listeners, address->text))
            continue;
        char why[512];
        const struct listener_context context = {.loop = server->loop,
                                                 .accepted = on_accepted,
                                                 .failed = on_accept_failed,
                                                 .owner = server,
                                                 .current = server->listeners,
                                                 .added = server->next_listeners};
        struct http_listener *listener = listener_create(&context, address, why, sizeof why);
        if (listener) {
            listener->next = server->next_listeners;
            server->next_listeners = listener;
        } else {
            char path[48];
            snprintf(path, sizeof path, "server.listen[%zu]", i);
            unsigned line, column;
            config_position(next, path, &line, &column);
            config_problem_add(problems, false, line, column, path, "%s", why);
        }
    }
}

void http_server_check(const struct config *config, struct config_problems *problems)
{
    if (config->tls_cert && config->tls_key)
        SSL_CTX_free(tls_load(config, problems));
}

int http_server_prepare(struct http_server *server, struct config *next, struct config_problems *problems)
{
    size_t before = problems->errors;
    server->next = config_ref(next);
    prepare_listeners(server, next, problems);
    if (next->tls_cert && next->tls_key)
        server->next_tls = tls_load(next, problems);
    if (problems->errors == before)
        return 0;
    http_server_rollback(server);
    return -1;
}

void http_server_rollback(struct http_server *server)
{
    destroy_listeners(&server->next_listeners);
    SSL_CTX_free(server->next_tls);
    server->next_tls = NULL;
    config_unref(server->next);
    server->next = NULL;
}

/* In the order of the configuration. */
static void list_addresses(struct http_server *server)
{
    struct buffer text = buffer_init(SIZE_MAX - 1);
    for (size_t i = 0; i < server->config->listen_len; i++) {
        const struct http_listener *listener =
            find_listener(server->listeners, server->config->listen[i].text);
        buffer_add_format(&text, "%s%s", i > 0 ? ", " : "", listener->bound);
    }
    free(server->addresses);
    server->addresses = buffer_take(&text);
    if (!server->addresses)
        abort();
}

void http_server_commit(struct http_server *server, struct config *next)
{
    if (server->draining) {
        http_server_rollback(server);
        return;
    }
    for (struct http_listener **at = &server->listeners, *listener; (listener = *at);) {
        if (listener->keep) {
            at = &listener->next;
            continue;
        }
        *at = listener->next;
        retire_listener(server, listener);
    }
    config_unref(server->config);
    server->config = server->next; /* `next`, with the reference that prepare() took */
    server->next = NULL;
    (void)next;
    limit_connections(server);
    SSL_CTX_free(server->tls); /* connections that use it hold it */
    server->tls = server->next_tls;
    server->next_tls = NULL;
    for (struct http_listener *listener; (listener = server->next_listeners);) {
        server->next_listeners = listener->next;
        listener->next = server->listeners;
        server->listeners = listener;
    }
    list_addresses(server);
    server_update_admission(server);
}

/* ---- what others ask ------------------------------------------------------------------------- */

const char *http_server_addresses(const struct http_server *server)
{
    return server->addresses ? server->addresses : "";
}

struct http_stats http_server_stats(const struct http_server *server)
{
    return server->stats;
}

void server_random_id(struct http_server *server, char *out)
{
    enum { ID_BYTES = 8 };
    /* The kernel is asked once for many: a system call costs more than a reply's head. */
    if (server->random_used + ID_BYTES > sizeof server->random) {
        random_fill(server->random, sizeof server->random);
        server->random_used = 0;
    }
    base62_encode(server->random + server->random_used, ID_BYTES, out);
    server->random_used += ID_BYTES;
}
