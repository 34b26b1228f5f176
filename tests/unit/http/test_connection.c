/* A connection: requests in order, bodies, what its client may do at any time. */
#include "rig.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

static struct reply reply;

static void a_connection_is_kept_and_answers_in_order(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    for (int i = 0; i < 3; i++) {
        client_send(rig, client, GET("/a"));
        client_reply(rig, client, &reply, false);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body, "/a");
        assert_string_equal(reply_header(&reply, "Connection"), "");
    }
    assert_int_equal(http_server_stats(rig->server).connections_total, 1);
    assert_int_equal(http_server_stats(rig->server).requests_total, 3);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    char bytes[16000];
    size_t len = 0;
    for (int i = 0; i < 200; i++)
        len += (size_t)snprintf(bytes + len, sizeof bytes - len, "GET /%d HTTP/1.1\r\n" H "\r\n", i);
    client_send_bytes(rig, client, bytes, len);
    for (int i = 0; i < 200; i++) {
        char path[16];
        snprintf(path, sizeof path, "/%d", i);
        client_reply(rig, client, &reply, false);
        assert_string_equal(reply.body, path);
    }
}

static void what_is_pipelined_behind_a_pending_request_waits(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/pending") GET("/b"));
    rig_until(rig, rig->pending);
    assert_true(client_quiet(rig, client));
    assert_int_equal(rig->heads, 1);
    http_reply(rig->pending, 200, "text/plain", "first", 5);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "first");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/b");
    assert_int_equal(rig->gone, 0);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    static const char bytes[] = "\r\nPOST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n0\r\n\r\n" GET("/b");
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        client_send_bytes(rig, client, bytes + i, 1);
        rig_turn(rig);
    }
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "hello");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/b");
}

static void bodies_arrive_whole(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    static char bytes[100100];
    int head = snprintf(bytes, sizeof bytes, "POST /echo HTTP/1.1\r\n" H "Content-Length: 99000\r\n\r\n");
    memset(bytes + head, 'x', 99000);
    client_send_bytes(rig, client, bytes, (size_t)head + 99000);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.body_len, 99000);
    assert_memory_equal(reply.body, bytes + head, 99000);
    client_ask(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200);
    client_ask(rig, client, GET("/echo"), 200);
    client_ask(rig, client, GET("/a"), 200);
}

static void a_body_over_the_limit_is_413_before_it_is_read(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 100001\r\n\r\n", 413);
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(rig->gone, 1);
    assert_int_equal(rig->bodies, 0);
    client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n186a1\r\n");
    static char bytes[100001];
    client_send_bytes(rig, client, bytes, sizeof bytes);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply.body, "{\"detail\": \"the request body must be at most 100000 bytes\"}");
    assert_int_equal(rig->gone, 2);
}

static void a_header_that_was_added_early_is_in_the_front_ends_answer_too(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /early HTTP/1.1\r\n" H "Content-Length: 100001\r\n\r\n");
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply_header(&reply, "X-Early"), "kept");
    assert_int_equal(client_end(rig, client), 0);
}

static void a_client_that_sends_much_more_still_sees_its_413(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5000000\r\n\r\n");
    static char bytes[1000000];
    for (int i = 0; i < 5; i++)
        client_send_bytes(rig, client, bytes, sizeof bytes);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_int_equal(client_end(rig, client), 0);
}

static void a_malformed_chunk_is_400_and_the_request_is_gone(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x5\r\n", 400);
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(rig->gone, 1);
}

static void a_100_is_sent_only_when_the_body_is_wanted(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 100);
    client_send(rig, client, "hi");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "hi");
    /* Not wanted: nobody knows whether it comes, so the connection ends. */
    client_ask(rig, client, "POST /a HTTP/1.1\r\n" H "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
               200);
    assert_int_equal(client_end(rig, client), 0);
    /* Too large: no 100 either. */
    client = client_connect(rig);
    client_ask(rig, client,
               "POST /echo HTTP/1.1\r\n" H "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n", 413);
}

static void a_small_unread_body_is_skipped(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "");
    client_send(rig, client, "hello" GET("/b"));
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/b");
    client_send(rig, client,
                "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" GET("/c"));
    client_reply(rig, client, &reply, false);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/c");
}

static void a_large_unread_body_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /a HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n");
    static char bytes[70000];
    client_send_bytes(rig, client, bytes, 65537);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_int_equal(client_end(rig, client), 0);
    /* Nobody can tell with chunks: more than that ends it, too. */
    client = client_connect(rig);
    client_ask(rig, client, "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n11000\r\n", 200);
    client_send_bytes(rig, client, bytes, 69632);
    assert_int_equal(client_end(rig, client), 0);
}

static void a_malformed_head_is_answered_and_the_connection_ends(void **state)
{
    struct rig *rig = *state;
    static const struct {
        int status;
        const char *bytes;
    } rows[] = {
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\n" H "Expect: x\r\n\r\n"},
        {501, "CONNECT a:1 HTTP/1.1\r\n" H "\r\n"},
        {505, "GET / HTTP/3.0\r\n" H "\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int client = client_connect(rig);
        client_send(rig, client, rows[i].bytes);
        client_send(rig, client, GET("/must-not-be-read"));
        client_reply(rig, client, &reply, false);
        assert_int_equal(reply.status, rows[i].status);
        assert_memory_equal(reply.body, "{\"detail\": \"", 12);
        assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
        assert_string_equal(reply_header(&reply, "Connection"), "close");
        assert_int_equal(strlen(reply_header(&reply, "X-Request-ID")), 11);
        assert_int_equal(client_end(rig, client), 0);
    }
    assert_int_equal(rig->heads, 0);
    assert_int_equal(http_server_stats(rig->server).bad_requests, sizeof rows / sizeof *rows);
}

/* What a client sends that closes its socket is what one sends that only ends its side: both get their answer. */
static void a_client_that_ends_its_side_is_answered(void **state)
{
    struct rig *rig = *state;
    for (int closes = 0; closes < 2; closes++) {
        int client = client_connect(rig);
        rig->pending = NULL;
        client_send(rig, client, closes ? GET("/pending") : GET("/a") GET("/pending"));
        if (closes)
            client_close(rig, client);
        else
            shutdown(client, SHUT_WR);
        rig_until(rig, rig->pending);
        rig_until(rig, rig->pending->connection->eof);
        rig_turn(rig);
        assert_int_equal(rig->gone, 0);
        http_reply(rig->pending, 200, "text/plain", "answer", 6);
        if (!closes) {
            client_reply(rig, client, &reply, false);
            assert_string_equal(reply.body, "/a");
            client_reply(rig, client, &reply, false);
            assert_string_equal(reply.body, "answer");
            assert_int_equal(client_end(rig, client), 0);
        }
        rig_until(rig, http_server_stats(rig->server).connections == 0);
        assert_int_equal(rig->gone, 0);
    }
}

static bool is_gone_when_written_to(struct rig *rig)
{
    if (rig->pending)
        http_stream_write(rig->pending, "x", 1);
    return rig->gone == 1;
}

static void a_client_that_closed_is_found_out_by_writing(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/stream"));
    rig_until(rig, rig->pending);
    client_close(rig, client);
    rig_until(rig, is_gone_when_written_to(rig));
    rig_until(rig, http_server_stats(rig->server).connections == 0);
}

static void a_client_that_closed_is_found_out_by_probes(void **state)
{
    struct rig *rig = *state;
    struct http_times times = rig->server->times;
    times.half_closed_s = 1;
    server_set_times(rig->server, &times);
    int client = client_connect(rig);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    /* So long the kernel remembers the closed socket. */
    setsockopt(client, IPPROTO_TCP, TCP_LINGER2, &(int){1}, sizeof(int));
    client_close(rig, client);
    rig_until(rig, rig->gone == 1);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
}

static void a_reset_is_seen_while_a_request_is_pending(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    client_reset(rig, client);
    rig_until(rig, rig->gone == 1);
}

static void a_reset_behind_much_pipelined_input_is_seen(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    static char bytes[40000]; /* over what is read ahead, and within what the kernel takes */
    memset(bytes, 'x', sizeof bytes);
    client_send_bytes(rig, client, bytes, sizeof bytes);
    assert_true(client_quiet(rig, client));
    client_reset(rig, client);
    rig_until(rig, rig->gone == 1);
}

static void a_client_that_is_gone_amid_its_body_is_seen(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel");
    rig_until(rig, rig->heads == 1);
    client_close(rig, client);
    rig_until(rig, rig->gone == 1);
    assert_int_equal(rig->bodies, 0);
}

static void a_body_that_came_before_the_end_is_delivered(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
    shutdown(client, SHUT_WR);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "hello");
}

static void a_request_whose_body_was_read_may_stay_pending(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /keep HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
    rig_until(rig, rig->pending);
    assert_true(client_quiet(rig, client));
    http_reply(rig->pending, 201, NULL, NULL, 0);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 201);
    client_ask(rig, client, GET("/a"), 200);
}

static void a_handler_sees_the_parts_of_a_request(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client,
                "POST /pending?id=A&x=%20&id=B HTTP/1.1\r\n" H
                "Accept: a\r\nX-One: 1\r\naccept:  b \r\nACCEPT: c\r\nContent-Length: 1\r\n\r\n");
    rig_until(rig, rig->pending);
    struct http_request *request = rig->pending;
    assert_string_equal(http_method(request), "POST");
    assert_string_equal(http_path(request), "/pending");
    assert_string_equal(http_header(request, "Accept"), "a, b, c");
    assert_ptr_equal(http_header(request, "accept"), http_header(request, "ACCEPT"));
    assert_string_equal(http_header(request, "x-one"), "1");
    assert_null(http_header(request, "x-two"));
    assert_string_equal(http_query(request, "id", 0), "A");
    assert_string_equal(http_query(request, "id", 1), "B");
    assert_null(http_query(request, "id", 2));
    assert_string_equal(http_query(request, "x", 0), " ");
    const char *name, *value;
    assert_true(http_query_at(request, 1, &name, &value));
    assert_string_equal(name, "x");
    assert_false(http_query_at(request, 3, &name, &value));
    assert_true(http_has_body(request));
    assert_true(http_is_loopback(request));
    assert_ptr_equal(http_config(request), &rig->config);
    assert_int_equal(strlen(http_request_id(request)), 11);
}

static void requests_at_work_end_with_the_server(void **state)
{
    struct rig *rig = *state;
    client_send(rig, client_connect(rig), GET("/pending"));
    rig_until(rig, rig->pending);
    client_send(rig, client_connect(rig), "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel");
    rig_until(rig, rig->heads == 2);
    /* rig_stop() looks for what is left behind. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_kept_and_answers_in_order),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(what_is_pipelined_behind_a_pending_request_waits),
        TEST(a_head_may_come_byte_by_byte),
        TEST(bodies_arrive_whole),
        TEST(a_body_over_the_limit_is_413_before_it_is_read),
        TEST(a_header_that_was_added_early_is_in_the_front_ends_answer_too),
        TEST(a_client_that_sends_much_more_still_sees_its_413),
        TEST(a_malformed_chunk_is_400_and_the_request_is_gone),
        TEST(a_100_is_sent_only_when_the_body_is_wanted),
        TEST(a_small_unread_body_is_skipped),
        TEST(a_large_unread_body_ends_the_connection),
        TEST(a_malformed_head_is_answered_and_the_connection_ends),
        TEST(a_client_that_ends_its_side_is_answered),
        TEST(a_client_that_closed_is_found_out_by_writing),
        TEST(a_client_that_closed_is_found_out_by_probes),
        TEST(a_reset_is_seen_while_a_request_is_pending),
        TEST(a_reset_behind_much_pipelined_input_is_seen),
        TEST(a_client_that_is_gone_amid_its_body_is_seen),
        TEST(a_body_that_came_before_the_end_is_delivered),
        TEST(a_request_whose_body_was_read_may_stay_pending),
        TEST(a_handler_sees_the_parts_of_a_request),
        TEST(requests_at_work_end_with_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
