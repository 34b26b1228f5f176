/* http/watch.h: tells when a connection is gone in both directions, while nobody reads from it or writes to it.
 *
 * An epoll(7) set of its own, itself watched by the loop. libevent's EV_CLOSED would be it, but a reset
 * reaches it as EV_READ | EV_WRITE only (epoll.c of 2.1.12): an event for EV_CLOSED alone never fires then,
 * and the loop spins. Each descriptor is registered once, edge-triggered: no system call a request.
 */
#ifndef HTTP_WATCH_H
#define HTTP_WATCH_H

#include "base/loop.h"

struct http_watch {
    int fd;
    struct event event;
    void (*closed)(void *subject);
};

/* `closed` is called with the subject of each descriptor whose connection was reset, or of a unix socket whose peer
 * was closed. Aborts when there is no descriptor left. */
void watch_init(struct http_watch *watch, struct loop *loop, void (*closed)(void *subject));
void watch_finish(struct http_watch *watch);

/* `subject` stays valid until the end of the callback that runs when it is removed. -1: errno tells. */
int watch_add(struct http_watch *watch, int fd, void *subject);
void watch_remove(struct http_watch *watch, int fd); /* before it is closed */

#endif
