/* One request of a test: what its handler was told, and waiting for it on a real loop. */
#ifndef TEST_NET_CALL_H
#define TEST_NET_CALL_H

#include "net/client.h"

#include <stdbool.h>

extern struct loop *test_loop;
extern struct client *test_client;

struct call {
    struct client_transfer *transfer;
    int heads, datas, dones; /* calls of the handler */
    int status;
    bool failed;
    struct sbx_error err;
    char *body; /* collected, or all that was streamed; owned */
    size_t len;
    char headers[4096];             /* the lines, each ending in \n */
    bool stop_each_time;            /* data() says stop, and a timer resumes */
    bool stop_for_good;             /* it says stop, and nobody does */
    const char *cancel_in;          /* "head", "data" or "done": cancels itself there */
    struct event timer;             /* that resumes */
    struct client_transfer *others; /* cancelled in done(), too */
};

/* Set-up and tear-down of each test: a loop and a client. The tear-down checks that no timer is
 * left behind on the loop. */
int call_setup(void **state);
int call_teardown(void **state);
int call_timers(void); /* on the loop now */

/* The loop runs until `*flag` is not 0. Fails the test after 60 seconds. */
void wait_for(const int *flag);
/* One turn of the loop after another until check(arg) holds. */
void wait_until(bool (*check)(void *arg), void *arg);

struct call *call_begin(const struct client_request *request, bool streamed);
struct call *call_wait(struct call *call); /* until done() */
void call_free(struct call *call);

/* Begins and waits. `format` makes the URL. */
struct call *call_get(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A URL in a buffer that lives until the next but three. */
const char *url(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define assert_fails(call, wanted_kind, text)                                                                \
    do {                                                                                                     \
        assert_true((call)->failed);                                                                         \
        assert_int_equal((call)->err.kind, wanted_kind);                                                     \
        if (!strstr((call)->err.message, text))                                                              \
            fail_msg("\"%s\" does not say \"%s\"", (call)->err.message, text);                               \
    } while (0)

#endif
