/* http/listener.c: see listener.h. */
#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEPALIVE_IDLE_S = 60 };

static void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

/* A socket that listens, not yet accepting, for `listener`. Takes `fd`. */
static struct evconnlistener *wrap_socket(const struct listener_context *context, int fd,
                                          struct http_listener *listener)
{
    /* The backlog of 0 says that it listens already. */
    struct evconnlistener *socket =
        evconnlistener_new(loop_base(context->loop), context->accepted, listener,
                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
    if (!socket)
        abort();
    evconnlistener_set_error_cb(socket, context->failed);
    return socket;
}

/* Takes `fd`. */
static struct http_listener *wrap(const struct listener_context *context, int fd,
                                  const struct config_address *address, const char *bound)
{
    struct http_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        abort();
    listener->owner = context->owner;
    listener->text = strdup(address->text);
    listener->bound = strdup(bound);
    listener->socket = wrap_socket(context, fd, listener);
    if (!listener->text || !listener->bound)
        abort();
    return listener;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static uint16_t tcp_port(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

static void tcp_text(const union address *address, socklen_t len, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN + 32];
    if (getnameinfo(&address->any, len, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        abort(); /* of a socket of ours, without asking a resolver */
    snprintf(out, size, address->any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, tcp_port(address));
}

/* Names are not looked up: that could hold up the loop, and what they mean could change behind it. */
static bool tcp_resolve(const struct config_address *address, union address *out, socklen_t *len)
{
    const char *host = strcmp(address->host, "localhost") == 0 ? "127.0.0.1" : address->host;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    if (out->any.sa_family == AF_INET6)
        out->v6.sin6_port = htons(address->port);
    else
        out->v4.sin_port = htons(address->port);
    return true;
}

static int bind_and_listen(int fd, const union address *address, socklen_t len)
{
    return bind(fd, &address->any, len) == 0 && listen(fd, SOMAXCONN) == 0 ? 0 : -1;
}

static bool is_any(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    return address->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Whether the kernel lets only one of the two listen. IPv4 and IPv6 never get in each other's way
 * (IPV6_V6ONLY). */
static bool overlaps(const struct http_listener *listener, const union address *address)
{
    union address bound = {0};
    socklen_t len = sizeof bound;
    if (listener->is_unix || getsockname(evconnlistener_get_fd(listener->socket), &bound.any, &len) < 0 ||
        bound.any.sa_family != address->any.sa_family || tcp_port(&bound) != tcp_port(address))
        return false;
    if (is_any(&bound) || is_any(address))
        return true;
    if (bound.any.sa_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&bound.v6.sin6_addr, &address->v6.sin6_addr);
    return bound.v4.sin_addr.s_addr == address->v4.sin_addr.s_addr;
}

/* The first that overlaps; with `staying`, of those that the next generation keeps. */
static const struct http_listener *find_overlap(const struct http_listener *list, bool staying,
                                                const union address *address)
{
    while (list && !((list->keep || !staying) && overlaps(list, address)))
        list = list->next;
    return list;
}

static void share_port(int fd, const struct http_listener *current, const union address *address, int share)
{
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, share);
    for (; current; current = current->next) {
        if (!overlaps(current, address))
            continue;
        set_option(evconnlistener_get_fd(current->socket), SOL_SOCKET, SO_REUSEPORT, share);
        if (current->loopback_socket)
            set_option(evconnlistener_get_fd(current->loopback_socket), SOL_SOCKET, SO_REUSEPORT, share);
    }
}

/* A listener of ours that goes away with this reload may hold the port under another host. Both may listen
 * until it has gone if both have SO_REUSEPORT, which they have only meanwhile: it would let other daemons
 * in, too. */
static int bind_beside_old(int fd, const union address *address, socklen_t len,
                           const struct http_listener *current)
{
    share_port(fd, current, address, 1);
    int result = bind_and_listen(fd, address, len);
    int saved = errno;
    share_port(fd, current, address, 0);
    errno = saved;
    return result;
}

/* What accepted sockets inherit (tcp(7)). */
static void set_tcp_options(int fd, const union address *address)
{
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->any.sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
}

/* The second socket of one that listens on all addresses, `fd`, at `address`. Both have SO_REUSEPORT only while it is
 * bound: it would let other daemons in, too. Without it all is as it would be otherwise, so that no failure is told. */
static void add_loopback_socket(const struct listener_context *context, struct http_listener *listener,
                                int fd, const union address *address, socklen_t len)
{
    union address loopback = *address;
    if (loopback.any.sa_family == AF_INET6)
        loopback.v6.sin6_addr = in6addr_loopback;
    else
        loopback.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int second = socket(loopback.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (second < 0)
        return;
    set_tcp_options(second, &loopback);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    int result = bind_beside_old(second, &loopback, len, context->current);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 0);
    if (result == 0)
        listener->loopback_socket = wrap_socket(context, second, listener);
    else
        close(second);
}

static bool is_loopback(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr)
                                              : ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static struct http_listener *create_tcp(const struct listener_context *context,
                                        const struct config_address *address, char *why, size_t why_size)
{
    union address bound = {0};
    socklen_t len;
    if (!tcp_resolve(address, &bound, &len)) {
        snprintf(why, why_size, "%s: the host must be an IP address (names are not looked up)",
                 address->text);
        return NULL;
    }
    int fd = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        snprintf(why, why_size, "%s: %s", address->text, strerrordesc_np(errno));
        return NULL;
    }
    set_tcp_options(fd, &bound);
    const struct http_listener *same = find_overlap(context->current, true, &bound);
    if (!same)
        same = find_overlap(context->added, false, &bound);
    int result = bind_and_listen(fd, &bound, len);
    if (result < 0 && errno == EADDRINUSE && !same && find_overlap(context->current, false, &bound))
        result = bind_beside_old(fd, &bound, len, context->current);
    if (result < 0) {
        if (errno != EADDRINUSE)
            snprintf(why, why_size, "%s: %s", address->text, strerrordesc_np(errno));
        else if (same)
            snprintf(why, why_size, "%s overlaps with %s, where this server listens already", address->text,
                     same->text);
        else
            snprintf(why, why_size, "%s is in use by another program", address->text);
        close(fd);
        return NULL;
    }
    char text[INET6_ADDRSTRLEN + 48];
    union address actual = {0};
    len = sizeof actual;
    getsockname(fd, &actual.any, &len);
    tcp_text(&actual, len, text, sizeof text);
    struct http_listener *listener = wrap(context, fd, address, text);
    listener->local = is_loopback(&actual);
    if (is_any(&actual))
        add_loopback_socket(context, listener, fd, &actual, len);
    return listener;
}

/* ---- unix ------------------------------------------------------------------------------------ */

/* Whether what is at the path may be replaced: a socket on which nobody listens any more. */
static bool is_stale(const struct sockaddr_un *address, char *why, size_t why_size)
{
    struct stat found;
    if (lstat(address->sun_path, &found) < 0)
        return errno == ENOENT;
    if (!S_ISSOCK(found.st_mode)) {
        snprintf(why, why_size, "unix:%s exists and is not a socket", address->sun_path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)address, sizeof *address);
    bool stale = result < 0 && errno == ECONNREFUSED;
    if (!stale)
        /* EAGAIN: somebody listens, and more wait than may. */
        snprintf(why, why_size, "unix:%s %s%s", address->sun_path,
                 result == 0 || errno == EAGAIN ? "is in use by another program" : "can't be checked: ",
                 result == 0 || errno == EAGAIN ? "" : strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return stale;
}

static struct http_listener *create_unix(const struct listener_context *context,
                                         const struct config_address *address, char *why, size_t why_size)
{
    struct sockaddr_un bound = {.sun_family = AF_UNIX};
    if (strlen(address->path) >= sizeof bound.sun_path) {
        snprintf(why, why_size, "%s: the path of a unix socket must be at most %zu bytes", address->text,
                 sizeof bound.sun_path - 1);
        return NULL;
    }
    snprintf(bound.sun_path, sizeof bound.sun_path, "%s", address->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat file;
    int result = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&bound, sizeof bound);
    if (result < 0 && errno == EADDRINUSE) {
        if (!is_stale(&bound, why, why_size)) {
            close(fd);
            return NULL;
        }
        unlink(address->path);
        result = bind(fd, (struct sockaddr *)&bound, sizeof bound);
    }
    /* Nobody can connect before listen(), so nobody gets in before the mode is set. */
    if (result < 0 || chmod(address->path, 0600) < 0 || lstat(address->path, &file) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        snprintf(why, why_size, "%s: %s", address->text, strerrordesc_np(errno));
        if (result == 0)
            unlink(address->path);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct http_listener *listener = wrap(context, fd, address, address->text);
    listener->is_unix = listener->local = true;
    listener->path = strdup(address->path);
    if (!listener->path)
        abort();
    listener->device = file.st_dev;
    listener->inode = file.st_ino;
    return listener;
}

/* ---- both ------------------------------------------------------------------------------------ */

struct http_listener *listener_create(const struct listener_context *context,
                                      const struct config_address *address, char *why, size_t why_size)
{
    if (address->kind == ADDRESS_UNIX)
        return create_unix(context, address, why, why_size);
    return create_tcp(context, address, why, why_size);
}

void listener_destroy(struct http_listener *listener)
{
    struct stat file;
    if (listener->path && lstat(listener->path, &file) == 0 && file.st_dev == listener->device &&
        file.st_ino == listener->inode)
        unlink(listener->path);
    evconnlistener_free(listener->socket);
    if (listener->loopback_socket)
        evconnlistener_free(listener->loopback_socket);
    free(listener->path);
    free(listener->bound);
    free(listener->text);
    free(listener);
}

static void enable_socket(struct evconnlistener *socket, bool *accepting, bool enable)
{
    if (!socket || *accepting == enable)
        return;
    *accepting = enable;
    if (enable)
        evconnlistener_enable(socket);
    else
        evconnlistener_disable(socket);
}

void listener_enable(struct http_listener *listener, bool enable, bool enable_loopback)
{
    enable_socket(listener->socket, &listener->accepting, enable);
    enable_socket(listener->loopback_socket, &listener->loopback_accepting, enable_loopback);
}

int listener_accept(struct http_listener *listener, struct sockaddr *peer, socklen_t *len)
{
    socklen_t size = *len;
    int fd = accept4(evconnlistener_get_fd(listener->socket), peer, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || !listener->loopback_socket)
        return fd;
    *len = size;
    return accept4(evconnlistener_get_fd(listener->loopback_socket), peer, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
