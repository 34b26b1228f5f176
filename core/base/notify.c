/* base/notify.c: see notify.h. Owns the datagram socket and the watchdog's timer. */
#include "base/notify.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify_fd = -1;
static struct event watchdog;
static uint64_t watchdog_us; /* 0: nobody watches */

static void send_state(const char *state)
{
    if (notify_fd >= 0 && send(notify_fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* the service manager is gone or busy: there is nobody else to tell */
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* the abstract namespace, unix(7) */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void feed_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    send_state("WATCHDOG=1");
    loop_arm_us(&watchdog, watchdog_us / 2);
}

void notify_begin(struct loop *loop)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path)
        notify_fd = connect_to(path);
    const char *interval = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    bool for_us = !pid || strtol(pid, NULL, 10) == (long)getpid();
    watchdog_us = interval && for_us ? strtoull(interval, NULL, 10) : 0;
    unsetenv("NOTIFY_SOCKET"); /* not for children */
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    evtimer_assign(&watchdog, loop_base(loop), feed_watchdog, NULL);
    if (notify_fd >= 0 && watchdog_us > 0)
        loop_arm_us(&watchdog, watchdog_us / 2);
}

void notify_end(void)
{
    event_del(&watchdog);
    if (notify_fd >= 0)
        close(notify_fd);
    notify_fd = -1;
}

void notify_ready(void)
{
    send_state("READY=1");
}

void notify_reloading(void)
{
    char state[64];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_us());
    send_state(state);
}

void notify_stopping(void)
{
    send_state("STOPPING=1");
}
