/* See call.h. */
#include "call.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct loop *test_loop;
struct client *test_client;

static void on_head(void *arg, int status, const char *const *headers)
{
    struct call *call = arg;
    assert_int_equal(call->heads++ + call->datas + call->dones, 0);
    call->status = status;
    size_t at = 0;
    for (; *headers; headers++)
        at += (size_t)snprintf(call->headers + at, sizeof call->headers - at, "%s\n", *headers);
    if (call->cancel_in && !strcmp(call->cancel_in, "head")) {
        client_cancel(call->transfer);
        call->transfer = NULL;
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    client_resume(((struct call *)arg)->transfer);
}

static void keep(struct call *call, const void *bytes, size_t len)
{
    call->body = realloc(call->body, call->len + len + 1);
    if (len)
        memcpy(call->body + call->len, bytes, len);
    call->len += len;
    call->body[call->len] = '\0';
}

static bool on_data(void *arg, const void *bytes, size_t len)
{
    struct call *call = arg;
    assert_int_equal(call->heads, 1);
    assert_int_equal(call->dones, 0);
    assert_true(len > 0);
    assert_false(event_pending(&call->timer, EV_TIMEOUT, NULL)); /* it is to be left alone until then */
    call->datas++;
    keep(call, bytes, len);
    if (call->cancel_in && !strcmp(call->cancel_in, "data")) {
        client_cancel(call->transfer);
        call->transfer = NULL;
        return true;
    }
    if (call->stop_each_time)
        loop_arm_us(&call->timer, 300);
    return !call->stop_each_time && !call->stop_for_good;
}

static void on_done(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    struct call *call = arg;
    assert_int_equal(call->dones++, 0);
    call->status = status;
    call->failed = err != NULL;
    if (err) {
        call->err = *err;
        assert_non_null(memchr(err->message, '\0', sizeof err->message));
    } else {
        keep(call, body, len);
    }
    if (call->cancel_in && !strcmp(call->cancel_in, "done"))
        client_cancel(call->transfer);
    client_cancel(call->others);
    call->others = NULL;
    call->transfer = NULL;
}

int call_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    test_loop = loop_create();
    test_client = client_create(test_loop);
    return 0;
}

static int count_timer(const struct event_base *base, const struct event *event, void *arg)
{
    (void)base;
    *(int *)arg += (event_get_events(event) & EV_TIMEOUT) != 0 || event_get_fd(event) < 0;
    return 0;
}

int call_timers(void)
{
    int timers = 0;
    event_base_foreach_event(loop_base(test_loop), count_timer, &timers);
    return timers;
}

int call_teardown(void **state)
{
    (void)state;
    /* Nothing is under way: nothing may wake the loop. What curl deferred to a timer of 0 ms runs first. */
    event_base_loop(loop_base(test_loop), EVLOOP_NONBLOCK);
    event_base_loop(loop_base(test_loop), EVLOOP_NONBLOCK);
    int timers = call_timers();
    client_destroy(test_client);
    loop_destroy(test_loop);
    return timers;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    fail_msg("not within 60 seconds");
}

void wait_until(bool (*check)(void *arg), void *arg)
{
    struct event late;
    evtimer_assign(&late, loop_base(test_loop), on_late, NULL);
    loop_arm_ms(&late, 60 * 1000); /* a long stream takes its time under a sanitizer on a busy machine */
    while (!check(arg))
        event_base_loop(loop_base(test_loop), EVLOOP_ONCE);
    event_del(&late);
}

static bool is_set(void *arg)
{
    return *(const int *)arg != 0;
}

void wait_for(const int *flag)
{
    wait_until(is_set, (void *)flag);
}

struct call *call_begin(const struct client_request *request, bool streamed)
{
    struct client_handler handler = {.head = on_head, .data = streamed ? on_data : NULL, .done = on_done};
    struct call *call = calloc(1, sizeof *call);
    evtimer_assign(&call->timer, loop_base(test_loop), on_resume, call);
    call->transfer = client_start(test_client, request, &handler, call, &call->err);
    if (!call->transfer)
        fail_msg("%s", call->err.message);
    assert_int_equal(call->heads + call->datas + call->dones, 0);
    return call;
}

struct call *call_wait(struct call *call)
{
    wait_for(&call->dones);
    return call;
}

void call_free(struct call *call)
{
    event_del(&call->timer);
    free(call->body);
    free(call);
}

const char *url(const char *format, ...)
{
    static char texts[4][512];
    static unsigned next;
    char *text = texts[next++ % 4];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof texts[0], format, args);
    va_end(args);
    return text;
}

struct call *call_get(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return call_wait(call_begin(&(struct client_request){.url = text}, false));
}
