/* plugin/watches.c: the watched descriptors of plugins. Owns the watches, never the descriptors. */
#include "plugin/instance.h"

#include <fcntl.h>
#include <stdlib.h>

struct watch {
    struct event event;
    struct backend *backend;
    sbx_watch id;
    sbx_io_callback ready;
    void *arg;
};

static void end(struct watch *watch)
{
    event_del(&watch->event);
    handles_remove(&watch->backend->handles, watch->id);
    free(watch);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    uint32_t events = (what & EV_READ ? SBX_IO_READ : 0U) | (what & EV_WRITE ? SBX_IO_WRITE : 0U);
    watch->ready(fd, events, watch->arg); /* which may cancel it */
}

sbx_watch watches_start(struct sbx_backend *abi, int fd, uint32_t events, sbx_io_callback ready, void *arg)
{
    struct backend *backend = host_enter(abi, "watch_start");
    bool known = events != 0 && (events & ~(uint32_t)(SBX_IO_READ | SBX_IO_WRITE)) == 0;
    if (!backend || !ready || !known || fd < 0 || fcntl(fd, F_GETFD) < 0)
        return 0;
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        abort();
    *watch = (struct watch){.backend = backend, .ready = ready, .arg = arg};
    short what = EV_PERSIST;
    if (events & SBX_IO_READ)
        what |= EV_READ;
    if (events & SBX_IO_WRITE)
        what |= EV_WRITE;
    event_assign(&watch->event, loop_base(backend->env->loop), fd, what, on_ready, watch);
    watch->id = handles_add(&backend->handles, HANDLE_WATCH, watch);
    /* epoll(7) has no regular files and folders. */
    if (watch->id != 0 && event_add(&watch->event, NULL) == 0)
        return watch->id;
    handles_remove(&backend->handles, watch->id);
    free(watch);
    return 0;
}

void watches_cancel(struct sbx_backend *abi, sbx_watch id)
{
    struct backend *backend = host_enter(abi, "watch_cancel");
    struct watch *watch = backend ? handles_get(&backend->handles, HANDLE_WATCH, id) : NULL;
    if (watch)
        end(watch);
}

void watches_end(struct backend *backend)
{
    unsigned count = backend->handles.counts[HANDLE_WATCH];
    if (count > 0)
        instance_complain(backend, NULL, "the plugin left %u watches open at close(); they are ended", count);
    struct watch *watch;
    for (size_t i = 0; (watch = handles_next(&backend->handles, HANDLE_WATCH, &i));)
        end(watch);
}
