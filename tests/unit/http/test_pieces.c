/* Bodies that go to their handler in pieces: whole, bounded, and held back where the handler is busy. */
#include "rig.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

enum { MUCH = 8000000 };

static struct reply reply;
static char body[MUCH];

/* Sends as much as the server takes; true once all of it is gone. */
static bool push(int client, size_t *sent)
{
    ssize_t put = send(client, body + *sent, sizeof body - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    *sent += put > 0 ? (size_t)put : 0;
    return *sent == sizeof body;
}

static void a_body_over_max_body_goes_through_in_pieces(void **state)
{
    struct rig *rig = *state;
    unsigned char sum = 0;
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)(i * 7 + i / 251);
        sum ^= (unsigned char)body[i];
    }
    int client = client_connect(rig);
    size_t sent = 0;
    client_send(rig, client, "POST /pieces HTTP/1.1\r\n" H "Content-Length: 8000000\r\n\r\n");
    rig_until(rig, push(client, &sent));
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "8000000");
    assert_int_equal(rig->passed_sum, sum);
    client_ask(rig, client, GET("/a"), 200); /* the connection was kept */
}

static void a_chunked_body_goes_through_in_pieces(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client,
               "POST /pieces HTTP/1.1\r\n" H
               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
               200);
    assert_int_equal(rig->passed, 5);
    client_ask(rig, client, "POST /pieces HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400);
    assert_int_equal(rig->gone, 1);
}

static void a_handler_that_is_busy_holds_its_client_back(void **state)
{
    struct rig *rig = *state;
    rig->hold_at = 1;
    int client = client_connect(rig);
    size_t sent = 0;
    client_send(rig, client, "POST /pieces HTTP/1.1\r\n" H "Content-Length: 8000000\r\n\r\n");
    rig_until(rig, !push(client, &sent) && rig->passed > 0);
    size_t before = rig->passed;
    for (int i = 0; i < 200; i++) {
        push(client, &sent);
        rig_turn(rig);
    }
    assert_int_equal(rig->passed, before);
    assert_true(sent < sizeof body); /* the rest waits in the kernel, and at the client */
    rig->hold_at = 0;
    http_resume_body(rig->pending);
    rig_until(rig, push(client, &sent));
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply.body, "8000000");
}

static void pieces_have_a_bound(void **state)
{
    struct rig *rig = *state;
    client_ask(rig, client_connect(rig), "POST /pieces HTTP/1.1\r\n" H "Content-Length: 10000001\r\n\r\n",
               413);
    assert_int_equal(rig->passed, 0);
    assert_int_equal(rig->gone, 1);
}

static void a_piece_may_be_answered(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_ask(rig, client, "POST /refused HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nabcd", 422);
    client_ask(rig, client, GET("/a"), 200);
    assert_int_equal(rig->bodies, 0);
}

static void a_client_that_is_gone_amid_its_pieces_is_seen(void **state)
{
    struct rig *rig = *state;
    int client = client_connect(rig);
    client_send(rig, client, "POST /pieces HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nabc");
    rig_until(rig, rig->passed == 3);
    client_close(rig, client);
    rig_until(rig, rig->gone == 1);
    assert_int_equal(rig->bodies, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_body_over_max_body_goes_through_in_pieces),
        TEST(a_chunked_body_goes_through_in_pieces),
        TEST(a_handler_that_is_busy_holds_its_client_back),
        TEST(pieces_have_a_bound),
        TEST(a_piece_may_be_answered),
        TEST(a_client_that_is_gone_amid_its_pieces_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
