/* Each stage of a connection has its deadline. */
#include "rig.h"

#include "base/clock.h"

#include <string.h>
#include <sys/socket.h>

#define H "Host: a\r\n"

static struct reply reply;

static int setup(void **state)
{
    rig_setup_only(state);
    struct rig *rig = *state;
    rig->config.header_timeout_ms = 100; /* a body has to bring 102 bytes in that time */
    server_set_times(
        rig->server,
        &(struct http_times){
            .idle = 150, .idle_grace = 20, .write_stall = 150, .linger = 150, .accept_pause = 20});
    rig_start(rig);
    return 0;
}

static void an_idle_connection_is_closed_in_silence(void **state)
{
    struct rig *rig = *state;
    int fresh = client_connect(rig), kept = client_connect(rig);
    client_ask(rig, kept, "GET /a HTTP/1.1\r\n" H "\r\n", 200);
    assert_int_equal(client_end(rig, fresh), 0);
    assert_int_equal(client_end(rig, kept), 0);
    assert_int_equal(http_server_stats(rig->server).timeouts, 0);
}

static void a_head_that_dribbles_in_is_408(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    uint64_t begin = clock_ms();
    client_send(rig, client, "GET /a HTTP/1.1\r\n" H "X: ");
    /* Bytes that go on coming do not put the deadline off. */
    while (client_quiet(rig, client))
        client_send(rig, client, "x");
    assert_in_range(clock_ms() - begin, 90, 5000);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 408);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(http_server_stats(rig->server).timeouts, 1);
}

static void an_empty_line_alone_is_no_request(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "\r\n");
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(http_server_stats(rig->server).timeouts, 0);
}

static void a_body_that_stops_is_408(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 50\r\n\r\nx", 408);
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(rig->gone, 1);
}

static void a_body_that_dribbles_in_is_408(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 90000\r\n\r\n");
    for (int i = 0; client_quiet(rig, client); i++)
        if (i % 20 == 0)
            client_send(rig, client, "x");
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 408);
    assert_int_equal(rig->gone, 1);
}

static void a_body_that_comes_steadily_may_take_longer_than_the_timeout(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 50000\r\n\r\n");
    static char bytes[50000];
    uint64_t begin = clock_ms();
    for (size_t sent = 0; sent < sizeof bytes;) {
        /* Evenly over three times the timeout. */
        size_t due = (size_t)(clock_ms() - begin) * sizeof bytes / 300 + 1;
        if (due > sizeof bytes)
            due = sizeof bytes;
        client_send_bytes(rig, client, bytes + sent, due - sent);
        sent = due;
        rig_turn(rig);
    }
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, sizeof bytes);
}

static void an_unread_body_that_never_comes_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "POST /a HTTP/1.1\r\n" H "Content-Length: 50\r\n\r\n", 200);
    client_end(rig, client);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
}

static void a_client_that_takes_nothing_of_its_reply_is_cut_off(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    int small = 4096;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    /* More than the kernel takes on both sides. */
    for (int i = 0; i < 10; i++)
        client_send(rig, client, "GET /big HTTP/1.1\r\n" H "\r\n");
    rig_until(rig, http_server_stats(rig->server).connections == 1);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
    assert_int_equal(http_server_stats(rig->server).timeouts, 1);
    assert_int_equal(rig->gone, 0);
}

static void a_client_that_takes_nothing_of_a_stream_is_cut_off(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "GET /stream HTTP/1.1\r\n" H "\r\n");
    rig_until(rig, rig->pending);
    static char bytes[64 * 1024];
    while (http_stream_write(rig->pending, bytes, sizeof bytes))
        continue;
    rig_until(rig, rig->gone == 1);
    assert_int_equal(rig->writable, 0);
}

static void a_pending_request_has_no_deadline(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "GET /pending HTTP/1.1\r\n" H "\r\n");
    rig_until(rig, rig->pending);
    uint64_t begin = clock_ms();
    rig_until(rig, clock_ms() - begin > 400);
    assert_non_null(rig->pending);
    http_reply(rig->pending, 200, NULL, NULL, 0);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 200);
}

static void a_client_that_ignores_the_end_is_closed_after_the_linger(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "GET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 200);
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(http_server_stats(rig->server).connections, 1);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_connection_is_closed_in_silence),
        TEST(a_head_that_dribbles_in_is_408),
        TEST(an_empty_line_alone_is_no_request),
        TEST(a_body_that_stops_is_408),
        TEST(a_body_that_dribbles_in_is_408),
        TEST(a_body_that_comes_steadily_may_take_longer_than_the_timeout),
        TEST(an_unread_body_that_never_comes_ends_the_connection),
        TEST(a_client_that_takes_nothing_of_its_reply_is_cut_off),
        TEST(a_client_that_takes_nothing_of_a_stream_is_cut_off),
        TEST(a_pending_request_has_no_deadline),
        TEST(a_client_that_ignores_the_end_is_closed_after_the_linger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
