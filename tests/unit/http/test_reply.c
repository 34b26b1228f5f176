/* Replies: their heads, HEAD and HTTP/1.0, streams and how they end. */
#include "rig.h"

#include "base/clock.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

static struct reply reply;

static void a_reply_has_its_headers(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/a"));
    client_reply(rig, client, &reply, false);
    assert_memory_equal(reply.head, "HTTP/1.1 200 OK\r\n", 17);
    assert_string_equal(reply_header(&reply, "Content-Length"), "2");
    assert_string_equal(reply_header(&reply, "Content-Type"), "text/plain");
    assert_string_equal(reply_header(&reply, "X-Path"), "/a");
    struct tm tm;
    const char *end = strptime(reply_header(&reply, "Date"), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    assert_non_null(end);
    assert_string_equal(end, "");
    assert_in_range(timegm(&tm), time(NULL) - 5, time(NULL));
}

static void a_clients_request_id_comes_back_where_it_is_harmless(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    char longest[129], request[512];
    memset(longest, 'x', 128);
    longest[128] = '\0';
    const char *const rows[] = {"a", "-/.:\"{}", longest, "a b", "", "\xc3\xa9", "x"};
    for (size_t i = 0; i < 7; i++) {
        snprintf(request, sizeof request, "GET /a HTTP/1.1\r\n" H "X-Request-ID: %s%s\r\n\r\n", rows[i],
                 i == 6 ? longest : "");
        client_send(rig, client, request);
        client_reply(rig, client, &reply, false);
        const char *id = reply_header(&reply, "X-Request-ID");
        if (i < 3)
            assert_string_equal(id, rows[i]);
        else
            assert_int_equal(strlen(id), 11);
    }
}

static void head_gets_the_head_alone(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    for (int i = 0; i < 2; i++) {
        client_send(rig, client,
                    i == 0 ? "HEAD /a HTTP/1.1\r\n" H "\r\n" : "HEAD /big HTTP/1.1\r\n" H "\r\n");
        client_reply(rig, client, &reply, true);
        assert_string_equal(reply_header(&reply, "Content-Length"), i == 0 ? "2" : "1600000");
    }
    client_send(rig, client, "HEAD /stream HTTP/1.1\r\n" H "\r\n");
    client_reply(rig, client, &reply, true);
    assert_string_equal(reply_header(&reply, "Transfer-Encoding"), "chunked");
    assert_true(http_stream_write(rig->pending, "x", 1));
    http_stream_end(rig->pending);
    client_ask(rig, client, GET("/b"), 200);
}

static void a_204_has_neither_body_nor_length(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/none"));
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply_header(&reply, "Content-Length"), "");
    client_ask(rig, client, GET("/b"), 200);
}

static void http_1_0_is_kept_only_when_it_asks(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "keep-alive");
    client_send(rig, client, "GET /a HTTP/1.0\r\n\r\n");
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_int_equal(client_end(rig, client), 0);
}

static void a_large_reply_arrives_whole(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/big") GET("/after"));
    char bytes[16384];
    char expected[16];
    size_t len = 0, wrong = 0;
    /* The head first, byte by byte; then 200000 numbers of eight digits. */
    char last[5] = "";
    while (strcmp(last, "\r\n\r\n") != 0) {
        memmove(last, last + 1, 4);
        rig_until(rig, recv(client, last + 3, 1, 0) == 1);
        if (last[0] == '\0')
            last[0] = ' ';
    }
    while (len < 1600000) {
        ssize_t got = 0;
        size_t want = 1600000 - len < sizeof bytes ? 1600000 - len : sizeof bytes;
        rig_until(rig, (got = recv(client, bytes, want, 0)) > 0);
        for (ssize_t i = 0; i < got; i++, len++) {
            if (len % 8 == 0)
                snprintf(expected, sizeof expected, "%08x", (unsigned)(len / 8));
            wrong += bytes[i] != expected[len % 8];
        }
    }
    assert_int_equal(wrong, 0);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/after");
}

static void a_stream_arrives_piece_by_piece(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/stream") GET("/b"));
    rig_until(rig, rig->pending);
    assert_true(http_stream_write(rig->pending, "one", 3));
    assert_true(http_stream_write(rig->pending, "", 0)); /* would be the last chunk */
    assert_true(http_stream_write(rig->pending, "two", 3));
    http_stream_end(rig->pending);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.body_len, 6);
    assert_memory_equal(reply.body, "onetwo", 6);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "/b");
    assert_int_equal(rig->gone, 0);
}

static void a_stream_to_http_1_0_ends_with_its_connection(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    rig_until(rig, rig->pending);
    http_stream_write(rig->pending, "one", 3);
    http_stream_end(rig->pending);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_string_equal(reply.body, "one");
}

enum { TAKE_MAX = 64 * 1024 };

/* Reads what has come; the last five bytes ever read are then the first of `in`. */
static size_t take(int client, char *in)
{
    ssize_t got = recv(client, in + 5, TAKE_MAX - 5, 0);
    if (got <= 0)
        return 0;
    memmove(in, in + got, 5);
    return (size_t)got;
}

static void a_stream_waits_for_its_client(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/stream"));
    rig_until(rig, rig->pending);
    static char bytes[64 * 1024], in[TAKE_MAX];
    size_t sent = sizeof bytes;
    while (http_stream_write(rig->pending, bytes, sizeof bytes))
        sent += sizeof bytes;
    size_t waiting = evbuffer_get_length(bufferevent_get_output(rig->pending->connection->bev));
    assert_in_range(waiting, HTTP_STREAM_HIGH, HTTP_STREAM_HIGH + 2 * sizeof bytes);
    /* It reads: the writer is told once what it was waiting for. */
    size_t got = 0;
    rig_until(rig, (got += take(client, in), rig->writable > 0));
    assert_int_equal(rig->writable, 1);
    http_stream_end(rig->pending);
    rig_until(rig, (got += take(client, in), memcmp(in, "0\r\n\r\n", 5) == 0));
    assert_in_range(got, sent, sent + 4096);
    client_ask(rig, client, GET("/b"), 200);
}

static void a_client_that_leaves_a_stream_is_noticed(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/stream"));
    rig_until(rig, rig->pending);
    http_stream_write(rig->pending, "one", 3);
    client_reset(rig, client);
    rig_until(rig, rig->gone == 1);
}

static void a_stream_that_breaks_off_is_seen_as_such(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, GET("/stream"));
    rig_until(rig, rig->pending);
    http_stream_write(rig->pending, "one", 3);
    http_stream_abort(rig->pending);
    static char bytes[8192];
    size_t len = 0;
    ssize_t got = 0;
    do {
        rig_until(rig, (got = recv(client, bytes + len, sizeof bytes - len, 0)) >= 0);
        len += (size_t)got;
    } while (got > 0);
    assert_memory_equal(bytes + len - 8, "3\r\none\r\n", 8); /* and no last chunk */
    client = client_connect(rig);
    client_send(rig, client, "GET /stream HTTP/1.0\r\n\r\n");
    rig_until(rig, rig->heads == 2);
    http_stream_abort(rig->pending);
    assert_int_equal(client_end(rig, client), -1);
    assert_int_equal(rig->gone, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_reply_has_its_headers),
        TEST(a_clients_request_id_comes_back_where_it_is_harmless),
        TEST(head_gets_the_head_alone),
        TEST(a_204_has_neither_body_nor_length),
        TEST(http_1_0_is_kept_only_when_it_asks),
        TEST(a_large_reply_arrives_whole),
        TEST(a_stream_arrives_piece_by_piece),
        TEST(a_stream_to_http_1_0_ends_with_its_connection),
        TEST(a_stream_waits_for_its_client),
        TEST(a_client_that_leaves_a_stream_is_noticed),
        TEST(a_stream_that_breaks_off_is_seen_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
