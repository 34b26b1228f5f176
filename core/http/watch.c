/* http/watch.c: see watch.h. */
#include "http/watch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct http_watch *watch = arg;
    struct epoll_event events[64];
    /* What does not fit is reported on the next turn: the set stays readable. */
    int count = epoll_wait(fd, events, sizeof events / sizeof *events, 0);
    for (int i = 0; i < count; i++)
        watch->closed(events[i].data.ptr);
}

void watch_init(struct http_watch *watch, struct loop *loop, void (*closed)(void *subject))
{
    watch->fd = epoll_create1(EPOLL_CLOEXEC);
    if (watch->fd < 0)
        abort();
    watch->closed = closed;
    event_assign(&watch->event, loop_base(loop), watch->fd, EV_READ | EV_PERSIST, on_ready, watch);
    event_add(&watch->event, NULL);
}

void watch_finish(struct http_watch *watch)
{
    event_del(&watch->event);
    close(watch->fd);
}

int watch_add(struct http_watch *watch, int fd, void *subject)
{
    /* EPOLLHUP and EPOLLERR are always told. Not EPOLLRDHUP: a client may end its side and still read. */
    struct epoll_event event = {.events = EPOLLET, .data.ptr = subject};
    return epoll_ctl(watch->fd, EPOLL_CTL_ADD, fd, &event);
}

void watch_remove(struct http_watch *watch, int fd)
{
    epoll_ctl(watch->fd, EPOLL_CTL_DEL, fd, NULL);
}
