/* net/multi.c: see multi.h. Owns the multi handle, its sockets, its one timer, and the spare easy handles.
 * It must not call back into whoever owns a transfer from inside curl's callbacks.
 *
 * curl's sockets sit in an epoll set of their own, one descriptor to the loop: libevent keeps a piece of
 * memory for every descriptor number it ever saw, and thousands of those, scattered among what a burst of
 * requests has freed, would keep its pages from going back to the system. */
#include "net/multi.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SPARE_HANDLES = 16,    /* of 5 KiB each */
    KEPT_CONNECTIONS = 16, /* idle ones, open for the next request to the same server */
    BATCH = 64             /* sockets looked at in a turn of the loop; the others come with the next */
};

struct multi {
    struct loop *loop;
    CURLM *curl;
    int epoll_fd; /* of all of curl's sockets */
    struct event io, timer;
    void (*ended)(void *transfer, CURLcode result);
    CURL *spare[SPARE_HANDLES];
    unsigned spare_count;
};

/* Takes the ended transfers out of curl before anybody hears of them: what their owners do next can't
 * disturb the list that is being read. */
static void drain(struct multi *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi->curl, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        void *transfer = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
        curl_multi_remove_handle(multi->curl, easy);
        multi->ended(transfer, result);
    }
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct multi *multi = arg;
    struct epoll_event ready[BATCH];
    int count = epoll_wait(fd, ready, BATCH, 0), running;
    for (int i = 0; i < count; i++) {
        uint32_t events = ready[i].events;
        int mask = (events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
                   (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_OUT : 0);
        /* One that an earlier turn of this loop closed is unknown to curl by now, and ignored. */
        curl_multi_socket_action(multi->curl, ready[i].data.fd, mask, &running);
    }
    drain(multi);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct multi *multi = arg;
    int running;
    curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    drain(multi);
}

static int set_timer(CURLM *curl, long timeout_ms, void *arg)
{
    (void)curl;
    struct multi *multi = arg;
    if (timeout_ms < 0)
        event_del(&multi->timer);
    else
        loop_arm_ms(&multi->timer, (uint64_t)timeout_ms);
    return 0;
}

/* `known` is what curl_multi_assign() left with the socket: NULL for one that is not in the set yet. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct multi *multi = arg;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) |
                                          (what & CURL_POLL_OUT ? EPOLLOUT : 0U),
                                .data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        /* Fails for one that was still connecting: curl has closed it, and its number may be anybody's by now. Only
         * curl's sockets are in this set, so that nobody else's is taken out (epoll_ctl(2), ENOENT). */
        epoll_ctl(multi->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    epoll_ctl(multi->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(multi->curl, fd, multi);
    return 0;
}

struct multi *multi_create(struct loop *loop, void (*ended)(void *transfer, CURLcode result))
{
    struct multi *multi = calloc(1, sizeof *multi);
    if (!multi || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    multi->loop = loop;
    multi->ended = ended;
    multi->curl = curl_multi_init();
    if (!multi->curl)
        abort();
    multi->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (multi->epoll_fd < 0)
        abort();
    event_assign(&multi->io, loop_base(loop), multi->epoll_fd, EV_READ | EV_PERSIST, on_io, multi);
    event_add(&multi->io, NULL);
    evtimer_assign(&multi->timer, loop_base(loop), on_timer, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return multi;
}

void multi_destroy(struct multi *multi)
{
    if (!multi)
        return;
    while (multi->spare_count)
        curl_easy_cleanup(multi->spare[--multi->spare_count]);
    curl_multi_cleanup(multi->curl); /* still calls set_socket() and set_timer() */
    event_del(&multi->timer);
    event_del(&multi->io);
    close(multi->epoll_fd);
    curl_global_cleanup();
    free(multi);
}

CURL *multi_take_handle(struct multi *multi)
{
    return multi->spare_count ? multi->spare[--multi->spare_count] : curl_easy_init();
}

void multi_give_handle(struct multi *multi, CURL *easy)
{
    if (multi->spare_count == SPARE_HANDLES) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    multi->spare[multi->spare_count++] = easy;
}

int multi_add(struct multi *multi, CURL *easy)
{
    return curl_multi_add_handle(multi->curl, easy) == CURLM_OK ? 0 : -1;
}

void multi_remove(struct multi *multi, CURL *easy)
{
    curl_multi_remove_handle(multi->curl, easy);
}
