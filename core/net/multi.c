/* net/multi.c: see multi.h. Owns the multi handle, an event for each of its sockets, its one timer, and
 * the spare easy handles. It must not call back into whoever owns a transfer from inside curl's callbacks. */
#include "net/multi.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    SPARE_HANDLES = 16,   /* of 5 KiB each */
    KEPT_CONNECTIONS = 16 /* idle ones, open for the next request to the same server */
};

struct multi {
    struct loop *loop;
    CURLM *curl;
    struct event timer;
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
    struct multi *multi = arg;
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(multi->curl, fd, mask, &running);
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

/* One event for each socket, persistent, replaced when what is waited for changes. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct multi *multi = arg;
    struct event *event = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (event) {
            event_del(event);
            free(event);
        }
        curl_multi_assign(multi->curl, fd, NULL);
        return 0;
    }
    short wanted =
        (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    if (event) {
        if (event_get_events(event) == wanted)
            return 0;
        event_del(event);
    } else {
        event = malloc(sizeof *event);
        if (!event)
            abort();
        curl_multi_assign(multi->curl, fd, event);
    }
    event_assign(event, loop_base(multi->loop), fd, wanted, on_io, multi);
    event_add(event, NULL);
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
