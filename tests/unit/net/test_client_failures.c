/* What goes wrong: each failure's kind and sentence, and how soon it comes. */
#include "call.h"
#include "server.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct server *server;

static int setup(void **state)
{
    server = server_start_tcp(false, NULL);
    return call_setup(state);
}

static int teardown(void **state)
{
    int left = call_teardown(state);
    server_stop(server);
    return left;
}

static const char *at(const char *path)
{
    return url("http://127.0.0.1:%d%s", server_port(server), path);
}

/* A socket that is bound: its port refuses connections, or, when it listens with a full queue, never
 * answers them. */
static int take_port(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&address, len), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_refused_connection_is_reported_at_once(void **state)
{
    (void)state;
    int port, fd = take_port(&port);
    const char *hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        uint64_t before = clock_ms();
        struct call *call = call_get("http://user:secret@%s:%d/path?key=secret", hosts[i], port);
        assert_fails(call, SBX_ERR_UNAVAILABLE, "Connection refused");
        assert_string_equal(call->err.message, url("%s:%d: Connection refused", hosts[i], port));
        assert_true(clock_ms() - before < 4000); /* no timeout was waited for: the least is 5 s */
        call_free(call);
    }
    close(fd);
}

static void what_is_not_an_answer_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum sbx_error_kind kind;
        const char *says;
    } rows[] = {
        {"/cut-in-head", SBX_ERR_UNAVAILABLE, "in the middle of its answer"},
        {"/cut-in-body", SBX_ERR_UNAVAILABLE, "in the middle of its answer"},
        {"/cut-in-chunk", SBX_ERR_UNAVAILABLE, "in the middle of its answer"},
        {"/close", SBX_ERR_UNAVAILABLE, "without an answer"},
        {"/reset", SBX_ERR_UNAVAILABLE, "127.0.0.1"},
        {"/bad-chunk", SBX_ERR_REFUSED, "malformed chunk"},
        {"/bad-length", SBX_ERR_REFUSED, "not valid HTTP"},
        {"/not-http", SBX_ERR_REFUSED, "not valid HTTP"},
        {"/binary", SBX_ERR_REFUSED, "not valid HTTP"},
        {"/large-head", SBX_ERR_REFUSED, "over 64 KiB"},
        {"/mib-and-1", SBX_ERR_REFUSED, "larger than the 1048576 bytes allowed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].path);
        struct call *call = call_get("%s", at(rows[i].path));
        assert_fails(call, rows[i].kind, rows[i].says);
        assert_non_null(strstr(call->err.message, url("127.0.0.1:%d: ", server_port(server))));
        call_free(call);
    }
    struct call *call = call_get("%s", at("/mib")); /* the bound itself is allowed */
    assert_false(call->failed);
    assert_int_equal(call->len, 1024 * 1024);
    call_free(call);
}

static void a_wrong_request_is_refused_before_it_begins(void **state)
{
    (void)state;
    static const char *const injected[] = {"X: a\r\nY: b", NULL}, *const nameless[] = {": v", NULL},
                             *const no_colon[] = {"word", NULL};
    const struct client_request wrong[] = {
        {.url = NULL},
        {.url = ""},
        {.url = "/path"},
        {.url = "127.0.0.1:80/x"},
        {.url = "ftp://127.0.0.1/"},
        {.url = "file:///etc/passwd"},
        {.url = "http://"},
        {.url = "http://127.0.0.1:99999/"},
        {.url = "http://127.0.0.1/a b"},
        {.url = "http://127.0.0.1/\r\nX: y"},
        {.url = "http://b\303\274cher.example/"},
        {.url = "http://127.0.0.1/", .method = "GET /x"},
        {.url = "http://127.0.0.1/", .method = ""},
        {.url = "http://127.0.0.1/", .headers = injected},
        {.url = "http://127.0.0.1/", .headers = nameless},
        {.url = "http://127.0.0.1/", .headers = no_colon},
        {.url = "http://127.0.0.1/", .unix_socket = ""},
    };
    struct client_handler handler = {.done = NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sbx_error err = {0};
        if (client_start(test_client, &wrong[i], &handler, NULL, &err))
            fail_msg("row %zu was taken", i);
        assert_int_equal(err.kind, SBX_ERR_INVALID);
        assert_true(strlen(err.message) > 10);
    }
}

/* ---- time ----------------------------------------------------------------------------------- */

static void each_stage_times_out_with_a_sentence_of_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"/silent", "did not answer within 300 ms"},
        {"/hang-in-head", "did not answer within 300 ms"},
        {"/hang-in-body", "did not finish within 300 ms"},
        {"/dribble", "did not finish within 300 ms"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t before = clock_ms();
        struct client_request request = {.url = at(rows[i].path), .timeout_ms = 300};
        struct call *call = call_wait(call_begin(&request, false));
        assert_fails(call, SBX_ERR_TIMEOUT, rows[i].says);
        assert_true(clock_ms() - before >= 295);
        call_free(call);
    }
}

static void what_was_left_of_a_limit_is_not_told_as_one(void **state)
{
    (void)state;
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"/silent", ": took the request, but did not answer in the time that was left"},
        {"/hang-in-body", ": began to answer, but did not finish in the time that was left"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_request request = {.url = at(rows[i].path), .timeout_ms = 100, .cut_short = true};
        struct call *call = call_wait(call_begin(&request, false));
        assert_fails(call, SBX_ERR_TIMEOUT, rows[i].says);
        call_free(call);
    }
}

static void a_connection_that_is_never_taken_times_out(void **state)
{
    (void)state;
    int port, fd = take_port(&port), fillers[8];
    listen(fd, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < 8; i++) { /* the queue is full now, and the kernel drops who comes */
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    struct client_request request = {.url = url("http://127.0.0.1:%d/", port), .connect_timeout_ms = 80};
    struct call *call = call_wait(call_begin(&request, false));
    assert_fails(call, SBX_ERR_TIMEOUT, "no connection within 80 ms");
    call_free(call);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(fd);
}

static void a_stream_that_falls_silent_ends_and_one_that_dribbles_does_not(void **state)
{
    (void)state;
    struct client_request request = {.url = at("/hang-in-body"), .idle_timeout_ms = 300};
    struct call *call = call_wait(call_begin(&request, true));
    assert_fails(call, SBX_ERR_TIMEOUT, "sent nothing for 300 ms");
    assert_int_equal(call->len, 2);
    call_free(call);

    request.url = at("/dribble");
    call = call_begin(&request, true);
    for (uint64_t until = clock_ms() + 700; clock_ms() < until;)
        event_base_loop(loop_base(test_loop), EVLOOP_ONCE);
    assert_int_equal(call->dones, 0);
    client_cancel(call->transfer);
    call_free(call);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The C library's resolver is replaced, for libcurl too: names end in ".test". */
static pthread_mutex_t lookup_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lookup_go = PTHREAD_COND_INITIALIZER;
static int lookups, hanging; /* under lookup_lock */
static bool held;

__attribute__((visibility("default"))) int getaddrinfo(const char *restrict node,
                                                       const char *restrict service,
                                                       const struct addrinfo *restrict hints,
                                                       struct addrinfo **restrict result)
{
    (void)service;
    (void)hints;
    pthread_mutex_lock(&lookup_lock);
    lookups++;
    hanging++;
    while (!strcmp(node, "slow.test") && held)
        pthread_cond_wait(&lookup_go, &lookup_lock);
    hanging--;
    pthread_mutex_unlock(&lookup_lock);
    if (!strcmp(node, "unknown.test"))
        return EAI_NONAME;
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *answer = calloc(1, sizeof *answer);
    answer->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    answer->info = (struct addrinfo){.ai_family = AF_INET,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_addrlen = sizeof answer->address,
                                     .ai_addr = (struct sockaddr *)&answer->address};
    *result = &answer->info;
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

static void hold(bool on)
{
    pthread_mutex_lock(&lookup_lock);
    held = on;
    pthread_cond_broadcast(&lookup_go);
    pthread_mutex_unlock(&lookup_lock);
}

static int count_lookups(void)
{
    pthread_mutex_lock(&lookup_lock);
    int count = lookups;
    lookups = 0;
    pthread_mutex_unlock(&lookup_lock);
    return count;
}

static bool is_hanging(void)
{
    pthread_mutex_lock(&lookup_lock);
    bool is = hanging > 0;
    pthread_mutex_unlock(&lookup_lock);
    return is;
}

static bool all_done(void *arg)
{
    struct call **calls = arg;
    for (; *calls; calls++)
        if (!(*calls)->dones)
            return false;
    return true;
}

static void a_name_that_many_wait_for_is_looked_up_once_and_kept(void **state)
{
    (void)state;
    count_lookups();
    struct call *calls[51] = {NULL};
    for (int i = 0; i < 50; i++)
        calls[i] = call_begin(
            &(struct client_request){.url = url("http://name.test:%d/ok", server_port(server))}, false);
    wait_until(all_done, calls);
    for (int i = 0; i < 50; i++) {
        assert_false(calls[i]->failed);
        call_free(calls[i]);
    }
    call_free(call_get("http://name.test:%d/ok", server_port(server)));
    assert_int_equal(count_lookups(), 1);
}

static void addresses_and_localhost_are_not_looked_up(void **state)
{
    (void)state;
    count_lookups();
    call_free(call_get("http://localhost:%d/ok", server_port(server)));
    call_free(call_get("http://127.0.0.1:%d/ok", server_port(server)));
    assert_int_equal(count_lookups(), 0);
}

static void a_name_without_an_address_is_reported_and_asked_for_again(void **state)
{
    (void)state;
    count_lookups();
    for (int i = 0; i < 2; i++) {
        struct call *call = call_get("http://unknown.test/");
        assert_fails(call, SBX_ERR_UNAVAILABLE, "unknown.test:80: the name can't be resolved");
        call_free(call);
    }
    assert_int_equal(count_lookups(), 2);
}

static void a_lookup_that_hangs_holds_up_nobody(void **state)
{
    (void)state;
    hold(true);
    struct client_request request = {.url = url("http://slow.test:%d/ok", server_port(server)),
                                     .connect_timeout_ms = 50};
    struct call *call = call_begin(&request, false);
    while (!is_hanging())
        usleep(1000);
    call_free(call_get("http://name.test:%d/ok", server_port(server)));
    call_wait(call);
    assert_fails(call, SBX_ERR_TIMEOUT, "slow.test:");
    call_free(call);

    call = call_begin(&request, false);
    client_cancel(call->transfer);
    call_free(call);
    call = call_begin(&request, false);
    client_destroy(test_client); /* does not wait for it either */
    call_free(call);
    test_client = client_create(test_loop);
    hold(false);
    while (is_hanging())
        usleep(1000);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static void sockets_are_not_inherited(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/silent")}, false);
    for (int i = 0; i < 10000 && server_requests(server) == 0; i++) {
        event_base_loop(loop_base(test_loop), EVLOOP_NONBLOCK);
        usleep(1000);
    }
    int peers = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) || peer.sin_family != AF_INET)
            continue;
        peers++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(peers >= 2);
    client_cancel(call->transfer);
    call_free(call);
}

static void without_a_descriptor_the_request_fails_and_the_next_works(void **state)
{
    (void)state;
    struct rlimit before, none = {0};
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    struct call *call = call_get("%s", at("/ok"));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_fails(call, SBX_ERR_UNAVAILABLE, "Too many open files");
    assert_string_equal(call->err.code, SBX_CODE_INTERNAL); /* and not that the server is down */
    call_free(call);
    call = call_get("%s", at("/ok"));
    assert_false(call->failed);
    call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_refused_connection_is_reported_at_once),
        TEST(what_is_not_an_answer_is_told_apart),
        TEST(a_wrong_request_is_refused_before_it_begins),
        TEST(each_stage_times_out_with_a_sentence_of_its_own),
        TEST(what_was_left_of_a_limit_is_not_told_as_one),
        TEST(a_connection_that_is_never_taken_times_out),
        TEST(a_stream_that_falls_silent_ends_and_one_that_dribbles_does_not),
        TEST(a_name_that_many_wait_for_is_looked_up_once_and_kept),
        TEST(addresses_and_localhost_are_not_looked_up),
        TEST(a_name_without_an_address_is_reported_and_asked_for_again),
        TEST(a_lookup_that_hangs_holds_up_nobody),
        TEST(sockets_are_not_inherited),
        TEST(without_a_descriptor_the_request_fails_and_the_next_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
