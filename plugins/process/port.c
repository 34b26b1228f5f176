/* port.c: see port.h. */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int take_name(uint16_t port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "sandboxd-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Can a program bind it on every address, as agents do? Without SO_REUSEADDR on purpose: with it a port
 * that another program has bound but not begun to listen on looks free, and an agent that does not set it
 * fails on a port that is in TIME_WAIT. That such a port looks taken costs nothing: there are others. */
static bool can_bind(int family, uint16_t port)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return family == AF_INET6 && errno == EAFNOSUPPORT;
    int result;
    if (family == AF_INET6) {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
        result = bind(fd, (const struct sockaddr *)&address, sizeof address);
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        result = bind(fd, (const struct sockaddr *)&address, sizeof address);
    }
    bool free = result == 0 || (family == AF_INET6 && errno == EADDRNOTAVAIL);
    close(fd);
    return free;
}

/* First the name, then the look: whoever has the name need not fear another sandbox in between. */
static int reserve_one(uint16_t port)
{
    int fd = take_name(port);
    if (fd >= 0 && !(can_bind(AF_INET, port) && can_bind(AF_INET6, port))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int port_reserve(uint16_t base, unsigned count, uint16_t preferred, _Atomic unsigned *cursor, uint16_t *port)
{
    if (count > 65536u - base)
        count = 65536u - base;
    int fd = preferred != 0 ? reserve_one(preferred) : -1;
    if (fd >= 0) {
        *port = preferred;
        return fd;
    }
    for (unsigned tried = 0; tried < count; tried++) {
        *port = (uint16_t)(base + atomic_fetch_add(cursor, 1) % count);
        if ((fd = reserve_one(*port)) >= 0)
            return fd;
    }
    return -1;
}
