/* Logs: when the reply begins, how it ends, and that nobody is given more than they take. */
#include "world.h"

#include <string.h>

static const char path[] = "/api/v1/sandboxes/s1/logs";

static bool write_piece(const char *text)
{
    return world.operations[0].data(world.operations[0].arg, text, strlen(text));
}

static void finish(const struct sbx_error *err)
{
    world.operations[0].done(world.operations[0].arg, err, NULL, 0);
}

static void the_output_comes_as_plain_text(void **state)
{
    (void)state;
    struct http_request request = {.stream_room = 1000};
    world_request(&request, "GET", path);
    assert_int_equal(world.logs.tail, 200);
    assert_int_equal(world.logs.follow, 0);
    assert_int_equal(request.status, 0);
    assert_true(write_piece("one\n"));
    assert_true(write_piece("two\xff\n"));
    finish(NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(request.type, "text/plain; charset=utf-8");
    assert_string_equal(request.reply_headers, "X-Content-Type-Options: nosniff\n");
    assert_string_equal(request.body, "one\ntwo\xef\xbf\xbd\n");
    assert_true(request.ended && !request.aborted);
    front_free(&request);
}

static void no_output_is_an_empty_answer(void **state)
{
    (void)state;
    struct http_request request = {.query = {{"tail", "0"}}};
    world_request(&request, "GET", path);
    assert_int_equal(world.logs.tail, 0);
    finish(NULL);
    assert_int_equal(request.status, 200);
    assert_int_equal(request.len, 0);
    assert_true(request.ended);
    front_free(&request);
}

static void a_slow_client_holds_the_backend_back(void **state)
{
    (void)state;
    struct http_request request = {.stream_room = 4, .query = {{"follow", "true"}}};
    world_request(&request, "GET", path);
    assert_int_equal(world.logs.follow, 1);
    assert_false(write_piece("more than it takes"));
    assert_int_equal(world.stream_ready, 0);
    front_client_reads(&request);
    assert_int_equal(world.stream_ready, 1);
    assert_true(write_piece("rest"));
    front_disconnect(&request);
    assert_int_equal(world.cancelled, 1);
    front_free(&request);
}

static void a_client_that_leaves_ends_the_operation(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", path);
    front_disconnect(&request);
    assert_int_equal(world.cancelled, 1);
}

static void a_failure_before_the_first_piece_has_its_status(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", path);
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNSUPPORTED, "UNSUPPORTED", "no logs here");
    finish(&err);
    assert_int_equal(request.status, 501);
    assert_string_equal(front_detail(&request), "no logs here");
    assert_int_equal(world.cancelled, 0);
    front_free(&request);
}

static void a_failure_after_it_breaks_the_reply_off(void **state)
{
    (void)state;
    struct http_request request = {.stream_room = 1000};
    world_request(&request, "GET", path);
    write_piece("half");
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNAVAILABLE, "BACKEND_UNAVAILABLE", "lost");
    finish(&err);
    assert_true(request.aborted);
    front_free(&request);
}

static void a_refusal_is_answered_at_once(void **state)
{
    (void)state;
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "SANDBOX_NOT_FOUND", "no such");
    struct http_request request = {0};
    world_request(&request, "GET", path);
    assert_int_equal(request.status, 404);
    front_free(&request);
}

static void what_is_followed_begins_without_output(void **state)
{
    (void)state;
    struct http_request request = {.stream_room = 1000, .query = {{"follow", "1"}}};
    world_request(&request, "GET", path);
    while (request.status == 0)
        event_base_loop(loop_base(world.loop), EVLOOP_ONCE);
    assert_int_equal(request.status, 200);
    assert_int_equal(request.len, 0);
    finish(NULL);
    front_free(&request);
}

static void draining_ends_what_is_followed_and_only_that(void **state)
{
    (void)state;
    struct http_request followed = {.stream_room = 1000, .query = {{"follow", "true"}}};
    world_request(&followed, "GET", path);
    write_piece("so far");
    struct http_request whole = {.stream_room = 1000};
    world_request(&whole, "GET", path);
    api_drain(world.api);
    assert_true(followed.ended && !followed.aborted);
    assert_int_equal(world.cancelled, 1);
    assert_int_equal(whole.status, 0);
    world.operations[1].done(world.operations[1].arg, NULL, NULL, 0);
    assert_true(whole.ended);
    struct http_request late = {.stream_room = 1000, .query = {{"follow", "true"}}};
    world_request(&late, "GET", path);
    assert_int_equal(late.status, 503);
    front_free(&late);
    front_free(&followed);
    front_free(&whole);
}

static void head_asks_no_backend(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {0};
    world_request(&request, "HEAD", path);
    assert_int_equal(request.status, 200);
    assert_int_equal(world.operations_len, 0);
    front_free(&request);
    world_request(&request, "HEAD", "/api/v1/sandboxes/s2/logs");
    assert_int_equal(request.status, 404);
    front_free(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_output_comes_as_plain_text, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(no_output_is_an_empty_answer, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_slow_client_holds_the_backend_back, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_ends_the_operation, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_failure_before_the_first_piece_has_its_status, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_failure_after_it_breaks_the_reply_off, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_refusal_is_answered_at_once, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_is_followed_begins_without_output, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(draining_ends_what_is_followed_and_only_that, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(head_asks_no_backend, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
