/* Answers that are as they should be: what is sent, what is told, reuse, streams, cancelling. */
#include "call.h"
#include "server.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static bool all_closed(void *arg)
{
    return server_open(arg) == 0;
}

/* The server hears of a close on its own threads: looked at every millisecond. */
static void wait_for_close(void)
{
    for (int i = 0; i < 10000 && !all_closed(server); i++)
        usleep(1000);
    assert_true(all_closed(server));
}

static void a_get_brings_status_headers_and_body(void **state)
{
    (void)state;
    struct call *call = call_get("%s", at("/ok"));
    assert_false(call->failed);
    assert_int_equal(call->heads, 1);
    assert_int_equal(call->status, 200);
    assert_string_equal(call->headers, "Content-Length: 5\n");
    assert_int_equal(call->len, 5);
    assert_string_equal(call->body, "hello");
    call_free(call);
}

static void an_answer_without_a_body_is_whole(void **state)
{
    (void)state;
    struct call *call = call_get("%s", at("/204"));
    assert_false(call->failed);
    assert_int_equal(call->status, 204);
    assert_int_equal(call->len, 0);
    assert_non_null(call->body);
    assert_string_equal(call->headers, "X-One: 1\nx-two:2\nX-Empty:\n");
    call_free(call);
}

static void an_error_status_is_an_answer_not_a_failure(void **state)
{
    (void)state;
    struct call *call = call_get("%s", at("/500"));
    assert_false(call->failed);
    assert_int_equal(call->status, 500);
    assert_string_equal(call->body, "fail");
    call_free(call);
}

static void redirects_are_not_followed(void **state)
{
    (void)state;
    struct call *call = call_get("%s", at("/redirect"));
    assert_int_equal(call->status, 302);
    assert_int_equal(server_requests(server), 1);
    call_free(call);
}

static void interim_answers_are_left_out_and_folded_lines_joined(void **state)
{
    (void)state;
    struct call *call = call_get("%s", at("/interim"));
    assert_int_equal(call->status, 200);
    assert_string_equal(call->headers, "X-Folded: a  b\nContent-Length: 0\n");
    call_free(call);
}

static struct call *ask(const char *method, const char *body, const char *const *headers)
{
    struct client_request request = {.method = method,
                                     .url = at("/echo"),
                                     .headers = headers,
                                     .body = body,
                                     .body_len = body ? strlen(body) : 0};
    return call_wait(call_begin(&request, false));
}

static void a_body_is_sent_with_its_headers_and_nothing_of_curls(void **state)
{
    (void)state;
    const char *headers[] = {"Content-Type: application/json", "X-Key: 1:2", "X-Empty:", NULL};
    struct call *call = ask("POST", "{\"a\": 1}", headers);
    assert_memory_equal(call->body, "POST /echo HTTP/1.1\r\n", 21);
    assert_non_null(strstr(call->body, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(call->body, "X-Key: 1:2\r\n"));
    assert_non_null(strstr(call->body, "X-Empty:\r\n"));
    assert_non_null(strstr(call->body, "Content-Length: 8\r\n"));
    assert_null(strstr(call->body, "Expect"));
    assert_string_equal(strstr(call->body, "\r\n\r\n"), "\r\n\r\n{\"a\": 1}");
    call_free(call);

    call = ask("PUT", "text", NULL);
    assert_memory_equal(call->body, "PUT ", 4);
    assert_null(strstr(call->body, "Content-Type"));
    call_free(call);
}

static void methods_without_a_body(void **state)
{
    (void)state;
    struct call *call = ask("POST", NULL, NULL);
    assert_non_null(strstr(call->body, "Content-Length: 0\r\n"));
    call_free(call);
    call = ask("DELETE", NULL, NULL);
    assert_memory_equal(call->body, "DELETE /echo ", 13);
    assert_null(strstr(call->body, "Content-Length"));
    call_free(call);
    struct client_request head = {.method = "HEAD", .url = at("/ok")};
    call = call_wait(call_begin(&head, false));
    assert_false(call->failed);
    assert_string_equal(call->headers, "Content-Length: 5\n");
    assert_int_equal(call->len, 0);
    call_free(call);
}

static void a_large_body_is_sent_whole(void **state)
{
    (void)state;
    size_t len = 3 * 1024 * 1024 + 1;
    char *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = server_stream_byte(i);
    struct client_request request = {
        .method = "POST", .url = at("/echo"), .body = body, .body_len = len, .max_body = len + 4096};
    struct call *call = call_begin(&request, false);
    char *copy = malloc(len);
    memcpy(copy, body, len);
    memset(body, 0, len); /* it was copied */
    call_wait(call);
    assert_false(call->failed);
    assert_memory_equal(call->body + call->len - len, copy, len);
    free(body);
    free(copy);
    call_free(call);
}

static void a_file_is_sent_as_a_body(void **state)
{
    (void)state;
    size_t len = 5 * 1024 * 1024 + 3;
    char path[] = "/tmp/test-body-XXXXXX";
    int fd = mkstemp(path);
    char *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = server_stream_byte(i);
    assert_int_equal(write(fd, body, len), len);
    close(fd);
    struct client_request request = {
        .method = "POST", .url = at("/echo"), .body_file = path, .max_body = len + 4096};
    struct call *call = call_wait(call_begin(&request, false));
    assert_false(call->failed);
    assert_non_null(strstr(call->body, "Content-Length: 5242883\r\n"));
    assert_null(strstr(call->body, "Expect"));
    assert_memory_equal(call->body + call->len - len, body, len);
    call_free(call);
    unlink(path);
    free(body);
    struct sbx_error err;
    struct client_handler handler = {0};
    assert_null(client_start(test_client, &request, &handler, NULL, &err));
    assert_non_null(strstr(err.message, "can't be read from /tmp/test-body-"));
    request.body_file = "/tmp";
    assert_null(client_start(test_client, &request, &handler, NULL, &err));
    assert_non_null(strstr(err.message, "not a regular file"));
}

static void connections_are_kept_and_reused(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        call_free(call_get("%s", at("/ok")));
    assert_int_equal(server_connections(server), 1);
    assert_int_equal(server_requests(server), 5);
}

static void no_reuse_takes_a_connection_of_its_own_and_closes_it(void **state)
{
    (void)state;
    call_free(call_get("%s", at("/ok")));
    for (int i = 0; i < 3; i++)
        call_free(call_wait(call_begin(
            &(struct client_request){.url = at("/ok"), .no_reuse = true, .discard_body = true}, false)));
    assert_int_equal(server_connections(server), 4);
    for (int i = 0; i < 10000 && server_open(server) > 1; i++)
        usleep(1000);
    assert_int_equal(server_open(server), 1);
}

static void discard_body_is_done_after_the_head(void **state)
{
    (void)state;
    struct call *call = call_wait(
        call_begin(&(struct client_request){.url = at("/hang-in-body"), .discard_body = true}, false));
    assert_false(call->failed);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->len, 0);
    call_free(call);
    wait_for_close();
}

static void a_unix_socket_is_spoken_over(void **state)
{
    (void)state;
    char path[] = "/tmp/sandboxd-test-XXXXXX";
    assert_non_null(mkdtemp(path));
    char name[64];
    snprintf(name, sizeof name, "%s/s", path);
    struct server *local = server_start_unix(name);
    struct client_request request = {.url = "http://localhost/ok", .unix_socket = name};
    for (int i = 0; i < 2; i++) {
        struct call *call = call_wait(call_begin(&request, false));
        assert_string_equal(call->body, "hello");
        call_free(call);
    }
    assert_int_equal(server_connections(local), 1);
    server_stop(local);
    struct call *call = call_wait(call_begin(&request, false));
    assert_fails(call, SBX_ERR_UNAVAILABLE, "Connection refused");
    assert_non_null(strstr(call->err.message, name));
    call_free(call);
    unlink(name);
    rmdir(path);
}

static void localhost_is_both_loopback_addresses(void **state)
{
    (void)state;
    struct call *call = call_get("http://localhost:%d/ok", server_port(server));
    assert_string_equal(call->body, "hello");
    call_free(call);
    struct server *six = server_start_tcp(true, NULL);
    if (!six)
        return; /* no IPv6 here */
    call = call_get("http://localhost:%d/ok", server_port(six));
    assert_string_equal(call->body, "hello");
    call_free(call);
    call = call_get("http://[::1]:%d/ok", server_port(six));
    assert_string_equal(call->body, "hello");
    call_free(call);
    server_stop(six);
}

static void the_environments_proxy_is_not_used(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    struct call *call = call_get("%s", at("/ok"));
    assert_false(call->failed);
    call_free(call);
    unsetenv("http_proxy");
}

/* ---- streams -------------------------------------------------------------------------------- */

static void check_stream(struct call *call)
{
    assert_false(call->failed);
    assert_int_equal(call->len, SERVER_STREAM_BYTES);
    for (size_t i = 0; i < call->len; i++)
        if (call->body[i] != server_stream_byte(i))
            fail_msg("byte %zu differs", i);
}

static void a_stream_arrives_whole_and_in_order(void **state)
{
    (void)state;
    struct call *call = call_wait(call_begin(&(struct client_request){.url = at("/stream")}, true));
    check_stream(call);
    call_free(call);
}

static void a_handler_that_stops_each_time_gets_all_of_a_stream(void **state)
{
    (void)state;
    const char *paths[] = {"/stream", "/stream-chunked"};
    for (int i = 0; i < 2; i++) {
        struct call *call =
            call_begin(&(struct client_request){.url = at(paths[i]), .idle_timeout_ms = 5000}, true);
        call->stop_each_time = true;
        call_wait(call);
        check_stream(call);
        assert_true(call->datas > SERVER_STREAM_BYTES / (96 * 1024));
        call_free(call);
    }
}

static bool is_stopped(void *arg)
{
    struct call *call = arg;
    return call->datas > 0;
}

static void what_a_stopped_handler_has_not_taken_waits_for_it(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/cut-in-body")}, true);
    call->stop_each_time = true;
    wait_until(is_stopped, call);
    assert_int_equal(call->dones, 0);
    call_wait(call);
    assert_int_equal(call->len, 2);
    assert_true(call->failed);
    call_free(call);
}

/* ---- cancelling ----------------------------------------------------------------------------- */

static void turn(int times)
{
    for (int i = 0; i < times; i++)
        event_base_loop(loop_base(test_loop), EVLOOP_NONBLOCK);
}

static void cancelled_before_anything_happened(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/ok")}, false);
    client_cancel(call->transfer);
    turn(3);
    assert_int_equal(call->heads + call->dones, 0);
    call_free(call);
    client_cancel(NULL);
}

static bool was_asked(void *arg)
{
    return server_requests(arg) > 0;
}

static void cancelled_while_the_answer_is_awaited(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/silent")}, false);
    for (int i = 0; i < 10000 && !was_asked(server); i++) {
        turn(1);
        usleep(1000);
    }
    client_cancel(call->transfer);
    wait_for_close();
    assert_int_equal(call->heads + call->dones, 0);
    call_free(call);
}

static bool has_head(void *arg)
{
    return ((struct call *)arg)->heads > 0;
}

static void cancelled_in_the_middle_of_the_body(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/hang-in-body")}, false);
    wait_until(has_head, call);
    client_cancel(call->transfer);
    wait_for_close();
    assert_int_equal(call->dones, 0);
    call_free(call);
}

static void cancelled_while_held_back(void **state)
{
    (void)state;
    struct call *call = call_begin(&(struct client_request){.url = at("/stream")}, true);
    call->stop_for_good = true;
    wait_until(is_stopped, call);
    turn(5);
    assert_int_equal(call->datas, 1);
    client_cancel(call->transfer);
    wait_for_close();
    assert_int_equal(call->dones, 0);
    call_free(call);
}

static void cancelled_inside_each_callback(void **state)
{
    (void)state;
    const char *places[] = {"head", "data", "done"};
    for (int i = 0; i < 3; i++) {
        struct call *call = call_begin(
            &(struct client_request){.url = at(i < 2 ? "/stream" : "/ok"), .no_reuse = true}, true);
        call->cancel_in = places[i];
        for (int n = 0; n < 60000 && (call->transfer || !all_closed(server)); n++) {
            turn(1);
            usleep(1000);
        }
        assert_int_equal(call->dones, i == 2);
        assert_null(call->transfer);
        call_free(call);
    }
}

static void done_of_one_may_cancel_another_and_start_a_third(void **state)
{
    (void)state;
    struct call *other = call_begin(&(struct client_request){.url = at("/silent")}, false);
    struct call *call = call_begin(&(struct client_request){.url = at("/ok")}, false);
    call->others = other->transfer;
    call_wait(call);
    turn(3);
    assert_int_equal(other->dones, 0);
    call_free(call);
    call_free(other);
    call_free(call_get("%s", at("/ok")));
}

static void destroying_the_client_cancels_what_is_under_way(void **state)
{
    (void)state;
    const char *paths[] = {"/silent", "/hang-in-body", "/stream", "/hang-in-head"};
    struct call *calls[4];
    for (int i = 0; i < 4; i++)
        calls[i] = call_begin(&(struct client_request){.url = at(paths[i])}, i == 2);
    calls[2]->stop_for_good = true;
    wait_until(is_stopped, calls[2]);
    client_destroy(test_client);
    test_client = client_create(test_loop);
    wait_for_close();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(calls[i]->dones, 0);
        call_free(calls[i]);
    }
}

static bool all_done(void *arg)
{
    struct call **calls = arg;
    for (; *calls; calls++)
        if (!(*calls)->dones)
            return false;
    return true;
}

static bool only_the_waits_own_timer(void *arg)
{
    (void)arg;
    return call_timers() == 1;
}

static void hundreds_at_once_all_end_and_leave_the_loop_idle(void **state)
{
    (void)state;
    struct call *calls[301] = {NULL};
    for (int i = 0; i < 300; i++)
        calls[i] = call_begin(
            &(struct client_request){.url = at("/ok"), .no_reuse = true, .discard_body = true}, false);
    wait_until(all_done, calls);
    for (int i = 0; i < 300; i++) {
        assert_false(calls[i]->failed);
        call_free(calls[i]);
    }
    wait_for_close();
    wait_until(only_the_waits_own_timer, NULL); /* the memory of a burst is given back a second later */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_get_brings_status_headers_and_body),
        TEST(an_answer_without_a_body_is_whole),
        TEST(an_error_status_is_an_answer_not_a_failure),
        TEST(redirects_are_not_followed),
        TEST(interim_answers_are_left_out_and_folded_lines_joined),
        TEST(a_body_is_sent_with_its_headers_and_nothing_of_curls),
        TEST(methods_without_a_body),
        TEST(a_large_body_is_sent_whole),
        TEST(a_file_is_sent_as_a_body),
        TEST(connections_are_kept_and_reused),
        TEST(no_reuse_takes_a_connection_of_its_own_and_closes_it),
        TEST(discard_body_is_done_after_the_head),
        TEST(a_unix_socket_is_spoken_over),
        TEST(localhost_is_both_loopback_addresses),
        TEST(the_environments_proxy_is_not_used),
        TEST(a_stream_arrives_whole_and_in_order),
        TEST(a_handler_that_stops_each_time_gets_all_of_a_stream),
        TEST(what_a_stopped_handler_has_not_taken_waits_for_it),
        TEST(cancelled_before_anything_happened),
        TEST(cancelled_while_the_answer_is_awaited),
        TEST(cancelled_in_the_middle_of_the_body),
        TEST(cancelled_while_held_back),
        TEST(cancelled_inside_each_callback),
        TEST(done_of_one_may_cancel_another_and_start_a_third),
        TEST(destroying_the_client_cancels_what_is_under_way),
        TEST(hundreds_at_once_all_end_and_leave_the_loop_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
